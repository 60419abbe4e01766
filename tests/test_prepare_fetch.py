"""One file from a server that breaks off, sends a wrong file, refuses, or knows no ranges."""

from __future__ import annotations

import hashlib
import io
import socket
import urllib.request
from functools import partial
from http.client import HTTPMessage
from pathlib import Path
from typing import Any

import pytest

from pysteps.formats.errors import InputError
from pysteps.prepare import fetch
from pysteps.prepare.fetch import File
from tests.web import DATA, Server

MD5 = f"md5:{hashlib.md5(DATA).hexdigest()}"


def no_sleep(seconds: float) -> None:
    """For tests that should not wait."""


get = partial(fetch.fetch, sleep=no_sleep)


def test_a_file_is_fetched_checked_and_named(server: Server, tmp_path: Path) -> None:
    got: list[int] = []
    path = get(server.file(size=2048, digest=MD5), tmp_path, got.append)
    assert path == tmp_path / "a.bin" and path.read_bytes() == DATA
    assert sum(got) == 2048 and not list(tmp_path.glob("*.part"))
    get(server.file(size=2048, digest=MD5), tmp_path)  # is there: nobody is asked
    assert server.asked == [("/a.bin", "")]


def test_what_breaks_off_is_gone_on_with(server: Server, tmp_path: Path) -> None:
    server.break_after = [700, 300]
    path = get(server.file(size=2048, digest=MD5), tmp_path)
    assert path.read_bytes() == DATA
    assert [wanted for _, wanted in server.asked] == ["", "bytes=700-", "bytes=1000-"]


def test_the_next_run_goes_on_where_a_killed_one_was(server: Server, tmp_path: Path) -> None:
    (tmp_path / "a.bin.part").write_bytes(DATA[:900])
    assert get(server.file(digest=MD5), tmp_path).read_bytes() == DATA
    assert server.asked == [("/a.bin", "bytes=900-")]


def test_a_part_that_is_whole_already_is_only_checked(server: Server, tmp_path: Path) -> None:
    (tmp_path / "a.bin.part").write_bytes(DATA)
    assert get(server.file(digest=MD5), tmp_path).read_bytes() == DATA
    assert [wanted for _, wanted in server.asked] == ["bytes=2048-"]


def test_a_part_that_is_longer_than_the_file_is_thrown_away(server: Server, tmp_path: Path) -> None:
    (tmp_path / "a.bin.part").write_bytes(DATA + b"more")
    got: list[int] = []
    assert get(server.file(digest=MD5), tmp_path, got.append).read_bytes() == DATA
    assert sum(got) == -4 and [wanted for _, wanted in server.asked] == ["bytes=2052-", ""]


def test_a_server_without_ranges_sends_all_of_it(server: Server, tmp_path: Path) -> None:
    server.ranges = False
    server.break_after = [700]
    got: list[int] = []
    assert get(server.file(digest=MD5), tmp_path, got.append).read_bytes() == DATA
    assert sum(got) == 2048 and [wanted for _, wanted in server.asked] == ["", "bytes=700-"]


def test_a_part_of_another_file_costs_one_more_attempt(server: Server, tmp_path: Path) -> None:
    (tmp_path / "a.bin.part").write_bytes(b"x" * 900)
    assert get(server.file(digest=MD5), tmp_path).read_bytes() == DATA
    assert [wanted for _, wanted in server.asked] == ["bytes=900-", ""]


def test_a_wrong_file_is_told_and_removed(server: Server, tmp_path: Path) -> None:
    server.files["/a.bin"] = b"a page that asks you to log in"
    said = rf"a.bin: cannot be had: http.*its md5 is \w+, published is {MD5[4:]}; removed"
    with pytest.raises(InputError, match=said):
        get(server.file(digest=MD5), tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_wrong_size_is_told_before_it_is_fetched(server: Server, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"has 2,048 bytes, published are 4,096"):
        get(server.file(size=4096), tmp_path)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("code", [403, 404])
def test_a_server_that_refuses_is_asked_once_then_the_next(server: Server, tmp_path: Path, code: int) -> None:
    one = server.file(digest=MD5)
    server.codes = [code]
    with pytest.raises(InputError, match=rf"answers {code} .*get it by hand"):
        get(one, tmp_path)
    assert len(server.asked) == 1
    server.codes = [code]
    two = File("a.bin", (one.urls[0], one.urls[0]), digest=MD5)
    assert get(two, tmp_path).read_bytes() == DATA


def test_a_busy_server_is_asked_again_with_longer_waits(server: Server, tmp_path: Path) -> None:
    waits: list[float] = []
    server.codes = [503, 500, 429]
    assert fetch.fetch(server.file(digest=MD5), tmp_path, sleep=waits.append).read_bytes() == DATA
    assert waits == [1.0, 2.0, 4.0]
    server.codes, waits = [503] * 10, []
    (tmp_path / "a.bin").unlink()
    with pytest.raises(InputError, match=r"broke off 10 times without a byte: answers 503"):
        fetch.fetch(server.file(digest=MD5), tmp_path, sleep=waits.append)
    assert waits == [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 60.0, 60.0, 60.0]


def test_attempts_that_bring_something_are_not_counted(server: Server, tmp_path: Path) -> None:
    server.break_after = [100] * 20
    assert get(server.file(digest=MD5), tmp_path).read_bytes() == DATA


def test_nobody_at_the_address_is_said(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"broke off 10 times without a byte: .*refused"):
        get(File("a.bin", ("http://127.0.0.1:9/a.bin",)), tmp_path)


def test_a_name_without_an_address_is_tried_twice_and_the_next_server_named(
    server: Server, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []
    known = socket.getaddrinfo

    def lookup(host: str, *words: Any, **more: Any) -> Any:
        asked.append(host)
        if host == "nowhere.invalid":
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        return known(host, *words, **more)

    monkeypatch.setattr(socket, "getaddrinfo", lookup)
    monkeypatch.setenv("no_proxy", "*")  # a proxy would look the name up itself
    server.files = {"/a.bin": b"bytes"}
    (good,) = server.file("a.bin").urls
    get(File("a.bin", ("http://nowhere.invalid/a.bin", good)), tmp_path)
    assert asked.count("nowhere.invalid") == 2
    said = capsys.readouterr().err
    assert f"broke off 2 times without a byte: [Errno -2] Name or service not known; next is {good}" in said


def test_a_size_that_is_not_published_is_asked_for(server: Server, tmp_path: Path) -> None:
    one = server.file()
    assert fetch.length(one) == 2048 and server.asked == [("/a.bin", "HEAD")]
    assert fetch.length(File("a.bin", (one.urls[0] + "gone", one.urls[0]))) == 2048
    assert fetch.length(File("a.bin", (one.urls[0] + "gone",))) == 0
    assert fetch.length(server.file(size=7)) == 7
    (tmp_path / "a.bin.part").write_bytes(DATA[:9])
    assert fetch.here(one, tmp_path) == 9


def test_a_file_that_somebody_put_there_is_checked_and_left(server: Server, tmp_path: Path) -> None:
    (tmp_path / "a.bin").write_bytes(DATA[:900])  # by a browser that broke off
    with pytest.raises(InputError, match=r"not the published file: its md5 .*call it a.bin.part"):
        get(server.file(digest=MD5), tmp_path)
    with pytest.raises(InputError, match=r"900 bytes, published are 2,048"):
        get(server.file(size=2048), tmp_path)
    assert (tmp_path / "a.bin").read_bytes() == DATA[:900] and server.asked == []


def test_what_no_checksum_proves_stays_on_https() -> None:
    request = urllib.request.Request("https://one.example/a.bin")
    plain, safe = "http://two.example/a.bin", "https://two.example/a.bin"
    follow: dict[str, urllib.request.HTTPRedirectHandler] = {}
    for digest in ("", MD5):
        handlers = vars(fetch._opener(File("a.bin", (), digest=digest)))["handlers"]
        follow[digest] = next(one for one in handlers if isinstance(one, urllib.request.HTTPRedirectHandler))
    with pytest.raises(fetch._Refused, match="http://two.example/a.bin, which is not https"):
        follow[""].redirect_request(request, io.BytesIO(), 302, "", HTTPMessage(), plain)
    for digest, url in (("", safe), (MD5, plain)):
        onward = follow[digest].redirect_request(request, io.BytesIO(), 302, "", HTTPMessage(), url)
        assert onward is not None and onward.full_url == url


def test_a_server_cannot_make_one_wait_for_a_day(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked, real = [86400.0, 90.0], fetch._once

    def busy(*words: Any) -> None:
        if asked:
            raise fetch._Broken("answers 503", asked.pop(0))
        real(*words)

    monkeypatch.setattr(fetch, "_once", busy)
    waits: list[float] = []
    assert fetch.fetch(server.file(digest=MD5), tmp_path, sleep=waits.append).read_bytes() == DATA
    assert waits == [600.0, 90.0]

"""A corpus's archives from a server on this machine: got, checked, unpacked, and what is said of it."""

from __future__ import annotations

import hashlib
import re
import shutil
import threading
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest

from pysteps.formats.errors import InputError
from pysteps.prepare import download, download_command
from pysteps.prepare.download import Archive, Source
from pysteps.prepare.download_command import afterwards, command, for_recipe, listing
from pysteps.prepare.fetch import File
from tests.web import Server, tar


def source(server: Server, **more: object) -> Source:
    """A corpus of two archives: one in two parts, one whose speakers are archives of their own."""
    inner = tar({"S0002/1.wav": b"wav"})
    bodies = {"x.tgz": tar({"C/wav/S0002.tar.gz": inner}), "y.tar.gz": tar({"C/info": b"S0002 F"})}
    server.files = {
        "/x.tgz": bodies["x.tgz"],
        "/y.tar.gzaa": bodies["y.tar.gz"][:60],
        "/y.tar.gzab": bodies["y.tar.gz"][60:],
    }
    files = {
        name[1:]: server.file(name[1:], size=len(body), digest=f"md5:{hashlib.md5(body).hexdigest()}")
        for name, body in server.files.items()
    }
    archives = (
        Archive("x.tgz", (files["x.tgz"],), inside="C/wav"),
        Archive("y.tar.gz", (files["y.tar.gzaa"], files["y.tar.gzab"])),
    )
    return Source("corpus", "example.org", "CC0", archives, "C", ("corpus",), **more)  # type: ignore[arg-type]


def tree(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


DONE = [".download.lock", ".unpacked/x.tgz.json", ".unpacked/y.tar.gz.json", "C/info", "C/wav/S0002/1.wav"]


def test_a_corpus_is_got_once(server: Server, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    corpus = source(server)
    download.download(corpus, tmp_path)
    assert tree(tmp_path) == DONE and len(server.asked) == 3
    download.download(corpus, tmp_path)
    assert len(server.asked) == 3
    assert "corpus: 2 of 2 archives are unpacked already" in capsys.readouterr().err
    shutil.rmtree(tmp_path / "C")  # marks outlive what they mark
    download.download(corpus, tmp_path)
    assert tree(tmp_path) == DONE and len(server.asked) == 6
    assert afterwards(corpus, tmp_path) == f"corpus is there: ./run.sh --recipe corpus --corpus {tmp_path}/C"


def test_one_file_that_fails_leaves_the_others(server: Server, tmp_path: Path) -> None:
    corpus = source(server)
    whole = server.files.pop("/x.tgz")
    with pytest.raises(InputError, match="x.tgz: cannot be had: .*answers 404"):
        download.download(corpus, tmp_path)
    assert (tmp_path / "C/info").is_file()
    server.files["/x.tgz"] = whole
    download.download(corpus, tmp_path)
    assert tree(tmp_path) == DONE


def test_some_of_it_and_archives_that_stay(server: Server, tmp_path: Path) -> None:
    corpus = source(server)
    with pytest.raises(InputError, match=r"has no archive z \(it has x.tgz, y.tar.gz\)"):
        download.download(corpus, tmp_path, only=["z"])
    download.download(corpus, tmp_path, only=["y"], keep=True)
    assert tree(tmp_path)[2:] == ["C/info", "y.tar.gzaa", "y.tar.gzab"]


def test_an_archive_that_is_damaged_is_not_marked(server: Server, tmp_path: Path) -> None:
    corpus = source(server)
    body = server.files["/x.tgz"][:-20]
    server.files["/x.tgz"] = body
    unchecked = Archive("x.tgz", (server.file("x.tgz"),))
    with pytest.raises(InputError, match="x.tgz: is damaged"):
        download.download(Source("c", "p", "l", (unchecked, corpus.archives[1])), tmp_path)
    assert not (tmp_path / ".unpacked/x.tgz.json").exists() and not (tmp_path / "C/wav").exists()


def test_a_disk_that_is_too_small_is_told_before(server: Server, tmp_path: Path) -> None:
    huge = Source("c", "p", "l", (Archive("a.bin", (server.file(size=10**18),)),))
    said = r"the disk is too small: 2000000000.0 GB or more are needed .*--ignore-disk"
    with pytest.raises(InputError, match=said):
        download.download(huge, tmp_path)
    assert server.asked == []


def test_two_at_once_in_one_folder_are_refused(server: Server, tmp_path: Path) -> None:
    corpus = source(server)

    def second(*_: object, **__: object) -> Path:
        with pytest.raises(InputError, match="another download is at work here"):
            download.download(corpus, tmp_path)
        raise InputError("seen")

    with pytest.raises(InputError, match="seen"):
        download.download(corpus, tmp_path, get=second)


def test_what_is_got_by_hand_says_how(tmp_path: Path) -> None:
    with pytest.raises(
        InputError, match=r"commonvoice \(commonvoice.mozilla.org/.*is downloaded by hand: choose"
    ):
        command(["download", "commonvoice", "--to", str(tmp_path)])
    with pytest.raises(InputError, match=r"no corpus libritt in .*did you mean libritts"):
        command(["download", "libritt", "--to", str(tmp_path)])
    with pytest.raises(InputError, match=r"download libritts: where to"):
        command(["download", "libritts"])
    with pytest.raises(InputError, match=r"recipe timit: its corpus cannot be downloaded .*aishell1"):
        for_recipe("timit", tmp_path)


def test_the_table_is_whole(tmp_path: Path) -> None:
    sources = download.read_sources(download.TABLE)
    wanted = (
        "librispeech libritts vctk aishell1 aidatatang_200zh magicdata cnceleb1 cnceleb2 musan rirs_noises "
    )
    assert list(sources) == (wanted + "commonvoice").split()
    for one in sources.values():
        for archive in one.archives:
            for file in archive.parts:
                address = r"https://[a-z.]+/.+/" + re.escape(file.name)
                assert file.urls and all(re.fullmatch(address, url) for url in file.urls)
                assert not file.digest or re.fullmatch(r"md5:[0-9a-f]{32}", file.digest)
                assert file.digest or one.name == "magicdata"
    assert sources["librispeech"].size == 61_357_943_031
    assert [len(archive.parts) for archive in sources["cnceleb2"].archives] == [3]
    for one in sources.values():
        for recipe, only in one.needs.items():
            assert recipe in one.recipes and download.choose(one, only)
    for name in {recipe for one in sources.values() for recipe in one.recipes}:
        assert Path("local", f"{name}.py").is_file(), name
    lines = listing(sources).splitlines()
    assert lines[0].split()[:3] == ["librispeech", "61.4", "GB"] and "by hand" in lines[-1]


def test_a_recipes_corpus_by_the_table(
    server: Server, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    body = tar({"MiniSpeech/a.flac": b"audio"})
    server.files = {"/one.tar.gz": body}
    table, base = tmp_path / "table.yaml", server.file("").urls[0]
    table.write_text(
        "mini:\n  page: example.org\n  licence: CC0\n  corpus: MiniSpeech\n  recipes: [ours, theirs]\n"
        f"  servers: [{base}gone/, {base}]\n"
        f"  files:\n    - {{name: one.tar.gz, size: {len(body)}, md5: {hashlib.md5(body).hexdigest()}}}\n"
    )
    monkeypatch.setattr(download_command, "TABLE", table)
    for_recipe("theirs", tmp_path / "to", dry=True)
    told = capsys.readouterr().out.splitlines()
    assert told[0].startswith(f"mini to {tmp_path}/to (CC0") and f"{base}gone/one.tar.gz" in told[1]
    assert not server.asked and not (tmp_path / "to").exists()
    for_recipe("theirs", tmp_path / "to")
    said = capsys.readouterr().err
    assert "one.tar.gz: http" in said and "gone/one.tar.gz: answers 404" in said
    assert f"mini is there: ./run.sh --recipe theirs --corpus {tmp_path}/to/MiniSpeech" in said
    command(["download", "ours", "--to", str(tmp_path / "to"), "--jobs", "1"])
    assert [path for path, _ in server.asked] == ["/gone/one.tar.gz", "/one.tar.gz"]
    command(["download"])
    assert capsys.readouterr().out == "mini     0.0 GB  CC0; example.org\n"


def test_a_recipe_that_needs_some_archives_gets_those(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for_recipe("librispeech", tmp_path, dry=True)
    files = [line.split()[0] for line in capsys.readouterr().out.splitlines()[1:]]
    assert files == ["test-other.tar.gz", "train-clean-100.tar.gz"]
    for_recipe("librispeech960", tmp_path, dry=True)
    assert len(capsys.readouterr().out.splitlines()) == 1 + 7
    # 0.33 + 6.39 GB, and as much again unpacked
    monkeypatch.setattr(download.shutil, "disk_usage", lambda _: SimpleNamespace(free=13_000_000_000))
    name = f"python -m pysteps.prepare download librispeech --to {tmp_path} --only A,B"
    with pytest.raises(InputError, match=rf"13.4 GB or more .*13.0 GB are free .*{name}"):
        for_recipe("librispeech", tmp_path)


def test_ctrl_c_ends_the_threads(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    running = threading.Event()

    def endless(_: File, __: Path, report: Callable[[int], None], rest: Callable[[float], None]) -> Path:
        running.set()
        while True:
            rest(0.01)

    def interrupted(*_: object, **__: object) -> None:  # the main thread waits here when the key is pressed
        running.wait(5)
        raise KeyboardInterrupt

    monkeypatch.setattr(download, "wait", interrupted)
    with pytest.raises(KeyboardInterrupt):
        download.download(source(server), tmp_path, get=endless)
    monkeypatch.setattr(download_command, "download", interrupted)
    with pytest.raises(InputError, match=r"download librispeech: stopped .what is here stays"):
        for_recipe("librispeech", tmp_path)

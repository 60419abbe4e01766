"""One file from the web: begun again where it broke off, compared with what its owners publish, whole or not.

urllib alone: proxies come from the environment (https_proxy, no_proxy), certificates are checked.
"""

from __future__ import annotations

import hashlib
import http.client
import re
import socket
import ssl
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from ..formats.errors import InputError

BLOCK = 1 << 20
ATTEMPTS = 10  # in a row that bring nothing
NAMELESS = 2  # as ATTEMPTS, where the server's name has no address: that is rarely a moment's
TIMEOUT = 60.0  # seconds without a byte
LONGEST_WAIT = 60.0
LONGEST_ASKED = 600.0  # that a server's Retry-After may make one wait
REFUSED = (400, 401, 403, 404, 410, 451)  # asking again would not help; another server may
# urllib's, those that come while an answer is read, and (OSErrors too) no disk's.
_FAILS = (urllib.error.URLError, http.client.HTTPException, TimeoutError, ConnectionError, ssl.SSLError)
Report = Callable[[int], None]


@dataclass(frozen=True)
class File:
    """A file on the web: ``urls`` are the same file on several servers, ``digest`` is md5:HEX or sha256:HEX,
    "" where its owners publish none; ``size`` in bytes, 0 where it is not known."""

    name: str
    urls: tuple[str, ...]
    size: int = 0
    digest: str = ""


class _Refused(Exception):
    # This server will not give the file, or gives another one.
    pass


class _Broken(Exception):
    # It broke off; ``wait``: seconds that the server asks for; ``most``: attempts that are worth while.
    def __init__(self, why: object, wait: float = 0.0, most: int = ATTEMPTS) -> None:
        super().__init__(str(why))
        self.wait, self.most = wait, most


def fetch(
    file: File, folder: Path, report: Report | None = None, sleep: Callable[[float], None] = time.sleep
) -> Path:
    """``folder``/NAME, fetched unless it is there; returns its path.

    NAME.part grows beside it and is gone on with by the next call. ``report`` gets bytes as they come (a
    negative number where they are thrown away). InputError where no server gives the file that is published;
    a wrong one is removed, but for one that somebody else put there: he is told.
    """
    path, part = folder / file.name, folder / f"{file.name}.part"
    if path.is_file():
        if wrong := differs(path, file):
            mend = f"remove it, or call it {part.name}: then it is gone on with"
            raise InputError(f"is there, but not the published file: {wrong}", where=path, mend=mend)
        return path
    folder.mkdir(parents=True, exist_ok=True)
    said = []
    for url, after in zip(file.urls, (*file.urls[1:], ""), strict=True):
        try:
            _from(url, file, part, report or (lambda _: None), sleep)
        except _Refused as why:
            said.append(f"{url}: {why}")
            _say(
                f"{file.name}: {said[-1]}" + (f"; next is {after}" if after else "; that was the last server")
            )
            continue
        part.replace(path)
        return path
    raise InputError(
        f"cannot be had: {'; '.join(said)}", where=file.name, mend="try later, or get it by hand"
    )


def _from(url: str, file: File, part: Path, report: Report, sleep: Callable[[float], None]) -> None:
    # The whole file into ``part``, checked. What an earlier attempt left may be another file's beginning: a
    # wrong checksum then costs one more attempt from the start.
    resumed = part.is_file() and part.stat().st_size > 0
    _download(url, file, part, report, sleep)
    wrong = differs(part, file)
    if wrong and resumed:
        _say(f"{file.name}: {wrong}; once more from the start")
        _drop(part, report)
        _download(url, file, part, report, sleep)
        wrong = differs(part, file)
    if wrong:
        _drop(part, report)
        raise _Refused(f"{wrong}; removed")


def _drop(part: Path, report: Report) -> None:
    report(-part.stat().st_size)
    part.unlink()


def _download(url: str, file: File, part: Path, report: Report, sleep: Callable[[float], None]) -> None:
    failures = 0
    while True:
        before = part.stat().st_size if part.is_file() else 0
        try:
            _once(url, file, part, before, report)
            return
        except _Broken as why:
            now = part.stat().st_size if part.is_file() else 0
            failures = 1 if now > before else failures + 1
            if failures >= why.most:
                raise _Refused(f"broke off {failures} times without a byte: {why}") from None
            wait = max(min(2.0 ** (failures - 1), LONGEST_WAIT), min(why.wait, LONGEST_ASKED))
            _say(f"{file.name}: {why}; {now:,} bytes are here, again in {wait:.0f} s")
            sleep(wait)


def _once(url: str, file: File, part: Path, have: int, report: Report) -> None:
    # One request: all that is missing, or _Broken. A server that knows no ranges sends all from the start.
    headers = {"User-Agent": "timbre", "Accept-Encoding": "identity"}
    if have:
        headers["Range"] = f"bytes={have}-"
    try:
        with _opener(file).open(urllib.request.Request(url, headers=headers), timeout=TIMEOUT) as answer:
            start, total = _extent(answer, have)
            _refuse_size(file, total)
            if start != have:
                report(-have)
            with open(part, "ab" if start else "wb") as handle:
                got = _copy(answer, handle, report)
    except urllib.error.HTTPError as error:
        _judge(error, file, part, have, report)
        return
    except _FAILS as error:
        why = getattr(error, "reason", error)
        if isinstance(why, ssl.SSLCertVerificationError):
            raise _Refused(why) from error
        raise _Broken(why, most=NAMELESS if isinstance(why, socket.gaierror) else ATTEMPTS) from error
    except ValueError as error:  # no address
        raise _Refused(error) from error
    if total is not None and start + got < total:  # read() of a part does not say so
        raise _Broken(f"broke off at {start + got:,} of {total:,} bytes")


class _Secure(urllib.request.HTTPRedirectHandler):
    # What no checksum proves must come by https all the way, where it began so.
    def redirect_request(
        self, req: urllib.request.Request, fp: Any, code: int, msg: str, headers: Any, newurl: str
    ) -> urllib.request.Request | None:
        if req.full_url.startswith("https:") and not newurl.startswith("https:"):
            raise _Refused(f"leads to {newurl}, which is not https, and no checksum is published")
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def _opener(file: File) -> urllib.request.OpenerDirector:
    return urllib.request.build_opener() if file.digest else urllib.request.build_opener(_Secure)


def _copy(answer: IO[bytes], handle: IO[bytes], report: Report) -> int:
    got = 0
    while block := answer.read(BLOCK):
        handle.write(block)
        got += len(block)
        report(len(block))
    return got


def _extent(answer: http.client.HTTPResponse, have: int) -> tuple[int, int | None]:
    # Where the answer begins, and the size of the whole file as far as the server says it.
    length = answer.headers.get("Content-Length", "")
    size = int(length) if length.isdecimal() else None
    if answer.status != 206:
        return 0, size
    match = re.fullmatch(r"bytes (\d+)-\d+/(\d+|\*)", answer.headers.get("Content-Range", ""))
    if match is None or int(match[1]) != have:
        raise _Refused(f"sends another range than was asked for: {answer.headers.get('Content-Range')}")
    if match[2] != "*":
        return have, int(match[2])
    return have, None if size is None else have + size


def _refuse_size(file: File, total: int | None) -> None:
    # Known before the first byte: a wrong file need not be fetched to be told.
    if file.size and total is not None and total != file.size:
        raise _Refused(f"has {total:,} bytes, published are {file.size:,}")


def _judge(error: urllib.error.HTTPError, file: File, part: Path, have: int, report: Report) -> None:
    if error.code == 416 and have:  # nothing behind what is here: it is whole, or another file's
        whole = re.fullmatch(r"bytes \*/(\d+)", error.headers.get("Content-Range", ""))
        if (int(whole[1]) if whole else file.size) == have:
            return
        _drop(part, report)
        raise _Broken("what was here is longer than the file") from None
    if error.code in REFUSED:
        raise _Refused(f"answers {error.code} {error.reason}") from None
    after = error.headers.get("Retry-After", "")
    raise _Broken(
        f"answers {error.code} {error.reason}", float(after) if after.isdecimal() else 0.0
    ) from None


def differs(path: Path, file: File) -> str:
    """What is wrong with ``path`` in words, "" where it is the published file (or nothing is published)."""
    size = path.stat().st_size
    if file.size and size != file.size:
        return f"{size:,} bytes, published are {file.size:,}"
    if not file.digest:
        return ""
    kind, _, published = file.digest.partition(":")
    found = hashlib.new(kind, usedforsecurity=False)
    with open(path, "rb") as handle:
        while block := handle.read(BLOCK):
            found.update(block)
    if found.hexdigest() != published.lower():
        return f"its {kind} is {found.hexdigest()}, published is {published}"
    return ""


def length(file: File) -> int:
    """Bytes of a file: the published size, else what its server says, 0 where nobody says it."""
    if file.size:
        return file.size
    for url in file.urls:
        request = urllib.request.Request(url, headers={"User-Agent": "timbre"}, method="HEAD")
        try:
            with urllib.request.urlopen(request, timeout=TIMEOUT) as answer:
                size = answer.headers.get("Content-Length", "")
                return int(size) if size.isdecimal() else 0
        except (*_FAILS, ValueError):
            continue
    return 0


def here(file: File, folder: Path) -> int:
    """Bytes of a file that are there, whole or in part."""
    paths = (folder / file.name, folder / f"{file.name}.part")
    return sum(path.stat().st_size for path in paths if path.is_file())


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)

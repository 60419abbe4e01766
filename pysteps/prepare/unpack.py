"""Archives of corpora, unpacked so that nothing lands outside the folder and nothing is half there."""

from __future__ import annotations

import gzip
import io
import lzma
import os
import shutil
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from typing import IO

from ..formats.errors import InputError

TARS = (".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tar.xz")
BROKEN = (tarfile.ReadError, gzip.BadGzipFile, zipfile.BadZipFile, EOFError, zlib.error, lzma.LZMAError)


class _Parts(io.RawIOBase):
    # Files that are one archive cut in pieces, read one after the other.
    def __init__(self, paths: Sequence[Path]) -> None:
        self._waiting, self._open = list(paths), None  # type: tuple[list[Path], IO[bytes] | None]

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        while self._open is not None or self._waiting:
            if self._open is None:
                self._open = open(self._waiting.pop(0), "rb")  # noqa: SIM115 (until it is read to its end)
            if count := self._open.readinto(buffer):  # type: ignore[attr-defined]
                return count
            self._open.close()
            self._open = None
        return 0


def unpack(parts: Sequence[Path], folder: Path) -> None:
    """Put what an archive holds below ``folder``; ``parts`` are its pieces, mostly one.

    It is unpacked beside (``folder``/.unpacking-NAME) and moved when it is whole; files that are there are
    replaced. InputError for a damaged archive, or one that would write outside or holds devices (nothing is
    written then).
    """
    beside = folder / f".unpacking-{parts[0].name}"
    shutil.rmtree(beside, ignore_errors=True)  # of a run that was killed
    beside.mkdir(parents=True)
    try:
        _extract(parts, beside)
        merge(beside, folder)
    except BROKEN as error:
        raise InputError(f"is damaged: {error}", where=parts[0], mend="remove it and get it again") from error
    except tarfile.SpecialFileError as error:
        raise InputError(f"holds a device or a pipe: {error}", where=parts[0]) from error
    except tarfile.FilterError as error:
        raise InputError(f"would write outside its folder: {error}", where=parts[0]) from error
    finally:
        shutil.rmtree(beside, ignore_errors=True)


def _extract(parts: Sequence[Path], folder: Path) -> None:
    if zipfile.is_zipfile(parts[0]):
        with zipfile.ZipFile(parts[0]) as archive:
            for entry in archive.infolist():
                _refuse_outside(entry, parts[0])
            archive.extractall(folder)
        return
    with io.BufferedReader(_Parts(parts), 1 << 20) as stream:
        if not stream.peek(2).startswith(b"\x1f\x8b"):
            _extract_tar(stream, "r|*", folder)
            return
        with gzip.open(stream) as unzipped:  # tarfile's own reading of .gz checks neither sum nor end
            _extract_tar(unzipped, "r|", folder)


def _extract_tar(stream: IO[bytes] | gzip.GzipFile, mode: str, folder: Path) -> None:
    with tarfile.open(fileobj=stream, mode=mode) as archive:  # type: ignore[call-overload]
        archive.extractall(folder, filter="data")
    while stream.read(1 << 20):  # to the end, where sums stand
        pass


def _refuse_outside(entry: zipfile.ZipInfo, path: Path) -> None:
    # zipfile would quietly write such a member elsewhere in the folder.
    name = PurePosixPath(entry.filename.replace("\\", "/"))
    if name.is_absolute() or ".." in name.parts or stat.S_ISLNK(entry.external_attr >> 16):
        raise InputError(f"would write outside its folder: {entry.filename}", where=path)


def merge(source: Path, target: Path) -> None:
    """Move everything in ``source`` to ``target``, folders that are in both entry by entry."""
    for entry in sorted(os.scandir(source), key=lambda one: one.name):
        there = target / entry.name
        if entry.is_dir(follow_symlinks=False) and there.is_dir():
            merge(Path(entry.path), there)
        else:
            os.replace(entry.path, there)


def unpack_inside(folder: Path, keep: bool = False) -> int:
    """Unpack every archive that lies below ``folder`` where it lies (a speaker each, in AISHELL-1); returns
    how many. One is removed when it is whole, unless ``keep``."""
    found = sorted(
        path for path in folder.rglob("*") if path.name.endswith((*TARS, ".zip")) and path.is_file()
    )
    for path in found:
        unpack([path], path.parent)
        if not keep:
            path.unlink()
    return len(found)

"""Openly licensed corpora, downloaded, checked and unpacked: what local/downloads.yaml says of them."""

from __future__ import annotations

import fcntl
import json
import shlex
import shutil
import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from ..formats.atomic import write_text
from ..formats.checkout import CHECKOUT
from ..formats.errors import InputError
from ..formats.progress import Progress
from .fetch import File, fetch, here, length
from .unpack import unpack, unpack_inside

TABLE = CHECKOUT / "local" / "downloads.yaml"
MARKS = ".unpacked"  # a folder of a mark for each archive that is unpacked
MEGA = 1_000_000


@dataclass(frozen=True)
class Archive:
    """Files that are one archive (mostly one file); its contents go to ``target``, and archives below
    ``inside`` are unpacked in their turn."""

    name: str
    parts: tuple[File, ...]
    target: str = "."
    inside: str = ""


@dataclass(frozen=True)
class Source:
    """Where a corpus comes from. ``corpus``: what --corpus is afterwards, below the folder; ``recipes`` take
    it so (of those in ``needs`` some archives are enough, by the beginnings of their names), or it is
    --prepare.roots.``root``. ``by_hand``: what a person does where no program may."""

    name: str
    page: str
    licence: str
    archives: tuple[Archive, ...] = ()
    corpus: str = "."
    recipes: tuple[str, ...] = ()
    root: str = ""
    by_hand: str = ""
    needs: Mapping[str, Sequence[str]] = field(default_factory=dict)

    @property
    def size(self) -> int:
        """Bytes of its files, as far as they are known."""
        return sum(file.size for archive in self.archives for file in archive.parts)


def read_sources(path: Path) -> dict[str, Source]:
    """Name of a corpus to its source."""
    return {name: _source(name, entry) for name, entry in yaml.safe_load(path.read_text("utf-8")).items()}


def _source(name: str, entry: dict[str, Any]) -> Source:
    archives: dict[str, Archive] = {}
    for one in entry.get("files", []):
        urls = tuple(server + one["name"] for server in entry["servers"])
        file = File(one["name"], urls, one.get("size", 0), f"md5:{one['md5']}" if "md5" in one else "")
        label = one.get("join", one["name"])
        before = archives[label].parts if label in archives else ()
        archives[label] = Archive(label, (*before, file), one.get("unpack", "."), one.get("inside", ""))
    return Source(
        name,
        entry["page"],
        entry["licence"],
        tuple(archives.values()),
        entry.get("corpus", "."),
        tuple(entry.get("recipes", ())),
        entry.get("root", ""),
        entry.get("by_hand", ""),
        entry.get("needs", {}),
    )


def download(
    source: Source,
    folder: Path,
    *,
    only: Sequence[str] = (),
    jobs: int = 3,
    keep: bool = False,
    ignore_disk: bool = False,
    get: Callable[..., Path] = fetch,
) -> None:
    """Get, check and unpack a corpus into ``folder``; what is done already is passed over.

    ``only``: beginnings of archives' names. ``jobs``: files at once. ``keep``: leave archives that are
    unpacked. InputError for a corpus that is got by hand, a name that is not there, a disk that is too small,
    a file that cannot be had. Other files are fetched to their end before the error is raised.
    """
    if source.by_hand:
        raise InputError(f"is downloaded by hand: {source.by_hand}", where=f"{source.name} ({source.page})")
    archives = choose(source, only)
    with _alone(folder):
        # a mark is no proof where the corpus has been removed since
        there = (folder / source.corpus).is_dir()
        missing = [archive for archive in archives if not (there and _marked(folder, archive))]
        if len(missing) < len(archives):
            done = f"{len(archives) - len(missing)} of {len(archives)} archives"
            _say(f"{source.name}: {done} are unpacked already (by their marks in {folder / MARKS})")
        files = [file for archive in missing for file in archive.parts]
        begun, total = sum(here(file, folder) for file in files), sum(map(length, files))
        if not ignore_disk:
            _refuse_full(source.name, folder, begun, total)
        bar = Progress(total // MEGA, "MB", source.name, quiet=not total)
        _get_all(folder, missing, jobs, keep, get, _Counter(bar, begun))


def choose(source: Source, only: Sequence[str]) -> list[Archive]:
    """The archives whose names begin with one of ``only``; all where it is empty."""
    names = [archive.name for archive in source.archives]
    for wanted in only:
        if not any(name.startswith(wanted) for name in names):
            raise InputError(f"has no archive {wanted}", where=source.name, mend=f"it has {', '.join(names)}")
    return [one for one in source.archives if not only or one.name.startswith(tuple(only))]


def _get_all(
    folder: Path,
    archives: Sequence[Archive],
    jobs: int,
    keep: bool,
    get: Callable[..., Path],
    counter: _Counter,
) -> None:
    # Downloads run side by side; what is whole is unpacked here, one archive after the other.
    failed: list[BaseException] = []
    with ThreadPoolExecutor(max(1, jobs)) as pool, counter.ending(pool):
        running = {
            archive: [pool.submit(get, file, folder, counter.add, counter.rest) for file in archive.parts]
            for archive in archives
        }
        for archive, futures in running.items():
            wait(futures, return_when=FIRST_EXCEPTION)
            errors = [future.exception() for future in futures]
            if found := next((error for error in errors if error is not None), None):
                failed.append(found)
                continue
            _finish(folder, archive, [future.result() for future in futures], keep)
    counter.close()
    if failed:
        raise failed[0]


def _finish(folder: Path, archive: Archive, paths: list[Path], keep: bool) -> None:
    if not any(file.digest or file.size for file in archive.parts):
        _say(f"{archive.name}: no checksum and no size are published: only its own compression is checked")
    elif not any(file.digest for file in archive.parts):
        _say(f"{archive.name}: no checksum is published: its size and its own compression are checked")
    _say(f"{archive.name}: unpacking into {folder / archive.target}")
    unpack(paths, folder / archive.target)
    if archive.inside:
        _say(f"{archive.name}: {unpack_inside(folder / archive.inside):,} archives inside it are unpacked")
    marks = {file.name: file.digest for file in archive.parts}
    write_text(folder / MARKS / f"{archive.name}.json", json.dumps(marks, indent=1) + "\n")
    for path in paths:
        if not keep:
            path.unlink()


def _marked(folder: Path, archive: Archive) -> bool:
    path = folder / MARKS / f"{archive.name}.json"
    if not path.is_file():
        return False
    with suppress(ValueError):
        return bool(json.loads(path.read_text("utf-8")) == {file.name: file.digest for file in archive.parts})
    return False


def _refuse_full(name: str, folder: Path, there: int, total: int) -> None:
    # What is unpacked takes at least what its archive takes, and both are there for a while.
    need, free = max(total - there, 0) + total, shutil.disk_usage(folder).free
    if need > free:
        raise InputError(
            f"the disk is too small: {need / 1e9:.1f} GB or more are needed (archives, and what is in them), "
            f"{free / 1e9:.1f} GB are free",
            where=folder,
            mend=f"make room, or take some of it: {by_itself(name, folder)} --only A,B (or --ignore-disk)",
        )


def by_itself(name: str, folder: Path) -> str:
    """The command that downloads a corpus without a recipe, and takes more options than ./run.sh does."""
    return f"python -m pysteps.prepare download {name} --to {shlex.quote(str(folder))}"


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    # Two downloads into one folder would write the same .part.
    folder.mkdir(parents=True, exist_ok=True)
    with open(folder / ".download.lock", "w", encoding="utf-8") as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            mend = "wait for it, or name another folder"
            raise InputError("another download is at work here", where=folder, mend=mend) from None
        yield


class _Counter:
    """Bytes of several threads to megabytes of one bar; ``here``: bytes of earlier runs."""

    def __init__(self, progress: Progress, here: int) -> None:
        self._progress, self._bytes, self._lock = progress, here, threading.Lock()
        self._said, self._stop = 0, threading.Event()
        self.add(0)

    @contextmanager
    def ending(self, pool: ThreadPoolExecutor) -> Iterator[None]:
        """Within the block an exception (Ctrl-C, a damaged archive) ends the threads, at their next byte."""
        try:
            yield
        except BaseException:
            self._stop.set()
            pool.shutdown(wait=False, cancel_futures=True)
            raise

    def rest(self, seconds: float) -> None:
        """Wait, but no longer than the block of ``ending``."""
        self._stop.wait(seconds)
        self.add(0)

    def add(self, count: int) -> None:
        """``count`` more bytes."""
        if self._stop.is_set():
            raise InterruptedError("stopped")
        with self._lock:
            self._bytes += count
            whole = self._bytes // MEGA
            if whole != self._said:
                self._progress.update(whole - self._said)
                self._said = whole

    def close(self) -> None:
        """The last line."""
        self._progress.close()


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)

"""Whether a piece of work is fresh: a hash of its options, of the lists it read and of its version."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .atomic import write_text
from .checkout import located, recorded

FEW = 3  # changes that are named


@dataclass(frozen=True)
class Unit:
    """One piece of work with one stamp: a stage for one data set, one model, one trial list.

    ``inputs`` must exist; ``upstream`` are stamps of earlier work, which count only if they are there
    (--stage N needs none of them). All paths are as the run sees them, relative to the repository or
    absolute. ``outputs`` must exist for the unit to be fresh.
    """

    name: str
    stage: str
    folder: Path
    version: int
    options: dict[str, Any]
    inputs: tuple[Path, ...] = ()
    upstream: tuple[Path, ...] = ()
    outputs: tuple[Path, ...] = field(default=())

    @property
    def stamp(self) -> Path:
        """Where the stamp lies."""
        return self.folder / f".{self.stage}.done.json"

    def content(self) -> dict[str, Any]:
        """What the stamp must say for the unit to be fresh."""
        paths = [*self.inputs, *(path for path in self.upstream if path.is_file())]
        digests = {recorded(path): digest(path) for path in paths}
        plain = json.loads(json.dumps(self.options))  # tuples become lists, as they come back from the file
        return {"version": self.version, "options": plain, "inputs": digests}

    def key(self) -> str:
        """A hash of ``content``: names the plan that half-finished work belongs to."""
        return hashlib.sha256(json.dumps(self.content(), sort_keys=True).encode()).hexdigest()[:16]

    def stale(self) -> str | None:
        """Why the unit must be redone, or None when it is fresh."""
        for path in self.inputs:
            if not path.is_file():
                return f"{path} is missing"
        if not self.stamp.is_file():
            return "not done yet"
        try:
            then = json.loads(self.stamp.read_text("utf-8"))
        except json.JSONDecodeError:
            return "its stamp is damaged"
        if why := self.differs(then):
            return why
        for path in self.outputs:
            if not path.exists():
                return f"{path} is missing"
        return None

    def differs(self, then: dict[str, Any]) -> str | None:
        """What is other now than in ``then``, an earlier ``content``; None if nothing is.

        Options go before files, which may be others because of them; of many the first few.
        """
        now = self.content()
        then = {**then, "inputs": {recorded(path): value for path, value in then.get("inputs", {}).items()}}
        if then.get("version") != now["version"]:
            return f"made by version {then.get('version')} of the stage, now {now['version']}"
        before = then.get("options", {})
        if not isinstance(before, dict):
            return "its stamp is damaged"
        found = _changes("", before, now["options"])
        if not found:
            read, reads = then["inputs"], now["inputs"]
            found = [
                f"{name} changed" for name in sorted({*read, *reads}) if read.get(name) != reads.get(name)
            ][:1]
        more = f" and {len(found) - FEW} more" if len(found) > FEW else ""
        return "; ".join(found[:FEW]) + more or None

    def done(self) -> None:
        """Write the stamp: the last thing after archives and tables."""
        write_text(self.stamp, json.dumps(self.content(), sort_keys=True, indent=1) + "\n")

    def forget(self) -> None:
        """Remove the stamp: the first thing when the unit is redone."""
        self.stamp.unlink(missing_ok=True)


def changed(stamp: Path) -> str | None:
    """Why work no longer holds by its stamp alone, whatever the options of the run are now, or None.

    A file that was read for it is another one by now; one that is gone (--clean) has not changed.
    """
    try:
        said = json.loads(stamp.read_text("utf-8"))["inputs"].items()
    except FileNotFoundError:
        return "not done yet"
    except (ValueError, KeyError, TypeError, AttributeError):
        return "its stamp is damaged"
    for path, then in said:
        file = Path(located(path))
        if file.is_file() and digest(file) != then:
            return f"{path} changed"
    return None


def _changes(name: str, before: Any, after: Any) -> list[str]:
    # Nested options one by one.
    if before == after:
        return []
    if isinstance(before, dict) and isinstance(after, dict):
        keys = sorted({*before, *after})
        within = [(f"{name}.{key}" if name else key, before.get(key), after.get(key)) for key in keys]
        return [one for inner in within for one in _changes(*inner)]
    if isinstance(before, dict) or isinstance(after, dict):
        return [f"{name} changed"]
    return [f"{name}: {before} -> {after}"]


def digest(path: Path) -> str:
    """SHA-256 of a file's bytes, shortened to 16 characters."""
    with open(path, "rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()[:16]

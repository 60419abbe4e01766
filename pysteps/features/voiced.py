"""Features as a network gets them: CMVN applied, then the voiced frames alone."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from ..formats import scratch
from ..formats.arks import Archive, split_entry
from ..formats.errors import InputError
from ..formats.lookup import Lookup
from ..formats.run import Run
from .cmvn import apply_cmvn, blocks, sliding_frames
from .contract import FeaturesOptions, contract, global_stats, refuse_mismatch, stored

Rows = Callable[[int, int], np.ndarray]


class VoicedFeatures:
    """Stage 4's features of one set by utterance. Use as a context manager.

    Reads and normalises in blocks: hours of features need the memory of the result.
    """

    def __init__(self, run: Run, name: str) -> None:
        folder = run.of("features", name)
        refuse_mismatch(contract(run), stored(folder), folder, asks="this run asks for")
        self._feats = Lookup(folder / "feats.scp")
        self._cmvn = Lookup(folder / "cmvn.scp")
        self._vad = Lookup(run.of("vad", name) / "vad.scp")
        self._options = FeaturesOptions(**run.options["features"])
        whole = self._options.cmvn == "global"
        self._global = global_stats(run.of("features", run.train_set)) if whole else None
        self._archive, self._where = Archive(keep=64), folder

    def __enter__(self) -> VoicedFeatures:
        return self

    def __exit__(self, *_: object) -> None:
        self._archive.__exit__()

    @contextmanager
    def near(self, disk: Path | None, utts: Sequence[str] | None = None) -> Iterator[None]:
        """Within the block read the archives of ``utts`` (of all) from copies below ``disk``, if that is one.

        What Kaldi wrote elsewhere and a table names stays where it is. InputError: see scratch.near.
        """
        folder = self._where
        if disk is None:
            yield
            return
        if utts is None:
            found = {path for kind in ("feats", "cmvn") for path in folder.glob(f"{kind}.*.ark")}
        else:
            tables = (self._feats, self._cmvn)
            found = {Path(split_entry(self._entry(table, utt))[0]) for table in tables for utt in utts}
        names = sorted(path.name for path in found if path.parent == folder)
        with scratch.near(folder, names, disk) as place:
            self._archive.elsewhere = {str(folder / name): str(place / name) for name in names}
            try:
                yield
            finally:
                self._archive.elsewhere = {}
                self._archive.close()

    @property
    def utterances(self) -> list[str]:
        """All utterances, sorted."""
        return sorted(self._feats)

    def _entry(self, table: Lookup, utt: str) -> str:
        if utt not in table:
            raise InputError(
                "no features of it", where=self._where, utt=utt, mend="redo stages vad and features"
            )
        return table[utt]

    def _decided(self, utt: str) -> np.ndarray:
        return self._archive.array(self._entry(self._vad, utt), utt) > 0.5

    def _reader(self, utt: str) -> Rows:
        entry = self._entry(self._feats, utt)
        if self._options.compression == 2:  # stored column by column: rows are only had by reading all
            everything = self._archive.array(entry, utt)
            return lambda first, last: everything[first:last]
        return lambda first, last: self._archive.rows(entry, utt, first, last)

    def raw(self, utt: str) -> np.ndarray:
        """Voiced frames [time, feature] (float32) before CMVN."""
        return self._gathered(utt, lambda rows: rows, sliding=False)

    def matrix(self, utt: str) -> np.ndarray:
        """Voiced frames [time, feature] (float32) after CMVN."""
        return self._gathered(utt, self._normaliser(utt), sliding=self._options.cmvn == "sliding")

    def chunk(self, utt: str, start: int, length: int) -> np.ndarray:
        """``matrix(utt)[start : start + length]``, reading no more of the archive than it must."""
        sliding = self._options.cmvn == "sliding"
        return self._gathered(utt, self._normaliser(utt), sliding=sliding, start=start, length=length)

    def _normaliser(self, utt: str) -> Callable[[np.ndarray], np.ndarray]:
        if self._options.cmvn in ("none", "sliding"):  # a sliding mean is not of the rows alone
            return lambda rows: rows
        stats = self._global
        if stats is None:
            stats = self._archive.array(self._entry(self._cmvn, utt), utt)
        return lambda rows: apply_cmvn(rows, stats, norm_vars=self._options.cmvn_vars)

    def _gathered(
        self,
        utt: str,
        normalise: Callable[[np.ndarray], np.ndarray],
        *,
        sliding: bool,
        start: int = 0,
        length: int | None = None,
    ) -> np.ndarray:
        """The voiced frames from ``start`` on, normalised block by block."""
        decided = self._decided(utt)
        voiced, read = np.flatnonzero(decided), self._reader(utt)
        count = len(voiced) - start if length is None else length
        out = np.empty((count, self._options.dim), np.float32)
        for first, last in blocks(count):
            if sliding:
                out[first:last] = self._slid(read, voiced, len(decided), start + first, start + last)
            else:
                out[first:last] = normalise(_chosen(read, voiced[start + first : start + last]))
        return out

    def _slid(self, read: Rows, voiced: np.ndarray, frames: int, first: int, last: int) -> np.ndarray:
        window, norm_vars = self._options.cmvn_window, self._options.cmvn_vars
        if not self._options.voiced_only:
            return sliding_frames(read, voiced[first:last], frames, window, norm_vars)
        wanted = np.arange(first, last)  # VAD selects first: windows are of voiced frames
        among = lambda low, high: _chosen(read, voiced[low:high])  # noqa: E731
        return sliding_frames(among, wanted, len(voiced), window, norm_vars)


def _chosen(read: Rows, frames: np.ndarray) -> np.ndarray:
    """The rows ``frames`` (rising indices)."""
    first, last = int(frames[0]), int(frames[-1]) + 1
    return np.asarray(read(first, last)[frames - first], np.float32)

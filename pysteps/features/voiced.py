"""Features as a network gets them: CMVN applied, then the voiced frames alone."""

from __future__ import annotations

import numpy as np

from ..formats.arks import Archive
from ..formats.errors import InputError
from ..formats.run import Run
from ..formats.tables import read_table
from .cmvn import apply_cmvn, sliding_cmn
from .contract import contract, read, refuse_mismatch


class VoicedFeatures:
    """Stage 4's features of one set by utterance. Use as a context manager."""

    def __init__(self, run: Run, name: str) -> None:
        folder = run.of("features", name)
        refuse_mismatch(contract(run), read(folder), folder, asks="this run asks for")
        self._feats = read_table(folder / "feats.scp")
        self._cmvn = read_table(folder / "cmvn.scp")
        self._vad = read_table(run.of("vad", name) / "vad.scp")
        self._policy = run.options["features"]["cmvn"]
        self._window = run.options["features"]["cmvn_window"]
        self._archive, self._where = Archive(keep=64), folder

    def __enter__(self) -> VoicedFeatures:
        return self

    def __exit__(self, *_: object) -> None:
        self._archive.__exit__()

    @property
    def utterances(self) -> list[str]:
        """All utterances, sorted."""
        return sorted(self._feats)

    def _entry(self, table: dict[str, str], utt: str) -> str:
        if utt not in table:
            raise InputError(
                "no features of it", where=self._where, utt=utt, mend="redo stages vad and features"
            )
        return table[utt]

    def _voiced(self, utt: str) -> np.ndarray:
        return np.flatnonzero(self._archive.array(self._entry(self._vad, utt), utt) > 0.5)

    def raw(self, utt: str) -> np.ndarray:
        """Voiced frames [time, feature] (float32) before CMVN."""
        return self._archive.array(self._entry(self._feats, utt), utt)[self._voiced(utt)].astype(np.float32)

    def matrix(self, utt: str) -> np.ndarray:
        """Voiced frames [time, feature] (float32) after CMVN."""
        if self._policy == "none":
            return self.raw(utt)
        if self._policy == "utterance":
            return apply_cmvn(self.raw(utt), self._archive.array(self._entry(self._cmvn, utt), utt))
        everything = self._archive.array(self._entry(self._feats, utt), utt)
        return sliding_cmn(everything, window=self._window)[self._voiced(utt)].astype(np.float32)

    def chunk(self, utt: str, start: int, length: int) -> np.ndarray:
        """``matrix(utt)[start : start + length]``, reading no more of the archive than it must."""
        if self._policy == "sliding":
            return self.matrix(utt)[start : start + length]
        frames = self._voiced(utt)[start : start + length]
        first, last = int(frames[0]), int(frames[-1]) + 1
        rows = self._archive.rows(self._entry(self._feats, utt), utt, first, last)[frames - first]
        if self._policy == "none":
            return rows
        return apply_cmvn(rows, self._archive.array(self._entry(self._cmvn, utt), utt))

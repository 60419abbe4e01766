"""Audio of a set as the later stages hear it: the recording, or its augmented copy made on the way."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ..formats.arks import Archive
from ..formats.errors import InputError
from ..formats.lookup import Lookup
from ..formats.run import Run
from .blocks import Streamed
from .draw import apply
from .effects import Load
from .pools import Pools, open_entry


class Audio:
    """Samples by utterance of a recorded set or of a copy. Use as a context manager.

    A copy's table ``augment`` says whether stage augment has written the audio out (``materialise``): then it
    is read like a recording, whatever the run at hand asks for. ``pools``: to be shared by several sets.
    """

    def __init__(self, run: Run, name: str, pools: Pools | None = None) -> None:
        self._scp = run.audio_scp(name)
        self._entries = Lookup(self._scp)
        self._archive = Archive()
        self._rate: int = run.options["audio"]["sample_rate"]
        copy = name in run.copies
        self._table = run.data / name / "augment"
        self._drawn: Mapping[str, str] = Lookup(self._table) if copy else {}
        self._pools = (pools or Pools(run)) if copy else None

    def __enter__(self) -> Audio:
        return self

    def __exit__(self, *_: object) -> None:
        self._archive.__exit__()
        if self._pools is not None:
            self._pools.close()

    def samples(self, utt: str) -> np.ndarray:
        """Samples [time], float32 in about [-1, 1)."""
        if self._pools is None:
            return self.augmented(utt, [], _nothing)
        if utt not in self._drawn:
            raise InputError("no such utterance", where=self._table, utt=utt, mend="redo stage augment")
        how = json.loads(self._drawn[utt])
        return self.augmented(utt, [] if how["written"] else how["chain"], self._pools.load)

    def augmented(self, utt: str, chain: Sequence[Mapping[str, Any]], load: Load) -> np.ndarray:
        """What ``chain`` makes of the recording of ``utt``; float32 [time].

        A speed or tempo at its start reads the recording block by block: with three hours of it,
        input and result are not in memory at once. InputError for a recording of another rate than the
        run's.
        """
        entry = self._entries.get(utt)
        if entry is None:
            raise InputError("no such utterance", where=self._scp, utt=utt)
        with open_entry(entry, self._archive, self._scp, utt) as source:
            if source.rate != self._rate:
                raise InputError(
                    f"audio of {source.rate} Hz where the run has {self._rate} Hz",
                    where=self._scp,
                    utt=utt,
                    mend="redo stage audio, or set --audio.sample_rate",
                )
            return apply(Streamed(source), chain, load, self._rate)


def _nothing(pool: str, name: str, fraction: float = 0.0, length: int | None = None) -> np.ndarray:
    raise InputError(f"no {pool} for a recording")

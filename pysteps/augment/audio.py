"""Audio of a set as the later stages hear it: the recording, or its augmented copy made on the way."""

from __future__ import annotations

import json

import numpy as np

from ..audio.convert import Recordings
from ..formats.errors import InputError
from ..formats.run import Run
from ..formats.tables import read_table
from .draw import apply
from .pools import Pools


class Audio:
    """Samples by utterance of a recorded set or of a copy. Use as a context manager.

    A copy that stage augment has written out (``materialise``) is read like a recording.
    """

    def __init__(self, run: Run, name: str) -> None:
        self._recordings = Recordings(run.audio_scp(name))
        self._rate: int = run.options["audio"]["sample_rate"]
        virtual = name in run.copies and run.options["augment"]["materialise"] == "none"
        self._table = run.data / name / "augment"
        self._drawn = read_table(self._table) if virtual else {}
        self._pools = Pools(run) if virtual else None

    def __enter__(self) -> Audio:
        return self

    def __exit__(self, *_: object) -> None:
        self._recordings.__exit__()
        if self._pools is not None:
            self._pools.close()

    def samples(self, utt: str) -> np.ndarray:
        """Samples [time], float32 in about [-1, 1)."""
        if self._pools is None:
            return self._recorded(utt)
        if utt not in self._drawn:
            raise InputError("no such utterance", where=self._table, utt=utt, mend="redo stage augment")
        chain = json.loads(self._drawn[utt])["chain"]
        # Handed over unnamed: an hour of audio is freed as soon as the first effect is done with it.
        return apply(self._recorded(utt), chain, self._pools.load, self._rate)

    def _recorded(self, utt: str) -> np.ndarray:
        samples, rate = self._recordings.samples(utt)
        if rate != self._rate:
            raise InputError(
                f"audio of {rate} Hz where the run has {self._rate} Hz",
                where=self._recordings.table,
                utt=utt,
                mend="redo stage audio, or set --audio.sample_rate",
            )
        return samples

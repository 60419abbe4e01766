"""Speech as the truth has it instead of a VAD: what most published error rates are given."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from ..features.cmvn import apply_cmvn, cmvn_stats
from ..features.voiced import VoicedFeatures
from ..formats.errors import InputError
from ..formats.frames import FrameGeometry
from ..formats.run import Run
from .turns import read_rttm, stretches
from .windows import frame_middles


def truth_of(run: Run, name: str) -> Path:
    """data/SET/rttm of the set ``name``; InputError if there is none."""
    path = run.data / name / "rttm"
    if not path.is_file():
        what = "is missing, and diarize.speech reference takes speech from it"
        raise InputError(what, where=path, mend="put the truth there, or --diarize.speech vad")
    return path


class SpokenFeatures(VoicedFeatures):
    """Stage 4's features with the truth in the place of the VAD: its frames alone, normalised over them."""

    def __init__(self, run: Run, name: str, geometry: FrameGeometry, rate: int) -> None:
        super().__init__(run, name)
        self._turns = read_rttm(truth_of(run, name))
        self._geometry, self._rate = geometry, rate

    def regions(self, recording: str) -> Sequence[tuple[float, float]]:
        """Stretches in which anybody speaks, (start, end) in seconds, none behind the recording's end."""
        count = len(super()._decided(recording))
        shift = self._geometry.shift(self._rate) / self._rate
        end = float(frame_middles(np.array([count - 1]), self._geometry, self._rate)[0]) + shift / 2
        found = stretches(self._turns.get(recording, []))
        return [(start, min(stop, end)) for start, stop in found if start < end]

    def decided(self, recording: str) -> np.ndarray:
        """Bool [frames]: those whose middles lie where anybody speaks."""
        count = len(super()._decided(recording))
        middles = frame_middles(np.arange(count), self._geometry, self._rate)
        borders = np.array(self.regions(recording), np.float64).reshape(-1)
        return np.searchsorted(borders, middles, side="right") % 2 == 1

    def _decided(self, utt: str) -> np.ndarray:
        return self.decided(utt)

    def _normaliser(self, utt: str) -> Callable[[np.ndarray], np.ndarray]:
        if self._options.cmvn != "utterance" or not self._options.voiced_only:
            return super()._normaliser(utt)
        stats = cmvn_stats(self.raw(utt))  # the stored ones are over what the VAD found
        return lambda rows: apply_cmvn(rows, stats, norm_vars=self._options.cmvn_vars)

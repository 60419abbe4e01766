"""Audio of a set as the later stages hear it: the recording, or its augmented copy made on the way."""

from __future__ import annotations

import json
from functools import lru_cache

import numpy as np

from ..audio.convert import Converter, Recordings
from ..audio.options import AudioOptions
from ..formats.run import Run
from ..formats.tables import read_table
from .draw import apply


class Audio:
    """Samples by utterance of a recorded set or of a copy. Use as a context manager."""

    def __init__(self, run: Run, name: str) -> None:
        self._recordings = Recordings(run.audio_scp(name))
        path = run.data / name / "augment"
        self._parameters = read_table(path) if name in run.copies else {}
        if not self._parameters:
            return
        options = AudioOptions(**{**run.options["audio"], "band_low": 0.0, "band_high": 0.0})
        converter = Converter(options)
        clean = Recordings(run.audio_scp(run.train_set))
        wanted = run.options["augment"]
        sets = {"noise": wanted["noise"], "music": wanted["music"], "rooms": wanted["rooms"]}
        tables = {
            pool: read_table(run.data / folder / "wav.scp")
            for pool, folder in sets.items()
            if (run.data / folder / "wav.scp").is_file()
        }

        @lru_cache(maxsize=128)  # pools are small and read again and again
        def load(pool: str, name: str) -> np.ndarray:
            if pool == "speech":
                return clean.samples(name)[0]
            return converter.convert(tables[pool][name])[0].astype(np.float32) / 32768.0

        self._load = load

    def __enter__(self) -> Audio:
        return self

    def __exit__(self, *_: object) -> None:
        self._recordings.__exit__()

    def samples(self, utt: str) -> np.ndarray:
        """Samples [time], float32 in about [-1, 1)."""
        samples, _ = self._recordings.samples(utt)
        parameters = self._parameters.get(utt)
        return samples if parameters is None else apply(samples, json.loads(parameters), self._load)

"""Features of chunks of voiced audio: what stage 4 would write, normalised as far as a chunk knows how."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch

from ..features.cmvn import apply_cmvn, cmvn_stats
from ..features.contract import FeaturesOptions
from ..features.fbank import Fbank, dithered
from ..features.pitch import with_pitch
from .cut import ChunkGeometry


class ChunkFeatures:
    """From chunks of voiced audio to what a network is trained on, as the feature ``contract`` says.

    What is subtracted for cmvn utterance and sliding is the chunk's own mean (cmvn_vars: and deviation):
    the rest of the utterance is not at hand. cmvn global is the training set's, from the contract.
    ``seed`` is the dither's (--features.seed, which is not in the contract).
    """

    def __init__(self, contract: Mapping[str, Any], seed: int = 0) -> None:
        self.options = FeaturesOptions(**contract["features"])
        self._acoustic, self._seed = self.options.acoustic(), seed
        self._fbank = Fbank(self._acoustic)
        self._global = None
        if self.options.cmvn == "global":
            found = contract["global_cmvn"]
            self._global = np.asarray([[*found["sums"], found["frames"]], [*found["squares"], 0.0]])

    def geometry(self, factor: float = 1.0) -> ChunkGeometry:
        """How many samples a chunk has."""
        return ChunkGeometry(self.options.geometry, self.options.sample_rate, factor)

    def __call__(self, samples: np.ndarray, names: Sequence[str]) -> np.ndarray:
        """Features float32 [chunks, frames, feature] of ``samples`` [chunks, time] in about [-1, 1).

        ``names`` [chunks] decide the dither.
        """
        heard = samples
        if self._acoustic.dither:
            rows = zip(samples, names, strict=True)
            heard = np.stack([dithered(row, self._acoustic, self._seed, name) for row, name in rows])
        with torch.inference_mode():
            features = self._fbank(torch.from_numpy(np.ascontiguousarray(heard, np.float32))).numpy()
        if self.options.pitch:  # searched without the dither, as stage 4 does
            both = zip(features, samples, strict=True)
            features = np.stack([with_pitch(chunk, row, self.options) for chunk, row in both])
        return self._normalised(features)

    def _normalised(self, features: np.ndarray) -> np.ndarray:
        if self.options.cmvn == "none":
            return features
        if self._global is None and not self.options.cmvn_vars:
            features -= features.mean(axis=1, keepdims=True, dtype=np.float64).astype(np.float32)
            return features
        for chunk in features:
            stats = cmvn_stats(chunk) if self._global is None else self._global
            chunk[:] = apply_cmvn(chunk, stats, norm_vars=self.options.cmvn_vars)
        return features

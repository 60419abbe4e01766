"""Features of a batch of chunks of audio, augmented as drawn, on a CPU or on the device that trains.

What is drawn is drawn before, on the CPU; here is the arithmetic. On a CPU a chunk has the same bits in any
batch; a device gives the same features but for the rounding of its arithmetic.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..augment.batch import Together
from ..augment.draw import Chain
from ..augment.live import Live
from ..features.cmvn import mean_and_scale
from ..features.pitch import with_pitch
from ..formats.errors import InputError
from ..formats.rng import generator
from .chunks import ChunkFeatures

_DITHER = 1 << 20  # samples of noise that chunks take their dither from


class HeardChunks(ChunkFeatures):
    """Chunks of audio to features, as ``ChunkFeatures`` makes them, after what ``live`` draws for them.

    ``seed`` decides which part of a chunk is taken where there is more of it, ``features_seed`` the dither.
    The dither is a stretch, drawn for each chunk and epoch, of one noise: chunks of two seconds would take as
    long to draw a noise each as to be heard.
    """

    def __init__(
        self,
        contract: Mapping[str, Any],
        live: Live | None,
        seed: int = 0,
        features_seed: int = 0,
        device: torch.device | str = "cpu",
    ) -> None:
        super().__init__(contract, features_seed)
        self.device, self._crop_seed = torch.device(device), seed
        self._fbank.to(self.device)
        self._together = None if live is None else Together(live.load, live.rate, device)

    def hear(
        self, chunks: np.ndarray, chains: Sequence[Chain], names: Sequence[str], frames: int, epoch: int
    ) -> Tensor:
        """Features float32 [chunk, ``frames``, feature], on the device, of ``chunks`` int16 [chunk, time].

        They are those after their ``chains``; ``names`` [chunk] decide crop and dither in ``epoch``.

        Chunks are cut for the highest speed, so at the others there is more than ``frames`` need: which part
        is taken is drawn. InputError for a chunk that is too short.
        """
        if self.device.type != "cpu":
            with torch.no_grad():  # not inference_mode: a network that trains keeps its input
                return self._hear(chunks, chains, names, frames, epoch)
        with torch.inference_mode():
            features = self._hear(chunks, chains, names, frames, epoch).numpy()
        return torch.from_numpy(features)  # for the same reason

    def _hear(
        self, chunks: np.ndarray, chains: Sequence[Chain], names: Sequence[str], frames: int, epoch: int
    ) -> Tensor:
        samples = torch.from_numpy(np.ascontiguousarray(chunks)).to(self.device)
        whole = samples.to(torch.float32).div_(32768)
        heard = list(whole.unbind(0)) if self._together is None else self._together(whole, chains)
        length = self.geometry().samples(frames)
        cut = whole.new_empty((len(heard), length))
        for row, signal, name in zip(cut, heard, names, strict=True):
            if len(signal) < length:
                raise InputError(
                    f"{len(signal)} samples where {frames} frames need {length}",
                    utt=name,
                    mend="run stage egs again: its archives were cut for other speeds",
                )
            start = self._start(len(signal) - length, name, epoch)
            row[:] = signal[start : start + length]
        return self._features_of(cut, names, epoch)

    def _start(self, spare: int, name: str, epoch: int) -> int:
        if not spare:
            return 0
        return int(generator(self._crop_seed, name, "crop", epoch=epoch).integers(spare + 1))

    def _features_of(self, samples: Tensor, names: Sequence[str], epoch: int) -> Tensor:
        heard = samples
        if self._acoustic.dither:
            least = 1 << (2 * samples.shape[1]).bit_length()
            noise = _noise(self._seed, max(_DITHER, least), self.device)
            heard = torch.empty_like(samples)
            scale = self._acoustic.dither / self._acoustic.sample_scale
            for row, clean, name in zip(heard, samples, names, strict=True):
                rng = generator(self._seed, name, "dither", epoch=epoch)
                start = int(rng.integers(len(noise) - len(clean) + 1))
                torch.add(clean, noise[start : start + len(clean)], alpha=scale, out=row)
        features = self._fbank(heard)
        if self.options.pitch or (self.options.cmvn_vars and self._global is None):  # not done on devices
            found = features.cpu().numpy()
            if self.options.pitch:  # searched without the dither, as stage 4 does
                both = zip(found, samples.cpu().numpy(), strict=True)
                found = np.stack([with_pitch(chunk, row, self.options) for chunk, row in both])
            return torch.from_numpy(self._normalised(found)).to(self.device)
        return self._centred(features)

    def _centred(self, features: Tensor) -> Tensor:
        if self.options.cmvn == "none":
            return features
        if self._global is None:
            for chunk in features.unbind(0) if self.device.type == "cpu" else [features]:
                chunk -= chunk.mean(-2, keepdim=True, dtype=torch.float64).to(torch.float32)
            return features
        tables = mean_and_scale(self._global, norm_vars=self.options.cmvn_vars)
        mean, scale = (torch.from_numpy(table).to(self.device) for table in tables)
        return ((features - mean) * scale).to(torch.float32)


@lru_cache(maxsize=2)
def _noise(seed: int, size: int, device: torch.device) -> Tensor:
    drawn = generator(seed, "chunks", "dither").standard_normal(size, dtype=np.float32)
    return torch.from_numpy(drawn).to(device)


def masked(features: Tensor, frames: np.ndarray, bins: np.ndarray) -> Tensor:
    """``features`` [chunk, frame, feature] with 0, the mean, in masked ``frames`` and ``bins``; in place.

    Masks are as ``train.data.draw_masks`` draws them, bool [chunk, frame] and [chunk, feature]; the features
    are on any device.
    """
    hidden = torch.from_numpy(frames)[:, :, None] | torch.from_numpy(bins)[:, None, :]
    return features.masked_fill_(hidden.to(features.device), 0.0)

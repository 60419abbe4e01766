"""Kaldi-exact fbank and MFCC as a differentiable torch module, fast enough to train on the fly.

Follows Kaldi's src/feat/feature-{window,fbank,mfcc}.cc. On a CPU the work is done in blocks of frames
that fit the cache; the result does not depend on the batch an utterance is in.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor, nn

from ..formats.errors import InputError
from ..formats.rng import generator
from .mel import cosine_transform, mel_filters, window
from .options import FbankOptions

# Zero-padded samples in a block: with its spectrum it stays inside a 2 MB second-level cache.
_BLOCK_SAMPLES = 1 << 17
_EPSILON = torch.finfo(torch.float32).eps  # Kaldi's floor under every logarithm


class Fbank(nn.Module):
    """samples [time] or [batch, time] in [-1, 1) to features [frames, dim] or [batch, frames, dim].

    Without random parts: dither is added to the samples before (see ``dithered``). A signal shorter
    than a frame gives 0 frames.
    """

    rising: Tensor
    delayed: Tensor
    filters: Tensor
    transform: Tensor  # None for fbank

    def __init__(self, options: FbankOptions) -> None:
        super().__init__()
        self.options = options
        # Pre-emphasis and window in one: out[i] = rising[i] x[i] + delayed[i] x[i - 1]; sample 0 is
        # its own predecessor.
        taper = window(options) * options.sample_scale
        rising = taper.copy()
        rising[0] *= 1 - options.preemphasis
        self._keep("rising", rising)
        self._keep("delayed", -options.preemphasis * taper[1:])
        self._keep("filters", mel_filters(options).T.copy())
        self._keep("transform", cosine_transform(options) if options.kind == "mfcc" else None)

    def _keep(self, name: str, values: np.ndarray | None) -> None:
        # Not persistent: the options are in the contract, tables made from them need no checkpoint.
        tensor = None if values is None else torch.from_numpy(values).to(torch.float32)
        self.register_buffer(name, tensor, persistent=False)

    def forward(self, samples: Tensor) -> Tensor:
        options = self.options
        count = options.geometry.num_frames(samples.shape[-1], options.sample_rate)
        batch = samples.shape[:-1]
        if count == 0 or samples.numel() == 0:
            return samples.new_zeros(*batch, count, options.dim)
        rows = self._span(samples, count).reshape(-1, self._extent(count))
        frames = rows.unfold(-1, options.frame_length, options.frame_shift)
        if samples.device.type != "cpu" or torch.compiler.is_compiling():
            return self._features(frames).reshape(*batch, count, options.dim)
        return self._in_blocks(frames).reshape(*batch, count, options.dim)

    def _in_blocks(self, frames: Tensor) -> Tensor:
        size = max(1, _BLOCK_SAMPLES // self.options.fft_length)
        blocks = (block for row in frames for block in row.split(size))
        if frames.requires_grad:
            return torch.cat([self._features(block) for block in blocks])
        # Without a gradient straight into place: hours of features need not be held twice.
        out = frames.new_empty(*frames.shape[:2], self.options.dim)
        places = (place for row in out for place in row.split(size))
        for block, place in zip(blocks, places, strict=True):
            place.copy_(self._features(block))
        return out

    def _extent(self, count: int) -> int:
        first, end = self.options.geometry.span(count, self.options.sample_rate)
        return end - first

    def _span(self, samples: Tensor, count: int) -> Tensor:
        # Exactly the samples that the frames cover, reflected at the edges when they are not snipped.
        first, end = self.options.geometry.span(count, self.options.sample_rate)
        length = samples.shape[-1]
        inside = samples[..., max(first, 0) : min(end, length)]
        if first >= 0 and end <= length:
            return inside
        before = _reflected(torch.arange(min(first, 0), 0, device=samples.device), length)
        after = _reflected(torch.arange(length, max(end, length), device=samples.device), length)
        return torch.cat((samples[..., before], inside, samples[..., after]), dim=-1)

    def _features(self, frames: Tensor) -> Tensor:
        """Frames [..., frame_length] to features [..., dim]."""
        options = self.options
        if options.remove_dc_offset:
            frames = frames - frames.mean(-1, keepdim=True)
        tapered = frames * self.rising
        tapered[..., 1:].addcmul_(frames[..., :-1], self.delayed)
        mels = self._spectrum(tapered) @ self.filters
        if options.kind == "mfcc" or options.use_log_fbank:
            mels = mels.clamp(min=_EPSILON).log()
        energy = self._energy(frames, tapered) if options.use_energy else None
        return self._cepstra(mels, energy) if options.kind == "mfcc" else self._with_energy(mels, energy)

    def _spectrum(self, tapered: Tensor) -> Tensor:
        spectrum = torch.fft.rfft(tapered, n=self.options.fft_length)[..., :-1]
        if self.options.kind == "fbank" and not self.options.use_power:
            return spectrum.abs()
        # Faster than abs().square(), which takes a root only to undo it.
        return spectrum.real.square() + spectrum.imag.square()

    def _energy(self, frames: Tensor, tapered: Tensor) -> Tensor:
        options = self.options
        if options.raw_energy:
            energy = frames.square().sum(-1, keepdim=True) * options.sample_scale**2
        else:
            energy = tapered.square().sum(-1, keepdim=True)
        energy = energy.clamp(min=_EPSILON).log()
        return energy.clamp(min=math.log(options.energy_floor)) if options.energy_floor > 0 else energy

    def _with_energy(self, mels: Tensor, energy: Tensor | None) -> Tensor:
        if energy is None:
            return mels
        return torch.cat((mels, energy) if self.options.htk_compat else (energy, mels), dim=-1)

    def _cepstra(self, mels: Tensor, energy: Tensor | None) -> Tensor:
        cepstra = mels @ self.transform
        first = cepstra[..., :1] if energy is None else energy
        if not self.options.htk_compat:
            return cepstra if energy is None else torch.cat((first, cepstra[..., 1:]), dim=-1)
        # HTK puts C0 or the energy last, and its C0 has another scale.
        return torch.cat((cepstra[..., 1:], first * math.sqrt(2) if energy is None else first), dim=-1)


def _reflected(index: Tensor, length: int) -> Tensor:
    # ... 1 0 | 0 1 ... n-1 | n-1 n-2 ...: repeated reflection has the period 2n.
    index = index.remainder(2 * length)
    return torch.where(index < length, index, 2 * length - 1 - index)


def dithered(samples: np.ndarray, options: FbankOptions, seed: int, utt: str) -> np.ndarray:
    """``samples`` [time] with Gaussian noise of ``options.dither`` (in the scaled range), drawn for ``utt``.

    Kaldi draws anew for each frame; here overlapping frames share their noise, so that the result
    depends on (seed, utterance) alone.
    """
    if options.dither == 0:
        return samples
    noise = generator(seed, utt, "dither").standard_normal(samples.shape, dtype=np.float32)
    return samples + noise * np.float32(options.dither / options.sample_scale)


def compute(samples: np.ndarray, fbank: Fbank, *, utt: str, seed: int = 0) -> np.ndarray:
    """Features [frames, dim] float32 of one utterance's samples [time] in [-1, 1), dither included.

    NaN or infinity is an InputError that names the utterance.
    """
    samples = dithered(np.asarray(samples, dtype=np.float32), fbank.options, seed, utt)
    with torch.inference_mode():
        features = fbank(torch.from_numpy(np.ascontiguousarray(samples))).numpy()
    if not np.isfinite(features).all():
        raise InputError("the features are not finite (NaN or infinity in the samples?)", utt=utt)
    return features

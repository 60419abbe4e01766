"""A filter bank as products alone: what every runtime is fast at.

Removing a frame's mean, pre-emphasis, window and Fourier transform are linear, so together they are one
matrix; applied at every shift that is a convolution over the samples. ONNX Runtime's own DFT and its
gathering of frames take several times as long.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from ..features.mel import mel_filters, window
from ..features.options import FbankOptions

_EPSILON = float(np.finfo(np.float32).eps)


def suits(options: FbankOptions) -> bool:
    """Whether ``Products`` gives the features of ``options``."""
    plain = options.kind == "fbank" and options.snip_edges and not options.use_energy
    return plain and not options.delta_order


class Products(nn.Module):
    """samples [batch, time] in [-1, 1) -> the fbank [batch, frames, bins] that features.fbank.Fbank gives."""

    basis: Tensor
    filters: Tensor

    def __init__(self, options: FbankOptions) -> None:
        super().__init__()
        self.options = options
        filters = mel_filters(options)  # [mels, bins]
        used = np.flatnonzero(filters.any(0))
        first, last = int(used[0]), int(used[-1]) + 1
        basis = _transform(options)[:, :, first:last]
        both = np.concatenate((basis[0], basis[1]), axis=1).T  # [2 x bins, frame]
        self.register_buffer("basis", torch.from_numpy(both[:, None].astype(np.float32).copy()))
        self.register_buffer("filters", torch.from_numpy(filters[:, first:last].astype(np.float32).copy()))

    def forward(self, samples: Tensor) -> Tensor:
        options, bins = self.options, self.filters.shape[1]
        parts = F.conv1d(samples.unsqueeze(1), self.basis, stride=options.frame_shift).square()
        power = (parts[:, :bins] + parts[:, bins:]).mT
        mels = F.linear(power if options.use_power else power.sqrt(), self.filters)
        if not options.use_log_fbank:
            return mels
        offset = options.log_offset
        return (mels + offset if offset > 0 else mels.clamp(min=_EPSILON)).log()


def _transform(options: FbankOptions) -> NDArray[np.float64]:
    """Cosine and sine part [2, frame, bins] of a frame's spectrum, all that goes before included."""
    length, size = options.frame_length, options.fft_length
    taper = np.asarray(window(options), np.float64) * options.sample_scale
    before = np.eye(length)
    if options.remove_dc_offset:
        before -= 1.0 / length
    emphasis = np.eye(length) - options.preemphasis * np.eye(length, k=-1)
    emphasis[0, 0] -= options.preemphasis  # sample 0 is its own predecessor
    frame = (taper[:, None] * (emphasis @ before)).T
    # As many bins as the filters have: the last one, at half the sample rate, is in none.
    phase = 2 * np.pi / size * (np.outer(np.arange(length), np.arange(size // 2)) % size)
    found: NDArray[np.float64] = np.stack((frame @ np.cos(phase), frame @ np.sin(phase)))
    return found

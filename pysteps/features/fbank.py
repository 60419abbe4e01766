"""Kaldi-exact fbank, MFCC, PLP and spectrogram as a differentiable torch module, fast enough for training.

Follows Kaldi's src/feat/feature-{window,fbank,mfcc,plp,spectrogram}.cc. On a CPU the work is done in blocks
of frames that fit the cache; the result does not depend on the batch an utterance is in.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor, nn

from ..formats.errors import InputError
from ..formats.rng import generator
from . import plp
from .deltas import kernels, slopes
from .mel import cosine_transform, lifter, loudness_transform, mel_filters, window
from .options import FbankOptions

# Zero-padded samples in a block: with its spectrum it stays inside a 2 MB second-level cache. A GPU wants
# all at once, as long as it has the memory: 2^25 samples and what is made of them are about 0.7 GB.
_BLOCK_SAMPLES, _DEVICE_SAMPLES = 1 << 17, 1 << 25
_EPSILON = torch.finfo(torch.float32).eps  # Kaldi's floor under every logarithm
_PIECE_BLOCKS = 24  # blocks that ``compute`` hands over at once: about a minute of audio
_NOISE_BLOCK = 1 << 16  # samples of dither that are drawn from one key
_BAND = 16  # filters that are applied together on a CPU: a mel filter is nothing but zeros outside its band


class Fbank(nn.Module):
    """samples [time] or [batch, time] in [-1, 1) to features [frames, dim] or [batch, frames, dim].

    Of any kind that the options name. Without random parts: dither is added to the samples before (see
    ``dithered``), and exporting a module whose options ask for it is an InputError. A signal
    shorter than a frame gives 0 frames; an exported module needs at least a frame.
    """

    rising: Tensor
    delayed: Tensor
    filters: Tensor  # None for spectrogram and samples
    transform: Tensor  # None for fbank, spectrogram and samples
    lifter: Tensor  # None but for PLP

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
        bands = options.kind not in ("spectrogram", "samples")
        filters = mel_filters(options).T.copy() if bands else None
        self._keep("filters", filters)
        self._bands: list[tuple[int, int, slice]] = []
        if filters is not None:
            self._bands = _bands(filters)
            for number, (low, high, mels) in enumerate(self._bands):
                self._keep(f"band{number}", filters[low:high, mels].copy())
        transforms = {"mfcc": cosine_transform, "plp": loudness_transform}
        make = transforms.get(options.kind)
        self._keep("transform", None if make is None else make(options))
        self._keep("lifter", lifter(options) * options.cepstral_scale if options.kind == "plp" else None)

    def _keep(self, name: str, values: np.ndarray | None) -> None:
        # Not persistent: the options are in the contract, tables made from them need no checkpoint.
        tensor = None if values is None else torch.from_numpy(values).to(torch.float32)
        self.register_buffer(name, tensor, persistent=False)

    def forward(self, samples: Tensor) -> Tensor:
        options = self.options
        if options.dither and torch.compiler.is_exporting():
            raise InputError("an exported network cannot dither", mend="set --features.dither 0")
        count = options.geometry.num_frames(samples.shape[-1], options.sample_rate)
        batch = samples.shape[:-1]
        if count == 0 or samples.numel() == 0:
            return samples.new_zeros(*batch, count, options.dim)
        begin, end = options.geometry.span(count, options.sample_rate)
        if torch.compiler.is_exporting():
            features = self._features(self._gathered(samples, count, begin))
        else:
            features = self.framed(stretched(samples, begin, end).reshape(-1, end - begin))
        if options.delta_order:
            filters = kernels(options.delta_order, options.delta_window)
            features = torch.cat((features, *slopes(features, filters, 0, count)), dim=-1)
        return features.reshape(*batch, count, options.dim)

    def _gathered(self, samples: Tensor, count: int, begin: int) -> Tensor:
        # By index, where ``framed`` takes views: an exporter follows that for any number of samples.
        starts = torch.arange(count, device=samples.device) * self.options.frame_shift + begin
        index = starts[:, None] + torch.arange(self.options.frame_length, device=samples.device)
        if not self.options.snip_edges:  # one reflection, so at least a frame of samples
            length = samples.shape[-1]
            index = torch.where(index < 0, -1 - index, index)
            index = torch.where(index < length, index, 2 * length - 1 - index)
        return samples[..., index]

    def framed(self, rows: Tensor) -> Tensor:
        """Features before deltas [batch, frames, static_dim] of all frames inside ``rows`` [batch, time]."""
        frames = rows.unfold(-1, self.options.frame_length, self.options.frame_shift)
        if torch.compiler.is_compiling():
            return self._features(frames)
        if rows.device.type != "cpu":
            size = max(1, _DEVICE_SAMPLES // self.options.fft_length // frames.shape[1])
            return torch.cat([self._features(part) for part in frames.split(size)])
        return self._in_blocks(frames)

    def _in_blocks(self, frames: Tensor) -> Tensor:
        size = block_frames(self.options)
        blocks = (block for row in frames for block in row.split(size))
        if frames.requires_grad:
            done = torch.cat([self._features(block) for block in blocks])
            return done.reshape(*frames.shape[:2], self.options.static_dim)
        # Without a gradient straight into place: hours of features need not be held twice.
        out = frames.new_empty(*frames.shape[:2], self.options.static_dim)
        places = (place for row in out for place in row.split(size))
        for block, place in zip(blocks, places, strict=True):
            place.copy_(self._features(block))
        return out

    def _features(self, frames: Tensor) -> Tensor:
        """Frames [..., frame_length] to features [..., static_dim]."""
        options = self.options
        if options.kind == "samples":
            first = (options.frame_length - options.frame_shift) // 2
            return frames[..., first : first + options.frame_shift] * options.sample_scale
        if options.remove_dc_offset:
            frames = frames - frames.mean(-1, keepdim=True)
        tapered = frames * self.rising
        tapered[..., 1:].addcmul_(frames[..., :-1], self.delayed)
        energy = self._energy(frames, tapered) if options.use_energy else None
        spectrum = self._spectrum(tapered)
        if options.kind == "spectrogram":
            bins = self._log(spectrum)
            return bins if energy is None else torch.cat((energy, bins[..., 1:]), dim=-1)
        mels = self._mels(spectrum)
        if options.kind == "fbank":
            return self._with_energy(self._log(mels), energy)
        if options.kind == "plp":
            loud = mels.clamp(min=_EPSILON).pow(options.compress_factor) @ self.transform
            return self._first(plp.cepstra(loud, options.num_ceps) * self.lifter, energy)
        return self._first(mels.clamp(min=_EPSILON).log() @ self.transform, energy)

    def _mels(self, spectrum: Tensor) -> Tensor:
        if spectrum.device.type != "cpu" or torch.compiler.is_compiling() or torch.compiler.is_exporting():
            return spectrum[..., :-1] @ self.filters
        # Half the time of the whole product, which is mostly zeros.
        parts = [
            spectrum[..., low:high] @ getattr(self, f"band{number}")
            for number, (low, high, _) in enumerate(self._bands)
        ]
        return torch.cat(parts, dim=-1)

    def _spectrum(self, tapered: Tensor) -> Tensor:
        size = self.options.fft_length
        if torch.compiler.is_exporting() and size & (size - 1):
            # ONNX Runtime's DFT loses four digits where the size is no power of two; products do not.
            real, imaginary = (tapered @ basis.to(tapered) for basis in _fourier(tapered.shape[-1], size))
            power = real.square() + imaginary.square()
            return power if self.options.cepstral or self.options.use_power else power.sqrt()
        spectrum = torch.fft.rfft(tapered, n=size)
        if not self.options.cepstral and not self.options.use_power:
            return spectrum.abs()
        # Faster than abs().square(), which takes a root only to undo it; in one piece, faster still on a CPU.
        if torch.compiler.is_compiling() or torch.compiler.is_exporting():
            return spectrum.real.square() + spectrum.imag.square()
        parts = torch.view_as_real(spectrum)
        squares = parts * parts if parts.requires_grad else parts.mul_(parts)
        return squares[..., 0] + squares[..., 1]

    def _log(self, values: Tensor) -> Tensor:
        if not self.options.use_log_fbank:
            return values
        offset = self.options.log_offset
        return (values + offset if offset > 0 else values.clamp(min=_EPSILON)).log()

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

    def _first(self, cepstra: Tensor, energy: Tensor | None) -> Tensor:
        # The energy takes the place of C0; HTK puts either last, and its C0 of an MFCC has another scale.
        options = self.options
        first = cepstra[..., :1] if energy is None else energy
        if not options.htk_compat:
            return cepstra if energy is None else torch.cat((first, cepstra[..., 1:]), dim=-1)
        scale = math.sqrt(2) if energy is None and options.kind == "mfcc" else 1.0
        return torch.cat((cepstra[..., 1:], first * scale), dim=-1)


def _bands(filters: np.ndarray) -> list[tuple[int, int, slice]]:
    """Of every ``_BAND`` of ``filters`` [bins, mels]: the bins [low, high) outside of which they are 0."""
    found = []
    for first in range(0, filters.shape[1], _BAND):
        mels = slice(first, first + _BAND)
        used = np.flatnonzero(filters[:, mels].any(1))
        found.append((int(used[0]), int(used[-1]) + 1, mels))
    return found


def _fourier(length: int, size: int) -> tuple[Tensor, Tensor]:
    """Cosines and sines [length, size / 2 + 1] of a real DFT of ``size`` points."""
    phase = 2 * np.pi / size * (np.outer(np.arange(length), np.arange(size // 2 + 1)) % size)
    return torch.from_numpy(np.cos(phase)), torch.from_numpy(np.sin(phase))


def block_frames(options: FbankOptions) -> int:
    """Frames that are computed at once on a CPU."""
    return max(1, _BLOCK_SAMPLES // options.fft_length)


def stretched(samples: Tensor, begin: int, end: int) -> Tensor:
    """samples[..., begin:end], reflected where that lies beyond the ends (frames that are not snipped)."""
    length = samples.shape[-1]
    inside = samples[..., max(begin, 0) : min(end, length)]
    if begin >= 0 and end <= length:
        return inside
    before = _reflected(torch.arange(min(begin, 0), 0, device=samples.device), length)
    after = _reflected(torch.arange(length, max(end, length), device=samples.device), length)
    return torch.cat((samples[..., before], inside, samples[..., after]), dim=-1)


def _reflected(index: Tensor, length: int) -> Tensor:
    # ... 1 0 | 0 1 ... n-1 | n-1 n-2 ...: repeated reflection has the period 2n.
    index = index.remainder(2 * length)
    return torch.where(index < length, index, 2 * length - 1 - index)


def dithered(
    samples: np.ndarray, options: FbankOptions, seed: int, utt: str, *, start: int = 0
) -> np.ndarray:
    """``samples`` [time] with Gaussian noise of ``options.dither`` (in the scaled range), drawn for ``utt``.

    ``start``: where in the utterance the samples begin. Kaldi draws anew for each frame; here overlapping
    frames share their noise, so that the result depends on (seed, utterance) alone.
    """
    if options.dither == 0 or not len(samples):
        return samples
    out = np.array(samples, dtype=np.float32)
    end = start + len(out)
    for block in range(start // _NOISE_BLOCK, (end - 1) // _NOISE_BLOCK + 1):
        zero = block * _NOISE_BLOCK
        rng = generator(seed, utt, "dither", copy=block)
        noise = rng.standard_normal(min(_NOISE_BLOCK, end - zero), dtype=np.float32)
        noise *= np.float32(options.dither / options.sample_scale)
        out[max(zero - start, 0) : zero + len(noise) - start] += noise[max(start - zero, 0) :]
    return out


def compute(samples: np.ndarray, fbank: Fbank, *, utt: str, seed: int = 0) -> np.ndarray:
    """Features [frames, dim] float32 of one utterance's samples [time] in [-1, 1), dither included.

    Equal to the module's own output to the bit, but hours of audio need memory for the samples and the
    result alone. NaN or infinity is an InputError that names the utterance.
    """
    options, samples = fbank.options, np.asarray(samples, dtype=np.float32)
    count = options.geometry.num_frames(len(samples), options.sample_rate)
    out = torch.empty(count, options.dim)
    size = _PIECE_BLOCKS * block_frames(options)
    with torch.inference_mode():
        for first in range(0, count, size):
            last = min(first + size, count)
            piece = fbank.framed(_piece(samples, options, first, last, seed, utt)[None])[0]
            if not np.isfinite(piece.numpy()).all():
                raise InputError("the features are not finite (NaN or infinity in the samples?)", utt=utt)
            out[first:last, : options.static_dim] = piece
        if options.delta_order:
            static = out[:, : options.static_dim]
            filters = kernels(options.delta_order, options.delta_window)
            for first in range(0, count, size):
                last = min(first + size, count)
                found = slopes(static, filters, first, last)
                out[first:last, options.static_dim :] = torch.cat(found, dim=-1)
    return out.numpy()


def _piece(
    samples: np.ndarray, options: FbankOptions, first: int, last: int, seed: int, utt: str
) -> Tensor:
    """The samples, dithered and reflected at the ends, that the frames [first, last) cover."""
    begin = options.geometry.first_sample(first, options.sample_rate)
    end = options.geometry.first_sample(last - 1, options.sample_rate) + options.frame_length
    # A frame more to each side, which is what a reflection may need.
    low, high = max(begin - options.frame_length, 0), min(end + options.frame_length, len(samples))
    part = dithered(np.ascontiguousarray(samples[low:high]), options, seed, utt, start=low)
    return stretched(torch.from_numpy(part), begin - low, end - low)

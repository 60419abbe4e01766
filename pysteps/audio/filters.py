"""Resampling, band-pass filtering, level, trimming and the way back to 16 bits.

What changes a long signal can do so ``in_place``: 3 hours at 16 kHz are 691 MB of float32, and no step
here holds a second copy of them. Where a step can stream (``Resampler``, ``StreamingBandpass``), its
blocks joined are bit for bit what the whole signal gives at once.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from ..formats.errors import InputError

BLOCK = 1 << 18  # samples that a pass over a long signal holds in double precision at a time (2 MB)
LOUDEST = 32767 / 32768  # the largest 16-bit sample


def resample(samples: np.ndarray, from_rate: int, to_rate: int) -> np.ndarray:
    """``samples`` [time] float32 at ``from_rate`` Hz as float32 at ``to_rate`` Hz (soxr, quality HQ).

    The same input gives the same bits. Equal rates give the samples back unchanged.
    """
    if from_rate <= 0 or to_rate <= 0:
        raise InputError(f"cannot resample from {from_rate} to {to_rate} Hz")
    if from_rate == to_rate or len(samples) == 0:
        return samples
    import soxr

    return soxr.resample(np.asarray(samples, dtype=np.float32), from_rate, to_rate, quality="HQ")


class Resampler:
    """``resample`` for a signal that comes in blocks of any size: the same bits, whatever the blocks."""

    def __init__(self, from_rate: int, to_rate: int) -> None:
        if from_rate <= 0 or to_rate <= 0:
            raise InputError(f"cannot resample from {from_rate} to {to_rate} Hz")
        self._stream = None
        if from_rate != to_rate:
            import soxr

            self._stream = soxr.ResampleStream(from_rate, to_rate, 1, dtype="float32", quality="HQ")

    def push(self, block: np.ndarray, last: bool) -> np.ndarray:
        """The samples [time] float32 that are ready once ``block`` [time] is in; ``last`` gives the rest.

        What comes out may be shorter or longer than the rates say, or empty: only the sum is exact.
        """
        wanted = np.ascontiguousarray(block, dtype=np.float32)
        return wanted if self._stream is None else self._stream.resample_chunk(wanted, last=last)


def bandpass(
    samples: np.ndarray,
    rate: int,
    low: float,
    high: float,
    *,
    order: int = 5,
    zero_phase: bool = True,
    in_place: bool = False,
) -> np.ndarray:
    """``samples`` [time] at ``rate`` Hz between ``low`` and ``high`` Hz (Butterworth); float32 [time].

    ``low`` 0 makes it a low-pass, ``high`` 0 a high-pass. ``zero_phase`` runs the filter forwards and
    backwards (the order doubles, nothing is delayed), with the ends extended as scipy's sosfiltfilt does;
    otherwise it is causal. Telephone speech is 300 to 3400 Hz. ``in_place`` writes the result into
    ``samples`` (float32) and returns that; the work is then done in blocks of 2 MB.
    """
    sections = _butterworth(rate, low, high, order)
    out = writable(samples, in_place)
    if len(out) == 0:
        return out
    if zero_phase:
        _forward_backward(sections, out)
    else:
        causal = StreamingBandpass(rate, low, high, order=order)
        for block in _blocks(out):
            block[:] = causal.push(block)
    return out


class StreamingBandpass:
    """``bandpass`` with ``zero_phase`` False for a signal that comes in blocks: bit for bit the same."""

    def __init__(self, rate: int, low: float, high: float, *, order: int = 5) -> None:
        self._sections = _butterworth(rate, low, high, order)
        self._state = np.zeros((len(self._sections), 2))

    def push(self, block: np.ndarray) -> np.ndarray:
        """The next ``block`` [time], filtered; float32 [time]. Nothing is held back."""
        if len(block) == 0:
            return np.zeros(0, np.float32)
        from scipy import signal

        wide = np.asarray(block, dtype=np.float64)
        out, self._state = signal.sosfilt(self._sections, wide, zi=self._state)
        return out.astype(np.float32)


def _butterworth(rate: int, low: float, high: float, order: int) -> np.ndarray:
    top = high if high > 0 else rate / 2
    if low < 0 or high < 0 or low + high == 0 or not low < top <= rate / 2 or high == rate / 2 or order < 1:
        raise InputError(
            f"a band from {low:g} to {high:g} Hz of order {order} at {rate} Hz",
            mend=f"edges between 0 and {rate / 2:g} Hz, order at least 1",
        )
    from scipy import signal  # half a second to import: only those who filter pay

    kind = "lowpass" if low == 0 else "highpass" if high == 0 else "bandpass"
    edges = [edge for edge in (low, high) if edge > 0]
    return signal.butter(order, edges if len(edges) > 1 else edges[0], btype=kind, fs=rate, output="sos")


def _forward_backward(sections: np.ndarray, out: np.ndarray) -> None:
    """scipy's sosfiltfilt over ``out`` [time] float32, in place and block by block.

    Both ends are extended by their odd reflection, each pass starts in the filter's steady state for its
    first sample. The forward pass is kept in float32, which costs 1e-7 of full scale.
    """
    from scipy import signal

    # scipy's own length of the extension, shortened where the signal is shorter than it.
    extra = min(3 * (2 * len(sections) + 1), len(out) - 1)
    first, last = out[: extra + 1].astype(np.float64), out[len(out) - extra - 1 :].astype(np.float64)
    before, after = 2 * first[0] - first[:0:-1], 2 * last[-1] - last[-2::-1]
    steady = signal.sosfilt_zi(sections)
    state = steady * float(before[0] if extra else first[0])
    if extra:  # sosfilt takes no empty signal
        _, state = signal.sosfilt(sections, before, zi=state)
    for block in _blocks(out):
        filtered, state = signal.sosfilt(sections, block.astype(np.float64), zi=state)
        block[:] = filtered
    if extra:
        filtered, _ = signal.sosfilt(sections, after, zi=state)
    state = steady * float(filtered[-1])
    if extra:
        _, state = signal.sosfilt(sections, filtered[::-1], zi=state)
    for block in _blocks(out[::-1]):
        filtered, state = signal.sosfilt(sections, block.astype(np.float64), zi=state)
        block[:] = filtered


def preemphasis(
    samples: np.ndarray, coefficient: float, *, previous: float | None = None, in_place: bool = False
) -> np.ndarray:
    """y[t] = x[t] - ``coefficient`` x[t-1] of ``samples`` [time]; float32 [time].

    The first sample has no predecessor and stays as it is, unless ``previous``, the last sample of the
    block before, is given. (Kaldi's features do this again inside each frame; this is for a whole signal.)
    """
    if not 0 <= coefficient <= 1:
        raise InputError(f"a pre-emphasis of {coefficient:g}", mend="a number from 0 to 1")
    out = writable(samples, in_place)
    before = np.float32(0 if previous is None else previous)
    for block in _blocks(out):
        following = block[-1]
        block[1:] -= np.float32(coefficient) * block[:-1]
        block[0] -= np.float32(coefficient) * before
        before = following
    return out


def normalise_level(samples: np.ndarray, how: str, level_db: float, *, in_place: bool = False) -> np.ndarray:
    """``samples`` [time] with their ``how`` (rms or peak) at ``level_db`` dB of full scale; float32 [time].

    Full scale is 1.0 for both (a full-scale sine has -3 dB rms). The gain is limited so that no sample
    leaves the 16-bit range, so a signal of few high peaks can stay below the wanted rms. What is silent
    in 16 bits stays as it is. InputError for another ``how`` and for a level above 0 dB.
    """
    if how not in ("rms", "peak") or not level_db <= 0:
        raise InputError(f"a level of {how} {level_db:g} dB", mend="rms or peak, at most 0 dB")
    out = writable(samples, in_place)
    peak = float(np.max([np.abs(block).max() for block in _blocks(out)], initial=0))
    if not np.isfinite(peak):
        raise InputError("NaN or infinity has no level")
    if peak < 0.5 / 32768:
        return out
    wide = (block.astype(np.float64) for block in _blocks(out))
    level = peak if how == "peak" else (sum(float(block @ block) for block in wide) / len(out)) ** 0.5
    out *= np.float32(min(10 ** (level_db / 20) / level, LOUDEST / peak))
    return out


def trim_silence(samples: np.ndarray, rate: int, trim_db: float) -> tuple[int, int]:
    """Start and end (samples, end exclusive) of what is left when quiet ends are cut off.

    Frames of 10 ms; an end's frames go while their power is more than ``trim_db`` below that of the
    loudest whole frame. The inside is left alone. Digital silence is kept whole: (0, length).
    """
    if not trim_db > 0:
        raise InputError(f"trimming at {trim_db:g} dB", mend="more than 0 dB")
    width = max(rate // 100, 1)
    step = max(BLOCK // width, 1) * width  # whole frames
    powers = [
        np.add.reduceat(block.astype(np.float64) ** 2, np.arange(0, len(block), width))
        for block in _blocks(np.asarray(samples), step)
    ]
    power = np.concatenate(powers) if powers else np.zeros(0)
    if len(power):
        power[-1] *= width / (len(samples) - (len(power) - 1) * width)  # the last frame may be short
    if not np.isfinite(power).all():
        raise InputError("NaN or infinity cannot be trimmed")
    if not power.any():
        return 0, len(samples)
    # One sample is no measure of what is loud, even if it is all of the last frame.
    loudest = power[: len(samples) // width].max(initial=0) or power.max()
    kept = np.flatnonzero(power >= loudest * 10 ** (-trim_db / 10))
    return int(kept[0]) * width, min((int(kept[-1]) + 1) * width, len(samples))


def writable(samples: np.ndarray, in_place: bool) -> np.ndarray:
    """The float32 array [time] that a step may write to: ``samples`` itself or a copy of them."""
    if not in_place:
        return np.array(samples, dtype=np.float32)
    if samples.dtype != np.float32 or not samples.flags.writeable:
        raise TypeError(f"in place needs a writeable float32 array, not {samples.dtype}")
    return samples


def _blocks(samples: np.ndarray, step: int = BLOCK) -> Iterator[np.ndarray]:
    """Views of ``samples`` [time], ``step`` long but for the last."""
    return (samples[start : start + step] for start in range(0, len(samples), step))


def to_int16(samples: np.ndarray) -> tuple[np.ndarray, int]:
    """``samples`` in [-1, 1) as int16, rounded half to even and saturated, and how many were clipped."""
    scaled = np.rint(np.asarray(samples) * np.float32(32768))
    if not np.isfinite(scaled).all():
        raise InputError("NaN or infinity has no 16-bit value")
    clipped = int(np.count_nonzero((scaled > 32767) | (scaled < -32768)))
    return scaled.clip(-32768, 32767).astype(np.int16), clipped

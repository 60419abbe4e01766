"""Steady broadband noise turned down band by band: the line enhancer's second half."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

WINDOW = 0.064  # seconds of a frame: bands of 16 Hz, so that gaps between a voice's harmonics count
OVERLAP = 4  # frames over every sample
PIECE = 0.5  # seconds that have one noise floor
REACH = 4  # pieces before and after that the floor is the smallest of: 4.5 s hold a pause
SMOOTHING = 0.8  # of a bin's power from frame to frame before its smallest value is taken
ABOVE_SMALLEST = 4.0  # the mean of noise over the smallest value of its smoothed power (measured)
NEIGHBOURS = 3  # bins that a gain is found from
STEP = 0.6  # of the gain's NLMS


def reduce_rumble(samples: np.ndarray, rate: int, least: float) -> None:
    """Turn down the steady noise of ``samples`` [time] (float32, in place), no bin below gain ``least``.

    Each bin of a short-time spectrum x has one real gain g that NLMS adapts towards the least expected
    |s - g x|^2. Its gradient needs the unknown speech s only in E[s* x] = E|x|^2 - E|n|^2, which is known
    once the noise floor E|n|^2 is (the P-vector form of LMS, Griffiths 1969). The floor is the smallest
    smoothed power within some seconds (minimum statistics, Martin 2001), looked for in both directions.
    """
    hop = 1 << round(np.log2(WINDOW * rate / OVERLAP))
    size = OVERLAP * hop
    if len(samples) < size:
        return
    window = np.sqrt(np.hanning(size + 1)[:-1]).astype(np.float32)
    per_piece = max(round(PIECE * rate / hop), 1)
    floor = _noise_floor(samples, window, hop, per_piece)
    _apply(samples, window, hop, floor, per_piece, np.float32(least))


def _noise_floor(samples: np.ndarray, window: np.ndarray, hop: int, per_piece: int) -> np.ndarray:
    """Noise power [piece, bin] from the frames that lie wholly inside ``samples``."""
    from scipy.ndimage import minimum_filter1d, uniform_filter1d
    from scipy.signal import lfilter

    state: np.ndarray | None = None
    smallest = []
    a, b = np.array([1, -SMOOTHING], np.float32), np.array([1 - SMOOTHING], np.float32)
    for spectrum in _spectra(samples, window, hop, (len(samples) - len(window)) // hop + 1, 0, per_piece):
        power = spectrum.real**2 + spectrum.imag**2
        state = np.float32(SMOOTHING) * power[:1] if state is None else state
        smooth, state = lfilter(b, a, power, axis=0, zi=state)
        smallest.append(smooth.min(axis=0))
    pieces = len(smallest)
    floor = minimum_filter1d(np.stack(smallest), 2 * REACH + 1, axis=0, mode="nearest")
    # At the ends the reach shifts inwards: a short one might hold no pause.
    middle = pieces // 2
    centre = np.clip(np.arange(pieces), min(REACH, middle), max(pieces - 1 - REACH, middle))
    floor = uniform_filter1d(floor[centre], REACH + 1, axis=0, mode="nearest")
    return np.maximum(floor * np.float32(ABOVE_SMALLEST), np.float32(1e-30))


def _apply(
    samples: np.ndarray, window: np.ndarray, hop: int, floor: np.ndarray, per_piece: int, least: np.float32
) -> None:
    """Filter ``samples`` in place: what a piece writes lies before what the next one reads."""
    from scipy.fft import irfft
    from scipy.ndimage import uniform_filter1d
    from scipy.signal import lfilter

    size, lead = len(window), len(window) - hop
    frames = -(-(len(samples) + lead) // hop)
    gain = np.ones(floor.shape[1], np.float32)
    level: np.ndarray | None = None
    tail = np.zeros(size, np.float32)
    place = -lead
    a, b = np.array([1, STEP - 1], np.float32), np.array([STEP], np.float32)
    for piece, spectrum in enumerate(_spectra(samples, window, hop, frames, lead, per_piece)):
        # One bin of one frame says little of the power that is expected there: its neighbours help.
        power = uniform_filter1d(spectrum.real**2 + spectrum.imag**2, NEIGHBOURS, axis=1, mode="nearest")
        speech = np.maximum(power - floor[min(piece, len(floor) - 1)], 0)
        level = np.float32(1 - STEP) * power[:1] if level is None else level
        smooth, level = lfilter(b, a, power, axis=0, zi=level)
        step = np.float32(STEP) / (np.maximum(smooth, power) + np.float32(1e-30))
        # g + step (E[s* x] - |x|^2 g): a mean of the gain so far and of speech / power, so within 0 and 1
        kept, pulled = 1 - step * power, step * speech
        for frame in range(len(power)):
            gain = kept[frame] * gain + pulled[frame]
            spectrum[frame] *= np.maximum(gain, least)
        ready = _overlap_add(irfft(spectrum, size, axis=1) * window, hop, tail)
        first = max(-place, 0)
        samples[place + first : place + len(ready)] = ready[first : len(samples) - place]
        place += len(ready)


def _overlap_add(frames: np.ndarray, hop: int, tail: np.ndarray) -> np.ndarray:
    """The samples that ``frames`` [frame, size] complete; ``tail`` carries the rest to the next call."""
    size = frames.shape[1]
    total = np.zeros(len(frames) * hop + size, np.float32)
    total[: len(tail)] = tail
    for part in range(size // hop):
        there = total[part * hop : part * hop + len(frames) * hop]
        there += frames[:, part * hop : (part + 1) * hop].ravel()
    tail[:] = total[len(frames) * hop :]
    return total[: len(frames) * hop] * np.float32(2 / OVERLAP)  # the squared window sums to OVERLAP / 2


def _spectra(
    samples: np.ndarray, window: np.ndarray, hop: int, frames: int, lead: int, per_piece: int
) -> Iterator[np.ndarray]:
    """Spectra [frame, bin] of ``frames`` frames, piece by piece; the first starts ``lead`` samples early."""
    from scipy.fft import rfft

    size = len(window)
    for frame in range(0, frames, per_piece):
        count = min(per_piece, frames - frame)
        start = frame * hop - lead
        stretch = np.zeros((count - 1) * hop + size, np.float32)
        inside = samples[max(start, 0) : start + len(stretch)]
        offset = max(-start, 0)
        stretch[offset : offset + len(inside)] = inside
        yield rfft(np.lib.stride_tricks.sliding_window_view(stretch, size)[::hop] * window, axis=1)

"""Additive and reverberant copies of speech. All at one rate, float32 in and out, never clipped.

Long recordings are worked on in blocks. ``in_place`` writes the result into ``speech`` (float32).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from ..audio.filters import writable
from ..formats.errors import InputError
from .blocks import mean_power, pieces, spans

# Overlap-save: transforms of at least so many samples, and of so many rooms' lengths: the fastest found.
_TRANSFORM = 16384
_ROOMS = 4
_ROWS = 4  # transforms done at once: scipy does four side by side, and they stay in the cache


def add_noise(
    speech: np.ndarray, noise: np.ndarray, snr_db: float, offset: int = 0, *, in_place: bool = False
) -> np.ndarray:
    """``speech`` [time] with ``noise`` (music is noise too) at a signal-to-noise ratio of ``snr_db`` dB.

    The noise starts at its sample ``offset`` and is repeated as often as the speech is long. The ratio
    is that of the mean powers over the whole utterance. Where one of the two is silent the ratio does
    not exist and the speech comes back unchanged.
    """
    return _at_ratio(writable(speech, in_place), _repeated(noise, offset), snr_db)


def babble(
    speech: np.ndarray,
    voices: Sequence[np.ndarray],
    snr_db: float,
    offsets: Sequence[int] | None = None,
    *,
    in_place: bool = False,
) -> np.ndarray:
    """``speech`` [time] with other people talking, who are equally loud and in sum ``snr_db`` dB below it.

    A voice starts at its sample of ``offsets`` and is repeated. Silent voices say nothing.
    """
    together = voices_together(voices, offsets or [0] * len(voices), len(speech))
    return _at_ratio(writable(speech, in_place), together, snr_db)


def voices_together(
    voices: Sequence[np.ndarray], offsets: Sequence[int], length: int
) -> Callable[[int, int], np.ndarray]:
    """The sum of ``voices``, each of mean power 1 over ``length`` samples, as ``mean_power`` wants it."""
    talking = []
    for voice, offset in zip(voices, offsets, strict=True):
        power = mean_power(length, _repeated(voice, offset))
        if power > 0:
            talking.append((voice, offset, np.float32(power**-0.5)))

    def together(start: int, size: int) -> np.ndarray:
        total = np.zeros(size, np.float32)
        for voice, offset, gain in talking:
            total += fitted(voice, size, offset + start) * gain
        return total

    return together


def reverberate(
    speech: np.ndarray, rir: np.ndarray, direct: int | None = None, *, in_place: bool = False
) -> np.ndarray:
    """``speech`` [time] in the room with impulse response ``rir``: as long, as loud and not delayed.

    Sample ``direct`` of ``rir`` (None: what ``direct_path`` finds; 0 for a simulated room) is shifted to
    time 0; the reverberation that would follow the end is cut off; the root mean square is that of the
    speech.
    """
    found = direct_path(rir)
    if direct is not None and not 0 <= direct < len(rir):
        raise InputError(f"no direct path at sample {direct} of a room impulse response of {len(rir)}")
    wet = writable(speech, in_place)
    before = mean_power(len(wet), pieces(wet))
    if before == 0:
        return wet
    direct = found if direct is None else direct
    # What is further behind the direct path than the speech is long meets no speech.
    _convolve(wet, np.asarray(rir[: direct + len(wet)], dtype=np.float32), direct)
    # A response cannot make speech silent but for the tail that is cut.
    after = mean_power(len(wet), pieces(wet))
    wet *= np.float32((before / after) ** 0.5 if after > 0 else 1.0)
    return wet


def direct_path(rir: np.ndarray) -> int:
    """At which sample of ``rir`` [time] the direct path arrives: its first peak within 6 dB of the largest.

    In halls a reflection, or two at once, can be larger than the direct path; the largest peak (Kaldi's
    choice) would then make the speech begin early, by up to 25 ms in the measured rooms that we tried.
    """
    size = np.abs(rir)
    if len(size) == 0 or not size.any():
        raise InputError("a room impulse response without a direct path")
    first = int(np.argmax(size >= size.max() / 2))
    falls = np.diff(size[first:]) <= 0
    return first + (int(np.argmax(falls)) if falls.any() else len(size) - 1 - first)


def fitted(noise: np.ndarray, length: int, offset: int = 0) -> np.ndarray:
    """``length`` samples of ``noise`` from its sample ``offset`` on, repeated from its start at its end."""
    if len(noise) == 0:
        raise InputError("a noise without samples")
    offset %= len(noise)
    noise = np.asarray(noise, dtype=np.float32)
    head = noise[offset : offset + length]
    rest = length - len(head)
    if rest == 0:
        return head
    again = noise if rest <= len(noise) else np.tile(noise, -(-rest // len(noise)))
    return np.concatenate([head, again[:rest]])


def _convolve(speech: np.ndarray, rir: np.ndarray, direct: int) -> None:
    # In place: samples ``direct`` ... ``direct + len(speech)`` of the convolution, by overlap-save. The sizes
    # follow from the two lengths alone, so the same input gives the same bits.
    from scipy import fft  # only those who use rooms pay for the import

    taps, total = len(rir), len(speech)
    size = fft.next_fast_len(min(total + taps - 1, max(_TRANSFORM, _ROOMS * taps)), real=True)
    step = size - taps + 1
    spectrum = fft.rfft(rir, size)
    dry = np.zeros(taps - 1 - direct, np.float32)  # what is already overwritten and still needed
    for first in range(0, total, _ROWS * step):
        rows = min(_ROWS, -(-(total - first) // step))
        source = np.zeros((rows - 1) * step + size, np.float32)
        ahead = speech[first : first + len(source) - len(dry)]
        source[: len(dry)], source[len(dry) : len(dry) + len(ahead)] = dry, ahead
        spectra = fft.rfft(np.lib.stride_tricks.sliding_window_view(source, size)[::step])
        spectra *= spectrum
        result = fft.irfft(spectra, size, overwrite_x=True)[:, taps - 1 :].reshape(-1)
        done = min(rows * step, total - first)
        dry = source[done : done + len(dry)].copy()
        speech[first : first + done] = result[:done]


def _repeated(noise: np.ndarray, offset: int) -> Callable[[int, int], np.ndarray]:
    return lambda start, length: fitted(noise, length, offset + start)


def _at_ratio(mixed: np.ndarray, noise: Callable[[int, int], np.ndarray], snr_db: float) -> np.ndarray:
    signal, disturbance = mean_power(len(mixed), pieces(mixed)), mean_power(len(mixed), noise)
    if signal == 0 or disturbance == 0:
        return mixed
    gain = np.float32((signal / disturbance) ** 0.5 * 10 ** (-snr_db / 20))
    for start, length in spans(len(mixed)):
        mixed[start : start + length] += noise(start, length) * gain
    return mixed

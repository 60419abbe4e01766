"""Adaptive noise filters of the LMS family: a two-input canceller and a line enhancer.

The canceller has a second microphone that hears the noise and not the speech; it learns the path from
there to the first one and subtracts (Widrow et al. 1975). The line enhancer has one input. What it can
foresee over a delay longer than a sound of speech is a steady tone, which it subtracts (Widrow's adaptive
line enhancer); what lies on a floor that never goes away is rumble or hiss, which it turns down band by
band. A predictor cannot do the second: noise of some hundred hertz in the band of the voice is foreseen
no better than the voice is (at 5 dB the predictor alone gains 0.0 dB on low-passed noise, both gain 6).

Both learn in the frequency domain, block by block (overlap-save; Shynk 1992), so they run at hundreds of
times real time. Both look ahead: the first seconds are learnt before any output, for files have no
latency to keep.
"""

from __future__ import annotations

import numpy as np

from ..formats.errors import InputError
from .filters import writable
from .growing import Compact
from .rumble import reduce_rumble

SECTION = 8.0  # seconds that are looked at together
ROUNDS = 2  # times that the first section is learnt from before there is any output
SHORTEST = 8  # blocks, and at least 1 s, that show what is steady: in less nothing is taken for a line
SMALLEST = 512  # samples of a block: the fewer the slower
WORSE = 2.0  # a block whose power grows more than so (3 dB) is passed as it came
QUIET = 1e-12  # root mean square below which a signal is silence: 16 bits end at 1e-5
LOUD = 1e6  # and above which it is no audio, nor whole numbers of 16 bits
PERSISTENCE = 0.995  # of the path from block to block: the nearer to 1 the cleaner, and the slower to follow
TRACKING = 0.01  # share of the prior that stays uncertain for ever, so that a tone that comes late is learnt


class BlockFilter:
    """A frequency-domain block NLMS filter of ``taps`` taps whose step is chosen per bin and block.

    The step is the one that makes the expected error smallest, given how uncertain the bin's weight still
    is and how loud the speech is there (the frequency-domain Kalman filter of Enzner and Vary, 2006). So
    it learns fast at first and in pauses, and hardly at all while someone speaks loudly. Every bin's
    effective step is between 0 and 1, whatever comes in.
    """

    def __init__(self, taps: int) -> None:
        """``taps`` in samples; ``block`` samples are filtered and learnt from at a time."""
        from scipy.fft import next_fast_len

        self.size: int = next_fast_len(taps + max(taps, SMALLEST), real=True)
        self.taps = taps
        self.block = self.size - taps
        bins = self.size // 2 + 1
        self.weights = np.zeros(bins, np.complex64)
        self.uncertainty = np.zeros(bins, np.float32)  # expected squared error of each weight
        self.speech = np.zeros(bins, np.float32)  # power of what the filter shall not explain
        self._share = np.float32(self.block / self.size)
        self._regular = np.float32(1e-20)

    def expect(self, primary: np.ndarray) -> None:
        """Take the mean power per bin of ``primary`` [blocks, block] for that of the speech."""
        self.speech = _power(self._ahead(primary)).mean(axis=0)
        self._regular = np.float32(1e-10 * self.speech.mean() + 1e-20)

    def estimate(self, reference: np.ndarray, primary: np.ndarray) -> np.ndarray:
        """The noise in ``primary`` [block] foreseen from ``reference`` [size] that ends with it; then learn.

        Returns float32 [block], computed with the weights as they were before this block was learnt.
        """
        from scipy.fft import irfft, rfft

        heard = rfft(reference)
        noise: np.ndarray = irfft(self.weights * heard, self.size)[self.taps :]
        error = self._ahead(primary - noise)
        now = _smooth(_power(error))
        self.speech = np.float32(0.8) * self.speech + np.float32(0.2) * now
        kept = np.float32(PERSISTENCE**2)
        uncertain = kept * self.uncertainty + (1 - kept) * _power(self.weights)
        power = _power(heard)
        loud = np.maximum(self.speech, now) + self._regular
        step = uncertain / (self._share * power * uncertain + loud)
        change = irfft(step * heard.conj() * error, self.size)
        change[self.taps :] = 0  # a linear filter of so many taps, not a circular one
        self.weights = self.weights + rfft(change)
        self.uncertainty = uncertain * (1 - self._share * step * power)
        return noise

    def _ahead(self, blocks: np.ndarray) -> np.ndarray:
        """Spectrum of ``blocks`` [..., block] with ``taps`` zeros ahead of them."""
        from scipy.fft import rfft

        padded = np.zeros((*blocks.shape[:-1], self.size), np.float32)
        padded[..., self.taps :] = blocks
        return rfft(padded)


def cancel_noise(
    primary: np.ndarray,
    reference: np.ndarray | Compact,
    rate: int,
    *,
    taps: float = 0.128,
    in_place: bool = False,
) -> np.ndarray:
    """``primary`` [time] at ``rate`` Hz without what came from ``reference`` [time]; float32 [time].

    ``taps`` is the length in seconds of the path that can be learnt: the room's response and the distance
    between the microphones. The noise has to be in the reference no later than in the primary, and the
    speech not at all, or it is cancelled too. Either signal may have any scale; ``reference`` may be of
    any number type and is read block by block. ``in_place`` writes into ``primary`` (float32). A block
    that would grow by more than 3 dB is passed as it came, so the output's power is bounded by twice the
    input's. InputError for NaN, infinity and two lengths.
    """
    if len(primary) != len(reference):
        raise InputError(
            f"{len(primary)} samples and {len(reference)} of their noise reference",
            mend="two channels of one recording",
        )
    out = writable(primary, in_place)
    gain, reference_gain = _unit_gain(out, "the recording"), _unit_gain(reference, "the noise reference")
    if gain and reference_gain:
        adaptive = BlockFilter(_taps(taps, rate))
        adaptive.uncertainty[:] = 1  # both are brought to one level: a path as loud as the recording
        _subtract(adaptive, out, rate, gain, reference, reference_gain)
    return out


def enhance_line(
    samples: np.ndarray,
    rate: int,
    *,
    taps: float = 0.128,
    delay: float = 0.1,
    rumble_db: float = 20.0,
    in_place: bool = False,
) -> np.ndarray:
    """``samples`` [time] at ``rate`` Hz without their steady tones and rumble; float32 [time].

    Tones: an adaptive line enhancer of ``taps`` seconds that foresees the signal ``delay`` seconds ahead,
    more than speech can be foreseen, and learns only in bands whose power hardly ever goes away. Rumble
    and hiss: ``rumble.reduce_rumble``, at most ``rumble_db`` down in a band; 0 leaves them in. Less than
    1 s is returned as it is, and in less than about 9 times ``taps`` no tone is looked for: it does not
    show what is steady. ``in_place`` writes into ``samples`` (float32). The output is bounded as in
    ``cancel_noise``. InputError for NaN and infinity, and for a delay below one sample.
    """
    if delay * rate < 1 or rumble_db < 0:  # what is foreseen over no delay is the signal itself
        raise InputError(f"a delay of {delay:g} s, {rumble_db:g} dB", mend="a sample at least, 0 dB at least")
    out = writable(samples, in_place)
    gain = _unit_gain(out, "the recording")
    if gain and len(out) >= rate:
        adaptive = BlockFilter(_taps(taps, rate))
        _subtract(adaptive, out, rate, gain, None, gain, delay=round(delay * rate))
        if rumble_db > 0:
            reduce_rumble(out, rate, 10 ** (-rumble_db / 20))
    return out


def _subtract(
    adaptive: BlockFilter,
    out: np.ndarray,
    rate: int,
    gain: float,
    reference: np.ndarray | Compact | None,
    reference_gain: float,
    delay: int = 0,
) -> None:
    """Subtract from ``out`` what ``adaptive`` makes of ``reference`` (None: of ``out``'s own past)."""
    block, taps = adaptive.block, adaptive.taps
    past = np.zeros(taps + delay, np.float32)
    fade = np.arange(1, block + 1, dtype=np.float32) / block
    passed = False  # the block before was passed as it came
    section = max(-(-round(SECTION * rate) // block), SHORTEST + 1) * block
    for start in range(0, len(out), section):
        part = slice(start, start + section)
        primary = _whole_blocks(out[part], block, gain)
        heard = primary if reference is None else _whole_blocks(reference[part], block, reference_gain)
        heard = np.concatenate([past, heard.ravel()])
        windows = [heard[i * block : i * block + adaptive.size] for i in range(len(primary))]
        if start == 0:
            adaptive.expect(primary)
        if reference is None and len(primary) > max(SHORTEST, rate // block):
            _expect_lines(adaptive, primary, first=start == 0)
        for _ in range(ROUNDS if start == 0 else 0):
            for window, wanted in zip(windows, primary, strict=True):
                adaptive.estimate(window, wanted)
        for i, (window, wanted) in enumerate(zip(windows, primary, strict=True)):
            noise = adaptive.estimate(window, wanted)
            left = wanted - noise
            worse = float(left @ left) > WORSE * float(wanted @ wanted)
            if not worse:
                if passed:
                    noise = noise * fade  # in slowly; out at once, or the block would not be bounded
                target = out[start + i * block : start + (i + 1) * block]
                target -= noise[: len(target)] / np.float32(gain)
            passed = worse
        past = heard[len(heard) - len(past) :]


def _expect_lines(adaptive: BlockFilter, primary: np.ndarray, first: bool) -> None:
    """Let the weights of those bins move whose power hardly ever goes away in ``primary`` [blocks, block].

    The share of a bin's mean power that its 10 % quietest frames still have is about 1 for a tone, 0.1
    for steady noise and 0.001 for speech; its square is the prior of the weight's squared size.
    """
    from scipy.fft import rfft

    frames = np.lib.stride_tricks.sliding_window_view(primary.ravel(), adaptive.size)[:: adaptive.block]
    power = _smooth(_power(rfft(frames * np.hanning(adaptive.size).astype(np.float32))), 3)
    quiet = len(power) // 10
    share = np.partition(power, quiet, axis=0)[quiet] / (power.mean(axis=0) + np.float32(1e-20))
    prior = np.minimum(share, 1) ** 2
    adaptive.uncertainty = prior if first else np.maximum(adaptive.uncertainty, np.float32(TRACKING) * prior)


def _taps(seconds: float, rate: int) -> int:
    taps = round(seconds * rate)
    if rate <= 0 or not 1 <= taps <= 1 << 20:
        raise InputError(f"a filter of {seconds:g} s at {rate} Hz", mend="0.03 to 0.5 s is usual")
    return taps


def _whole_blocks(samples: np.ndarray, block: int, gain: float) -> np.ndarray:
    """``samples`` times ``gain`` as float32 [blocks, block], zeros at the end of the last."""
    whole = np.zeros((-(-len(samples) // block), block), np.float32)
    whole.reshape(-1)[: len(samples)] = samples
    whole *= np.float32(gain)
    return whole


def _unit_gain(samples: np.ndarray | Compact, name: str) -> float:
    """What brings ``samples`` to a root mean square of 1; 0 for silence."""
    total, step = 0.0, 1 << 18
    for start in range(0, len(samples), step):
        wide = np.asarray(samples[start : start + step], dtype=np.float64)
        total += float(wide @ wide)
    if not np.isfinite(total):
        raise InputError(f"NaN or infinity in {name}")
    level = (total / max(len(samples), 1)) ** 0.5
    if level > LOUD:
        raise InputError(f"a level of {level:g} in {name}", mend="samples within -1 and 1")
    return 1 / level if level > QUIET else 0.0


def _power(spectrum: np.ndarray) -> np.ndarray:
    power: np.ndarray = spectrum.real**2 + spectrum.imag**2
    return power


def _smooth(power: np.ndarray, width: int = 5) -> np.ndarray:
    """Mean over ``width`` neighbouring bins of ``power`` [..., bin]: one block's power alone is too rough."""
    from scipy.ndimage import uniform_filter1d

    smoothed: np.ndarray = uniform_filter1d(power, width, axis=-1, mode="nearest")
    return smoothed

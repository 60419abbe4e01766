"""WebRTC's VAD, its decisions carried onto the feature frames."""

from __future__ import annotations

import numpy as np

from ..audio.filters import resample, to_int16
from ..formats.errors import InputError
from ..formats.frames import FrameGeometry

RATES = (8000, 16000, 32000, 48000)


def webrtc_vad(
    samples: np.ndarray,
    rate: int,
    geometry: FrameGeometry,
    *,
    mode: int = 2,
    frame_ms: int = 30,
    smooth: int = 1,
    hangover: int = 0,
) -> np.ndarray:
    """Speech decisions, bool [frames], for ``samples`` [time] in [-1, 1) at ``rate`` Hz.

    ``mode`` 0 (keeps most) to 3 (drops most); ``frame_ms`` 10, 20 or 30 is what webrtc decides at once.
    A feature frame takes the decision of the webrtc frame that holds its middle sample. The last,
    incomplete webrtc frame is filled up with zeros. Rates other than 8, 16, 32 and 48 kHz are resampled
    to 16 kHz for the decision. Then a majority vote over ``smooth`` (odd; 1: none) feature frames, and
    ``hangover`` frames before and after each stretch of speech count as speech too.
    """
    if mode not in range(4) or frame_ms not in (10, 20, 30):
        raise InputError(
            f"webrtc VAD with mode {mode}, frame_ms {frame_ms}", mend="mode 0 to 3, frame_ms 10, 20 or 30"
        )
    if smooth < 1 or smooth % 2 == 0 or hangover < 0:
        raise InputError(
            f"webrtc VAD with smooth {smooth}, hangover {hangover}", mend="smooth odd, hangover at least 0"
        )
    count = geometry.num_frames(len(samples), rate)
    if count == 0:
        return np.zeros(0, bool)
    decisions = _decisions(samples, rate, mode, frame_ms)
    first = geometry.first_sample(0, rate) + geometry.length(rate) // 2
    middles = first + geometry.shift(rate) * np.arange(count, dtype=np.int64)
    index = middles * 1000 // (rate * frame_ms)
    voiced = decisions[index.clip(0, len(decisions) - 1)]
    return _hung_over(_majority(voiced, smooth), hangover)


def _decisions(samples: np.ndarray, rate: int, mode: int, frame_ms: int) -> np.ndarray:
    import webrtcvad

    if rate not in RATES:
        samples, rate = resample(samples, rate, 16000), 16000
    size = rate * frame_ms // 1000
    count = -(-len(samples) // size)
    pcm = np.zeros(count * size, np.int16)
    pcm[: len(samples)] = to_int16(samples)[0]
    view = memoryview(pcm.tobytes())
    vad = webrtcvad.Vad(mode)
    step = 2 * size
    return np.fromiter(
        (vad.is_speech(view[at : at + step], rate) for at in range(0, count * step, step)), bool, count
    )


def _majority(voiced: np.ndarray, width: int) -> np.ndarray:
    if width < 2:
        return voiced
    start, end = _neighbours(len(voiced), width // 2)
    total = np.concatenate(([0], np.cumsum(voiced)))
    return 2 * (total[end] - total[start]) > end - start


def _hung_over(voiced: np.ndarray, frames: int) -> np.ndarray:
    if frames == 0:
        return voiced
    start, end = _neighbours(len(voiced), frames)
    total = np.concatenate(([0], np.cumsum(voiced)))
    return total[end] > total[start]


def _neighbours(count: int, reach: int) -> tuple[np.ndarray, np.ndarray]:
    t = np.arange(count)
    return np.maximum(t - reach, 0), np.minimum(t + reach + 1, count)

"""WebRTC's VAD, its decisions carried onto the feature frames."""

from __future__ import annotations

import numpy as np

from ..audio.filters import to_int16
from ..formats.frames import FrameGeometry
from .options import check_webrtc
from .windows import blocks, middles

RATES = (8000, 16000, 32000, 48000)
_BLOCK = 1000  # webrtc frames turned into 16 bits at once: 30 s at most


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
    check_webrtc(mode, frame_ms, smooth, hangover)
    count = geometry.num_frames(len(samples), rate)
    if count == 0:
        return np.zeros(0, bool)
    decisions = _decisions(samples, rate, mode, frame_ms)
    index = middles(count, rate, geometry) * 1000 // (rate * frame_ms)
    voiced = decisions[index.clip(0, len(decisions) - 1)]
    return _hung_over(_majority(voiced, smooth), hangover)


def _decisions(samples: np.ndarray, rate: int, mode: int, frame_ms: int) -> np.ndarray:
    import webrtcvad

    at_rate = rate if rate in RATES else 16000
    size = at_rate * frame_ms // 1000
    is_speech, decisions = webrtcvad.Vad(mode).is_speech, bytearray()
    for block in blocks(samples, rate, at_rate, _BLOCK * size):
        pcm = to_int16(block)[0]
        pcm = np.pad(pcm, (0, -len(pcm) % size)).view(np.uint8).reshape(-1, 2 * size)
        decisions.extend([is_speech(frame, at_rate, size) for frame in pcm])
    return np.frombuffer(decisions, bool)


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

"""Clips to utterances: decode, trim, level, cut, join and encode (used by local/mini_build.py).

All levels are in dB relative to full scale, all times in seconds; audio is float32, mono, 16 kHz.
"""

from __future__ import annotations

import io
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import soundfile as sf
import soxr

RATE = 16000
SHORTEST, LONGEST = 2.0, 5.0  # an utterance, in seconds
PAUSE = 0.5  # longer ones inside a clip are cut down to half of this
LEVEL = -23.0  # RMS of the active frames
HOP = RATE // 100


@dataclass
class Clip:
    """One trimmed and levelled piece of a source file; ``source`` is its name inside the package."""

    source: str
    audio: np.ndarray = field(repr=False)

    @property
    def seconds(self) -> float:
        return len(self.audio) / RATE


def decode(data: bytes, suffix: str) -> np.ndarray:
    """The samples of one sound file at 16 kHz, mono; ``suffix`` says the kind (".g722", ".gsm", ...)."""
    if suffix == ".g722":
        audio, rate = _g722(data), 16000
    elif suffix == ".gsm":
        raw = {"format": "RAW", "subtype": "GSM610", "samplerate": 8000, "channels": 1}
        audio, rate = sf.read(io.BytesIO(data), dtype="float32", **raw)
    else:
        audio, rate = sf.read(io.BytesIO(data), dtype="float32")
    if audio.ndim > 1:
        audio = audio.mean(axis=1)
    if rate != RATE:
        audio = soxr.resample(audio, rate, RATE)
    return audio.astype(np.float32)


def _g722(data: bytes) -> np.ndarray:
    import av

    with av.open(io.BytesIO(data), format="g722") as handle:
        frames = [frame.to_ndarray().reshape(-1) for frame in handle.decode(audio=0)]
    if not frames:
        return np.zeros(0, np.float32)
    return np.concatenate(frames).astype(np.float32) / 32768.0


def frame_levels(audio: np.ndarray) -> np.ndarray:
    """RMS level of each 10 ms frame in dB, smoothed over 30 ms."""
    count = len(audio) // HOP
    if count == 0:
        return np.zeros(0)
    power = (audio[: count * HOP].reshape(count, HOP).astype(np.float64) ** 2).mean(axis=1)
    power = np.convolve(power, np.ones(3) / 3, mode="same")
    return 10 * np.log10(power + 1e-12)


def active(levels: np.ndarray) -> np.ndarray:
    """Which frames hold sound: near the loud ones and above the quietest tenth, for 40 ms or more."""
    loud, quiet = np.percentile(levels, 95), np.percentile(levels, 10)
    # a clip without any pause has no background to measure: its quiet tenth must not rule out speech
    on = levels > max(loud - 28, min(quiet + 8, loud - 20))
    for first, last in runs(on):
        if last - first < 4:  # a click
            on[first:last] = False
    return on


def runs(on: np.ndarray) -> list[tuple[int, int]]:
    """(first, end) of each stretch of True."""
    edges = np.flatnonzero(np.diff(np.concatenate(([0], on.astype(np.int8), [0]))))
    return list(zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True))


def trim(audio: np.ndarray) -> np.ndarray:
    """``audio`` without leading and trailing silence, and with pauses above PAUSE cut down to half of it.

    60 ms are kept on either side of what is loud; empty when nothing is.
    """
    audio = audio - audio.mean() if len(audio) else audio
    levels = frame_levels(audio)
    if len(levels) < 10 or np.percentile(levels, 95) < -50:
        return audio[:0]
    sounds = runs(active(levels))
    if not sounds:
        return audio[:0]
    first, last = max(sounds[0][0] - 6, 0), min(sounds[-1][1] + 6, len(levels))
    keep = np.ones(len(audio), bool)
    keep[: first * HOP] = keep[last * HOP :] = False
    for (_, before), (after, _) in zip(sounds, sounds[1:], strict=False):
        spare = (after - before) * HOP - round(PAUSE * RATE)
        if spare > 0:
            middle = (before + after) * HOP // 2
            half = (spare + round(PAUSE * RATE / 2)) // 2
            keep[middle - half : middle + half] = False
    return audio[keep]


def levelled(audio: np.ndarray) -> np.ndarray:
    """``audio`` at LEVEL (active frames), the peaks kept below 0.95, with 5 ms ramps at both ends."""
    levels = frame_levels(audio)
    on = active(levels)
    rms = math.sqrt(float(np.mean(10 ** (levels[on] / 10))))
    gain = min(10 ** (LEVEL / 20) / rms, 0.95 / float(np.abs(audio).max()))
    audio = audio * gain
    ramp = np.linspace(0, 1, RATE // 200, dtype=np.float32)
    audio[: len(ramp)] *= ramp
    audio[-len(ramp) :] *= ramp[::-1]
    return audio.astype(np.float32)


def tonal(audio: np.ndarray) -> bool:
    """A beep: one narrow peak holds nearly all the power of most frames, and stays put."""
    size = 1024
    count = len(audio) // size
    if count < 2:
        return False
    frames = audio[: count * size].reshape(count, size) * np.hanning(size)
    power = np.abs(np.fft.rfft(frames, axis=1)) ** 2
    strong = power.sum(axis=1) > 0.01 * power.sum(axis=1).max()
    power = power[strong]
    peak = power.argmax(axis=1)
    near = np.array([row[max(p - 2, 0) : p + 3].sum() for row, p in zip(power, peak, strict=True)])
    pure = near / power.sum(axis=1) > 0.98  # a sung vowel can reach 0.95
    steady = np.std(peak[pure]) < 1.5 if pure.any() else False
    return bool(pure.mean() > 0.7 and steady)


def pieces(audio: np.ndarray) -> list[np.ndarray]:
    """Cut a clip longer than LONGEST at its quietest moments into pieces of 2.4-4.8 s; drop the rest."""
    found = []
    while len(audio) > LONGEST * RATE:
        levels = np.convolve(frame_levels(audio), np.ones(9) / 9, mode="same")
        at = (240 + int(levels[240:480].argmin())) * HOP
        found.append(audio[:at])
        audio = audio[at:]
    return [*found, audio]


def clips(data: bytes, suffix: str, source: str) -> list[Clip]:
    """The usable pieces of one source file, each trimmed and levelled; none for silence and beeps."""
    found = []
    for piece in pieces(trim(decode(data, suffix))):
        piece = trim(piece)
        if len(piece) >= 0.25 * RATE and len(piece) <= LONGEST * RATE and not tonal(piece):
            found.append(Clip(source, levelled(piece)))
    return found


def join(parts: Sequence[Clip], pauses: Sequence[float]) -> Clip:
    """Clips one after another with the given pauses (one fewer than clips) between them."""
    sound: list[np.ndarray] = []
    for part, pause in zip(parts, [*pauses, 0.0], strict=True):
        sound += [part.audio, np.zeros(round(pause * RATE), np.float32)]
    return Clip("+".join(part.source for part in parts), np.concatenate(sound))


def choose(found: list[Clip], count: int, rng: np.random.Generator) -> list[Clip]:
    """At most ``count`` utterances of 2-5 s from one voice's clips, spread over the source.

    Clips that are long enough come first, one from each of ``count`` equal stretches of the list; what
    is missing is joined from the shorter ones, each clip used once.
    """
    whole = [clip for clip in found if clip.seconds >= SHORTEST]
    if len(whole) > count:
        edges = np.linspace(0, len(whole), count + 1).astype(int)
        return [whole[int(rng.integers(a, b))] for a, b in zip(edges, edges[1:], strict=False)]
    short = [clip for clip in found if clip.seconds < SHORTEST]
    return whole + _joined(short, count - len(whole), rng)


def _joined(short: list[Clip], count: int, rng: np.random.Generator) -> list[Clip]:
    order = [short[i] for i in rng.permutation(len(short))]
    total = sum(clip.seconds + 0.2 for clip in order)
    # little material makes short utterances rather than few of them; 0.5 s an utterance is lost to rounding
    wanted = min(max(total / max(count, 1) - 0.5, 2.05), 3.4)
    made: list[Clip] = []
    parts: list[Clip] = []
    pauses: list[float] = []
    goal = wanted
    for clip in order:
        if len(made) == count:
            break
        gap = float(rng.uniform(0.15, 0.25))
        length = sum(part.seconds for part in parts) + sum(pauses)
        if parts and length + gap + clip.seconds > LONGEST:
            continue  # too long for what is begun: left for nobody, the next may fit
        if parts:
            pauses.append(gap)
            length += gap
        parts.append(clip)
        if length + clip.seconds >= goal:
            made.append(join(parts, pauses))
            parts, pauses = [], []
            goal = max(2.05, wanted + float(rng.uniform(-0.5, 0.5)))
    return made


def encode(path: Path, audio: np.ndarray, level: float) -> None:
    """Write Ogg Opus; ``level`` 0 is 256 kbit/s and 1 is 6 kbit/s a channel, as libsndfile maps it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    sf.write(path, audio, RATE, format="OGG", subtype="OPUS", compression_level=level)


def difference(ours: Path, shipped: Path) -> float:
    """Power of the difference of two sound files over the power of the second; inf if the lengths differ."""
    a, _ = sf.read(ours, dtype="float64")
    b, _ = sf.read(shipped, dtype="float64")
    if a.shape != b.shape:
        return math.inf
    return float(((a - b) ** 2).sum() / max((b**2).sum(), 1e-12))

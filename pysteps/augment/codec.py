"""Speech through telephones and coders: what comes out is as long as what went in and aligned to the sample.

Each function takes float32 [time] in about [-1, 1) at ``rate`` Hz, gives float32 [time] back at the same
rate and is deterministic. Coders hear 16 bits: what lies above full scale is clipped on the way in, and
NaN or infinity is an InputError. ``in_place`` writes the result into ``samples`` (float32).
"""

from __future__ import annotations

import io
from typing import cast

import numpy as np

from ..audio.filters import bandpass, to_int16
from ..formats.errors import InputError
from .bitrates import OPUS_KBPS, mp3_coding
from .blocks import BLOCK, at_rate, filled, gathered, in_blocks, room_for

TELEPHONE_RATE = 8000
TELEPHONE_BAND = (300.0, 3400.0)
_OPUS_RATES = (16000, 24000, 48000)  # that it takes: others go through the next higher one, or the highest


def telephone(samples: np.ndarray, rate: int, *, in_place: bool = False) -> np.ndarray:
    """The band of a telephone, 300 to 3400 Hz (Butterworth, zero phase), through 8 kHz and back."""
    low, high = TELEPHONE_BAND
    expected = -(-len(samples) * TELEPHONE_RATE // rate) + 1
    narrow = gathered(at_rate(in_blocks(samples), rate, TELEPHONE_RATE), expected)
    bandpass(narrow, TELEPHONE_RATE, low, high, in_place=True)
    out = room_for(samples, in_place)
    return filled(out, at_rate(in_blocks(narrow), TELEPHONE_RATE, rate))


def mulaw(samples: np.ndarray, rate: int, *, in_place: bool = False) -> np.ndarray:
    """ITU-T G.711 mu-law (telephony in North America and Japan): 8 bits, through 8 kHz and back."""
    return _through_file(samples, rate, "RAW", "ULAW", in_place)


def alaw(samples: np.ndarray, rate: int, *, in_place: bool = False) -> np.ndarray:
    """ITU-T G.711 A-law (telephony elsewhere): 8 bits, through 8 kHz and back."""
    return _through_file(samples, rate, "RAW", "ALAW", in_place)


def gsm(samples: np.ndarray, rate: int, *, in_place: bool = False) -> np.ndarray:
    """GSM 06.10 full rate (ETSI EN 300 961): 13 kbit/s, through 8 kHz and back."""
    return _through_file(samples, rate, "WAV", "GSM610", in_place)


def mp3(samples: np.ndarray, rate: int, kbps: int, *, in_place: bool = False) -> np.ndarray:
    """MPEG layer III (LAME) at a constant ``kbps`` kbit/s, brought to the nearest that the layer knows.

    At 16 to 24 kHz that is 8 to 160, above 32 to 320, below 8 to 64; others are an InputError. Quality 7
    of LAME's 0 to 9: twice as fast as its default.
    """
    coded, low, high = mp3_coding(rate)
    _check(kbps, low, high, f"mp3 at {coded} Hz")
    options = {"compression_level": "7"}
    return _through_coder(samples, rate, coded, "libmp3lame", "mp3", kbps, options, in_place)


def opus(samples: np.ndarray, rate: int, kbps: int, *, in_place: bool = False) -> np.ndarray:
    """Opus (RFC 6716, libopus) at a mean of about ``kbps`` kbit/s, 12 to 256; others are an InputError.

    Speech up to about 24 kbit/s is coded by its linear-predictive part (SILK), above by its transform
    part. Complexity 5 of 0 to 10, as telephones have it.
    """
    _check(kbps, *OPUS_KBPS, "opus")
    coded = next((known for known in _OPUS_RATES if known >= rate), _OPUS_RATES[-1])
    options = {"compression_level": "5"}
    return _through_coder(samples, rate, coded, "libopus", "ogg", kbps, options, in_place)


def _check(kbps: int, low: int, high: int, what: str) -> None:
    if not low <= kbps <= high:
        raise InputError(f"{what} with {kbps} kbit/s", mend=f"{low} to {high} kbit/s")


def _through_file(
    samples: np.ndarray, rate: int, container: str, subtype: str, in_place: bool
) -> np.ndarray:
    # libsndfile's own coders, in memory, at the rate of a telephone.
    if len(samples) == 0:
        return np.zeros(0, np.float32)
    import soundfile

    told = {"samplerate": TELEPHONE_RATE, "channels": 1, "format": container, "subtype": subtype}
    memory = io.BytesIO()
    with soundfile.SoundFile(memory, "w", **told) as file:
        for block in at_rate(in_blocks(samples), rate, TELEPHONE_RATE):
            file.write(to_int16(block)[0])
    memory.seek(0)
    # A raw file does not say what it is; the others must be asked.
    with soundfile.SoundFile(memory, **(told if container == "RAW" else {})) as file:
        decoded = file.blocks(BLOCK, frames=file.frames, dtype="float32")
        return filled(room_for(samples, in_place), at_rate(decoded, TELEPHONE_RATE, rate))


def _through_coder(
    samples: np.ndarray,
    rate: int,
    coded: int,
    coder: str,
    container: str,
    kbps: int,
    options: dict[str, str],
    in_place: bool,
) -> np.ndarray:
    # The container says how long encoder and decoder delay; the demuxer takes it away.
    if len(samples) == 0:
        return np.zeros(0, np.float32)
    import av
    from av.audio.stream import AudioStream

    memory, at = io.BytesIO(), 0
    with av.open(memory, "w", format=container) as out:
        stream = cast(AudioStream, out.add_stream(coder, rate=coded, layout="mono", options=options))
        stream.bit_rate = 1000 * kbps
        for block in at_rate(in_blocks(samples), rate, coded):
            if len(block):
                frame = av.AudioFrame.from_ndarray(to_int16(block)[0][None], format="s16", layout="mono")
                frame.sample_rate, frame.pts = coded, at
                at += len(block)
                out.mux(stream.encode(frame))
        out.mux(stream.encode(None))
    memory.seek(0)
    with av.open(memory, "r") as file:
        decoded = (frame.to_ndarray()[0] for frame in file.decode(audio=0))
        told = file.streams.audio[0].rate
        return filled(room_for(samples, in_place), at_rate(decoded, told, rate))

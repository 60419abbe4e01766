"""Which bit rates coders take, so that a run is refused before its first stage and not in its fourth."""

from __future__ import annotations

# Below 12 kbit/s Opus goes narrow-band, and is then some 0.1 ms late.
OPUS_KBPS = (12, 256)
# Sample rates of layer III: others go through the next higher one, or the highest.
_MP3_RATES = (8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000)
# ISO/IEC 11172-3 and 13818-3: the bit rates of layer III from a sample rate on, kbit/s.
_MP3_KBPS = ((32000, 32, 320), (16000, 8, 160), (0, 8, 64))


def mp3_coding(rate: int) -> tuple[int, int, int]:
    """For audio at ``rate`` Hz: the rate that MPEG layer III codes it at, lowest and highest kbit/s."""
    coded = next((known for known in _MP3_RATES if known >= rate), _MP3_RATES[-1])
    low, high = next((low, high) for first, low, high in _MP3_KBPS if coded >= first)
    return coded, low, high

"""The pools that augmentation draws from, for recipes without MUSAN and RIRS_NOISES of their own.

Noise and music are those shipped in egs/mini/corpus/musan; rooms are simulated (image method, pyroomacoustics:
Scheibler et al., ICASSP 2018): shoeboxes of 3 to 10 m with a reverberation time of 0.1 to 0.6 s.
"""

from __future__ import annotations

import io
import wave
from pathlib import Path

import numpy as np

from pysteps.formats.atomic import replacing
from pysteps.formats.errors import InputError
from pysteps.formats.rng import generator
from pysteps.formats.tables import write_table

ROOMS = 40
RATE = 16000
SECONDS = 0.7  # of a response; what comes later is below -60 dB


def simulate_room(number: int, seed: int) -> np.ndarray:
    """One room response [time] at 16 kHz, float64, its peak at 1."""
    import pyroomacoustics as pra

    rng = generator(seed, f"room{number:02d}", "simulate")
    size = np.asarray([rng.uniform(3, 10), rng.uniform(3, 8), rng.uniform(2.4, 3.6)])
    seconds = rng.uniform(0.1, 0.6)
    # Sabine's formula allows no shorter time in a large room; the walls then absorb all they can.
    absorption = min(
        0.95,
        0.161 * size.prod() / (seconds * 2 * (size[0] * size[1] + size[1] * size[2] + size[2] * size[0])),
    )
    room = pra.ShoeBox(size, fs=RATE, materials=pra.Material(absorption), max_order=12)
    talker, microphone = (size * rng.uniform(0.15, 0.85, 3) for _ in range(2))
    room.add_source(talker)
    room.add_microphone(microphone)
    room.compute_rir()
    response = np.asarray(room.rir[0][0], np.float64)[: int(SECONDS * RATE)]
    return response / np.abs(response).max()


def write_wav(path: Path, samples: np.ndarray) -> None:
    """16-bit mono wav of ``samples`` [time] in [-1, 1], whole or not at all."""
    buffer = io.BytesIO()
    with wave.open(buffer, "wb") as wav:
        wav.setnchannels(1)
        wav.setsampwidth(2)
        wav.setframerate(RATE)
        wav.writeframes(np.rint(samples * 32767).astype("<i2").tobytes())
    with replacing(path, "wb") as handle:
        handle.write(buffer.getvalue())


def prepare_pools(corpus: Path, data: Path, seed: int) -> None:
    """Write data/{noise,music,rirs}/wav.scp; ``corpus`` is egs/mini/corpus."""
    for pool in ("noise", "music"):
        files = sorted((corpus / "musan" / pool).rglob("*.opus"))
        if not files:
            raise InputError(f"no {pool}", where=corpus / "musan" / pool, mend="the checkout is not whole")
        write_table(data / pool / "wav.scp", {file.stem: str(file) for file in files})
    rooms = {}
    for number in range(1, ROOMS + 1):
        path = data / "rirs" / "wav" / f"room{number:02d}.wav"
        write_wav(path, simulate_room(number, seed))
        rooms[path.stem] = str(path)
    write_table(data / "rirs" / "wav.scp", rooms)

"""The pools that augmentation draws from, for recipes without MUSAN and RIRS_NOISES of their own.

Noise and music are those shipped in egs/mini/corpus/musan; rooms are simulated at stage 0.
"""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import soundfile

from pysteps.formats.atomic import replacing
from pysteps.formats.errors import InputError
from pysteps.formats.rng import generator
from pysteps.formats.tables import write_table

ROOMS, RATE = 40, 16000


def place(path: Path) -> str:
    """``path`` as a wav.scp should name it: from the current folder when it lies below it, else absolute."""
    here, path = Path.cwd().resolve(), path.resolve()
    return path.relative_to(here).as_posix() if path.is_relative_to(here) else str(path)


def room_response(seed: int, name: str) -> tuple[np.ndarray, str]:
    """A simulated room's impulse response at 16 kHz (peak 0.5, 1 ms before the direct sound kept).

    A shoebox by the image-source method (Allen and Berkley 1979, pyroomacoustics), its absorption from
    Sabine's formula for a reverberation time drawn from 0.1-0.6 s; also a text that says what was drawn.
    """
    import pyroomacoustics as room_acoustics

    # its sum over images is split among threads: one thread gives the same bytes on every machine
    room_acoustics.constants.set("num_threads", 1)
    rng = generator(seed, name, "room")
    size = rng.uniform((3.0, 3.0, 2.4), (9.0, 8.0, 4.0))
    floor = 0.163 * size.prod() / (2 * (size[0] * size[1] + size[0] * size[2] + size[1] * size[2]))
    time = rng.uniform(max(0.1, 1.05 * floor), 0.6)  # below the floor no wall absorbs enough
    source, microphone = (rng.uniform(0.5, size - 0.5) for _ in range(2))
    absorption, order = room_acoustics.inverse_sabine(time, size)
    room = room_acoustics.ShoeBox(
        size, fs=RATE, materials=room_acoustics.Material(absorption), max_order=min(order, 40)
    )
    room.add_source(source)
    room.add_microphone(microphone)
    room.compute_rir()
    response = np.asarray(room.rir[0][0])
    first = max(int(np.abs(response).argmax()) - RATE // 1000, 0)
    response = response[first : first + int(1.2 * time * RATE)]
    text = " ".join(f"{value:.2f}" for value in (*size, time))
    return response * (0.5 / np.abs(response).max()), text


def write_wav(path: Path, samples: np.ndarray) -> None:
    """``samples`` (int16, or float in [-1, 1]) as a 16-bit WAV of 16 kHz."""
    memory = io.BytesIO()  # libsndfile would report a full disk in its own words
    soundfile.write(memory, samples, RATE, format="WAV", subtype="PCM_16")
    with replacing(path, "wb") as handle:
        handle.write(memory.getvalue())


def write_rooms(folder: Path, seed: int, count: int = ROOMS) -> None:
    """``folder``/wav.scp with ``count`` room responses (16-bit) and rooms (size in m, RT60 in s)."""
    wav, rooms = {}, {}
    for name in (f"room-{number:03d}" for number in range(1, count + 1)):
        response, rooms[name] = room_response(seed, name)
        path = folder / "wav" / f"{name}.wav"
        write_wav(path, response)
        wav[name] = place(path)
    write_table(folder / "rooms", rooms)
    write_table(folder / "wav.scp", wav)


def prepare_pools(corpus: Path, data: Path, seed: int, rooms: int = ROOMS) -> None:
    """What augmentation draws from: data/noise, data/music and data/rirs, each with its wav.scp."""
    for kind in ("noise", "music"):
        files = sorted((corpus / "musan" / kind).glob("*/*.opus"))
        if not files:
            raise InputError(f"no musan/{kind}/*/*.opus", where=corpus, mend="--corpus is egs/mini/corpus")
        write_table(data / kind / "wav.scp", {f"{kind}-{file.stem}": place(file) for file in files})
    write_rooms(data / "rirs", seed, rooms)

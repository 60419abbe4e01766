"""The pools that augmentation draws from: MUSAN and RIRS_NOISES where they are, else what is shipped.

Shipped are the noise and music in egs/mini/corpus/musan; rooms are then simulated at stage 0.
--augment.noise, --augment.music and --augment.rooms name the pools that a run draws from (docs/augment.md).
"""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import soundfile

from pysteps.formats.atomic import replacing
from pysteps.formats.errors import InputError
from pysteps.formats.rng import generator
from pysteps.formats.tables import write_table
from pysteps.prepare.corpus import Corpus, files, inside, warn

ROOMS, RATE = 40, 16000
SHIPPED = Path("egs/mini/corpus")
KINDS = ("noise", "music", "speech")
EXTRA = ("speech", "music-instrumental", "rirs-real", "noise-point", "noise-isotropic")
AUDIO = (".wav", ".flac", ".ogg", ".opus")
_RIRS = "--prepare.roots.rirs_noises is the folder RIRS_NOISES, unpacked from rirs_noises.zip (SLR28)"


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


def prepare_pools(corpus: Corpus, data: Path, seed: int, rooms: int = ROOMS) -> None:
    """What augmentation draws from: data/noise, data/music, data/rirs and, of what else is there,
    data/speech, data/music-instrumental, data/rirs-real, data/noise-point and data/noise-isotropic.

    MUSAN and RIRS_NOISES are those that --prepare.roots.musan and --prepare.roots.rirs_noises name, or that
    lie below the corpus; else what is shipped, and simulated rooms.
    """
    for name in EXTRA:  # of an earlier corpus
        (data / name / "wav.scp").unlink(missing_ok=True)
    write_musan(data, corpus.optional("musan", "musan", "MUSAN"))
    responses = corpus.optional("rirs_noises", "RIRS_NOISES", "rirs_noises")
    if responses is None:
        write_rooms(data / "rirs", seed, rooms)
    else:
        write_responses(data, responses)


def write_musan(data: Path, musan: Path | None) -> None:
    """data/{noise,music,speech} of KIND/SOURCE/KIND-SOURCE-NNNN.wav (openslr.org, SLR17; Snyder et al. 2015).

    As in Kaldi's steps/data/make_musan.py, music that its source's ANNOTATIONS (`NAME GENRES Y|N MUSICIAN`)
    do not list is left out. data/music-instrumental is music without vocals (N). Kinds that a part of MUSAN
    lacks are those that are shipped.
    """
    folder = SHIPPED / "musan" if musan is None else musan
    if not any((folder / kind).is_dir() for kind in KINDS):
        mend = "--prepare.roots.musan is the folder that holds noise/, music/ and speech/"
        raise InputError(f"no noise/, music/ or speech/; {inside(folder)}", where=folder, mend=mend)
    for kind in KINDS:
        there = files(folder / kind, AUDIO, 1) if (folder / kind).is_dir() else []
        if kind == "music":
            there = _annotated(data, folder / kind, there)
        if not there and kind != "speech":
            warn(f"no recordings in {folder / kind}: {kind} is what is shipped")
            there = files(SHIPPED / "musan" / kind, AUDIO, 1)
        if there:
            write_table(data / kind / "wav.scp", _entries(there, f"{kind}-"))


def _annotated(data: Path, folder: Path, there: list[Path]) -> list[Path]:
    # Music that the owners list; where there is no list at all (what is shipped), everything.
    vocals: dict[str, bool] = {}
    for path in sorted(folder.glob("*/ANNOTATIONS")):
        for number, line in enumerate(path.read_text("utf-8").splitlines(), 1):
            fields = line.split()
            if fields and (len(fields) < 3 or fields[2] not in ("Y", "N")):
                raise InputError("not `NAME GENRES Y|N MUSICIAN`", where=path, line=number)
            if fields:
                vocals[fields[0]] = fields[2] == "Y"
    if not vocals:
        return there
    kept = [file for file in there if file.stem in vocals]
    if len(kept) < len(there):
        warn(f"{folder}: {len(there) - len(kept)} recordings are not in ANNOTATIONS and left out")
    plain = _entries([file for file in kept if not vocals[file.stem]], "music-")
    if plain:
        write_table(data / "music-instrumental" / "wav.scp", plain)
    return kept


def write_responses(data: Path, corpus: Path) -> None:
    """Rooms and noises of RIRS_NOISES (openslr.org, SLR28; Ko et al. 2017):

    - rirs: simulated_rirs/{smallroom,mediumroom}/RoomNNN/RoomNNN-NNNNN.wav, as in Kaldi's egs/voxceleb; where
      those are not there, the real ones;
    - rirs-real: those of real_rirs_isotropic_noises/rir_list (`--rir-id ID --room-id ROOM FILE`), without the
      list all but the noises (DATABASE_typeN_noise_...);
    - noise-isotropic: that folder's noise_list, or the noises; noise-point: pointsource_noises.

    Of recordings with several channels augmentation hears the first.
    """
    simulated = {}
    for size in ("smallroom", "mediumroom"):
        if (corpus / "simulated_rirs" / size).is_dir():
            found = files(corpus / "simulated_rirs" / size, (".wav",), 1)
            simulated.update(_entries(found, f"{size}-"))
    real, point = corpus / "real_rirs_isotropic_noises", corpus / "pointsource_noises"
    pools = {
        "rirs-real": _listed(real, "rir_list", lambda name: "_noise_" not in name),
        "noise-isotropic": _listed(real, "noise_list", lambda name: "_noise_" in name),
        "noise-point": _listed(point, "noise_list", lambda _: True),
    }
    pools["rirs"] = simulated or pools["rirs-real"]
    if not pools["rirs"]:
        looked = "simulated_rirs/{smallroom,mediumroom}/*/*.wav and no real_rirs_isotropic_noises/*.wav"
        raise InputError(f"no {looked}; {inside(corpus)}", where=corpus, mend=_RIRS)
    if not simulated:
        warn(f"{corpus}: no simulated_rirs: data/rirs are the {len(pools['rirs'])} real rooms")
    for name, wav in pools.items():
        if wav:
            write_table(data / name / "wav.scp", wav)


def _listed(folder: Path, name: str, otherwise: Callable[[str], bool]) -> dict[str, str]:
    # Recordings of ``folder`` that its list names (its last word is RIRS_NOISES/FOLDER/FILE), else those for
    # which ``otherwise`` holds. What is listed and not there is counted.
    if not folder.is_dir():
        return {}
    there = {file.name: file for file in files(folder, (".wav",), 0)}
    chosen = [file for file in there if otherwise(file)]
    if (folder / name).is_file():
        lines = (folder / name).read_text("utf-8").splitlines()
        listed = [line.split()[-1].rpartition("/")[2] for line in lines if line.split()]
        chosen = [file for file in listed if file in there]
        if len(chosen) < len(listed):
            warn(f"{folder / name}: {len(listed) - len(chosen)} of {len(listed)} are not there")
    return _entries([there[file] for file in chosen], "")


def _entries(found: Sequence[Path], prefix: str) -> dict[str, str]:
    # A folder's place is looked up once: there are 40,000 simulated rooms.
    homes = {folder: place(folder) for folder in {file.parent for file in found}}
    return {f"{prefix}{file.stem}": f"{homes[file.parent]}/{file.name}" for file in found}

"""egs/mini: speech, noise and music as egs/mini/corpus holds them, and simulated rooms (stage 0).

The corpus names its speakers, their split and each utterance's file in speakers.tsv and utterances.tsv
(egs/mini/corpus/README.md). Voices of different packages differ in channel too, so the evaluation set has
three trial lists: all pairs, pairs within a package, and pairs within a package and gender.
"""

from __future__ import annotations

import argparse
import csv
import os
from collections.abc import Callable, Iterable, Mapping
from itertools import combinations
from pathlib import Path

import numpy as np
import soundfile

from pysteps.formats.atomic import replacing, write_text
from pysteps.formats.errors import InputError, guarded
from pysteps.formats.rng import generator
from pysteps.formats.tables import invert, write_table

SETS = ("train", "dev", "eval")
ROOMS, RATE = 40, 16000


def read_tsv(path: Path) -> list[dict[str, str]]:
    """The rows of a table with a header."""
    if not path.is_file():
        raise InputError("no such table", where=path, mend="--corpus is the folder that holds it")
    with open(path, encoding="utf-8", newline="") as handle:
        return list(csv.DictReader(handle, delimiter="\t", quoting=csv.QUOTE_NONE))


def place(path: Path) -> str:
    """``path`` as a wav.scp should name it: from the current folder when it lies below it, else absolute."""
    here, path = Path.cwd().resolve(), path.resolve()
    return path.relative_to(here).as_posix() if path.is_relative_to(here) else str(path)


def write_trials(
    path: Path, utts: Iterable[str], speaker: Mapping[str, str], group: Callable[[str], object]
) -> None:
    """``enrol test target|nontarget`` for each unordered pair of utterances of one group, sorted."""
    pairs = ((one, two) for one, two in combinations(sorted(utts), 2) if group(one) == group(two))
    kinds = ("nontarget", "target")
    write_text(path, "".join(f"{one} {two} {kinds[speaker[one] == speaker[two]]}\n" for one, two in pairs))


def write_set(corpus: Path, folder: Path, rows: list[dict[str, str]], genders: Mapping[str, str]) -> None:
    """wav.scp, utt2spk, spk2utt, spk2gender and utt2package of one set, and its trials."""
    utt2spk = {row["utterance"]: row["utterance"].rpartition("-")[0] for row in rows}
    package = {row["utterance"]: row["package"] for row in rows}
    write_table(folder / "wav.scp", {row["utterance"]: place(corpus / row["file"]) for row in rows})
    write_table(folder / "utt2spk", utt2spk)
    write_table(folder / "spk2utt", invert(utt2spk))
    write_table(folder / "spk2gender", {who: genders[who] for who in utt2spk.values()})
    write_table(folder / "utt2package", package)
    if folder.name == "dev":
        write_trials(folder / "trials", utt2spk, utt2spk, lambda utt: None)
    if folder.name == "eval":
        write_trials(folder / "trials.all", utt2spk, utt2spk, lambda utt: None)
        write_trials(folder / "trials.package", utt2spk, utt2spk, lambda utt: package[utt])
        write_trials(
            folder / "trials.gender", utt2spk, utt2spk, lambda utt: (package[utt], genders[utt2spk[utt]])
        )


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


def write_rooms(folder: Path, seed: int, count: int = ROOMS) -> None:
    """``folder``/wav.scp with ``count`` room responses (16-bit) and rooms (size in m, RT60 in s)."""
    wav, rooms = {}, {}
    for name in (f"room-{number:03d}" for number in range(1, count + 1)):
        response, rooms[name] = room_response(seed, name)
        path = folder / "wav" / f"{name}.wav"
        with replacing(path, "wb") as handle:
            soundfile.write(handle, response, RATE, format="WAV", subtype="PCM_16")
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


def prepare(corpus: Path, data: Path, seed: int) -> None:
    """Write data/{train,dev,eval,noise,music,rirs}."""
    people = {row["speaker"]: row for row in read_tsv(corpus / "speakers.tsv")}
    genders = {name: row["gender"] for name, row in people.items()}
    rows = read_tsv(corpus / "utterances.tsv")
    for name in SETS:
        mine = [row for row in rows if people[row["utterance"].rpartition("-")[0]]["split"] == name]
        write_set(corpus, data / name, mine, genders)
        speakers = {row["utterance"].rpartition("-")[0] for row in mine}
        print(f"{data / name}: {len(mine)} utterances of {len(speakers)} speakers", flush=True)
    prepare_pools(corpus, data, seed)


def main() -> None:
    """``python local/mini.py --corpus FOLDER --data FOLDER``."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--corpus", type=Path, required=True)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    guarded(lambda: prepare(Path(os.path.abspath(options.corpus)), options.data, options.seed))


if __name__ == "__main__":
    main()

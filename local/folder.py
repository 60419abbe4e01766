"""Any corpus that is a folder a speaker: ROOT/SPEAKER/**/*.{wav,flac,ogg,opus,mp3,m4a,sph ...}.

Speakers are split into train, dev and eval (80, 10 and 10 in a hundred, at least two each for dev and
eval) by a seeded draw. Trials are all pairs of a set's utterances (of UTTERANCES of them in a larger set).
If ROOT holds train/, dev/ and eval/ folders, that split is kept. A name with blanks gets "_" in their places.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from local.augmentation import prepare_pools
from pysteps.formats.errors import InputError
from pysteps.formats.rng import generator
from pysteps.formats.tables import invert, write_table
from pysteps.prepare.build import write_trials
from pysteps.prepare.corpus import Corpus
from pysteps.prepare.importing import whole_name
from pysteps.prepare.script import main
from pysteps.prepare.trials import all_pairs, drawn_utterances

SETS = ("train", "dev", "eval")
KINDS = tuple(".wav .flac .ogg .opus .mp3 .m4a .aac .mp4 .webm .sph .aiff .wma .amr".split())
UTTERANCES = 1000


def find_speakers(root: Path) -> dict[str, list[Path]]:
    """Speaker to its recordings, both sorted. InputError names all folders whose names become one."""
    found: dict[str, list[Path]] = {}
    folders: dict[str, list[str]] = {}
    for folder in sorted(path for path in root.iterdir() if path.is_dir()):
        files = sorted(path for path in folder.rglob("*") if path.suffix.lower() in KINDS)
        if files:
            speaker = whole_name(folder.name)
            found[speaker] = files
            folders.setdefault(speaker, []).append(repr(folder.name))
    same = [" and ".join(names) for names in folders.values() if len(names) > 1]
    if same:
        said = f"folders that would be one speaker, blanks being underscores: {'; '.join(same)}"
        raise InputError(said, where=root, mend="rename one of each")
    return found


def split(speakers: Sequence[str], seed: int) -> dict[str, list[str]]:
    """train, dev and eval by a seeded draw."""
    order = sorted(speakers, key=lambda speaker: generator(seed, speaker, "split").random())
    held = max(2, round(len(order) / 10))
    if len(order) < 2 * held + 2:
        raise InputError(
            f"{len(order)} speakers are too few to split", mend="6 are the least, 100 a beginning"
        )
    return {
        "dev": sorted(order[:held]),
        "eval": sorted(order[held : 2 * held]),
        "train": sorted(order[2 * held :]),
    }


def write_set(folder: Path, speakers: Mapping[str, Sequence[Path]]) -> dict[str, str]:
    """wav.scp, utt2spk and spk2utt; returns utt2spk. Names of files below a speaker make the utterance's."""
    wav, utt2spk = {}, {}
    for speaker, files in speakers.items():
        for file in files:
            names = [whole_name(part) for part in file.parts]
            below = file.parts[len(names) - names[::-1].index(speaker) :]
            utt = re.sub(r"\s", "_", "-".join([speaker, *below[:-1], file.stem]))
            if utt in wav:
                raise InputError(f"two recordings give the utterance {utt}", where=file, mend="rename one")
            wav[utt], utt2spk[utt] = str(file), speaker
    write_table(folder / "wav.scp", wav)
    write_table(folder / "utt2spk", utt2spk)
    write_table(folder / "spk2utt", invert(utt2spk))
    print(f"{folder}: {len(wav)} recordings of {len(speakers)} speakers")
    return utt2spk


def prepare(corpus: Corpus, data: Path, seed: int) -> None:
    """Write data/{train,dev,eval} and the pools that augmentation draws from."""
    if all((corpus.root / name).is_dir() for name in SETS):
        sets = {name: find_speakers(corpus.root / name) for name in SETS}
    else:
        speakers = find_speakers(corpus.root)
        sets = {
            name: {who: speakers[who] for who in chosen}
            for name, chosen in split(list(speakers), seed).items()
        }
    for name, speakers in sets.items():
        utt2spk = write_set(data / name, speakers)
        if name != "train":
            chosen = drawn_utterances(utt2spk, UTTERANCES, seed)
            write_trials(data / name / "trials", all_pairs(chosen))
    prepare_pools(corpus, data, seed)


if __name__ == "__main__":
    main(prepare, __doc__)

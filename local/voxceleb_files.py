"""VoxCeleb1 and VoxCeleb2 as they lie on disks: recordings, metadata, trial lists, speakers for training.

What local/voxceleb.py, voxceleb1.py, voxceleb12.py and voxceleb_to_*.py share. Layouts of both corpora:
- dev/wav/id10001/1zcIwhmdeo4/00001.wav beside test/wav, of VoxCeleb2 dev/aac/SPEAKER/VIDEO/NUMBER.m4a or the
  same as wav (Kaldi's egs/voxceleb/v1/local/make_voxceleb1_v2.pl and make_voxceleb2.pl, WeSpeaker's
  examples/voxceleb/v2/local/prepare_data.sh and m4a2wav.pl);
- wav/SPEAKER/VIDEO/NUMBER.wav, all speakers together (SpeechBrain's recipes/VoxCeleb; vox1_dev_wav.zip and
  vox1_test_wav.zip unpacked in one folder, or each in a folder of its name);
- SPEAKER/VIDEO/NUMBER, m4a and converted wav side by side (clovaai/voxceleb_trainer's dataprep.py).
Where a recording is there twice, its wav is taken. Who is in dev and in test is told by the speaker, not by
the folder: VoxCeleb1's test speakers are id10270 to id10309 (vox1_meta.csv), VoxCeleb2's are said by
vox2_meta.csv. Names of both corpora differ: id1.... and id0.....

Counts of speakers, recordings and trials are the owners' (robots.ox.ac.uk/~vgg/data/voxceleb), as
PaddleSpeech's examples/voxceleb/README.md has them.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from pysteps.formats.errors import InputError
from pysteps.formats.tables import read_words
from pysteps.prepare.build import SetBuilder, write_trials
from pysteps.prepare.corpus import Corpus, compare, inside, texts_of_files, warn
from pysteps.prepare.split import held_out
from pysteps.prepare.trials import balanced, drawn_utterances

OWNERS = "the owners' page"
DEV_SPEAKERS = 40  # as many as VoxCeleb1-O has
DEV_UTTERANCES, DEV_TRIALS = 2000, 100  # of all of them; of each of them and kind
TEST1 = {f"id{number}" for number in range(10270, 10310)}
LISTS = {  # name: the owners' file, its trials
    "O-cleaned": ("veri_test2.txt", 37611),
    "O-original": ("veri_test.txt", 37720),
    "E-cleaned": ("list_test_all2.txt", 579818),
    "E-original": ("list_test_all.txt", 581480),
    "H-cleaned": ("list_test_hard2.txt", 550894),
    "H-original": ("list_test_hard.txt", 552536),
}
ONLY_O = ("O-cleaned", "O-original")
PACKED = (".zip", ".tar", ".tar.gz", "_partaa")


@dataclass(frozen=True)
class Vox:
    """One of the two corpora: ``prefix`` begins its speakers' names."""

    name: str
    prefix: str
    places: tuple[str, ...]  # below --corpus
    folders: tuple[str, ...]  # below its own folder
    meta: str


VOX1 = Vox(
    "VoxCeleb1",
    "id1",
    ("voxceleb1", "VoxCeleb1", "vox1"),
    ("dev/wav", "test/wav", "vox1_dev_wav/wav", "vox1_test_wav/wav", "wav", "."),
    "vox1_meta.csv",
)
VOX2 = Vox(
    "VoxCeleb2",
    "id0",
    ("voxceleb2", "VoxCeleb2", "vox2", "voxceleb2_wav", "voxceleb2_m4a"),
    ("dev/wav", "dev/aac", "wav", "aac", "."),
    "vox2_meta.csv",
)


@dataclass(frozen=True)
class Person:
    """What the metadata say of a speaker: ``name`` is the id in VGGFace, ``part`` dev or test."""

    name: str
    gender: str
    part: str


def place(corpus: Corpus, vox: Vox) -> Path:
    """Where one of the two lies: named, below the corpus, or the corpus's folder itself."""
    return corpus.optional(vox.name.lower(), *vox.places) or corpus.root


def recordings(corpus: Corpus, vox: Vox) -> dict[str, str]:
    """Utterance (id10001-1zcIwhmdeo4-00001) to file, of dev and test together; InputError where none is."""
    root = place(corpus, vox)
    folders = [root / name for name in vox.folders if _has_speakers(root / name, vox.prefix)]
    found: dict[str, str] = {}
    for folder in folders:
        for path in texts_of_files(folder, (".wav", ".flac", ".m4a"), 2):
            speaker, video, name = path.rsplit("/", 3)[1:]
            if speaker.startswith(vox.prefix):
                utt = f"{speaker}-{video}-{name.rpartition('.')[0]}"
                if utt not in found or path.endswith(".wav"):
                    found[utt] = path
    if not found:
        _refuse(root, vox, folders)
    return found


def _has_speakers(folder: Path, prefix: str) -> bool:
    return folder.is_dir() and any(entry.name.startswith(prefix) for entry in os.scandir(folder))


def _refuse(root: Path, vox: Vox, folders: list[Path]) -> NoReturn:
    # InputError that says what was looked for, and what the folder looks like instead.
    mend = f"--prepare.roots.{vox.name.lower()} FOLDER is the folder that holds one of them"
    packed = [name for name in sorted(os.listdir(root)) if name.endswith(PACKED)]
    if (root / "voxceleb1_wav").is_dir():
        mend = "voxceleb1_wav/ is version 1.0, with people's names: get version 1.1, with id10001 and so on"
    elif folders:
        mend = f"{folders[0]} has speakers without SPEAKER/VIDEO/NUMBER.wav or .m4a: unpack it again"
    elif packed:
        mend = f"unpack {packed[0]} there (parts: cat them together first)"
    looked = ", ".join(f"{name}/{vox.prefix}..../" for name in vox.folders)
    raise InputError(f"no {vox.name} here: looked for {looked}; {inside(root)}", where=root, mend=mend)


def beside(corpus: Corpus, name: str) -> Path | None:
    """A list or table of the owners: in the folder that --prepare.roots.voxceleb_lists names (or lists/,
    meta/ below the corpus), in either corpus or its meta/, or beside them."""
    lists = corpus.optional("voxceleb_lists", "voxceleb_lists", "lists", "meta")
    homes = [place(corpus, VOX1), place(corpus, VOX2), corpus.root]
    folders = [*([lists] if lists else []), *(home / sub for home in homes for sub in (".", "meta"))]
    return next((folder / name for folder in folders if (folder / name).is_file()), None)


def read_people(corpus: Corpus, vox: Vox) -> dict[str, Person]:
    """Speaker to what vox1_meta.csv (id, name, gender, nationality, set) or vox2_meta.csv (id, name, gender,
    set) says; between tabs or commas, as both are about. Empty, with a warning, where there is none."""
    path = beside(corpus, vox.meta)
    if path is None:
        warn(f"no {vox.meta} beside {vox.name}: genders are not known")
        return {}
    people = {}
    for number, line in enumerate(path.read_text("utf-8-sig").splitlines(), 1):
        fields = [field.strip() for field in re.split("[\t,]", line)]
        if not fields[0].startswith("id"):  # the heading, an empty line
            continue
        if len(fields) < 4 or fields[-1] not in ("dev", "test"):
            raise InputError("not `id, name, gender, ... dev|test`", where=path, line=number)
        people[fields[0]] = Person(fields[1], fields[2], fields[-1])
    return people


def speaker_of(utt: str) -> str:
    """id10001 of id10001-1zcIwhmdeo4-00001."""
    return utt.partition("-")[0]


def video_of(utt: str) -> str:
    """1zcIwhmdeo4 of id10001-1zcIwhmdeo4-00001; a video's name may hold hyphens."""
    return utt.partition("-")[2].rpartition("-")[0]


def count(found: Iterable[str]) -> dict[str, int]:
    """Speakers and utterances."""
    utts = list(found)
    return {"speakers": len(set(map(speaker_of, utts))), "utterances": len(utts)}


def voxceleb1(corpus: Corpus) -> dict[str, str]:
    """All of VoxCeleb1, its counts compared; dev may be missing (not test: every recipe judges on it)."""
    found = recordings(corpus, VOX1)
    dev = count(utt for utt in found if speaker_of(utt) not in TEST1)
    test = count(utt for utt in found if speaker_of(utt) in TEST1)
    if dev["utterances"]:
        compare("VoxCeleb1 dev", dev, {"speakers": 1211, "utterances": 148642}, OWNERS)
    compare("VoxCeleb1 test", test, {"speakers": 40, "utterances": 4874}, OWNERS)
    return found


def voxceleb1_dev(found: Mapping[str, str]) -> dict[str, str]:
    """Who may be trained on of VoxCeleb1; InputError where nobody is left."""
    dev = {utt: path for utt, path in found.items() if speaker_of(utt) not in TEST1}
    if not dev:
        where = next(iter(found.values()))
        raise InputError(
            "VoxCeleb1's test speakers are here, dev's are not", where=where, mend="unpack vox1_dev_wav.zip"
        )
    return dev


def voxceleb2_dev(corpus: Corpus, people: Mapping[str, Person]) -> dict[str, str]:
    """VoxCeleb2's dev, its counts compared; InputError where test speakers are mixed in and nothing tells
    who they are (vox2_meta.csv does)."""
    found = recordings(corpus, VOX2)
    test = {name for name, one in people.items() if one.part == "test" and name.startswith(VOX2.prefix)}
    dev = {utt: path for utt, path in found.items() if speaker_of(utt) not in test} if test else found
    counts = count(dev)
    if len(dev) < len(found):
        said = f"VoxCeleb2: {len(found) - len(dev):,} utterances of its test speakers are left out"
        print(said, file=sys.stderr, flush=True)
    if not test and counts["speakers"] > 5994:
        raise InputError(
            f"{counts['speakers']:,} speakers where dev has 5,994: test's are among them",
            where=place(corpus, VOX2),
            mend="put vox2_meta.csv there, which says who is in dev",
        )
    compare("VoxCeleb2 dev", counts, {"speakers": 5994, "utterances": 1092009}, OWNERS)
    return dev


def fill(builder: SetBuilder, found: Mapping[str, str], people: Mapping[str, Person]) -> None:
    """Add utterances with their speaker, gender and session (the video)."""
    genders = {name: person.gender for name, person in people.items()}
    for utt, path in found.items():
        speaker = speaker_of(utt)
        builder.add(utt, speaker, path, gender=genders.get(speaker, ""), session=video_of(utt))


def write_training(data: Path, found: Mapping[str, str], people: Mapping[str, Person], seed: int) -> None:
    """data/train and data/dev with trials.

    DEV_SPEAKERS (a tenth of fewer than ten times as many) are drawn for dev, within each gender;
    DEV_UTTERANCES of theirs are kept. Trials are drawn: for each speaker DEV_TRIALS of two of his videos and
    DEV_TRIALS with others.
    """
    speakers = set(map(speaker_of, found))
    share = min(0.1, DEV_SPEAKERS / len(speakers))
    genders = {name: people[name].gender if name in people else "" for name in speakers}
    held = held_out(speakers, {"dev": share}, seed, genders.__getitem__)
    train, dev = SetBuilder(data / "train"), SetBuilder(data / "dev")
    fill(train, {utt: path for utt, path in found.items() if speaker_of(utt) not in held}, people)
    theirs = {utt: speaker_of(utt) for utt in found if speaker_of(utt) in held}
    kept = drawn_utterances(theirs, DEV_UTTERANCES, seed)
    fill(dev, {utt: found[utt] for utt in kept}, people)
    train.write()
    dev.write()
    write_trials(data / "dev" / "trials", balanced(kept, DEV_TRIALS, seed, apart=video_of))


def read_pairs(path: Path) -> Iterator[tuple[str, str, bool]]:
    """(enrol, test, is target) of a list of the owners: ``1 id10270/5r0dWxy17C8/00001.wav id10270/...``."""
    for line, (label, *files) in read_words(path, 3):
        if label not in ("0", "1"):
            raise InputError("neither 1 nor 0 in front", where=path, line=line)
        if not files[0].startswith("id"):
            mend = "it is of VoxCeleb1 1.0, with people's names: get the list of version 1.1"
            raise InputError(f"{files[0]} is no file of VoxCeleb1", where=path, line=line, mend=mend)
        one, two = (file.rpartition(".")[0].replace("/", "-") for file in files)
        yield one, two, label == "1"


def write_evaluation(
    data: Path,
    corpus: Corpus,
    found: Mapping[str, str],
    people: Mapping[str, Person],
    names: Iterable[str] = tuple(LISTS),
) -> None:
    """data/vox1 with trials.NAME for those of ``names`` whose list is there, and the utterances they name.

    E and H are about all speakers: they are left out where dev is not there. ``found``: VoxCeleb1.
    """
    paths = {name: beside(corpus, LISTS[name][0]) for name in names}
    missing = [LISTS[name][0] for name, path in paths.items() if path is None]
    there = {name: path for name, path in paths.items() if path is not None}
    if not there:
        mend = "get them from the owners' page, and say --prepare.roots.voxceleb_lists FOLDER"
        said = f"no {', no '.join(missing)} beside VoxCeleb1"
        raise InputError(said, where=place(corpus, VOX1), mend=mend)
    if missing:
        warn(f"no {', no '.join(missing)} beside VoxCeleb1: these lists are left out")
    if all(speaker_of(utt) in TEST1 for utt in found):
        large = [name for name in there if name not in ONLY_O]
        if large:
            warn(f"VoxCeleb1's dev is not here: {', '.join(large)} are left out")
        there = {name: path for name, path in there.items() if name in ONLY_O}
    named: set[str] = set()
    for path in there.values():
        named.update(utt for one, two, _ in read_pairs(path) for utt in (one, two))
    builder = SetBuilder(data / "vox1")
    fill(builder, {utt: path for utt, path in found.items() if utt in named}, people)
    builder.write()
    for name, path in there.items():
        trials = write_trials(
            data / "vox1" / f"trials.{name}", read_pairs(path), builder.utt2spk.__contains__
        )
        compare(path.name, {"trials": trials}, {"trials": LISTS[name][1]}, OWNERS)

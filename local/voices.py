"""VOiCES: LibriSpeech played in furnished rooms beside television, music or babble, and recorded far away.

Layout, names, splits and counts are the owners' (SRI International and In-Q-Tel's Lab41; Richey et al. 2018;
the README of iqtlabs.github.io/voices) for VOiCES_release and, laid out alike, VOiCES_devkit:
- distant-16k/speech/{train,test}/rm1/none/sp0083/
  Lab41-SRI-VOiCES-rm1-none-sp0083-ch009960-sg0031-mc01-stu-clo-dg110.wav: room, distractor (none, musi, tele,
  babb), speaker, chapter and segment of LibriSpeech, microphone, its type and place, degrees that the
  loudspeaker was turned; the first devkit has no folder for the distractor;
- references/Lab41-SRI-VOiCES-speaker-gender-dataset.tbl: speaker, gender, LibriSpeech's subset.
source-16k (the clean speech) and distractors alone are not used. The challenge of 2019 is
local/voices_challenge.py.

The owners' train (200 speakers) and test (100) are train and eval; a tenth of the training speakers are dev.
EVAL_UTTERANCES of eval are kept, as many as the devkit has, so that both give lists of one size.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from local.augmentation import prepare_pools
from local.lists import write_drawn
from pysteps.formats.errors import InputError
from pysteps.formats.tables import opened
from pysteps.prepare.build import SetBuilder, write_trials
from pysteps.prepare.corpus import Corpus, compare, inside, texts_of_files, warn
from pysteps.prepare.script import main
from pysteps.prepare.split import held_out
from pysteps.prepare.trials import balanced, drawn_utterances

NAME = re.compile(
    r"Lab41-SRI-VOiCES-(?P<room>rm\d+)-(?P<distractor>[a-z]+)-(?P<speaker>sp\d+)-(?P<source>ch\d+-sg\d+)"
    r"-(?P<mic>mc\d+)-(?P<kind>[a-z]+)-(?P<place>[a-z]+)-(?P<degrees>dg\d+)"
)
FOLDERS = ("VOiCES_release", "VOiCES_devkit", "VOiCES")
TABLE = "references/Lab41-SRI-VOiCES-speaker-gender-dataset.tbl"
DEV_SHARE, DEV_UTTERANCES, EVAL_UTTERANCES, EACH = 0.1, 2000, 6400, 200
PUBLISHED = {  # recordings by the owners' README
    "train": {"speakers": 200, "devkit": 12_800, "release": 661_248},
    "test": {"speakers": 100, "devkit": 6_400, "release": 337_920},
}


def find(root: Path) -> Path:
    """The folder that holds distant-16k: ``root``, or one of FOLDERS below it."""
    for folder in (root, *(root / name for name in FOLDERS)):
        if (folder / "distant-16k" / "speech").is_dir():
            return folder
    packed = sorted(path.name for path in root.glob("VOiCES_*.tar.gz"))
    if (root / "VOiCES_competition").is_dir() or (root / "sid_dev").is_dir():
        mend = "this is the challenge of 2019: ./run.sh --recipe voxceleb_to_voices"
    else:
        mend = f"unpack {packed[0]} there" if packed else "--corpus is the folder that holds distant-16k"
    looked = f"no distant-16k/speech here or in {', '.join(FOLDERS)}"
    raise InputError(f"{looked}; {inside(root)}", where=root, mend=mend)


def read_genders(root: Path) -> dict[str, str]:
    """Speaker (sp0083) to m or f; empty, which is said, where the table is not there."""
    path = root / TABLE
    if not path.is_file():
        warn(f"no {TABLE} in {root}: genders are not known")
        return {}
    genders = {}
    with opened(path) as handle:
        for line in handle:
            fields = line.decode(errors="replace").replace(",", " ").split()
            if len(fields) > 1 and fields[0].isdecimal() and fields[1][:1].upper() in ("M", "F"):
                genders[f"sp{int(fields[0]):04d}"] = fields[1][0].lower()
    return genders


def utterance(match: re.Match[str]) -> str:
    """sp0083-rm1-none-ch009960-sg0031-mc01-stu-clo-dg110."""
    words = ("speaker", "room", "distractor", "source", "mic", "kind", "place", "degrees")
    return "-".join(match[word] for word in words)


def recordings(folder: Path) -> dict[str, str]:
    """Utterance to file of everything below ``folder``; what is not named so is counted and left out."""
    found, strange = {}, []
    for path in texts_of_files(folder, (".wav",)):
        match = NAME.fullmatch(path.rpartition("/")[2][:-4])
        if match is None:
            strange.append(path)
        else:
            found[utterance(match)] = path
    if strange:
        warn(f"{folder}: {len(strange):,} files are not named as VOiCES names them: {strange[0]} ...")
    if not found:
        said = f"no Lab41-SRI-VOiCES-rm*-*.wav; {inside(folder)}"
        raise InputError(said, where=folder, mend="unpack VOiCES_release or VOiCES_devkit again")
    return found


def fill(builder: SetBuilder, found: Mapping[str, str], genders: Mapping[str, str]) -> None:
    """Add utterances with what their names say."""
    for utt, path in found.items():
        speaker, room, distractor, chapter, _, mic, _, place, _ = utt.split("-")
        labels = {"room": room, "distractor": distractor, "mic": mic, "place": place, "lang": "en"}
        labels["session"] = f"{speaker}-{chapter}"
        builder.add(utt, speaker, path, span=None, gender=genders.get(speaker, ""), **labels)


def speaker_of(utt: str) -> str:
    """sp0083."""
    return utt.partition("-")[0]


def source_of(utt: str) -> str:
    """The sentence of LibriSpeech that was played: ch009960-sg0031."""
    return "-".join(utt.split("-")[3:5])


def room_of(utt: str) -> str:
    """rm1."""
    return utt.split("-")[1]


def write_lists(folder: Path, utt2spk: Mapping[str, str], genders: Mapping[str, str], seed: int) -> None:
    """trials and trials.gender, in which nobody says the same sentence twice; trials.rooms: those of trials
    whose rooms differ."""
    write_drawn(folder, utt2spk, genders, EACH, seed, source_of)
    drawn = balanced(utt2spk, EACH, seed, apart=source_of)
    across = [one for one in drawn if room_of(one[0]) != room_of(one[1])]
    if any(target for *_, target in across):
        write_trials(folder / "trials.rooms", across)
    else:
        warn(f"{folder.name}: no trials.rooms: nobody is heard in two rooms")


def compare_counts(name: str, found: Sequence[str]) -> None:
    """A warning where there are neither the devkit's nor the release's recordings, or other speakers."""
    count, published = len(found), PUBLISHED[name]
    kind = min(("devkit", "release"), key=lambda one: abs(count - published[one]))
    counts = {"speakers": len(set(map(speaker_of, found))), "recordings": count}
    wanted = {"speakers": published["speakers"], "recordings": published[kind]}
    compare(f"VOiCES {name}", counts, wanted, f"the owners' {kind}")


def prepare(corpus: Corpus, data: Path, seed: int) -> None:
    """Write data/{train,dev,eval} and the pools that augmentation draws from."""
    root = find(corpus.root)
    speech, genders = root / "distant-16k" / "speech", read_genders(root)
    for name in ("train", "test"):
        if not (speech / name).is_dir():
            mend = "get VOiCES_devkit or VOiCES_release: the first releases had no test speakers"
            raise InputError(f"no {name}/; {inside(speech)}", where=speech, mend=mend)
    found = {name: recordings(speech / name) for name in ("train", "test")}
    for name, utts in found.items():
        compare_counts(name, list(utts))
    speakers = set(map(speaker_of, found["train"]))
    held = held_out(speakers, {"dev": DEV_SHARE}, seed, lambda name: genders.get(name, ""))
    train, dev, evaluation = (SetBuilder(data / name) for name in ("train", "dev", "eval"))
    fill(train, {utt: path for utt, path in found["train"].items() if speaker_of(utt) not in held}, genders)
    theirs = {utt: speaker_of(utt) for utt in found["train"] if speaker_of(utt) in held}
    kept = drawn_utterances(theirs, DEV_UTTERANCES, seed)
    fill(dev, {utt: found["train"][utt] for utt in kept}, genders)
    heard = drawn_utterances({utt: speaker_of(utt) for utt in found["test"]}, EVAL_UTTERANCES, seed)
    fill(evaluation, {utt: found["test"][utt] for utt in heard}, genders)
    for builder in (train, dev, evaluation):
        builder.write()
    for builder in (dev, evaluation):
        write_lists(builder.folder, builder.utt2spk, genders, seed)
    prepare_pools(corpus, data, seed)


if __name__ == "__main__":
    main(prepare, __doc__)

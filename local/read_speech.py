"""What corpora of read speech share: owners' sets of a folder a speaker, and trials by rule (stage 0).

AISHELL-1, AISHELL-2, aidatatang_200zh and MAGICDATA are SET/SPEAKER/RECORDING.wav, were made for speech
recognition and come without trials. Utterances are SPEAKER-RECORDING, so that lists sorted by one are sorted
by the other.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Iterable, Mapping
from pathlib import Path

from local.lists import write_drawn
from pysteps.formats.errors import InputError
from pysteps.formats.rng import generator
from pysteps.formats.tables import invert
from pysteps.prepare.build import SetBuilder, write_enrolment, write_trials
from pysteps.prepare.corpus import files, inside, warn
from pysteps.prepare.trials import Trial

PACKED = (".tar.gz", ".tgz", ".zip", ".tar")
EACH = 100  # target and as many non-target trials a speaker, for local.lists.write_drawn
MALE, FEMALE = ("男", "male", "m"), ("女", "female", "f")


def gender_of(text: str) -> str:
    """m, f or "" of a gender in Chinese, English or one letter."""
    word = text.strip().lower()
    return "m" if word in MALE else "f" if word in FEMALE else ""


def fill(
    builder: SetBuilder,
    folder: Path,
    genders: Mapping[str, str],
    *,
    session: Callable[[str], str] = lambda _: "",
    without: Collection[str] = (),
    bad: Collection[str] = (),
    apart: tuple[Collection[str], SetBuilder] | None = None,
) -> int:
    """Add ``folder``/SPEAKER/RECORDING.wav; returns how many recordings were seen.

    ``session``: of a recording's name. Speakers in ``without`` are in a test set: they are left out, which is
    said. Recordings in ``bad`` are left out. ``apart``: speakers that go to another set.
    """
    held, other = apart or ((), builder)
    seen, shared = 0, dict[str, int]()
    for path in files(folder, (".wav",), 1):
        speaker, stem = path.parent.name, path.stem
        seen += 1
        if speaker in without:
            shared[speaker] = shared.get(speaker, 0) + 1
        elif stem not in bad:
            utt = f"{speaker}-{stem.removeprefix(speaker + '_')}"
            gender = genders.get(speaker, "")
            into = other if speaker in held else builder
            into.add(utt, speaker, path, gender=gender, lang="zh", session=session(stem))
    if shared:
        lost = sum(shared.values())
        said = f"{len(shared)} speakers ({lost:,} recordings) are also in a test set and left out"
        warn(f"{builder.folder.name}: {said}: {' '.join(sorted(shared)[:5])}")
    return seen


def write_sets(
    data: Path,
    folders: Mapping[str, Path],
    genders: Mapping[str, str],
    session: Callable[[str], str] = lambda _: "",
    bad: Collection[str] = (),
) -> tuple[dict[str, SetBuilder], int]:
    """data/{eval,dev,train} of ``folders``; who is in one of them is not in the next. Also how many
    recordings were seen."""
    built, seen, without = dict[str, SetBuilder](), 0, set[str]()
    for name in ("eval", "dev", "train"):
        built[name] = SetBuilder(data / name)
        seen += fill(built[name], folders[name], genders, session=session, without=without, bad=bad)
        built[name].write()
        without |= built[name].speakers
    return built, seen


def write_with_trials(
    data: Path,
    folders: Mapping[str, Path],
    genders: Mapping[str, str],
    seed: int,
    session: Callable[[str], str] = lambda _: "",
    bad: Collection[str] = (),
) -> dict[str, int]:
    """As write_sets, with trials of EACH pairs a speaker for dev and eval; how many speakers are in the sets,
    and how many recordings were seen."""
    built, seen = write_sets(data, folders, genders, session, bad)
    for name in ("dev", "eval"):
        write_drawn(data / name, built[name].utt2spk, genders, EACH, seed)
    return {"speakers": sum(len(one.speakers) for one in built.values()), "recordings": seen}


def refuse_packed(folder: Path, unpacked: Collection[str], mend: str) -> None:
    """InputError where a folder holds archives of speakers and none of them is unpacked; a warning where some
    are not. ``unpacked``: the speakers that are there."""
    names = sorted(entry.name for entry in os.scandir(folder) if entry.name.lower().endswith(PACKED))
    left = [name for name in names if name.partition(".")[0] not in unpacked]
    if left and not unpacked:
        what = f"{len(left)} archives ({left[0]} ...) and no recordings"
        raise InputError(what, where=folder, mend=mend)
    if left:
        warn(f"{folder}: {len(left)} of {len(names)} archives are not unpacked ({left[0]} ...): {mend}")


def speakers_of(folder: Path) -> set[str]:
    """The folders below ``folder``; empty where there is no such folder."""
    if not folder.is_dir():
        return set()
    return {entry.name for entry in os.scandir(folder) if entry.is_dir() and not entry.name.startswith(".")}


def need_sets(root: Path, names: Iterable[str], mend: str) -> None:
    """InputError where one of the sets has no speaker's folder; the message says what is there."""
    for name in names:
        if not speakers_of(root / name):
            what = f"no SPEAKER folders in {name}/; {inside(root / name if (root / name).is_dir() else root)}"
            raise InputError(what, where=root, mend=mend)


def write_models(
    folder: Path, utt2spk: Mapping[str, str], genders: Mapping[str, str], enrolled: int, seed: int
) -> int:
    """enrol: a model a speaker (SPEAKER-model) of ``enrolled`` utterances drawn by seed; trials: every other
    utterance against every model; trials.gender: against those of its speaker's gender. Returns how many."""
    models: dict[str, list[str]] = {}
    tests: list[str] = []
    for speaker, utts in invert(utt2spk).items():
        names = utts.split()
        order = generator(seed, speaker, "enrol").permutation(len(names))
        models[f"{speaker}-model"] = sorted(names[index] for index in order[:enrolled])
        tests += sorted(names[index] for index in order[enrolled:])
    owner = {model: utt2spk[utts[0]] for model, utts in models.items()}
    trials: list[Trial] = [(model, utt, owner[model] == utt2spk[utt]) for model in models for utt in tests]
    write_enrolment(folder, models)
    count = write_trials(folder / "trials", trials)
    if all(genders.get(speaker) for speaker in owner.values()):
        same = [one for one in trials if genders[owner[one[0]]] == genders[utt2spk[one[1]]]]
        if len({target for *_, target in same}) == 2:
            write_trials(folder / "trials.gender", same)
    return count

"""Common Voice: ROOT/LANG/{validated,dev,test}.tsv and ROOT/LANG/clips/*.mp3, one language or several.

Layout by the owners' common-voice/cv-dataset CHANGELOG.md: since release 5 an archive unpacks to
cv-corpus-5.1-2020-06-22/tr/{clips,validated.tsv,...}, before that to cv-corpus-3_tr/{clips,...}; delta
segments (since 10) have no dev.tsv and test.tsv. Columns go by their names, which changed: client_id, path,
age and gender are used (common-voice/CorporaCreator, README.rst); gender was male or female and is
male_masculine, female_feminine ... later.

Speakers are client_ids. The owners split clips so that no client is in two of train, dev and test; that split
of clients is kept (dev: who is in dev.tsv; eval: who is in test.tsv; train: everybody else) and all their
validated clips are used. Clients are the same across languages: one who is in two splits goes to the later
one. Choices: ``languages`` (cy,de; default: all there are), ``fewest`` validated clips of a training client
(5), and ``split`` (owners, or drawn: a tenth of the clients of two clips or more for each of dev and eval).
"""

from __future__ import annotations

import os
import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from local.augmentation import prepare_pools
from pysteps.formats.errors import InputError
from pysteps.prepare.build import SetBuilder, write_trials
from pysteps.prepare.corpus import Corpus, inside, warn
from pysteps.prepare.script import main
from pysteps.prepare.split import held_out
from pysteps.prepare.trials import Trial, balanced

EACH = 20  # target and non-target trials a client
LENGTH = 16  # of a client_id's 128 hexadecimal digits that name the speaker
HELD = {"dev.tsv": "dev", "test.tsv": "eval"}
CHOICES = ("languages", "fewest", "split")


@dataclass
class Clips:
    """What the tables say: clip to its row (client, path, language, age), clients' genders and sets."""

    rows: dict[str, tuple[str, str, str, str]] = field(default_factory=dict)
    genders: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    held: dict[str, str] = field(default_factory=dict)
    names: dict[str, str] = field(default_factory=dict)  # the speaker's name to the whole client_id


def find(root: Path) -> dict[str, Path]:
    """Language to its folder: those below ``root`` or below a cv-corpus-* there (of several releases the
    newest, which is said), or ``root`` itself."""
    releases = sorted(root.glob("cv-corpus-*"), key=_release, reverse=True)
    for folder in (root, *releases):
        found = {path.parent.name: path.parent for path in sorted(folder.glob("*/validated.tsv"))}
        old = {name.rpartition("_")[2]: path for name, path in found.items()}  # cv-corpus-3_tr
        if found:
            if folder != root and len(releases) > 1:
                warn(f"{root} has {len(releases)} releases: {folder.name} is taken (--corpus names another)")
            return old if len(old) == len(found) else found
        if (folder / "validated.tsv").is_file():
            return {folder.name.rpartition("_")[2]: folder}
    packed = sorted(path.name for path in root.glob("*.tar.gz"))
    mend = f"unpack {packed[0]} there" if packed else "--corpus is the folder of a release: cv-corpus-*"
    raise InputError(f"no LANG/validated.tsv here; {inside(root)}", where=root, mend=mend)


def _release(folder: Path) -> list[int]:
    # 17, 0 and its date of cv-corpus-17.0-2024-03-15: it is newer than 9.0
    return [int(number) for number in re.findall(r"\d+", folder.name)]


def read_tsv(path: Path, *columns: str) -> Iterator[list[str]]:
    """The named columns of every line, "" where the table has no such column; others' quotes stay.

    A line of another number of fields than the header has, or with nothing in the first column that is asked
    for, is left out, and all such are counted in a warning.
    """
    broken = 0
    with path.open(encoding="utf-8", errors="replace", newline="\n") as lines:
        header = next(lines, "").rstrip("\r\n").split("\t")
        missing = [name for name in columns[:2] if name not in header]
        if missing:
            raise InputError(
                f"no column {' and no '.join(missing)}: {' '.join(header)[:80]}", where=path, line=1
            )
        places = [header.index(name) if name in header else -1 for name in columns]
        for line in lines:
            fields = line.rstrip("\r\n").split("\t")
            if len(fields) == len(header) and fields[places[0]].strip():
                yield [fields[place] if place >= 0 else "" for place in places]
            elif line.strip():
                broken += 1
    if broken:
        said = f"do not have the header's {len(header)} fields or no {columns[0]}"
        warn(f"{path}: {broken:,} lines {said} and are left out")


def read_language(language: str, folder: Path, clips: Clips) -> None:
    """Add a language's validated clips that are there, and say how many are not."""
    if not (folder / "clips").is_dir():
        what = f"validated.tsv but no clips/ here; {inside(folder)}"
        raise InputError(what, where=folder, mend="unpack the archive again")
    place = str(folder / "clips")  # text: a Path each would cost a third of the time
    there = {entry.name for entry in os.scandir(place)}
    missing = total = twice = 0
    for client, path, gender, age in read_tsv(folder / "validated.tsv", "client_id", "path", "gender", "age"):
        total += 1
        name = path if "." in path else f"{path}.mp3"  # the first releases leave the suffix out
        speaker, clip = _speaker(client, clips), name.rpartition(".")[0]
        if name not in there:
            missing += 1
        elif clip in clips.rows:
            twice += 1
        else:
            clips.rows[clip] = (speaker, f"{place}/{name}", language, age)
        short = "f" if gender.startswith("female") else "m" if gender.startswith("male") else ""
        clips.genders[speaker] |= {short} - {""}
    if missing:
        warn(f"{folder}: {missing:,} of {total:,} validated clips are not in clips/")
    if twice:
        warn(f"{folder}: {twice:,} validated clips stand in the table twice")
    for table, name in HELD.items():
        if (folder / table).is_file():
            for client, _ in read_tsv(folder / table, "client_id", "path"):
                if clips.held.get(_speaker(client, clips)) != "eval":
                    clips.held[_speaker(client, clips)] = name


def _speaker(client: str, clips: Clips) -> str:
    short = client[:LENGTH]
    if clips.names.setdefault(short, client) != client:
        raise InputError(f"two clients begin with {short}", mend="raise LENGTH in local/commonvoice.py")
    return short


def prepare(corpus: Corpus, data: Path, seed: int) -> None:
    """Write data/{train,dev,eval} and the pools that augmentation draws from."""
    found, clips = find(corpus.root), Clips()
    languages = [name for name in corpus.choice("languages", ",".join(found)).split(",") if name]
    unknown = sorted(set(languages) - set(found))
    if unknown:
        mend = f"--prepare.choices.languages of {', '.join(found)}"
        raise InputError(f"no language {', '.join(unknown)} here", where=corpus.root, mend=mend)
    for language in languages:
        read_language(language, found[language], clips)
    counts = Counter(speaker for speaker, *_ in clips.rows.values())
    if corpus.choice("split", "owners", "owners", "drawn") == "drawn":
        several = [speaker for speaker, count in counts.items() if count > 1]
        clips.held = held_out(several, {"dev": 0.1, "eval": 0.1}, seed)
    write_sets(data, clips, counts, corpus.whole("fewest", 5, least=1), seed)
    prepare_pools(corpus, data, seed)


def write_sets(data: Path, clips: Clips, counts: Mapping[str, int], fewest: int, seed: int) -> None:
    """train, dev and eval; clients of fewer than ``fewest`` clips are left out of train and counted."""
    few = {speaker for speaker, count in counts.items() if speaker not in clips.held and count < fewest}
    print(
        f"{data}: {len(few):,} of {len(counts):,} clients have fewer than {fewest} clips and are left out",
        flush=True,
    )
    both = {speaker for speaker, found in clips.genders.items() if len(found) > 1}
    if both:
        warn(f"{len(both):,} clients are male in some lines and female in others: their gender is left out")
    genders = {who: next(iter(found)) for who, found in clips.genders.items() if found and who not in both}
    sets = {name: SetBuilder(data / name) for name in ("train", "dev", "eval")}
    language_of = {}
    for clip, (speaker, path, language, age) in clips.rows.items():
        if speaker not in few:
            target, utt = sets[clips.held.get(speaker, "train")], f"{speaker}-{clip}"
            target.add(
                utt, speaker, path, gender=genders.get(speaker, ""), lang=language, age="-".join(age.split())
            )
            language_of[utt] = language
    for name, built in sets.items():
        if not len(built):
            mend = "a release with dev.tsv and test.tsv, or --prepare.choices.split drawn"
            raise InputError(f"no clips for {name}", where=data, mend=mend)
        built.write()
        if name != "train":
            write_lists(data / name, built.utt2spk, genders, language_of, seed)


def write_lists(
    folder: Path,
    utt2spk: Mapping[str, str],
    genders: Mapping[str, str],
    language_of: Mapping[str, str],
    seed: int,
) -> None:
    """trials: EACH target and EACH other pairs a client, within a language; trials.gender: and a gender."""
    groups: dict[str, dict[str, str]] = defaultdict(dict)
    for utt, speaker in utt2spk.items():
        groups[language_of[utt]][utt] = speaker
    lists: dict[str, list[Trial]] = {"trials": [], "trials.gender": []}
    for language, members in sorted(groups.items()):
        known = {utt: speaker for utt, speaker in members.items() if speaker in genders}
        for name, chosen in (("trials", members), ("trials.gender", known)):
            group = (lambda utt: genders[utt2spk[utt]]) if name == "trials.gender" else None
            try:
                lists[name] += balanced(chosen, EACH, seed, group=group)
            except InputError as error:
                warn(f"{folder}: no {name} of {language}: {error}")
    if not lists["trials"]:
        mend = "--prepare.choices.split drawn takes clients of two clips and more"
        raise InputError("no trials: they need a client of two clips, and another", where=folder, mend=mend)
    for name, trials in lists.items():
        if trials:
            write_trials(folder / name, sorted(trials))


if __name__ == "__main__":
    main(prepare, __doc__, CHOICES)

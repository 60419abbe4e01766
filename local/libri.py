"""What LibriSpeech and LibriTTS share: SUBSET/SPEAKER/CHAPTER/FILE, and the same seven subsets.

Sets are the owners': train is every train-* that is there, dev is dev-clean and dev-other, test-clean and
test-other are evaluated each on its own. The subsets share no speaker (LibriSpeech's README.TXT, section 2).
A session is a speaker's chapter. The owners have no trials: they are drawn by a rule (local/lists.py),
target trials of different chapters: a speaker of one chapter has none.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from local.lists import write_drawn
from pysteps.formats.errors import InputError
from pysteps.prepare.build import SetBuilder
from pysteps.prepare.corpus import compare, files, inside, warn

SETS = {
    "train": ("train-clean-100", "train-clean-360", "train-other-500"),
    "dev": ("dev-clean", "dev-other"),
    "test-clean": ("test-clean",),
    "test-other": ("test-other",),
}
SUBSETS = [subset for subsets in SETS.values() for subset in subsets]
EACH = 200  # target and non-target trials a speaker


@dataclass(frozen=True)
class Kind:
    """A corpus of this family: its name, its recordings' suffix, what separates the parts of their names, and
    what is published of each subset (speakers, utterances; ``source`` says where)."""

    name: str
    suffix: str
    separator: str
    published: Mapping[str, tuple[int, int]]
    source: str


def find(root: Path, *names: str) -> Path:
    """The folder of the subsets: ``root``, or one of ``names`` below it."""
    for folder in (root, *(root / name for name in names)):
        if any((folder / subset).is_dir() for subset in SUBSETS):
            return folder
    packed = sorted(path.name for path in root.glob("*.tar.gz"))
    mend = (
        f"unpack {packed[0]}" if packed else f"--corpus is the folder that holds {SUBSETS[0]}, dev-clean ..."
    )
    looked = ", ".join(["here", *(f"in {name}/" for name in names)])
    raise InputError(f"no {SUBSETS[0]}, dev-clean ... ({looked}); {inside(root)}", where=root, mend=mend)


def read_speakers(path: Path) -> dict[str, str]:
    """Speaker to m or f of ``ID | SEX | SUBSET | ...`` or of ``ID<tab>SEX<tab>SUBSET...``; a line that begins
    with ``;`` is a comment, one whose first field is no number a header."""
    separator = "\t" if path.suffix.lower() == ".tsv" else "|"
    genders = {}
    for number, line in enumerate(path.read_text("utf-8").splitlines(), 1):
        fields = [field.strip() for field in line.split(separator)]
        if not line.strip() or line.startswith(";") or not fields[0].isdecimal():
            continue
        if len(fields) < 3 or fields[1] not in ("M", "F"):
            raise InputError(f"not `ID {separator} SEX {separator} SUBSET`", where=path, line=number)
        genders[fields[0]] = fields[1].lower()
    return genders


def prepare_sets(kind: Kind, root: Path, data: Path, genders: Mapping[str, str], seed: int) -> None:
    """Write data/{train,dev,test-clean,test-other}; what differs from what is published is said."""
    for name, subsets in SETS.items():
        there = [subset for subset in subsets if (root / subset).is_dir()]
        if not there:
            what = f"no {' and no '.join(subsets)} here; {inside(root)}"
            raise InputError(what, where=root, mend=f"get {subsets[0]} of {kind.name} and unpack it there")
        if len(there) < len(subsets):
            warn(f"{kind.name}: {name} is {' and '.join(there)} only: the rest is not there")
        found = SetBuilder(data / name)
        for subset in there:
            _add(kind, found, root / subset, genders)
        found.write()
        if name != "train":
            write_drawn(data / name, found.utt2spk, genders, EACH, seed, apart=_chapter)


def _add(kind: Kind, found: SetBuilder, folder: Path, genders: Mapping[str, str]) -> None:
    before, speakers, odd = len(found), set[str](), list[str]()
    for file in files(folder, (kind.suffix,), 2):
        speaker, chapter, name = file.parts[-3:]
        parts = name[: -len(kind.suffix)].split(kind.separator)
        if parts[:2] != [speaker, chapter]:
            odd.append(name)
            continue
        speakers.add(speaker)
        session, gender = f"{speaker}-{chapter}", genders.get(speaker, "")
        found.add(
            "-".join(parts), speaker, file, gender=gender, session=session, subset=folder.name, lang="en"
        )
    if odd:
        warn(f"{folder}: {len(odd):,} files are not named after their folders: {odd[0]} ...")
    unknown = sorted(speakers - genders.keys())
    if unknown:
        warn(f"{folder}: the gender of {len(unknown):,} speakers is not listed: {unknown[0]} ...")
    counts = {"speakers": len(speakers), "utterances": len(found) - before}
    published = dict(zip(counts, kind.published[folder.name], strict=True))
    compare(f"{kind.name} {folder.name}", counts, published, kind.source)


def _chapter(utt: str) -> str:
    return utt.split("-")[1]

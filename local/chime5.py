"""CHiME-5: dinner parties, heard by what people wear and by arrays in the room (stage 0).

Layout, splits and counts are the owners' (Barker et al. 2018; chimechallenge.org/challenges/chime5/data):
- audio/{train,dev,eval}/S02_P05.wav: what person P05 wore in party S02, stereo; S02_U05.CH1.wav: a channel of
  an array;
- transcriptions/{train,dev,eval}/S02.json: a list of {session_id, speaker, words, start_time, end_time}, in
  dev and eval also {ref, location}: the array that hears it best. Times are h:mm:ss; in CHiME-5 one a device
  ("original", "P05", "U05": clocks drift), in CHiME-6, whose arrays are in step, one for all (both as in
  fgnt/pb_chime5's database/chime5/create_json.py and lhotse/recipes/chime6.py).
Who is a woman: the same create_json.py, after the owners' page, where men are in bold. Which set a party is
in is told by its name, not its folder: CHiME-7 moved some.

An utterance is what one person says while nobody else does (local/ami_words.py): of 2 to 10 s, pauses of up
to 0.5 s bridged. Laughs and noises alone, and what is redacted, are no utterances; others' are cut out.
"""

from __future__ import annotations

import json
import re
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from local.ami_words import join, utterances
from local.augmentation import prepare_pools
from local.lists import write_drawn
from pysteps.formats.errors import InputError
from pysteps.prepare.build import SetBuilder, write_trials
from pysteps.prepare.corpus import Corpus, compare, files, inside, warn
from pysteps.prepare.script import main
from pysteps.prepare.trials import balanced

SETS = {
    "train": "S03 S04 S05 S06 S07 S08 S12 S13 S16 S17 S18 S19 S20 S22 S23 S24".split(),
    "dev": ["S02", "S09"],
    "eval": ["S01", "S21"],
}
PUBLISHED = {
    "train": {"parties": 16, "speakers": 32, "utterances": 79_980},
    "dev": {"parties": 2, "speakers": 8, "utterances": 7_440},
    "eval": {"parties": 2, "speakers": 8, "utterances": 11_028},
}
WOMEN = set("P01 P02 P05 P08 P14 P15 P17 P19 P25 P26 P27 P28 P36 P41 P43 P44 P46 P48 P49 P52 P53 P56".split())
EACH = 200  # target and non-target trials a speaker
_MEND = "--corpus is the folder that holds audio/ and transcriptions/"


@dataclass(frozen=True)
class Row:
    """What somebody says from ``start`` to ``end`` (ms); ``shifts``: how far a device's clock is ahead."""

    speaker: str
    start: int
    end: int
    spoken: bool
    ref: str
    shifts: dict[str, int]


@dataclass(frozen=True)
class Piece:
    """What ``speaker`` says alone in ``party``, from ``start`` to ``end`` ms, in the row that begins it."""

    party: str
    start: int
    end: int
    row: Row

    def name(self, device: str = "") -> str:
        """P05-S02-00057540-00059900, P05-S02-U02-00057540-00059900."""
        words = [self.row.speaker, self.party, *([device] if device else [])]
        return "-".join([*words, f"{self.start:08d}", f"{self.end:08d}"])

    def span(self, device: str) -> tuple[float, float]:
        """Seconds by the device's own clock."""
        shift = self.row.shifts.get(device, 0)
        return max(self.start + shift, 0) / 1000, (self.end + shift) / 1000


def find(root: Path) -> Path:
    """The folder that holds audio/ and transcriptions/: ``root``, or CHiME5 or CHiME6 below it."""
    for folder in (root, root / "CHiME5", root / "CHiME6"):
        if (folder / "audio").is_dir() and (folder / "transcriptions").is_dir():
            return folder
    packed = sorted(
        path.name for pattern in ("*.tar", "*.tgz", "*.tar.gz", "*.zip") for path in root.glob(pattern)
    )
    mend = f"unpack {packed[0]} there" if packed else _MEND
    said = f"no audio/ with transcriptions/ here, in CHiME5/ or in CHiME6/; {inside(root)}"
    raise InputError(said, where=root, mend=mend)


def milliseconds(text: str) -> int:
    """Of h:mm:ss.fffffff."""
    hours, minutes, seconds = text.split(":")
    return round(1000 * (3600 * int(hours) + 60 * int(minutes) + float(seconds)))


def read_rows(path: Path) -> list[Row]:
    """A party's rows in order of time; those whose times are no interval are counted and left out."""
    try:
        found = [_row(entry) for entry in json.loads(path.read_text("utf-8"))]
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        said = f"no list of {{speaker, words, start_time, end_time}}: {error!r}"
        raise InputError(said, where=path, mend="unpack the transcriptions again") from error
    rows = [row for row in found if row.end > row.start]
    if len(rows) < len(found):
        warn(f"{path.name}: {len(found) - len(rows)} utterances end before they begin: left out")
    return sorted(rows, key=lambda row: (row.start, row.end, row.speaker))


def _row(entry: dict[str, Any]) -> Row:
    start, end, words = entry["start_time"], entry["end_time"], entry["words"]
    if isinstance(start, str):
        first, last, shifts = milliseconds(start), milliseconds(end), {}
    else:
        first, last = milliseconds(start["original"]), milliseconds(end["original"])
        shifts = {device: milliseconds(time) - first for device, time in start.items()}
    spoken = "[redacted]" not in words and re.search(r"\w", re.sub(r"\[[^]]*\]", "", words)) is not None
    return Row(entry["speaker"], first, last, spoken, entry.get("ref", ""), shifts)


def read_party(name: str, path: Path) -> tuple[list[Piece], int]:
    """What people say alone in a party, and how many rows it has."""
    rows = read_rows(path)
    pieces = []
    for speaker in sorted({row.speaker for row in rows}):
        mine = [row for row in rows if row.speaker == speaker and row.spoken]
        theirs = join(((row.start, row.end) for row in rows if row.speaker != speaker), 0)
        begins = [row.start for row in mine]
        for start, end in utterances(join(((row.start, row.end) for row in mine), 0), theirs, None):
            pieces.append(Piece(name, start, end, mine[bisect_right(begins, start) - 1]))
    return pieces, len(rows)


def read_set(name: str, root: Path) -> list[Piece]:
    """Pieces of all parties of a set that are there; counts are compared."""
    found = {path.stem: path for path in files(root / "transcriptions", (".json",))}
    there = [party for party in SETS[name] if party in found]
    if not there:
        said = f"no transcriptions of {name} ({' '.join(SETS[name])}); {inside(root / 'transcriptions')}"
        raise InputError(said, where=root / "transcriptions", mend="get them from the owners")
    pieces, count = [], 0
    for party in there:
        more, rows = read_party(party, found[party])
        pieces += more
        count += rows
    speakers = len({piece.row.speaker for piece in pieces})
    counts = {"parties": len(there), "speakers": speakers, "utterances": count}
    compare(f"CHiME-5 {name}", counts, PUBLISHED[name], "the owners' page")
    return pieces


def fill(builder: SetBuilder, pieces: Sequence[Piece], audio: dict[str, Path], device: str) -> None:
    """Add what ``device`` heard: worn (what the speaker wore) or ref (channel 1 of the row's array)."""
    lost = set()
    for piece in pieces:
        who = piece.row.speaker
        heard = who if device == "worn" else piece.row.ref
        recording = f"{piece.party}_{heard}" + ("" if device == "worn" else ".CH1")
        if not heard or recording not in audio:
            lost.add(recording)
            continue
        builder.add(
            piece.name("" if device == "worn" else heard),
            who,
            audio[recording],
            recording=recording,
            span=piece.span(heard),
            gender="f" if who in WOMEN else "m",
            session=piece.party,
            device="worn" if device == "worn" else heard,
        )
    if lost:
        said = f"{len(lost)} recordings are not there ({', '.join(sorted(lost)[:5])})"
        warn(f"{builder.folder.name}: {said}: what they heard is left out")
    if not len(builder):
        mend = "get S01_P01.wav and so on: the owners released eval's after the challenge"
        raise InputError(f"no {device} recordings of {builder.folder.name}", where="audio/", mend=mend)


def write_lists(folder: Path, utt2spk: dict[str, str], seed: int) -> None:
    """trials and trials.gender, and trials.party within a party: nobody of dev and eval was at two."""
    genders = {speaker: "f" if speaker in WOMEN else "m" for speaker in utt2spk.values()}
    write_drawn(folder, utt2spk, genders, EACH, seed)
    write_trials(folder / "trials.party", balanced(utt2spk, EACH, seed, lambda utt: utt.split("-")[1]))


def write_far(folder: Path, pieces: Sequence[Piece], audio: dict[str, Path], seed: int) -> None:
    """eval-far: what the best array heard, and for trials.worn what was worn: models near, tests far."""
    builder = SetBuilder(folder)
    fill(builder, pieces, audio, "ref")
    far = dict(builder.utt2spk)
    fill(builder, pieces, audio, "worn")
    builder.write()
    write_lists(folder, far, seed)
    same = {piece.name(device): piece.name() for piece in pieces for device in ("", piece.row.ref)}
    drawn = balanced(builder.utt2spk, 2 * EACH, seed, apart=same.__getitem__)
    across = [(one, two, target) for one, two, target in drawn if (one in far) != (two in far)]
    worn = ((two, one, target) if one in far else (one, two, target) for one, two, target in across)
    write_trials(folder / "trials.worn", worn)


def prepare(corpus: Corpus, data: Path, seed: int) -> None:
    """Write data/{train,dev,eval,eval-far} and the pools that augmentation draws from."""
    root = find(corpus.root)
    sets = {name: read_set(name, root) for name in SETS}
    audio = {path.stem: path for path in files(root / "audio", (".wav",))}
    for name, pieces in sets.items():
        builder = SetBuilder(data / name)
        fill(builder, pieces, audio, "worn")
        builder.write()
        if name != "train":
            write_lists(data / name, builder.utt2spk, seed)
    write_far(data / "eval-far", sets["eval"], audio, seed)
    prepare_pools(corpus, data, seed)


if __name__ == "__main__":
    main(prepare, __doc__)

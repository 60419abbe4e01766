"""Speakers in the Wild (SITW): a network of its own development speakers, judged on its own lists (stage 0).

Layout and lists are those of the owners (SRI International, sitw_database.v4, their README of 23 December
2015), as Kaldi's egs/sitw/v1/local/make_sitw.sh reads them. ROOT/dev and ROOT/eval hold
- audio/NAME.flac; keys/meta.lst: ``audio/skdts.flac ZPYJ m video 605273 96 120 1 codec,reverb ...``, file,
  speaker, gender, microphone, session, start and end there, number of speakers;
- lists/enroll-core.lst ``12013 audio/unotx.flac``: a model and its recording;
- lists/enroll-assist.lst ``45205 audio/ggjnl.flac 88.000 97.990``: the seconds of a recording of several
  people in which the speaker was heard to speak;
- keys/{core,assist}-{core,multi}.lst ``12013 audio/abcde.flac imp|tgt``: trials with core tests (one speaker)
  and multi tests (several). What an assist model hears is cut out by segments; multi tests are whole.

sitw-eval, and in voxceleb_to_sitw sitw-dev, hold both sides of their trials: trials.core-core and so on, and
enrol with the models. dev and eval have 299 speakers (McLaren et al., The 2016 Speakers in the Wild Speaker
Recognition Evaluation).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from local.augmentation import prepare_pools
from pysteps.formats.errors import InputError
from pysteps.formats.tables import opened, read_words
from pysteps.prepare.build import SetBuilder, write_enrolment, write_trials
from pysteps.prepare.corpus import Corpus, compare, files, inside, need, warn
from pysteps.prepare.script import main
from pysteps.prepare.split import held_out
from pysteps.prepare.trials import balanced

SPEAKERS = 299  # in dev and eval together
CONDITIONS = ("core-core", "core-multi", "assist-core", "assist-multi")
DEV_SHARE, DEV_TRIALS = 0.2, 50
_MEND = "--corpus (or --prepare.roots.sitw) is the folder sitw_database.v4, which holds dev/ and eval/"


@dataclass(frozen=True)
class Row:
    """A line of meta.lst, as far as it is used; ``voices``: how many people speak, "2+" for perhaps more."""

    speaker: str
    gender: str
    session: str
    voices: str


@dataclass(frozen=True)
class Part:
    """dev or eval: its folder, name of a recording to its file, and to what is known of it."""

    folder: Path
    audio: dict[str, Path]
    rows: dict[str, Row]

    def utterance(self, name: str) -> str:
        """ZPYJ-skdts."""
        return f"{self.rows[name].speaker}-{name}"


def place(corpus: Corpus) -> Path:
    """The folder that holds dev/ and eval/."""
    root = corpus.optional("sitw", "sitw_database.v4", "sitw", "SITW") or corpus.root
    if (root / "sitw_database.v4").is_dir():
        root /= "sitw_database.v4"
    packed = sorted(root.glob("sitw_database*.tar*"))
    need(root, "dev", "eval", mend=f"unpack {packed[0].name} there" if packed else _MEND)
    return root


def read_part(folder: Path) -> Part:
    """dev or eval, with its recordings listed; InputError says what is missing."""
    audio, _, _ = need(folder, "audio", "lists/enroll-core.lst", "keys/meta.lst", mend=_MEND)
    found = {path.stem: path for path in files(audio, (".flac", ".wav"), 0)}
    if not found:
        raise InputError(f"no .flac; {inside(audio)}", where=audio, mend="unpack the archive again")
    return Part(folder, found, read_meta(folder / "keys" / "meta.lst"))


def read_meta(path: Path) -> dict[str, Row]:
    """Name of a recording to what meta.lst says of it."""
    rows = {}
    for number, fields in _lines(path):
        if len(fields) < 8 or fields[2] not in ("m", "f"):
            raise InputError(
                "not `audio/NAME.flac SPEAKER m|f ...`, 8 words or more", where=path, line=number
            )
        rows[_name(fields[0])] = Row(fields[1], fields[2], fields[4], fields[7])
    return rows


def _lines(path: Path) -> Iterator[tuple[int, list[str]]]:
    with opened(path) as handle:
        for number, line in enumerate(handle, 1):
            if fields := line.decode(errors="replace").split():
                yield number, fields


def _name(file: str) -> str:
    return PurePosixPath(file).stem


def read_enrolment(path: Path) -> Iterator[tuple[str, str, tuple[float, float] | None]]:
    """(model, name of its recording, seconds of it or None) of a list of either kind."""
    for number, fields in _lines(path):
        try:
            if len(fields) not in (2, 4):
                raise ValueError
            span = (float(fields[2]), float(fields[3])) if fields[2:] else None
        except ValueError:
            raise InputError("not `MODEL audio/NAME.flac [START END]`", where=path, line=number) from None
        yield fields[0], _name(fields[1]), span


def write_lists(folder: Path, part: Part) -> None:
    """A set of everything that the part's enrolment and trials name, with enrol and trials.CONDITION.

    Recordings that are not there are counted, and their models and trials left out.
    """
    builder, lost = SetBuilder(folder), set[str]()
    models: dict[str, list[str]] = {}
    for model, name, span in _enrolments(part):
        if utt := _add(builder, part, name, span, lost):
            models.setdefault(model, []).append(utt)
    conditions = _conditions(part)
    tests: dict[str, str] = {}
    for condition in conditions:
        for _, name, _ in read_keys(part, condition):
            if name not in tests:
                tests[name] = _add(builder, part, name, None, lost)
    if lost:
        warn(f"{part.folder}: {len(lost):,} recordings are not there or not in meta.lst ({min(lost)} ...)")
    builder.write()
    write_enrolment(folder, models)
    known = {*models, *tests.values()} - {""}
    for condition in conditions:
        trials = ((model, tests[name], target) for model, name, target in read_keys(part, condition))
        write_trials(folder / f"trials.{condition}", trials, known.__contains__)


def _enrolments(part: Part) -> Iterator[tuple[str, str, tuple[float, float] | None]]:
    for kind in ("core", "assist"):
        path = part.folder / "lists" / f"enroll-{kind}.lst"
        if path.is_file():
            yield from read_enrolment(path)
        else:
            warn(f"no {path}: trials with {kind} models are left out")


def _conditions(part: Part) -> list[str]:
    # Those whose list and models are there.
    keys = part.folder / "keys"
    there = [one for one in CONDITIONS if (keys / f"{one}.lst").is_file()]
    if "core-core" not in there:
        raise InputError(f"no core-core.lst; {inside(keys)}", where=keys, mend=_MEND)
    if len(there) < len(CONDITIONS):
        warn(f"{keys} has no {', '.join(sorted({*CONDITIONS} - {*there}))}")
    if not (part.folder / "lists" / "enroll-assist.lst").is_file():
        there = [one for one in there if not one.startswith("assist")]
    return there


def _add(builder: SetBuilder, part: Part, name: str, span: tuple[float, float] | None, lost: set[str]) -> str:
    # The name of the utterance, "" where its recording is not there.
    if name not in part.audio or name not in part.rows:
        lost.add(name)
        return ""
    row, whole = part.rows[name], part.utterance(name)
    utt = whole if span is None else f"{whole}-{round(1e3 * span[0]):07d}-{round(1e3 * span[1]):07d}"
    if utt not in builder.utt2spk:
        path, gender = part.audio[name], row.gender
        builder.add(utt, row.speaker, path, recording=whole, span=span, gender=gender, session=row.session)
    return utt


def read_keys(part: Part, condition: str) -> Iterator[tuple[str, str, bool]]:
    """(model, name of the test's recording, is target) of a list of trials."""
    path = part.folder / "keys" / f"{condition}.lst"
    for number, (model, file, kind) in read_words(path, 3):
        if kind not in ("tgt", "imp"):
            raise InputError(f"{kind!r} is neither tgt nor imp", where=path, line=number)
        yield model, _name(file), kind == "tgt"


def write_own(data: Path, part: Part, seed: int) -> None:
    """data/train and data/dev of a part's recordings with one speaker; trials of two sessions are drawn."""
    alone = {name: row for name, row in part.rows.items() if row.voices == "1" and name in part.audio}
    genders = {row.speaker: row.gender for row in alone.values()}
    held = held_out(genders, {"dev": DEV_SHARE}, seed, genders.__getitem__)
    sets = {name: SetBuilder(data / name) for name in ("train", "dev")}
    sessions = {}
    for name, row in alone.items():
        utt = part.utterance(name)
        sessions[utt] = row.session
        builder = sets[held.get(row.speaker, "train")]
        builder.add(utt, row.speaker, part.audio[name], gender=row.gender, session=row.session)
    for builder in sets.values():
        builder.write()
    trials = balanced(sets["dev"].utt2spk, DEV_TRIALS, seed, apart=sessions.__getitem__)
    write_trials(data / "dev" / "trials", trials)


def compare_speakers(parts: Mapping[str, Part]) -> None:
    """A warning where dev and eval together have not the published number of speakers."""
    speakers = {row.speaker for part in parts.values() for row in part.rows.values()}
    compare("SITW dev and eval", {"speakers": len(speakers)}, {"speakers": SPEAKERS}, "McLaren et al. 2016")


def read_parts(corpus: Corpus) -> dict[str, Part]:
    """dev and eval, their speakers counted."""
    root = place(corpus)
    parts = {name: read_part(root / name) for name in ("dev", "eval")}
    compare_speakers(parts)
    return parts


def prepare(corpus: Corpus, data: Path, seed: int) -> None:
    """Write data/{train,dev,sitw-eval} and the pools that augmentation draws from."""
    parts = read_parts(corpus)
    write_own(data, parts["dev"], seed)
    write_lists(data / "sitw-eval", parts["eval"])
    prepare_pools(corpus, data, seed)


if __name__ == "__main__":
    main(prepare, __doc__)

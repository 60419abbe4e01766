"""CN-Celeb: training speakers of CN-Celeb1 and CN-Celeb2, judged on CN-Celeb1's evaluation set (stage 0).

Layout, lists and counts are those of
- the owners (CSLT, Tsinghua; openslr.org, SLR82; Fan et al., ICASSP 2020; Li et al., Speech Communication
  2022, arXiv 2012.12468): the second release unpacks to CN-Celeb_flac/{data/ID,dev,eval} and
  CN-Celeb2_flac/{data/ID,spk.lst};
- WeSpeaker's examples/cnceleb/v2/local/prepare_data.sh and ESPnet's egs2/cnceleb/spk1/local: dev/dev.lst and
  spk.lst name the training speakers, eval/lists/enroll.map the utterances of data/ behind each model,
  eval/lists/trials.lst the trials; the lists say .wav where the files are .flac;
- Kaldi's egs/cnceleb/v1/local/make_cnceleb1.sh and v2/run.sh for the first release, in WAV, without
  enroll.map: 800 and 2,000 training speakers, 640,744 utterances.

data/ID/GENRE-RECORDING-NUMBER.flac holds every speaker's utterances, also those of the evaluation: only
listed speakers are trained on. eval/test and eval/enroll are flat: ID-GENRE-RECORDING-NUMBER and ID-enroll.

No development set is published for judging training: DEV_SHARE of CN-Celeb1's training speakers (60) are
taken out by a seeded draw, with at most DEV_UTTERANCES each, and trials whose target sides are of two
recordings.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from local.augmentation import prepare_pools
from pysteps.formats.errors import InputError
from pysteps.formats.rng import generator
from pysteps.formats.tables import read_words
from pysteps.prepare.build import SetBuilder, write_enrolment, write_trials
from pysteps.prepare.corpus import Corpus, compare, files, inside, need, warn
from pysteps.prepare.script import main
from pysteps.prepare.split import held_out
from pysteps.prepare.trials import balanced

DEV_SHARE, DEV_UTTERANCES, DEV_EACH = 0.075, 40, 100
AUDIO = (".flac", ".wav")
FIRST, SECOND = ("CN-Celeb_flac", "CN-Celeb", "CN-Celeb1"), ("CN-Celeb2_flac", "CN-Celeb2")
SOURCE = "the second release (arXiv 2012.12468)"
# Training: arXiv 2012.12468. Evaluation: 196 models times 17,777 utterances of 200 speakers.
PUBLISHED = {
    "CN-Celeb1 training": {"speakers": 797, "utterances": 107_953},
    "CN-Celeb2": {"speakers": 1_996, "utterances": 524_787},
    "CN-Celeb eval": {"models": 196, "test utterances": 17_777, "test speakers": 200, "trials": 3_484_292},
}


@dataclass(frozen=True)
class Piece:
    """An utterance of data/: ``stem`` is GENRE-RECORDING-NUMBER."""

    speaker: str
    stem: str
    path: Path

    @property
    def recording(self) -> str:
        """GENRE-RECORDING."""
        return self.stem.rpartition("-")[0]


def find_first(corpus: Corpus) -> Path:
    """CN-Celeb1: what --prepare.roots.cnceleb1 names, the corpus itself, or a folder of it. Checked."""
    if "cnceleb1" not in corpus.roots and (corpus.root / "eval" / "lists").is_dir():
        found = corpus.root
    else:
        _refuse_packed(corpus, "cn-celeb_v2.tar.gz", *FIRST)
        found = corpus.part("cnceleb1", *FIRST)
    names = ("data", "dev/dev.lst", "eval/enroll", "eval/test", "eval/lists/trials.lst")
    need(
        found, *names, mend="unpack cn-celeb_v2.tar.gz again; --corpus is the folder that holds CN-Celeb_flac"
    )
    return found


def find_second(corpus: Corpus) -> Path:
    """CN-Celeb2: what --prepare.roots.cnceleb2 names, or a folder of the corpus. Checked."""
    _refuse_packed(corpus, "cn-celeb2_v2.tar.gz*", *SECOND)
    found = corpus.part("cnceleb2", *SECOND)
    need(found, "data", "spk.lst", mend="unpack cn-celeb2_v2.tar.gz (three parts, joined by cat) again")
    return found


def _refuse_packed(corpus: Corpus, archive: str, *folders: str) -> None:
    packed = sorted(path.name for path in corpus.root.glob(archive))
    if packed and not any((corpus.root / folder).is_dir() for folder in folders):
        mend = f"cat {archive} | tar xz" if archive.endswith("*") else f"tar xzf {archive}"
        raise InputError(f"{packed[0]} is not unpacked", where=corpus.root, mend=f"{mend}, in that folder")


def read_list(path: Path) -> set[str]:
    """The speakers of dev.lst or spk.lst, one a line."""
    return {words[0] for _, words in read_words(path, 1)}


def pieces(root: Path) -> Iterator[Piece]:
    """What lies in ``root``/data, sorted."""
    for path in files(root / "data", AUDIO, 1):
        yield Piece(path.parent.name, path.stem, path)


def add(builder: SetBuilder, piece: Piece, mark: str = "") -> None:
    """An utterance ID-GENRE-RECORDING-NUMBER with its genre and recording; ``mark`` goes before the ID."""
    speaker = mark + piece.speaker
    regular = piece.stem.count("-") == 2
    genre = piece.stem.partition("-")[0] if regular else ""
    session = f"{speaker}-{piece.recording}" if regular else ""
    builder.add(f"{speaker}-{piece.stem}", speaker, piece.path, lang="zh", genre=genre, session=session)


def add_training(
    into: SetBuilder,
    name: str,
    root: Path,
    listed: Path,
    there: Iterable[Piece],
    without: Collection[str],
    mark: str = "",
) -> None:
    """Add those speakers of ``listed`` to ``into`` that are not in ``without``; counts are compared."""
    speakers, found, count = read_list(listed), set[str](), 0
    for piece in there:
        if piece.speaker in speakers:
            found.add(piece.speaker)
            count += 1
            if piece.speaker not in without:
                add(into, piece, mark)
    if not found:
        what = f"none of the {len(speakers)} speakers of {listed.name} is in data/; {inside(root / 'data')}"
        raise InputError(what, where=root, mend="get the rest of the corpus")
    if lost := sorted(speakers - found):
        warn(f"{name}: {len(lost)} speakers of {listed.name} are not in data/: {' '.join(lost[:5])}")
    compare(name, {"speakers": len(found), "utterances": count}, PUBLISHED[name], SOURCE)


def draw_dev(there: Iterable[Piece], listed: Collection[str], seed: int) -> dict[str, list[Piece]]:
    """The speakers held out to judge training, each with the utterances drawn for them.

    Only speakers of two recordings can be drawn: the sides of a target trial come from two.
    """
    theirs: dict[str, list[Piece]] = {}
    for piece in there:
        if piece.speaker in listed:
            theirs.setdefault(piece.speaker, []).append(piece)
    able = [who for who, said in theirs.items() if len({one.recording for one in said}) > 1]
    drawn = {}
    for who in sorted(held_out(able, {"dev": DEV_SHARE}, seed)):
        ranks = generator(seed, who, "dev").permutation(len(theirs[who]))
        drawn[who] = [theirs[who][index] for index in sorted(ranks[:DEV_UTTERANCES])]
    return drawn


def write_dev(folder: Path, drawn: Mapping[str, Iterable[Piece]], seed: int) -> None:
    """The development set and its trials."""
    builder = SetBuilder(folder)
    for said in drawn.values():
        for piece in said:
            add(builder, piece)
    builder.write()
    trials = balanced(builder.utt2spk, DEV_EACH, seed, apart=lambda utt: utt.rpartition("-")[0])
    write_trials(folder / "trials", trials)


def add_models(builder: SetBuilder, root: Path, there: Iterable[Piece], mark: str) -> dict[str, list[str]]:
    """Model to its utterances, which are added: those of data/ that enroll.map names, averaged; without that
    list (the first release) the owners' concatenation of them, eval/enroll/ID-enroll."""
    listed, models = root / "eval" / "lists" / "enroll.map", dict[str, list[str]]()
    if not listed.is_file():
        for path in files(root / "eval" / "enroll", AUDIO, 0):
            name = mark + path.stem
            builder.add(f"{name}-concat", mark + path.stem.partition("-")[0], path, lang="zh")
            models[name] = [f"{name}-concat"]
        return models
    wanted = dict[str, str]()
    with listed.open(encoding="utf-8") as lines:
        for words in map(str.split, lines):
            name = mark + words[0].removesuffix("-enroll") + "-enroll" if words else ""
            wanted.update({word.rpartition(".")[0]: name for word in words[1:]})
    for piece in there:
        if name := wanted.pop(f"{piece.speaker}/{piece.stem}", ""):
            utt = f"{mark}{piece.speaker}-{piece.stem}"
            if utt not in builder.utt2spk:
                add(builder, piece, mark)
            models.setdefault(name, []).append(utt)
    if wanted:
        warn(f"eval: {len(wanted)} enrolment utterances are not in data/ (the first: {min(wanted)})")
    return models


def read_trials(root: Path, mark: str) -> Iterator[tuple[str, str, bool]]:
    """trials.lst, `id00800-enroll test/id00800-singing-01-005.wav 1`."""
    path = root / "eval" / "lists" / "trials.lst"
    for line, (model, test, label) in read_words(path, 3):
        if label not in ("0", "1"):
            raise InputError(f"{label!r} is neither 1 nor 0", where=path, line=line)
        yield mark + model, mark + test.rpartition("/")[2].rpartition(".")[0], label == "1"


def write_eval(folder: Path, root: Path, there: Iterable[Piece], mark: str = "") -> set[str]:
    """The evaluation set with enrol and trials; returns its speakers, unmarked. ``there``: what data/ has."""
    builder, tests = SetBuilder(folder), files(root / "eval" / "test", AUDIO, 0)
    for path in tests:
        speaker, _, stem = path.stem.partition("-")
        add(builder, Piece(speaker, stem, path), mark)
    speakers = builder.speakers
    models = add_models(builder, root, there, mark)
    builder.write()
    write_enrolment(folder, models)
    utts = builder.utt2spk
    count = write_trials(
        folder / "trials", read_trials(root, mark), lambda name: name in models or name in utts
    )
    found = {"models": len(models), "test utterances": len(tests), "test speakers": len(speakers)}
    compare("CN-Celeb eval", {**found, "trials": count}, PUBLISHED["CN-Celeb eval"], SOURCE)
    return {who.removeprefix(mark) for who in builder.speakers}


def prepare_sets(corpus: Corpus, data: Path, seed: int, second: bool = True) -> None:
    """Write data/{train,dev,eval}; with ``second`` CN-Celeb2 is part of train."""
    first = find_first(corpus)
    other = find_second(corpus) if second else None
    there, listed = list(pieces(first)), first / "dev" / "dev.lst"
    judged = write_eval(data / "eval", first, there)
    if both := judged & read_list(listed):
        warn(
            f"{len(both)} speakers of dev.lst are evaluated and not trained on: {' '.join(sorted(both)[:5])}"
        )
    held = draw_dev(there, read_list(listed) - judged, seed)
    write_dev(data / "dev", held, seed)
    train = SetBuilder(data / "train")
    add_training(train, "CN-Celeb1 training", first, listed, there, judged | held.keys())
    if other:
        add_training(train, "CN-Celeb2", other, other / "spk.lst", pieces(other), judged | held.keys())
    train.write()


def prepare(corpus: Corpus, data: Path, seed: int) -> None:
    """Write data/{train,dev,eval} and the pools that augmentation draws from."""
    prepare_sets(corpus, data, seed)
    prepare_pools(corpus, data, seed)


if __name__ == "__main__":
    main(prepare, __doc__)

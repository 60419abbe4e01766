"""LibriSpeech: ROOT/SUBSET/SPEAKER/CHAPTER/SPEAKER-CHAPTER-NUMBER.flac and SPEAKERS.TXT.

Layout and SPEAKERS.TXT (`ID | SEX | SUBSET | MINUTES | NAME`) as in the corpus's own README.TXT
(openslr.org, SLR12). Long utterances are cut by data/SET/segments into pieces of 3 to 4 s. The speakers of
train-clean-100 are split into train, dev and eval by a seeded draw within each gender; test-other is an
evaluation set of its own. Trials are all pairs of pieces of a set; pieces of one utterance
share a session, so figures are optimistic.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from local.augmentation import prepare_pools
from pysteps.audio.read import duration
from pysteps.formats.errors import InputError
from pysteps.formats.rng import generator
from pysteps.formats.tables import invert, write_table
from pysteps.prepare.build import write_trials
from pysteps.prepare.corpus import Corpus
from pysteps.prepare.script import main
from pysteps.prepare.trials import Trial, all_pairs

TRAIN, TEST = "train-clean-100", "test-other"
DEV_SPEAKERS, EVAL_SPEAKERS = 20, 50
SHORTEST, LONGEST, LEAST = 3.0, 4.0, 1.5


def read_genders(corpus: Path) -> dict[str, str]:
    """Speaker to m or f, from SPEAKERS.TXT."""
    path, genders = corpus / "SPEAKERS.TXT", {}
    if not path.is_file():
        raise InputError("no SPEAKERS.TXT", where=corpus, mend="--corpus is the folder that holds it")
    for number, line in enumerate(path.read_text("utf-8").splitlines(), 1):
        if line.strip() and not line.startswith(";"):
            fields = [field.strip() for field in line.split("|")]
            if len(fields) < 2 or fields[1] not in ("M", "F"):
                raise InputError("not `ID | SEX | ...`", where=path, line=number)
            genders[fields[0]] = fields[1].lower()
    return genders


def pieces(seconds: float) -> list[tuple[float, float]]:
    """Equal pieces of 3 to 4 s (start, end) of a long utterance; one of up to 4 s is left whole.

    Below LEAST seconds there is none.
    """
    if seconds <= LONGEST:
        return [(0.0, round(seconds, 3))] if seconds >= LEAST else []
    count = math.floor(seconds / ((SHORTEST + LONGEST) / 2))
    step = min(seconds / count, LONGEST)
    return [(round(index * step, 3), round((index + 1) * step, 3)) for index in range(count)]


def split(speakers: Sequence[str], genders: Mapping[str, str], seed: int) -> dict[str, list[str]]:
    """train, dev and eval speakers: a seeded draw that keeps the share of genders."""
    order = sorted(speakers, key=lambda speaker: generator(seed, speaker, "split").random())
    women = [speaker for speaker in order if genders[speaker] == "f"]
    men = [speaker for speaker in order if genders[speaker] == "m"]
    mixed = [speaker for pair in zip(women, men, strict=False) for speaker in pair]
    mixed += [speaker for speaker in order if speaker not in set(mixed)]
    # A smaller copy of the corpus is split in the same proportions.
    scale = min(1.0, len(mixed) / (181 + DEV_SPEAKERS + EVAL_SPEAKERS))
    dev, held = (max(2, round(count * scale)) for count in (DEV_SPEAKERS, EVAL_SPEAKERS))
    return {"eval": mixed[:held], "dev": mixed[held : held + dev], "train": mixed[held + dev :]}


def seconds_of(file: Path) -> float:
    """Seconds of a recording. One that cannot be read counts as a piece: stage audio drops it."""
    try:
        samples, rate = duration(file)
    except InputError:
        return SHORTEST
    return samples / rate


def write_set(folder: Path, files: Sequence[Path], genders: Mapping[str, str]) -> list[str]:
    """wav.scp, segments, utt2spk, spk2utt and spk2gender; returns the utterances."""
    wav, segments, utt2spk = {}, {}, {}
    for file in files:
        seconds = seconds_of(file)
        wav[file.stem] = str(file)
        for number, (start, end) in enumerate(pieces(seconds)):
            utt = f"{file.stem}-{number:02d}"
            segments[utt] = f"{file.stem} {start:.3f} {min(end, seconds):.3f}"
            utt2spk[utt] = file.stem.split("-")[0]
    used = {value.split()[0] for value in segments.values()}
    write_table(folder / "wav.scp", {name: path for name, path in wav.items() if name in used})
    write_table(folder / "segments", segments)
    write_table(folder / "utt2spk", utt2spk)
    write_table(folder / "spk2utt", invert(utt2spk))
    write_table(folder / "spk2gender", {speaker: genders[speaker] for speaker in set(utt2spk.values())})
    short = len(files) - len(used)
    print(f"{folder}: {len(utt2spk)} pieces of {len(used)} recordings, {short} under {LEAST} s")
    return sorted(utt2spk)


def all_pieces(utts: Sequence[str]) -> Iterator[Trial]:
    """Every unordered pair of pieces, once; a piece's name begins with its speaker's."""
    return all_pairs({utt: utt.split("-")[0] for utt in utts})


def prepare_sets(corpus: Path, data: Path, seed: int, prefix: str = "") -> None:
    """Write data/{train,dev,eval,test-other}, their names behind ``prefix``."""
    genders = read_genders(corpus)
    by_speaker: dict[str, list[Path]] = {}
    for file in sorted((corpus / TRAIN).glob("*/*/*.flac")):
        by_speaker.setdefault(file.stem.split("-")[0], []).append(file)
    if len(by_speaker) < 8:
        raise InputError(
            f"{len(by_speaker)} speakers in SPEAKER/CHAPTER/*.flac",
            where=corpus / TRAIN,
            mend="--corpus is the LibriSpeech folder that holds train-clean-100",
        )
    tests = sorted((corpus / TEST).glob("*/*/*.flac"))
    if not tests:
        raise InputError(
            "no recordings", where=corpus / TEST, mend="unpack test-other beside train-clean-100"
        )
    unknown = sorted({*by_speaker, *(file.stem.split("-")[0] for file in tests)} - set(genders))
    if unknown:
        raise InputError(f"speaker {unknown[0]} is not listed", where=corpus / "SPEAKERS.TXT")
    for name, speakers in split(sorted(by_speaker), genders, seed).items():
        files = sorted(file for speaker in speakers for file in by_speaker[speaker])
        utts = write_set(data / f"{prefix}{name}", files, genders)
        if name != "train":
            write_trials(data / f"{prefix}{name}" / "trials", all_pieces(utts))
    folder = data / f"{prefix}{TEST}"
    write_trials(folder / "trials", all_pieces(write_set(folder, tests, genders)))


def prepare(corpus: Corpus, data: Path, seed: int) -> None:
    """Write data/{train,dev,eval,test-other} and the pools that augmentation draws from."""
    prepare_sets(corpus.root, data, seed)
    prepare_pools(corpus, data, seed)


if __name__ == "__main__":
    main(prepare, __doc__)

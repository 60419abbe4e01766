"""egs/conversations: egs/mini, and made-up conversations of its dev and evaluation speakers (stage 0).

Each recording joins utterances of two to four speakers of one package (packages differ in channel, which
would make it too easy) in random turns with short pauses, all equally loud. data/SET/rttm says who speaks
when, data/SET/reco2num_spk how many. The sets of utterances are those of egs/mini.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cache
from pathlib import Path

import numpy as np

from local.augmentation import place, write_wav
from local.mini import prepare as prepare_mini
from local.mini import read_tsv
from pysteps.audio.filters import resample, to_int16, trim_silence
from pysteps.audio.read import read_audio
from pysteps.diarize.turns import Turn, write_rttm
from pysteps.formats.rng import generator
from pysteps.formats.tables import write_table
from pysteps.prepare.corpus import Corpus
from pysteps.prepare.script import main

RATE = 16000
COUNT, SECONDS = 24, 60.0  # conversations a set, and how long each gets at least
TRIM_DB, LEVEL = 40.0, 0.05  # ends this much below an utterance's peak are cut; root mean square of all
PAUSE = (0.1, 0.8)  # seconds between two turns


def utterance(path: Path) -> np.ndarray:
    """Speech [time] at 16 kHz without its silent ends, at the common level."""
    samples, rate = read_audio(str(path))
    samples = resample(samples, rate, RATE)
    first, last = trim_silence(samples, RATE, TRIM_DB)
    samples = samples[first:last]
    return samples * (LEVEL / np.sqrt(np.mean(samples**2, dtype=np.float64)))


def converse(
    rng: np.random.Generator, files: Mapping[str, Sequence[Path]], speech_of: Callable[[Path], np.ndarray]
) -> tuple[np.ndarray, list[Turn]]:
    """A conversation of the speakers of ``files``: samples [time] and its turns. Nobody follows himself."""
    pieces, turns, at, last = [], [], 0, ""
    names = sorted(files)
    waiting: list[str] = []  # everybody speaks once before anybody is drawn again
    while at < SECONDS * RATE or waiting:
        if not waiting:
            waiting = [str(name) for name in rng.permutation(names)]
            if waiting[0] == last:
                waiting.append(waiting.pop(0))
        last = waiting.pop(0)
        pause = np.zeros(int(rng.uniform(*PAUSE) * RATE), np.float32)
        speech = speech_of(files[last][int(rng.integers(len(files[last])))])
        start = at + len(pause)
        at = start + len(speech)
        pieces += [pause, speech]
        turns.append(Turn(start / RATE, at / RATE, last))
    samples = np.concatenate(pieces)
    return samples + 1e-4 * rng.standard_normal(len(samples)), turns  # -60 dB: no pause is digital silence


def write_conversations(corpus: Path, folder: Path, rows: list[dict[str, str]], seed: int) -> None:
    """wav.scp, utt2spk, rttm and reco2num_spk of one set, and its recordings in ``folder``/recordings."""
    packages: dict[str, dict[str, list[Path]]] = {}
    for row in rows:
        speaker = row["utterance"].rpartition("-")[0]
        packages.setdefault(row["package"], {}).setdefault(speaker, []).append(corpus / row["file"])
    known = sorted(name for name, people in packages.items() if len(people) > 1)
    wav, truth, numbers = {}, {}, {}
    speech_of = cache(utterance)  # a voice is in several conversations
    for number in range(COUNT):
        name = f"{folder.name}-{number + 1:02d}"
        rng = generator(seed, name, "conversation")
        people = packages[known[number % len(known)]]
        count = int(rng.integers(2, min(4, len(people)) + 1))
        chosen = sorted(str(one) for one in rng.choice(sorted(people), count, replace=False))
        samples, truth[name] = converse(rng, {one: people[one] for one in chosen}, speech_of)
        path = folder / "recordings" / f"{name}.wav"
        write_wav(path, to_int16(samples.astype(np.float32))[0])
        wav[name], numbers[name] = place(path), str(count)
    write_table(folder / "wav.scp", wav)
    write_table(folder / "utt2spk", {name: name for name in wav})  # a recording is nobody's
    write_table(folder / "spk2utt", {name: name for name in wav})
    write_table(folder / "reco2num_spk", numbers)
    write_rttm(folder / "rttm", truth)
    print(f"{folder}: {len(wav)} conversations", flush=True)


def prepare(corpus: Corpus, data: Path, seed: int) -> None:
    """Write egs/mini's data, and data/{dev,eval}-conversations."""
    prepare_mini(corpus, data, seed)
    people = {row["speaker"]: row for row in read_tsv(corpus.root / "speakers.tsv")}
    rows: dict[str, list[dict[str, str]]] = {}
    for row in read_tsv(corpus.root / "utterances.tsv"):
        split = people[row["utterance"].rpartition("-")[0]]["split"]
        rows.setdefault(split, []).append(row)
    for name in ("dev", "eval"):
        write_conversations(corpus.root, data / f"{name}-conversations", rows[name], seed)


if __name__ == "__main__":
    main(prepare, __doc__)

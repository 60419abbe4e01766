"""AISHELL-1: read Mandarin, models of three utterances against the rest of the test set (stage 0).

Layout, sets and counts are those of
- the owners (Bu et al. 2017, arXiv 1709.05522; openslr.org, SLR33):
  data_aishell/wav/{train,dev,test}/SPEAKER/RECORDING.wav of 340, 40 and 20 speakers; wav/ holds an archive a
  speaker, which is unpacked there; genders in resource_aishell/speaker.info (`0002 F`: speaker S0002);
- Kaldi's egs/aishell/v1: 141,925 recordings, and the rule of its trials (split_data_enroll_eval.py,
  produce_trials.py): three utterances of a test speaker, drawn at random, are the model, and every other
  utterance of the set is tried against every model. Its draw was not kept; ours is seeded.
"""

from __future__ import annotations

from pathlib import Path

from local.augmentation import prepare_pools
from local.lists import write_drawn
from local.read_speech import (
    EACH,
    gender_of,
    need_sets,
    refuse_packed,
    speakers_of,
    write_models,
    write_sets,
)
from pysteps.formats.errors import InputError
from pysteps.prepare.corpus import Corpus, compare, inside, warn
from pysteps.prepare.script import main

SETS = {"train": "train", "dev": "dev", "eval": "test"}
ENROLLED = 3
PUBLISHED = {"train": 340, "dev": 40, "eval": 20}


def find(root: Path) -> Path:
    """The folder wav/ of data_aishell at or below ``root``."""
    for wav in (root / "data_aishell" / "wav", root / "wav"):
        if wav.is_dir():
            there = {speaker for name in SETS.values() for speaker in speakers_of(wav / name)}
            refuse_packed(wav, there, "in that folder: for a in *.tar.gz; do tar xzf $a; done")
            need_sets(wav, SETS.values(), "unpack data_aishell.tgz, and the archives in its wav/, again")
            return wav
    packed = "unpack data_aishell.tgz there" if (root / "data_aishell.tgz").is_file() else ""
    mend = packed or "--corpus is the folder that holds data_aishell and resource_aishell"
    raise InputError(f"no data_aishell/wav and no wav here; {inside(root)}", where=root, mend=mend)


def read_genders(wav: Path) -> dict[str, str]:
    """Speaker to m or f; empty, which is said, where speaker.info is not there."""
    for folder in (wav.parent.parent, wav.parent):
        path = folder / "resource_aishell" / "speaker.info"
        if path.is_file():
            rows = (line.split() for line in path.read_text("utf-8").splitlines())
            known = ((f"S{row[0].removeprefix('S')}", gender_of(row[1])) for row in rows if len(row) > 1)
            return {speaker: gender for speaker, gender in known if gender}
    warn(f"no resource_aishell/speaker.info beside {wav.parent}: genders are not known")
    return {}


def prepare(corpus: Corpus, data: Path, seed: int) -> None:
    """Write data/{train,dev,eval} and the pools that augmentation draws from."""
    wav = find(corpus.root)
    genders = read_genders(wav)
    built, seen = write_sets(data, {name: wav / folder for name, folder in SETS.items()}, genders)
    write_drawn(data / "dev", built["dev"].utt2spk, genders, EACH, seed)
    write_models(data / "eval", built["eval"].utt2spk, genders, ENROLLED, seed)
    for name, number in PUBLISHED.items():
        found = {"speakers": len(built[name].speakers)}
        compare(f"AISHELL-1 {SETS[name]}", found, {"speakers": number}, "arXiv 1709.05522")
    compare("AISHELL-1", {"recordings": seen}, {"recordings": 141_925}, "Kaldi's egs/aishell")
    prepare_pools(corpus, data, seed)


if __name__ == "__main__":
    main(prepare, __doc__)

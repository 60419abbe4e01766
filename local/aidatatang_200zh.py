"""aidatatang_200zh: read Mandarin from telephones (stage 0).

Layout, sets and counts are those of
- the owners (Beijing DataTang; openslr.org, SLR62): 600 speakers in aidatatang_200zh/corpus/{train,dev,test},
  7 : 1 : 2, an archive a speaker (G0002.tar.gz) that is unpacked there; beside every RECORDING.wav lies
  RECORDING.metadata, lines of KEY<tab>VALUE, of which SEX is read, from one recording a speaker;
- Kaldi's egs/aidatatang_200zh/s5/local/data_prep.sh (237,265 recordings, corpus/SET/SPEAKER/RECORDING.wav)
  and lhotse's recipes/aidatatang_200zh.py.

Trials: for every speaker of dev and of test 100 target and 100 non-target pairs of utterances, drawn by seed.
"""

from __future__ import annotations

import os
from pathlib import Path

from local.augmentation import prepare_pools
from local.read_speech import gender_of, need_sets, refuse_packed, speakers_of, write_with_trials
from pysteps.formats.errors import InputError
from pysteps.prepare.corpus import Corpus, compare, inside, warn
from pysteps.prepare.script import main

SETS = {"train": "train", "dev": "dev", "eval": "test"}


def find(root: Path) -> Path:
    """The folder corpus/ at or below ``root``."""
    for found in (root / "aidatatang_200zh" / "corpus", root / "corpus", root):
        if all((found / name).is_dir() for name in SETS.values()):
            for name in SETS.values():
                mend = f"in {name}/: for a in *.tar.gz; do tar xzf $a; done"
                refuse_packed(found / name, speakers_of(found / name), mend)
            need_sets(found, SETS.values(), "unpack aidatatang_200zh.tgz again")
            return found
    packed = "unpack aidatatang_200zh.tgz there" if (root / "aidatatang_200zh.tgz").is_file() else ""
    mend = packed or "--corpus is the folder that holds aidatatang_200zh"
    what = f"no aidatatang_200zh/corpus with train/, dev/ and test/ here; {inside(root)}"
    raise InputError(what, where=root, mend=mend)


def read_genders(corpus: Path) -> dict[str, str]:
    """Speaker to m or f, as far as the metadata of his first recording says."""
    genders, folders = (
        {},
        [corpus / name / who for name in SETS.values() for who in speakers_of(corpus / name)],
    )
    for folder in folders:
        names = [entry.name for entry in os.scandir(folder) if entry.name.endswith(".metadata")]
        text = (folder / min(names)).read_text("utf-8", errors="replace") if names else ""
        fields = (line.split(None, 1) for line in text.splitlines())
        said = [gender_of(words[1]) for words in fields if len(words) == 2 and words[0] == "SEX"]
        if said and said[0]:
            genders[folder.name] = said[0]
    if len(genders) < len(folders):
        warn(f"genders of {len(folders) - len(genders)} of {len(folders)} speakers are not known")
    return genders


def prepare(corpus: Corpus, data: Path, seed: int) -> None:
    """Write data/{train,dev,eval} and the pools that augmentation draws from."""
    found = find(corpus.root)
    genders = read_genders(found)
    folders = {name: found / folder for name, folder in SETS.items()}
    counts = write_with_trials(data, folders, genders, seed)
    compare("aidatatang_200zh", counts, {"speakers": 600}, "openslr.org (SLR62)")
    compare("aidatatang_200zh", counts, {"recordings": 237_265}, "Kaldi's egs/aidatatang_200zh")
    prepare_pools(corpus, data, seed)


if __name__ == "__main__":
    main(prepare, __doc__)

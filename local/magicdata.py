"""MAGICDATA: read Mandarin from telephones (stage 0).

Layout, sets and counts are those of
- the owners (Magic Data Technology; openslr.org, SLR68): 1,080 speakers; train_set.tar.gz, dev_set.tar.gz and
  test_set.tar.gz unpack to train/, dev/ and test/, each SPEAKER/SPEAKER_TIME.wav
  (5_1812/5_1812_20170628135834.wav), metadata.tar.gz to SPKINFO.txt (`SPKID Age Gender Dialect`, with tabs),
  at the top or in metadata/;
- Kaldi's egs/multi_cn/s5/local/magicdata_data_prep.sh (609,552 recordings) and magicdata_badlist (two that
  are left out), and lhotse's recipes/magicdata.py.

A session is the day in a recording's name. Trials: for every speaker of dev and of test 100 target and 100
non-target pairs of utterances, drawn by seed.
"""

from __future__ import annotations

from pathlib import Path

from local.augmentation import prepare_pools
from local.read_speech import gender_of, need_sets, write_with_trials
from pysteps.formats.errors import InputError
from pysteps.prepare.corpus import Corpus, compare, inside, warn
from pysteps.prepare.script import main

SETS = {"train": "train", "dev": "dev", "eval": "test"}
BAD = ("16_4013_20170819121429", "18_1565_20170712000170")


def find(root: Path) -> Path:
    """The folder that holds train/, dev/ and test/: ``root``, or magicdata below it."""
    for found in (root, root / "magicdata", root / "MAGICDATA"):
        if (found / "train").is_dir():
            need_sets(
                found, SETS.values(), "unpack train_set.tar.gz, dev_set.tar.gz and test_set.tar.gz there"
            )
            return found
    packed = sorted(path.name for path in root.glob("*_set.tar.gz"))
    mend = f"unpack {', '.join(packed)} there" if packed else "--corpus is the folder that holds train/"
    raise InputError(f"no train/ here, and no magicdata/train; {inside(root)}", where=root, mend=mend)


def read_genders(found: Path) -> dict[str, str]:
    """Speaker to m or f; empty, which is said, where SPKINFO.txt is not there."""
    for path in (found / "SPKINFO.txt", found / "metadata" / "SPKINFO.txt"):
        if path.is_file():
            rows = (line.split("\t") for line in path.read_text("utf-8-sig").splitlines())
            return {row[0].strip(): gender_of(row[2]) for row in rows if len(row) > 2 and gender_of(row[2])}
    warn(f"no SPKINFO.txt in {found} or in metadata/ (metadata.tar.gz holds it): genders are not known")
    return {}


def day_of(stem: str) -> str:
    """SPEAKER-YYYYMMDD of AREA_NUMBER_YYYYMMDDhhmmss (SPEAKER is AREA_NUMBER)."""
    speaker, _, time = stem.rpartition("_")
    return f"{speaker}-{time[:8]}" if speaker and len(time) >= 8 else ""


def prepare(corpus: Corpus, data: Path, seed: int) -> None:
    """Write data/{train,dev,eval} and the pools that augmentation draws from."""
    found = find(corpus.root)
    genders = read_genders(found)
    folders = {name: found / folder for name, folder in SETS.items()}
    counts = write_with_trials(data, folders, genders, seed, day_of, BAD)
    compare("MAGICDATA", counts, {"speakers": 1_080}, "openslr.org (SLR68)")
    compare("MAGICDATA", counts, {"recordings": 609_552}, "Kaldi's egs/multi_cn")
    prepare_pools(corpus, data, seed)


if __name__ == "__main__":
    main(prepare, __doc__)

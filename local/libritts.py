"""LibriTTS: ROOT/SUBSET/SPEAKER/CHAPTER/SPEAKER_CHAPTER_PARAGRAPH_SENTENCE.wav at 24 kHz.

Layout, subsets and the number of speakers are those of the corpus's README_libritts.txt (openslr.org, SLR60;
Zen et al. 2019); utterances: the catalogue of tensorflow/datasets (docs/catalog/libritts.md). Genders
come from speakers.tsv (`READER GENDER SUBSET NAME`, as tensorflow/datasets reads it), else from SPEAKERS.txt
(`ID | SEX | SUBSET | MINUTES | NAME`, as lhotse/recipes/libritts.py does). LibriTTS-R (SLR141) has the same
layout. local/libri.py says how sets and trials are made.
"""

from __future__ import annotations

from pathlib import Path

from local.augmentation import prepare_pools
from local.libri import Kind, find, prepare_sets, read_speakers
from pysteps.formats.errors import InputError
from pysteps.prepare.corpus import Corpus, inside
from pysteps.prepare.script import main

TABLES = ("speakers.tsv", "SPEAKERS.txt", "SPEAKERS.TXT")
KIND = Kind(
    name="LibriTTS",
    suffix=".wav",
    separator="_",
    published={
        "train-clean-100": (247, 33236),
        "train-clean-360": (904, 116500),
        "train-other-500": (1160, 205044),
        "dev-clean": (40, 5736),
        "dev-other": (33, 4613),
        "test-clean": (39, 4837),
        "test-other": (33, 5120),
    },
    source="the owners' README (utterances: TensorFlow's catalogue)",
)


def prepare(corpus: Corpus, data: Path, seed: int) -> None:
    """Write data/{train,dev,test-clean,test-other} and the pools that augmentation draws from."""
    root = find(corpus.root, "LibriTTS", "LibriTTS_R")
    table = next((root / name for name in TABLES if (root / name).is_file()), None)
    if table is None:
        mend = "both come with every archive of the corpus: unpack one again"
        raise InputError(f"no speakers.tsv and no SPEAKERS.txt here; {inside(root)}", where=root, mend=mend)
    prepare_sets(KIND, root, data, read_speakers(table), seed)
    prepare_pools(corpus, data, seed)


if __name__ == "__main__":
    main(prepare, __doc__)

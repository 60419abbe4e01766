"""LibriSpeech, whole, as its owners ship it: ROOT/SUBSET/SPEAKER/CHAPTER/SPEAKER-CHAPTER-NUMBER.flac.

Layout, subsets and SPEAKERS.TXT are those of the corpus's README.TXT (openslr.org, SLR12); Kaldi's
egs/librispeech/s5/local/data_prep.sh reads the same. Speakers of each subset: Panayotov et al. 2015, table 1;
utterances: the data set's card on Hugging Face (librispeech_asr). local/libri.py says how sets and
trials are made; local/librispeech.py is another recipe, of train-clean-100 and test-other in pieces.
"""

from __future__ import annotations

from pathlib import Path

from local.augmentation import prepare_pools
from local.libri import Kind, find, prepare_sets, read_speakers
from pysteps.prepare.corpus import Corpus, need
from pysteps.prepare.script import main

KIND = Kind(
    name="LibriSpeech",
    suffix=".flac",
    separator="-",
    published={
        "train-clean-100": (251, 28539),
        "train-clean-360": (921, 104014),
        "train-other-500": (1166, 148688),
        "dev-clean": (40, 2703),
        "dev-other": (33, 2864),
        "test-clean": (40, 2620),
        "test-other": (33, 2939),
    },
    source="the owners' paper (utterances: the librispeech_asr card)",
)


def prepare(corpus: Corpus, data: Path, seed: int) -> None:
    """Write data/{train,dev,test-clean,test-other} and the pools that augmentation draws from."""
    root = find(corpus.root, "LibriSpeech")
    (table,) = need(root, "SPEAKERS.TXT", mend="it comes with every archive of the corpus: unpack one again")
    prepare_sets(KIND, root, data, read_speakers(table), seed)
    prepare_pools(corpus, data, seed)


if __name__ == "__main__":
    main(prepare, __doc__)

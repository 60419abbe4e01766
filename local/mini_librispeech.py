"""egs/mini and LibriSpeech side by side, for training on one and judging on the other (stage 0).

The corpus to name is LibriSpeech (local/librispeech.py says its layout); that of egs/mini ships with the
code. Sets are those of either recipe behind its name: mini-train, mini-eval, librispeech-eval ...
Which of them train, adapt and are judged, the recipe says.
"""

from __future__ import annotations

from pathlib import Path

from local import librispeech, mini
from local.augmentation import SHIPPED, prepare_pools
from pysteps.prepare.corpus import Corpus
from pysteps.prepare.script import main


def prepare(corpus: Corpus, data: Path, seed: int) -> None:
    """Write data/{mini,librispeech}-SET and the pools that augmentation draws from."""
    mini.prepare_sets(SHIPPED, data, "mini-")
    librispeech.prepare_sets(corpus.root, data, seed, "librispeech-")
    prepare_pools(corpus, data, seed)


if __name__ == "__main__":
    main(prepare, __doc__)

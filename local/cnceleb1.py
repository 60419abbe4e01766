"""CN-Celeb1 alone: trained on its 797 training speakers, judged on its evaluation set (stage 0).

As local/cnceleb.py, which says the layout, without CN-Celeb2.
"""

from __future__ import annotations

from pathlib import Path

from local.augmentation import prepare_pools
from local.cnceleb import prepare_sets
from pysteps.prepare.corpus import Corpus
from pysteps.prepare.script import main


def prepare(corpus: Corpus, data: Path, seed: int) -> None:
    """Write data/{train,dev,eval} and the pools that augmentation draws from."""
    prepare_sets(corpus, data, seed, second=False)
    prepare_pools(corpus, data, seed)


if __name__ == "__main__":
    main(prepare, __doc__)

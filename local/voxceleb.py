"""VoxCeleb2's dev for training, VoxCeleb1's lists O, E and H (cleaned and original) for evaluation (stage 0).

Layouts, lists and counts: local/voxceleb_files.py. No speaker is in both corpora. The development set is cut
from the training speakers.
"""

from __future__ import annotations

from pathlib import Path

from local.augmentation import prepare_pools
from local.voxceleb_files import (
    VOX1,
    VOX2,
    read_people,
    voxceleb1,
    voxceleb2_dev,
    write_evaluation,
    write_training,
)
from pysteps.prepare.corpus import Corpus
from pysteps.prepare.script import main


def prepare(corpus: Corpus, data: Path, seed: int) -> None:
    """Write data/{train,dev,vox1} and the pools that augmentation draws from."""
    write_evaluation(data, corpus, voxceleb1(corpus), read_people(corpus, VOX1))
    people = read_people(corpus, VOX2)
    write_training(data, voxceleb2_dev(corpus, people), people, seed)
    prepare_pools(corpus, data, seed)


if __name__ == "__main__":
    main(prepare, __doc__)

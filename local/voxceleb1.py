"""VoxCeleb1 alone: its dev for training, list O (cleaned and original) for evaluation (stage 0).

Layouts, lists and counts: local/voxceleb_files.py. Lists E and H are about dev's speakers: nobody who trains
on them may be judged so. The development set is cut from the training speakers.
"""

from __future__ import annotations

from pathlib import Path

from local.augmentation import prepare_pools
from local.voxceleb_files import (
    ONLY_O,
    VOX1,
    read_people,
    voxceleb1,
    voxceleb1_dev,
    write_evaluation,
    write_training,
)
from pysteps.prepare.corpus import Corpus
from pysteps.prepare.script import main


def prepare(corpus: Corpus, data: Path, seed: int) -> None:
    """Write data/{train,dev,vox1} and the pools that augmentation draws from."""
    found, people = voxceleb1(corpus), read_people(corpus, VOX1)
    write_evaluation(data, corpus, found, people, ONLY_O)
    write_training(data, voxceleb1_dev(found), people, seed)
    prepare_pools(corpus, data, seed)


if __name__ == "__main__":
    main(prepare, __doc__)

"""VoxCeleb2's dev for training, CN-Celeb's evaluation set to be judged: another domain (stage 0).

Layouts, lists and counts: local/voxceleb_files.py and local/cnceleb.py. Both corpora name people id00012 and
so on, and these are not the same people: CN-Celeb's get cn- before their names. CN-Celeb1's training speakers
are the set for back ends to adapt to; who speaks there is not used. The development set is cut from
VoxCeleb2's speakers.
"""

from __future__ import annotations

from pathlib import Path

from local import cnceleb
from local.augmentation import prepare_pools
from local.voxceleb_files import VOX2, read_people, voxceleb2_dev, write_training
from pysteps.prepare.build import SetBuilder
from pysteps.prepare.corpus import Corpus
from pysteps.prepare.script import main

MARK = "cn-"


def prepare(corpus: Corpus, data: Path, seed: int) -> None:
    """Write data/{train,dev,cnceleb-dev,cnceleb-eval} and the pools that augmentation draws from."""
    root = cnceleb.find_first(corpus)
    people = read_people(corpus, VOX2)
    training = voxceleb2_dev(corpus, people)
    there = list(cnceleb.pieces(root))
    judged = cnceleb.write_eval(data / "cnceleb-eval", root, there, MARK)
    adapted = SetBuilder(data / "cnceleb-dev")
    cnceleb.add_training(adapted, "CN-Celeb1 training", root, root / "dev" / "dev.lst", there, judged, MARK)
    adapted.write()
    write_training(data, training, people, seed)
    prepare_pools(corpus, data, seed)


if __name__ == "__main__":
    main(prepare, __doc__)

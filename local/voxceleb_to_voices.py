"""VoxCeleb1 and VoxCeleb2's dev for training, the VOiCES challenge of 2019 for evaluation: from the web into
rooms (stage 0).

Layouts and lists: local/voxceleb_files.py and local/voices_challenge.py. The challenge's fixed condition is
training on VoxCeleb and SITW; SITW is left out here. VOiCES's speakers are LibriSpeech's. The development set
for training is cut from VoxCeleb's speakers; voices-dev chooses nothing. Genders of VOiCES are read where its
references/ lie in the challenge's folder.
"""

from __future__ import annotations

from pathlib import Path

from local import voices, voices_challenge
from local.augmentation import prepare_pools
from local.voxceleb_files import VOX1, VOX2, read_people, voxceleb1, voxceleb2_dev, write_training
from pysteps.prepare.corpus import Corpus
from pysteps.prepare.script import main


def prepare(corpus: Corpus, data: Path, seed: int) -> None:
    """Write data/{train,dev,voices-dev,voices-eval} and the pools that augmentation draws from."""
    root = voices_challenge.place(corpus)
    parts = {name: voices_challenge.find(root, name) for name in ("dev", "eval")}
    genders = voices.read_genders(root)
    for name, part in parts.items():
        voices_challenge.write_part(data / f"voices-{name}", part, genders)
    people = read_people(corpus, VOX1) | read_people(corpus, VOX2)
    both = voxceleb1(corpus) | voxceleb2_dev(corpus, people)
    write_training(data, both, people, seed)
    prepare_pools(corpus, data, seed)


if __name__ == "__main__":
    main(prepare, __doc__)

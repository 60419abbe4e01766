"""VoxCeleb1 and VoxCeleb2's dev for training, SITW's dev and eval for evaluation (stage 0).

Layouts and lists: local/voxceleb_files.py and local/sitw.py. SITW shares 60 speakers with VoxCeleb1: they are
those of voxceleb1_sitw_overlap.txt (openslr.org, SLR49) and are left out, as in Kaldi's egs/sitw/v2/run.sh,
whose 7,185 speakers and 1,236,567 utterances these are. The list names speakers as VGGFace does
(A.J._Buckley); vox1_meta.csv says who that is. VoxCeleb2's test speakers are left out too: some of them are
in SITW, as the same script says. The development set is cut from the training speakers.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path

from local import sitw
from local.augmentation import prepare_pools
from local.voxceleb_files import (
    VOX1,
    VOX2,
    Person,
    beside,
    count,
    place,
    read_people,
    speaker_of,
    voxceleb1,
    voxceleb2_dev,
    write_training,
)
from pysteps.formats.errors import InputError
from pysteps.prepare.corpus import Corpus, compare
from pysteps.prepare.script import main

OVERLAP = "voxceleb1_sitw_overlap.txt"
KALDI = "Kaldi's egs/sitw/v2"


def shared_speakers(corpus: Corpus, people: Mapping[str, Person]) -> set[str]:
    """VoxCeleb1's ids of who is in SITW too; InputError where the list or the ids cannot be had."""
    path = beside(corpus, OVERLAP)
    if path is None:
        raise InputError(
            f"no {OVERLAP} here or beside the corpora: SITW's speakers would be trained on",
            where=place(corpus, VOX1),
            mend="get it from openslr.org (SLR49), and say --prepare.roots.voxceleb_lists FOLDER",
        )
    listed = path.read_text("utf-8").split()
    if not listed:
        raise InputError("the list is empty", where=path, mend="get it from openslr.org (SLR49) again")
    ids = {person.name: name for name, person in people.items() if name.startswith(VOX1.prefix)}
    unknown = [name for name in listed if name not in ids and not name.startswith(VOX1.prefix)]
    if unknown:
        raise InputError(
            f"{len(unknown)} of {len(listed)} speakers have no id, the first is {unknown[0]}",
            where=path,
            mend="put vox1_meta.csv beside it, which has names and ids",
        )
    compare(OVERLAP, {"speakers": len(set(listed))}, {"speakers": 60}, KALDI)
    return {ids.get(name, name) for name in listed}


def prepare(corpus: Corpus, data: Path, seed: int) -> None:
    """Write data/{train,dev,sitw-dev,sitw-eval} and the pools that augmentation draws from."""
    people = read_people(corpus, VOX1) | read_people(corpus, VOX2)
    shared = shared_speakers(corpus, people)
    for name, part in sitw.read_parts(corpus).items():
        sitw.write_lists(data / f"sitw-{name}", part)
    found = voxceleb1(corpus)
    both = {utt: path for utt, path in found.items() if speaker_of(utt) not in shared}
    said = f"VoxCeleb1: {len(found) - len(both):,} utterances of speakers who are in SITW are left out"
    print(said, file=sys.stderr, flush=True)
    both |= voxceleb2_dev(corpus, people)
    compare("training and development", count(both), {"speakers": 7185, "utterances": 1236567}, KALDI)
    write_training(data, both, people, seed)
    prepare_pools(corpus, data, seed)


if __name__ == "__main__":
    main(prepare, __doc__)

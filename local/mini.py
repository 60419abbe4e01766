"""egs/mini: speech, noise and music as egs/mini/corpus holds them, and simulated rooms (stage 0).

The corpus names its speakers, their split and each utterance's file in speakers.tsv and utterances.tsv
(egs/mini/corpus/README.md). Voices of different packages differ in channel too, so the evaluation set has
three trial lists: all pairs, pairs within a package, and pairs within a package and gender.
"""

from __future__ import annotations

import csv
from collections.abc import Mapping
from pathlib import Path

from local.augmentation import place, prepare_pools
from pysteps.formats.errors import InputError
from pysteps.formats.tables import invert, write_table
from pysteps.prepare.build import write_trials
from pysteps.prepare.corpus import Corpus
from pysteps.prepare.script import main
from pysteps.prepare.trials import all_pairs

SETS = ("train", "dev", "eval")


def read_tsv(path: Path) -> list[dict[str, str]]:
    """The rows of a table with a header."""
    if not path.is_file():
        raise InputError("no such table", where=path, mend="--corpus is the folder that holds it")
    with open(path, encoding="utf-8", newline="") as handle:
        return list(csv.DictReader(handle, delimiter="\t", quoting=csv.QUOTE_NONE))


def write_set(corpus: Path, folder: Path, rows: list[dict[str, str]], genders: Mapping[str, str]) -> None:
    """wav.scp, utt2spk, spk2utt, spk2gender and utt2package of one set, and its trials."""
    utt2spk = {row["utterance"]: row["utterance"].rpartition("-")[0] for row in rows}
    package = {row["utterance"]: row["package"] for row in rows}
    write_table(folder / "wav.scp", {row["utterance"]: place(corpus / row["file"]) for row in rows})
    write_table(folder / "utt2spk", utt2spk)
    write_table(folder / "spk2utt", invert(utt2spk))
    write_table(folder / "spk2gender", {who: genders[who] for who in utt2spk.values()})
    write_table(folder / "utt2package", package)
    split = folder.name.rpartition("-")[2]
    if split == "dev":
        write_trials(folder / "trials", all_pairs(utt2spk))
    if split == "eval":
        write_trials(folder / "trials.all", all_pairs(utt2spk))
        write_trials(folder / "trials.package", all_pairs(utt2spk, lambda utt: package[utt]))
        both = all_pairs(utt2spk, lambda utt: (package[utt], genders[utt2spk[utt]]))
        write_trials(folder / "trials.gender", both)


def prepare_sets(corpus: Path, data: Path, prefix: str = "") -> None:
    """Write data/{train,dev,eval}, their names behind ``prefix``."""
    people = {row["speaker"]: row for row in read_tsv(corpus / "speakers.tsv")}
    genders = {name: row["gender"] for name, row in people.items()}
    rows = read_tsv(corpus / "utterances.tsv")
    for name in SETS:
        mine = [row for row in rows if people[row["utterance"].rpartition("-")[0]]["split"] == name]
        folder = data / f"{prefix}{name}"
        write_set(corpus, folder, mine, genders)
        speakers = {row["utterance"].rpartition("-")[0] for row in mine}
        print(f"{folder}: {len(mine)} utterances of {len(speakers)} speakers", flush=True)


def prepare(corpus: Corpus, data: Path, seed: int) -> None:
    """Write data/{train,dev,eval,noise,music,rirs}."""
    prepare_sets(corpus.root, data)
    prepare_pools(corpus, data, seed)


if __name__ == "__main__":
    main(prepare, __doc__)

"""Any imported corpus: egs/NAME/corpus.tsv, a line an utterance, as python -m pysteps.prepare import writes.

Columns: utt, speaker, set (train, dev, eval), path, and where known recording, start, end (seconds), channel
(from 0), gender; every other column is a label (utt2LABEL). Paths count from --prepare.roots.audio. Trials of
dev and eval are those in lists/SET beside the list, else made by --prepare.choices.trials (all, balanced,
gender, session), with choices.each trials of each kind a speaker, or all pairs of at most choices.most
utterances.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from local.augmentation import prepare_pools
from pysteps.formats.datadir import DataSet
from pysteps.formats.errors import InputError
from pysteps.formats.tables import opened, write_lines, write_table
from pysteps.prepare.build import SetBuilder
from pysteps.prepare.convert import labels_of
from pysteps.prepare.corpus import Corpus, need
from pysteps.prepare.importing import COLUMNS
from pysteps.prepare.script import main
from pysteps.prepare.sets import trial_lines
from pysteps.prepare.stage import LIST
from pysteps.prepare.trials import RULES, by_rule

SETS = ("train", "dev", "eval")
CHOICES = ("trials", "each", "most")
_NEEDED = ("utt", "speaker", "set", "path")


def read_list(path: Path) -> Iterator[tuple[int, dict[str, str]]]:
    """(line, cell by column) of corpus.tsv; InputError for a row of another number of cells."""
    header: list[str] = []
    with opened(path) as handle:
        for line, raw in enumerate(handle, 1):
            cells = raw.decode("utf-8").rstrip("\r\n").split("\t")
            if not header:
                header = cells
                missing = [name for name in _NEEDED if name not in header]
                if missing:
                    raise InputError(
                        f"no column {', '.join(missing)}", where=path, line=1, mend="import it again"
                    )
            elif len(cells) != len(header):
                said = f"{len(cells)} cells, the header has {len(header)}"
                raise InputError(said, where=path, line=line, mend="cells are divided by tabs")
            else:
                yield line, dict(zip(header, cells, strict=True))


def write_sets(path: Path, root: str, data: Path) -> None:
    """data/{train,dev,eval} but for their trials."""
    sets = {name: SetBuilder(data / name) for name in SETS}
    channels: dict[str, dict[str, str]] = {name: {} for name in SETS}
    for line, row in read_list(path):
        if row["set"] not in sets:
            raise InputError(f"set {row['set']!r} is none of {', '.join(SETS)}", where=path, line=line)
        labels = {name: text for name, text in row.items() if name not in COLUMNS}
        recording, start, end = (row.get(name, "") for name in ("recording", "start", "end"))
        span = (float(start or 0), float(end or -1)) if start or end else None
        sets[row["set"]].add(
            row["utt"],
            row["speaker"],
            row["path"] if row["path"].endswith("|") else os.path.join(root, row["path"]),
            recording=recording,
            span=span or ((0.0, -1.0) if recording else None),
            gender=row.get("gender", ""),
            **labels,
        )
        if row.get("channel"):
            channels[row["set"]][recording] = row["channel"]
    for name, one in sets.items():
        one.write()
        if channels[name]:
            write_table(data / name / "reco2channel", channels[name])


def write_trials(folder: Path, corpus: Corpus, seed: int) -> None:
    """The set's lists: those that came with the corpus, else one by rule."""
    own = sorted((corpus.root / "lists" / folder.name).glob("*"))
    for path in own:
        shutil.copyfile(path, folder / path.name)
    if any(path.name.startswith("trials") for path in own):
        return
    data, rule = DataSet(folder), corpus.choice("trials", "all", *RULES)
    labels = labels_of(data, rule) if rule in ("gender", "session") else None
    each = corpus.whole("each", 0) or None
    trials = by_rule(data.utt2spk(), rule, labels, each, corpus.whole("most", 1000, 2), seed)
    write_lines(folder / "trials", trial_lines(trials))


def prepare(corpus: Corpus, data: Path, seed: int) -> None:
    """Write data/{train,dev,eval} and the pools that augmentation draws from."""
    mend = "--corpus is the recipe's folder, which python -m pysteps.prepare import has made"
    (path,) = need(corpus.root, LIST, mend=mend)
    write_sets(path, str(corpus.optional("audio") or ""), data)
    for name in SETS[1:]:
        write_trials(data / name, corpus, seed)
    prepare_pools(corpus, data, seed)


if __name__ == "__main__":
    main(prepare, __doc__, CHOICES)

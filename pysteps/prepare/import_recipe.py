"""The files of an imported recipe beside its list: recipe.sh, sized to the corpus, README.md, lists/."""

from __future__ import annotations

import argparse
import math
import re
import shlex
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ..formats.atomic import write_text
from ..formats.datadir import DataSet
from ..formats.errors import InputError
from .rows import Row
from .stage import LIST

# Up to so many training speakers: what worked for that many on the shipped and the free corpora; above, what
# VoxCeleb's size wants: egs of audio, augmented on the way (docs/egs.md).
SIZES = (
    (100, "augment=musan_speed features=fbank80\negs=mini models=ecapa256 train=mini"),
    (1000, "augment=musan_speed features=fbank80\negs=librispeech models=ecapa256 train=librispeech"),
)
LARGE = "augment=live features=fbank80\negs=audio models=ecapa512 train=aam"
# LDA keeps fewer directions than there are speakers.
BACKENDS = ((31, "few"), (65, "mini"))
SMALL = 300  # utterances: one in a hundred of fewer is two at most, and of their dev and eval none
FEW = 3


def check_name(folder: Path, force: bool) -> None:
    """InputError unless a recipe of this name may be written."""
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_.-]*", folder.name):
        raise InputError(f"--name {folder.name!r} is no folder name", mend="letters, digits, _ . and -")
    if (folder / "recipe.sh").is_file():
        if not (folder / LIST).is_file():
            raise InputError("a recipe of this name is there", where=folder, mend="choose another --name")
        if not force:
            raise InputError(
                "was imported before", where=folder, mend="--force writes it again, or another --name"
            )


def copy_lists(source: Path | None, folder: Path, rows: Sequence[Row]) -> set[str]:
    """Trial lists and enrolments of a Kaldi directory's dev and eval, into ``folder``/lists/SET; returns the
    sets that have some."""
    shutil.rmtree(folder / "lists", ignore_errors=True)
    utts = {name: {row.utt for row in rows if row.set == name} for name in ("dev", "eval")}
    for path in sorted(source.glob("*/utt2spk")) if source is not None else []:
        name = next((row.set for row in rows if row.where == str(path.parent)), "")
        if name not in utts:
            continue
        for file in (*DataSet(path.parent).trial_lists().values(), path.parent / "enrol"):
            if file.is_file() and DataSet(path.parent).utt2spk().keys() <= utts[name]:
                (folder / "lists" / name).mkdir(parents=True, exist_ok=True)
                shutil.copyfile(file, folder / "lists" / name / file.name)
    return {path.parent.name for path in folder.glob("lists/*/trials*")}


def write_recipe(folder: Path, rows: Sequence[Row], root: Path | None, options: argparse.Namespace) -> None:
    """recipe.sh and README.md."""
    speakers = {name: {row.speaker for row in rows if row.set == name} for name in ("train", "dev", "eval")}
    seconds = [row.seconds for row in rows if row.seconds is not None]
    hours = f"{sum(seconds) / 3600:.3g}" if len(seconds) == len(rows) else "?"
    everybody = len(set().union(*speakers.values()))
    counts = {name: sum(row.set == name for row in rows) for name in speakers}
    size = Size(len(speakers["train"]), everybody, hours, drops(list(counts.values())))
    write_text(folder / "recipe.sh", _recipe(folder, size, root, options))
    lines = [f"| {name} | {len(speakers[name]):,} | {counts[name]:,} |" for name in speakers]
    write_text(folder / "README.md", _readme(folder.name, lines, root, options))


@dataclass(frozen=True)
class Size:
    """Of a corpus: speakers for training and of all sets, hours as text, see ``drops``."""

    training: int
    speakers: int
    hours: str
    drops: float


def drops(counts: Sequence[int]) -> float:
    """Which share of a set may be dropped: of a small corpus (``counts``: utterances of its sets) so much
    that its smallest set may lose FEW, but no more than a quarter; 0: what is usual."""
    if sum(counts) >= SMALL:
        return 0.0
    return min(0.25, math.ceil(1000 * FEW / min(counts)) / 1000)


def _recipe(folder: Path, size: Size, root: Path | None, options: argparse.Namespace) -> str:
    sized = next((text for most, text in SIZES if size.training < most), LARGE)
    backend = next((name for most, name in BACKENDS if size.training <= most), "default")
    words = ["--prepare.roots.audio", str(root)] if root else []
    choices = {"trials": options.trials, "each": options.each, "most": options.most}
    for name, value in choices.items():
        words += [f"--prepare.choices.{name}", str(value)] if value is not None else []
    why = ""
    if size.drops:
        words += [
            word for stage in ("audio", "vad") for word in (f"--{stage}.max_dropped", f"{size.drops:g}")
        ]
        why = f"# A small corpus: of each set {size.drops:g} may be dropped, {FEW} of the smallest at most.\n"
    description, hours = f"imported from {options.source.name}", shlex.quote(size.hours)
    return f"""# shellcheck shell=bash disable=SC2034
# Imported by python -m pysteps.prepare import; {LIST} beside this is the list, README.md says more.
description={shlex.quote(description)}
hours={hours} speakers={size.speakers} licence={shlex.quote(options.licence)} expected="not known"

prepare=table corpus=egs/{folder.name}
train_set=train dev_set=dev eval_sets=eval
audio=16k vad=webrtc {sized} backend={backend}
{why}options={shlex.quote(shlex.join(words))}
"""


def _readme(name: str, counts: Sequence[str], root: Path | None, options: argparse.Namespace) -> str:
    table = "\n".join(counts)
    where = (
        f"Paths count from `{root}`; elsewhere: `--prepare.roots.audio FOLDER`."
        if root
        else "Paths are absolute."
    )
    return f"""# egs/{name}

Imported from `{options.source}` by `python -m pysteps.prepare import` (seed {options.seed}).

    ./run.sh --recipe {name}

| set | speakers | utterances |
|---|---|---|
{table}

`{LIST}` has a line an utterance; edit it (a set, a gender) and stage 0 reads it again. {where}
Trials of dev and eval: lists/SET where the corpus brought them, else made at stage 0 by the rule
`{options.trials}`. Settings are in recipe.sh; docs/own-corpus.md and docs/recipes.md say what can be set.
"""

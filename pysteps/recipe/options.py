"""./run.sh's options: parsed, checked against what is known, the nearest known one named when not."""

from __future__ import annotations

import difflib
import os
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from ..formats.errors import InputError
from ..formats.names import BESIDE, MORE, STAGES

HELP = {
    "recipe": ("NAME", "the recipe: a folder of egs/ (default mini)"),
    "corpus": ("FOLDER", "where the raw corpus lies (default: what the recipe says)"),
    "stage": ("N|NAME", "first stage to run (default prepare); nothing earlier is run or needs a stamp"),
    "stop-stage": ("N|NAME", "last stage to run (default score, or the last that the recipe has)"),
    "nj": ("N", "jobs at once (default: the number of cores); changes no byte of any result"),
    "cmd": ("NAME", "local, slurm, sge, or a program that keeps Kaldi's contract (default local)"),
    "ngpu": ("N|auto", "GPUs for training (default auto: those that are there)"),
    "nodes": ("N", "nodes for training, each with --ngpu GPUs (default 1; more need --cmd slurm)"),
    "work": ("FOLDER", "where data/ and exp/ go (default egs/NAME)"),
    "scratch": ("FOLDER", "copy features and egs there to read them: a disk of each node ('$TMPDIR')"),
    "space": ("FILE", "stage tune: what to search, conf/tune/NAME.yaml (docs/tune.md)"),
    "trials": ("N", "stage tune: how many trials there are to be in all (default 20)"),
    "clean": ("STAGES", "remove archives of finished work (audio, augment, features, egs, train) and end"),
    "tag": ("NAME", "name of the model's folder in exp/ (default MODEL_FEATURES_TRAINING)"),
}
FLAGS = {
    "allow-pipes": "run commands that wav.scp contains",
    "status": "say which stages are done, stale or missing, and why",
    "dry-run": "say every command that would run and the disk it needs; fail if that does not fit",
    "force": "redo the chosen stages even where they are fresh; clean what is still needed",
    "ignore-disk": "begin even where the products are not expected to fit on the disk",
    "recipes": "list the recipes",
    "download": "get the recipe's corpus into --corpus FOLDER (openly licensed ones), and end",
    "help": "print this text",
}


# What has conf files: every stage that reads options of its own, and the architecture.
CONFS = (*(stage for stage in (*STAGES, *MORE) if stage != "prepare"), "models")


@dataclass
class Chosen:
    """The command line: options and flags by name, conf files by stage, --STAGE.key values in order."""

    values: dict[str, str] = field(default_factory=dict)
    flags: set[str] = field(default_factory=set)
    confs: dict[str, str] = field(default_factory=dict)
    settings: list[tuple[str, str]] = field(default_factory=list)


def nearest(name: str, known: Iterable[str]) -> str:
    """A hint at the known name that looks most like ``name``."""
    known = list(known)
    found = difflib.get_close_matches(name, known, 1, 0.5)
    return f"did you mean {found[0]}?" if found else f"known: {', '.join(known)}"


def parse(arguments: list[str]) -> Chosen:
    """Split a command line; an unknown option or a missing value is an InputError."""
    chosen, rest = Chosen(), list(arguments)
    while rest:
        word = rest.pop(0)
        if not word.startswith("--"):
            raise InputError(f"{word} is no option", mend="options begin with --; see ./run.sh --help")
        name, equals, value = word[2:].partition("=")
        if name in FLAGS and not equals:
            chosen.flags.add(name)
            continue
        if name in CONFS:
            if not equals and not rest:
                raise InputError(f"--{name} needs the name of a conf file", mend=f"see conf/{name}/")
            chosen.confs[name] = value if equals else rest.pop(0)
            continue
        if name not in HELP and "." not in name:
            known = [f"--{option}" for option in (*HELP, *FLAGS)]
            raise InputError(f"unknown option --{name}", mend=nearest(f"--{name}", known))
        if not equals:
            if not rest:
                raise InputError(f"--{name} needs a value", mend="see ./run.sh --help")
            value = rest.pop(0)
        if name in HELP:
            chosen.values[name] = value
        else:
            chosen.settings.append((name, value))
    return chosen


def stage_number(text: str, stages: Iterable[str] = tuple(STAGES)) -> int:
    """The number of a stage of ``stages`` by its number or name."""
    names = list(stages)
    if text in names:
        return names.index(text)
    if text.isdigit() and int(text) < len(names):
        return int(text)
    if text in BESIDE:
        raise InputError(f"{text} runs alone", mend=f"--stage {text}, without --stop-stage")
    raise InputError(
        f"unknown stage {text}", mend=f"0 to {len(names) - 1}, or a name: {nearest(text, names)}"
    )


def help_text() -> str:
    """What ./run.sh --help prints."""
    lines = ["usage: ./run.sh [options] [--STAGE.key value ...]", "", "Stages:"]
    numbered = enumerate({**STAGES, **MORE}.items())
    lines += [f" {number:2d}  {name:9s} {what}" for number, (name, what) in numbered]
    lines += [f"     {name:9s} {what}" for name, what in BESIDE.items()]
    lines += ["", "Options:"]
    lines += [f"  --{name + ' ' + value:20s} {what}" for name, (value, what) in HELP.items()]
    lines += [f"  --{name:20s} {what}" for name, what in FLAGS.items()]
    lines += [
        "",
        "--STAGE NAME takes conf/STAGE/NAME.yaml instead of the recipe's: --vad energy --augment none; a",
        "path that ends in .yaml is one, too.",
        "--STAGE.key value sets anything that conf/STAGE/*.yaml can set (also models: the architecture);",
        "the command line goes before the recipe, the recipe before conf/. What a recipe may set:",
        "docs/recipes.md.",
    ]
    return "\n".join(lines)


def is_path(conf: str) -> bool:
    """Whether what stands for a conf file is one's path rather than its name."""
    return conf.endswith(".yaml")


_FOLDERS = ("prepare.roots.", "train.init", "train.model")  # settings that name one


def as_called(chosen: Chosen, root: Path) -> None:
    """Make the folders on a command line mean what they did where ./run.sh was called (TIMBRE_CALLER).

    It works in the checkout, ``root``.
    """
    caller = Path(os.environ.get("TIMBRE_CALLER", root))
    if caller.resolve() == root.resolve():
        return
    for name in ("corpus", "work", "scratch", "space"):
        if not chosen.values.get(name, "$").startswith("$"):  # the node's own $TMPDIR
            chosen.values[name] = os.path.normpath(caller / chosen.values[name])
    for name, conf in chosen.confs.items():
        if is_path(conf):
            chosen.confs[name] = os.path.normpath(caller / conf)
    chosen.settings[:] = [
        (key, os.path.normpath(caller / value) if value and key.startswith(_FOLDERS) else value)
        for key, value in chosen.settings
    ]

"""The command lines calibrate and fuse: learn on a development list or load, then apply, save, or both."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from ..backend.calibration import Calibration, Logistic, load_calibration, save_calibration
from ..formats.errors import InputError
from .calibrated import Qualities, as_text, learn, ratios, read_qualities, read_scored
from .labels import labels, named
from .trials import read_scores, read_trials, write_scores

_TWO = "give --trials and --scores to learn, or --load what --save wrote"


def calibrate(options: argparse.Namespace) -> None:
    """Do what the options of ``calibrate`` or ``fuse`` (arguments.py) say."""
    given = [_paths(options.scores), _paths(options.apply)]
    _check(options, *given)
    quality = read_qualities(options.quality)
    _refuse_order(labels(given[0]), given[1])
    if options.load is None:
        found = _learn(options, given[0], quality)
        print(as_text(found))
    else:
        found = load_calibration(options.load, "learn it again with --save, or name another file")
        if (len(_systems(found)) > 1) != (options.word == "fuse"):
            systems, other = len(_systems(found)), "fuse" if len(_systems(found)) > 1 else "calibrate"
            raise InputError(f"of {systems} systems", where=options.load, mend=f"say {other} --load")
    if given[1]:
        _refuse_order(_systems(found), given[1])
        _apply(options, found, given[1], quality)
    if options.save is not None:
        save_calibration(found, options.save)


def _paths(given: Path | list[Path] | None) -> list[Path]:
    return given if isinstance(given, list) else [] if given is None else [given]


def _systems(found: Calibration) -> list[str]:
    return list(found.weights) if isinstance(found, Logistic) else ["scores"]


def _refuse_order(systems: list[str], apply: list[Path]) -> None:
    # Files that have the systems' own names stand in the systems' order.
    for system, file in zip(systems, labels(apply), strict=False):
        if file != system and file in systems:
            said = f"{file} stands where the scores of {system} are read"
            raise InputError(said, where="--apply", mend=f"give the files in this order: {' '.join(systems)}")


def _check(options: argparse.Namespace, scores: list[Path], apply: list[Path]) -> None:
    # What cannot be meant is refused before anything is read.
    learning = options.trials is not None and bool(scores)
    if learning == (options.load is not None) or (options.trials is None) != (not scores):
        raise InputError("nothing to learn from, or too much", mend=_TWO)
    if bool(apply) != (options.out is not None):
        raise InputError("--apply and --out belong together", mend="the first is read, the other written")
    if not apply and (options.save is None or options.load is not None):
        raise InputError("nothing to write", mend="give --apply SCORES --out FILE, or --save FILE")
    if options.apply_trials is not None and not apply:
        raise InputError("--apply-trials without --apply", mend="leave it away")
    for name in ("kind", "p_target", "save", "names"):
        if options.load is not None and getattr(options, name, None) is not None:
            said = f"--{name.replace('_', '-')} does nothing with --load, where nothing is learned"
            raise InputError(said, mend="leave it away")
    if getattr(options, "kind", None) == "pav" and (options.p_target is not None or options.quality):
        raise InputError("pav takes neither --p-target nor --quality", mend="leave them away")
    if options.word == "fuse" and learning and len(scores) < 2:
        raise InputError("one score file: a fusion needs two", mend="for one system say calibrate")
    if learning and apply and len(apply) != len(scores):
        said = f"{len(scores)} score files to learn from, {len(apply)} to apply to"
        raise InputError(said, mend="give both of each system, in one order")
    if len({path.resolve() for path in apply}) < len(apply):
        raise InputError("a score file twice behind --apply", mend="one of each system, in --scores' order")


def _learn(options: argparse.Namespace, paths: list[Path], quality: Qualities) -> Calibration:
    trials = read_trials(options.trials)
    names = named(getattr(options, "names", None), labels(paths))
    return learn(
        trials,
        {name: read_scores(path, trials) for name, path in zip(names, paths, strict=True)},
        kind=getattr(options, "kind", None) or "logistic",
        p_target=0.5 if options.p_target is None else options.p_target,
        quality=quality,
    )


def _apply(options: argparse.Namespace, found: Calibration, paths: list[Path], quality: Qualities) -> None:
    if options.apply_trials is None:
        trials, first = read_scored(paths[0])
        scores = [first]
    else:
        trials = read_trials(options.apply_trials)
        scores = [read_scores(paths[0], trials)]
    scores += [read_scores(path, trials) for path in paths[1:]]
    llrs = ratios(found, trials, scores, quality)
    if len(paths) > 1:  # the order alone says which file is which system's
        told = [f"{system} <- {path}" for system, path in zip(_systems(found), paths, strict=True)]
        print("\n".join(told), file=sys.stderr)
    write_scores(options.out, trials, llrs)
    learned = {path.resolve() for path in _paths(options.scores)}
    if any(path.resolve() in learned for path in paths):
        print("note: learned on these very scores: figures of the result flatter it", file=sys.stderr)
    print(f"{len(trials)} log likelihood ratios: {options.out}", file=sys.stderr)

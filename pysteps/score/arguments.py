"""The options of each word of the command line of stage score."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any

WORDS = {
    "evaluate": "judge any score file",
    "classes": "judge anybody's answers to the question which of several classes it is",
    "cosine": "score trials of anybody's x-vectors by cosine",
    "plda": "the same by PLDA",
    "calibrate": "make a system's scores log likelihood ratios",
    "fuse": "make one system's scores of several systems'",
    "compare": "set experiments, or score files, side by side",
    "threshold": "choose a threshold to deploy",
    "summary": "print the figures as a table",
    "report": "write the report again if it is out of date; nothing is scored",
}
_LIST = "enrol test target|nontarget, or 1|0 enrol test"
_SCORES = "enrol test score, or score enrol test, in any order"
_LLR = "scores are natural-log likelihood ratios (auto: unless all lie in [-1, 1])"
Add = Callable[..., Any]


def parser(word: str) -> argparse.ArgumentParser:
    """The options of ``word``, one of WORDS."""
    out = argparse.ArgumentParser(prog=f"python -m pysteps.score {word}", description=WORDS[word])
    parts: dict[str, Callable[[Add], None]] = {
        "evaluate": _evaluate,
        "classes": _classes,
        "cosine": _vectors,
        "plda": _vectors,
        "calibrate": _learned,
        "fuse": _learned,
        "compare": _compare,
        "threshold": lambda add: _threshold(add, out),
        "summary": _run,
        "report": _run,
    }
    parts[word](out.add_argument)
    if word in ("calibrate", "fuse"):
        _systems(word, out.add_argument)
    if word in ("cosine", "plda"):
        _scorer(word, out.add_argument)
    if word in ("evaluate", "classes", "compare", "threshold"):
        out.add_argument("--json", action="store_true", help="JSON instead of a table")
    if word in ("compare", "summary"):
        out.add_argument("--row", action="store_true", help="rows for a RESULTS.md instead")
    return out


def _run(add: Add) -> None:
    add("--run", type=Path, required=True, help="the resolved run: exp/TAG/run.json")


def _bootstrap(add: Add) -> None:
    add("--utt2spk", type=Path, help="speakers, for intervals by bootstrap over them")
    add("--replicates", type=int, help="of the bootstrap, 2 at least (1000)")
    add("--seed", type=int, help="of the bootstrap, from 0 on (0)")


def _judged(add: Add) -> None:
    add("--trials", type=Path, required=True, help=_LIST)
    add("--scores", type=Path, required=True, help=_SCORES)
    _bootstrap(add)


def _evaluate(add: Add) -> None:
    _judged(add)
    add("--llr", choices=("auto", "yes", "no"), default="auto", help=_LLR)
    add("--cost", action="append", metavar="P[,C_MISS,C_FA]", help="operating point (again for more)")
    add("--raw", action="store_true", help="do not divide costs by min(p C_miss, (1-p) C_fa)")
    add("--ties", choices=("together", "split"), default="together", help="equal scores (together)")
    table = "figures by a table of utterances or speakers, e.g. gender=data/SET/spk2gender"
    add("--condition", action="append", default=[], metavar="NAME=FILE", help=table)


def _classes(add: Add) -> None:
    add("--labels", type=Path, required=True, help="the truth: utterance class (utt2LABEL)")
    what = "utterance answer, then perhaps a posterior for each class in C-locale order; - is no answer"
    add("--answers", type=Path, required=True, metavar="FILE", help=what)
    add("--classes", nargs="+", metavar="CLASS", help="all classes, where --labels does not have them all")
    add(
        "--vote",
        type=Path,
        metavar="FILE",
        help="utterance group: one answer a group, from posteriors; speaker: by --utt2spk",
    )
    _bootstrap(add)


def _threshold(add: Add, whole: argparse.ArgumentParser) -> None:
    _judged(add)
    aim = whole.add_mutually_exclusive_group(required=True)
    aim.add_argument("--p-fa", type=float, help="the false-alarm rate that is wanted, e.g. 0.001")
    aim.add_argument("--cost", metavar="P[,C_MISS,C_FA]", help="the cost to make least")
    add("--llr", action="store_true", help="scores are natural-log likelihood ratios: the cost alone decides")
    add("--out", type=Path, help="write the JSON here too")


def _vectors(add: Add) -> None:
    add("--trials", type=Path, required=True, help=_LIST)
    add("--enrol", type=Path, required=True, help="x-vectors of the enrolment side: an scp")
    add("--test", type=Path, required=True, help="x-vectors of the test side: an scp")


def _scorer(word: str, add: Add) -> None:
    what = "transforms and PLDA" if word == "plda" else "transforms (of a cosine's own line all of it)"
    add("--backend", type=Path, required=word == "plda", help=f"exp/TAG/backend/NAME: {what}")
    if word == "plda":
        add("--num-utts", type=Path, help="how many utterances are behind each enrolment vector (else 1)")
    add("--dropped", type=Path, help="ids without x-vector: their trials are scored as wrong")
    add("--calibrated", action="store_true", help="apply the back end's calibration")
    add("--out", type=Path, required=True, help="the scores: enrol test score")


def _systems(word: str, add: Add) -> None:
    several = word == "fuse"
    number: dict[str, Any] = {"nargs": "+", "metavar": "FILE"} if several else {"metavar": "FILE"}
    same = ", a file a system in one order" if several else ""
    add("--scores", type=Path, **number, help=f"scores of the development list to learn from{same}")
    add("--apply", type=Path, **number, help=f"scores to make likelihood ratios of{same}")
    if several:
        add("--names", nargs="+", metavar="NAME", help="the systems' names (else from their files' names)")
    else:
        add("--kind", choices=("logistic", "pav"), help="the map (logistic)")


def _learned(add: Add) -> None:
    add("--trials", type=Path, help=f"the development list to learn from: {_LIST}")
    add("--load", type=Path, metavar="FILE", help="apply what --save wrote instead of learning")
    add("--save", type=Path, metavar="FILE", help="write what was learned, as JSON")
    add("--p-target", type=float, metavar="P", help="the prior at which the fit is best (0.5)")
    measures = "duration, magnitude or cohort: a number for each id (again for more files and measures)"
    add("--quality", action="append", default=[], metavar="NAME=FILE", help=measures)
    add("--apply-trials", type=Path, metavar="LIST", help="the list of --apply, where ids are plain numbers")
    add("--out", type=Path, help="the likelihood ratios of --apply: enrol test score")


def _compare(add: Add) -> None:
    add("experiments", type=Path, nargs="*", metavar="EXP", help="exp/TAG, as stage 9 leaves it")
    add("--trials", type=Path, help=f"instead of experiments: {_LIST}")
    add("--scores", type=Path, nargs="+", metavar="FILE", help="with --trials: a score file a system")
    add("--names", nargs="+", metavar="NAME", help="with --scores: the systems' names (else from the files')")
    _bootstrap(add)
    add("--llr", choices=("auto", "yes", "no"), help=f"with --scores: {_LLR}")
    point = "with --scores: operating point (again for more)"
    add("--cost", action="append", metavar="P[,C_MISS,C_FA]", help=point)
    add("--against", type=Path, help="the experiment, or score file or its name, to compare with (the first)")
    only = "these back ends alone, NAME or TAG/NAME; the first is compared with"
    add("--systems", nargs="+", default=[], metavar="NAME", help=only)
    add("--list", action="append", default=[], help="this list of trials alone (again for more)")
    add("--out", type=Path, metavar="FILE.html", help="write a page of it too, with a DET curve")

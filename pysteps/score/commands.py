"""The command lines of stage score beside the stage itself. Start one with --help."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ..formats.errors import InputError
from ..formats.tables import read_table

WORDS = {
    "evaluate": "judge any score file",
    "cosine": "score trials of anybody's x-vectors by cosine",
    "plda": "the same by PLDA",
    "compare": "set experiments side by side",
    "threshold": "choose a threshold to deploy",
    "summary": "print the figures as a table",
}


def main(words: list[str]) -> None:
    """Do what the command line ``words`` say; the first is one of WORDS."""
    options = _parser(words[0]).parse_args(words[1:])
    tasks: dict[str, Callable[[argparse.Namespace], None]] = {
        "evaluate": _evaluate,
        "cosine": _score,
        "plda": _score,
        "compare": _compare,
        "threshold": _threshold,
        "summary": _summary,
    }
    options.word = words[0]
    tasks[words[0]](options)


def _parser(word: str) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog=f"python -m pysteps.score {word}", description=WORDS[word])
    add = parser.add_argument
    if word not in ("compare", "summary"):
        add("--trials", type=Path, required=True, help="enrol test target|nontarget, or 1|0 enrol test")
    if word in ("evaluate", "threshold"):
        add("--scores", type=Path, required=True, help="enrol test score, or score enrol test, in any order")
        add("--utt2spk", type=Path, help="speakers, for intervals by bootstrap over them")
        add("--replicates", type=int, default=1000, help="of the bootstrap (1000)")
        add("--seed", type=int, default=0, help="of the bootstrap (0)")
    if word == "evaluate":
        llr = "scores are natural-log likelihood ratios (auto: unless all lie in [-1, 1])"
        add("--llr", choices=("auto", "yes", "no"), default="auto", help=llr)
        add("--cost", action="append", metavar="P[,C_MISS,C_FA]", help="operating point (again for more)")
        add("--raw", action="store_true", help="do not divide costs by min(p C_miss, (1-p) C_fa)")
        add("--ties", choices=("together", "split"), default="together", help="equal scores (together)")
        table = "figures by a table of utterances or speakers, e.g. gender=data/SET/spk2gender"
        add("--condition", action="append", default=[], metavar="NAME=FILE", help=table)
    elif word == "threshold":
        aim = parser.add_mutually_exclusive_group(required=True)
        aim.add_argument("--p-fa", type=float, help="the false-alarm rate that is wanted, e.g. 0.001")
        aim.add_argument("--cost", metavar="P[,C_MISS,C_FA]", help="the cost to make least")
        llr = "scores are natural-log likelihood ratios: the cost alone decides"
        add("--llr", action="store_true", help=llr)
        add("--out", type=Path, help="write the JSON here too")
    elif word in ("cosine", "plda"):
        add("--enrol", type=Path, required=True, help="x-vectors of the enrolment side: an scp")
        add("--test", type=Path, required=True, help="x-vectors of the test side: an scp")
        add("--backend", type=Path, required=word == "plda", help="exp/TAG/backend/NAME")
        add("--num-utts", type=Path, help="how many utterances are behind each enrolment vector (else 1)")
        add("--dropped", type=Path, help="ids without x-vector: their trials are scored as wrong")
        add("--calibrated", action="store_true", help="apply the back end's calibration")
        add("--out", type=Path, required=True, help="the scores: enrol test score")
    elif word == "compare":
        add("experiments", type=Path, nargs="+", metavar="EXP", help="exp/TAG, as stage 9 leaves it")
        add("--against", type=Path, help="the one to compare with (the first)")
        only = "these back ends alone, NAME or TAG/NAME; the first is compared with"
        add("--systems", nargs="+", default=[], metavar="NAME", help=only)
        add("--list", action="append", default=[], help="this list of trials alone (again for more)")
        add("--replicates", type=int, default=1000, help="of the bootstrap (1000)")
        add("--seed", type=int, default=0, help="of the bootstrap (0)")
    else:
        add("--run", type=Path, required=True, help="the resolved run: exp/TAG/run.json")
    if word in ("evaluate", "compare", "threshold"):
        add("--json", action="store_true", help="JSON instead of a table")
    if word in ("compare", "summary"):
        add("--row", action="store_true", help="rows for a RESULTS.md instead")
    return parser


def _inputs(options: argparse.Namespace) -> tuple[Any, Any, dict[str, str] | None]:
    from .trials import read_scores, read_trials

    trials = read_trials(options.trials)
    utt2spk = None if options.utt2spk is None else read_table(options.utt2spk)
    return trials, read_scores(options.scores, trials), utt2spk


def _print(found: dict[str, Any], as_json: bool, text: Callable[[dict[str, Any]], str]) -> None:
    print(json.dumps(found, indent=1, allow_nan=False) if as_json else text(found))


_LLR = {"auto": None, "yes": True, "no": False}


def _evaluate(options: argparse.Namespace) -> None:
    from .evaluate import COSTS, condition_values, cost_of, evaluate
    from .summary import evaluation

    costs = [cost_of(text) for text in options.cost] if options.cost else list(COSTS)
    named = [text.partition("=") for text in options.condition]
    for name, _, file in named:
        if not (name and file):
            raise InputError(f"--condition {name}: give NAME=FILE, e.g. gender=data/SET/spk2gender")
    trials, scores, utt2spk = _inputs(options)
    found = evaluate(
        trials,
        scores,
        utt2spk=utt2spk,
        likelihood_ratios=_LLR[options.llr],
        conditions={name: condition_values(trials, Path(file), utt2spk) for name, _, file in named},
        costs=costs,
        raw=options.raw,
        ties=options.ties,
        replicates=options.replicates,
        seed=options.seed,
    )
    _print(found, options.json, evaluation)


def _score(options: argparse.Namespace) -> None:
    from .judge import as_wrong
    from .pairs import score_files
    from .trials import read_trials, write_scores

    trials = read_trials(options.trials)
    dropped = set(read_table(options.dropped, values=False)) if options.dropped else set()
    scores = score_files(
        trials,
        options.enrol,
        options.test,
        options.word,
        backend=options.backend,
        num_utts=read_table(options.num_utts) if options.num_utts else None,
        dropped=dropped,
        calibrated=options.calibrated,
    )
    write_scores(options.out, trials, as_wrong(trials, scores, dropped) if dropped else scores)
    print(f"{len(trials)} scores: {options.out}", file=sys.stderr)


def _threshold(options: argparse.Namespace) -> None:
    from ..backend.threshold import choose_threshold
    from ..formats.atomic import write_text
    from .evaluate import cost_of, three, with_speakers
    from .judge import speaker_codes
    from .summary import chosen

    cost = None if options.cost is None else three(cost_of(options.cost))
    trials, scores, utt2spk = _inputs(options)
    speakers = (None, None) if utt2spk is None else speaker_codes(trials, with_speakers(trials, utt2spk))
    found = choose_threshold(
        scores,
        trials.is_target,
        p_fa=options.p_fa,
        cost=cost,
        calibrated=options.llr,
        enrol_speaker=speakers[0],
        test_speaker=speakers[1],
        replicates=options.replicates,
        seed=options.seed,
    )
    if options.out:
        write_text(options.out, json.dumps(found, indent=1, allow_nan=False) + "\n")
    _print(found, options.json, chosen)


def _compare(options: argparse.Namespace) -> None:
    from .experiments import compare_experiments
    from .summary import rows, side_by_side

    found = compare_experiments(
        options.experiments,
        against=options.against,
        systems=options.systems,
        lists=options.list,
        replicates=options.replicates,
        seed=options.seed,
    )
    _print(found, options.json, rows if options.row else side_by_side)


def _summary(options: argparse.Namespace) -> None:
    from ..formats.run import Run
    from . import stage
    from .experiments import row_of
    from .summary import rows

    run = Run.load(options.run)
    print(rows({"systems": [row_of(run.exp)]}) if options.row else stage.summary(run))

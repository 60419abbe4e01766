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
from .arguments import WORDS, parser

__all__ = ["WORDS", "main"]
_RATIOS = {"auto": None, None: None, "yes": True, "no": False}


def main(words: list[str]) -> None:
    """Do what the command line ``words`` say; the first is one of WORDS."""
    tasks: dict[str, Callable[[argparse.Namespace], None]] = {
        "evaluate": _evaluate,
        "cosine": _score,
        "plda": _score,
        "calibrate": _learn,
        "fuse": _learn,
        "compare": _compare,
        "threshold": _threshold,
        "summary": _summary,
        "report": _report,
    }
    options = parser(words[0]).parse_args(words[1:])
    options.word = words[0]
    tasks[words[0]](options)


def _learn(options: argparse.Namespace) -> None:
    from .learned import calibrate

    calibrate(options)


def _inputs(options: argparse.Namespace) -> tuple[Any, Any, dict[str, str] | None]:
    from .evaluate import check_bootstrap
    from .trials import read_scores, read_trials

    check_bootstrap(options.replicates, options.seed)
    trials = read_trials(options.trials)
    utt2spk = None if options.utt2spk is None else read_table(options.utt2spk)
    return trials, read_scores(options.scores, trials), utt2spk


def _print(found: dict[str, Any], as_json: bool, text: Callable[[dict[str, Any]], str]) -> None:
    print(json.dumps(found, indent=1, allow_nan=False) if as_json else text(found))


def _evaluate(options: argparse.Namespace) -> None:
    from .conditions import condition_values
    from .evaluate import COSTS, cost_of, evaluate
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
        where=options.utt2spk,
        likelihood_ratios=_RATIOS[options.llr],
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
    counts = getattr(options, "num_utts", None)
    scores = score_files(
        trials,
        options.enrol,
        options.test,
        options.word,
        backend=options.backend,
        num_utts=None if counts is None else read_table(counts),
        dropped=dropped,
        calibrated=options.calibrated,
    )
    write_scores(options.out, trials, as_wrong(trials, scores, dropped) if dropped else scores)
    print(f"{len(trials)} scores: {options.out}", file=sys.stderr)


def _threshold(options: argparse.Namespace) -> None:
    from ..backend.threshold import choose_threshold
    from ..formats.atomic import write_text
    from .evaluate import cost_of, look_like_cosines, speakers_of, three
    from .summary import chosen

    if options.llr and options.cost is None:
        raise InputError("--llr does nothing with --p-fa: the scores alone decide", mend="leave --llr away")
    cost = None if options.cost is None else three(cost_of(options.cost))
    trials, scores, utt2spk = _inputs(options)
    speakers = (None, None) if utt2spk is None else speakers_of(trials, utt2spk, options.utt2spk)
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
    if options.llr and look_like_cosines(scores):
        found["notes"].append("--llr, but all scores lie in [-1, 1] as cosines do: they are none then")
    if options.out:
        write_text(options.out, json.dumps(found, indent=1, allow_nan=False) + "\n")
    _print(found, options.json, chosen)


def _compare(options: argparse.Namespace) -> None:
    from .summary import rows, side_by_side

    found, page = _compared_scores(options) if options.scores else _compared_experiments(options)
    if options.out:
        from ..report import render_comparison

        render_comparison(out=options.out, **page())
    _print(found, options.json, rows if options.row else side_by_side)


def _refuse(options: argparse.Namespace, names: str, why: str) -> None:
    # Options that would do nothing are a misunderstanding, and a silent one.
    for name in names.split():
        if getattr(options, name.replace("-", "_")):
            raise InputError(f"--{name} {why}", mend=f"leave it away; see {options.word} --help")


def _compared_scores(options: argparse.Namespace) -> tuple[dict[str, Any], Callable[[], Any]]:
    from .evaluate import COSTS, check_bootstrap, cost_of
    from .labels import labels, named
    from .systems import compare_scores, page_of_scores
    from .trials import read_scores, read_trials

    if options.experiments or options.trials is None:
        said = "experiments and --scores" if options.experiments else "--scores without --trials"
        raise InputError(said, mend="give experiments, or --trials LIST --scores FILE FILE")
    _refuse(options, "systems list", "is for experiments, not for --scores")
    check_bootstrap(options.replicates, options.seed)
    names = named(options.names, labels(options.scores))
    trials = read_trials(options.trials)
    systems = {name: read_scores(path, trials) for name, path in zip(names, options.scores, strict=True)}
    places = {path.resolve(): name for name, path in zip(names, options.scores, strict=True)}
    if options.against is not None and options.against.resolve() not in places:
        raise InputError("--against is none of the --scores", where=options.against)
    found = compare_scores(
        trials,
        systems,
        utt2spk=None if options.utt2spk is None else read_table(options.utt2spk),
        likelihood_ratios=_RATIOS[options.llr],
        costs=[cost_of(text) for text in options.cost] if options.cost else list(COSTS),
        against=None if options.against is None else places[options.against.resolve()],
        replicates=options.replicates,
        seed=options.seed,
        where=options.utt2spk,
    )
    return found, lambda: page_of_scores(found, trials, systems)


def _compared_experiments(options: argparse.Namespace) -> tuple[dict[str, Any], Callable[[], Any]]:
    from .experiments import compare_experiments
    from .systems import page_of_experiments

    if not options.experiments:
        raise InputError("nothing to compare", mend="give experiments, or --trials LIST --scores FILE FILE")
    _refuse(options, "trials names utt2spk llr cost", "is for --scores: experiments know their own")
    found, places = compare_experiments(
        options.experiments,
        against=options.against,
        systems=options.systems,
        lists=options.list,
        replicates=options.replicates,
        seed=options.seed,
    )
    return found, lambda: page_of_experiments(found, places)


def _summary(options: argparse.Namespace) -> None:
    from ..formats.run import Run
    from . import stage
    from .experiments import row_of
    from .summary import rows

    run = Run.load(options.run)
    print(rows({"systems": [row_of(run.exp)]}) if options.row else stage.summary(run))


def _report(options: argparse.Namespace) -> None:
    from ..formats.run import Run
    from . import stage

    run = Run.load(options.run)
    if stage.refresh_report(run):
        print(f"score report: written again: {run.exp / 'report.html'}", file=sys.stderr)

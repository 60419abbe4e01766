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
from .outputs import refuse_overwriting

__all__ = ["WORDS", "main"]
_RATIOS = {"auto": None, None: None, "yes": True, "no": False}


def main(words: list[str]) -> None:
    """Do what the command line ``words`` say; the first is one of WORDS."""
    tasks: dict[str, Callable[[argparse.Namespace], None]] = {
        "evaluate": _evaluate,
        "classes": _classes,
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
    refuse_overwriting(options)
    options.word = words[0]
    tasks[words[0]](options)


def _learn(options: argparse.Namespace) -> None:
    from .learned import calibrate

    calibrate(options)


def _draws(options: argparse.Namespace, *, speakers: bool) -> dict[str, int]:
    # Replicates and seed of the bootstrap, which there is only where ``speakers`` are known.
    from .evaluate import check_bootstrap

    given = {name: getattr(options, name) for name in ("replicates", "seed")}
    for name, value in given.items():
        if value is not None and not speakers:
            said = f"--{name} does nothing without --utt2spk: intervals are drawn over speakers"
            raise InputError(said, mend="give --utt2spk too, or leave it away")
    draws = {"replicates": 1000, "seed": 0} | {key: one for key, one in given.items() if one is not None}
    check_bootstrap(**draws)
    return draws


def _inputs(options: argparse.Namespace) -> tuple[Any, Any, dict[str, str] | None]:
    from .trials import read_scores, read_trials

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
    draws = _draws(options, speakers=options.utt2spk is not None)
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
        **draws,
    )
    _print(found, options.json, evaluation)


def _classes(options: argparse.Namespace) -> None:
    from .class_commands import class_evaluation, judged_file

    found = judged_file(options, _draws(options, speakers=options.utt2spk is not None))
    _print(found, options.json, class_evaluation)


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
    if options.p_fa is not None and not 0 < options.p_fa < 1:
        said = f"--p-fa {options.p_fa:g}: a false-alarm rate is a share, between 0 and 1"
        raise InputError(said, mend="1 % is 0.01")
    draws = _draws(options, speakers=options.utt2spk is not None)
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
        **draws,
    )
    if options.llr and look_like_cosines(scores):
        found["notes"].append("--llr, but all scores lie in [-1, 1] as cosines do: they are none then")
    if options.out:
        write_text(options.out, json.dumps(found, indent=1, allow_nan=False) + "\n")
    _print(found, options.json, chosen)


def _compare(options: argparse.Namespace) -> None:
    from .summary import rows, side_by_side

    if options.out and options.out.suffix != ".html":  # its picture is the same name with .png
        raise InputError("the page is an .html file", where=options.out, mend="say --out NAME.html")
    if not options.scores and _of_classes(options):
        return
    found, page = _compared_scores(options) if options.scores else _compared_experiments(options)
    if options.out:
        from ..report import render_comparison

        render_comparison(out=options.out, **page())
    _print(found, options.json, rows if options.row else side_by_side)


def _of_classes(options: argparse.Namespace) -> bool:
    # Whether these are experiments with labels: then they are compared here.
    from .class_experiments import class_page, classes_side_by_side, compare_classes, is_classification

    if not any(is_classification(folder) for folder in options.experiments):
        return False
    _refuse(options, "trials names utt2spk llr cost", "is for trials: these experiments have labels")
    found = compare_classes(
        options.experiments,
        against=options.against,
        systems=options.systems,
        lists=options.list,
        **_draws(options, speakers=True),
    )
    if options.out:
        from ..report import render_classes

        render_classes(out=options.out, **class_page(found))
    if options.row and not options.json:
        from ..report.rows import class_lines

        said = {"recipe": "", "model": "", "classification": found["sets"], "vote": found["vote"]}
        print("\n".join(class_lines(said)))
    else:
        _print(found, options.json, classes_side_by_side)
    return True


def _refuse(options: argparse.Namespace, names: str, why: str) -> None:
    # Options that would do nothing are a misunderstanding, and a silent one.
    for name in names.split():
        if getattr(options, name.replace("-", "_")):
            raise InputError(f"--{name} {why}", mend=f"leave it away; see {options.word} --help")


def _compared_scores(options: argparse.Namespace) -> tuple[dict[str, Any], Callable[[], Any]]:
    from .evaluate import COSTS, cost_of
    from .labels import labels, named
    from .systems import compare_scores, page_of_scores
    from .trials import read_scores, read_trials

    if options.experiments or options.trials is None:
        said = "experiments and --scores" if options.experiments else "--scores without --trials"
        raise InputError(said, mend="give experiments, or --trials LIST --scores FILE FILE")
    _refuse(options, "systems list", "is for experiments, not for --scores")
    draws = _draws(options, speakers=options.utt2spk is not None)
    names = named(options.names, labels(options.scores))
    trials = read_trials(options.trials)
    systems = {name: read_scores(path, trials) for name, path in zip(names, options.scores, strict=True)}
    places = {path.resolve(): name for name, path in zip(names, options.scores, strict=True)}
    against = None
    if options.against is not None:
        against = places.get(options.against.resolve()) or str(options.against)
        if against not in systems:
            mend = f"name its file, or one of {', '.join(systems)}"
            raise InputError("--against is none of the --scores", where=options.against, mend=mend)
    found = compare_scores(
        trials,
        systems,
        utt2spk=None if options.utt2spk is None else read_table(options.utt2spk),
        likelihood_ratios=_RATIOS[options.llr],
        costs=[cost_of(text) for text in options.cost] if options.cost else list(COSTS),
        against=against,
        where=options.utt2spk,
        **draws,
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
        **_draws(options, speakers=True),
    )
    return found, lambda: page_of_experiments(found, places)


def _summary(options: argparse.Namespace) -> None:
    from ..formats.run import Run
    from . import stage
    from .experiments import row_of
    from .summary import rows

    run = Run.load(options.run)
    if run.labels and options.row:
        from ..report.rows import class_lines
        from .class_results import class_results

        print("\n".join(class_lines(class_results(run))))
        return
    print(rows({"systems": [row_of(run.exp)]}) if options.row else stage.summary(run))


def _report(options: argparse.Namespace) -> None:
    from ..formats.run import Run
    from . import stage

    run = Run.load(options.run)
    if stage.refresh_report(run):
        print(f"score report: written again: {run.exp / 'report.html'}", file=sys.stderr)

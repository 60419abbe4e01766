"""The command line of stage backend beside the stage itself: a back end from anybody's x-vectors."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from ..formats.errors import InputError
from ..formats.tables import read_table
from .folder import DESCRIPTION, refuse_others
from .line import parse_line

if TYPE_CHECKING:
    from .backend import Backend
    from .line import Line
    from .vectors import Labelled

WORDS = {"fit": "learn a back end from anybody's x-vectors"}


def main(words: list[str]) -> None:
    """Do what the command line ``words`` say; the first is one of WORDS."""
    options = _parser().parse_args(words[1:])
    line = parse_line(options.line)
    adapt = _named(options.adapt)
    _check(options, line, adapt)
    refuse_others(options.out)  # before the work, not behind it
    _fit(options, line, adapt)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m pysteps.backend fit", description=WORDS["fit"])
    add = parser.add_argument
    line = 'transforms | scorer | score normalisation, e.g. "center | lda 150 | length-norm | plda"'
    add("--line", required=True, help=line)
    add("--xvectors", type=Path, required=True, help="the training x-vectors: an scp")
    add("--utt2spk", type=Path, required=True, help="their speakers")
    named = "x-vectors of the SET that the line adapts to (again for more)"
    add("--adapt", action="append", default=[], metavar="SET=SCP", help=named)
    add("--cohort", type=Path, help="x-vectors of a score normalisation's cohort (the training ones)")
    add("--cohort-utt2spk", type=Path, help="their speakers (--utt2spk)")
    of = "utt2spk of an evaluation set: nobody and nothing of it may be in the other tables (again for more)"
    add("--evaluated", type=Path, action="append", default=[], metavar="UTT2SPK", help=of)
    add("--dev", type=Path, help="development x-vectors: a calibration is learned on them")
    add("--dev-trials", type=Path, help="their trials (all pairs, by --dev-utt2spk)")
    add("--dev-utt2spk", type=Path, help="their speakers")
    kinds = ("logistic", "pav")
    add("--calibration", choices=kinds, help="its kind (logistic)")
    add("--seed", type=int, default=0, help="of a cohort that is drawn, and of more than a million pairs (0)")
    add("--text", action="store_true", help="matrices and vectors in Kaldi's text form")
    add("--out", type=Path, required=True, help="the back end's folder")
    return parser


def _named(given: Iterable[str]) -> dict[str, Path]:
    found: dict[str, Path] = {}
    for text in given:
        name, _, scp = text.partition("=")
        if not (name and scp) or name in found:
            raise InputError(f"--adapt {text}: give SET=SCP, each set once, e.g. target=target/xvector.scp")
        found[name] = Path(scp)
    return found


def _check(options: argparse.Namespace, line: Line, adapt: Mapping[str, Path]) -> None:
    # Options that do nothing here, and those that are missing.
    said, lost = set(adapt), set(line.sets)
    if said != lost:
        odd = sorted(said ^ lost)[0]
        what = f"the line adapts to {odd}" if odd in lost else f"the line says nothing of adapt={odd}"
        raise InputError(what, where="--adapt", mend=f"give --adapt {odd}=SCP and adapt={odd}, both or none")
    if options.cohort and line.norm is None:
        raise InputError("a cohort, but no score normalisation in --line", mend="add e.g. | as-norm 300")
    if options.cohort_utt2spk and not options.cohort:
        raise InputError("--cohort-utt2spk without --cohort")
    if not options.dev and (options.dev_trials or options.dev_utt2spk):
        raise InputError("--dev-trials or --dev-utt2spk without --dev")
    if options.dev and not (options.dev_trials or options.dev_utt2spk):
        raise InputError("--dev alone", mend="give --dev-trials, or --dev-utt2spk for all pairs")
    if options.calibration and not options.dev:
        raise InputError("--calibration without --dev", mend="give what it is learned on")
    if options.dev and options.evaluated and not options.dev_utt2spk:
        whose = "--evaluated, but nobody says whose the --dev vectors are"
        raise InputError(whose, mend="give --dev-utt2spk too")
    if options.seed < 0:
        raise InputError(f"--seed {options.seed}: it must not be below 0")


def _fit(options: argparse.Namespace, line: Line, adapt: Mapping[str, Path]) -> None:
    from .backend import Backend
    from .vectors import labelled, read_labelled, read_vectors

    speaker_of = read_table(options.utt2spk)
    train = labelled(options.xvectors, options.utt2spk, speaker_of)
    others: Labelled | None = None
    if options.cohort:
        others = (
            read_labelled(options.cohort, options.cohort_utt2spk)
            if options.cohort_utt2spk
            else labelled(options.cohort, options.utt2spk, speaker_of)
        )
    evaluated = {str(path): read_table(path) for path in options.evaluated}
    _refuse(evaluated, "--xvectors", train.utterances, train.speakers)
    if others is not None:
        _refuse(evaluated, "--cohort", others.utterances, others.speakers)
    sets = {}
    for name, scp in adapt.items():
        utts, sets[name] = read_vectors(scp)
        _refuse(evaluated, f"--adapt {name}", utts)
    backend = Backend.fit(
        line,
        train.vectors,
        train.speakers,
        sets=sets,
        utterances=train.utterances,
        others=others,
        evaluated={name: list(table.values()) for name, table in evaluated.items()},
        seed=options.seed,
    )
    if options.dev:
        backend = _calibrated(options, backend, train, evaluated)
    if (options.out / DESCRIPTION).is_file():
        note = "a back end was here and is replaced: what it scored or calibrated is not this one's"
        print(f"{options.out}: {note}", file=sys.stderr)
    backend.save(options.out, text=options.text)
    _report(options, line, train, backend)


def _refuse(
    evaluated: Mapping[str, Mapping[str, str]], what: str, utts: Iterable[str], speakers: Iterable[str] = ()
) -> None:
    for name, table in evaluated.items():
        for kind, theirs, ours in (("speakers", table.values(), speakers), ("utterances", table, utts)):
            both = sorted(set(ours) & set(theirs))
            if both:
                said = f"{len(both)} {kind} of it are in {what} too, the first: {both[0]}"
                raise InputError(said, where=name, mend="learn from others than those that are evaluated")


def _calibrated(
    options: argparse.Namespace,
    backend: Backend,
    train: Labelled,
    evaluated: Mapping[str, Mapping[str, str]],
) -> Backend:
    from .chain import check_dimensions
    from .develop import calibrated, dev_trials, one_kind
    from .vectors import read_vectors, sides, speakers_of

    utts, vectors = read_vectors(options.dev)
    check_dimensions(vectors, train.vectors.shape[1], str(options.dev))
    speakers: dict[str, str] = {}
    if options.dev_utt2spk:
        speakers = dict(zip(utts, speakers_of(utts, options.dev, options.dev_utt2spk), strict=True))
    _refuse(evaluated, "--dev", utts, speakers.values())
    known = len({*speakers.values()} & {*train.speakers}) or len({*utts} & {*train.utterances})
    if known:
        note = f"{known} speakers or utterances of {options.dev} were trained on: ratios will be too sure"
        print(f"{options.out}: {note}", file=sys.stderr)
    dev = sides(utts, vectors, speakers, {})
    trials = dev_trials([options.dev_trials] if options.dev_trials else [], dev, options.seed)
    if one_kind(trials[1]):
        said = f"no calibration can be learned: there are {one_kind(trials[1])} pairs of one speaker"
        raise InputError(said, where=options.dev_trials or options.dev, mend="give both kinds, or no --dev")
    kind = options.calibration or "logistic"
    return calibrated(backend, options.out.resolve().name, kind, dev, trials, of=str(options.dev))


def _report(options: argparse.Namespace, line: Line, train: Labelled, backend: Backend) -> None:
    said = [f"{len(train.utterances)} x-vectors of {len(set(train.speakers))} speakers"]
    if train.missing:
        said.append(f"{train.missing} utterances of {options.utt2spk} have no x-vector")
    if backend.cohort is not None:
        said.append(f"a cohort of {len(backend.cohort.keys)}")
    if backend.calibration is not None:
        counts = backend.calibration.targets, backend.calibration.nontargets
        said.append(f"calibrated on {counts[0]} target and {counts[1]} non-target trials")
    print(f"{options.out}: {', '.join(said)}", file=sys.stderr)
    if line.norm is not None and not options.evaluated:
        note = "no --evaluated: nobody has looked whether an evaluation speaker is in the cohort"
        print(f"{options.out}: {note}", file=sys.stderr)

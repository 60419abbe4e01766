"""The command line of diarization: windows, extract, cluster, tune, evaluate; and of stage diarize."""

from __future__ import annotations

import json
import sys
from dataclasses import fields
from pathlib import Path
from typing import Any

from ..formats.atomic import write_text
from ..formats.errors import InputError, guarded
from .options import DiarizeOptions

VERBS = {
    "windows": "speech (--vad vad.scp or --lab FILE ...) -> sliding windows, a Kaldi segments file",
    "extract": "a run's set of whole recordings -> windows and their x-vectors",
    "cluster": "x-vectors of windows -> RTTM",
    "tune": "x-vectors of a development set and its RTTM -> the threshold with the lowest DER",
    "evaluate": "RTTM against a reference: DER and JER",
    "summary": "what stage diarize found in a run",
}
STAGE_WORDS = ("plan", "job", "gather", "run")  # of steps/diarize.sh, see formats.command


def _parser() -> Any:
    from jsonargparse import ArgumentParser

    top = ArgumentParser(prog="python -m pysteps.diarize", description=__doc__)
    verbs = top.add_subcommands(required=True, dest="verb")
    for verb, text in VERBS.items():
        parser = ArgumentParser(description=text)
        if verb == "evaluate":
            parser.add_argument("--reference", required=True, help="RTTM")
            parser.add_argument("--hypothesis", required=True, help="RTTM")
            parser.add_argument("--json", help="write all figures to this file")
            parser.add_argument("--replicates", type=int, default=1000, help="of the bootstrap")
            parser.add_argument("--seed", type=int, default=0, help="of its draws")
        elif verb == "summary":
            parser.add_argument("--run", required=True, help="exp/TAG/run.json")
        else:
            parser.add_argument("--config", action="config", help="conf/diarize/NAME.yaml")
            parser.add_class_arguments(DiarizeOptions, skip={"collar", "skip_overlap"})
        if verb in ("evaluate", "tune"):
            parser.add_argument("--uem", help="what is scored")
        if verb != "summary":  # a conf file may hold them for every verb
            parser.add_argument("--collar", type=float, default=0.0, help="s on each side (NIST: 0.25)")
            parser.add_argument("--skip-overlap", action="store_true", help="score no overlapped speech")
        if verb == "evaluate":
            parser.add_argument("--jer-collar", type=float, default=0.0, help="the collar of the JER, s")
            parser.add_argument(
                "--jer-skip-overlap", action="store_true", help="score no overlapped speech in the JER"
            )
        if verb == "windows":
            parser.add_argument("--vad", help="vad.scp")
            parser.add_argument("--lab", nargs="+", help="RECORDING.lab: `start end label` lines")
            parser.add_argument("--rate", type=int, default=16000, help="of the audio of --vad, Hz")
            parser.add_argument("--frame-length-ms", type=float, default=25.0)
            parser.add_argument("--frame-shift-ms", type=float, default=10.0)
            parser.add_argument("--no-snip-edges", action="store_true", help="a frame for each shift")
        if verb == "extract":
            parser.add_argument("--run", required=True, help="exp/TAG/run.json")
            parser.add_argument("--set", required=True, help="the data set: whole recordings")
            parser.add_argument("--model", help="another model of the same features (default: the run's)")
        if verb in ("cluster", "tune"):
            parser.add_argument("--xvectors", required=True, help="a table (.scp) or archive (.ark)")
            parser.add_argument("--segments", required=True, help="the windows, a Kaldi segments file")
            parser.add_argument("--transform", help="VBx's transform (.h5) or a back end's folder")
            parser.add_argument("--plda", help="Kaldi's PLDA file, for affinity plda and for vbx")
        if verb == "cluster":
            parser.add_argument("--reco2num-spk", help="table: the number of speakers of each recording")
        if verb == "tune":
            parser.add_argument("--reference", required=True, help="RTTM of the development set")
            parser.add_argument("--count", type=int, default=40, help="thresholds to try")
        if verb in ("windows", "cluster", "extract"):
            parser.add_argument("--out", required=True, help="a file; of extract a folder")
        verbs.add_subcommand(verb, parser, help=text)
    return top


def _options(words: Any) -> DiarizeOptions:
    return DiarizeOptions(**{field.name: words[field.name] for field in fields(DiarizeOptions)})


def _summary(words: Any) -> None:
    from ..formats.run import Run
    from .results import summary

    print(summary(Run.load(words.run)))


def _windows(words: Any) -> None:
    from ..formats.frames import FrameGeometry
    from . import work

    geometry = FrameGeometry(words.frame_length_ms, words.frame_shift_ms, not words.no_snip_edges)
    if bool(words.vad) == bool(words.lab):
        raise InputError("one of --vad and --lab must be there")
    regions = (
        work.regions_of_vad(words.vad, geometry, words.rate, words.least_gap)
        if words.vad
        else work.regions_of_labs(words.lab)
    )
    counts = work.write_windows(words.out, regions, _options(words))
    print(f"{counts['windows']} windows of {counts['recordings']} recordings", file=sys.stderr)


def _extract(words: Any) -> None:
    from ..formats.run import Run
    from .extract import extract_windows

    model = Path(words.model) if words.model else None
    counts = extract_windows(Run.load(words.run), words.set, Path(words.out), _options(words), model)
    print(f"{counts['windows']} windows, {counts['dropped']} dropped (too short)", file=sys.stderr)


def _cluster(words: Any) -> None:
    from . import work
    from .turns import write_rttm

    options = _options(words)
    inputs = work.Inputs.load(words.xvectors, words.segments, words.transform, words.plda, options)
    turns = work.diarize(inputs, options, work.read_numbers(words.reco2num_spk))
    write_rttm(words.out, turns)
    for recording, found in sorted(turns.items()):
        speakers = len({turn.speaker for turn in found})
        print(f"{recording}: {speakers} speakers, {len(found)} turns", file=sys.stderr)
    print("one speaker at a time: overlapped speech is given to one of its speakers", file=sys.stderr)


def _tune(words: Any) -> None:
    from . import work

    options = _options(words)
    inputs = work.Inputs.load(words.xvectors, words.segments, words.transform, words.plda, options)
    best, tried = work.tune(
        inputs, options, words.reference, words.uem, words.collar, words.skip_overlap, words.count
    )
    for threshold, error in tried:
        print(f"{threshold:10.4f} {error:7.2f} %", file=sys.stderr)
    print(f"threshold: {best:.6g}")


def _evaluate(words: Any) -> None:
    from .intervals import with_intervals
    from .judge import judge, table
    from .turns import read_rttm, read_uem

    result = judge(
        read_rttm(words.reference),
        read_rttm(words.hypothesis),
        collar=words.collar,
        skip_overlap=words.skip_overlap,
        jer_collar=words.jer_collar,
        jer_skip_overlap=words.jer_skip_overlap,
        uem=read_uem(words.uem) if words.uem else None,
    )
    if words.replicates < 2:
        raise InputError(f"--replicates {words.replicates}", mend="at least 2")
    result = with_intervals(result, replicates=words.replicates, seed=words.seed)
    if words.json:
        write_text(words.json, json.dumps(result, indent=1) + "\n")
    print(table(result))


def main(arguments: list[str] | None = None) -> None:
    """``python -m pysteps.diarize VERB ...``; see VERBS."""
    chosen = _parser().parse_args(arguments)
    do = {
        "windows": _windows,
        "extract": _extract,
        "cluster": _cluster,
        "tune": _tune,
        "evaluate": _evaluate,
        "summary": _summary,
    }
    do[chosen.verb](chosen[chosen.verb])


def _stage(verb: str) -> None:
    from ..formats import command
    from . import speakers, xvectors

    command.main(speakers if verb == "run" else xvectors)


if __name__ == "__main__":
    if sys.argv[1:2] and sys.argv[1] in STAGE_WORDS:
        _stage(sys.argv[1])
    else:
        guarded(main)

"""The command line of diarization: windows, extract, cluster, tune, evaluate; and of stage diarize."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from ..formats.errors import InputError, guarded
from .words import options_of, parser, refuse_idle

STAGE_WORDS = ("plan", "job", "gather", "run", "forget")  # of steps/diarize.sh, see formats.command


def _summary(words: Any) -> None:
    from ..formats.run import Run
    from .methods import summary

    print(summary(Run.load(words.run)))


def _windows(words: Any) -> None:
    from ..formats.frames import FrameGeometry
    from . import work

    geometry = FrameGeometry(words.frame_length_ms, words.frame_shift_ms, not words.no_snip_edges)
    if sum(bool(source) for source in (words.vad, words.lab, words.rttm)) != 1:
        raise InputError("one of --vad, --lab and --rttm must be there")
    if words.vad:
        regions = work.regions_of_vad(words.vad, geometry, words.rate, words.least_gap)
    else:
        regions = work.regions_of_rttm(words.rttm) if words.rttm else work.regions_of_labs(words.lab)
    counts = work.write_windows(words.out, regions, options_of(words))
    print(f"{counts['windows']} windows of {counts['recordings']} recordings", file=sys.stderr)


def _extract(words: Any) -> None:
    from ..formats.run import Run
    from .extract import extract_windows

    model = Path(words.model) if words.model else None
    counts = extract_windows(Run.load(words.run), words.set, Path(words.out), options_of(words), model)
    print(f"{counts['windows']} windows, {counts['dropped']} dropped (too short)", file=sys.stderr)


def _warn_of_unnamed(unnamed: list[str], count: int, segments: str) -> None:
    if unnamed:
        said = f"left out {len(unnamed)} of {count} x-vectors that have no line there, first {unnamed[0]}"
        print(f"warning: {segments}: {said}", file=sys.stderr)


def _cluster(words: Any) -> None:
    from . import work
    from .turns import write_rttm

    options = options_of(words)
    inputs = work.Inputs.load(words.xvectors, words.segments, words.transform, words.plda, options)
    _warn_of_unnamed(inputs.unnamed, len(inputs.index), words.segments)
    turns = work.diarize(inputs, options, work.read_numbers(words.reco2num_spk))
    write_rttm(words.out, turns)
    for recording, found in sorted(turns.items()):
        speakers = len({turn.speaker for turn in found})
        print(f"{recording}: {speakers} speakers, {len(found)} turns", file=sys.stderr)
    print("one speaker at a time: overlapped speech is given to one of its speakers", file=sys.stderr)


def _tune(words: Any) -> None:
    from . import work

    options = options_of(words)
    inputs = work.Inputs.load(words.xvectors, words.segments, words.transform, words.plda, options)
    _warn_of_unnamed(inputs.unnamed, len(inputs.index), words.segments)
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

    if words.replicates < 2:
        raise InputError(f"--replicates {words.replicates}", mend="at least 2")
    result = judge(
        read_rttm(words.reference),
        read_rttm(words.hypothesis),
        collar=words.collar,
        skip_overlap=words.skip_overlap,
        jer_collar=words.jer_collar,
        jer_skip_overlap=words.jer_skip_overlap,
        uem=read_uem(words.uem) if words.uem else None,
    )
    result = with_intervals(result, replicates=words.replicates, seed=words.seed)
    print(json.dumps(result, indent=1) if words.json else table(result))


def main(arguments: list[str] | None = None) -> None:
    """``python -m pysteps.diarize VERB ...``; see words.VERBS."""
    given = sys.argv[1:] if arguments is None else arguments
    chosen = parser().parse_args(given)
    refuse_idle(chosen.verb, given, chosen[chosen.verb])
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
    from . import speakers, stage, xvectors

    command.main({"run": speakers, "forget": stage}.get(verb, xvectors))


if __name__ == "__main__":
    if sys.argv[1:2] and sys.argv[1] in STAGE_WORDS:
        _stage(sys.argv[1])
    else:
        guarded(main)

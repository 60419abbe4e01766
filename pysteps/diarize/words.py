"""The words of the command line: what each verb reads, with an explanation; what it would not is refused."""

from __future__ import annotations

from argparse import SUPPRESS
from collections.abc import Sequence
from dataclasses import fields
from typing import Any, get_type_hints

from ..formats.errors import InputError
from .options import EXPLAINED, DiarizeOptions

VERBS = {
    "windows": "speech (--vad vad.scp, --lab FILE ..., --rttm FILE) -> sliding windows, Kaldi segments",
    "extract": "a run's set of whole recordings -> windows and their x-vectors",
    "cluster": "x-vectors of windows -> RTTM",
    "tune": "x-vectors of a development set and its RTTM -> the threshold with the lowest DER",
    "evaluate": "RTTM against a reference: DER and JER",
    "summary": "what stage diarize found in a run, all methods side by side",
}
_VBX = ("lda_dim", "fa", "fb", "loop", "smoothing", "iterations")
_CLUSTERS = ("affinity", "plda_energy", "clustering", "relative", "max_speakers", "max_windows", "resegment")
_VAD = ("rate", "frame_length_ms", "frame_shift_ms", "no_snip_edges", "least_gap")
READS = {
    "windows": {"window", "shift", "least_window", "least_gap"},
    "extract": {"window", "shift", "least_window", "least_gap", "speech"},
    "cluster": {*_CLUSTERS, *_VBX, "threshold", "speakers", "seed"},
    "tune": {*_CLUSTERS, *_VBX, "collar", "skip_overlap"},
}


def parser() -> Any:
    """Of ``python -m pysteps.diarize``."""
    from jsonargparse import ArgumentParser

    top = ArgumentParser(prog="python -m pysteps.diarize", description="Who spoke when: see docs/diarize.md.")
    verbs = top.add_subcommands(required=True, dest="verb")
    own = {
        "windows": _add_windows,
        "extract": _add_extract,
        "cluster": _add_cluster,
        "tune": _add_tune,
        "evaluate": _add_evaluate,
        "summary": _add_summary,
    }
    for verb, text in VERBS.items():
        one = ArgumentParser(description=text)
        if verb in READS:
            _add_options(one, verb)
        own[verb](one)
        verbs.add_subcommand(verb, one, help=text)
    return top


def _add_options(one: Any, verb: str) -> None:
    # A conf file may hold every option for every verb: those that it does not read are not shown.
    one.add_argument("--config", action="config", help="conf/diarize/NAME.yaml")
    hints = get_type_hints(DiarizeOptions)
    for field in fields(DiarizeOptions):
        name, shown = field.name, field.name in READS[verb]
        said = EXPLAINED[name] if shown else SUPPRESS
        if name == "skip_overlap":
            one.add_argument("--skip-overlap", action="store_true", help=said)
        else:
            one.add_argument(f"--{name}", type=hints[name], default=field.default, help=said)


def _add_windows(one: Any) -> None:
    one.add_argument("--vad", help="vad.scp")
    one.add_argument("--lab", nargs="+", help="RECORDING.lab: `start end label` lines")
    one.add_argument("--rttm", help="a reference: windows wherever anybody speaks")
    one.add_argument("--rate", type=int, default=16000, help="of the audio of --vad, Hz")
    one.add_argument("--frame-length-ms", type=float, default=25.0, help="of --vad")
    one.add_argument("--frame-shift-ms", type=float, default=10.0, help="of --vad")
    one.add_argument("--no-snip-edges", action="store_true", help="a frame for each shift")
    one.add_argument("--out", required=True, help="a file")


def _add_extract(one: Any) -> None:
    one.add_argument("--run", required=True, help="exp/TAG/run.json")
    one.add_argument("--set", required=True, help="the data set: whole recordings")
    one.add_argument("--model", help="another model of the same features (default: the run's)")
    one.add_argument("--out", required=True, help="a folder")


def _add_inputs(one: Any) -> None:
    one.add_argument("--xvectors", required=True, help="a table (.scp) or archive (.ark)")
    one.add_argument("--segments", required=True, help="the windows, a Kaldi segments file")
    one.add_argument("--transform", help="VBx's transform (.h5) or a back end's folder")
    one.add_argument("--plda", help="Kaldi's PLDA file, for affinity plda and for vbx")


def _add_cluster(one: Any) -> None:
    _add_inputs(one)
    one.add_argument("--reco2num-spk", help="table: the number of speakers of each recording")
    one.add_argument("--out", required=True, help="an RTTM file (.gz: gzipped)")


def _add_tune(one: Any) -> None:
    _add_inputs(one)
    one.add_argument("--reference", required=True, help="RTTM of the development set")
    one.add_argument("--uem", help="what is scored")
    one.add_argument("--count", type=int, default=40, help="how many thresholds are tried")


def _add_evaluate(one: Any) -> None:
    one.add_argument("--reference", required=True, help="RTTM")
    one.add_argument("--hypothesis", required=True, help="RTTM")
    one.add_argument("--uem", help="what is scored")
    one.add_argument("--json", action="store_true", help="print all figures as JSON instead of a table")
    one.add_argument("--replicates", type=int, default=1000, help="of the bootstrap")
    one.add_argument("--seed", type=int, default=0, help="of its draws")
    for name, of in (("", "the DER"), ("jer-", "the JER")):
        said = f"of {of}, s on each side of a border (NIST: 0.25)"
        one.add_argument(f"--{name}collar", type=float, default=0.0, help=said)
        one.add_argument(f"--{name}skip-overlap", action="store_true", help=f"no overlapped speech in {of}")


def _add_summary(one: Any) -> None:
    one.add_argument("--run", required=True, help="exp/TAG/run.json")


def options_of(words: Any) -> DiarizeOptions:
    """The options among a verb's parsed ``words``."""
    return DiarizeOptions(**{field.name: words[field.name] for field in fields(DiarizeOptions)})


def refuse_idle(verb: str, arguments: Sequence[str], words: Any) -> None:
    """InputError for an option among ``arguments`` that changes nothing in this ``verb``.

    A conf file may hold what is not read: it serves every verb and method.
    """
    if verb not in READS:
        return
    given = [word[2:].partition("=")[0].replace("-", "_") for word in arguments if word.startswith("--")]
    for name in given:
        if name in EXPLAINED and name not in READS[verb]:
            raise InputError(f"--{name} does nothing in {verb}", mend="leave it out")
        for names, idle, why in _idle(verb, words):
            if idle and name in names:
                raise InputError(f"--{name} does nothing {why}", mend="leave it out, or the other")


def _idle(verb: str, words: Any) -> list[tuple[Sequence[str], bool, str]]:
    # (options, whether they do nothing, because of what)
    if verb == "windows":
        return [(_VAD, not words.vad, "without --vad")]
    if verb == "extract":
        return [(("least_gap",), words.speech == "reference", "with speech reference")]
    options, numbers = options_of(words), bool(words.get("reco2num_spk"))
    known, spectral = numbers or bool(options.speakers), options.clustering == "spectral"
    return [
        (("plda_energy",), options.affinity != "plda", f"with affinity {options.affinity}"),
        (_VBX, options.resegment != "vbx", f"with resegment {options.resegment}"),
        (("threshold", "relative"), spectral, "with clustering spectral"),
        (("threshold", "relative", "max_speakers"), known, "where the number of speakers is given"),
        (("speakers",), numbers, "beside --reco2num-spk"),
        (("seed",), not spectral, "without clustering spectral"),
        (("plda",), not options.needs_plda, "without affinity plda or resegment vbx"),
    ]

"""The command line of analyse: explain, bands, faithfulness. Start with --help."""

from __future__ import annotations

import argparse
from pathlib import Path

from ..formats.errors import InputError, guarded
from ..formats.run import Run

ALL = ("gradient", "input_x_gradient", "integrated", "grad_cam", "grad_cam++", "fullgrad")


TARGETS = "direction (of the x-vector; default), norm, cosine (with --with), class or class:NAME"


def _options() -> argparse.Namespace:
    about = "What makes this x-vector or this decision: maps of relevance over time and frequency."
    parser = argparse.ArgumentParser(prog="python -m pysteps.analyse", description=about)
    tasks = parser.add_subparsers(dest="task", required=True)
    shared = argparse.ArgumentParser(add_help=False)
    shared.add_argument("--run", required=True, help="a trained system: exp/TAG or its run.json")
    shared.add_argument("--set", required=True, help="a set of utterances of the run, as eval")
    shared.add_argument("--model", type=Path, help="a model folder in place of exp/TAG/model")
    known = f"one or more of {', '.join(ALL)}; all"
    shared.add_argument("--method", nargs="+", default=["all"], help=f"{known} (default)")
    shared.add_argument("--target", default="", help=TARGETS)
    shared.add_argument("--layer", default="", help="that Grad-CAM looks at, as encoder.layer3")
    shared.add_argument("--threads", type=int, default=1, help="of the CPU (1)")
    one = tasks.add_parser(
        "explain", parents=[shared], help="maps of an utterance, or of a trial's two sides"
    )
    one.add_argument("--utt", required=True)
    one.add_argument("--with", dest="other", default="", help="the trial's other side; the target is cosine")
    one.add_argument("--seconds", type=float, default=10.0, help="of voiced frames, at most (10)")
    one.add_argument("--out", type=Path, required=True, help="a .png, .svg or .pdf; maps go beside it as ark")
    several = argparse.ArgumentParser(add_help=False)
    several.add_argument("--seed", type=int, default=0, help="of the choice of utterances (0)")
    several.add_argument("--out", type=Path, required=True, help="a folder")
    many = tasks.add_parser("bands", parents=[shared, several], help="which bands matter, over a set")
    many.add_argument("--utterances", type=int, default=50, help="so many, drawn (50); 0: all")
    many.add_argument("--seconds", type=float, default=10.0, help="of each, at most (10)")
    judge = tasks.add_parser("faithfulness", parents=[shared, several], help="deletion and insertion curves")
    judge.add_argument("--utterances", type=int, default=30, help="so many, drawn (30); 0: all")
    judge.add_argument("--seconds", type=float, default=4.0, help="of each, at most (4)")
    judge.add_argument("--steps", type=int, default=20, help="of the curves (20)")
    judge.add_argument("--block", default="10x5", help="frames x bins that go together (10x5)")
    return parser.parse_args()


def _block(text: str) -> tuple[int, int]:
    frames, _, bins = text.partition("x")
    if not (frames.isdigit() and bins.isdigit()):
        raise InputError(f"--block {text}: frames x bins", mend="--block 10x5")
    return int(frames), int(bins)


def main() -> None:
    """Do what the command line says and print what was found."""
    options = _options()
    import torch  # behind the command line: --help is quick

    from . import commands, sets
    from .methods import METHODS
    from .system import System

    torch.set_num_threads(max(1, options.threads))
    given = list(ALL) if options.method == ["all"] else list(dict.fromkeys(options.method))
    for method in given:
        METHODS[method]  # an unknown one is refused before the work
    system = System.load(Run.load(options.run), options.set, options.model, options.seconds)
    if options.task == "explain":
        left: list[str] = []
        if options.method == ["all"]:
            given, left = commands.fitting(system, given, options.layer)
        lines = left + commands.explain_utterance(
            system,
            options.utt,
            options.out,
            methods=given,
            target=options.target,
            other=options.other,
            layer=options.layer,
        )
    elif options.task == "bands":
        lines = sets.bands_of_set(
            system,
            options.out,
            methods=given,
            target=options.target or "direction",
            utterances=options.utterances,
            layer=options.layer,
            seed=options.seed,
        )
    else:
        lines = sets.faithfulness(
            system,
            options.out,
            methods=given,
            target=options.target or "direction",
            utterances=options.utterances,
            steps=options.steps,
            block=_block(options.block),
            layer=options.layer,
            seed=options.seed,
        )
    print("\n".join(lines))


if __name__ == "__main__":
    guarded(main)

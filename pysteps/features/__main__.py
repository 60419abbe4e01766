"""The command line of stage features: plan, job and gather (see pysteps.formats.command), and plot."""

import argparse
import sys
from pathlib import Path

from ..formats.command import main
from ..formats.errors import InputError, guarded
from ..formats.run import Run
from . import stage


def _options() -> argparse.Namespace:
    about = "draw waveform, VAD, spectrogram and features of an utterance before and after augmentation"
    parser = argparse.ArgumentParser(prog="python -m pysteps.features plot", description=about)
    parser.add_argument("utt", help="an utterance of a recorded set of the run")
    parser.add_argument("--run", required=True, help="the resolved run: exp/TAG/run.json")
    parser.add_argument("--out", help="a .png, .svg or .pdf file; default exp/TAG/pictures/UTT.png")
    parser.add_argument("--kinds", help="augmentations: noise,reverb+noise; default the run's; '' for none")
    parser.add_argument("--start", type=float, default=0.0, help="seconds; default 0")
    parser.add_argument("--seconds", type=float, default=8.0, help="at most so many are drawn; default 8")
    return parser.parse_args(sys.argv[2:])


def _plot() -> None:
    from .panels import Window, panels
    from .plot import FORMATS, draw_utterance, save

    options = _options()
    run = Run.load(options.run)
    out = Path(options.out or run.exp / "pictures" / f"{options.utt.replace('/', '-')}.png")
    if out.suffix not in FORMATS:  # before the work, not behind it
        raise InputError("no picture format", where=out, mend=f"end in {', '.join(FORMATS)}")
    kinds = None if options.kinds is None else [kind for kind in options.kinds.split(",") if kind]
    drawn = panels(run, options.utt, kinds, Window(options.start, options.seconds))
    title = f"{options.utt}   {run.names['audio']}, {run.names['vad']}, {run.names['features']}"
    save(draw_utterance(drawn, stage.FeaturesOptions(**run.options[stage.NAME]), title=title), out)
    print(out)


if sys.argv[1:2] == ["plot"]:
    guarded(_plot)
else:
    main(stage, {"plot": "draw an utterance before and after augmentation"})

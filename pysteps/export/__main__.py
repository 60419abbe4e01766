"""The command line of export: onnx, int8, torch, rtf. Start with --help."""

from __future__ import annotations

import argparse
import sys
import warnings
from pathlib import Path

from ..formats.errors import InputError, guarded


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m pysteps.export", description="A trained model for other programs: see docs/export.md."
    )
    tasks = parser.add_subparsers(dest="task", required=True)
    shared = argparse.ArgumentParser(add_help=False)
    model = shared.add_mutually_exclusive_group(required=True)
    model.add_argument("--run", type=Path, help="exp/TAG")
    model.add_argument("--model", type=Path, help="a folder with model.json and model.safetensors")
    shared.add_argument("--out", type=Path, required=True, help="the file to write")
    shared.add_argument(
        "--features", choices=("yes", "no"), default="yes", help="whether it takes samples (yes) or features"
    )
    shared.add_argument(
        "--vad", choices=("yes", "no"), default="yes", help="no: no input for the frames that VAD keeps"
    )
    shared.add_argument("--audio", nargs="*", default=[], metavar="FILE", help="recordings to compare on")
    tasks.add_parser("onnx", parents=[shared], help="for ONNX Runtime")
    tasks.add_parser("torch", parents=[shared], help="for torch.export.load (.pt2)")
    small = tasks.add_parser("int8", parents=[shared], help="for ONNX Runtime, in 8 bits, calibrated")
    small.add_argument("--set", help="a set of the run to calibrate and judge on (else --audio)")
    small.add_argument("--utterances", type=int, default=100, help="how many of it, drawn (100)")
    small.add_argument("--calibrate", type=int, default=50, help="how many of these calibrate (50)")
    small.add_argument(
        "--least-cosine", type=float, default=None, help="write nothing below this mean (0.98)"
    )
    speed = tasks.add_parser("rtf", help="a table of real-time factors on one thread")
    speed.add_argument("--networks", nargs="+", default=["ecapa512"], help="names of conf/models, or models")
    speed.add_argument("--seconds", type=float, nargs="+", default=[5.0])
    speed.add_argument("--repeats", type=int, default=20)
    speed.add_argument("--int8", action="store_true", help="8 bits too (calibrated on noise: for time alone)")
    return parser.parse_args()


def main() -> None:
    """Do what the command line says."""
    options = _options()
    warnings.filterwarnings("ignore", category=FutureWarning)
    if options.task == "rtf":
        from .rtf import table

        for line in table(options.networks, options.seconds, options.repeats, int8=options.int8):
            print(line, flush=True)
        return
    try:
        from .graphs import load
    except ImportError as error:
        raise InputError(
            f"exporting needs the package {error.name}", mend="pip install '.[export]' in Timbre's checkout"
        ) from None
    features = options.features == "yes"
    loaded = load(options.run or options.model, features=features, vad=options.vad == "yes")
    print(f"{options.out}: {_write(options, loaded)}")


def _write(options: argparse.Namespace, loaded: object) -> str:
    from .graphs import Loaded
    from .int8_file import LEAST_COSINE, export_int8
    from .onnx_file import export_onnx
    from .pt2_file import export_torch
    from .utterances import long_enough, of_files, of_set

    assert isinstance(loaded, Loaded)
    audio, short = long_enough(loaded, options.audio)
    for line in short:
        print(f"left out: {line}", file=sys.stderr)
    inputs = f"takes {', '.join(loaded.inputs)}"
    if options.task != "int8":
        export = export_onnx if options.task == "onnx" else export_torch
        found = export(loaded, options.out, audio)
        return f"{inputs}; at most {max(found.values()):.1e} from torch's x-vector on {len(found)} inputs"
    if options.set and not options.run:
        raise InputError("--set names a set of a run", mend="give --run exp/TAG, or --audio FILE ...")
    if options.set:
        features = of_set(options.run, options.set, options.utterances)
    else:
        features = of_files(loaded, audio)
    if not features:
        raise InputError("nothing to calibrate on", mend="--set NAME of the run, or --audio FILE ...")
    least = LEAST_COSINE if options.least_cosine is None else options.least_cosine
    loss = export_int8(loaded, options.out, features, options.calibrate, least)
    seen = " (the calibration's own: there are no others)" if loss.again else ""
    few = f" ({loss.too_short} are too short for the network)" if loss.too_short else ""
    return (
        f"{inputs}; cosine to 32 bits over {loss.utterances} utterances{seen}{few}: "
        f"mean {loss.mean_cosine:.4f}, least {loss.least_cosine:.4f}; "
        f"{loss.bytes_before / 1e6:.1f} MB of network became {loss.bytes_after / 1e6:.1f} MB in all"
    )


if __name__ == "__main__":
    guarded(main)

"""``python -m pysteps.models import``: weights of another toolkit to a model folder (docs/models.md)."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

from ..formats.errors import InputError
from .importer import FRONT_ENDS, import_weights
from .model import read_description


def main(arguments: Sequence[str]) -> None:
    """Convert, write and say in two lines what came out."""
    parser = argparse.ArgumentParser(
        prog="python -m pysteps.models import",
        description="Turn a checkpoint of another toolkit into model.safetensors and model.json.",
    )
    parser.add_argument("--from", dest="source", required=True, choices=sorted(FRONT_ENDS))
    parser.add_argument("checkpoint", help="their file: a state dictionary, or one inside a dictionary")
    parser.add_argument("out", help="the folder to write")
    parser.add_argument(
        "--features",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="an option of features that was another than in their recipe, such as sample_scale=32768",
    )
    options = parser.parse_args(arguments)
    changed = dict(_setting(text) for text in options.features)
    out = Path(options.out)
    family, model = import_weights(Path(options.checkpoint), options.source, out, changed)
    millions = sum(parameter.numel() for parameter in model.parameters()) / 1e6
    made = model.options
    print(f"{out}: {family.name} ({made.encoder}, {made.pooling}), {millions:.2f} M parameters, ", end="")
    print(f"x-vectors of {made.xvector_dim}, at least {model.min_frames} frames")
    said = read_description(out)["features"]["features"]
    print("features: " + ", ".join(f"{key} {said[key]}" for key in _SAID if key in said))


_SAID = (
    *("kind", "num_mel_bins", "frame_shift_ms", "sample_rate", "sample_scale"),
    *("window_type", "dither", "cmvn", "log_offset"),
)


def _setting(text: str) -> tuple[str, Any]:
    name, sign, value = text.partition("=")
    if not sign:
        raise InputError(f"--features {text}: no value", mend="--features sample_scale=32768")
    return name, yaml.safe_load(value)

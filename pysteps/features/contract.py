"""What features are, as one dictionary that travels with them, into the model and to extraction."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from ..formats.errors import InputError
from ..formats.run import Run
from .options import FbankOptions

# Of the VAD, only what decides which frames a network sees.
_NOT_CONTRACT = ("max_dropped", "shard_utterances", "seed", "compression")


@dataclass(frozen=True)
class FeaturesOptions(FbankOptions):
    """FbankOptions and what stage 4 does with them.

    cmvn: what is subtracted before VAD selects frames: utterance (mean over voiced frames), sliding
    (Kaldi's, centred over cmvn_window frames) or none. compression: Kaldi's method 0 (float32),
    2 (one byte) or 3 (two bytes). Stored features are before CMVN.
    """

    cmvn: str = "utterance"
    cmvn_window: int = 300
    compression: int = 3
    seed: int = 0
    max_dropped: float = 0.01
    shard_utterances: int = 400

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.cmvn not in ("utterance", "sliding", "none"):
            raise InputError(f"unknown cmvn {self.cmvn!r}", mend="one of utterance, sliding, none")
        if self.compression not in (0, 2, 3):
            raise InputError(f"unknown compression {self.compression}", mend="one of 0, 2, 3")

    def acoustic(self) -> FbankOptions:
        """The part that says what a feature is."""
        return FbankOptions(**{field.name: getattr(self, field.name) for field in fields(FbankOptions)})


def contract(run: Run) -> dict[str, Any]:
    """The feature contract of a run."""
    features = FeaturesOptions(**run.options["features"])
    audio = {
        key: value
        for key, value in run.options["audio"].items()
        if key.startswith(("band_", "zero_", "sample_"))
    }
    return {
        "features": {key: value for key, value in asdict(features).items() if key not in _NOT_CONTRACT},
        "vad": {key: value for key, value in run.options["vad"].items() if key not in _NOT_CONTRACT},
        "audio": audio,
        "dim": features.dim,
    }


def read(folder: Path) -> dict[str, Any]:
    """The contract that lies beside features."""
    path = folder / "contract.json"
    if not path.is_file():
        raise InputError("features without a contract", where=path, mend="run stage features")
    return json.loads(path.read_text("utf-8"))


def refuse_mismatch(
    wanted: dict[str, Any], found: dict[str, Any], where: object, asks: str = "the model was trained with"
) -> None:
    """InputError naming the first thing in which ``found`` differs from ``wanted``."""
    for part in sorted({*wanted, *found}):
        ours, theirs = wanted.get(part), found.get(part)
        if ours == theirs:
            continue
        if isinstance(ours, dict) and isinstance(theirs, dict):
            key = next(key for key in sorted({*ours, *theirs}) if ours.get(key) != theirs.get(key))
            part, ours, theirs = f"{part}.{key}", ours.get(key), theirs.get(key)
        raise InputError(
            f"{asks} {part} = {ours}, these features have {theirs}",
            where=where,
            mend="use features of one kind throughout, or run stage features again",
        )

"""A model's folder for the tests of export: a shrunk ECAPA-TDNN whose features are 16 mel bins."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

from pysteps.audio.options import AudioOptions
from pysteps.features.contract import FeaturesOptions, contract
from pysteps.formats.run import Run
from pysteps.models.model import save_model
from pysteps.vad.options import VadOptions
from tests.zoo import full, seen, shrunk


def contract_of(vad: str = "webrtc", **features: Any) -> dict[str, Any]:
    """The feature contract of 16 mel bins, or of other ``features``."""
    made = {
        "features": vars(FeaturesOptions(**{"num_mel_bins": 16, **features})),
        "vad": vars(VadOptions(method=vad)),
        "audio": vars(AudioOptions()),
    }
    return contract(cast(Run, SimpleNamespace(options=made, train_set="")))


CONTRACT = contract_of()


def model_folder(folder: Path, network: str = "ecapa256", **contract: Any) -> Path:
    """A shrunk ``network`` that has seen data, saved with its contract."""
    save_model(seen(shrunk(full(network))), folder, contract_of(**contract))
    return folder

"""What the networks of conf/models are: their sizes, their work for two seconds of speech, their papers."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
import yaml
from torch.utils.flop_counter import FlopCounterMode

from ..formats.errors import InputError
from .architectures import ENCODERS
from .model import SpeakerModel
from .options import ModelOptions
from .options_ssl import SSL_KINDS

FRAMES = 200  # two seconds at a shift of 10 ms

# Of conf files that follow another paper than their encoder does.
PAPERS = {
    "conformer_small": "Zhang et al., Interspeech 2022, arXiv:2203.15249",
    "fastresnet34": "Chung et al., Interspeech 2020, arXiv:2003.11982",
    "hubert_ecapa": "Hsu et al., TASLP 2021, arXiv:2106.07447",
    "lstm": "Wan et al., ICASSP 2018, arXiv:1710.10467",
    "lstm256": "Wan et al., ICASSP 2018, arXiv:1710.10467",
    "lstm_attentive": "Chowdhury et al., ICASSP 2018, arXiv:1710.10470",
    "mfa_conformer": "Zhang et al., Interspeech 2022, arXiv:2203.15249",
    "mfa_conformer4": "Zhang et al., Interspeech 2022, arXiv:2203.15249",
    "resnet100simam": "Qin et al., ICASSP 2022, arXiv:2110.06534",
    "resnet34se": "Heo et al., 2020, arXiv:2009.14153",
    "resnet34simam": "Qin et al., ICASSP 2022, arXiv:2110.06534",
    "thinresnet34": "Chung et al., Interspeech 2020, arXiv:2003.11982",
    "wav2vec2_ecapa": "Baevski et al., NeurIPS 2020, arXiv:2006.11477",
    "wav2vec2_full": "Baevski et al., NeurIPS 2020, arXiv:2006.11477",
    "wavlm_ecapa": "Chen et al., JSTSP 2022, arXiv:2110.13900",
    "wavlm_lora": "Chen et al., JSTSP 2022, arXiv:2110.13900",
}


@dataclass(frozen=True)
class Entry:
    """A conf file of conf/models: counts without classifier, ``macs`` for two seconds, ``shortest_input`` in
    frames; None where ``reason`` says why. No ``paper``: the design is ours."""

    name: str
    encoder: str
    pooling: str
    feature_dim: int
    parameters: int | None
    macs: int | None
    xvector_dim: int
    shortest_input: int | None
    paper: str
    reason: str = ""


def read_options(path: Path) -> ModelOptions:
    """The options of a conf file; an SSL front end without a folder has the published base size."""
    given: dict[str, Any] = yaml.safe_load(path.read_text("utf-8")) or {}
    options = ModelOptions(**given)
    kind = path.stem.partition("_")[0]
    if options.encoder == "ssl" and not options.network["config"] and kind in SSL_KINDS:
        return replace(options, network={**options.network, "config": {"model_type": kind}})
    return options


def without_memory(options: ModelOptions) -> SpeakerModel:
    """The network of ``options`` on the meta device: shapes and no numbers, whatever its size."""
    with torch.device("meta"):
        return SpeakerModel(options).eval()


def macs(model: SpeakerModel, frames: int = FRAMES) -> int:
    """Multiplications with an addition that an utterance of ``frames`` takes, in matrix products,
    convolutions and attention."""
    device = next(model.parameters()).device
    features = torch.empty(1, frames, model.options.feature_dim, device=device)
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        model(features)
    return counter.get_total_flops() // 2


def describe(path: Path) -> Entry:
    """One conf file. InputError where it is none of a network."""
    options = read_options(path)
    paper = PAPERS.get(path.stem, ENCODERS[options.encoder].paper)
    known = (path.stem, options.encoder, options.pooling, options.feature_dim)
    try:
        model = without_memory(options)
    except InputError as error:
        if options.encoder != "ssl":
            raise InputError(str(error), where=path) from None
        return Entry(*known, None, None, options.xvector_dim, None, paper, str(error))
    count = sum(parameter.numel() for parameter in model.parameters())
    return Entry(*known, count, macs(model), options.xvector_dim, model.min_frames, paper)


def describe_all(folder: Path) -> list[Entry]:
    """Every conf file of ``folder``, by name."""
    return [describe(path) for path in sorted(folder.glob("*.yaml"))]

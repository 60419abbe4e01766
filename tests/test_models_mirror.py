"""SpeechBrain's networks, which mirror an utterance at its ends: as every network, and the mirror by hand."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import pytest
import torch
from torch.nn import functional as F

from pysteps.models.layers import FrameConv
from pysteps.models.model import SpeakerModel
from pysteps.models.options import ModelOptions
from pysteps.models.speechbrain import MirrorConv
from tests.test_models_zoo import (
    exported,
    reached_by_slopes,
    same_alone,
    same_exported,
    same_in_onnx,
    steps_in_bf16,
    takes_its_shortest,
    weighs_frames,
)
from tests.zoo import seen

_WIDTHS = {"channels": 16, "frame_channels": 24}
MIRRORED = {
    "ecapa_mirror": ModelOptions(
        encoder="ecapa_mirror",
        network={**_WIDTHS, "scale": 4, "se_channels": 8},
        pooling="astp_normed",
        pool={"attention_channels": 8},
        xvector_norm=False,
        xvector_dim=10,
        feature_dim=16,
    ),
    "tdnn_mirror": ModelOptions(
        encoder="tdnn_mirror", network=_WIDTHS, pooling="sample_stats", xvector_dim=10, feature_dim=16
    ),
}


@cache
def small(name: str) -> SpeakerModel:
    """Tests leave its weights alone."""
    return seen(MIRRORED[name]).requires_grad_(False)


def test_the_mirror_by_hand() -> None:
    conv = MirrorConv(1, 1, kernel=3, dilation=2)
    with torch.no_grad():
        conv.weight.copy_(torch.tensor([[[100.0, 10.0, 1.0]]]))
        conv.bias.zero_()  # type: ignore[union-attr]
        frames = torch.arange(1.0, 6.0).view(1, 5, 1)  # 3 2 | 1 2 3 4 5 | 4 3
        assert conv(frames).flatten().tolist() == [313, 224, 135, 244, 353]


@pytest.mark.parametrize(("kernel", "dilation", "time"), [(5, 1, 7), (3, 4, 9), (3, 3, 40), (1, 1, 9)])
def test_the_mirror_gives_the_bytes_of_torchs_reflection(kernel: int, dilation: int, time: int) -> None:
    torch.manual_seed(3)
    conv, frames = MirrorConv(12, 16, kernel, dilation), torch.randn(3, time, 12)
    filled = F.pad(frames.mT, (conv.ends, conv.ends), mode="reflect").mT
    for precision in (torch.float32, torch.bfloat16):
        with torch.autocast("cpu", precision, enabled=precision != torch.float32):
            assert torch.equal(conv(frames), FrameConv.forward(conv, filled))


@pytest.mark.parametrize("name", MIRRORED)
def test_what_every_network_is_asked(name: str) -> None:
    model = small(name)
    for more in (0, 1, 60):
        same_alone(model, model.min_frames + more)
    weighs_frames(model)
    takes_its_shortest(model)
    reached_by_slopes(MIRRORED[name], 60)
    steps_in_bf16(MIRRORED[name], 40)


@pytest.mark.parametrize("name", MIRRORED)
def test_exported_it_takes_any_length_and_gives_the_same(name: str, tmp_path: Path) -> None:
    model = small(name)
    program = exported(model)
    same_exported(model, program)
    same_in_onnx(model, program, tmp_path)

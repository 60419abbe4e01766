"""CAM++: its size, its masks by hand, what it sees and the shortest utterance."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
import yaml
from torch.nn import functional as F

from pysteps.models.campplus import SEGMENT, ContextAwareMask, NormReLU
from pysteps.models.model import SpeakerModel
from pysteps.models.options import ModelOptions
from tests.zoo import seen

SMALL = ModelOptions(
    encoder="campplus",
    network={"channels": 8, "front_channels": 4, "growth": 4, "bottleneck": 2, "layers": [2, 2, 2]},
    pooling="sample_stats",
    pooled_norm=False,
    xvector_dim=10,
    feature_dim=12,
)


def made() -> SpeakerModel:
    return seen(SMALL)


def test_it_has_the_published_number_of_parameters(repo: Path) -> None:
    # Table 3 of the paper and 3D-Speaker's README: 7.18 M; its CAMPPlus class has 7,176,224, ours a bias and
    # a scale more for each of the 512 numbers of an x-vector.
    options = yaml.safe_load((repo / "conf/models/campplus.yaml").read_text("utf-8"))
    model = SpeakerModel(ModelOptions(**options | {"feature_dim": 80}))
    assert sum(parameter.numel() for parameter in model.parameters()) == 7_176_224 + 3 * 512


def test_half_of_the_frames_come_out() -> None:
    encoder = made().encoder
    # 8 -> (8 + 2 * 4) / 2 = 8 in each of three blocks.
    for time, frames in ((9, 5), (10, 5), (61, 31)):
        assert encoder(torch.randn(2, time, 12)).shape == (2, frames, encoder.out_channels)
    assert encoder.out_channels == 8


@pytest.mark.parametrize("time", [1, 99, 100, 101, 250])
def test_a_mask_is_that_of_the_utterance_and_the_segment(time: int) -> None:
    torch.manual_seed(2)
    mask, frames = ContextAwareMask(6, 4), torch.randn(2, time, 6)
    found = mask(frames)
    for segment in frames.split(SEGMENT, dim=1):
        context = frames.mean(1) + segment.mean(1)
        gate = torch.sigmoid(mask.excite(F.relu(mask.squeeze(context))))
        expected = gate.unsqueeze(1).expand(-1, segment.shape[1], -1)
        torch.testing.assert_close(found[:, : segment.shape[1]], expected)
        found = found[:, segment.shape[1] :]
    assert found.shape[1] == 0


def test_without_masks_it_sees_32_frames_to_each_side() -> None:
    encoder = made().encoder
    for module in encoder.modules():
        if isinstance(module, ContextAwareMask):
            torch.nn.init.zeros_(module.excite.weight)
        if isinstance(module, NormReLU):
            module[1] = torch.nn.SiLU()  # no unit is dead
    features = torch.randn(1, 121, 12, requires_grad=True)
    encoder(features)[0, 30].sum().backward()
    seen = features.grad[0].abs().sum(1).nonzero().flatten()  # type: ignore[index]
    # At half the rate: two layers of 1 frame to a side and four of 2, 20 frames of the input; the first TDNN
    # layer adds 2, and the ten 3x3 convolutions of the front end 10.
    assert (int(seen[0]), int(seen[-1])) == (60 - 32, 60 + 32)

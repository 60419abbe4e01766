"""ERes2NetV2: its size, the fusion by hand, frames and the shortest utterance."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
import yaml

from pysteps.formats.errors import InputError
from pysteps.models.architectures import ENCODERS, filled
from pysteps.models.eres2net import Fusion, cut
from pysteps.models.model import SpeakerModel
from pysteps.models.options import ModelOptions
from tests.zoo import seen

SMALL = ModelOptions(
    encoder="eres2netv2",
    network={"channels": 8, "blocks": [1, 1, 1, 1], "base_width": 32},
    pooling="sample_stats",
    pooled_norm=False,
    xvector_norm=False,
    xvector_dim=10,
    feature_dim=12,
)


def made() -> SpeakerModel:
    return seen(SMALL)


def test_it_has_the_published_number_of_parameters(repo: Path) -> None:
    # The paper says 17.8 M; 3D-Speaker's ERes2NetV2 class has 17,859,632.
    options = yaml.safe_load((repo / "conf/models/eres2netv2.yaml").read_text("utf-8"))
    model = SpeakerModel(ModelOptions(**options | {"feature_dim": 80}))
    assert sum(parameter.numel() for parameter in model.parameters()) == 17_859_632


def test_an_eighth_of_the_frames_and_bins_comes_out() -> None:
    encoder = made().encoder
    for time, frames in ((9, 2), (16, 2), (17, 3), (64, 8)):  # 12 bins: 12, 6, 3, 2; channels 16 * 8
        assert encoder(torch.randn(2, time, 12)).shape == (2, frames, 2 * 128)


def test_a_fusion_weighs_two_images_by_one_attention() -> None:
    fusion = Fusion(4).eval()
    x, y = torch.full((1, 4, 1, 1), 3.0), torch.full((1, 4, 1, 1), 5.0)
    torch.nn.init.zeros_(fusion.attention[3].weight)
    for bias, attention in ((0.0, 0.0), (50.0, 1.0), (-50.0, -1.0)):  # tanh(bias)
        torch.nn.init.constant_(fusion.attention[3].bias, bias)
        expected = torch.full((1, 4, 1, 1), 3 * (1 + attention) + 5 * (1 - attention))
        torch.testing.assert_close(fusion(x, y), expected)


def test_activations_of_the_blocks_end_at_twenty() -> None:
    assert cut(torch.tensor([-1.0, 3.0, 21.0])).tolist() == [0.0, 3.0, 20.0]


@pytest.mark.parametrize(
    ("change", "message"),
    [({"blocks": [3, 4, 6]}, "four stages"), ({"scale": 1}, "scale 1"), ({"base_width": 0}, "base_width 0")],
)
def test_options_that_make_no_network_are_refused(change: dict, message: str) -> None:
    with pytest.raises(InputError, match=message):
        filled(ENCODERS, "eres2netv2", change)

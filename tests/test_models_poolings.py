"""Poolings: numbers worked out by hand, weights that count frames, and one vector whatever stands beside."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from pysteps.formats.errors import InputError
from pysteps.models.architectures import (
    POOLINGS,
    AttentiveOptions,
    DictionaryOptions,
    GhostVladOptions,
    HeadsOptions,
    MultiQueryOptions,
    NetVladOptions,
    NoOptions,
    filled,
)
from pysteps.models.model import SpeakerModel, build
from pysteps.models.options import ModelOptions
from pysteps.models.pooling import AveragePooling
from pysteps.models.pooling_attentive import (
    MultiHeadPooling,
    MultiQueryPooling,
    PlainAttentivePooling,
    SelfAttentivePooling,
)
from pysteps.models.pooling_dictionary import DictionaryPooling, GhostVladPooling

# Size of the output for 8 channels, with these options.
SMALL: dict[str, tuple[dict[str, Any], int]] = {
    "asp": ({"attention_channels": 4}, 16),
    "astp": ({"attention_channels": 4}, 16),
    "average": ({}, 8),
    "ghostvlad": ({"clusters": 3, "ghosts": 2, "channels": 6}, 18),
    "lde": ({"clusters": 5, "channels": 4}, 20),
    "mha": ({"heads": 2}, 8),
    "mqmha": ({"heads": 2, "queries": 3, "attention_channels": 3}, 48),
    "netvlad": ({"clusters": 3, "channels": 0}, 24),
    "sap": ({"attention_channels": 4}, 8),
    "stats": ({}, 16),
}


def small(name: str) -> nn.Module:
    torch.manual_seed(7)
    return build(POOLINGS[name], filled(POOLINGS, name, SMALL[name][0]), 8).eval()


def test_average_by_hand() -> None:
    frames = torch.tensor([[[1.0, 0.0], [3.0, 1.0], [8.0, 5.0]]])
    pooling = AveragePooling(NoOptions(), 2)
    assert pooling(frames)[0].tolist() == pytest.approx([4, 2])
    assert pooling(frames, torch.tensor([[1.0, 3.0, 0.0]]))[0].tolist() == pytest.approx([2.5, 0.75])


def attended(kind: type[nn.Module]) -> list[float]:
    # Scores 3 tanh(x) of frames with tanh(x) = 0 and 0.5: weights 1 and e^1.5, over their sum.
    pooling = kind(AttentiveOptions(attention_channels=1), 1)
    with torch.no_grad():
        pooling.attention.hidden.weight.fill_(1)
        pooling.attention.hidden.bias.fill_(0)
        pooling.attention.score.weight.fill_(3)
    return pooling(torch.tensor([[[0.0], [math.atanh(0.5)]]]))[0].tolist()


def test_self_attentive_pooling_by_hand() -> None:
    share = math.exp(1.5) / (1 + math.exp(1.5))
    assert attended(SelfAttentivePooling) == pytest.approx([share * math.atanh(0.5)])


def test_plain_attentive_statistics_by_hand() -> None:
    share, value = math.exp(1.5) / (1 + math.exp(1.5)), math.atanh(0.5)
    deviation = value * math.sqrt(share * (1 - share))
    assert attended(PlainAttentivePooling) == pytest.approx([share * value, deviation], rel=1e-5)


def test_multi_head_pooling_by_hand() -> None:
    pooling = MultiHeadPooling(HeadsOptions(heads=2), 4)
    with torch.no_grad():
        pooling.query.copy_(torch.tensor([[0.0, 0.0], [math.sqrt(2) * math.log(3), 0.0]]))
    frames = torch.tensor([[[1.0, 2.0, 0.0, 4.0], [3.0, 6.0, 1.0, 8.0]]])
    # The first head has no preference; the second has scores 0 and log 3: weights 1/4 and 3/4.
    assert pooling(frames)[0].tolist() == pytest.approx([2, 4, 0.75, 7])


@pytest.mark.parametrize("shared", [True, False])
def test_multi_query_pooling_by_hand(shared: bool) -> None:
    pooling = MultiQueryPooling(MultiQueryOptions(queries=2, heads=1, attention_channels=1, shared=shared), 2)
    with torch.no_grad():
        pooling.hidden.weight.copy_(torch.tensor([[1.0, 0.0], [0.0, 1.0]]).unsqueeze(2))
        pooling.hidden.bias.fill_(0)
        # Query 1 looks at channel 1 with twice its tanh, query 2 at channel 2 with six times that. If each
        # channel has a score, the second channel's is 0.
        scores = [2.0, 6.0] if shared else [2.0, 0.0, 6.0, 0.0]
        pooling.score.weight.copy_(torch.tensor(scores).reshape(-1, 1, 1))
    frames = torch.tensor([[[0.0, 0.0], [math.atanh(0.5), math.atanh(0.5)]]])
    value, found = math.atanh(0.5), pooling(frames)[0].tolist()
    first, second = (math.exp(s) / (1 + math.exp(s)) for s in (1.0, 3.0))
    shares = [first, first, second, second] if shared else [first, 0.5, second, 0.5]
    means = [value * share for share in shares]
    deviations = [value * math.sqrt(share * (1 - share)) for share in shares]
    assert found == pytest.approx(means[:2] + deviations[:2] + means[2:] + deviations[2:], rel=1e-5)


def test_ghostvlad_by_hand() -> None:
    pooling = GhostVladPooling(GhostVladOptions(clusters=2, ghosts=1, channels=0), 2)
    with torch.no_grad():
        pooling.assign.weight.fill_(0)
        pooling.assign.bias.copy_(torch.tensor([1.0, 2.0, 5.0]).log())  # shares 1/8, 2/8 and the ghost's 5/8
        pooling.centres.copy_(torch.tensor([[1.0, 0.0], [0.0, 0.0]]))
    frames = torch.tensor([[[4.0, 3.0], [4.0, 5.0]]])
    # Residuals: (6, 8) / 8 to the first, (8, 8) * 2 / 8 to the second; each brought to length 1.
    assert pooling(frames)[0].tolist() == pytest.approx([0.6, 0.8, 0.5**0.5, 0.5**0.5])


def test_netvlad_has_no_ghosts() -> None:
    pooling = GhostVladPooling(NetVladOptions(clusters=1, channels=0), 2)
    with torch.no_grad():
        pooling.centres.zero_()
    assert pooling.assign.out_features == 1
    assert pooling(torch.tensor([[[3.0, 0.0], [0.0, 4.0]]]))[0].tolist() == pytest.approx([0.6, 0.8])


def test_dictionary_encoding_by_hand() -> None:
    pooling = DictionaryPooling(DictionaryOptions(clusters=2, channels=0), 1)
    with torch.no_grad():
        pooling.centres.copy_(torch.tensor([[0.0], [2.0]]))
        pooling.root.copy_(torch.tensor([0.5, 1.0]).mul(math.log(3)).sqrt())
    # At x = 2: -s d^2 is -2 log 3 and 0, so 1/10 and 9/10. At x = 0: 0 and -4 log 3, so 81/82 and 1/82.
    found = pooling(torch.tensor([[[2.0], [0.0]]]))[0].tolist()
    assert found == pytest.approx([0.1 * 2 / 2, (1 / 82) * -2 / 2], rel=1e-5)


def test_parts_that_do_not_come_out_even_are_refused() -> None:
    with pytest.raises(InputError, match="3 heads do not divide the 8 channels"):
        build(POOLINGS["mha"], {"heads": 3}, 8)
    with pytest.raises(InputError, match="clusters is 0"):
        filled(POOLINGS, "lde", {"clusters": 0})


@pytest.mark.parametrize(
    ("name", "count"),
    [
        ("sap", 1500 * 128 + 128 + 128),
        ("asp", 1500 * 128 + 128 + 128),
        ("astp", 3 * 1500 * 128 + 128 + 128 * 1500 + 1500),
        # WeSpeaker's MQMHASTP(1536, query_num=2, head_num=8) less the biases of its scores, 2 * 1536: a
        # softmax does not see them.
        ("mqmha", 2 * 8 * (192 * 64 + 64) + 2 * 1536 * 64),
        ("mha", 1536),
        ("ghostvlad", 1536 * 512 + 512 + 10 * 1537 + 8 * 512),
        ("lde", 1536 * 128 + 128 + 64 * 128 + 64),
    ],
)
def test_sizes(name: str, count: int) -> None:
    channels = 1500 if name in ("sap", "asp", "astp") else 1536
    pooling = build(POOLINGS[name], filled(POOLINGS, name, {}), channels)
    assert sum(parameter.numel() for parameter in pooling.parameters()) == count


# --- what is true of every one


@pytest.mark.parametrize("name", SMALL)
def test_weight_two_is_a_frame_twice_and_weight_zero_is_none(name: str) -> None:
    pooling, frames = small(name), torch.randn(2, 6, 8)
    weights = torch.tensor([1.0, 2.0, 0.0, 1.0, 0.0, 3.0]).expand(2, 6)
    repeated = frames.repeat_interleave(weights[0].long(), dim=1)
    torch.testing.assert_close(pooling(frames, weights), pooling(repeated), rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(pooling(frames, weights / 7), pooling(repeated), rtol=1e-5, atol=1e-6)


@torch.inference_mode()
@pytest.mark.parametrize("name", SMALL)
def test_size_and_a_vector_that_does_not_care_who_is_beside(name: str) -> None:
    pooling, frames = small(name), torch.randn(5, 33, 8) * torch.tensor([0.1, 1, 3, 1, 9]).view(-1, 1, 1)
    together = pooling(frames)
    assert together.shape == (5, SMALL[name][1]) and pooling.out_dim == SMALL[name][1]
    for one, vector in zip(frames, together, strict=True):
        assert float((pooling(one[None])[0] - vector).norm()) <= 1e-5 * float(vector.norm())


@pytest.mark.parametrize("name", SMALL)
def test_one_frame_and_equal_frames_have_a_vector_and_slopes(name: str) -> None:
    pooling = small(name)
    for frames in (torch.randn(2, 1, 8), torch.ones(2, 7, 8), torch.zeros(2, 4, 8)):
        frames.requires_grad_()
        vector = pooling(frames)
        vector.square().sum().backward()
        assert bool(torch.isfinite(vector).all()) and bool(torch.isfinite(frames.grad).all())
    for parameter in pooling.parameters():
        assert bool(torch.isfinite(parameter.grad).all())


@pytest.mark.parametrize("name", SMALL)
def test_a_slope_reaches_every_parameter(name: str) -> None:
    pooling = small(name).train()
    vector = pooling(torch.randn(3, 9, 8, requires_grad=True))
    (vector * torch.randn_like(vector)).sum().backward()
    for key, parameter in pooling.named_parameters():
        if (name, key) != ("astp", "score.bias"):  # moves all frames' scores alike
            assert float(parameter.grad.abs().max()) > 1e-5, key


@torch.inference_mode()
@pytest.mark.parametrize("name", SMALL)
def test_statistics_are_in_32_bits_in_bf16_too(name: str) -> None:
    pooling, frames = small(name), (torch.randn(2, 50, 8) + 3).bfloat16()
    with torch.autocast("cpu", torch.bfloat16):
        vector = pooling(frames)
    assert vector.dtype == torch.float32
    assert float((vector - pooling(frames.float())).norm() / vector.norm()) < 0.05


class AllPoolings(nn.Module):
    """Every pooling of the same frames, side by side."""

    def __init__(self) -> None:
        super().__init__()
        self.poolings = nn.ModuleList(small(name) for name in SMALL)

    def forward(self, frames: Tensor, weights: Tensor) -> Tensor:
        return torch.cat([pooling(frames, weights) for pooling in self.poolings], dim=1)


def test_exported_poolings_take_any_batch_and_time() -> None:
    every, dims = AllPoolings().eval(), {0: torch.export.Dim("batch"), 1: torch.export.Dim("time")}
    exported = torch.export.export(
        every, (torch.randn(2, 9, 8), torch.rand(2, 9)), dynamic_shapes=(dims, dims)
    ).module()
    for batch, time in ((1, 30), (4, 2)):
        frames, weights = torch.randn(batch, time, 8), torch.rand(batch, time) + 0.1
        torch.testing.assert_close(exported(frames, weights), every(frames, weights))


@pytest.mark.parametrize("name", SMALL)
def test_every_pooling_stands_behind_an_encoder(name: str) -> None:
    options = ModelOptions(
        network={"channels": 8, "frame_channels": 8, "scale": 2, "se_channels": 4},
        pooling=name,
        pool=SMALL[name][0],
        xvector_dim=5,
        feature_dim=6,
    )
    assert SpeakerModel(options).eval()(torch.randn(2, 20, 6), torch.rand(2, 20)).shape == (2, 5)

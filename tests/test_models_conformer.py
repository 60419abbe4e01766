"""Conformers and the CNN over the mean spectrum: counts, attention by hand, geometry, weights."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch
import yaml
from torch import nn

from pysteps.formats.errors import InputError
from pysteps.models import conformer
from pysteps.models.architectures import ENCODERS, ConformerOptions, MeanCnnOptions, filled
from pysteps.models.conformer import SelfAttention, shifted, sinusoids
from pysteps.models.meancnn import MeanCnnPooling
from pysteps.models.model import SpeakerModel, build
from pysteps.models.options import ModelOptions

TINY = {"channels": 8, "blocks": 2, "heads": 2, "hidden_channels": 16, "kernel": 3}


def encoder(feature_dim: int = 10, **network: object) -> nn.Module:
    torch.manual_seed(1)
    given = filled(ENCODERS, "conformer", {**TINY, **network})
    return build(ENCODERS["conformer"], given, feature_dim).eval()


# Counted in the authors' program (zyzisyz/mfa_conformer, its start.sh): encoders of 18,374,912 (conv2d2) and
# 17,654,272 (conv2d), and in its conformer.py without the concatenation 18,372,352; SpeechBrain's attentive
# pooling 788,352, normalisation 6,144, linear 590,016. Ours have two biases of 256 less in each of 6 blocks,
# and no second normalisation behind the last block's own where that is alone.
@pytest.mark.parametrize(
    ("name", "count"),
    [
        ("mfa_conformer", 18_374_912 + 788_352 + 6_144 + 590_016 - 3_072),
        ("mfa_conformer4", 17_654_272 + 788_352 + 6_144 + 590_016 - 3_072),
        # and the pooling 3 x 256 x 128 + 128 + 128 x 256 + 256, normalisation 1,024, linear 98,496
        ("conformer", 18_372_352 - 512 - 3_072 + 131_456 + 1_024 + 98_496),
    ],
)
def test_parameters_are_those_of_the_authors_program(repo: Path, name: str, count: int) -> None:
    options = yaml.safe_load((repo / "conf" / "models" / f"{name}.yaml").read_text("utf-8"))
    with torch.device("meta"):
        model = SpeakerModel(ModelOptions(**options | {"feature_dim": 80}))
    assert sum(parameter.numel() for parameter in model.parameters()) == count


def waves(module: nn.Module) -> nn.Module:
    """``module`` in 64 bits with tensors that a formula fills, each by its own number."""
    for number, tensor in enumerate(module.state_dict().values()):
        if tensor.is_floating_point():
            wave = torch.sin(0.7 * torch.arange(tensor.numel(), dtype=torch.float64) + number)
            tensor.copy_(0.3 * wave.view(tensor.shape))
    return module.double().eval()


@pytest.mark.parametrize("positions", ["relative", "key"])
def test_attention_is_the_formula(positions: str) -> None:
    layer = waves(SelfAttention(ConformerOptions(channels=4, heads=2, positions=positions)))
    frames = torch.randn(1, 5, 4, dtype=torch.float64)
    x = layer.norm(frames)[0]
    q, k, v = layer.query(x), layer.key(x), layer.value(x)
    expected = torch.zeros(5, 4, dtype=torch.float64)
    for head, part in enumerate((slice(0, 2), slice(2, 4))):
        for i in range(5):
            scores = []
            for j in range(5):
                place = torch.tensor([i - j if positions == "relative" else j])
                r = layer.position(sinusoids(place, 4).double())[0, part]
                content = (q[i, part] + layer.content_bias[head, 0]) @ k[j, part]
                scores.append((content + (q[i, part] + layer.position_bias[head, 0]) @ r) / math.sqrt(2))
            expected[i, part] = torch.stack(scores).softmax(0) @ v[:, part]
    torch.testing.assert_close(layer(frames)[0], layer.out(expected))


def test_positions_are_sines_and_cosines() -> None:
    found = sinusoids(torch.tensor([-3, 2]), 4)
    rows = [[math.sin(p), math.cos(p), math.sin(p / 100), math.cos(p / 100)] for p in (-3, 2)]
    torch.testing.assert_close(found, torch.tensor(rows))


def test_shift_by_hand() -> None:
    # Two queries, three keys, distances 1 0 -1 -2: query 0 reads from 0 on, query 1 from 1 on.
    scores = torch.tensor([[10.0, 11, 12, 13], [20, 21, 22, 23]])
    assert shifted(scores, 3).tolist() == [[11, 12, 13], [20, 21, 22]]


def test_long_utterances_are_attended_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    network, features = encoder(), torch.randn(2, 61, 10)
    with torch.no_grad():
        whole = network(features)
        monkeypatch.setattr(conformer, "QUERIES", 7)
        torch.testing.assert_close(network(features), whole, rtol=1e-5, atol=1e-6)


def test_relative_positions_do_not_know_where_the_utterance_began() -> None:
    # Queries 2 and 3 among 6 keys, then all moved on by 40: the distances are the same.
    layer = encoder().blocks[0].attention
    headed = layer._headed(torch.randn(1, 46, 8))
    early = layer._attended(headed[:, :, 42:44], 2, headed[:, :, 40:], headed[:, :, 40:])
    alone = layer._attended(headed[:, :, 40:], 0, headed[:, :, 40:], headed[:, :, 40:])
    torch.testing.assert_close(early, alone[:, :, 2:4])


@pytest.mark.parametrize(("subsampling", "sees", "stride", "trim"), [(2, 3, 2, 1), (4, 7, 4, 2)])
def test_geometry(subsampling: int, sees: int, stride: int, trim: int) -> None:
    network = encoder(subsampling=subsampling)
    features = torch.randn(1, 40, 10, requires_grad=True)
    frames = network.subsampling(features)
    assert (network.stride, network.trim) == (stride, trim)
    frames[0, 3].sum().backward()
    seen = features.grad[0].abs().sum(1).nonzero().flatten()  # type: ignore[index]
    assert (int(seen[0]), int(seen[-1])) == (3 * stride, 3 * stride + sees - 1)
    # The frames it stands for are the middle ones of those it sees.
    assert 3 * stride + trim + stride <= 3 * stride + sees
    assert network(torch.randn(1, network.min_frames, 10)).shape[1] == 2
    assert network(torch.randn(1, network.min_frames - 1, 10)).shape[1] == 1


def test_mfa_puts_all_blocks_side_by_side() -> None:
    network, features = encoder(aggregate=True), torch.randn(2, 20, 10)
    found = network(features)
    assert found.shape == (2, 9, 16) and network.out_channels == 16
    frames, outputs = network.subsampling(features) * math.sqrt(8), []
    for block in network.blocks:
        frames = block(frames)
        outputs.append(frames)
    torch.testing.assert_close(found, nn.functional.layer_norm(torch.cat(outputs, -1), [16]))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"subsampling": 3}, "subsampling is 3"),
        ({"heads": 3}, "channels is 8, heads 3"),
        ({"kernel": 4}, "odd one has a middle"),
        ({"positions": "absolute"}, "unknown positions 'absolute'"),
        ({"dropout": 1.0}, "dropout is 1.0"),
    ],
)
def test_options_that_make_no_conformer_are_refused(change: dict, message: str) -> None:
    with pytest.raises(InputError, match=message):
        encoder(**change)


def test_features_that_are_too_small_are_refused() -> None:
    with pytest.raises(InputError, match="size 6 are too small for a subsampling of 4"):
        encoder(6, subsampling=4)


MEAN = ModelOptions(
    encoder="identity",
    pooling="mean_cnn",
    pool={"channels": [4, 6], "kernel": 3},
    pooled_norm=False,
    xvector_norm=False,
    xvector_dim=5,
    feature_dim=16,
)


def test_mean_cnn_has_its_parameters(repo: Path) -> None:
    options = yaml.safe_load((repo / "conf" / "models" / "meancnn.yaml").read_text("utf-8"))
    model = SpeakerModel(ModelOptions(**options | {"feature_dim": 128}))
    # By hand: two numbers a bin, 5 taps with biases and two numbers a channel, 16 bins of 128 to 64.
    stages = sum(5 * i * o + 3 * o for i, o in ((1, 32), (32, 64), (64, 128)))
    assert sum(p.numel() for p in model.parameters()) == 256 + stages + 16 * 128 * 64 + 64


def test_mean_cnn_hears_the_mean_alone() -> None:
    torch.manual_seed(2)
    model = SpeakerModel(MEAN).eval()
    features = torch.randn(3, 12, 16)
    expected = model(features.mean(1, keepdim=True))
    torch.testing.assert_close(model(features[:, torch.randperm(12)]), expected, rtol=1e-4, atol=1e-6)
    weights = torch.tensor([0.0, 1, 2]).repeat(3, 4)
    repeated = features.repeat_interleave(weights[0].long(), dim=1)
    torch.testing.assert_close(model(features, weights), model(repeated), rtol=1e-4, atol=1e-6)


def test_mean_cnn_needs_bins_to_halve() -> None:
    with pytest.raises(InputError, match="7 bins are too few for 3 stages"):
        MeanCnnPooling(MeanCnnOptions(), 7)

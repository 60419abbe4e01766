"""ResNets, ResCNN and the plain CNN: counts against the references, geometry by hand, blocks by hand."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
import yaml
from torch import Tensor, nn

from pysteps.formats.errors import InputError
from pysteps.models.architectures import ENCODERS, POOLINGS, AttentiveOptions, filled
from pysteps.models.layers import as_frames, as_image
from pysteps.models.model import SpeakerModel, build
from pysteps.models.options import ModelOptions
from pysteps.models.pooling_channel import ChannelAttentivePooling
from pysteps.models.resnet import SimAM, SqueezeExcitation

TINY = {"channels": 4, "blocks": [2, 1, 1, 1]}


def encoder(name: str, feature_dim: int, **network: object) -> nn.Module:
    torch.manual_seed(1)
    return build(ENCODERS[name], filled(ENCODERS, name, network), feature_dim).eval()


def waves(module: nn.Module) -> nn.Module:
    """``module`` in 64 bits with tensors that a formula fills, each by its name and place in it."""
    for name, tensor in module.state_dict().items():
        if tensor.is_floating_point():
            wave = torch.sin(0.7 * torch.arange(tensor.numel(), dtype=torch.float64) + len(name))
            scale = 2 / tensor[0].numel() ** 0.5 if tensor.dim() == 4 else 0.3
            wave = 1 + 0.5 * wave if "running_var" in name else scale * wave
            tensor.copy_(wave.view(tensor.shape))
    return module.double().eval()


# Counted in these programs, as they are without classifier: WeSpeaker (dfa7419) models/resnet.py and
# samresnet.py, 256 dimensions (its README says 6.63 M for ResNet34, 25.2 M and 50.2 M for SimAM);
# clovaai/voxceleb_trainer (f51bab8; ResNetSE34 in 7b6ff00), 512 dimensions.
@pytest.mark.parametrize(
    ("name", "feature_dim", "count"),
    [
        ("resnet10", 80, 2_536_800),  # WeSpeaker's class with one block a stage
        ("resnet18", 80, 4_105_440),
        ("resnet34", 80, 6_634_336),
        ("resnet50", 80, 11_131_360),
        ("resnet101", 80, 15_892_448),
        ("resnet34simam", 80, 25_213_760),
        ("resnet100simam", 80, 50_232_896),
        ("resnet34preact", 80, 15_438_336),  # SpeechBrain's class (1.1.2) as its recipe makes it
        ("resnet34se", 80, 8_684_364 - 32),  # without the bias in front of the first normalisation
        ("thinresnet34", 257, 1_437_078),  # the paper says 1.4 M
        ("fastresnet34", 40, 1_437_078),
        # Li et al., Table 1: 6K + 6 x 41K + 209K + 6 x 151K + 823K + 6 x 594K + 3.3M + 6 x 2.4M + 1M, of
        # which 28 x 4096 are normalisations a channel and bin; ours have 2 numbers a channel, 14 times 960.
        ("rescnn", 64, 24_266_304 - 28 * 4096 + 14 * 960 + 512),
        # By hand: 9 (32 + 32 (32 + 64) + 64 (64 + 128) + 128 (128 + 256) + 256 256), 4 (32 + 64 + 128 + 256)
        # for the normalisations, and the projector of 2 x 256 x 16 to 128.
        ("cnn", 128, 1_170_720 + 1_920 + 8_192 * 128 + 128),
    ],
)
def test_parameters_are_those_of_the_reference(repo: Path, name: str, feature_dim: int, count: int) -> None:
    options = yaml.safe_load((repo / "conf" / "models" / f"{name}.yaml").read_text("utf-8"))
    with torch.device("meta"):
        model = SpeakerModel(ModelOptions(**options | {"feature_dim": feature_dim}))
    assert sum(parameter.numel() for parameter in model.parameters()) == count


# The sum of the frames times cos(0), cos(1) ... in WeSpeaker's classes (dfa7419) with the same tensors.
@pytest.mark.parametrize(
    ("change", "value"),
    [
        ({}, -0.15197946014399633),
        ({"block": "bottleneck"}, 3.0070265333301043),
        ({"attention": "simam"}, 0.026475560765997608),
    ],
    ids=["basic", "bottleneck", "simam"],
)
def test_frames_are_those_of_wespeaker(change: dict, value: float) -> None:
    features = torch.sin(0.3 * torch.arange(2 * 21 * 16, dtype=torch.float64)).view(2, 21, 16)
    with torch.no_grad():
        frames = waves(encoder("resnet", 16, **TINY, **change))(features)
    assert float((frames.flatten() * torch.cos(torch.arange(frames.numel()))).sum()) == pytest.approx(
        value, rel=1e-5
    )


@pytest.mark.parametrize(
    ("name", "network", "stride", "channels"),
    [
        ("resnet", TINY, 8, 32 * 3),  # 20 bins, 10, 5, 3
        ("resnet", TINY | {"block": "bottleneck"}, 8, 128 * 3),
        ("resnet", TINY | {"stem": "7x7"}, 8, 32 * 2),
        ("resnet", TINY | {"stem": "7x7_pool"}, 8, 32),
        ("resnet", TINY | {"last_stride": 1}, 4, 32 * 5),
        ("resnet", TINY | {"last_stride": 1, "stem": "7x7", "average_bins": True}, 4, 32),
        ("resnet_preact", {"channels": [4, 4, 6, 8], "blocks": [2, 1, 1, 1]}, 8, 8 * 3),
        ("rescnn", {"channels": 2, "blocks": 1}, 16, 16 * 2),
        ("cnn", {"channels": [2, 3, 4, 5]}, 8, 5 * 3),
        ("cnn", {"channels": [2, 3], "average_bins": True}, 2, 3),
    ],
)
def test_a_frame_comes_out_for_every_stride_that_begins(
    name: str, network: dict, stride: int, channels: int
) -> None:
    net = encoder(name, 20, **network)
    assert (net.stride, net.trim, net.out_channels, net.min_frames) == (stride, 0, channels, stride + 1)
    for time in (net.min_frames, 31, 32, 33):
        frames = net(torch.randn(2, time, 20))
        assert frames.shape == (2, -(-time // stride), channels) and frames.is_contiguous()


# Half of what a frame sees. A 3x3 convolution adds as many frames to each side as the input's frames stand
# apart, a 5x5 twice as many, and the step doubles behind each halving.
@pytest.mark.parametrize(
    ("name", "network", "half"),
    [
        # 1 | 1 1 | 1 2 | 2 4 | 4 8
        ("resnet", {"channels": 2, "blocks": [1, 1, 1, 1]}, 24),
        # 3 and 1 for the pool | 1 1 | 1 2 | 2 4 | 4 4
        ("resnet", {"channels": 2, "blocks": [1, 1, 1, 1], "stem": "7x7_pool", "last_stride": 1}, 23),
        # 2 2 2 | 4 4 4 | 8 8 8 | 16 16 16
        ("rescnn", {"channels": 2, "blocks": 1}, 90),
        # 1 1 and 1 for the pool | 2 2 2 | 4 4 4 | 8 8
        ("cnn", {"channels": [2, 2, 2, 2]}, 37),
    ],
    ids=["resnet", "7x7_pool", "rescnn", "cnn"],
)
def test_what_a_frame_sees(name: str, network: dict, half: int) -> None:
    net = encoder(name, 8, **network).double()
    for module in net.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.constant_(module.weight, 1 / module.weight[0].numel())  # nothing cancels or is cut off
    features = torch.ones(1, 240, 8, dtype=torch.float64)
    number = 96 // net.stride
    with torch.no_grad():
        before = net(features)[0, number]
        for frame, seen in ((-half - 1, False), (-half, True), (half, True), (half + 1, False)):
            changed = features.clone()
            changed[0, 96 + frame] += 0.01
            assert bool((net(changed)[0, number] != before).any()) is seen


def test_images_and_frames_lie_as_the_docstrings_say() -> None:
    features = torch.randn(2, 5, 3)
    image = as_image(features)
    assert image.shape == (2, 1, 3, 5) and float(image[1, 0, 2, 4]) == float(features[1, 4, 2])
    image = torch.randn(2, 4, 3, 5)
    frames = as_frames(image)
    assert frames.shape == (2, 5, 12)
    assert float(frames[1, 2, 7]) == float(image[1, 2, 1, 2])  # the second bin of channel 2 of 3 bins each


@pytest.mark.parametrize("name", ["resnet", "cnn"])
def test_the_mean_over_the_bins_is_that_of_the_bins(name: str) -> None:
    network = TINY if name == "resnet" else {"channels": [2, 4]}
    features = torch.randn(2, 30, 20)
    of_bins, mean = encoder(name, 20, **network), encoder(name, 20, **network, average_bins=True)
    frames = of_bins(features).unflatten(2, (mean.out_channels, -1))
    torch.testing.assert_close(mean(features), frames.mean(3))


def test_simam_by_hand() -> None:
    image = torch.tensor([1.0, 2.0, 3.0, 6.0]).view(1, 1, 2, 2)
    # Mean 3, squares 4, 1, 0, 9, variance 14 / 3; four times that and lambda is 18.66707.
    salience = torch.tensor([4.0, 1.0, 0.0, 9.0]) / 18.66706667 + 0.5
    torch.testing.assert_close(SimAM()(image).flatten(), image.flatten() / (1 + torch.exp(-salience)))


def test_simam_measures_each_channel_of_each_utterance_in_32_bits() -> None:
    image = torch.randn(2, 3, 4, 50) * torch.tensor([1.0, 30.0, 1e4]).view(1, 3, 1, 1)
    whole = SimAM()(image)
    torch.testing.assert_close(whole[1:, 2:], SimAM()(image[1:, 2:]))
    half = SimAM()(image.bfloat16())
    assert half.dtype == torch.bfloat16 and bool(torch.isfinite(half).all())
    torch.testing.assert_close(half.float(), whole, rtol=0.02, atol=0.02)


def test_squeeze_and_excitation_by_hand() -> None:
    gate = SqueezeExcitation(2, 2)
    with torch.no_grad():
        gate.squeeze.weight.copy_(torch.tensor([[1.0, -1.0]]))
        gate.squeeze.bias.fill_(0.5)
        gate.excite.weight.copy_(torch.tensor([[2.0], [0.0]]))
        gate.excite.bias.zero_()
    image = torch.tensor([[[[1.0, 3.0]], [[1.0, 1.0]]]])  # means 2 and 1: 1.5 inside, gates of 3 and of 0
    scaled = gate(image).flatten()
    torch.testing.assert_close(scaled, torch.tensor([0.9525741, 2.8577224, 0.5, 0.5]))


def test_a_block_whose_last_normalisation_is_zero_hands_its_input_on() -> None:
    for name in ("basic", "bottleneck"):
        block = encoder("resnet", 8, **TINY, block=name).layer1[1]
        nn.init.zeros_(block.bn2.weight if name == "basic" else block.bn3.weight)
        image = torch.rand(1, block.conv1.in_channels, 4, 6)
        torch.testing.assert_close(block(image), image)


def test_a_preactivated_block_adds_its_own_to_the_image() -> None:
    torch.manual_seed(3)
    for stage, gated in ((1, True), (4, False)):
        net = encoder("resnet_preact", 8, channels=[3, 3, 4, 4], blocks=[2, 1, 1, 2])
        block = getattr(net, f"layer{stage}")[1]
        image = torch.randn(1, block.conv1.in_channels, 4, 6)
        assert isinstance(block.attention, SqueezeExcitation) is gated
        nn.init.zeros_(block.conv3.weight)
        torch.testing.assert_close(block(image), image)  # what is below 0 too
        nn.init.constant_(block.bn3.bias, 1.0)
        block.bn3.weight.data.zero_()
        nn.init.ones_(block.conv3.weight)  # a sum of ones for each channel
        own = float(block.conv3.in_channels)
        gate = block.attention(torch.full_like(image, own)) if gated else torch.full_like(image, own)
        torch.testing.assert_close(block(image), image + gate)


def attended(pooling: ChannelAttentivePooling, frames: Tensor) -> Tensor:
    attention = pooling.score(pooling.hidden(frames)).softmax(1)
    mean = (attention * frames).sum(1)
    return torch.cat((mean, ((attention * frames.square()).sum(1) - mean.square()).sqrt()), 1)


def test_every_channel_has_its_own_attention() -> None:
    torch.manual_seed(4)
    pooling = ChannelAttentivePooling(AttentiveOptions(attention_channels=8), 5).eval()
    frames = torch.randn(2, 6, 5) * 2
    torch.testing.assert_close(pooling(frames), attended(pooling, frames), rtol=1e-4, atol=1e-5)
    weights = torch.tensor([1.0, 2.0, 0.0, 1.0, 0.0, 3.0])
    repeated = frames.repeat_interleave(weights.long(), dim=1)
    torch.testing.assert_close(pooling(frames, weights.expand(2, 6)), pooling(repeated))
    assert POOLINGS["channel_asp"].place == "pooling_channel:ChannelAttentivePooling"


@pytest.mark.parametrize(
    ("name", "network", "message"),
    [
        ("resnet", {"blocks": [3, 4, 6]}, "four stages"),
        ("resnet", {"block": "wide"}, "unknown block 'wide'.*one of basic, bottleneck"),
        ("resnet", {"attention": "cbam"}, "unknown attention 'cbam'"),
        ("resnet", {"stem": "5x5"}, "unknown stem '5x5'"),
        ("resnet", {"last_stride": 3}, "last_stride 3"),
        ("resnet_preact", {"blocks": [3, 4, 0, 3]}, r"blocks is \[3, 4, 0, 3\]: .* four stages"),
        ("resnet_preact", {"channels": [128, 256]}, r"channels is \[128, 256\]"),
        ("cnn", {"channels": []}, "one stage or more"),
        ("cnn", {"convolutions": 0}, "convolutions 0"),
        ("rescnn", {"channels": 0}, "channels 0"),
    ],
)
def test_options_that_make_no_network_are_refused(name: str, network: dict, message: str) -> None:
    with pytest.raises(InputError, match=message):
        ModelOptions(encoder=name, network=network)

"""The families of the TDNN: sizes, what they see, the constraint of F-TDNN and the selection of D-TDNN-SS."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
import yaml
from torch import nn

from pysteps.formats.errors import InputError
from pysteps.models.dtdnn import Selection, high_order_statistics
from pysteps.models.ftdnn import SemiOrthogonalConv
from pysteps.models.model import SpeakerModel
from pysteps.models.options import ModelOptions

DENSE = {"channels": 12, "growth": 8, "layers": [2, 3]}
SMALL = {
    "etdnn": ("etdnn", {"channels": 16, "frame_channels": 24}),
    "ftdnn": ("ftdnn", {"first_channels": 12, "channels": 16, "bottleneck": 8, "frame_channels": 24}),
    "dtdnn": ("dtdnn", DENSE),
    "dtdnnss": ("dtdnn", {**DENSE, "selection": True}),
    "aret": ("aret", {"channels": 16, "frame_channels": 24, "groups": 4}),
    "ret": ("aret", {"channels": 16, "frame_channels": 24, "groups": 4, "aggregated": False}),
    "conv1d": ("conv1d", {"channels": [16, 16, 24], "kernels": [5, 3, 1], "dilations": [1, 4, 1]}),
    "conv2d": ("conv2d", {"front_channels": [4, 8], "groups": 4, "channels": 16, "frame_channels": 24}),
}


def made(name: str) -> SpeakerModel:
    """A small model whose normalisations have seen data."""
    encoder, network = SMALL[name]
    options = ModelOptions(encoder=encoder, network=network, pooling="stats", xvector_dim=10, feature_dim=12)
    torch.manual_seed(1)
    model = SpeakerModel(options)
    with torch.no_grad():
        for _ in range(3):
            model(torch.randn(4, 50, 12) * 2 + 1)
    return model.eval()


def size(repo: Path, name: str, feature_dim: int, **changes: object) -> int:
    options = yaml.safe_load((repo / f"conf/models/{name}.yaml").read_text("utf-8"))
    model = SpeakerModel(ModelOptions(**options | changes | {"feature_dim": feature_dim}))
    return sum(parameter.numel() for parameter in model.parameters())


def test_sizes_are_those_of_the_authors_or_of_a_named_implementation(repo: Path) -> None:
    # README of yuyq96/D-TDNN, with 30 MFCCs: E-TDNN 6.1 M, D-TDNN 2.8 M, D-TDNN-SS 3.1 M with 128 numbers an
    # x-vector and 3.5 M with 512. Its own classes have 2,822,272, 3,108,480 and 3,501,696; ours a bias and a
    # scale more for each of the x-vector's numbers.
    assert size(repo, "etdnn", 30) == pytest.approx(6.1e6, rel=0.02)
    assert size(repo, "dtdnn", 30) == 2_822_272 + 3 * 512
    assert size(repo, "dtdnnss", 30) == 3_108_480 + 3 * 128
    assert size(repo, "dtdnnss", 30, xvector_dim=512) == 3_501_696 + 3 * 512
    # FTDNN of cvqluu/Factorized-TDNN up to the normalisation behind its first segment, here the loss's.
    assert size(repo, "ftdnn", 30) == 13_537_280 - 2 * 512
    # RET of Wenhao-Yang/SpeakerVerifiaction-pytorch, with 80 features; there the first segment's norm has a
    # scale and a shift. Its TDNN_v5 up to the x-vector, without and with first_2d.
    assert size(repo, "aret", 80) == 9_354_240 - 2 * 512
    assert size(repo, "ret", 80) == 12_291_072 - 2 * 512
    assert size(repo, "conv1d", 80) == size(repo, "tdnn", 80) == 4_354_964
    assert size(repo, "conv2d", 80) == 4_242_900


# Frames to each side by hand. etdnn: 2+2+3+4. ftdnn: 2, 3 and four times 4. dtdnn: 2, 2 of 1, 3 of 3; with
# selection all 5 layers reach 3. aret: 2+1+1+2 and a block of 1 behind each, in ret of 2. conv1d: 2+4.
# conv2d: 4 of the front, 2+3.
@pytest.mark.parametrize(
    ("name", "lost", "reach"),
    [
        ("etdnn", 11, 11),
        ("ftdnn", 0, 21),
        ("dtdnn", 0, 13),
        ("dtdnnss", 0, 17),
        ("aret", 6, 10),
        ("ret", 6, 14),
        ("conv1d", 0, 6),
        ("conv2d", 5, 9),
    ],
)
def test_frames_lost_and_seen(name: str, lost: int, reach: int) -> None:
    encoder = made(name).encoder
    for parent in list(encoder.modules()):
        if isinstance(parent, Selection):  # which sees the whole utterance: both branches alike
            for score in parent.scores:
                nn.init.zeros_(score.weight)
        for key, child in parent.named_children():
            if isinstance(child, nn.ReLU):
                setattr(parent, key, nn.SiLU())  # no unit is dead
    features = torch.randn(1, 71, 12, requires_grad=True)
    frames = encoder(features)
    assert frames.shape == (1, 71 - 2 * lost, encoder.out_channels) and encoder.trim == lost
    frames[0, 35 - lost].sum().backward()
    seen = features.grad[0].abs().sum(1).nonzero().flatten()  # type: ignore[index]
    assert (int(seen[0]), int(seen[-1])) == (35 - reach, 35 + reach)


def convolution(matrix: torch.Tensor) -> SemiOrthogonalConv:
    conv = SemiOrthogonalConv(matrix.shape[1], matrix.shape[0], bias=False)
    conv.weight.data = matrix.unsqueeze(2).clone()
    return conv


def test_a_step_towards_semi_orthogonality_by_hand() -> None:
    # M = diag(1, 1.1): P = diag(1, 1.21), a^2 = tr(PP) / tr(P) = 2.4641 / 2.21. The ratio 2 tr(PP) / tr(P)^2
    # is 1.00903, so the whole step is taken: M - (P - a^2 I) M / (2 a^2).
    conv = convolution(torch.diag(torch.tensor([1.0, 1.1])))
    conv.constrain()
    scale = 2.4641 / 2.21
    expected = [1 - 0.5 * (1 - scale) / scale, 1.1 - 0.5 * (1.21 - scale) / scale * 1.1]
    torch.testing.assert_close(conv.weight[:, :, 0], torch.diag(torch.tensor(expected)))
    # diag(1, 2): 2 * 17 / 25 is above 1.1, so a quarter of the step.
    conv = convolution(torch.diag(torch.tensor([1.0, 2.0])))
    conv.constrain()
    scale = 17 / 5
    expected = [1 - 0.125 * (1 - scale) / scale, 2 - 0.125 * (4 - scale) / scale * 2]
    torch.testing.assert_close(conv.weight[:, :, 0], torch.diag(torch.tensor(expected)))


@pytest.mark.parametrize(("inputs", "outputs"), [(12, 8), (4, 16)], ids=["wide", "high"])
def test_steps_lead_to_a_semi_orthogonal_matrix(inputs: int, outputs: int) -> None:
    torch.manual_seed(2)
    conv = SemiOrthogonalConv(inputs, outputs, 2, bias=False)

    def error() -> float:
        matrix = conv.weight.detach().flatten(1)
        matrix = matrix if len(matrix) <= matrix.shape[1] else matrix.T
        product = matrix @ matrix.T
        scale = product.square().sum() / product.trace()
        return float((product / scale - torch.eye(len(product))).norm())

    assert error() < 1e-5  # as it is drawn
    conv.weight.data.add_(0.2 * torch.randn_like(conv.weight))
    before = error()
    for _ in range(100):
        conv.constrain()
    assert before > 0.3 and error() < 1e-3


def test_two_factors_of_every_layer_are_constrained() -> None:
    model = made("ftdnn")
    constrained = [name for name, module in model.named_modules() if hasattr(module, "constrain")]
    assert constrained == [f"encoder.layer{layer}.{factor}" for layer in range(2, 10) for factor in (0, 1)]


def test_high_order_statistics_by_hand() -> None:
    frames = torch.tensor([[[0.0], [0.0], [3.0]]])
    # Mean 1, variance 6 / 2; (-1, -1, 2) / sqrt(3): cubes -1 -1 8, fourth powers 1 1 16.
    expected = [1.0, 3**0.5, 2 / 3**1.5, 6 / 9]
    torch.testing.assert_close(high_order_statistics(frames)[0], torch.tensor(expected))


def test_selection_weighs_branches() -> None:
    torch.manual_seed(3)
    select, branches = Selection(6, 2, 2), [torch.randn(2, 9, 6), torch.randn(2, 9, 6)]
    nn.init.zeros_(select.scores[0].weight), nn.init.zeros_(select.scores[1].weight)
    nn.init.zeros_(select.scores[0].bias)
    nn.init.constant_(select.scores[1].bias, torch.log(torch.tensor(3.0)).item())
    torch.testing.assert_close(select(branches), 0.25 * branches[0] + 0.75 * branches[1])


@pytest.mark.parametrize(
    ("encoder", "network", "message"),
    [
        ("dtdnn", {"layers": [6]}, "two dense blocks"),
        ("dtdnn", {"reduction": 0}, "reduction is 0"),
        ("aret", {"groups": 5}, "divide 512 channels"),
        ("conv1d", {"channels": [8, 8]}, "three lists of one length"),
        ("conv1d", {"channels": [8], "kernels": [4], "dilations": [1]}, "they are odd"),
        ("conv2d", {"front_channels": [8]}, "two numbers"),
        ("conv2d", {"groups": 24}, "groups is 24"),
    ],
)
def test_options_that_make_no_network_are_refused(encoder: str, network: dict, message: str) -> None:
    with pytest.raises(InputError, match=message):
        ModelOptions(encoder=encoder, network=network)

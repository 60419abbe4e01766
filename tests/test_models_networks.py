"""Networks: sizes, context, weights, and an utterance that does not care who is in its batch."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from torch import nn

from pysteps.formats.errors import InputError
from pysteps.models.architectures import AttentiveOptions
from pysteps.models.layers import FrameConv
from pysteps.models.model import SpeakerModel, embed, load_model, read_description, save_model
from pysteps.models.options import ModelOptions
from pysteps.models.pooling import AttentiveStatisticsPooling, StatisticsPooling
from pysteps.models.statistics import statistics
from pysteps.train.losses import SoftmaxHead
from pysteps.train.options import TrainOptions

SMALL = ModelOptions(
    network={"channels": 16, "frame_channels": 24, "scale": 4, "se_channels": 8},
    pool={"attention_channels": 8},
    xvector_dim=10,
    feature_dim=6,
)
TDNN = ModelOptions(
    encoder="tdnn",
    network={"channels": 16, "frame_channels": 24},
    pooling="stats",
    pooled_norm=False,
    xvector_norm=False,
    xvector_dim=10,
    feature_dim=6,
)


def conf(repo: Path, room: str, name: str) -> dict:
    return yaml.safe_load((repo / "conf" / room / f"{name}.yaml").read_text("utf-8"))


def made(options: ModelOptions) -> SpeakerModel:
    """A model whose normalisations have seen data, so that no statistic is 0 or 1."""
    torch.manual_seed(1)
    model = SpeakerModel(options)
    with torch.no_grad():
        for _ in range(3):
            model(torch.randn(8, 40, options.feature_dim) * 2 + 1)
    return model.eval()


def size(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


@pytest.mark.parametrize(("name", "millions"), [("ecapa512", 6.19), ("ecapa1024", 14.65)])
def test_ecapa_has_the_published_number_of_parameters(repo: Path, name: str, millions: float) -> None:
    # WeSpeaker's examples/voxceleb/v2/README.md; the paper says 6.2 M and 14.7 M.
    model = SpeakerModel(ModelOptions(**conf(repo, "models", name) | {"feature_dim": 80}))
    assert size(model) == pytest.approx(millions * 1e6, rel=0.002)


def test_tdnn_has_the_published_number_of_parameters(repo: Path) -> None:
    # WeSpeaker counts 4.61 M with segment 7, which is in our softmax head.
    model = SpeakerModel(ModelOptions(**conf(repo, "models", "tdnn") | {"feature_dim": 80}))
    head = SoftmaxHead(512, 10, TrainOptions(**conf(repo, "train", "softmax")))
    assert size(model) + size(head.segments) == pytest.approx(4.61e6, rel=0.005)


def test_every_model_conf_can_be_built_for_any_features(repo: Path) -> None:
    names = [path.stem for path in (repo / "conf" / "models").glob("*.yaml")]
    assert {"tdnn", "ecapa256", "ecapa512", "ecapa1024"} <= set(names)
    for name in names:
        options = ModelOptions(**conf(repo, "models", name) | {"feature_dim": 30})
        if options.encoder == "ssl":  # needs a folder: test_models_ssl.py
            continue
        with torch.device("meta"):
            assert SpeakerModel(options).options == options


@pytest.mark.parametrize("name", ["ecapa256", "tdnn"])
@pytest.mark.parametrize("frames", [15, 16, 97, 250, 401])
def test_an_utterance_gets_in_a_batch_what_it_gets_alone(repo: Path, name: str, frames: int) -> None:
    torch.manual_seed(2)
    model = made(ModelOptions(**conf(repo, "models", name) | {"feature_dim": 80}))
    rng = np.random.default_rng(frames)
    utterances = [rng.normal(size=(frames, 80)).astype(np.float32) * scale for scale in (0.1, 1, 3, 1, 1)]
    together = embed(model, utterances)
    for one, vector in zip(utterances, together, strict=True):
        alone = embed(model, [one])[0]
        assert vector.dtype == np.float32
        assert np.linalg.norm(vector - alone) <= 1e-5 * np.linalg.norm(alone)


@pytest.mark.parametrize("options", [SMALL, TDNN], ids=["ecapa", "tdnn"])
def test_shortest_input_is_taken_and_a_shorter_one_refused(options: ModelOptions) -> None:
    model = made(options)
    vector = model(torch.randn(2, model.min_frames, 6))
    assert vector.shape == (2, 10) and bool(torch.isfinite(vector).all())
    with pytest.raises(InputError, match=f"needs at least {model.min_frames}"):
        model(torch.randn(2, model.min_frames - 1, 6))


def test_another_feature_size_is_refused() -> None:
    with pytest.raises(InputError, match="features of size 7, the model was made for 6"):
        made(SMALL)(torch.randn(1, 20, 7))


def test_the_tdnn_sees_fifteen_frames() -> None:
    encoder = made(TDNN).encoder
    features = torch.randn(1, 40, 6, requires_grad=True)
    frames = encoder(features)
    assert frames.shape == (1, 26, 24)
    frames[0, 10].sum().backward()
    seen = features.grad[0].abs().sum(1).nonzero().flatten()  # type: ignore[index]
    assert (int(seen[0]), int(seen[-1])) == (10, 24)


@pytest.mark.parametrize(("kernel", "dilation", "padding"), [(1, 1, 0), (5, 1, 2), (3, 4, 4), (3, 2, 0)])
def test_frame_convolution_is_a_convolution(kernel: int, dilation: int, padding: int) -> None:
    torch.manual_seed(0)
    ours = FrameConv(6, 9, kernel, dilation, padding)
    theirs = nn.Conv1d(6, 9, kernel, dilation=dilation, padding=padding)
    theirs.load_state_dict(ours.state_dict())
    frames = torch.randn(3, 20, 6)
    torch.testing.assert_close(ours(frames), theirs(frames.mT).mT, rtol=1e-5, atol=1e-6)


def test_a_long_depthwise_convolution_in_bf16_comes_back() -> None:
    # One with channels innermost hangs on a CPU that multiplies in bf16: 16 channels, and 32 in a batch
    # that two threads cannot share evenly. In a process of its own, which can be ended.
    code = """
import torch
from pysteps.models.layers import FrameConv
from pysteps.train.world import exact

with exact(2):
    for width, kernel in ((16, 15), (32, 19), (80, 59)):
        ours = FrameConv(width, width, kernel, padding=kernel // 2, groups=width)
        frames = torch.randn(7, 150, width)
        with torch.autocast("cpu", torch.bfloat16):
            found = ours(frames)
        found.float().sum().backward()
        torch.testing.assert_close(found.float(), ours(frames), rtol=0.02, atol=0.02)
"""
    repo = Path(__file__).resolve().parent.parent
    subprocess.run([sys.executable, "-c", code], cwd=repo, check=True, timeout=120)


@pytest.mark.parametrize("width", [16, 32, 80])
def test_a_long_depthwise_convolution_in_bf16_is_not_one_with_channels_innermost(
    width: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    # What hangs, on every CPU.
    monkeypatch.setattr("torch.nn.functional.conv2d", None)
    ours, frames = FrameConv(width, width, 15, padding=7, groups=width), torch.randn(7, 150, width)
    with torch.autocast("cpu", torch.bfloat16):
        ours(frames)
    ours.bfloat16()(frames.bfloat16())


def test_statistics_by_hand() -> None:
    frames = torch.tensor([[[1.0], [3.0], [8.0]]])
    mean, variance = statistics(frames, torch.tensor([[[0.25], [0.75], [0.0]]]).log())
    assert float(mean) == pytest.approx(2.5)  # (1 + 3 * 3) / 4
    assert float(variance) == pytest.approx(0.75)  # (1.5^2 + 3 * 0.5^2) / 4


@pytest.mark.parametrize("channels", [1, 4])
@pytest.mark.parametrize("block", [1, 1 << 30], ids=["blocks", "whole"])
def test_slopes_of_the_statistics_are_those_of_the_formula(
    block: int, channels: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pysteps.models.statistics.BLOCK_BYTES", block)
    torch.manual_seed(3)
    frames, scores, slopes = torch.randn(3, 5, 4), torch.randn(3, 5, channels), torch.randn(2, 3, 4)
    found = []
    for ours in (True, False):
        x, s = frames.clone().requires_grad_(), scores.clone().requires_grad_()
        weights = s.softmax(1)
        mean = (weights * x).sum(1)
        plain = mean, (weights * (x - mean.unsqueeze(1)).square()).sum(1)
        both = torch.stack(statistics(x, s) if ours else plain)
        (both * slopes).sum().backward()
        found.append((both.detach(), x.grad, s.grad))
    torch.testing.assert_close(found[0], found[1])


@pytest.mark.parametrize("kind", [StatisticsPooling, AttentiveStatisticsPooling])
def test_weight_two_is_a_frame_twice_and_weight_zero_is_none(kind: type[nn.Module]) -> None:
    torch.manual_seed(4)
    pooling = kind(AttentiveOptions(attention_channels=8), 5)
    frames = torch.randn(2, 6, 5)
    weights = torch.tensor([1.0, 2.0, 0.0, 1.0, 0.0, 3.0])
    repeated = frames.repeat_interleave(weights.long(), dim=1)
    torch.testing.assert_close(pooling(frames, weights.expand(2, 6)), pooling(repeated, None))


def test_attention_is_that_of_the_paper() -> None:
    torch.manual_seed(5)
    pooling = AttentiveStatisticsPooling(AttentiveOptions(attention_channels=8), 5)
    frames = torch.randn(2, 7, 5)
    mean, deviation = frames.mean(1, keepdim=True), frames.std(1, correction=0, keepdim=True)
    seen = torch.cat((frames, mean.expand_as(frames), deviation.expand_as(frames)), dim=2)
    attention = pooling.score(torch.tanh(pooling.hidden(seen))).softmax(1)
    centre = (attention * frames).sum(1)
    spread = ((attention * frames.square()).sum(1) - centre.square()).sqrt()
    torch.testing.assert_close(pooling(frames), torch.cat((centre, spread), 1), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("options", [SMALL, TDNN], ids=["ecapa", "tdnn"])
def test_equal_weights_change_nothing(options: ModelOptions) -> None:
    model, features = made(options), torch.randn(2, 30, 6)
    torch.testing.assert_close(model(features, torch.full((2, 30), 0.3)), model(features))


def test_weights_belong_to_the_frame_in_the_middle_of_the_tdnns_context() -> None:
    model = made(TDNN)
    features = torch.randn(1, 30, 6)
    weights = torch.zeros(1, 30)
    weights[0, 10] = 1
    # One pooled frame: input frames 3 to 17 are all that is seen.
    torch.testing.assert_close(model(features, weights), model(features[:, 3:18]), rtol=1e-4, atol=1e-4)


def test_saving_is_the_same_to_the_byte_and_loads(tmp_path: Path) -> None:
    model, contract = made(SMALL), {"sample_rate": 16000, "kind": "fbank"}
    for name in ("one", "two"):
        save_model(model, tmp_path / name, contract)
    for file in ("model.safetensors", "model.json"):
        assert (tmp_path / "one" / file).read_bytes() == (tmp_path / "two" / file).read_bytes()
    loaded = load_model(tmp_path / "one")
    assert not loaded.training and read_description(tmp_path / "one")["features"] == contract
    features = torch.randn(2, 30, 6)
    assert torch.equal(loaded(features), model(features))


def test_a_broken_model_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="model.json: no such file"):
        load_model(tmp_path)
    save_model(made(SMALL), tmp_path, {})
    (tmp_path / "model.safetensors").write_bytes(b"half")
    with pytest.raises(InputError, match="model.safetensors: the weights cannot be read"):
        load_model(tmp_path)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"encoder": "ecap"}, r"unknown encoder 'ecap'; known: .*, tdnn.* \(did you mean ecapa\?\)"),
        ({"pooling": "max"}, "unknown pooling 'max'; known: .*, stats"),
        ({"network": {"channels": 16, "scale": 5}}, "divide 16 channels"),
        ({"network": {"chanels": 16}}, "encoder ecapa has no option chanels"),
        ({"network": {"channels": "wide"}}, "channels is 'wide' \\(it is of type int\\)"),
        ({"network": {"channels": -8}}, "channels is -8"),
        ({"network": {"se_channels": 0}}, r"se_channels is 0 \(at least 1\)"),
        ({"encoder": "resnet", "network": {"blocks": [1, 1, 1, 1.5]}}, r"blocks is .* type list\[int\]"),
        ({"encoder": "redimnet", "network": {"stages": [1, 2]}}, r"stages is .* type list\[list\[int\]\]"),
        ({"encoder": "redimnet", "network": {"stages": [[1, 1, 1, 99]]}}, "reduction is 99"),
        ({"pooling": "asp", "pool": {"attention_channels": 0}}, "attention_channels is 0"),
        ({"pooling": "lde", "pool": {"channels": -1}}, r"channels is -1 \(at least 0\)"),
        ({"xvector_dim": 0}, "xvector_dim is 0"),
    ],
)
def test_options_that_make_no_network_are_refused(change: dict, message: str) -> None:
    with pytest.raises(InputError, match=message):
        SpeakerModel(replace(SMALL, **change))


def test_a_frame_that_stands_for_several_has_their_mean_weight() -> None:
    model = made(TDNN)
    model.encoder.trim, model.encoder.stride = 1, 3
    weights = torch.tensor([[9.0, 1.0, 2.0, 3.0, 0.0, 0.0, 6.0, 4.0, 9.0]])
    # Without the ends: 1 2 3 | 0 0 6 | 4, of which the last stands for one frame only.
    assert model.weights_of(weights, 3).tolist() == [[2.0, 2.0, 4.0]]


def test_a_batch_of_two_lengths_is_refused() -> None:
    with pytest.raises(ValueError, match="one length"):
        embed(made(SMALL), [np.zeros((20, 6), np.float32), np.zeros((21, 6), np.float32)])


def test_options_need_no_torch(repo: Path) -> None:
    code = "import sys, pysteps.models.options, pysteps.train.options; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=repo, check=False).returncode == 0

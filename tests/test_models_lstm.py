"""LSTM networks: sizes, what they see, the last frame that counts, and the form that is exported."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
import yaml
from torch import nn

from pysteps.formats.errors import InputError
from pysteps.models.architectures import LstmOptions, NoOptions
from pysteps.models.lstm import LastFramePooling, LstmEncoder
from pysteps.models.model import SpeakerModel
from pysteps.models.options import ModelOptions


def made(projection: int, pooling: str = "last") -> SpeakerModel:
    torch.manual_seed(1)
    network = {"hidden": 16, "layers": 2, "projection": projection}
    options = ModelOptions(encoder="lstm", network=network, pooling=pooling, xvector_dim=10, feature_dim=6)
    return SpeakerModel(options).eval().requires_grad_(False)


def size(repo: Path, name: str) -> int:
    options = yaml.safe_load((repo / f"conf/models/{name}.yaml").read_text("utf-8"))
    model = SpeakerModel(ModelOptions(**options | {"feature_dim": 40}))
    return sum(parameter.numel() for parameter in model.parameters())


def test_sizes_are_those_of_the_papers_or_of_a_named_implementation(repo: Path) -> None:
    # Wan et al.: 768 cells, projected to 256, three layers, a linear layer of 256. A layer has four gates of
    # (input + 256) weights and a bias a cell, and the projection; torch has the bias twice.
    layers = [4 * 768 * (inputs + 256 + 1) + 768 * 256 for inputs in (40, 256, 256)]
    assert size(repo, "lstm") == pytest.approx(sum(layers) + 257 * 256, rel=0.005)
    # Resemblyzer's VoiceEncoder.
    assert size(repo, "lstm256") == 1_423_616
    # AttentionLSTM of Wenhao-Yang/SpeakerVerifiaction-pytorch without classifier.
    assert size(repo, "lstm_attentive") == 260_992


def test_a_frame_sees_all_before_it_and_none_after() -> None:
    encoder = made(8).encoder
    features = torch.randn(1, 20, 6, requires_grad=True)
    frames = encoder(features)
    assert frames.shape == (1, 20, 8)
    frames[0, 12].sum().backward()
    seen = features.grad[0].abs().sum(1).nonzero().flatten()  # type: ignore[index]
    assert seen.tolist() == list(range(13))


@pytest.mark.parametrize("projection", [0, 8])
def test_what_is_exported_is_torchs_lstm(projection: int, monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(2)
    encoder = LstmEncoder(LstmOptions(hidden=16, layers=2, projection=projection), 6).requires_grad_(False)
    features = torch.randn(3, 21, 6)
    expected = encoder(features)
    monkeypatch.setattr(torch.compiler, "is_exporting", lambda: True)
    torch.testing.assert_close(encoder(features), expected, rtol=1e-5, atol=1e-6)


def test_no_frame_is_refused() -> None:
    with pytest.raises(InputError, match="needs at least 1"):
        made(8)(torch.randn(2, 0, 6))


def test_the_last_frame_that_counts_is_pooled() -> None:
    pooling, frames = LastFramePooling(NoOptions(), 3), torch.randn(3, 4, 3)
    assert torch.equal(pooling(frames), frames[:, 3])
    weights = torch.tensor([[1.0, 1, 1, 1], [0, 0.2, 0, 0], [2, 0, 1, 0]])
    expected = torch.stack((frames[0, 3], frames[1, 1], frames[2, 2]))
    assert torch.equal(pooling(frames, weights), expected)


def test_the_d_vector_is_a_linear_layer_of_the_last_output() -> None:
    model, features = made(8), torch.randn(2, 9, 6)
    assert isinstance(model.encoder.lstm, nn.LSTM)
    _, (state, _) = model.encoder.lstm(features)
    torch.testing.assert_close(model(features), model.projector(state[-1]))


def test_a_projection_wider_than_the_cells_is_refused() -> None:
    with pytest.raises(InputError, match="a projection narrower than hidden"):
        ModelOptions(encoder="lstm", network={"hidden": 8, "projection": 8})

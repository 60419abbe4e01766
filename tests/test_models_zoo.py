"""What must be true of every network of conf/models. Shrunk ones here, the real ones where it says long."""

from __future__ import annotations

import math
from functools import cache
from importlib.util import find_spec
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from pysteps.formats.errors import InputError
from pysteps.models.model import SpeakerModel
from pysteps.models.options import ModelOptions
from pysteps.models.zoo import macs, without_memory
from tests.zoo import NAMES, distinct, full, seen, shrunk


def chosen(names: list[str]) -> list[object]:
    """``names`` as parameters of a test, those of SSL front ends only where their libraries are."""
    params: list[object] = []
    for name in names:
        options = full(name)
        needs = ["transformers"] if options.encoder == "ssl" else []
        needs += ["peft"] if options.network.get("tuning") == "lora" else []
        missing = [need for need in needs if find_spec(need) is None]
        skip = pytest.mark.skipif(bool(missing), reason=f"not installed: {missing} (requirements/ssl.txt)")
        params.append(pytest.param(name, marks=skip))
    return params


SMALL = chosen(distinct())
# An export takes a second or two: those that an exporter could trip over. All are in the long test.
EXPORTED = chosen(["campplus", "conformer_small", "dtdnnss", "lstm_attentive", "redimnet_b0"])
REAL = chosen(NAMES)


@cache
def small(name: str) -> SpeakerModel:
    """A shrunk network; tests leave its weights alone."""
    return seen(shrunk(full(name))).requires_grad_(False)


def utterances(model: SpeakerModel, count: int, frames: int) -> Tensor:
    """Features [count, frames, feature] of which some are loud and some are not."""
    torch.manual_seed(frames)
    loudness = torch.tensor([0.1, 1, 3, 1]).repeat(-(-count // 4))[:count]
    return torch.randn(count, frames, model.options.feature_dim) * loudness.view(-1, 1, 1)


# --- what is asked of a network


@torch.inference_mode()
def same_alone(model: SpeakerModel, frames: int, count: int = 4) -> None:
    batch = utterances(model, count, frames)
    together, alone = model(batch), torch.cat([model(one[None]) for one in batch])
    assert together.shape == (count, model.options.xvector_dim)
    assert bool(((together - alone).norm(dim=1) <= 1e-5 * alone.norm(dim=1)).all()), frames


@torch.inference_mode()
def weighs_frames(model: SpeakerModel) -> None:
    features = utterances(model, 2, model.min_frames + 41)
    weights = torch.full(features.shape[:2], 0.3)
    torch.testing.assert_close(model(features, weights), model(features), rtol=1e-4, atol=1e-5)
    # Where the weights are 0 from a frame on, the pooling has the frames before it and no other.
    trim, stride = int(model.encoder.trim), int(model.encoder.stride)  # type: ignore[arg-type]
    frames = model.encoder(features)
    kept = max(2, frames.shape[1] // 2)
    weights[:, trim + kept * stride :] = 0
    expected = model.projector(model.pooling(frames[:, :kept].contiguous()))
    torch.testing.assert_close(model(features, weights), expected, rtol=1e-4, atol=1e-5)


@torch.inference_mode()
def takes_its_shortest(model: SpeakerModel) -> None:
    assert bool(torch.isfinite(model(utterances(model, 2, model.min_frames))).all())
    with pytest.raises(InputError, match=f"needs at least {model.min_frames}"):
        model(utterances(model, 2, model.min_frames - 1))


def reached_by_slopes(options: ModelOptions, frames: int) -> None:
    missing = {""}
    for seed in range(5):  # a layer of few units may be dead as it is drawn, but not every time
        torch.manual_seed(seed)
        model = SpeakerModel(options).train()
        for name, parameter in model.named_parameters():
            if "lora_B" in name:  # it begins at 0, and nothing goes back through it
                nn.init.normal_(parameter)
        vectors = model(utterances(model, 4, frames))
        (vectors * torch.randn_like(vectors)).sum().backward()
        dead = set()
        for name, parameter in model.named_parameters():
            if parameter.requires_grad:
                assert parameter.grad is not None and bool(torch.isfinite(parameter.grad).all()), name
                dead |= set() if bool(parameter.grad.any()) else {name}
        missing = dead if seed == 0 else missing & dead
        if not missing:
            return
    assert not missing


def steps_in_bf16(options: ModelOptions, frames: int) -> None:
    torch.manual_seed(4)
    model = SpeakerModel(options).train()
    learned = [parameter for parameter in model.parameters() if parameter.requires_grad]
    optimiser = torch.optim.SGD(learned, 0.01)
    with torch.autocast("cpu", torch.bfloat16):
        vectors = model(utterances(model, 4, frames))
    loss = vectors.float().square().sum(1).mean()
    loss.backward()
    optimiser.step()
    assert math.isfinite(float(loss.detach()))
    assert all(bool(torch.isfinite(tensor).all()) for tensor in model.state_dict().values())


def overfits(options: ModelOptions, frames: int, steps: int = 60, rate: float = 0.02) -> None:
    torch.manual_seed(5)
    model, labels = SpeakerModel(options).train(), torch.arange(4).repeat_interleave(2)
    features = torch.randn(8, model.min_frames + frames, options.feature_dim)
    head = nn.Linear(options.xvector_dim, 4)
    learned = [
        parameter for parameter in (*model.parameters(), *head.parameters()) if parameter.requires_grad
    ]
    optimiser = torch.optim.Adam(learned, rate)
    for _ in range(steps):
        optimiser.zero_grad()
        logits = head(model(features))
        loss = nn.functional.cross_entropy(logits, labels)
        if logits.argmax(1).tolist() == labels.tolist() and float(loss.detach()) < 0.5 * math.log(4):
            return
        loss.backward()
        optimiser.step()
    raise AssertionError(f"{float(loss.detach()):.3f} after {steps} steps")


def exported(model: SpeakerModel) -> torch.export.ExportedProgram:
    """The network for any batch and time; docs/models.md says from which length on."""
    batch = torch.export.Dim("batch", min=1, max=64)
    time = torch.export.Dim("time", min=model.min_frames + 1, max=20000)
    with torch.no_grad():
        features = utterances(model, 2, 231)
        return torch.export.export(model, (features,), dynamic_shapes=({0: batch, 1: time},))


@torch.inference_mode()
def same_exported(model: SpeakerModel, program: torch.export.ExportedProgram) -> None:
    for count, frames in ((1, model.min_frames + 1), (3, 97)):
        features = utterances(model, count, frames)
        torch.testing.assert_close(program.module()(features), model(features), rtol=1e-4, atol=1e-5)


@torch.inference_mode()
def same_in_onnx(model: SpeakerModel, program: torch.export.ExportedProgram, folder: Path) -> None:
    pytest.importorskip("onnxscript")
    runtime = pytest.importorskip("onnxruntime")
    made = torch.onnx.export(program, dynamo=True, verbose=False)
    assert made is not None
    made.save(folder / "model.onnx")
    session = runtime.InferenceSession(folder / "model.onnx", providers=["CPUExecutionProvider"])
    for count, frames in ((1, model.min_frames + 1), (3, 97)):
        features = utterances(model, count, frames)
        (found,) = session.run(None, {session.get_inputs()[0].name: features.numpy()})
        expected = model(features)
        assert float((torch.from_numpy(found) - expected).abs().max()) <= 1e-4 * float(expected.abs().max())


# --- the shrunk networks


@pytest.mark.parametrize("name", SMALL)
def test_an_utterance_gets_in_a_batch_what_it_gets_alone(name: str) -> None:
    for more in (0, 1, 60):
        same_alone(small(name), small(name).min_frames + more)


@pytest.mark.parametrize("name", SMALL)
def test_weights_count_frames(name: str) -> None:
    weighs_frames(small(name))


@pytest.mark.parametrize("name", SMALL)
def test_the_shortest_input_is_taken_and_a_shorter_one_refused(name: str) -> None:
    takes_its_shortest(small(name))


@pytest.mark.parametrize("name", SMALL)
def test_a_slope_reaches_every_parameter(name: str) -> None:
    reached_by_slopes(shrunk(full(name)), 60)


@pytest.mark.parametrize("name", SMALL)
def test_a_step_in_bf16_stays_finite(name: str) -> None:
    steps_in_bf16(shrunk(full(name)), 40)


@pytest.mark.parametrize("name", SMALL)
def test_one_batch_is_learned_by_heart(name: str) -> None:
    overfits(shrunk(full(name)), 20)


@pytest.mark.parametrize("name", EXPORTED)
def test_exported_it_takes_any_length_and_gives_the_same(name: str) -> None:
    same_exported(small(name), exported(small(name)))


def test_onnx_gives_the_same(tmp_path: Path) -> None:
    same_in_onnx(small("ecapa256"), exported(small("ecapa256")), tmp_path)


def test_no_network_is_left_out() -> None:
    kinds = {name: shrunk(full(name)) for name in NAMES}
    assert all(kinds[name] in [kinds[other] for other in distinct()] for name in NAMES)


# --- the real ones


def light(name: str) -> bool:
    """Whether two seconds are at most 10 billion MACs."""
    return name in NAMES and macs(without_memory(full(name))) <= 10e9


@pytest.mark.long
@pytest.mark.parametrize("name", REAL)
def test_a_real_network(name: str) -> None:
    model = seen(full(name)).requires_grad_(False)
    for frames in (model.min_frames, model.min_frames + 61):
        same_alone(model, frames, 3)
    weighs_frames(model)
    takes_its_shortest(model)
    reached_by_slopes(full(name), model.min_frames + 30)
    steps_in_bf16(full(name), model.min_frames + 30)


@pytest.mark.long
@pytest.mark.parametrize("name", REAL)
def test_a_real_network_learns_a_batch_by_heart(name: str) -> None:
    if not light(name):
        pytest.skip("more than 10 billion MACs; the shrunk one does")
    overfits(full(name), 20, 60, 1e-3)


@pytest.mark.long
@pytest.mark.parametrize("name", SMALL)
def test_every_network_exported_and_in_onnx(name: str, tmp_path: Path) -> None:
    program = exported(small(name))
    same_exported(small(name), program)
    same_in_onnx(small(name), program, tmp_path)


@pytest.mark.long
@pytest.mark.parametrize("name", REAL)
def test_a_real_network_exported_and_in_onnx(name: str, tmp_path: Path) -> None:
    if not light(name):
        pytest.skip("more than 10 billion MACs; the shrunk one does")
    model = seen(full(name)).requires_grad_(False)
    program = exported(model)
    same_exported(model, program)
    same_in_onnx(model, program, tmp_path)

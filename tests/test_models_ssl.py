"""SSL front ends, on tiny random networks that transformers saves to a folder."""

from __future__ import annotations

import json
import shutil
from dataclasses import asdict
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from safetensors.torch import load_file, save_file

from pysteps.formats.errors import InputError
from pysteps.models.model import SpeakerModel, load_model, save_model
from pysteps.models.options import ModelOptions, weights_from
from pysteps.models.ssl import library
from tests.zoo import SSL

needs_transformers = pytest.mark.skipif(
    find_spec("transformers") is None, reason="transformers is not installed (requirements/ssl.txt)"
)
needs_peft = pytest.mark.skipif(
    find_spec("transformers") is None or find_spec("peft") is None,
    reason="transformers or peft is not installed (requirements/ssl.txt)",
)
KINDS = ("Wav2Vec2", "Hubert", "WavLM")
LARGE = {"do_stable_layer_norm": True, "feat_extract_norm": "layer"}


def saved(folder: Path, kind: str, **more: object) -> Any:
    """A random network of transformers, in ``folder`` and as it is."""
    transformers = library("transformers")
    torch.manual_seed(1)
    model = getattr(transformers, f"{kind}Model")(getattr(transformers, f"{kind}Config")(**SSL, **more))
    transformers.logging.disable_progress_bar()
    model.save_pretrained(folder)
    return model.eval()


def options(folder: Path | str, **network: object) -> ModelOptions:
    given = {"folder": str(folder), "backend": "linear", "channels": 6, **network}
    return ModelOptions(
        encoder="ssl", network=given, pooling="stats", xvector_dim=5, feature_dim=160, pooled_norm=False
    )


# As SUPERB's tables count them, with what their pre-training alone needs.
@needs_transformers
@pytest.mark.parametrize(
    ("name", "millions"), [("wav2vec2_ecapa", 95.04), ("hubert_ecapa", 94.68), ("wavlm_ecapa", 94.70)]
)
def test_front_ends_have_the_published_number_of_parameters(repo: Path, name: str, millions: float) -> None:
    conf = yaml.safe_load((repo / "conf" / "models" / f"{name}.yaml").read_text("utf-8"))
    conf["network"]["config"] = {"model_type": name.split("_")[0]}  # the defaults are the base sizes
    with torch.device("meta"):
        model = SpeakerModel(ModelOptions(**conf | {"feature_dim": 160}))
    count = sum(parameter.numel() for parameter in model.encoder.front.parameters())
    assert count == pytest.approx(millions * 1e6, rel=0.01)


@needs_transformers
@pytest.mark.parametrize("large", [False, True], ids=["base", "large"])
@pytest.mark.parametrize("kind", KINDS)
def test_frames_are_the_weighted_sum_of_the_layers(tmp_path: Path, kind: str, large: bool) -> None:
    theirs = saved(tmp_path, kind, **(LARGE if large else {}))
    encoder = SpeakerModel(options(tmp_path)).eval().encoder
    torch.nn.init.normal_(encoder.layers)
    samples = torch.randn(2, 25 * 160) * 0.1 + 0.2
    heard = samples
    if large:  # as transformers' feature extractor does for such a network
        mean, variance = samples.mean(1, keepdim=True), samples.var(1, correction=0, keepdim=True)
        heard = (samples - mean) / (variance + 1e-7).sqrt()
    states = theirs(heard, output_hidden_states=True).hidden_states
    expected = torch.einsum("l,lbtc->btc", encoder.layers.softmax(0), torch.stack(states))
    frames = encoder(samples.view(2, 25, 160))
    assert (encoder.stride, frames.shape) == (2, (2, 12, 6))
    torch.testing.assert_close(frames, encoder.backend(expected), rtol=1e-5, atol=1e-5)


@needs_transformers
@pytest.mark.parametrize(("backend", "shortest", "frames"), [("linear", 5, 2), ("ecapa", 19, 9)])
def test_shortest_input(tmp_path: Path, backend: str, shortest: int, frames: int) -> None:
    saved(tmp_path, "Wav2Vec2")
    model = SpeakerModel(options(tmp_path, backend=backend, channels=16, frame_channels=24)).eval()
    assert model.min_frames == shortest
    assert model.encoder(torch.randn(1, shortest, 160)).shape[1] == frames
    assert model.encoder(torch.randn(1, shortest - 1, 160)).shape[1] < frames
    with pytest.raises(InputError, match=f"needs at least {shortest}"):
        model(torch.randn(1, shortest - 1, 160))


@needs_transformers
@pytest.mark.parametrize("kind", KINDS)
def test_an_utterance_gets_in_a_batch_what_it_gets_alone(tmp_path: Path, kind: str) -> None:
    saved(tmp_path, kind)
    model, features = SpeakerModel(options(tmp_path)).eval(), torch.randn(3, 31, 160)
    features[1] *= 0.01
    together, alone = model(features), torch.cat([model(one[None]) for one in features])
    assert bool(((together - alone).norm(dim=1) <= 1e-5 * alone.norm(dim=1)).all())


@needs_transformers
def test_a_frozen_front_end_learns_nothing_and_drops_nothing(tmp_path: Path) -> None:
    saved(tmp_path, "WavLM")
    model, features = SpeakerModel(options(tmp_path)).train(), torch.randn(2, 25, 160)
    assert not any(module.training for module in model.encoder.front.modules())
    torch.testing.assert_close(model.encoder(features), model.encoder(features))
    learning = {name.split(".")[0] for name, p in model.encoder.named_parameters() if p.requires_grad}
    assert learning == {"layers", "backend"}


@needs_transformers
@pytest.mark.parametrize("large", [False, True], ids=["base", "large"])
@pytest.mark.parametrize("kind", KINDS)
def test_gradient_reaches_all_that_is_tuned(tmp_path: Path, kind: str, large: bool) -> None:
    saved(tmp_path, kind, **(LARGE if large else {}))
    model = SpeakerModel(options(tmp_path, tuning="full", tune_convolutions=True)).train()
    features = torch.randn(2, 25, 160)
    with torch.autocast("cpu", torch.bfloat16):
        frames = model.encoder(features)
    frames.float().square().sum().backward()
    for name, parameter in model.encoder.named_parameters():
        assert not parameter.requires_grad or bool(parameter.grad.isfinite().all()), name  # type: ignore[union-attr]
    learning = [p for p in model.encoder.parameters() if p.requires_grad]
    assert len(learning) == len(list(model.encoder.parameters())) - (2 if large else 0)  # the last norm


@needs_transformers
def test_convolutions_are_tuned_where_asked_for(tmp_path: Path) -> None:
    saved(tmp_path, "Hubert")
    front = SpeakerModel(options(tmp_path, tuning="full")).encoder.front
    assert not any(p.requires_grad for p in front.feature_extractor.parameters())
    assert all(p.requires_grad for p in front.encoder.parameters())


@needs_peft
@pytest.mark.parametrize("kind", KINDS)
def test_lora_tunes_a_few_weights_that_have_an_effect(tmp_path: Path, kind: str) -> None:
    saved(tmp_path / "network", kind)
    model, features = SpeakerModel(options(tmp_path / "network", tuning="lora")), torch.randn(2, 25, 160)
    plain = SpeakerModel(options(tmp_path / "network")).eval()
    plain.encoder.backend.load_state_dict(model.encoder.backend.state_dict())
    torch.testing.assert_close(model.eval().encoder(features), plain.encoder(features))  # begins as it was
    tuned = {name: p for name, p in model.encoder.front.named_parameters() if p.requires_grad}
    assert len(tuned) == 2 * 2 * 2 and all("lora_" in name for name in tuned)
    for name, parameter in tuned.items():
        if "lora_B" in name:
            torch.nn.init.normal_(parameter)
    model.encoder(features).square().sum().backward()
    assert all(bool(parameter.grad.any()) for parameter in tuned.values())
    save_model(model, tmp_path / "saved", {})
    shutil.rmtree(tmp_path / "network")
    assert torch.equal(load_model(tmp_path / "saved")(features), model(features))


@needs_transformers
def test_a_saved_model_needs_no_folder(tmp_path: Path) -> None:
    saved(tmp_path / "network", "WavLM")
    model, features = SpeakerModel(options(tmp_path / "network")).eval(), torch.randn(2, 25, 160)
    save_model(model, tmp_path / "saved", {})
    shutil.rmtree(tmp_path / "network")
    assert torch.equal(load_model(tmp_path / "saved")(features), model(features))
    assert str(tmp_path) not in (tmp_path / "saved" / "model.json").read_text("utf-8")


@needs_transformers
def test_a_missing_weight_is_named(tmp_path: Path) -> None:
    saved(tmp_path, "Wav2Vec2")
    tensors = load_file(tmp_path / "model.safetensors")
    del tensors["feature_projection.projection.bias"]
    save_file(tensors, tmp_path / "model.safetensors", {"format": "pt"})
    with pytest.raises(InputError, match=r"1 weights are missing, feature_projection\.projection\.bias"):
        SpeakerModel(options(tmp_path))


@needs_transformers
def test_pickled_weights_are_not_read(tmp_path: Path) -> None:
    model = saved(tmp_path, "Wav2Vec2")
    (tmp_path / "model.safetensors").unlink()
    torch.save(model.state_dict(), tmp_path / "pytorch_model.bin")
    with pytest.raises(InputError, match=r"no model\.safetensors"):
        SpeakerModel(options(tmp_path))


@needs_transformers
def test_without_memory_no_weight_is_read(tmp_path: Path) -> None:
    saved(tmp_path, "Wav2Vec2")
    (tmp_path / "model.safetensors").unlink()
    with torch.device("meta"):
        assert all(tensor.is_meta for tensor in SpeakerModel(options(tmp_path)).encoder.front.parameters())


@needs_transformers
def test_features_that_are_no_samples_are_refused(tmp_path: Path) -> None:
    saved(tmp_path, "Wav2Vec2")
    with pytest.raises(InputError, match="moves on by 320 samples, a frame of the features holds 81"):
        SpeakerModel(ModelOptions(encoder="ssl", network={"folder": str(tmp_path)}, feature_dim=81))


@needs_transformers
def test_lora_where_wavlm_does_not_look_is_refused(tmp_path: Path) -> None:
    saved(tmp_path, "WavLM")
    with pytest.raises(InputError, match="LoRA on q_proj has no effect in WavLM"):
        SpeakerModel(options(tmp_path, tuning="lora", lora_targets=["q_proj"]))


def test_options_take_the_config_of_the_folder(tmp_path: Path) -> None:
    config = {"model_type": "wavlm", "hidden_size": 16, "_name_or_path": "somebody/wavlm", "dtype": "float16"}
    (tmp_path / "config.json").write_text(json.dumps(config), "utf-8")
    assert options(tmp_path).network["config"] == {"model_type": "wavlm", "hidden_size": 16}
    (tmp_path / "preprocessor_config.json").write_text(json.dumps({"do_normalize": False}), "utf-8")
    assert options(tmp_path).network["config"]["do_normalize"] is False


def test_the_folders_weights_are_what_a_training_reads(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "wavlm"}), "utf-8")
    assert weights_from(asdict(options(tmp_path))) == [tmp_path / "model.safetensors"]
    assert weights_from(asdict(ModelOptions())) == []


def test_another_network_is_refused(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "bert"}), "utf-8")
    with pytest.raises(InputError, match="a network of type 'bert'"):
        options(tmp_path)
    with pytest.raises(InputError, match=r"config\.json"):
        options(tmp_path / "none")


@pytest.mark.parametrize(
    "name", ["wav2vec2_ecapa", "wav2vec2_full", "hubert_ecapa", "wavlm_ecapa", "wavlm_lora"]
)
def test_a_conf_without_a_folder_says_what_it_needs(repo: Path, name: str) -> None:
    conf = yaml.safe_load((repo / "conf" / "models" / f"{name}.yaml").read_text("utf-8"))
    with pytest.raises(InputError, match=r"needs the folder of its network .*network\.folder PATH"):
        SpeakerModel(ModelOptions(**conf | {"feature_dim": 160}))

"""Exported models: torch's x-vectors from ONNX, .pt2 and 8 bits, for any batch and length."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from pysteps.export.fast import Packed, faster, packed, ready
from pysteps.export.front import Front, slid
from pysteps.export.heard import Heard, normalised
from pysteps.export.int8_file import divided
from pysteps.export.products import Products, suits
from pysteps.features.cmvn import sliding_cmn
from pysteps.features.fbank import Fbank, compute
from pysteps.features.options import FbankOptions
from pysteps.formats.errors import InputError
from pysteps.models.model import load_model
from tests.exporting import contract_of, model_folder
from tests.test_export_speaker import apart, voice
from tests.zoo import distinct, full, seen, shrunk
from timbre import SpeakerModel


def noise(*shape: int) -> np.ndarray:
    return (np.random.default_rng(0).standard_normal(shape) * 0.1).astype(np.float32)


# --- what is put in the place of something else gives the same


@pytest.mark.parametrize(
    "options",
    [
        FbankOptions(),
        FbankOptions(num_mel_bins=40, window_type="hamming", remove_dc_offset=False),
        FbankOptions(sample_rate=8000, num_mel_bins=23, use_power=False, low_freq=60.0),
        FbankOptions(fft_size=1024, mel_slopes="hertz", log_offset=1e-6, sample_scale=1.0, num_mel_bins=64),
    ],
    ids=["kaldi", "plain", "8k", "torchaudio"],
)
def test_a_filter_bank_of_products_is_the_filter_bank(options: FbankOptions) -> None:
    assert suits(options)
    samples = torch.from_numpy(noise(2, 9000) + np.float32(0.05))  # not without a mean
    torch.testing.assert_close(Products(options)(samples), Fbank(options)(samples), atol=2e-3, rtol=1e-4)


@pytest.mark.parametrize("kind", [{"kind": "mfcc"}, {"snip_edges": False}, {"use_energy": True}])
def test_other_features_are_not_made_of_products(kind: dict[str, object]) -> None:
    assert not suits(FbankOptions(**kind))  # type: ignore[arg-type]


@pytest.mark.parametrize("norm_vars", [False, True])
@pytest.mark.parametrize("window", [7, 60, 300])
def test_sliding_normalisation_in_torch_is_that_of_numpy(window: int, norm_vars: bool) -> None:
    matrix = noise(60, 5) + 3
    expected = sliding_cmn(matrix, window=window, min_window=window, norm_vars=norm_vars)
    found = slid(torch.from_numpy(matrix[None]), window, norm_vars)[0]
    np.testing.assert_allclose(found.numpy(), expected, atol=1e-5)


@pytest.mark.parametrize("cmvn", ["utterance", "sliding", "none"])
@pytest.mark.parametrize("frames", ["voiced", "all"])
def test_the_module_of_features_is_what_stages_two_to_four_make(cmvn: str, frames: str) -> None:
    wanted = {"cmvn": cmvn, "cmvn_frames": frames, "cmvn_window": 40, "cmvn_vars": cmvn == "utterance"}
    heard = Heard.of(contract_of(**wanted), "here")
    samples, voiced = noise(16000), np.random.default_rng(1).random(98) < 0.6
    matrix = compute(samples, Fbank(heard.features.acoustic()), utt="x")
    kept = torch.from_numpy(np.flatnonzero(voiced))[None]
    with torch.inference_mode():
        found = Front(heard)(torch.from_numpy(samples)[None], kept)[0]
    np.testing.assert_allclose(found.numpy(), normalised(matrix, voiced, heard), atol=1e-3)


def test_pitch_cannot_be_exported() -> None:
    with pytest.raises(InputError, match="pitch"):
        Front(Heard.of(contract_of(pitch=True), "here"))


@pytest.mark.parametrize("name", ["ecapa256", "tdnn", "conformer_small", "resnet34"])
def test_a_faster_network_gives_the_same(name: str) -> None:
    model = seen(shrunk(full(name))).requires_grad_(False)
    features = torch.randn(3, model.min_frames + 90, model.options.feature_dim)
    with torch.inference_mode():
        expected, found = model(features), faster(model)(features)
        again = packed(faster(model))(features)
    for other in (found, again):
        torch.testing.assert_close(other, expected, rtol=1e-4, atol=1e-5 * float(expected.norm(dim=1).max()))


def test_large_layers_are_laid_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pysteps.export.fast._LEAST", 1)
    model = seen(shrunk(full("ecapa256"))).requires_grad_(False)
    features = torch.randn(2, 77, 16)
    with torch.inference_mode():
        expected, quick = model(features), packed(faster(model))
        torch.testing.assert_close(quick(features), expected, rtol=1e-4, atol=1e-5)
    assert sum(isinstance(layer, Packed) for layer in quick.modules()) >= 10


@pytest.mark.parametrize("name", distinct())
def test_sixteen_bits_give_nearly_the_same(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pysteps.export.fast._LEAST", 1)
    model = seen(shrunk(full(name))).requires_grad_(False)
    features = torch.randn(3, model.min_frames + 90, model.options.feature_dim)
    with torch.inference_mode():
        expected, exact = model(features), ready(model)(features)
        found = ready(model, precision="bf16")(features)
    torch.testing.assert_close(exact, expected, rtol=1e-4, atol=1e-5 * float(expected.norm(dim=1).max()))
    assert found.dtype == torch.float32
    assert torch.cosine_similarity(expected, found).min() > 0.9995
    # Eight bits of a number are left: were nothing computed in them, the two would agree to far more.
    assert (expected - found).norm() / expected.norm() > 1e-4
    assert {one.dtype for one in model.parameters()} == {torch.float32}, "the model given stays as it was"


def test_calibration_and_judgement_have_different_utterances() -> None:
    names = [f"u{n}" for n in range(20)]
    some, others = divided(names, 12)
    assert len(some) == 12 and sorted([*some, *others]) == sorted(names)
    assert divided(["a"], 12) == (["a"], ["a"])


# --- files


@pytest.fixture(scope="module")
def onnx_file(tmp_path_factory: pytest.TempPathFactory, repo: Path) -> tuple[Path, Path]:
    """A model's folder and its export with features."""
    pytest.importorskip("onnxscript")
    pytest.importorskip("onnxruntime")
    from pysteps.export.graphs import load
    from pysteps.export.onnx_file import export_onnx

    folder = model_folder(tmp_path_factory.mktemp("model"))
    out = folder / "a model.onnx"
    differences = export_onnx(load(folder, features=True), out, [voice(repo)])
    assert len(differences) == 4 and max(differences.values()) < 1e-4
    return folder, out


def test_the_class_gives_the_same_without_torch(onnx_file: tuple[Path, Path], repo: Path) -> None:
    folder, out = onnx_file
    model, exported = SpeakerModel.from_dir(folder), SpeakerModel.load(out)
    for number in (0, 60, 140):
        assert apart(exported.embed(voice(repo, number)), model.embed(voice(repo, number))) < 1e-4
    assert exported.facts["features"] == model.facts["features"]


def test_the_file_takes_any_batch_and_length_and_says_what_it_is(onnx_file: tuple[Path, Path]) -> None:
    from pysteps.export.engines import opened

    folder, out = onnx_file
    session, meta = opened(out)
    assert meta["inputs"] == ["samples", "frames"] and meta["contract"] == contract_of()
    model = load_model(folder)
    front = Front(Heard.of(meta["contract"], out))
    for batch, time in ((1, 4000), (5, 23456)):
        samples = noise(batch, time)
        frames = np.stack([np.arange(3, (time - 400) // 160 - row % 2 * 0) for row in range(batch)])
        (found,) = session.run(None, {"samples": samples, "frames": frames})
        with torch.inference_mode():
            expected = model(front(torch.from_numpy(samples), torch.from_numpy(frames))).numpy()
        np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-4 * np.abs(expected).max())


def test_nothing_is_written_that_differs(
    onnx_file: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    from pysteps.export import onnx_file as room
    from pysteps.export.graphs import load

    folder, out = onnx_file
    data = out.read_bytes()
    monkeypatch.setattr(room, "network_graph", lambda _: None)
    monkeypatch.setattr(room, "joined", lambda *_: None)
    monkeypatch.setattr(room, "described", lambda *_: data)
    loaded = load(folder, features=True)
    with torch.no_grad():
        for parameter in loaded.model.projector.parameters():
            parameter.mul_(1.01)
    with pytest.raises(InputError, match="nothing was written"):
        room.export_onnx(loaded, folder / "other.onnx")
    assert not (folder / "other.onnx").exists()


@pytest.mark.long
@pytest.mark.parametrize("features", [True, False])
def test_torch_export_gives_the_same(tmp_path: Path, repo: Path, features: bool) -> None:
    from pysteps.export.graphs import load
    from pysteps.export.pt2_file import export_torch

    loaded = load(model_folder(tmp_path / "model"), features=features)
    assert max(export_torch(loaded, tmp_path / "m.pt2", [voice(repo)]).values()) < 1e-5
    extra = {"timbre": ""}
    torch.export.load(tmp_path / "m.pt2", extra_files=extra)
    assert json.loads(extra["timbre"])["inputs"] == loaded.inputs


@pytest.mark.long
@pytest.mark.parametrize(
    "wanted",
    [
        {"vad": "none"},
        {"kind": "mfcc", "num_ceps": 16, "num_mel_bins": 23, "cmvn": "sliding"},
        {"cmvn": "sliding", "cmvn_vars": True, "snip_edges": True},
        {"cmvn_frames": "all", "cmvn_vars": True},
    ],
    ids=["no_vad", "mfcc", "sliding", "all"],
)
def test_other_features_in_onnx(tmp_path: Path, repo: Path, wanted: dict[str, object]) -> None:
    from pysteps.export.graphs import load
    from pysteps.export.onnx_file import export_onnx

    folder = model_folder(tmp_path / "model", **wanted)  # type: ignore[arg-type]
    export_onnx(load(folder, features=True), tmp_path / "m.onnx", [voice(repo)])
    model, exported = SpeakerModel.from_dir(folder), SpeakerModel.from_onnx(tmp_path / "m.onnx")
    assert apart(exported.embed(voice(repo, 60)), model.embed(voice(repo, 60))) < 1e-4


def test_utterances_too_short_for_the_network_calibrate_nothing(tmp_path: Path) -> None:
    from pysteps.export.graphs import load
    from pysteps.export.int8_file import export_int8

    loaded = load(model_folder(tmp_path / "model", "etdnn"), features=True)
    with pytest.raises(InputError, match="no utterance has the 23 voiced frames that the network needs"):
        export_int8(loaded, tmp_path / "none.onnx", {"short": np.zeros((22, 16), np.float32)})


@pytest.mark.long
def test_eight_bits_stay_near_and_say_how_near(tmp_path: Path, repo: Path) -> None:
    from pysteps.export.graphs import load
    from pysteps.export.int8_file import export_int8
    from pysteps.export.utterances import of_files

    loaded = load(model_folder(tmp_path / "model"), features=True)
    features = of_files(loaded, [voice(repo, number) for number in range(0, 240, 20)])
    features["short"] = np.zeros((loaded.model.min_frames - 1, 16), np.float32)
    loss = export_int8(loaded, tmp_path / "small.onnx", features, calibrate=6)
    assert loss.too_short == 1 and not loss.again
    assert loss.utterances == 6 and loss.least_cosine > 0.98 and loss.mean_cosine > 0.99
    vector = SpeakerModel.from_onnx(tmp_path / "small.onnx").embed(voice(repo))
    expected = SpeakerModel.from_dir(tmp_path / "model").embed(voice(repo))
    assert 0.98 < vector @ expected / np.linalg.norm(vector) / np.linalg.norm(expected) < 1
    with pytest.raises(InputError, match="mean cosine"):
        export_int8(loaded, tmp_path / "none.onnx", features, calibrate=6, least=1.1)
    assert not (tmp_path / "none.onnx").exists()

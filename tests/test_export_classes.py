"""Models of runs with labels: posteriors of new recordings by Python, the command and ONNX."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest
import torch

from pysteps.export import commands
from pysteps.formats.errors import InputError
from pysteps.formats.run import Run
from pysteps.formats.tables import read_table
from pysteps.train.losses import build_head
from pysteps.train.options import TrainOptions
from pysteps.train.start import save_head
from tests.exporting import model_folder
from tests.test_export_speaker import apart, said, voice
from timbre import SpeakerModel

NAMES = ["travel", "art", "food"]  # as a training may have them: not sorted


def labelled(folder: Path, loss: str = "aam") -> Path:
    """exp/TAG of a run of three topics: a shrunk network, and a loss of random weights."""
    train = TrainOptions(loss=loss)
    sets = ("train", "dev", ["eval"])
    options = {"train": asdict(train)}
    run = Run("r", "c", "p", str(folder), "tag", "egs", *sets, {}, options, labels="utt2topic")
    model_folder(run.exp / "model")
    with torch.random.fork_rng():
        torch.manual_seed(1)
        save_head(build_head(loss, 10, 3, train), NAMES, run.exp / "model")
    run.save(run.exp / "run.json")
    return run.exp


@pytest.fixture(scope="module")
def exp(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run with labels."""
    return labelled(tmp_path_factory.mktemp("work"))


def by_hand(exp: Path, vector: np.ndarray) -> dict[str, float]:
    """aam without margin: the softmax of 32 times the cosines to the centres."""
    from safetensors.numpy import load

    (centres,) = load((exp / "model" / "head.safetensors").read_bytes()).values()
    rows = centres.reshape(3, -1).astype(np.float64)
    logits = 32 * rows @ vector / np.linalg.norm(rows, axis=1) / np.linalg.norm(vector)
    powers = np.exp(logits - logits.max())
    return dict(zip(NAMES, powers / powers.sum(), strict=True))


def test_posteriors_are_the_training_loss_s(exp: Path, repo: Path) -> None:
    model = SpeakerModel.from_dir(exp)
    found = model.posteriors(voice(repo))
    assert list(found) == sorted(NAMES) and sum(found.values()) == pytest.approx(1)
    assert found == pytest.approx(by_hand(exp, model.embed(voice(repo))), abs=1e-5)
    assert SpeakerModel.from_dir(exp / "model").posteriors(voice(repo)) == pytest.approx(found)


def test_the_command_classifies_as_stage_nine_writes(
    exp: Path, repo: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    files = [voice(repo, 0), voice(repo, 60)]
    wanted = [SpeakerModel.from_dir(exp).posteriors(file) for file in files]
    row = json.loads(said(capsys, "classify", "--model", exp, *files).splitlines()[1])
    best = max(wanted[1], key=lambda name: wanted[1][name])
    assert row["answer"] == best and row["posteriors"] == pytest.approx(wanted[1], abs=1e-6)
    said(capsys, "classify", "--model", exp, *files, "--out", tmp_path / "answers")
    answer, *numbers = read_table(tmp_path / "answers")[files[1].stem].split()
    assert answer == best and [float(one) for one in numbers] == pytest.approx(list(wanted[1].values()))


def test_info_says_the_classes_and_similarity_that_it_is_of_labels(
    exp: Path, repo: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    told = said(capsys, "info", exp)
    assert "utt2topic" in told and "art, food, travel" in told
    assert "of utt2topic, not of voices" in said(
        capsys, "similarity", "--model", exp, voice(repo), voice(repo)
    )
    with pytest.raises(InputError, match="'plda': this network tells utt2topic apart, not voices"):
        SpeakerModel.from_dir(exp, backend="plda")


def test_a_network_of_speakers_has_no_classes(tmp_path: Path, repo: Path) -> None:
    folder = model_folder(tmp_path)
    with pytest.raises(InputError, match="tells speakers apart: it has no classes"):
        SpeakerModel.from_dir(folder).posteriors(voice(repo))
    with pytest.raises(InputError, match="tells speakers apart"):
        commands.work(["classify", "--model", str(folder), str(voice(repo))])
    assert "classes" not in SpeakerModel.from_dir(folder).facts


def test_a_loss_without_logits_and_a_missing_one_are_said(tmp_path: Path, repo: Path) -> None:
    model = SpeakerModel.from_dir(labelled(tmp_path, "softmax"))
    (tmp_path / "exp" / "tag" / "model" / "head.safetensors").unlink()
    assert model.embed(voice(repo)).shape == (10,)
    with pytest.raises(InputError, match="no head.safetensors beside the model"):
        model.posteriors(voice(repo))
    path = tmp_path / "exp" / "tag" / "run.json"
    said = json.loads(path.read_text())
    said["options"]["train"] |= {"loss": "triplet", "utterances_per_speaker": 2}
    path.write_text(json.dumps(said))
    with pytest.raises(InputError, match="the loss 'triplet' has no posteriors"):
        model.posteriors(voice(repo))


@pytest.mark.parametrize("loss", ["aam", pytest.param("softmax", marks=pytest.mark.long)])
def test_an_onnx_file_has_the_posteriors_too(tmp_path: Path, repo: Path, loss: str) -> None:
    pytest.importorskip("onnxscript")
    pytest.importorskip("onnxruntime")
    from pysteps.export.graphs import load
    from pysteps.export.onnx_file import export_onnx

    run = labelled(tmp_path, loss)
    found = export_onnx(load(run, features=True), tmp_path / "m.onnx", [voice(repo)])
    assert max(found.values()) < 1e-4
    model, exported = SpeakerModel.from_dir(run), SpeakerModel.load(tmp_path / "m.onnx")
    assert exported.posteriors(voice(repo, 60)) == pytest.approx(model.posteriors(voice(repo, 60)), abs=1e-4)
    assert apart(exported.embed(voice(repo, 60)), model.embed(voice(repo, 60))) < 1e-4
    assert exported.facts["labels"] == "utt2topic" and exported.scorer == model.scorer

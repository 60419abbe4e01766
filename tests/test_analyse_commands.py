"""python -m pysteps.analyse over a small trained system: pictures, archives, tables, and errors in words."""

from __future__ import annotations

import json
import runpy
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile

from pysteps.audio import stage as audio_stage
from pysteps.features import stage as features_stage
from pysteps.features.contract import contract
from pysteps.formats import command
from pysteps.formats.arks import Archive
from pysteps.formats.run import Run
from pysteps.formats.tables import read_table, write_table
from pysteps.recipe.options import parse
from pysteps.recipe.resolve import resolve
from pysteps.vad import stage as vad_stage
from tests.pipeline import TINY

RATE = 16000
SETS = {"train": 1, "dev": 1, "eval": 3}  # speakers, of two utterances each


def _voice(speaker: int, number: int) -> np.ndarray:
    # Harmonics of a speaker's pitch for a second, with silence in its middle.
    time, random = np.arange(int(1.4 * RATE)) / RATE, np.random.default_rng([speaker, number])
    pitch = (110 + 35 * speaker) * (1 + 0.05 * np.sin(2 * np.pi * 3 * time))
    tone = sum(np.sin(2 * np.pi * k * np.cumsum(pitch) / RATE) / k for k in range(1, 20))
    loud = np.where((time > 0.6) & (time < 0.9), 0.0, 0.2)
    return np.asarray(tone * loud + random.normal(0, 1e-3, len(time)))


@pytest.fixture(scope="module")
def run(repo: Path, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Stages 1, 2 and 4 over a few tones; a network and a loss of random weights."""
    import torch

    from pysteps.models.model import SpeakerModel, save_model
    from pysteps.models.options import ModelOptions
    from pysteps.train.losses import build_head
    from pysteps.train.options import TrainOptions
    from pysteps.train.start import save_head

    work = tmp_path_factory.mktemp("wörk place")
    words = [word for key, value in TINY.items() if "models" in key for word in (f"--{key}", value)]
    words += ["--vad.method", "energy", "--augment.kinds", ""]
    run = resolve(repo, parse(["--recipe", "folder", "--work", str(work), *words]))
    run = replace(run, train_set="train", dev_set="dev", eval_sets=["eval"], adapt_sets=[])
    for name, speakers in SETS.items():
        wav, utt2spk = {}, {}
        for speaker in range(speakers):
            for number in range(2):
                utt = f"{name}{speaker}-{number}"
                path = work / "raw" / f"{utt}.wav"
                path.parent.mkdir(exist_ok=True)
                soundfile.write(path, _voice(speaker, number), RATE)
                wav[utt], utt2spk[utt] = str(path), f"{name}{speaker}"
        write_table(run.data / name / "wav.scp", wav)
        write_table(run.data / name / "utt2spk", utt2spk)
    for stage in (audio_stage, vad_stage, features_stage):
        _, todo = command.plan(stage, run)
        command.job(stage, run, todo, 1, 1)
        command.gather(stage, run)
    options = TrainOptions(**run.options["train"])
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = SpeakerModel(ModelOptions(**run.options["models"]))
        model(torch.randn(4, 60, model.options.feature_dim))
        save_model(model, run.exp / "model", contract(run))
        head = build_head(options.loss, model.options.xvector_dim, 3, options)
        save_head(head, ["anna", "bert", "cleo"], run.exp / "model")
    run.save(run.exp / "run.json")
    return run


def analyse(monkeypatch: pytest.MonkeyPatch, run: Run, *words: str) -> None:
    task, *rest = words
    given = [task, "--run", str(run.exp), "--set", "eval", *rest]
    monkeypatch.setattr(sys, "argv", ["analyse", *given])
    runpy.run_module("pysteps.analyse", run_name="__main__")


def said(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, run: Run, *words: str) -> str:
    with pytest.raises(SystemExit):
        analyse(monkeypatch, run, *words)
    return capsys.readouterr().err


def test_explain_draws_and_saves_every_method(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("captum")
    out = tmp_path / "Bild 1.png"
    analyse(monkeypatch, run, "explain", "--utt", "eval0-0", "--out", str(out))
    text = capsys.readouterr().out
    assert "x-vector along its direction" in text and "layer encoder" in text
    assert out.read_bytes().startswith(b"\x89PNG")
    methods = ("gradient", "input_x_gradient", "integrated", "grad_cam", "grad_cam++", "fullgrad")
    decided = read_table(run.of("vad", "eval") / "vad.scp")["eval0-0"]
    with Archive() as archive:
        voiced = archive.array(decided, "eval0-0") > 0.5
        assert 0 < voiced.sum() < len(voiced)
        for method in methods:
            table = read_table(tmp_path / f"Bild 1.{method}.scp")
            values = archive.array(table["eval0-0"], "eval0-0")
            assert (
                values.shape == (len(voiced), 64) or values.shape[1] == run.options["models"]["feature_dim"]
            )
            assert not values[~voiced].any() and values[voiced].any(), method


def test_a_trial_has_maps_of_both_sides(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    words = (
        "--utt",
        "eval0-0",
        "--with",
        "eval1-1",
        "--method",
        "gradient",
        "--out",
        str(tmp_path / "a.svg"),
    )
    analyse(monkeypatch, run, "explain", *words)
    table = read_table(tmp_path / "a.gradient.scp")
    assert list(table) == ["eval0-0", "eval1-1"] and (tmp_path / "a.svg").read_bytes().count(b"<image") >= 4


def test_the_slope_of_a_cosine_is_what_a_small_change_does(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from pysteps.analyse.system import System
    from pysteps.features.voiced import VoicedFeatures

    words = (
        "--utt",
        "eval0-0",
        "--with",
        "eval1-1",
        "--method",
        "gradient",
        "--out",
        str(tmp_path / "a.png"),
    )
    analyse(monkeypatch, run, "explain", *words)
    table = read_table(tmp_path / "a.gradient.scp")
    system = System.load(run, "eval")
    with Archive() as archive, VoicedFeatures(run, "eval") as voiced:
        slope = archive.array(table["eval0-0"], "eval0-0")[system.decided("eval0-0")]
        one, other = (system.features(voiced, utt) for utt in ("eval0-0", "eval1-1"))

    def cosine(features: np.ndarray) -> float:
        a, b = system.xvectors([features])[0].astype(float), system.xvectors([other])[0].astype(float)
        return float(a @ b / np.linalg.norm(a) / np.linalg.norm(b))

    step = 0.02 * slope / np.linalg.norm(slope)
    moved = (cosine(one + step) - cosine(one - step)) / 2
    assert moved == pytest.approx(0.02 * np.linalg.norm(slope), rel=0.05)


def test_a_class_is_named_or_found(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for target, found in (("class:bert", "logit of bert"), ("class", "logit of ")):
        words = ("--utt", "eval2-0", "--target", target, "--method", "gradient")
        analyse(monkeypatch, run, "explain", *words, "--out", str(tmp_path / "a.png"))
        assert found in capsys.readouterr().out


def test_bands_are_shares_with_intervals(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    analyse(monkeypatch, run, "bands", "--method", "gradient", "grad_cam", "--out", str(tmp_path / "bands"))
    rows = [line.split() for line in (tmp_path / "bands" / "gradient.bands").read_text().splitlines()[2:]]
    share, low, high = np.array([row[2:] for row in rows], float).T
    assert (
        share.sum() == pytest.approx(1, abs=1e-4)
        and (low <= share + 1e-6).all()
        and (share <= high + 1e-6).all()
    )
    assert (tmp_path / "bands" / "bands.png").is_file()
    assert len(read_table(tmp_path / "bands" / "gradient.scp")) == 6
    assert not (tmp_path / "bands" / "grad_cam.scp").exists()  # an ECAPA's layers have no bins


def test_faithfulness_is_a_table_and_curves(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ("--method", "input_x_gradient", "--utterances", "4", "--steps", "5", "--block", "4x4")
    for target, measure in (("direction", "cosine to the whole"), ("class", "probability of the class")):
        out = tmp_path / target
        analyse(monkeypatch, run, "faithfulness", *words, "--target", target, "--out", str(out))
        assert f"area under {measure}" in capsys.readouterr().out
        record = json.loads((out / "faithfulness.json").read_text())
        assert set(record["methods"]) == {"input_x_gradient", "random"} and len(record["utterances"]) == 4
        curve = record["curves"]["input_x_gradient"]
        # All there at the one end, the mean spectrum at the other, in both.
        assert curve["deletion"][0] == pytest.approx(curve["insertion"][-1], abs=1e-5)
        assert curve["deletion"][-1] == pytest.approx(curve["insertion"][0], abs=1e-5)
        assert (out / "faithfulness.png").is_file()
    assert record["measure"] == "probability of the class"


def test_the_same_words_give_the_same_bytes(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("one", "two"):
        words = ("--method", "gradient", "--utterances", "3", "--steps", "4", "--seconds", "0.5")
        analyse(monkeypatch, run, "faithfulness", *words, "--out", str(tmp_path / name))
    one, two = ((tmp_path / name / "faithfulness.json").read_bytes() for name in ("one", "two"))
    assert one == two


@pytest.mark.parametrize(
    ("words", "wrong"),
    [
        (("--target", "voice"), "unknown target 'voice'"),
        (("--target", "cosine"), "two sides"),
        (("--target", "class:dora"), "no class 'dora'.*anna, bert, cleo"),
        (("--with", "eval1-0", "--target", "norm"), "other side of a trial"),
        (("--method", "saliency"), "unknown method 'saliency'"),
        (("--layer", "encoder.none", "--method", "grad_cam"), "no layer"),
        (("--utt", "nobody"), r"utterance nobody: no such utterance in eval \(one of them is eval0-0\)"),
        (("--set", "music"), "no set 'music'"),
        (("--seconds", "0"), "0.0 seconds"),
        (("--out", "a.gif"), "no picture format"),
        (("--model", "/nowhere"), "is this the folder of a trained model"),
    ],
)
def test_what_cannot_be_done_is_said_in_a_line(
    run: Run,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    words: tuple[str, ...],
    wrong: str,
) -> None:
    import re

    given = ("--utt", "eval0-0", "--method", "gradient", "--out", str(tmp_path / "a.png"), *words)
    text = said(capsys, monkeypatch, run, "explain", *given)
    assert re.search(wrong, text) and text.count("\n") == 1 and text.startswith("error: ")


def test_a_loss_of_pairs_has_no_classes(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    train = {**run.options["train"], "loss": "triplet", "utterances_per_speaker": 4}
    other = replace(run, options={**run.options, "train": train})
    other.save(tmp_path / "run.json")
    monkeypatch.setattr(
        sys,
        "argv",
        ["analyse", "explain", "--run", str(tmp_path / "run.json"), "--set", "eval"]
        + ["--utt", "eval0-0", "--target", "class", "--out", str(tmp_path / "a.png")],
    )
    with pytest.raises(SystemExit):
        runpy.run_module("pysteps.analyse", run_name="__main__")
    assert "'triplet' has no logits of classes" in capsys.readouterr().err


def test_an_utterance_that_is_not_there_names_the_nearest(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ("--method", "gradient", "--out", str(tmp_path / "a.png"))
    told = said(capsys, monkeypatch, run, "explain", "--utt", "eval00", *words)
    assert "utterance eval00: no such utterance in eval (did you mean eval0-0?)" in told
    told = said(capsys, monkeypatch, run, "explain", "--utt", "eval0-0", "--with", "nobody", *words)
    assert "utterance nobody: no such utterance in eval" in told


def test_what_fits_is_tried_on_numbers_of_the_one_generator(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    from pysteps.analyse import commands
    from pysteps.analyse.system import System
    from pysteps.formats.rng import generator

    seen = []
    monkeypatch.setattr(commands, "explain", lambda _, probe, *__: seen.append(probe))
    system = System.load(run, "eval")
    commands.fitting(system, ["gradient"])
    expected = generator(0, "probe", "analyse").standard_normal(seen[0].shape, dtype=np.float32)
    np.testing.assert_array_equal(seen[0], expected)

"""Training on labels: class weights, what an epoch is judged on, going on after a stop."""

from __future__ import annotations

from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.metrics import accuracy_score, balanced_accuracy_score, log_loss
from sklearn.utils.class_weight import compute_class_weight

from pysteps.egs.reader import ArchiveInfo, EgsPlan
from pysteps.formats import arks
from pysteps.formats.errors import InputError
from pysteps.formats.run import Run
from pysteps.formats.tables import write_table
from pysteps.recipe.options import parse
from pysteps.recipe.resolve import resolve
from pysteps.train import stage
from pysteps.train.data import Batch
from pysteps.train.develop import LabelledSet, classified
from pysteps.train.judge import judge_classes, log_posteriors
from pysteps.train.loop import Training, run_training
from pysteps.train.losses import build_head
from pysteps.train.options import TrainOptions, deciding
from pysteps.train.phases import judged_by, to_average
from pysteps.train.plan import Plan
from pysteps.train.weights import class_weights
from pysteps.train.world import joined
from tests.pipeline import REPO
from tests.test_train_loop import BINS, CONTRACT, MODEL, OPTIONS, Egs, curves, timeless, weights

SOFT = replace(OPTIONS, loss="softmax", class_weights="balanced")
CLASSES = ["food", "history", "travel"]


class Uneven(Egs):
    """Three classes: most chunks are of the first, few of the last."""

    def plan(self) -> EgsPlan:
        archives = [ArchiveInfo(f"train.{n}", 30 + n, 12 + 2 * n) for n in (1, 2, 3)]
        return EgsPlan(3, BINS, archives, [ArchiveInfo("valid.1", 18, 15)], CLASSES)

    def archive(self, info: ArchiveInfo, epoch: int = 0, rows: Any = None) -> tuple[np.ndarray, np.ndarray]:
        features, labels = super().archive(info, epoch)
        labels = np.where(labels < 3, 0, np.where(labels < 5, 1, 2))
        return (features, labels) if rows is None else (features[rows], labels[rows])


class Told(LabelledSet):
    """Development utterances from memory: eight of the first class, three and one of the others."""

    def __init__(self) -> None:
        self.targets = np.asarray([0] * 8 + [1] * 3 + [2])
        self.utts = [f"u{n}" for n in range(12)]

    def utterances(self) -> Any:
        for number, utt in enumerate(self.utts):
            rng = np.random.default_rng(number)
            yield utt, rng.normal(self.targets[number], 1, (20 + number % 3, BINS)).astype(np.float32)


def train(out: Path, options: TrainOptions = SOFT, **rest: Any) -> None:
    run_training(options, MODEL, Uneven(), Told(), out, CONTRACT, **rest)


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("labels")
    train(out)
    return out


def test_class_weights_by_the_formula_and_by_sklearn() -> None:
    source = Uneven()
    labels = np.concatenate([source.archive(info)[1] for info in source.plan().archives])
    found = class_weights(source, source.plan())
    for label in range(3):
        assert found[label] == pytest.approx(len(labels) / (3 * (labels == label).sum()))
    assert np.allclose(found, compute_class_weight("balanced", classes=np.arange(3), y=labels))
    assert found[labels].mean() == pytest.approx(1)


def test_a_class_without_a_chunk_has_no_weight(tmp_path: Path) -> None:
    source = Egs(3)
    plan = replace(source.plan(), num_speakers=4, speakers=["a", "a-speed0.9", "b", "c"])
    with pytest.raises(
        InputError, match=r"1 of 4 classes have no training chunk, as c .*speed_speakers same"
    ):
        class_weights(source, plan)


@pytest.mark.parametrize("accumulate", [1, 3])
def test_a_steps_gradient_is_torchs_with_weight(
    tmp_path: Path, accumulate: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Training, "update", lambda self: None)
    options = replace(SOFT, accumulate=accumulate)
    with joined("cpu") as world:
        training = Training(Plan(options, MODEL, Uneven(), 1, True), Uneven(), tmp_path, world)
        features, labels = Uneven().archive(ArchiveInfo("train.1", 31, 14))
        training.trainee.eval()  # so that parts are normalised as the whole is
        training.one_step(training.trainee, Batch("train.1", 0, np.arange(31), features, labels, 1.0))
        found = {name: value.grad.clone() for name, value in training.trainee.named_parameters()}
        training.trainee.zero_grad()
        logits = training.trainee.head.output(training.model(torch.from_numpy(features)))
        weight = torch.from_numpy(class_weights(Uneven(), Uneven().plan()))
        loss = torch.nn.functional.cross_entropy(
            logits, torch.from_numpy(labels), weight=weight, reduction="none"
        ).mean()
        loss.backward()
        assert float(training.totals[0]) / 31 == pytest.approx(loss.item(), rel=1e-5)
    for name, value in training.trainee.named_parameters():
        assert torch.allclose(found[name], value.grad, rtol=1e-3, atol=1e-6), name


def test_development_figures_are_sklearns() -> None:
    rng = np.random.default_rng(0)
    targets = np.asarray([0] * 9 + [1] * 4 + [2] * 2)
    scores = rng.normal(size=(15, 3)) + 1.5 * np.eye(3)[targets]
    logs = scores - np.log(np.exp(scores).sum(1, keepdims=True))
    found = classified(logs, targets)
    balance = (15 / (3 * np.bincount(targets)))[targets]
    assert found.loss == pytest.approx(log_loss(targets, np.exp(logs), sample_weight=balance))
    assert found.accuracy == pytest.approx(accuracy_score(targets, logs.argmax(1)))
    assert found.balanced_accuracy == pytest.approx(balanced_accuracy_score(targets, logs.argmax(1)))
    assert found.accuracy != found.balanced_accuracy


@pytest.mark.parametrize("loss", ["softmax", "aam subcentres=2", "softmax + 0.1 center", "am + triplet"])
def test_posteriors_are_the_softmax_of_the_logits_without_margin(loss: str) -> None:
    options = TrainOptions(loss=loss, utterances_per_speaker=2, scale=20)
    head = build_head(loss, 4, 3, options).eval()
    vectors = np.random.default_rng(0).normal(size=(5, 4)).astype(np.float32)
    state = {name: value.double().numpy() for name, value in head.state_dict().items()}
    if "softmax" in loss:
        output = next(name for name in state if name.endswith("output.weight")).removesuffix("weight")
        logits = vectors @ state[f"{output}weight"].T + state[f"{output}bias"]
    else:
        (centres,) = (value for name, value in state.items() if name.endswith("centres"))
        unit = centres / np.linalg.norm(centres, axis=1, keepdims=True)
        cosines = vectors / np.linalg.norm(vectors, axis=1, keepdims=True) @ unit.T
        logits = 20 * cosines.reshape(5, 3, -1).max(2)
    wanted = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    assert np.allclose(np.exp(log_posteriors(head, vectors)), wanted, atol=1e-5)


def test_an_epochs_line_says_how_labels_are_told(trained: Path) -> None:
    first, *_, last = curves(trained)
    assert {"dev_loss", "dev_accuracy", "dev_balanced_accuracy", "valid_loss"} <= first.keys()
    assert not {"dev_eer", "same_cosine", "different_cosine"} & first.keys()
    assert last["valid_accuracy"] > 0.6 and 0 <= last["dev_balanced_accuracy"] <= 1
    assert (trained / "model" / "speakers").read_text() == "food\nhistory\ntravel\n"


def test_an_epoch_is_judged_by_the_development_loss() -> None:
    line = {"epoch": 1, "valid_loss": 3.0, "dev_loss": 0.5}
    assert judged_by(line) == 0.5 and judged_by({**line, "dev_eer": 7.0}) == 7.0
    assert judged_by({"valid_loss": 3.0}) == 3.0 and judged_by({}) is None
    lines = [{"epoch": n, "dev_loss": loss, "valid_loss": -n} for n, loss in enumerate([3, 1, 2], 1)]
    assert to_average(lines, TrainOptions(average=1, average_of="best")) == [2]


@pytest.mark.parametrize("step", [4, 9, 17])
def test_stopped_after_any_step_it_goes_on_to_the_same_bytes(
    trained: Path, tmp_path: Path, step: int
) -> None:
    train(tmp_path, stop_after=step)
    assert not (tmp_path / "model").exists()
    train(tmp_path)
    assert weights(tmp_path) == weights(trained) and timeless(tmp_path) == timeless(trained)
    assert (tmp_path / "model" / "head.safetensors").read_bytes() == (
        trained / "model" / "head.safetensors"
    ).read_bytes()


def test_weights_make_another_training(trained: Path, tmp_path: Path) -> None:
    plain = replace(SOFT, class_weights="none", epochs=1)
    train(tmp_path, plain, stop_after=4)
    with pytest.raises(InputError, match=r"train.class_weights was None, is 'balanced'"):
        train(tmp_path, replace(SOFT, epochs=1))
    train(tmp_path, plain)
    assert weights(tmp_path) != weights(trained)


def test_trainings_from_before_there_were_class_weights_stay_what_they_are() -> None:
    assert "class_weights" not in deciding(asdict(TrainOptions()))
    assert deciding(asdict(SOFT))["class_weights"] == "balanced"


def test_utterances_that_are_too_short_for_the_network_do_not_count() -> None:
    class Short(Told):
        def utterances(self) -> Any:
            for number, (utt, matrix) in enumerate(super().utterances()):
                yield utt, matrix[:1] if number == 11 or self.all else matrix

    with joined("cpu") as world:
        training = Training(Plan(SOFT, MODEL, Uneven(), 1, True), Uneven(), Path("nowhere"), world)
    model, head = training.model.eval(), training.trainee.head.eval()
    model.min_frames = 9
    dev = Short()
    dev.all = False
    found, whole = judge_classes(model, head, dev), judge_classes(model, head, Told())
    assert found.loss != whole.loss
    dev.all = True
    with pytest.raises(InputError, match="no development utterance has the 9 frames"):
        judge_classes(model, head, dev)


def labelled_run(work: Path, utts: int = 40) -> Run:
    run = resolve(REPO, parse(["--recipe", "librispeech_gender", "--corpus", "/x", "--work", str(work)]))
    genders = {f"s{n:02d}": "f" if n % 10 == 7 else "m" for n in range(utts // 2)}
    utt2spk = {f"s{n // 2:02d}-{n % 2}": f"s{n // 2:02d}" for n in range(utts)}
    write_table(run.data / "dev" / "utt2spk", utt2spk)
    write_table(run.data / "dev" / "spk2gender", genders)
    with arks.writing(run.of("features", "dev") / "feats.1.ark") as writer:
        for utt in utt2spk:
            writer.array(utt, np.zeros((3, 2), np.float32))
    write_table(run.of("features", "dev") / "feats.scp", writer.scp)
    return run


def test_a_large_development_set_is_thinned_class_by_class(tmp_path: Path) -> None:
    run = labelled_run(tmp_path)  # 36 of m, 4 of f
    whole, some = LabelledSet(run, ["f", "m"]), LabelledSet(run, ["f", "m"], 10)
    assert len(whole.utts) == 40 and (whole.targets == 0).sum() == 4
    assert len(some.utts) == 10 and (some.targets == 0).sum() == 1
    assert len(set(LabelledSet(run, ["f", "m"], 1).targets.tolist())) == 2


def test_a_label_that_the_egs_have_not_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"dev/spk2gender.*s07-0.*f is no class of the egs, which have m"):
        LabelledSet(labelled_run(tmp_path), ["m"])


def test_labels_are_in_the_stamp_of_stage_train(tmp_path: Path) -> None:
    run = labelled_run(tmp_path)
    (unit,), (plain,) = stage.units(run), stage.units(replace(run, labels=""))
    assert unit.options["labels"] == "spk2gender" and "labels" not in plain.options
    assert run.data / "dev" / "spk2gender" in unit.inputs

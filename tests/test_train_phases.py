"""Phases, early ends, running means, schedules: each goes on to the same bytes wherever it is stopped."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml

from pysteps.egs.live import augments_live, highest_speed, voices
from pysteps.egs.reader import ArchiveInfo, EgsPlan
from pysteps.formats.errors import InputError
from pysteps.models.model import load_model
from pysteps.recipe.options import parse
from pysteps.recipe.resolve import resolve
from pysteps.train.checkpoint import mean_of
from pysteps.train.loop import check
from pysteps.train.options import TrainOptions
from pysteps.train.phases import ended, phases_of, to_average
from pysteps.train.plan import Plan
from pysteps.train.schedules import learning_rate, margin, plateaus
from tests.test_train_loop import (
    MODEL,
    OPTIONS,
    Dev,
    Egs,
    both,
    curves,
    ends,
    kill_when,
    timeless,
    train,
    weights,
)  # fmt: skip

SHORT = replace(OPTIONS, epochs=2, lr=0.05)
LARGE_MARGIN = {"epochs": 2, "chunks": "long", "margin": 0.5, "margin_start_epoch": 0, "margin_end_epoch": 0}
LARGE_MARGIN |= {"lr": "1e-2", "final_lr": 5e-3, "batch_size": 10, "average": 1}
TRIPLET = {
    "epochs": 1,
    "loss": "triplet",
    "utterances_per_speaker": 2,
    "batch_size": 8,
    "lr": 0.01,
    "final_lr": 0.01,
}


class Longer(Egs):
    """With two archives of longer chunks."""

    def plan(self) -> EgsPlan:
        return replace(super().plan(), long=[ArchiveInfo("long.1", 20, 25), ArchiveInfo("long.2", 21, 25)])


# --- what a phase is


def test_a_phase_has_the_trainings_options_but_for_its_own() -> None:
    options = replace(OPTIONS, phases=[LARGE_MARGIN, {"loss": "softmax"}])
    first, second, third = phases_of(options)
    assert first == replace(options, phases=[])
    assert second == replace(first, **{**LARGE_MARGIN, "lr": 0.01})  # YAML reads 1e-2 as text
    assert third == replace(first, loss="softmax")
    assert options.phases[0]["lr"] == 0.01 and isinstance(options.phases[0]["lr"], float)


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ({"seed": 1}, "phase 2: seed is of the whole training.*a phase may have epochs, chunks"),
        ({"learning": 1}, "phase 2: learning is no option"),
        ({"epoch": 1}, "did you mean epochs"),
        ({"lr": "fast"}, "phase 2: lr is 'fast', no float"),
        ({"epochs": 1.5}, "epochs is 1.5, no int"),
        ({"freeze": "encoder"}, "freeze is 'encoder', no list"),
        ({"loss": "triplet"}, "phase 2: utterances_per_speaker is 0: triplet needs"),
        ("epochs 5", "phase 2 is 'epochs 5'.*a table"),
    ],
)
def test_what_is_no_phase_is_refused_by_its_number_and_name(table: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        replace(OPTIONS, phases=[table])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"phases": [{"schedule": "cosin"}]}, "phase 2: .*did you mean cosine"),
        ({"phases": [{"chunks": "short"}]}, "phase 2: unknown chunks 'short'; known: train, long"),
        ({"average_of": "worst"}, "known: last, best"),
        ({"ema": 1.0}, "ema is 1: 0 .none. to below 1"),
        ({"accumulate": 0}, "accumulate is 0"),
        ({"keep": 0}, "keep is 0"),
        ({"patience": -1}, "patience is -1"),
        ({"accumulate": 2, "utterances_per_speaker": 2}, "needs all chunks of a step together"),
    ],
)
def test_values_that_no_phase_can_have(change: dict, message: str) -> None:
    with pytest.raises(InputError, match=message):
        check(replace(OPTIONS, **change))


def test_egs_without_long_chunks_are_refused_before_training(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"have no long chunks \(--egs.long_seconds 6"):
        train(tmp_path, replace(OPTIONS, phases=[LARGE_MARGIN]))
    assert not list(tmp_path.iterdir())


def test_patience_without_anything_to_judge_by_is_refused(tmp_path: Path) -> None:
    class NoValid(Egs):
        def plan(self) -> EgsPlan:
            return replace(super().plan(), valid=[])

    with pytest.raises(InputError, match="patience and average_of best needs epochs that are judged"):
        train(tmp_path, replace(OPTIONS, patience=2, average_of="best"), egs=NoValid())


def resolved(repo: Path, *words: str) -> dict[str, Any]:
    return resolve(repo, parse(["--recipe", "mini", *words])).options["train"]


def test_phases_come_through_the_command_line_and_conf_files(repo: Path) -> None:
    table = "[{epochs: 5, chunks: long, lr: 1e-4, final_lr: 2.5e-5}]"
    options = resolved(
        repo, "--train.phases", table, "--egs.long_seconds", "6", "--train.freeze", "encoder,pooling"
    )
    assert options["phases"] == [{"epochs": 5, "chunks": "long", "lr": 1e-4, "final_lr": 2.5e-5}]
    assert options["freeze"] == ["encoder", "pooling"]
    with pytest.raises(InputError, match="phase 2: seed is of the whole training"):
        resolved(repo, "--train.phases", "{seed: 3}")
    said = "phase 2 of training wants long chunks, and these egs are to have none .--egs.long_seconds 6"
    with pytest.raises(InputError, match=said):
        resolved(repo, "--train", "voxceleb_phases")


def recipe(repo: Path, name: str) -> list[TrainOptions]:
    content = yaml.safe_load((repo / "conf" / "train" / f"{name}.yaml").read_text("utf-8"))
    if content.pop("init", "") == "?":
        with pytest.raises(InputError, match="goes on from a trained model.*--train.init"):
            resolved(repo, "--train", name, "--egs.long_seconds", "6")
    return phases_of(TrainOptions(**content))


def test_the_published_recipe_of_voxceleb(repo: Path) -> None:
    (options,) = recipe(repo, "voxceleb")
    steps = 1000
    # 0.1 to 5e-5 for 64 chunks, and 256 of them; half of the rise after three epochs.
    assert learning_rate(6 * steps, steps, options) == pytest.approx(0.4 * 0.0005 ** (6 / 150), rel=1e-3)
    assert learning_rate(3 * steps - 1, steps, options) == pytest.approx(0.2 * 0.0005 ** (3 / 150), rel=1e-3)
    assert learning_rate(150 * steps - 1, steps, options) == pytest.approx(4 * 5e-5)
    assert [margin(epoch * steps, steps, options) for epoch in (20, 40, 150)] == [0, 0.2, 0.2]
    (alone,) = recipe(repo, "voxceleb_lm")  # with a model to begin with
    base, fine = recipe(repo, "voxceleb_phases")
    assert base == options and fine == alone
    assert learning_rate(5 * steps - 1, steps, fine) == pytest.approx(2 * 2.5e-5)
    assert [margin(step, steps, fine) for step in (0, 4999)] == [0.5, 0.5]


def test_what_goes_with_the_published_recipe(repo: Path) -> None:
    words = "--features fbank80 --egs voxceleb --augment voxceleb --train voxceleb_phases"
    run = resolve(repo, parse(["--recipe", "folder", *words.split()]))
    assert augments_live(run) and voices(run) == ["", "-speed0.9", "-speed1.1"] and highest_speed(run) == 1.1
    assert run.options["augment"]["probability"] == 0.6 and run.options["egs"]["long_seconds"] == 6


# --- one phase after the other


@pytest.fixture(scope="module")
def phased(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("phased")
    train(out, replace(SHORT, phases=[LARGE_MARGIN, TRIPLET]), egs=Longer(), dev=Dev())
    return out


def test_epochs_are_counted_on_and_lines_name_their_phase(phased: Path) -> None:
    lines = curves(phased)
    assert [line["epoch"] for line in lines] == [1, 2, 3, 4, 5]
    assert [line["phase"] for line in lines] == [1, 1, 2, 2, 3]
    assert list(lines[0])[:3] == ["epoch", "phase", "loss"]
    assert [line["margin"] for line in lines[:4]] == pytest.approx([0.0, 0.2, 0.5, 0.5], abs=0.02)
    assert [line["chunks"] for line in lines][1:4] == [96, 41, 41]
    assert lines[1]["lr"] == pytest.approx(0.02) and lines[3]["lr"] == pytest.approx(5e-3)
    assert "valid_loss" in lines[3] and "valid_loss" not in lines[4]  # triplets judge no chunk by itself


@pytest.mark.parametrize("stops", [(18,), (19,), (21, 23), (26,), (27,)])
def test_stopped_in_any_phase_it_goes_on_to_the_same_bytes(
    phased: Path, tmp_path: Path, stops: tuple[int, ...]
) -> None:
    # 9 steps an epoch, 18 in phase 1; 4 and 8 in phase 2.
    options = replace(SHORT, phases=[LARGE_MARGIN, TRIPLET])
    for stop in stops:
        train(tmp_path, options, egs=Longer(), dev=Dev(), stop_after=stop)
        assert not (tmp_path / "model").exists()
    train(tmp_path, options, egs=Longer(), dev=Dev())
    assert weights(tmp_path) == weights(phased)
    assert timeless(tmp_path) == timeless(phased)


def test_a_phase_begins_with_the_mean_of_the_one_before(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    still = {"epochs": 1, "lr": 1e-12, "final_lr": 1e-12, "average": 1}
    train(tmp_path, replace(SHORT, phases=[still, {**still, "loss": "softmax"}]))
    said = capsys.readouterr().err
    assert "train: phase 2 of 3 goes on with the loss's weights" in said
    assert "train: phase 3 of 3 begins with new weights in the loss" in said
    one = [torch.load(tmp_path / "checkpoints" / "epoch-00003.pt", weights_only=True)]
    assert not (tmp_path / "checkpoints" / "epoch-00002.pt").exists(), "phase 3 began without phase 1"
    alone = tmp_path / "alone"
    train(alone, SHORT)
    two = [torch.load(path, weights_only=True) for path in sorted(alone.glob("checkpoints/epoch-*.pt"))]
    for name, value in mean_of(two).items():
        if "running" not in name and "num_batches" not in name:
            assert torch.allclose(value, one[0][name], atol=1e-6), name


def run_slowly(options: TrainOptions, out: Path, **rest: Any) -> None:
    train(out, options, **{**rest, "egs": Longer(pause=0.02)})


def test_two_processes_go_through_phases_to_the_same_bytes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    large = {**LARGE_MARGIN, "accumulate": 2, "freeze": ["encoder.first"]}
    many = replace(SHORT, phases=[large, TRIPLET], ema=0.9, patience=2, precision="bf16", checkpoint_steps=2)
    many = replace(many, average_of="best", schedule="plateau", plateau_patience=0)
    monkeypatch.setattr("tests.test_train_loop.train", partial(run_slowly, many))
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    assert [ends(process) for process in both(whole)] == [0, 0]
    kill_when(parts, "step-000000020.pt", *both(parts))
    assert [ends(process) for process in both(parts)] == [0, 0]
    assert weights(whole) == weights(parts)
    assert timeless(whole) == timeless(parts)


# --- ways to train, each of which resumes

WAYS: dict[str, dict[str, Any]] = {
    "ema": {"ema": 0.8},
    "best": {"average_of": "best", "average": 2},
    "plateau": {"schedule": "plateau", "plateau_patience": 0, "step_factor": 0.5, "epochs": 3},
    "parts": {"accumulate": 3, "clip_norm": 1.0},
    "frozen": {"freeze": ["encoder.first", "pooling"], "optimiser": "adamw", "lr": 0.01, "final_lr": 0.001},
    "pairs": {"loss": "softmax + aproto", "utterances_per_speaker": 2, "batch_size": 8, "precision": "bf16"},
    "quarters": {"epoch_parts": 2, "epochs": 3, "optimiser": "adam", "lr": 0.03, "head_weight_decay": 0.1},
    "onecycle": {"schedule": "onecycle", "ema": 0.5, "precision": "bf16"},
}


@pytest.mark.parametrize("way", WAYS)
def test_each_way_resumes(tmp_path: Path, way: str) -> None:
    options = replace(SHORT, **WAYS[way])
    train(tmp_path / "whole", options, dev=Dev())
    train(tmp_path / "parts", options, dev=Dev(), stop_after=13)
    train(tmp_path / "parts", options, dev=Dev())
    assert weights(tmp_path / "whole") == weights(tmp_path / "parts")
    assert timeless(tmp_path / "whole") == timeless(tmp_path / "parts")


def test_the_running_mean_is_what_is_judged_and_written(tmp_path: Path) -> None:
    train(tmp_path, replace(SHORT, epochs=1, ema=0.75, average=1, checkpoint_steps=1, keep=20))
    found = [torch.load(path, weights_only=True) for path in sorted(tmp_path.glob("checkpoints/step-*.pt"))]
    assert len(found) == 9
    for name in ("model.projector.1.weight", "model.projector.0.running_mean", "head.centres"):
        mean = found[0]["trainee"][name]
        for state in found:
            mean = 0.75 * mean + 0.25 * state["trainee"][name]
            assert torch.allclose(state["ema"][f"module.{name}"], mean, atol=1e-5)
        assert not torch.allclose(found[-1]["trainee"][name], mean, atol=1e-3)
    written = load_model(tmp_path / "model").state_dict()
    assert torch.equal(written["projector.1.weight"], found[-1]["ema"]["module.model.projector.1.weight"])


def test_patience_ends_a_training_and_it_stays_ended(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    still = {"lr": 1e-12, "final_lr": 1e-12, "freeze": ["encoder", "pooling", "projector"]}
    options = replace(OPTIONS, epochs=50, patience=2, average=1, **still)
    train(tmp_path, options, dev=Dev())
    assert len(curves(tmp_path)) == 3  # the first is the best: the model stands still
    said = "train: ending after epoch 3: no better epoch for 2 epochs (patience 2)"
    assert said in capsys.readouterr().err
    before = weights(tmp_path)
    train(tmp_path, options, dev=Dev())
    assert len(curves(tmp_path)) == 3 and weights(tmp_path) == before


def lines(*judged: float) -> list[Mapping[str, Any]]:
    return [{"epoch": epoch, "valid_loss": 9.0, "dev_eer": value} for epoch, value in enumerate(judged, 4)]


def test_when_a_phase_ends() -> None:
    options = replace(OPTIONS, epochs=5, patience=2)
    assert not ended(lines(), options) and not ended(lines(3, 2, 2), options)
    assert "no better epoch for 2" in ended(lines(3, 2, 2, 4), options)
    assert ended(lines(5, 4, 3, 2, 1), options) == "5 epochs are done"
    assert not ended(lines(1, 2, 3, 4), replace(options, patience=0))


def test_which_epochs_are_averaged() -> None:
    assert to_average(lines(3, 1, 2, 1, 5), replace(OPTIONS, average=2)) == [7, 8]
    best = replace(OPTIONS, average=3, average_of="best")
    assert to_average(lines(3, 1, 2, 1, 5), best) == [5, 6, 7]
    assert to_average(lines(3, 1, 3, 3), replace(best, average=2)) == [5, 7]  # the last of equals
    assert to_average(lines(3), best) == [4]


def test_an_epoch_that_is_a_part_and_the_next_are_all(tmp_path: Path) -> None:
    options = replace(SHORT, epochs=4, epoch_parts=2, lr=0.05)
    plan = Plan(options, MODEL, Egs(), 1, False)
    names = [[info.name for info in plan.archives_of(0, epoch)] for epoch in range(4)]
    assert [len(part) for part in names] == [2, 1, 2, 1]
    assert sorted(names[0] + names[1]) == sorted(names[2] + names[3]) == ["train.1", "train.2", "train.3"]
    train(tmp_path, options)
    lines = curves(tmp_path)
    assert lines[0]["chunks"] + lines[1]["chunks"] == lines[2]["chunks"] + lines[3]["chunks"] == 96
    assert lines[-1]["lr"] == pytest.approx(0.02)  # the schedule is over all steps of the four
    with pytest.raises(InputError, match="epoch_parts 4: there are 3 archives"):
        Plan(replace(options, epoch_parts=4), MODEL, Egs(), 1, False)


# --- schedules against torch's own


def rates(options: TrainOptions, steps: int) -> list[float]:
    return [learning_rate(step, steps, options) for step in range(options.epochs * steps)]


def torchs(optimiser: torch.optim.Optimizer, schedule: torch.optim.lr_scheduler.LRScheduler) -> list[float]:
    """The rates of 40 steps."""
    found = []
    for _ in range(40):
        found.append(optimiser.param_groups[0]["lr"])
        optimiser.step()
        schedule.step()
    return found


def test_onecycle_is_torchs() -> None:
    options = TrainOptions(epochs=4, lr=0.2, final_lr=0.0004, schedule="onecycle", warmup_epochs=1)
    other = torch.optim.lr_scheduler.OneCycleLR(
        optimiser := torch.optim.SGD([torch.zeros(1, requires_grad=True)], 0.1),
        max_lr=0.2, total_steps=40, pct_start=0.25, div_factor=25, final_div_factor=20, cycle_momentum=False,
    )  # fmt: skip
    assert rates(options, 10) == pytest.approx(torchs(optimiser, other))


def test_plateau_is_torchs() -> None:
    judged = [5, 4, 4, 4, 3.9, 4, 4, 4, 4, 4, 4, 3, 3, 3, 3, 2.9, 3.5]
    options = TrainOptions(
        epochs=30,
        lr=0.2,
        final_lr=0.001,
        schedule="plateau",
        warmup_epochs=0,
        plateau_patience=1,
        step_factor=0.2,
    )
    optimiser = torch.optim.SGD([torch.zeros(1, requires_grad=True)], 0.2)
    other = torch.optim.lr_scheduler.ReduceLROnPlateau(
        optimiser, factor=0.2, patience=1, threshold=0, min_lr=0.001, eps=0
    )
    for place, value in enumerate(judged):
        other.step(value)
        ours = learning_rate(10 * (place + 1), 10, options, judged[: place + 1])
        assert ours == pytest.approx(optimiser.param_groups[0]["lr"]), place
    assert plateaus(judged, 1) == 5


def test_triangular2_is_torchs() -> None:
    options = TrainOptions(epochs=4, lr=1e-3, final_lr=1e-8, schedule="triangular2", step_epochs=2)
    optimiser = torch.optim.SGD([torch.zeros(1, requires_grad=True)], 0.2)
    other = torch.optim.lr_scheduler.CyclicLR(
        optimiser, 1e-8, 1e-3, step_size_up=10, mode="triangular2", cycle_momentum=False
    )
    assert rates(options, 10) == pytest.approx(torchs(optimiser, other))


def test_rates_for_another_batch_size_grow_with_it() -> None:
    options = TrainOptions(epochs=2, batch_size=256, lr_batch=64)
    assert rates(options, 10) == pytest.approx([4 * rate for rate in rates(replace(options, lr_batch=0), 10)])

"""The training as a whole: it learns, it stops with the culprit named, it goes on to the same bytes."""

from __future__ import annotations

import json
import os
import socket
import time
from dataclasses import replace
from multiprocessing import get_context
from multiprocessing.context import ForkProcess
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pysteps.egs.reader import ArchiveInfo, EgsPlan
from pysteps.formats.errors import InputError
from pysteps.models.model import load_model, read_description
from pysteps.models.options import ModelOptions
from pysteps.train.loop import run_training
from pysteps.train.meter import MEASURED
from pysteps.train.options import TrainOptions
from pysteps.train.stage import LOSS
from pysteps.train.start import stand_in

SPEAKERS, BINS = 6, 5
MODEL = ModelOptions(
    network={"channels": 16, "frame_channels": 16, "scale": 4, "se_channels": 4},
    pool={"attention_channels": 4},
    xvector_dim=8,
)
OPTIONS = TrainOptions(
    epochs=4, batch_size=12, lr=0.08, final_lr=0.02, warmup_epochs=0.5, margin_start_epoch=1,
    margin_end_epoch=2, average=2, checkpoint_steps=3, threads=1, time_masks=1, time_width=3,
)  # fmt: skip
CONTRACT = {"kind": "fbank", "dim": BINS}


class Egs:
    """Speakers that differ in the level of their bins; archives of other lengths; no files."""

    def __init__(self, speakers: int = SPEAKERS, pause: float = 0.0, broken: bool = False) -> None:
        self.speakers, self.pause, self.broken = speakers, pause, broken

    def plan(self) -> EgsPlan:
        archives = [ArchiveInfo(f"train.{n}", 30 + n, 12 + 2 * n) for n in (1, 2, 3)]
        names = [f"s{n}" for n in range(self.speakers)]
        return EgsPlan(self.speakers, BINS, archives, [ArchiveInfo("valid.1", 18, 15)], names)

    def archive(
        self, info: ArchiveInfo, epoch: int = 0, rows: np.ndarray | None = None
    ) -> tuple[np.ndarray, np.ndarray]:
        time.sleep(self.pause)
        levels = 2 * np.random.default_rng(0).normal(size=(self.speakers, BINS))
        rng = np.random.default_rng(len(info.name) + info.frames)
        labels = rng.integers(0, self.speakers, info.chunks)
        noise = rng.normal(size=(info.chunks, info.frames, BINS))
        features = (levels[labels][:, None] + noise).astype(np.float32)
        if self.broken and info.name == "train.2":
            features[7, 3, 2] = np.nan
        return (features, labels) if rows is None else (features[rows], labels[rows])


class Dev:
    """Other speakers of the same kind, two utterances each."""

    def utterances(self):
        levels = 2 * np.random.default_rng(1).normal(size=(6, BINS))
        for index in range(12):
            noise = np.random.default_rng(index).normal(size=(20 + index % 3, BINS))
            yield f"u{index}", (levels[index // 2] + 0.3 * noise).astype(np.float32)

    @property
    def trials(self):
        first, second = np.triu_indices(12, 1)
        return first, second, first // 2 == second // 2


def train(out: Path, options: TrainOptions = OPTIONS, model: ModelOptions = MODEL, **rest) -> None:
    run_training(options, model, rest.pop("egs", Egs()), rest.pop("dev", None), out, CONTRACT, **rest)


def curves(out: Path) -> list[dict]:
    return [json.loads(line) for line in (out / "curves.jsonl").read_text("utf-8").splitlines()]


def timeless(out: Path) -> list[dict]:
    return [{key: line[key] for key in line if key not in MEASURED} for line in curves(out)]


def weights(out: Path) -> bytes:
    return (out / "model" / "model.safetensors").read_bytes()


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("undisturbed")
    train(out, dev=Dev())
    return out


def test_it_learns_and_writes_a_model_with_its_contract(undisturbed: Path) -> None:
    first, *_, last = curves(undisturbed)
    assert last["valid_accuracy"] > 0.6 > first["valid_accuracy"]
    assert last["dev_eer"] < 25
    model = load_model(undisturbed / "model")
    assert model.options == replace(MODEL, feature_dim=BINS)
    assert read_description(undisturbed / "model")["features"] == CONTRACT


def test_the_curves_have_a_line_an_epoch(undisturbed: Path) -> None:
    lines = curves(undisturbed)
    assert [line["epoch"] for line in lines] == [1, 2, 3, 4]
    keys = "epoch loss accuracy valid_loss valid_accuracy dev_eer same_cosine different_cosine lr margin "
    keys += "chunks seconds chunks_per_second waiting memory_mb"
    assert all(list(line) == keys.split() for line in lines)
    assert [line["chunks"] for line in lines] == [96] * 4
    assert lines[0]["margin"] == 0 and lines[3]["margin"] == 0.2
    assert lines[3]["lr"] == pytest.approx(0.02)


@pytest.mark.parametrize("stops", [(1,), (3,), (4, 8), (9,), (20, 22, 35)])
def test_stopped_after_any_step_it_goes_on_to_the_same_bytes(
    undisturbed: Path, tmp_path: Path, stops: tuple[int, ...]
) -> None:
    for stop in stops:
        train(tmp_path, dev=Dev(), stop_after=stop)
        assert not (tmp_path / "model").exists()
    train(tmp_path, dev=Dev())
    assert weights(tmp_path) == weights(undisturbed)
    assert timeless(tmp_path) == timeless(undisturbed)


def test_a_finished_training_run_again_changes_nothing(undisturbed: Path) -> None:
    before = weights(undisturbed), (undisturbed / "curves.jsonl").read_bytes()
    train(undisturbed, dev=Dev())
    assert (weights(undisturbed), (undisturbed / "curves.jsonl").read_bytes()) == before


def test_a_damaged_checkpoint_costs_steps_not_bytes(undisturbed: Path, tmp_path: Path) -> None:
    train(tmp_path, stop_after=14)
    newest = sorted((tmp_path / "checkpoints").glob("step-*.pt"))[-1]
    newest.write_bytes(newest.read_bytes()[:1000])
    train(tmp_path)
    assert weights(tmp_path) == weights(undisturbed)


def start(out: Path, **environment: str) -> ForkProcess:
    """A training in a process of its own. Forked: importing torch again would take longer than all else."""

    def work() -> None:
        os.environ.update(environment)
        train(out, dev=Dev(), egs=Egs(pause=0.02))

    process = get_context("fork").Process(target=work)
    process.start()
    return process


def ends(process: ForkProcess) -> int | None:
    """The exit status; None if it does not end."""
    process.join(60)
    return process.exitcode


def kill_when(out: Path, wanted: str, *processes: ForkProcess) -> None:
    """SIGKILL to the last of ``processes`` as soon as a checkpoint is there, and wait for all."""
    deadline = time.monotonic() + 60
    while not (out / "checkpoints" / wanted).exists():
        assert all(process.is_alive() for process in processes) and time.monotonic() < deadline
        time.sleep(0.0005)
    processes[-1].kill()
    assert all(ends(process) not in (0, None) for process in processes)
    assert not (out / "model").exists()


KILLS = ["step-000000003.pt", "step-000000006.pt", "epoch-00001.pt", "step-000000012.pt", "epoch-00003.pt"]


def test_killed_five_times_it_goes_on_to_the_same_bytes(undisturbed: Path, tmp_path: Path) -> None:
    for wanted in KILLS:
        kill_when(tmp_path, wanted, start(tmp_path))
    assert ends(start(tmp_path)) == 0
    assert weights(tmp_path) == weights(undisturbed)
    assert timeless(tmp_path) == timeless(undisturbed)


def both(out: Path) -> list[ForkProcess]:
    """Two processes of one training, as torchrun would start them."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    shared = {"WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
    return [start(out, RANK=str(rank), LOCAL_RANK=str(rank), **shared) for rank in (0, 1)]


def test_two_processes_train_one_model_and_go_on_to_the_same_bytes(tmp_path: Path) -> None:
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    assert [ends(process) for process in both(whole)] == [0, 0]
    kill_when(parts, "step-000000012.pt", *both(parts))
    assert [ends(process) for process in both(parts)] == [0, 0]
    assert weights(whole) == weights(parts)
    assert timeless(whole) == timeless(parts)
    assert [line["chunks"] for line in curves(whole)] == [96] * 4
    assert curves(whole)[-1]["accuracy"] > 0.5


def test_one_process_goes_on_with_the_chunks_of_two(
    undisturbed: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    class Noted(Egs):
        def __init__(self) -> None:
            super().__init__()
            self.read: list[tuple[str, int, list[int]]] = []

        def archive(self, info: ArchiveInfo, epoch: int = 0, rows: np.ndarray | None = None) -> Any:
            if rows is not None:
                self.read.append((info.name, epoch, rows.tolist()))
            return super().archive(info, epoch, rows)

    alone, parts = tmp_path / "alone", tmp_path / "parts"
    train(alone, stop_after=12)
    kill_when(parts, "step-000000012.pt", *both(parts))
    for path in (parts / "checkpoints").glob("step-*.pt"):
        if path.name > "step-000000012.pt":  # the kill may have come a checkpoint later
            path.unlink()
    found = []
    for out in (alone, parts):
        egs = Noted()
        train(out, egs=egs)
        found.append(egs.read)
    assert found[0] == found[1] and len(found[0]) > 3
    assert "another number of processes: same chunks, other bits" in capsys.readouterr().err
    for one, two in zip(curves(undisturbed), curves(parts), strict=True):
        assert all(one[name] == two[name] for name in ("lr", "margin", "chunks"))


def test_a_loss_that_is_not_finite_stops_with_its_batch_named(tmp_path: Path) -> None:
    with pytest.raises(InputError) as caught:
        train(tmp_path, egs=Egs(broken=True))
    message = str(caught.value)
    assert message.startswith("archive train.2: the loss is not finite at step ")
    assert "(epoch 1, batch " in message and "learning rate 0." in message
    assert "features are not finite in chunks 7 (mend the features)" in message


def test_chunks_are_named_by_their_keys_where_the_egs_know_them(tmp_path: Path) -> None:
    class Named(Egs):
        def keys(self, archive: str) -> list[str]:
            return [f"{archive}-utt{n}" for n in range(40)]

    with pytest.raises(InputError, match="not finite in chunks train.2-utt7 "):
        train(tmp_path, egs=Named(broken=True))


def test_a_loss_that_runs_away_names_the_learning_rate(tmp_path: Path) -> None:
    options = replace(OPTIONS, loss="softmax", lr=1e30, final_lr=1e30, warmup_epochs=0)
    with pytest.raises(
        InputError, match=r"learning rate 1e\+30\): features are finite, losses are not.*--train.lr"
    ):
        train(tmp_path, options)


def test_other_options_are_no_continuation(tmp_path: Path) -> None:
    train(tmp_path, stop_after=4)
    with pytest.raises(InputError, match=r"train.lr was 0.08, is 0.1"):
        train(tmp_path, replace(OPTIONS, lr=0.1), stop_after=5)
    with pytest.raises(InputError, match="egs.speakers was 6, is 7"):
        train(tmp_path, egs=Egs(speakers=7), stop_after=5)
    train(tmp_path, replace(OPTIONS, checkpoint_steps=1), stop_after=5)


@pytest.mark.parametrize(
    "change",
    [
        {"precision": "bf16", "schedule": "cosine"},
        {"loss": "softmax", "hidden_dim": 7, "clip_norm": 1.0},
        {"optimiser": "adamw", "lr": 0.01, "final_lr": 0.001, "frequency_masks": 1, "frequency_width": 2},
    ],
    ids=["bf16", "softmax", "adamw"],
)
def test_the_other_ways_learn_and_resume(tmp_path: Path, change: dict) -> None:
    options = replace(OPTIONS, **change)
    train(tmp_path / "whole", options)
    train(tmp_path / "parts", options, stop_after=17)
    train(tmp_path / "parts", options)
    assert curves(tmp_path / "whole")[-1]["valid_accuracy"] > 0.6
    assert weights(tmp_path / "whole") == weights(tmp_path / "parts")


def test_the_tdnn_trains_too(tmp_path: Path) -> None:
    class Longer(Egs):
        def plan(self) -> EgsPlan:
            plan = super().plan()
            long = [replace(info, frames=info.frames + 10) for info in plan.archives]
            return replace(plan, archives=long, valid=[replace(plan.valid[0], frames=25)])

    network = {"channels": 16, "frame_channels": 16}
    parts = {"encoder": "tdnn", "network": network, "pooling": "stats", "pool": {}}
    model = ModelOptions(**parts, pooled_norm=False, xvector_norm=False, xvector_dim=8)  # type: ignore[arg-type]
    train(tmp_path, replace(OPTIONS, loss="softmax", hidden_dim=8), model, egs=Longer())
    assert curves(tmp_path)[-1]["valid_accuracy"] > 0.6


def test_sixteen_bits_need_a_gpu(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="fp16 needs a GPU"):
        train(tmp_path, replace(OPTIONS, precision="fp16", device="cpu"))


def test_tensorboard_events_are_written(tmp_path: Path) -> None:
    train(tmp_path, replace(OPTIONS, epochs=2, tensorboard=True))
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(str(tmp_path / "tensorboard")).Reload()
    assert [event.step for event in events.Scalars("train/loss")] == [1, 2]


def test_it_begins_with_the_weights_of_another_model(undisturbed: Path, tmp_path: Path) -> None:
    folder = str(undisturbed / "model")
    train(tmp_path, replace(OPTIONS, init=folder, epochs=1, lr=1e-9, final_lr=1e-9, average=1))
    ours, theirs = (load_model(path / "model").state_dict() for path in (tmp_path, undisturbed))
    for name, tensor in ours.items():
        if "running" not in name and "num_batches" not in name:
            assert float((tensor - theirs[name]).abs().max()) < 1e-6
    assert curves(tmp_path)[0]["accuracy"] > 0.8  # and with what its loss knows of the speakers


@pytest.mark.parametrize(
    ("model", "contract", "message"),
    [
        (replace(MODEL, xvector_dim=9), CONTRACT, "the model there has xvector_dim 8, this run 9"),
        (MODEL, {**CONTRACT, "kind": "mfcc"}, "the model was trained with kind = fbank, these features have"),
    ],
)
def test_a_model_that_does_not_fit_is_no_beginning(
    undisturbed: Path, tmp_path: Path, model: ModelOptions, contract: dict, message: str
) -> None:
    model, folder = replace(model, feature_dim=BINS), undisturbed / "model"
    with pytest.raises(InputError, match=message):
        stand_in(folder, model, contract, tmp_path / "model")
    stand_in(folder, replace(MODEL, feature_dim=BINS), CONTRACT, tmp_path / "model")
    assert weights(tmp_path) == weights(undisturbed)


def test_a_model_that_stands_in_has_its_own_loss_beside_it_or_none(undisturbed: Path, tmp_path: Path) -> None:
    folder, out, model = undisturbed / "model", tmp_path / "model", replace(MODEL, feature_dim=BINS)
    stand_in(folder, model, CONTRACT, out)
    for name in LOSS:
        assert (out / name).read_bytes() == (folder / name).read_bytes()
    alone = tmp_path / "imported"
    stand_in(folder, model, CONTRACT, alone)
    for name in LOSS:
        (alone / name).unlink()
    stand_in(alone, model, CONTRACT, out)
    assert sorted(path.name for path in out.iterdir()) == ["model.json", "model.safetensors"]

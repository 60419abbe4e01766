"""Losses, schedules, the order of the data, checkpoints: each by itself, with numbers worked out by hand."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml

from pysteps.egs.reader import ArchiveInfo
from pysteps.formats.atomic import asking
from pysteps.formats.errors import InputError
from pysteps.train.arithmetic import choose_precision
from pysteps.train.checkpoint import Checkpoints, mean_of, refuse_changes
from pysteps.train.data import batch_count, batches, draw_masks, epoch_plan, steps_per_epoch
from pysteps.train.judge import judge_speakers
from pysteps.train.loop import check
from pysteps.train.losses import LOSSES, AamHead, SoftmaxHead
from pysteps.train.options import TrainOptions
from pysteps.train.schedules import learning_rate, margin

OPTIONS = TrainOptions(batch_size=4)


class Archives:
    """Chunk i of archive a is full of the number 100 a + i, and so is its label."""

    def __init__(self, *sizes: int) -> None:
        self.infos = [ArchiveInfo(f"train.{a}", chunks, 5 + a) for a, chunks in enumerate(sizes)]
        self.read: list[tuple[str, list[int]]] = []

    def archive(
        self, info: ArchiveInfo, epoch: int = 0, rows: np.ndarray | None = None
    ) -> tuple[np.ndarray, np.ndarray]:
        self.read.append((info.name, [] if rows is None else rows.tolist()))
        labels = 100 * int(info.name.split(".")[1]) + np.arange(info.chunks)
        features = np.broadcast_to(labels[:, None, None], (info.chunks, info.frames, 3))
        return (features.astype(np.float32), labels) if rows is None else (features[rows], labels[rows])


# --- losses


def test_softmax_by_hand() -> None:
    head = SoftmaxHead(2, 2, OPTIONS)
    with torch.no_grad():
        head.output.weight.copy_(torch.tensor([[1.0, 0.0], [0.0, 1.0]]))
        head.output.bias.copy_(torch.tensor([0.0, 1.0]))
    loss, logits = head(torch.tensor([[2.0, 0.0]]), torch.tensor([1]))
    assert logits.tolist() == [[2.0, 1.0]]
    assert float(loss.detach()) == pytest.approx(math.log(math.exp(2) + math.exp(1)) - 1)


def aam(angle: float, margin: float) -> tuple[float, list[float]]:
    """Loss and logits of an x-vector at ``angle`` from its own centre, and 90 degrees on from the other."""
    head = AamHead(2, 2, replace(OPTIONS, scale=10.0))
    with torch.no_grad():
        head.centres.copy_(torch.tensor([[3.0, 0.0], [0.0, 0.5]]))
    xvector = 7 * torch.tensor([[math.cos(angle), math.sin(angle)]])
    loss, logits = head(xvector, torch.tensor([0]), margin)
    return float(loss.detach()), logits[0].tolist()


def test_aam_moves_the_own_angle_by_the_margin() -> None:
    loss, logits = aam(0.5, 0.2)
    own, other = 10 * math.cos(0.7), 10 * math.sin(0.5)
    assert loss == pytest.approx(math.log1p(math.exp(other - own)), rel=1e-5)
    assert logits == pytest.approx([10 * math.cos(0.5), other], rel=1e-5)


def test_aam_goes_on_falling_behind_pi_minus_margin() -> None:
    own = {3.1: math.cos(3.1) - 0.2 * math.sin(0.2), 2.9: math.cos(2.9 + 0.2)}
    assert own[3.1] < own[2.9]  # cos(3.1 + 0.2) would not be
    for angle, cosine in own.items():
        loss = math.log1p(math.exp(10 * math.sin(angle) - 10 * cosine))
        assert aam(angle, 0.2)[0] == pytest.approx(loss, rel=1e-5)


def test_aam_with_no_margin_is_softmax_of_scaled_cosines() -> None:
    loss, logits = aam(1.0, 0.0)
    assert loss == pytest.approx(math.log1p(math.exp(logits[1] - logits[0])), rel=1e-5)


def test_aam_has_a_gradient_at_its_centre() -> None:
    head = AamHead(2, 2, OPTIONS)
    xvector = head.centres.detach()[:1].clone().requires_grad_()
    head(xvector, torch.tensor([0]), 0.2)[0].sum().backward()
    assert xvector.grad is not None and bool(torch.isfinite(xvector.grad).all())


def test_an_unknown_loss_is_refused_with_the_known_ones() -> None:
    with pytest.raises(InputError, match="unknown loss 'amm'; known: aam, am, aproto"):
        LOSSES["amm"]


# --- schedules


def test_exponential_schedule_with_warm_up() -> None:
    options = TrainOptions(epochs=10, lr=0.1, final_lr=0.001, warmup_epochs=1, schedule="exponential")
    rates = [learning_rate(step, 10, options) for step in range(100)]
    assert rates[0] == pytest.approx(0.1 * 0.1)
    assert rates[4] == pytest.approx(0.5 * 0.1 * 0.01 ** (4 / 99))
    assert rates[33] == pytest.approx(0.1 * 0.01 ** (1 / 3))
    assert rates[-1] == pytest.approx(0.001)


def test_cosine_schedule() -> None:
    options = TrainOptions(epochs=1, lr=0.3, final_lr=0.1, warmup_epochs=0, schedule="cosine")
    assert [learning_rate(step, 5, options) for step in (0, 2, 4)] == pytest.approx([0.3, 0.2, 0.1])


def test_step_schedule_falls_down_to_the_least() -> None:
    options = TrainOptions(
        epochs=9, lr=0.1, final_lr=0.005, warmup_epochs=0, schedule="step", step_epochs=2, step_factor=0.1
    )
    rates = [learning_rate(step, 3, options) for step in (0, 5, 6, 11, 12, 26)]
    assert rates == pytest.approx([0.1, 0.1, 0.01, 0.01, 0.005, 0.005])


@pytest.mark.parametrize(("growth", "half"), [("linear", 0.1), ("exponential", 0.2 / (1 + 1e-3**0.5))])
def test_margin_rises_from_epoch_to_epoch(growth: str, half: float) -> None:
    options = TrainOptions(margin=0.2, margin_start_epoch=2, margin_end_epoch=4, margin_growth=growth)
    margins = [margin(step, 10, options) for step in (0, 20, 30, 40, 400)]
    assert margins == pytest.approx([0, 0, half, 0.2, 0.2])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"schedule": "cosin"}, "did you mean cosine"),
        ({"final_lr": 1.0}, "at most lr"),
        ({"margin_growth": "fast"}, "known: exponential, linear"),
        ({"margin_end_epoch": 1.0}, "after margin_end_epoch"),
        ({"optimiser": "adamww"}, "did you mean adamw"),
        ({"epochs": 0}, "epochs is 0"),
        ({"batch_size": 1}, "batch_size is 1"),
    ],
)
def test_options_that_cannot_be_trained_with_are_refused(change: dict, message: str) -> None:
    with pytest.raises(InputError, match=message):
        check(replace(OPTIONS, **change))


def test_every_train_conf_is_good(repo: Path) -> None:
    for path in (repo / "conf" / "train").glob("*.yaml"):
        content = yaml.safe_load(path.read_text("utf-8"))
        asked = {"init": "exp/base/model"} if content.get("init") == "?" else {}
        check(TrainOptions(**content | asked))


# --- data


def test_an_archive_is_cut_into_batches_of_nearly_one_size() -> None:
    source = Archives(9)
    ((_, parts),) = epoch_plan(source.infos, 0, OPTIONS)
    assert [len(part) for part in parts] == [3, 3, 3]
    assert batch_count(source.infos[0], 4) == 3
    assert batch_count(source.infos[0], 8) == 2


def test_a_process_never_gets_a_single_chunk() -> None:
    infos = Archives(1, 9).infos
    assert [batch_count(info, 4, 1) for info in infos] == [0, 3]
    assert [batch_count(info, 4, 2) for info in infos] == [0, 0]
    assert steps_per_epoch(infos, 8, 2) == 2


def test_an_epoch_takes_every_chunk_once_in_an_order_of_its_own() -> None:
    source = Archives(9, 8, 4, 5)
    orders = []
    for epoch in (0, 1, 0):
        found = list(batches(source, source.infos, epoch, OPTIONS))
        assert [batch.number for batch in found] == list(range(steps_per_epoch(source.infos, 4)))
        orders.append([int(label) for batch in found for label in batch.labels])
        for batch in found:
            assert batch.features[:, 0, 0].tolist() == batch.labels.tolist()
            assert len({label // 100 for label in batch.labels.tolist()}) == 1
    assert sorted(orders[0]) == [a * 100 + i for a, size in enumerate((9, 8, 4, 5)) for i in range(size)]
    assert orders[0] == orders[2] != orders[1]
    assert [label // 100 for label in orders[0]] != [label // 100 for label in orders[1]]


def test_an_epoch_goes_on_from_any_batch_without_reading_what_is_done() -> None:
    source = Archives(9, 8, 4)
    whole = list(batches(source, source.infos, 3, OPTIONS))
    for first in range(len(whole) + 1):
        source.read.clear()
        rest = list(batches(source, source.infos, 3, OPTIONS, first=first))
        assert [batch.labels.tolist() for batch in rest] == [b.labels.tolist() for b in whole[first:]]
        taken: dict[str, list[int]] = {}
        for batch in rest:
            taken.setdefault(batch.archive, []).extend(batch.rows.tolist())
        assert dict(source.read) == taken and len(source.read) == len(taken)


def test_processes_share_each_batch() -> None:
    source = Archives(9, 11)
    options = replace(OPTIONS, batch_size=6, time_masks=1)
    whole = list(batches(source, source.infos, 0, options))
    stripes = [list(batches(source, source.infos, 0, options, rank=rank, width=2)) for rank in (0, 1)]
    for one, left, right in zip(whole, *stripes, strict=True):
        assert left.labels.tolist() == one.labels[::2].tolist()
        assert right.labels.tolist() == one.labels[1::2].tolist()
        assert np.array_equal(left.features, one.features[::2])
        assert np.array_equal(right.features, one.features[1::2])
        # The mean of the processes' weighted means is the mean over all chunks.
        mean = (left.share * left.labels.mean() + right.share * right.labels.mean()) / 2
        assert mean == pytest.approx(one.labels.mean())


def test_masks_are_spans_of_at_most_their_width() -> None:
    options = TrainOptions(time_masks=1, time_width=4, frequency_masks=2, frequency_width=3)
    frames, bins = draw_masks(500, 20, 8, options, np.random.default_rng(0))
    assert set(frames.sum(1).tolist()) == {0, 1, 2, 3, 4}
    assert bins.sum(1).max() <= 6 and frames.any(0).all() and bins.any(0).all()
    edges = np.diff(frames.astype(int), axis=1, prepend=0)
    assert ((edges == 1).sum(1) <= 1).all()


def test_masked_features_are_zero_elsewhere_untouched() -> None:
    source = Archives(4)
    options = replace(OPTIONS, frequency_masks=1, frequency_width=2)
    (batch,) = batches(source, source.infos, 1, options)
    for chunk, label in zip(batch.features, batch.labels, strict=True):
        assert all((column == 0).all() or (column == label).all() for column in chunk.T)
    assert (batch.features[batch.labels > 0] == 0).any()


# --- checkpoints


def test_a_training_that_is_no_longer_wanted_removes_no_models(tmp_path: Path) -> None:
    def refuse() -> None:
        raise InputError("left over")

    checkpoints = Checkpoints(tmp_path)
    checkpoints.save_epoch({"w": torch.tensor([1.0])}, 1, [1])
    with asking(refuse), pytest.raises(InputError, match="left over"):
        checkpoints.save_epoch({"w": torch.tensor([2.0])}, 2, [])
    assert [path.name for path in tmp_path.iterdir()] == ["epoch-00001.pt"]


def test_checkpoints_keep_two_and_the_models_to_average(tmp_path: Path) -> None:
    checkpoints = Checkpoints(tmp_path)
    for step in range(1, 5):
        checkpoints.save({"step": step}, step)
        checkpoints.save_epoch({"w": torch.tensor([float(step)])}, step, range(step - 2, step + 1))
    names = sorted(path.name for path in tmp_path.iterdir())
    assert names == [
        "epoch-00002.pt", "epoch-00003.pt", "epoch-00004.pt", "step-000000003.pt", "step-000000004.pt"
    ]  # fmt: skip
    assert checkpoints.newest() == {"step": 4}
    assert checkpoints.average([2, 3, 4])["w"].tolist() == [3.0]


def test_a_damaged_checkpoint_is_said_and_passed_over(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    checkpoints = Checkpoints(tmp_path)
    checkpoints.save({"step": 1}, 1)
    checkpoints.save({"step": 2}, 2)
    newest = tmp_path / "step-000000002.pt"
    newest.write_bytes(newest.read_bytes()[:100])
    (tmp_path / ".step-000000003.pt.part.host.1.0").write_bytes(b"left by a kill")
    assert checkpoints.newest() == {"step": 1}
    assert "step-000000002.pt: damaged" in capsys.readouterr().err


def test_a_checkpoint_is_never_unpickled(tmp_path: Path) -> None:
    import pickle

    (tmp_path / "step-000000001.pt").write_bytes(pickle.dumps(OPTIONS, 2))
    assert Checkpoints(tmp_path).newest() is None


def test_the_mean_of_models_takes_in_buffers_but_not_counts() -> None:
    models = [{"w": torch.tensor([v]), "n": torch.tensor(int(v))} for v in (1.0, 2.0, 6.0)]
    mean = mean_of(models)
    assert mean["w"].tolist() == [3.0] and mean["w"].dtype == torch.float32
    assert int(mean["n"]) == 6


def test_what_changed_since_the_checkpoint_is_named() -> None:
    with pytest.raises(InputError, match=r"a: .*train.lr was 0.1, is 0.2; x was None, is 1"):
        refuse_changes({"train.lr": 0.1, "same": 3}, {"train.lr": 0.2, "same": 3, "x": 1}, Path("a"))


# --- judging


class Dev:
    """Utterances that are constant vectors; trials between all pairs."""

    def __init__(self, rows: list[tuple[int, list[float]]], lengths: list[int]) -> None:
        self.rows, self.lengths = rows, lengths

    def utterances(self):
        for index, ((_, value), length) in enumerate(zip(self.rows, self.lengths, strict=True)):
            yield f"u{index}", np.tile(np.asarray(value, np.float32), (length, 1))

    @property
    def trials(self):
        first, second = np.triu_indices(len(self.rows), 1)
        speakers = np.asarray([speaker for speaker, _ in self.rows])
        return first, second, speakers[first] == speakers[second]


class MeanModel(torch.nn.Module):
    """The x-vector is the mean of the frames."""

    min_frames = 3

    class options:
        xvector_dim = 2

    def __init__(self) -> None:
        super().__init__()
        self.one = torch.nn.Parameter(torch.ones(1))
        self.eval()

    def forward(self, features: torch.Tensor, weights: torch.Tensor | None = None) -> torch.Tensor:
        return self.one * features.mean(1)


def test_development_eer() -> None:
    apart = [(0, [1.0, 0.1]), (0, [1.0, -0.1]), (1, [-1.0, 0.1]), (1, [-1.0, -0.1])]
    mixed = [(0, [1.0, 0.1]), (1, [1.0, -0.1]), (0, [-1.0, 0.1]), (1, [-1.0, -0.1])]
    assert judge_speakers(MeanModel(), Dev(apart, [5, 9, 5, 4])).eer == 0.0  # type: ignore[arg-type]
    assert judge_speakers(MeanModel(), Dev(mixed, [5, 9, 5, 4])).eer >= 0.5  # type: ignore[arg-type]


def test_development_utterances_that_are_too_short_do_not_count() -> None:
    rows = [(0, [1.0, 0.1]), (0, [1.0, -0.1]), (1, [-1.0, 0.1]), (1, [1.0, -0.1])]
    assert judge_speakers(MeanModel(), Dev(rows, [5, 5, 5, 2])).eer == 0.0  # type: ignore[arg-type]


def test_automatic_precision_is_what_the_processor_can(monkeypatch: pytest.MonkeyPatch) -> None:
    for able, dtype in (({"avx512_bf16": True}, torch.bfloat16), ({"avx512_bf16": False}, torch.float32)):
        monkeypatch.setattr(torch.cpu, "get_capabilities", lambda able=able: able)
        assert choose_precision("auto", torch.device("cpu")) == dtype

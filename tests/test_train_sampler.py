"""Batches of speakers by chunks: who is in them, in what order, and when there are too few."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from pysteps.egs.reader import ArchiveInfo, EgsPlan
from pysteps.egs.source import EgsFolder
from pysteps.formats.errors import InputError
from pysteps.models.options import ModelOptions
from pysteps.train.balance import deal, refuse_unbalanced
from pysteps.train.data import Batch, batch_count, batches, steps_per_epoch
from pysteps.train.loop import run_training
from pysteps.train.options import TrainOptions

OPTIONS = TrainOptions(batch_size=6, utterances_per_speaker=2)  # three speakers
RNG = np.random.default_rng


def chosen(
    features: np.ndarray, labels: np.ndarray, rows: np.ndarray | None
) -> tuple[np.ndarray, np.ndarray]:
    return (features, labels) if rows is None else (features[rows], labels[rows])


class Egs:
    """Archives whose chunks are full of their place, of speakers that are given; ``spread`` by the epoch."""

    def __init__(self, *labels: list[int], spread: int = 0) -> None:
        self.of = {f"train.{number}": np.asarray(row) for number, row in enumerate(labels)}
        self.infos = [ArchiveInfo(name, len(row), 4) for name, row in self.of.items()]
        self.spread = spread

    def archive(
        self, info: ArchiveInfo, epoch: int = 0, rows: np.ndarray | None = None
    ) -> tuple[np.ndarray, np.ndarray]:
        places = np.arange(info.chunks, dtype=np.float32)[:, None, None]
        labels = self.of[info.name] + 10 * (RNG(epoch).integers(0, self.spread + 1, info.chunks))
        return chosen(np.broadcast_to(places, (info.chunks, 4, 3)).copy(), labels, rows)


class Labelled(Egs):
    """The same, and it knows its labels before it is read."""

    def labels(self, archive: str, epoch: int | None = None) -> np.ndarray:
        return self.of[archive]


UNEVEN = Egs([0] * 9 + [1] * 4 + [2] * 5 + [3] * 2 + [4], [0, 1, 2, 3] * 6)


def taken(source: Egs, epoch: int = 0, options: TrainOptions = OPTIONS, **rest: int) -> list[Batch]:
    return list(batches(source, source.infos, epoch, options, **rest))


def seen(found: list[Batch]) -> list[tuple[str, list[int]]]:
    return [(batch.archive, batch.rows.tolist()) for batch in found]


def test_a_batch_is_other_speakers_with_their_chunks_side_by_side() -> None:
    for batch in taken(UNEVEN):
        assert batch.labels.tolist() == [label for label in batch.labels[::2].tolist() for _ in range(2)]
        assert len(set(batch.labels.tolist())) == 3 and len(set(batch.rows.tolist())) == 6
        assert batch.features[:, 0, 0].tolist() == batch.rows.tolist()


def test_as_many_batches_as_the_chunks_fill() -> None:
    # 21 chunks, 24 chunks; with 14 a batch of 8 chunks is filled once, with 5 not at all and yet taken.
    assert steps_per_epoch(UNEVEN.infos, 6, 1, 2) == 3 + 4 == len(taken(UNEVEN))
    assert [batch_count(ArchiveInfo("train.1", n, 4), 9, 1, 4) for n in (5, 8, 14, 16)] == [1, 1, 1, 2]


def test_an_archive_of_even_speakers_is_gone_through_once() -> None:
    rows = [row for archive, rows in seen(taken(UNEVEN)) if archive == "train.1" for row in rows]
    assert sorted(rows) == list(range(24))


def test_the_most_batches_come_before_any_chunk_comes_again() -> None:
    # Groups of 2: five, three, one and one; four batches of two speakers, if the first is in all but one.
    labels = np.asarray([0] * 10 + [1] * 6 + [2] * 2 + [3] * 3)
    for seed in range(20):
        found = deal(labels, 5, 2, 2, RNG(seed))
        assert max(Counter(np.concatenate(found).tolist()).values()) == 1
        assert all(len(set(labels[rows])) == 2 for rows in found)


def test_chunks_come_again_where_a_speaker_is_most_of_an_archive() -> None:
    labels = np.asarray([0] * 18 + [1, 1])
    found = deal(labels, 5, 2, 2, RNG(0))
    counts = Counter(np.concatenate(found).tolist())
    assert len(found) == 5 and counts[18] == counts[19] == 5


def test_epochs_differ_and_come_again() -> None:
    first, second, again = (seen(taken(UNEVEN, epoch)) for epoch in (0, 1, 0))
    assert first == again != second
    assert first != seen(taken(UNEVEN, options=replace(OPTIONS, seed=1)))


def test_an_epoch_goes_on_from_any_batch() -> None:
    whole = seen(taken(UNEVEN, 3))
    for first in range(len(whole) + 1):
        assert seen(taken(UNEVEN, 3, first=first)) == whole[first:]


def test_processes_share_whole_speakers() -> None:
    source = Egs(list(range(8)) * 3)
    options = replace(OPTIONS, batch_size=10, time_masks=1)
    whole = taken(source, options=options)
    stripes = [taken(source, options=options, rank=rank, width=2) for rank in (0, 1)]
    for one, left, right in zip(whole, *stripes, strict=True):
        assert left.labels.tolist() == one.labels.reshape(5, 2)[::2].ravel().tolist()
        assert right.labels.tolist() == one.labels.reshape(5, 2)[1::2].ravel().tolist()
        assert np.array_equal(left.features, one.features.reshape(5, 2, 4, 3)[::2].reshape(-1, 4, 3))
        assert (left.share, right.share) == pytest.approx((6 / 5, 4 / 5))


def test_the_labels_are_those_after_augmentation() -> None:
    source = Egs([0, 1, 2, 3, 4, 5] * 8, spread=2)  # up to eighteen speakers of them
    for epoch in (0, 1):
        labels = [label for batch in taken(source, epoch) for label in batch.labels[::2].tolist()]
        assert max(labels) >= 20
        assert all(len(set(batch.labels[::2].tolist())) == 3 for batch in taken(source, epoch))


def test_too_few_speakers_are_said_when_an_archive_is_read() -> None:
    source = Egs([0, 0, 1, 1, 2, 3, 4])
    with pytest.raises(
        InputError, match="train.0: 2 speakers have 2 chunks, a batch needs 3 .*lower --train"
    ):
        taken(source)


def test_too_few_speakers_are_said_before_training_where_labels_are_known() -> None:
    refuse_unbalanced(
        Labelled([0, 0, 1, 1, 2, 2]), UNEVEN.infos[:1], replace(OPTIONS, utterances_per_speaker=0)
    )
    few = Labelled([0, 0, 1, 1, 2, 2], [0, 0, 1, 1, 2, 3, 3], [0, 0, 1, 2, 3, 4], [0, 0, 1, 1, 2])
    refuse_unbalanced(few, few.infos[:2], OPTIONS)
    message = "train.2: 2 of 4 archives: 1 speakers have 2 chunks, a batch needs 3 .*--egs.archive_chunks"
    with pytest.raises(InputError, match=message):
        refuse_unbalanced(few, few.infos, OPTIONS)


def test_a_process_with_one_speaker_is_refused() -> None:
    with pytest.raises(InputError, match="3 speakers for 2 processes: .*batch_size 8 or more"):
        taken(UNEVEN, width=2)


def test_an_egs_folder_knows_its_labels(tmp_path: Path) -> None:
    (tmp_path / "train.1.lab").write_text("0-a@3 7\n1-b@0 2\n", "utf-8")
    assert EgsFolder(tmp_path).labels("train.1").tolist() == [7, 2]


# --- a training with them


class Speakers(Labelled):
    """Six speakers that differ in the level of their bins."""

    def __init__(self) -> None:
        super().__init__(*([number % 6 for number in range(24 + more)] for more in (0, 6, 7)))

    def plan(self) -> EgsPlan:
        return EgsPlan(6, 3, self.infos, [ArchiveInfo("valid.1", 6, 12)], [f"s{n}" for n in range(6)])

    def archive(
        self, info: ArchiveInfo, epoch: int = 0, rows: np.ndarray | None = None
    ) -> tuple[np.ndarray, np.ndarray]:
        labels = self.of.get(info.name, np.arange(6))
        noise = RNG(info.chunks).normal(size=(info.chunks, 12, 3))
        levels = 2 * RNG(0).normal(size=(6, 3))[labels][:, None]
        return chosen((levels + noise).astype(np.float32), labels, rows)


def train(out: Path, line: str, stop_after: int | None = None) -> list[dict]:
    options = TrainOptions(
        loss=line, batch_size=8, utterances_per_speaker=2, epochs=3, lr=0.05, warmup_epochs=0, average=1,
        checkpoint_steps=2, threads=1, margin_start_epoch=0, margin_end_epoch=1,
    )  # fmt: skip
    small = {"channels": 8, "frame_channels": 8, "scale": 2, "se_channels": 4}
    model = ModelOptions(network=small, pool={"attention_channels": 4}, xvector_dim=6)
    run_training(options, model, Speakers(), None, out, {"dim": 3}, stop_after=stop_after)
    return [json.loads(line) for line in (out / "curves.jsonl").read_text("utf-8").splitlines()]


@pytest.mark.parametrize("line", ["triplet mining=random", "aam subcentres=2 top=2 + 0.1 ge2e + 0.01 center"])
def test_a_training_with_them_learns_and_goes_on_to_the_same_bytes(tmp_path: Path, line: str) -> None:
    lines = train(tmp_path / "whole", line)
    assert lines[-1]["accuracy"] > lines[0]["accuracy"] and lines[-1]["loss"] < lines[0]["loss"]
    assert ("valid_loss" in lines[0]) == ("aam" in line)
    for stop in (3, 11):
        train(tmp_path / "stopped", line, stop_after=stop)
    train(tmp_path / "stopped", line)
    one, two = (tmp_path / name / "model" / "model.safetensors" for name in ("whole", "stopped"))
    assert one.read_bytes() == two.read_bytes()

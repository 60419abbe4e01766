"""The egs plan: every chunk lies inside its utterance, lengths are random, nothing depends on chance."""

from __future__ import annotations

import math
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest

from pysteps.egs.options import EgsOptions, relevant
from pysteps.egs.plan import Source, filtered, hold_out, plan_training, plan_validation
from pysteps.egs.reader import ArchiveInfo, read_archive
from pysteps.formats import arks
from pysteps.formats.errors import InputError


def sources(count: int = 200, copies: int = 1) -> list[Source]:
    lengths = np.random.default_rng(0).integers(150, 600, count)
    return [
        Source(
            f"set{copy}",
            f"u{number:03d}-{copy}" if copy else f"u{number:03d}",
            f"u{number:03d}",
            f"s{number % 20:02d}",
            int(frames),
        )
        for copy in range(copies)
        for number, frames in enumerate(lengths)
    ]


def test_every_chunk_lies_inside_its_utterance() -> None:
    pool = sources(300)
    for plan in plan_training(pool, 200, 400, 3.0, 50, seed=1):
        frames = np.asarray([pool[index].frames for index in plan.source])
        assert 200 <= plan.frames <= 400
        assert (plan.start >= 0).all() and (plan.start + plan.frames <= frames).all()


def test_every_long_enough_utterance_is_used_and_no_other() -> None:
    pool = sources(300)
    used = {int(index) for plan in plan_training(pool, 200, 400, 1.0, 50, seed=1) for index in plan.source}
    assert used == {index for index, source in enumerate(pool) if source.frames >= 200}


def test_repeats_is_how_often_a_frame_is_taken() -> None:
    pool = sources(400)
    plans = plan_training(pool, 100, 200, 5.0, 100, seed=1)
    taken = sum(plan.frames * len(plan.source) for plan in plans)
    assert taken / sum(source.frames for source in pool) == pytest.approx(5.0, rel=0.03)


def test_lengths_cover_the_range_and_chunks_are_shuffled_over_archives() -> None:
    pool = [Source("d", f"u{n}", f"u{n}", f"s{n // 50}", 1000) for n in range(1000)]
    plans = plan_training(pool, 200, 400, 2.0, 100, seed=3)
    lengths = sorted(plan.frames for plan in plans)
    assert lengths[0] == 200 and lengths[-1] > 380 and len(set(lengths)) == len(lengths)
    # Twenty speakers of equal size: at about 70 chunks an archive a random one misses 0.5 of them on average.
    seen = [len({pool[index].speaker for index in plan.source}) for plan in plans]
    assert np.mean(seen) > 19


def test_the_plan_is_the_seeds_alone() -> None:
    first, again, other = (plan_training(sources(), 150, 300, 2.0, 40, seed=seed) for seed in (5, 5, 6))
    assert all(
        np.array_equal(a.source, b.source) and np.array_equal(a.start, b.start)
        for a, b in zip(first, again, strict=True)
    )
    assert any(not np.array_equal(a.start, b.start) for a, b in zip(first, other, strict=False))


def test_held_out_utterances_are_of_different_speakers_and_none_of_a_small_one() -> None:
    pool = [*sources(60), Source("d", "x1", "x1", "small", 300), Source("d", "x2", "x2", "small", 300)]
    held = hold_out(pool, 0.1, seed=0)
    speakers = [source.speaker for source in pool if source.utt in held]
    assert len(held) == 6 and len(set(speakers)) == 6 and "small" not in speakers


def test_validation_takes_the_middle() -> None:
    plan = plan_validation([Source("d", "a", "a", "s", 300), Source("d", "b", "b", "s", 251)], 200)
    assert plan is not None and plan.frames == 200 and plan.start.tolist() == [50, 25]


def test_nothing_long_enough_is_an_error() -> None:
    with pytest.raises(InputError, match="no utterance has 700 voiced frames"):
        plan_training(sources(10), 700, 800, 1.0, 10, seed=0)


def test_reading_an_archive_that_lost_a_label_is_refused(tmp_path: Path) -> None:
    with arks.writing(tmp_path / "train.1.ark") as writer:
        for key in ("a", "b"):
            writer.array(key, np.ones((4, 2), np.float32), arks.TWO_BYTES)
    (tmp_path / "train.1.lab").write_text("a 0\nb 1\n")
    chunks, labels = read_archive(tmp_path, ArchiveInfo("train.1", 2, 4))
    assert chunks.shape == (2, 4, 2) and labels.tolist() == [0, 1]
    (tmp_path / "train.1.lab").write_text("a 0\n")
    with pytest.raises(InputError, match="does not hold what egs.json says"):
        read_archive(tmp_path, ArchiveInfo("train.1", 2, 4))


@pytest.mark.parametrize(
    ("setting", "value", "said"),
    [
        ("archive_chunks", 0, "archive_chunks is 0.*at least 1"),
        ("repeats", -1.0, "repeats is -1.*positive"),
        ("repeats", math.inf, "repeats is inf"),
        ("valid_share", 2.0, "valid_share is 2.*0 .none. to below 1"),
        ("valid_share", -0.1, "valid_share is -0.1"),
        ("min_utterance_seconds", -1.0, "min_utterance_seconds is -1.*both are 0"),
        ("min_speaker_utterances", -1, "min_speaker_utterances is -1"),
        ("min_seconds", 0.0, "chunks of 0.* to 4.0 seconds"),
        ("min_seconds", 5.0, "not above --egs.max_seconds"),
        ("max_seconds", math.nan, "chunks of 2.0 to nan seconds"),
    ],
)
def test_numbers_that_no_plan_can_use_are_refused(setting: str, value: float, said: str) -> None:
    with pytest.raises(InputError, match=said):
        EgsOptions(**{setting: value})  # type: ignore[arg-type]


POOL = [
    Source("d", "a1", "a1", "a", 500),
    Source("d", "a2", "a2", "a", 399),
    Source("d", "a3", "a3", "a", 400),
    Source("d", "b1", "b1", "b", 900),
    Source("n", "a1-n", "a1", "a", 450),
    Source("n", "a2-n", "a2", "a", 440),  # slower, but of a clean one that is too short
    Source("n", "b1-n", "b1", "b", 900),
    Source("n", "c1-n", "c1", "c", 300),  # its clean utterance is not there
]


def test_filters_go_by_the_clean_utterance_and_copies_follow() -> None:
    kept, gone = filtered(POOL, 400, 2)
    assert [source.utt for source in kept] == ["a1", "a3", "a1-n"]
    assert gone == {
        "a2": "399 voiced frames, fewer than 400",
        "a2-n": "399 voiced frames, fewer than 400",
        "b1": "b has 1 utterances, fewer than 2",
        "b1-n": "b has 1 utterances, fewer than 2",
        "c1-n": "300 voiced frames, fewer than 400",
    }


def test_no_filter_keeps_all_and_filters_that_leave_nothing_are_refused() -> None:
    assert filtered(POOL, 0, 0) == (POOL, {})
    with pytest.raises(InputError, match="the filters leave none of 8 utterances"):
        filtered(POOL, 400, 3)


def test_a_filter_that_is_not_used_leaves_older_egs_fresh() -> None:
    plain = asdict(EgsOptions())
    assert not {"min_utterance_seconds", "min_speaker_utterances"} & relevant(plain).keys()
    assert relevant({**plain, "min_speaker_utterances": 8})["min_speaker_utterances"] == 8
    assert relevant(plain)["seed"] == 0  # a nought that decides something is said

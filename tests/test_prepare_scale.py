"""Stage 0 at VoxCeleb's size: seconds and memory bounded; a shared speaker found in a million lines."""

from __future__ import annotations

import sys
import time
from pathlib import Path

import pytest

from pysteps.formats.datadir import DataSet, refuse_overlap
from pysteps.formats.errors import InputError

REPO = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(REPO / "tests" / "bench"))

import corpus  # noqa: E402


def test_a_small_tree_is_prepared_split_and_combined(tmp_path: Path) -> None:
    figures = corpus.simulate(tmp_path, corpus.Size(0.002))
    assert [figure.step for figure in figures] == [
        "prepare and validate",
        "validate train",
        "split train",
        "combine",
    ]
    data = tmp_path / "work" / "data"
    assert DataSet(data / "both").utt2spk() == DataSet(data / "train").utt2spk()


def test_a_speaker_of_the_evaluation_is_found_among_a_million_lines(tmp_path: Path) -> None:
    for name, first, count in (("train", 0, 1_100_000), ("eval", 6_000, 150_000)):
        (tmp_path / name).mkdir()
        lines = (f"id{first + n % 6_000:05d}-{n:07d} id{first + n % 6_000:05d}\n" for n in range(count))
        (tmp_path / name / "utt2spk").write_text("".join(lines))
    train, judged = DataSet(tmp_path / "train"), DataSet(tmp_path / "eval")
    began = time.process_time()
    refuse_overlap(train, [judged])
    with open(tmp_path / "train" / "utt2spk", "a") as handle:
        handle.write("id06001-9999999 id06001\n")
    with pytest.raises(InputError, match="1 speakers are in train and in eval: id06001"):
        refuse_overlap(train, [judged])
    assert time.process_time() - began < 10


@pytest.mark.long
def test_voxcelebs_lists_take_a_minute_and_two_gigabytes_at_most(tmp_path: Path) -> None:
    figures = {figure.step: figure for figure in corpus.simulate(tmp_path, corpus.Size())}
    assert len(figures) == 4
    slow = [figure for figure in figures.values() if figure.cpu > 60 or figure.peak > 2000]
    assert not slow

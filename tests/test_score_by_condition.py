"""Stage 9's conditions: what a set's tables say of its trials."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from pysteps.formats import tables
from pysteps.formats.errors import InputError
from pysteps.formats.run import Run
from pysteps.score import read_trials
from pysteps.score.by_condition import conditions
from tests.vector_run import small_run


@pytest.fixture
def run(tmp_path: Path) -> Run:
    return small_run(tmp_path)


def test_sessions_are_the_same_or_different_and_seconds_three_classes(run: Run) -> None:
    utts = run.set("eval").utt2spk()
    tables.write_table(run.data / "eval" / "utt2session", {utt: utt[-1] for utt in utts if utt != "eval00-0"})
    folder = run.of("audio", "eval")
    folder.mkdir(parents=True)
    tables.write_table(folder / "utt2dur", {utt: str(1 + int(utt[-1])) for utt in utts})
    trials = read_trials(run.data / "eval" / "trials")
    found = conditions(run, run.set("eval"), trials)
    pairs = [(int(a[-1]), int(b[-1]), "eval00-0" in (a, b)) for a, b in map(trials.pair, range(len(trials)))]
    said = [found["session"].names[code] for code in found["session"].codes]
    assert said == ["unknown" if lost else "same" if a == b else "different" for a, b, lost in pairs]
    lengths = np.array([1 + min(a, b) for a, b, _ in pairs])
    low, high = np.quantile(lengths, (1 / 3, 2 / 3))
    assert found["duration"].codes.tolist() == [int(one >= low) + int(one >= high) for one in lengths]
    assert found["duration"].names[0] == f"1: below {low:g} s"


def test_a_model_has_the_label_that_its_utterances_share_and_the_sum_of_their_seconds(run: Run) -> None:
    data = run.data / "eval"
    utts = run.set("eval").utt2spk()
    tables.write_table(data / "enrol", {"A": "eval00-0 eval00-1", "B": "eval01-0 eval01-1"})
    tables.write_table(data / "utt2lang", {utt: "de" if utt == "eval01-1" else "cs" for utt in utts})
    folder = run.of("audio", "eval")
    folder.mkdir(parents=True)
    tables.write_table(folder / "utt2dur", dict.fromkeys(utts, "2") | {"eval02-2": "3", "eval02-3": "99"})
    lines = ["A eval00-2 target", "B eval02-2 nontarget", "A eval02-3 nontarget"]
    (data / "trials").write_text("\n".join(lines) + "\n")
    found = conditions(run, run.set("eval"), read_trials(data / "trials"))
    said = [found["language"].names[code] for code in found["language"].codes]
    assert said == ["cs", "cs-mixed", "cs"]
    assert found["duration"].codes.tolist() == [0, 1, 2]  # 2, 3 and 4 seconds: the model's are summed


def test_a_length_that_is_no_number_is_named(run: Run) -> None:
    folder = run.of("audio", "eval")
    folder.mkdir(parents=True)
    lengths = dict.fromkeys(run.set("eval").utt2spk(), "1")
    tables.write_table(folder / "utt2dur", lengths | {"eval03-1": "nan"})
    with pytest.raises(InputError, match="utt2dur: utterance eval03-1: 'nan' is no length"):
        conditions(run, run.set("eval"), read_trials(run.data / "eval" / "trials"))

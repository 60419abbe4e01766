"""Stage 9's conditions: what a set's tables say of its trials."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from pysteps.formats import tables
from pysteps.formats.errors import InputError
from pysteps.formats.run import Run
from pysteps.metrics import cllr, eer
from pysteps.score import read_scores, read_trials
from pysteps.score import stage as score
from pysteps.score.by_condition import by_condition, conditions
from pysteps.score.conditions import Classes
from tests.vector_run import figures_of, small_run, staged, with_backends, with_model

pytestmark = pytest.mark.usefixtures("undrawn")


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


def test_seconds_of_dropped_utterances_are_not_summed(run: Run) -> None:
    data, folder = run.data / "eval", run.of("audio", "eval")
    utts = run.set("eval").utt2spk()
    tables.write_table(data / "enrol", {"A": "eval00-0 eval00-1", "B": "eval01-0 eval01-1"})
    tables.write_table(run.exp / "xvectors" / "eval" / "dropped", {"eval00-1": "too short"})
    folder.mkdir(parents=True)
    tables.write_table(folder / "utt2dur", dict.fromkeys(utts, "9") | {"eval00-0": "2", "eval01-0": "2"})
    (data / "trials").write_text("A eval00-2 target\nB eval02-2 nontarget\nB eval01-2 target\n")
    found = conditions(run, run.set("eval"), read_trials(data / "trials"))["duration"]
    assert found.names[0] == "1: below 6.667 s"  # of 2, 9 and 9, not of 9, 9 and 9
    assert found.codes.tolist() == [0, 2, 2]


def _said(run: Run, words: dict[str, str]) -> tuple[dict[str, int], list[str]]:
    # {class: trials}, and the class of each trial, of a table utt2age of the set.
    tables.write_table(run.data / "eval" / "utt2age", words)
    trials = read_trials(run.data / "eval" / "trials")
    names, codes = conditions(run, run.set("eval"), trials)["age"]
    assert len(set(names)) == len(names)
    return dict(Counter(names[code] for code in codes)), [names[code] for code in codes]


def _pairs(run: Run) -> list[tuple[str, str]]:
    trials = read_trials(run.data / "eval" / "trials")
    return [trials.pair(number) for number in range(len(trials))]


@pytest.mark.parametrize("word", [None, "unknown"])
def test_unknown_numbers_decide_nothing_of_the_others(run: Run, word: str | None) -> None:
    ages = {utt: 20 + n for n, utt in enumerate(run.set("eval").utt2spk()) if n % 2}
    others = {} if word is None else {utt: word for utt in run.set("eval").utt2spk() if utt not in ages}
    _, found = _said(run, {utt: str(age) for utt, age in ages.items()} | others)
    least = [min(ages[a], ages[b]) if a in ages and b in ages else None for a, b in _pairs(run)]
    low, high = np.quantile([age for age in least if age is not None], (1 / 3, 2 / 3))
    expected = ["u" if age is None else "123"[int(age >= low) + int(age >= high)] for age in least]
    assert [name[0] for name in found] == expected


@pytest.mark.parametrize("half", [False, True])
@pytest.mark.parametrize("word", ["nan", "inf"])
def test_a_number_that_is_none_is_refused(run: Run, word: str, half: bool) -> None:
    ages = {utt: str(20 + n) for n, utt in enumerate(run.set("eval").utt2spk()) if n % 2 or not half}
    with pytest.raises(InputError, match=f"utt2age: '{word}' among the numbers"):
        _said(run, ages | {"eval03-1": word})


def test_what_a_table_calls_unknown_is_unknown(run: Run) -> None:
    utts = list(run.set("eval").utt2spk())
    words = {utt: "unknown" if n < 8 else "fm"[n % 2] for n, utt in enumerate(utts) if n < 40}
    counts, found = _said(run, words)
    known = [words.get(a, "unknown") != "unknown" != words.get(b, "unknown") for a, b in _pairs(run)]
    assert set(counts) == {"f", "m", "f-m", "unknown"} and sum(counts.values()) == len(found)
    assert [name != "unknown" for name in found] == known


def test_a_model_has_the_label_of_those_of_its_utterances_that_have_one(run: Run) -> None:
    data = run.data / "eval"
    tables.write_table(data / "enrol", {"A": "eval00-0 eval00-1"})
    (data / "trials").write_text("A eval00-2 target\nA eval01-0 nontarget\n")
    words = {"eval00-0": "cs", "eval00-1": "unknown", "eval00-2": "cs", "eval01-0": "de"}
    assert _said(run, words)[1] == ["cs", "cs-de"]


def test_a_language_called_nan_alone_is_no_number(run: Run) -> None:
    utts = list(run.set("eval").utt2spk())
    counts, _ = _said(run, {utt: "nan" for utt in utts[:24]})
    assert set(counts) == {"nan", "unknown"}


def test_no_two_classes_have_one_name(run: Run) -> None:
    utts = list(run.set("eval").utt2spk())
    words = {utt: ("a", "b-c", "a-b", "c")[n % 4] for n, utt in enumerate(utts)}
    counts, found = _said(run, words)
    expected = Counter(frozenset((words[a], words[b])) for a, b in _pairs(run))
    assert sorted(counts.values()) == sorted(expected.values()) and len(counts) == 10
    assert {"a - b-c", "a-b - c", "a-b"} <= set(counts)


def test_a_class_of_two_speakers_has_no_interval() -> None:
    codes = np.zeros(6, np.int8)
    label = np.array([True, True, True, True, False, False])
    speakers = (np.array([0, 0, 1, 1, 0, 0]), np.array([0, 0, 1, 1, 1, 1]))
    found = by_condition(
        {"x": Classes(["all"], codes)}, label, speakers, np.arange(6.0), None, replicates=50, seed=0
    )
    one = found["x"]["all"]
    assert one["eer"] == 100 and one.get("eer_ci") is None
    assert "2 speakers are too few for an interval" in one["note"]


def test_figures_by_gender_are_those_of_its_trials_alone(run: Run) -> None:
    genders = {f"eval{s:02d}": "f" if s < 3 else "m" for s in range(8)}
    tables.write_table(run.data / "eval" / "spk2gender", genders)
    staged(with_model(run))
    found = figures_of(run)["conditions"]
    assert list(found) == ["gender"]  # no other table, and no word about it
    assert found["gender"]["f-m"] == {
        "targets": 0,
        "nontargets": 3 * 5 * 36,
        "eer": None,
        "note": "different-speaker trials only: no error rates",
    }
    trials = read_trials(run.data / "eval" / "trials")
    lines = [line.split() for line in (run.data / "eval" / "trials").read_text().splitlines()]
    rows = np.array([all(genders[utt[:6]] == "f" for utt in line[:2]) for line in lines])
    raw, llr = (
        read_scores(run.exp / "scores" / "eval" / name, trials) for name in ("mine", "mine.calibrated")
    )
    same, other = rows & trials.is_target, rows & ~trials.is_target
    women = found["gender"]["f"]
    assert (women["targets"], women["nontargets"], women["speakers"]) == (same.sum(), other.sum(), 3)
    assert women["eer"] == pytest.approx(100 * eer(raw[same], raw[other])[0], abs=1e-4)
    assert women["cllr"] == pytest.approx(cllr(llr[same], llr[other]), abs=1e-5)
    assert women["eer_ci"][0] <= women["eer"] <= women["eer_ci"][1] and "3 speakers" in women["note"]
    page = (run.exp / "report.html").read_text()
    assert "By gender" in page and "f-m (0 + 540 trials): different-speaker trials only" in page


def test_a_condition_of_few_speakers_gets_no_interval_but_a_word(run: Run) -> None:
    # Three speakers, one with a pair of his own, two with one of theirs: 6 draws of 27 have both pairs.
    languages = {utt: "cs" if utt[:6] < "eval05" else "de" for utt in run.set("eval").utt2spk()}
    tables.write_table(run.data / "eval" / "utt2lang", languages)
    lines = ["eval00-0 eval00-1 target", "eval01-0 eval02-0 nontarget", "eval03-0 eval05-0 nontarget"]
    (run.data / "eval" / "trials").write_text("\n".join([*lines, "eval05-0 eval05-1 target"]) + "\n")
    staged(with_model(run))
    found = figures_of(run)["conditions"]["language"]["cs"]
    assert found["eer"] is not None and found["eer_ci"] is None
    assert "3 speakers are too few for an interval" in found["note"]
    assert "same-speaker trials: 1 only" in found["note"]


def test_two_replicates_of_a_small_class_are_no_interval(run: Run) -> None:
    # Seed 0 draws both times speakers of whom no kind of trials is complete.
    languages = {utt: "cs" if utt[:6] < "eval03" else "de" for utt in run.set("eval").utt2spk()}
    tables.write_table(run.data / "eval" / "utt2lang", languages)
    run.options["score"]["replicates"] = 2
    lines = ["eval00-0 eval00-1 target", "eval01-0 eval02-0 nontarget", "eval03-0 eval04-0 nontarget"]
    lines += [f"eval0{n}-0 eval0{n}-1 target" for n in (3, 4, 5, 6)]
    (run.data / "eval" / "trials").write_text("\n".join(lines) + "\n")
    staged(with_model(run))
    found = figures_of(run)["conditions"]["language"]["cs"]
    assert found["eer"] is not None and found["eer_ci"] is None


def test_an_evaluation_of_two_speakers_has_figures_without_intervals(
    run: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = ["eval00-0 eval00-1 target", "eval01-0 eval01-2 target", "eval00-0 eval01-0 nontarget"]
    (run.data / "eval" / "trials").write_text("\n".join(lines) + "\n")
    staged(with_backends(with_model(run), mine="center | plda", other="cosine"))
    found = figures_of(run, "other")
    assert found["eer_ci"] is None and found["against"]["mine"]["eer_difference_ci"] is None
    assert "too few" in (run.exp / "report.html").read_text()
    assert "other     " in score.summary(run)


def test_a_list_is_done_again_when_a_table_of_conditions_changes(run: Run) -> None:
    utts = list(run.set("eval").utt2spk())
    path = run.data / "eval" / "utt2lang"
    tables.write_table(path, {utt: "cs" if utt < "eval04" else "de" for utt in utts})
    staged(with_model(run))
    tables.write_table(path, {utt: "cs" if utt < "eval05" else "de" for utt in utts})
    assert [unit.name for unit in staged(run)] == ["eval", "report"]

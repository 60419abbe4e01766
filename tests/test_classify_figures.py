"""Figures of a classifier against scikit-learn's and numbers worked out by hand; votes; the bootstrap."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn import metrics

from pysteps.formats import tables
from pysteps.formats.errors import InputError
from pysteps.score.answers import Answers, answers, read_answers, voted, write_answers
from pysteps.score.class_figures import FIGURES, class_differences, class_notes, draw, judge_classes


def drawn_answers(seed: int, classes: int, count: int = 60, lost: int = 0) -> tuple[Answers, dict, dict]:
    """Answers with ties among their posteriors, the truth, and speakers of unequal sizes."""
    random = np.random.default_rng(seed)
    utts = [f"u{n:03d}" for n in range(count)]
    truth = random.integers(classes, size=count)
    rows = random.dirichlet(np.ones(classes), size=count).round(1) + 0.02
    rows[np.arange(count), truth] += 0.3
    rows /= rows.sum(axis=1, keepdims=True)
    kept = {utt: n for n, utt in enumerate(utts[lost:])}
    found = answers(utts, kept, rows[lost:], [f"c{n}" for n in range(classes)])
    labels = {utt: f"c{one}" for utt, one in zip(utts, truth, strict=True)}
    people = {utt: f"s{int(n**0.5)}" for n, utt in enumerate(utts)}
    return found, labels, people


def by_sklearn(found: Answers, labels: dict, weight: np.ndarray | None = None) -> dict[str, float]:
    """The five figures of answers that are all there."""
    truth = [labels[utt] for utt in found.utterances]
    said = [found.classes[one] for one in found.said]
    much = np.ones(len(truth)) if weight is None else weight
    there = sorted({one for one, some in zip(truth, much, strict=True) if some})
    out = {
        "accuracy": 100 * metrics.accuracy_score(truth, said, sample_weight=weight),
        "balanced_accuracy": 100
        * metrics.recall_score(truth, said, labels=there, average="macro", sample_weight=weight),
        "macro_f1": 100 * metrics.f1_score(truth, said, labels=there, average="macro", sample_weight=weight),
        "log_loss": metrics.log_loss(truth, found.posteriors, labels=found.classes, sample_weight=weight),
    }
    if len(found.classes) == 2:
        out["roc_auc"] = metrics.roc_auc_score(truth, found.posteriors[:, 1], sample_weight=weight)
    return out


@pytest.mark.parametrize("classes", [2, 3, 5])
def test_figures_are_those_of_scikit_learn(classes):
    found, labels, _ = drawn_answers(classes, classes)
    figures = judge_classes(found, labels).figures
    for key, wanted in by_sklearn(found, labels).items():
        assert figures[key] == pytest.approx(wanted, abs=1e-9), key
    assert classes == 2 or figures["roc_auc"] is None
    truth, said = [labels[utt] for utt in found.utterances], [found.classes[one] for one in found.said]
    assert figures["confusion"]["counts"] == metrics.confusion_matrix(truth, said).tolist()
    parts = metrics.precision_recall_fscore_support(truth, said, labels=found.classes)
    for place, name in enumerate(found.classes):
        one = figures["classes"][name]
        got = [one["precision"] / 100, one["recall"] / 100, one["f1"] / 100, one["count"]]
        assert got == pytest.approx([part[place] for part in parts])
    assert figures["accuracy_ci"] is None and figures["speakers"] is None


def test_figures_by_hand():
    # Truth a a a b; said a a b b: accuracy 3/4, recalls 2/3 and 1, F1 4/5 and 2/3.
    rows = np.array([[0.9, 0.1], [0.6, 0.4], [0.4, 0.6], [0.4, 0.6]])
    found = answers(list("wxyz"), {utt: n for n, utt in enumerate("wxyz")}, rows, ["a", "b"])
    figures = judge_classes(found, dict(zip("wxyz", "aaab", strict=True))).figures
    assert figures["accuracy"] == 75
    assert figures["balanced_accuracy"] == pytest.approx(250 / 3)
    assert figures["macro_f1"] == pytest.approx(100 * (4 / 5 + 2 / 3) / 2)
    assert figures["roc_auc"] == pytest.approx(2.5 / 3)  # of three pairs two are right, one is a tie
    assert figures["log_loss"] == pytest.approx(-np.log(0.9 * 0.6 * 0.4 * 0.6) / 4)


def test_the_dropped_are_wrong_answers():
    found, labels, _ = drawn_answers(4, 2, lost=7)
    figures = judge_classes(found, labels).figures
    assert figures["dropped"] == 7 == sum(figures["confusion"]["unanswered"])
    truth = np.array([labels[utt] for utt in found.utterances])
    names = np.array(["c0", "c1", "nothing"])[found.said]
    assert figures["accuracy"] == pytest.approx(100 * (truth == names).mean())
    recalls = [100 * (names[truth == one] == one).mean() for one in ("c0", "c1")]
    assert figures["balanced_accuracy"] == pytest.approx(np.mean(recalls))
    score = np.where(found.said < 0, np.where(truth == "c1", -1.0, 2.0), found.posteriors[:, 1])
    assert figures["roc_auc"] == pytest.approx(metrics.roc_auc_score(truth == "c1", score))
    kept = found.said >= 0
    loss = metrics.log_loss(truth[kept], found.posteriors[kept], labels=found.classes)
    assert figures["log_loss"] == pytest.approx(loss)
    assert any("7 utterances without an answer" in note for note in class_notes(figures))


def test_the_floor_of_the_log_loss_is_scikit_learns():
    found = answers(["u", "v"], {"u": 0, "v": 1}, np.array([[1.0, 0.0], [1.0, 0.0]]), ["a", "b"])
    loss = judge_classes(found, {"u": "b", "v": "a"}).figures["log_loss"]
    assert loss == pytest.approx(metrics.log_loss(["b", "a"], found.posteriors, labels=["a", "b"]), rel=1e-6)


@pytest.mark.parametrize("classes", [2, 3])
def test_the_bootstrap_is_a_loop_over_drawn_speakers(classes):
    found, labels, people = drawn_answers(7, classes)
    judged = judge_classes(found, labels, people, replicates=40, seed=5)
    names = sorted(set(people.values()))
    weights = draw(len(names), 40, 5)
    for row in range(40):
        much = dict(zip(names, weights[row], strict=True))
        weight = np.array([much[people[utt]] for utt in found.utterances])
        for key, wanted in by_sklearn(found, labels, weight).items():
            assert judged.drawn[key][row] == pytest.approx(wanted, abs=1e-9), (key, row)
    low, high = judged.figures["accuracy_ci"]
    values = np.sort(judged.drawn["accuracy"])
    assert (low, high) == (values[0], values[39])  # 2.5 % of 40 is less than one
    assert judged.figures["speakers"] == len(names)


def test_speakers_are_drawn_as_for_trials():
    # metrics.intervals draws a speaker's weight by the same generator: one seed, one draw.
    from pysteps.formats.rng import generator

    wanted = generator(9, "speakers", "bootstrap").multinomial(4, np.full(4, 1 / 4), size=3)
    assert (draw(4, 3, 9) == wanted).all()


def test_differences_are_paired():
    one, labels, people = drawn_answers(1, 2)
    two, _, _ = drawn_answers(1, 2, lost=9)
    first, second = (judge_classes(some, labels, people, replicates=30, seed=2) for some in (one, two))
    found = class_differences(first, second)
    for key in FIGURES:
        gap = first.figures[key] - second.figures[key]
        assert found[f"{key}_difference"] == pytest.approx(gap)
        values = np.sort(first.drawn[key] - second.drawn[key])
        assert found[f"{key}_difference_ci"] == [values[0], values[-1]]
    alone = judge_classes(one, labels)
    assert class_differences(alone, first)["accuracy_difference_ci"] is None


def test_two_speakers_give_no_interval():
    found, labels, people = drawn_answers(3, 2)
    people = {utt: f"s{number % 2}" for number, utt in enumerate(people)}
    figures = judge_classes(found, labels, people, replicates=20).figures
    assert figures["accuracy_ci"] is None and figures["speakers"] == 2
    assert "2 speakers are too few for intervals" in class_notes(figures)


def test_votes_by_hand():
    rows = np.array([[0.5, 0.3, 0.2], [0.1, 0.8, 0.1], [0.2, 0.2, 0.6]])
    found = answers(list("abcde"), {"a": 0, "b": 1, "d": 2}, rows, ["y", "x", "z"])
    got = voted(found, {"a": "m", "b": "m", "c": "m", "d": "n", "e": "o"})
    # m: the geometric means of a's and b's posteriors (c has none), which add up to one after division.
    means = np.sqrt([0.3 * 0.8, 0.5 * 0.1, 0.2 * 0.1])
    assert got.utterances == ["m", "n", "o"] and got.classes == ["x", "y", "z"]
    np.testing.assert_allclose(got.posteriors[0], means / means.sum())
    np.testing.assert_allclose(got.posteriors[1], [0.2, 0.2, 0.6])
    assert got.said.tolist() == [0, 2, -1] and np.isnan(got.posteriors[2]).all()


def test_one_member_that_is_sure_of_it_does_not_end_the_vote():
    rows = np.array([[0.0, 1.0], [0.999, 0.001], [0.999, 0.001]])
    found = answers(list("abc"), {"a": 0, "b": 1, "c": 2}, rows, ["x", "y"])
    got = voted(found, dict.fromkeys("abc", "g"))
    assert np.isfinite(got.posteriors).all() and got.said.tolist() == [1]


def test_answers_written_are_answers_read(tmp_path):
    found, _, _ = drawn_answers(2, 3, count=10, lost=2)
    write_answers(tmp_path / "said", found)
    got = read_answers(tmp_path / "said", found.utterances, found.classes)
    assert (got.said == found.said).all() and got.said[0] == -1
    np.testing.assert_allclose(got.posteriors, found.posteriors, rtol=1e-8)
    pairs = zip(found.utterances, found.said, strict=True)
    alone = {utt: found.classes[one] for utt, one in pairs if one >= 0}
    tables.write_table(tmp_path / "bare", alone)
    bare = read_answers(tmp_path / "bare", sorted(alone), found.classes)
    assert bare.posteriors is None and (bare.said == found.said[2:]).all()
    assert judge_classes(bare, dict.fromkeys(alone, "c0")).figures["log_loss"] is None


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("v c0", "utterance u: no answer"),
        ("u c7", "c7 is none of the classes"),
        ("u c0 0.5 0.2", "2 posteriors for 3 classes"),
        ("u c0 0.5 0.2 x", "a posterior is no number"),
        ("u c0 0.5 0.2 nan", "these are no posteriors"),
        ("u c0 0.5 0.2 0.1", "these are no posteriors"),
    ],
)
def test_answers_that_are_none_are_refused(tmp_path, line, said):
    (tmp_path / "said").write_text(line + "\n")
    with pytest.raises(InputError, match=said):
        read_answers(tmp_path / "said", ["u"], ["c0", "c1", "c2"])

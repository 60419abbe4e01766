"""What the pictures are drawn from, against numbers worked out another way."""

from __future__ import annotations

import json

import numpy as np
import pytest

from pysteps.formats.errors import InputError
from pysteps.metrics import act_dcf, min_dcf
from pysteps.report import calibration_curve, choose_points, confusion, nearest_speaker, score_histogram, tsne
from pysteps.report.calibration import bayes_figure, reliability_figure
from pysteps.report.confusion import confusion_figure, confusion_summary
from pysteps.report.draw import palette, picture, plain
from pysteps.report.embedding import tsne_figures
from pysteps.report.histogram import histogram_figure
from pysteps.report.pictures import det_figure


@pytest.fixture
def rng():
    return np.random.default_rng(11)


# histograms


def test_scores_are_counted_by_kind_and_lost_ones_left_out():
    scores = [0.0, 0.1, 0.9, 1.0, 0.6, -np.inf, np.inf]
    found = score_histogram(scores, [False, False, True, True, True, True, False], bins=2)
    assert found["targets"] == [0, 3] and found["nontargets"] == [2, 0] and found["left_out"] == 2
    assert len(found["edges"]) == 3


def test_one_stray_score_does_not_squeeze_the_rest(rng):
    scores = np.append(rng.uniform(0, 1, 4999), 1e6)
    found = score_histogram(scores, np.arange(5000) % 2 == 0, bins=10)
    assert found["edges"][-1] < 1.1  # and it is still counted
    assert sum(found["targets"]) + sum(found["nontargets"]) == 5000


def test_equal_scores_and_no_scores_make_a_histogram():
    assert sum(score_histogram([2.0, 2.0], [True, False])["targets"]) == 1
    assert sum(score_histogram([np.inf], [False])["targets"]) == 0


def test_a_score_that_is_no_number_is_refused():
    with pytest.raises(InputError, match="1 scores are not numbers"):
        score_histogram([0.0, np.nan], [True, False])


# calibration


def test_costs_are_those_of_the_metrics(rng):
    label = np.arange(300) < 100
    scores = rng.normal(np.where(label, 1.5, -1.5), 2).round(1)  # with ties
    found = calibration_curve(scores, label)
    for odds in (-5.25, -1.0, 0.0, 2.5):
        place = found["log_odds"].index(odds)
        p = 1 / (1 + np.exp(-odds))
        assert found["actual"][place] == pytest.approx(act_dcf(scores[label], scores[~label], p), abs=1e-12)
        assert found["minimum"][place] == pytest.approx(min_dcf(scores[label], scores[~label], p), abs=1e-12)


def test_normal_scores_that_are_ratios_are_borne_out(rng):
    # With targets N(v/2, v) and non-targets N(-v/2, v), v a variance, the score is its own ratio.
    label = np.arange(40000) < 20000
    scores = rng.normal(np.where(label, 2.0, -2.0), 2.0)
    found = calibration_curve(scores, label)
    middle = [(x, y) for x, y in zip(found["llr"], found["pav"], strict=True) if abs(x) < 3]
    assert np.abs(np.diff(middle, axis=1)).max() < 0.35
    usual = np.abs(found["log_odds"]) <= 4  # further out a handful of trials decides
    assert np.max((np.array(found["actual"]) - found["minimum"])[usual]) < 0.02


def test_ratios_twice_too_strong_lie_on_half_the_slope(rng):
    label = np.arange(40000) < 20000
    found = calibration_curve(2 * rng.normal(np.where(label, 2.0, -2.0), 2.0), label)
    near = np.abs(found["llr"]) < 6
    slope = np.polyfit(np.array(found["llr"])[near], np.array(found["pav"])[near], 1)[0]
    assert slope == pytest.approx(0.5, abs=0.04)


def test_lost_trials_count_in_the_costs_only():
    scores, label = [3.0, 2.0, -2.0, -3.0, -np.inf], [True, True, False, False, True]
    found = calibration_curve(scores, label)
    assert found["actual"][found["log_odds"].index(0.0)] == pytest.approx(1 / 3)
    assert np.isfinite([*found["llr"], *found["pav"]]).all()


def test_what_pictures_are_drawn_from_goes_through_json(rng):
    label = np.arange(60) < 30
    scores = rng.normal(label, 1)
    counts, curve = score_histogram(scores, label), calibration_curve(scores, label)
    for value in (counts, curve, confusion(["a", "b"], ["b", "b"])):
        assert json.loads(json.dumps(value, allow_nan=False)) == value
    for figure in (
        histogram_figure(counts, "plda $x_1", 0.5),
        reliability_figure({"plda": curve}, {"plda": "red"}),
        bayes_figure(curve, "plda"),
    ):
        assert picture(figure, "svg").startswith(b"<?xml")


# confusion


def test_confusions_are_counted_by_hand():
    found = confusion(["a", "a", "b", "c"], ["a", "b", "b", "d"])
    assert found["labels"] == ["a", "b", "c", "d"]
    assert found["counts"] == [[1, 1, 0, 0], [0, 1, 0, 0], [0, 0, 0, 1], [0, 0, 0, 0]]
    assert confusion_summary(found) == (2, 4, [])
    twice = confusion(["a", "a", "b"], ["b", "b", "b"])
    assert confusion_summary(twice)[2] == [("a", "b", 2)]


def test_nearest_speaker_is_that_of_a_slow_loop(rng):
    speakers = ["a"] * 5 + ["b"] * 4 + ["c"] * 6 + ["alone"]
    place = {"a": 1, "b": 0, "c": -1, "alone": 2}
    vectors = rng.normal(size=(16, 3)) + np.array([[place[name]] for name in speakers])
    unit = [row / np.linalg.norm(row) for row in vectors - vectors.mean(axis=0)]
    expected = []
    for one, mine in enumerate(unit):
        best = {}
        for name in set(speakers):
            rows = [unit[k] for k in range(16) if speakers[k] == name and k != one]
            if rows:
                mean = sum(rows)
                best[name] = float(mine @ mean / np.linalg.norm(mean))
        expected.append(max(best, key=best.get))
    assert nearest_speaker(vectors, speakers) == expected
    assert len(set(expected)) > 1


def test_one_speaker_alone_cannot_be_confused():
    with pytest.raises(InputError, match="nobody to confuse"):
        nearest_speaker(np.eye(3), ["a"] * 3)


def test_of_many_labels_those_with_mistakes_are_shown():
    truth = [f"s{n:02d}" for n in range(40)]
    said = [*truth[:30], *truth[31:], truth[30]]  # the last ten are wrong
    ticks = confusion_figure(confusion(truth, said), "x").axes[0].get_yticklabels()
    assert len(ticks) == 20 and {f"s{n}" for n in range(30, 40)} <= {tick.get_text() for tick in ticks}


# t-SNE


def test_speakers_that_lie_apart_stay_apart(rng):
    speakers = np.repeat([f"s{n}" for n in range(6)], 15)
    vectors = np.repeat(5 * rng.normal(size=(6, 20)), 15, axis=0) + rng.normal(size=(90, 20))
    plane = tsne(vectors, {"speaker": speakers.tolist(), "set": ["eval"] * 90})
    xy = np.array(plane["xy"])
    apart = np.linalg.norm(xy[:, None] - xy, axis=2) + 1e9 * np.eye(90)
    assert (speakers[apart.argmin(axis=1)] == speakers).mean() > 0.95
    assert plane["of"] == 90 and plane["labels"]["speaker"] == speakers.tolist()
    assert list(tsne_figures(plane)) == ["speaker"]  # one set only: nothing to colour


def test_of_many_utterances_whole_speakers_of_every_set_are_drawn():
    speakers = [f"train{n // 50}" for n in range(20000)] + [f"eval{n // 10}" for n in range(50)]
    sets = ["train"] * 20000 + ["eval"] * 50
    rows = choose_points(speakers, sets)
    assert len(rows) == len(set(rows.tolist())) == 1000
    assert sum(sets[row] == "eval" for row in rows) == 50
    counts = np.unique([speakers[row] for row in rows if sets[row] == "train"], return_counts=True)[1]
    assert sorted(counts)[1:] == [20] * (len(counts) - 1)
    assert choose_points(speakers, sets, seed=1).tolist() != rows.tolist()


def test_few_speakers_fill_the_limit():
    assert len(choose_points(["a", "b"] * 3000)) == 1000


@pytest.mark.parametrize(
    ("vectors", "labels", "said"),
    [
        (np.zeros((5, 3)), {"speaker": ["a"] * 5}, "at least 10"),
        (np.zeros((12, 3)), {"speaker": ["a"] * 11}, "12 x-vectors but 11 labels speaker"),
        (np.zeros((12, 3)), {"set": ["a"] * 12}, "needs the label speaker"),
        (np.full((12, 3), np.nan), {"speaker": ["a"] * 12}, "not finite"),
    ],
)
def test_vectors_that_make_no_plane_are_refused(vectors, labels, said):
    with pytest.raises(InputError, match=said):
        tsne(vectors, labels)


# colours and curves


def test_a_colour_belongs_to_a_name():
    names = ["plda", "mine", "cosine", "baseline", "yours"]
    colours = palette(names)
    assert len(set(colours.values())) == 5
    assert palette(["cosine", "plda"])["plda"] == colours["plda"]
    assert len(set(palette(f"s{n}" for n in range(11)).values())) == 11


def test_long_names_lose_their_middle_and_no_formula_is_made():
    assert plain("speaker-with-a-long-name-003", 14) == "speake…ame-003"
    assert len(plain("x" * 99)) == 30 and plain("a$b$") == r"a\$b\$"


def test_long_names_do_not_squeeze_the_curves():
    points = np.column_stack([np.linspace(1, 0, 20), np.linspace(0, 1, 20) ** 2])
    name = "voxceleb1-hard-cleaned.same-nationality-and-gender-and-more"
    figure = det_figure({name: {name: points, "other": points}}, {name: {name: 12.3}})
    picture(figure, "svg")
    axes, edges = figure.axes[0], figure.bbox
    assert axes.get_window_extent().width > 0.7 * edges.width
    for part in (axes._left_title, *axes.get_legend().get_texts()):
        box = part.get_window_extent()
        assert min(box.x0 - edges.x0, edges.x1 - box.x1, box.y0 - edges.y0, edges.y1 - box.y1) > 0


def test_many_systems_have_their_names_below_the_axes():
    points = np.column_stack([np.linspace(1, 0, 20), np.linspace(0, 1, 20) ** 2])

    def legend_is_inside(number):
        figure = det_figure({"all": {f"system {n}": points for n in range(number)}}, {})
        picture(figure, "svg")
        axes = figure.axes[0]
        return axes.get_legend().get_window_extent().y1 > axes.get_window_extent().y0

    assert legend_is_inside(4) and not legend_is_inside(6)

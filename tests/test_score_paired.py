"""Paired differences of two systems: every figure, any two back ends of a run."""

from __future__ import annotations

import json

import numpy as np
import pytest

from pysteps.formats.errors import InputError
from pysteps.metrics import cllr, eer, min_cllr, min_dcf
from pysteps.score import Trials, commands, judge, read_trials, write_scores
from pysteps.score.evaluate import judged
from pysteps.score.paired import differences, with_ratios
from tests.literal import check_differences

IDS = [f"s{n % 6}-{n}" for n in range(24)]
PEOPLE = {one: one[:2] for one in IDS}
FOUR = np.array([True, True, False, False])
SYSTEMS = {"plain": 1.0, "better": 2.0, "best": 3.0}


@pytest.fixture
def experiment(tmp_path):
    """exp/one as stage 9 leaves it, {back end: scores}; ``best`` is calibrated (its scores less 1)."""
    data, folder = tmp_path / "data" / "eval", tmp_path / "exp" / "one"
    data.mkdir(parents=True)
    (data / "utt2spk").write_text("".join(f"{one} {one[:2]}\n" for one in sorted(IDS)))
    kind = {True: "target", False: "nontarget"}
    pairs = [(a, b) for a in IDS for b in IDS if a < b]
    (data / "trials").write_text("".join(f"{a} {b} {kind[a[:2] == b[:2]]}\n" for a, b in pairs))
    trials, draw = read_trials(data / "trials"), np.random.default_rng(0)
    scores = {name: draw.normal(size=len(trials)) + gain * trials.is_target for name, gain in SYSTEMS.items()}
    (folder / "scores" / "eval").mkdir(parents=True)
    figures = {}
    for name, values in scores.items():
        scores[name] = np.round(values, 6)
        write_scores(folder / "scores/eval" / name, trials, scores[name])
        figures[name] = judge(trials, scores[name], (), PEOPLE, 0, replicates=20).figures
    write_scores(folder / "scores/eval/best.calibrated", trials, scores["best"] - 1)
    figures["best"]["calibrated"] = True
    (folder / "results.json").write_text(json.dumps({"trials": {"eval": figures}}))
    run = {key: "x" for key in ("recipe", "corpus", "prepare", "egs_tag", "train_set", "dev_set")}
    run |= {"work": str(tmp_path), "tag": "one", "eval_sets": ["eval"], "names": {}, "options": {}}
    (folder / "run.json").write_text(json.dumps(run))
    return trials, scores, folder


def _differences(trials, first, second, replicates):
    options = {"replicates": replicates, "likelihood_ratios": True}
    return differences(*(judge(trials, scores, (), PEOPLE, 0, **options) for scores in (first, second)))


def test_each_difference_is_that_of_the_two_figures(experiment):
    trials, scores, _ = experiment
    label = trials.is_target
    sides = [(scores[name][label], scores[name][~label]) for name in ("better", "plain")]
    found = _differences(trials, scores["better"], scores["plain"], 60)
    check_differences(found, trials, scores["better"], scores["plain"], PEOPLE, 60, ratios=True)
    expected = {
        "eer": 100 * (eer(*sides[0]).rate - eer(*sides[1]).rate),
        "cllr": cllr(*sides[0]) - cllr(*sides[1]),
        "min_cllr": min_cllr(*sides[0]) - min_cllr(*sides[1]),
    }
    for key, value in expected.items():
        assert found[f"{key}_difference"] == pytest.approx(value)
        low, high = found[f"{key}_difference_ci"]
        assert low <= value <= high and low < high
    by_cost = {cost: min_dcf(*sides[0], cost) - min_dcf(*sides[1], cost) for cost in (0.01, 0.05, 0.001)}
    assert found["min_dcf_difference"] == pytest.approx({f"{cost:g}": x for cost, x in by_cost.items()})
    for cost in ("0.05", "0.01"):
        low, high = found["min_dcf_difference_ci"][cost]
        assert low <= found["min_dcf_difference"][cost] <= high and low < high and low < -0.1
    assert set(found["act_dcf_difference_ci"]) == {"0.01", "0.05", "0.001"}
    assert json.loads(json.dumps(found, allow_nan=False)) == found


def test_a_system_against_itself_differs_in_nothing(experiment):
    trials, scores, _ = experiment
    found = _differences(trials, scores["best"], scores["best"], 20)
    assert found["min_dcf_difference_ci"]["0.05"] == [0, 0] and found["cllr_difference_ci"] == [0, 0]
    assert found["eer_ratio_ci"] == [1, 1]


def test_what_one_of_them_has_not_is_null(experiment):
    trials, scores, _ = experiment
    one = judge(trials, scores["best"], (), PEOPLE, 0, replicates=20, likelihood_ratios=True)
    two = judge(trials, scores["plain"], (), PEOPLE, 0, replicates=20)
    found = differences(one, two)
    assert found["cllr_difference"] is found["act_dcf_difference"] is found["cllr_difference_ci"] is None
    assert found["min_cllr_difference"] < 0
    with pytest.raises(InputError, match="without speakers"):
        differences(one, judged(scores["plain"], trials.is_target))


def test_differences_of_two_speakers_have_no_intervals():
    trials = Trials(list("abcd"), list("abcd"), *np.array([(0, 1), (2, 3), (0, 2), (1, 3)], np.int32).T, FOUR)
    people, options = {"a": "x", "b": "x", "c": "y", "d": "y"}, {"likelihood_ratios": True}
    one = judge(trials, [3.0, -1, 0, 1], (), people, 0, **options)
    two = judge(trials, [3.0, 4, 0, 1], (), people, 0, **options)
    assert one.figures["eer_ci"] is None and one.figures["speakers"] == 2
    found = differences(one, two)
    assert (found["eer_difference"], found["eer_ratio"]) == (50.0, None) and found["cllr_difference"] > 0
    assert differences(two, one)["eer_ratio"] == 0 and differences(two, two)["eer_ratio"] == 1
    assert found["min_dcf_difference"]["0.05"] == found["act_dcf_difference"]["0.05"] == 0.5
    assert {value for key, value in found.items() if key.endswith("_ci")} == {None}


def test_calibrated_figures_replace_those_of_ratios_alone(experiment):
    trials, scores, _ = experiment
    own = judge(trials, scores["best"], (), PEOPLE, 0, replicates=20)
    ratios = judge(trials, -scores["best"], (), PEOPLE, 0, replicates=20, likelihood_ratios=True)
    both = with_ratios(own, ratios)
    assert both.figures["eer"] == own.figures["eer"] and both.figures["threshold"] == own.figures["threshold"]
    assert both.figures["cllr"] == ratios.figures["cllr"] > 1
    assert both.drawn.cllr is ratios.drawn.cllr and both.drawn.eer is own.drawn.eer


def _compared(capsys, *words) -> dict:
    commands.main(["compare", *map(str, words), "--json", "--replicates", "30"])
    return json.loads(capsys.readouterr().out)


def test_any_two_back_ends_of_a_run_are_compared_by_name(experiment, capsys):
    trials, scores, folder = experiment
    found = _compared(capsys, folder, "--systems", "plain", "best", "--list", "eval")
    assert found["against"] == {"eval": "plain"} and list(found["differences"]["eval"]) == ["best"]
    got = found["differences"]["eval"]["best"]
    check_differences(got, trials, scores["best"], scores["plain"], PEOPLE, 30)
    assert _compared(capsys, folder)["against"] == {"eval": "best"}  # the lowest EER


def test_calibrated_scores_are_read_for_what_needs_ratios(experiment, capsys):
    _, _, folder = experiment
    results = json.loads((folder / "results.json").read_text())
    results["trials"]["eval"]["plain"]["act_dcf"] = {"0.01": 1.0}  # as PLDA's own scores have
    (folder / "results.json").write_text(json.dumps(results))
    trials, scores, _ = experiment
    found = _compared(capsys, folder, "--systems", "plain", "best")["differences"]["eval"]["best"]
    label = trials.is_target
    one, two = scores["best"] - 1, scores["plain"]
    expected = cllr(one[label], one[~label]) - cllr(two[label], two[~label])
    assert found["cllr_difference"] == pytest.approx(expected, abs=1e-6)


def test_the_table_names_each_figure_with_its_interval(experiment, capsys):
    *_, folder = experiment
    commands.main(["compare", str(folder), "--systems", "plain", "best", "--replicates", "20"])
    text = capsys.readouterr().out
    for said in ("EER, points, against plain", "minDCF(0.01) against plain", "minCllr against plain"):
        assert said in text
    assert "  Cllr against" not in text


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--systems", "best", "bset"], "no system bset: known are plain, better, best"),
        (["--systems", "best"], "best alone"),
        (["--list", "dev"], "no list of trials dev that all have: known are eval"),
    ],
)
def test_names_that_are_not_there_are_refused(experiment, capsys, words, said):
    with pytest.raises(InputError, match=said):
        _compared(capsys, experiment[2], *words)

"""A back end as one line: parsing, fitting, folders, scores."""

from __future__ import annotations

import json

import numpy as np
import pytest

from pysteps.backend import Backend, cosine_scores, fit, fit_plda, plda_scores
from pysteps.backend.adapt import adapt_plda, coral_plus
from pysteps.backend.calibration import Logistic
from pysteps.backend.line import parse_line
from pysteps.backend.options import BackendOptions
from pysteps.formats.errors import InputError

RANDOM = np.random.default_rng(3)
SPEAKERS = [f"s{number // 5:02d}" for number in range(100)]
X = np.repeat(RANDOM.normal(size=(20, 6)) * 2, 5, axis=0) + RANDOM.normal(size=(100, 6)) + 4
ENROL, TEST = RANDOM.normal(size=(4, 6)) + 4, RANDOM.normal(size=(7, 6)) + 4
PAIRS = np.array([[a, b] for a in range(4) for b in range(7)])
NEW = RANDOM.normal(size=(40, 6)) * 5


def test_a_line_is_split_into_transforms_scorer_and_normalisation():
    line = parse_line("center | lda 4 | length-norm | plda iterations=3 adapt=new | as-norm 9 size=20")
    assert (line.transforms, line.scorer) == ("center | lda 4 | length-norm", "plda")
    assert (line.plda.iterations, line.plda.adapt, line.plda.between) == (3, "new", 0.7)
    assert (line.norm.top, line.norm.size) == (9, 20)
    assert parse_line("coral adapt=a | plda adapt=b").sets == ["a", "b"]
    assert parse_line("plda adapt=a method=coral+").plda.between == 0.8
    assert parse_line("cosine").transforms == ""


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("center", "no scorer: known are cosine, plda"),
        ("cosine | plda", "2 scorers"),
        ("center | cosine 3", "unknown option '3' of cosine"),
        ("centre | cosine", "unknown transform 'centre'"),
        ("plda | length-norm", "known are z-norm, t-norm, s-norm, as-norm"),
        ("plda | s-norm | s-norm", "one score normalisation"),
        ("plda iter=3", "known are iterations=NUMBER"),
        ("plda iterations=1.5", "not a whole number"),
        ("plda rank=-1", "not a whole number"),
        ("plda method=coral", "no adapt=SET|known are kaldi, coral"),
        ("plda within=0.5", "no adapt=SET"),
        ("plda shrink=2", "a share from 0 to 1"),
        ("plda normalise=l2", "known are model, simple, none"),
        ("plda enrol=mean", "known are book, average"),
    ],
)
def test_lines_that_mean_nothing_are_refused(line, said):
    with pytest.raises(InputError, match=said):
        parse_line(line)


@pytest.mark.parametrize("name", ["baseline", "", "a.b", "a/b", "ä"])
def test_names_that_no_back_end_can_have_are_refused(name):
    with pytest.raises(InputError, match="back end's name"):
        BackendOptions({name: "cosine"})
    with pytest.raises(InputError, match="no scorer"):
        BackendOptions({"mine": "center"})


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"calibration": "linear"}, "known are logistic, pav, none"),
        ({"backends": {}}, "no back ends"),
        ({"quality": ["loudness"]}, "known are duration, magnitude, cohort"),
        ({"quality": ["duration"], "calibration": "pav"}, "needs backend.calibration logistic"),
        ({"quality": ["cohort"]}, "back end cosine has no cohort"),
    ],
)
def test_options_that_do_not_go_together_are_refused(options, said):
    with pytest.raises(InputError, match=said):
        BackendOptions(**options)


def test_cosine_is_the_chain_and_cosines():
    backend = Backend.fit("center | lda 3 | cosine", X, SPEAKERS)
    chain = fit("center | lda 3", X, SPEAKERS)
    expected = cosine_scores(chain.apply(ENROL), chain.apply(TEST), PAIRS)
    np.testing.assert_array_equal(backend.score(ENROL, TEST, PAIRS), expected)


@pytest.mark.parametrize(
    ("words", "learn", "score"),
    [
        ("", {}, {}),
        ("iterations=2 normalise=simple", {"iterations": 2}, {"normalise": "simple"}),
        ("rank=2", {"rank": 2}, {}),
        ("enrol=average", {}, {"examples": 1}),
    ],
)
def test_plda_is_the_chain_and_plda(words, learn, score):
    backend = Backend.fit(f"center | length-norm | plda {words}", X, SPEAKERS)
    chain = fit("center | length-norm", X, SPEAKERS)
    plda = fit_plda(chain.apply(X), SPEAKERS, **learn)
    sides = chain.apply(ENROL), chain.apply(TEST)
    expected = plda_scores(plda, *sides, PAIRS, **{"examples": [1, 2, 3, 1], **score})
    np.testing.assert_array_equal(backend.score(ENROL, TEST, PAIRS, [1, 2, 3, 1]), expected)


@pytest.mark.parametrize(("method", "literal"), [("kaldi", adapt_plda), ("coral+", coral_plus)])
def test_plda_is_adapted_behind_shrinking_and_smoothing(method, literal):
    line = f"center | plda shrink=0.1 smoothing=0.2 adapt=new method={method} within=0.4 between=0.5"
    backend = Backend.fit(line, X, SPEAKERS, sets={"new": NEW})
    chain = fit("center", X, SPEAKERS)
    plda = fit_plda(chain.apply(X), SPEAKERS).shrunk(0.1).smoothed(0.2)
    plda = literal(plda, chain.apply(NEW), within=0.4, between=0.5)
    np.testing.assert_allclose(backend.plda.psi, plda.psi, rtol=1e-9)
    with pytest.raises(InputError, match="adapt=new: no such set here"):
        Backend.fit(line, X, SPEAKERS)


def test_plda_behind_coral_is_learned_from_the_moved_vectors():
    backend = Backend.fit("coral adapt=new | plda", X, SPEAKERS, sets={"new": NEW})
    moved = fit("coral adapt=new", X, SPEAKERS, {"new": NEW}).train(X)
    np.testing.assert_allclose(backend.plda.psi, fit_plda(moved, SPEAKERS).psi, rtol=1e-9)


@pytest.mark.parametrize("scorer", ["cosine", "plda", "plda enrol=average normalise=simple"])
def test_adaptive_s_norm_is_the_literal_formula(scorer):
    plain = Backend.fit(f"center | length-norm | {scorer}", X, SPEAKERS)
    normed = Backend.fit(f"center | length-norm | {scorer} | as-norm 6", X, SPEAKERS)
    examples = np.array([1, 2, 1, 3])
    chain = plain.chain
    means = np.array([chain.apply(X)[5 * n : 5 * n + 5].mean(axis=0) for n in range(20)])
    one, two = chain.apply(ENROL), chain.apply(TEST)
    whole = [(a, b) for a in range(4) for b in range(20)]
    z = plain.score_transformed(one, means, np.array(whole), examples).reshape(4, 20)
    whole = [(a, b) for b in range(7) for a in range(20)]
    t = plain.score_transformed(means, two, np.array(whole), np.full(20, 5)).reshape(7, 20)
    z, t = np.sort(z)[:, -6:], np.sort(t)[:, -6:]
    scores = plain.score(ENROL, TEST, PAIRS, examples)
    a, b = PAIRS.T
    expected = (scores - z.mean(1)[a]) / z.std(1)[a] / 2 + (scores - t.mean(1)[b]) / t.std(1)[b] / 2
    np.testing.assert_allclose(normed.score(ENROL, TEST, PAIRS, examples), expected, rtol=1e-3, atol=1e-3)
    assert plain.gives_ratios is scorer.startswith("plda") and not normed.gives_ratios


def test_a_score_does_not_depend_on_the_other_trials():
    backend = Backend.fit("center | cosine | as-norm 6 cohort=utterances size=30", X, SPEAKERS)
    whole = backend.score(ENROL, TEST, PAIRS)
    np.testing.assert_allclose(backend.score(ENROL, TEST, PAIRS[5:9]), whole[5:9], atol=1e-6)
    assert len(backend.score(ENROL, TEST, np.empty((0, 2), dtype=int))) == 0


def test_a_cohort_with_an_evaluated_speaker_is_refused():
    with pytest.raises(InputError, match="1 speakers of the cohort are evaluated in eval, the first is s03"):
        Backend.fit("cosine | s-norm", X, SPEAKERS, evaluated={"eval": ["s03", "x"]})
    Backend.fit("cosine", X, SPEAKERS, evaluated={"eval": ["s03", "x"]})


def test_a_cohort_that_is_too_small_is_refused_when_it_is_learned():
    with pytest.raises(InputError, match="a cohort of 20 speakers is too small .*as-norm 20 or less"):
        Backend.fit("cosine | as-norm 300", X, SPEAKERS)


@pytest.mark.parametrize("text", [False, True])
@pytest.mark.parametrize(
    "line",
    ["center set | cosine", "lda 3 | plda enrol=average", "plda | as-norm 5", "cosine | z-norm size=9"],
)
def test_saved_and_loaded_a_back_end_scores_the_same(tmp_path, line, text):
    backend = Backend.fit(line, X, SPEAKERS).calibrated(Logistic(1.0, {"a": 2.0}, {}))
    backend.save(tmp_path / "ä b", text=text)
    again = Backend.load(tmp_path / "ä b")
    examples = [1, 2, 3, 1]
    expected = backend.score(ENROL, TEST, PAIRS, examples)
    np.testing.assert_allclose(again.score(ENROL, TEST, PAIRS, examples), expected, rtol=1e-4, atol=1e-5)
    assert again.calibration == backend.calibration and again.norm == backend.norm


def test_what_an_older_back_end_left_does_not_stay(tmp_path):
    Backend.fit("plda | as-norm 5", X, SPEAKERS).calibrated(Logistic(1.0, {"a": 2.0}, {})).save(tmp_path)
    Backend.fit("center | cosine", X, SPEAKERS).save(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["chain.json", "mean.vec"]
    assert Backend.load(tmp_path).plda is None


def test_a_folder_of_transforms_and_kaldis_plda_is_a_back_end(tmp_path):
    fit("center", X, SPEAKERS).save(tmp_path)
    assert Backend.load(tmp_path).plda is None
    fit_plda(X, SPEAKERS).save(tmp_path / "plda")
    assert Backend.load(tmp_path).plda is not None
    content = json.loads((tmp_path / "chain.json").read_text())
    (tmp_path / "chain.json").write_text(json.dumps({**content, "scorer": {"name": "cosine", "options": []}}))
    with pytest.raises(InputError, match="the scorer cosine and the file plda disagree"):
        Backend.load(tmp_path)


def test_a_plda_of_another_size_than_the_transforms_is_refused(tmp_path):
    fit("lda 3", X, SPEAKERS).save(tmp_path)
    fit_plda(X, SPEAKERS).save(tmp_path / "plda")
    with pytest.raises(InputError, match="the transforms give 3 dimensions, the PLDA has 6"):
        Backend.load(tmp_path).score(ENROL, TEST, PAIRS)

"""The chain of transforms and the Kaldi files that hold it."""

from __future__ import annotations

import json

import kaldiio
import numpy as np
import pytest

from pysteps.backend import Backend, Chain, fit
from pysteps.backend.lda import fit_lda
from pysteps.formats.errors import InputError

NAMES = [f"s{number % 12:02d}" for number in range(120)]


@pytest.fixture(scope="module")
def x() -> np.ndarray:
    random = np.random.default_rng(0)
    voice = random.normal(size=(12, 6)) * [4, 3, 2, 1, 0.5, 0.1]
    return (voice[np.arange(120) % 12] + random.normal(size=(120, 6))) @ random.normal(size=(6, 6)) + 3


def _within(y: np.ndarray) -> np.ndarray:
    offsets = y.copy()
    for name in set(NAMES):
        offsets[np.array(NAMES) == name] -= y[np.array(NAMES) == name].mean(axis=0)
    return offsets.T @ offsets / len(y)


def test_lda_makes_within_the_identity_and_between_diagonal(x):
    y = fit("lda 4", x, NAMES).apply(x)
    np.testing.assert_allclose(y.mean(axis=0), 0, atol=1e-9)
    np.testing.assert_allclose(_within(y), np.eye(4), atol=1e-9)
    between = y.T @ y / len(y) - np.eye(4)
    np.testing.assert_allclose(between, np.diag(np.diag(between)), atol=1e-9)
    assert (np.diff(np.diag(between)) < 0).all()


def test_total_covariance_factor_1_makes_total_the_identity(x):
    y = fit("lda 4 total-covariance-factor=1", x, NAMES).apply(x)
    np.testing.assert_allclose(y.T @ y / len(y), np.eye(4), atol=1e-9)


def test_lda_spans_what_scikit_learn_finds(x):
    from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
    from sklearn.metrics.pairwise import cosine_similarity

    theirs = LinearDiscriminantAnalysis(solver="eigen", n_components=3).fit(x, NAMES).scalings_[:, :3].T
    np.testing.assert_allclose(np.abs(np.diag(cosine_similarity(fit_lda(x, NAMES, 3)[:, :-1], theirs))), 1)


def test_lda_alone_keeps_all_there_is(x):
    assert fit("lda", x, NAMES).apply(x).shape == (120, 6)
    few = [name if name < "s03" else "s03" for name in NAMES]
    assert fit("lda", x, few).apply(x).shape == (120, 3)


@pytest.mark.parametrize(
    ("chain", "said"),
    [
        ("center | lad 3", "unknown transform 'lad': known are center, whiten, lda, length-norm"),
        ("center |", "unknown transform ''"),
        ("lda 7", "say lda 6"),
        ("lda 0", "'0' is not a number of dimensions"),
        ("lda up-to=1", "a whole number from 2"),
        ("lda 3 up-to=4", "in DIM's place"),
        ("lda three", "not a number of dimensions"),
        ("lda 3 factor=1", "known are total-covariance-factor"),
        ("lda 3 total-covariance-factor=2", "outside 0..1"),
        ("lda total-covariance-factor=x", "not a number"),
        ("center 3", "unknown option '3'"),
        ("wccn 3", "known are shrink=NUMBER"),
        ("lda total-covariance-factor=nan", "not finite"),
        ("length-norm l1", "known are sqrt"),
    ],
)
def test_descriptions_that_mean_nothing_are_refused(x, chain, said):
    with pytest.raises(InputError, match=said):
        fit(chain, x, NAMES)


@pytest.mark.parametrize(
    ("speakers", "said"),
    [
        ([str(number) for number in range(120)], "each of the 120 speakers has one"),
        (["one"] * 120, "at least two speakers"),
        (["one"] * 3, "120 vectors but 3"),
    ],
)
def test_speakers_that_lda_cannot_use_are_refused(x, speakers, said):
    with pytest.raises(InputError, match=said):
        fit("lda 2", x, speakers)


def test_more_speakers_asked_for_than_there_are_is_refused(x):
    with pytest.raises(InputError, match="2 speakers and 6 dimensions allow 1 to 1"):
        fit("lda 5", x, ["a", "b"] * 60)


def test_lda_up_to_keeps_what_speakers_allow_and_says_when_that_is_less(x, tmp_path, capsys):
    np.testing.assert_array_equal(fit("lda up-to=4", x, NAMES).apply(x), fit("lda 4", x, NAMES).apply(x))
    assert capsys.readouterr().err == ""
    three = [f"s{number % 3}" for number in range(120)]
    chain = fit("lda up-to=4", x, three)
    np.testing.assert_array_equal(chain.apply(x), fit("lda 2", x, three).apply(x))
    assert "lda up-to=4: 2 dimensions: 3 speakers" in capsys.readouterr().err
    chain.save(tmp_path)
    np.testing.assert_array_equal(Chain.load(tmp_path).apply(x), chain.apply(x))


def test_lda_up_to_is_left_out_for_two_speakers_so_that_scores_differ(x, capsys):
    two, pairs = ["a", "b"] * 60, [(row, row + 1) for row in range(119)]
    np.testing.assert_array_equal(fit("lda up-to=4", x, two).apply(x), x)
    assert "left out" in capsys.readouterr().err
    for link, different in (("lda 1", 2), ("lda up-to=4", 119)):
        scores = Backend.fit(f"center | {link} | length-norm | plda", x, two).score(x, x, pairs)
        assert len(set(scores.round(6))) == different and np.isfinite(scores).all()
    with pytest.raises(InputError, match="at least two speakers"):
        fit("lda up-to=4", x, ["one"] * 120)


def test_singular_covariance_is_regularised():
    x = np.random.default_rng(0).normal(size=(8, 30))
    for chain in ("lda 3", "whiten", "center | whiten | lda | length-norm"):
        assert np.isfinite(fit(chain, x, list("aabbccdd")).apply(x)).all()
    with pytest.raises(InputError, match="equal"):
        fit("whiten", np.ones((4, 3)), list("aabb"))


def test_whiten_makes_total_the_identity(x):
    y = fit("whiten", x, NAMES).apply(x)
    np.testing.assert_allclose(y.T @ y / len(y), np.eye(6), atol=1e-9)


def test_length_norm(x):
    np.testing.assert_allclose(np.linalg.norm(fit("length-norm", x, NAMES).apply(x), axis=1), np.sqrt(6))
    np.testing.assert_allclose(np.linalg.norm(fit("length-norm unit", x, NAMES).apply(x), axis=1), 1)
    assert fit("length-norm", x, NAMES).apply(np.zeros((1, 6))).tolist() == [[0] * 6]


def test_wccn_makes_within_the_identity(x):
    np.testing.assert_allclose(_within(fit("wccn", x, NAMES).apply(x)), np.eye(6), atol=1e-9)


def test_wccn_scores_are_those_of_the_papers_cholesky_factor(x):
    from sklearn.metrics.pairwise import cosine_similarity

    factor = np.linalg.cholesky(np.linalg.inv(_within(x)))
    got = cosine_similarity(fit("wccn", x, NAMES).apply(x))
    np.testing.assert_allclose(got, cosine_similarity(x @ factor), atol=1e-9)


def test_wccn_shrunk_wholly_only_scales(x):
    y = fit("wccn shrink=1", x, NAMES).apply(x)
    level = np.trace(_within(x)) / 6
    np.testing.assert_allclose(y @ y.T, x @ x.T / level, atol=1e-9)
    with pytest.raises(InputError, match="outside 0..1"):
        fit("wccn shrink=2", x, NAMES)


def test_center_set_takes_the_mean_of_the_set_that_is_scored(x):
    chain = fit("length-norm unit | center set", x, NAMES)
    other = x[:50] * [1, 2, 1, 1, 1, 1] + 7
    unit = other / np.linalg.norm(other, axis=1, keepdims=True)
    np.testing.assert_allclose(chain.apply(other[:3], other), unit[:3] - unit.mean(axis=0), atol=1e-12)
    np.testing.assert_allclose(chain.train(x).mean(axis=0), 0, atol=1e-12)
    with pytest.raises(InputError, match="there is no set here"):
        chain.apply(other)


def test_center_adapt_takes_the_mean_of_that_set(x):
    other = x[:9] + 3
    chain = fit("center adapt=new", x, NAMES, {"new": other})
    np.testing.assert_allclose(chain.apply(other), other - other.mean(axis=0))
    np.testing.assert_allclose(chain.train(x), x - x.mean(axis=0))


def test_saved_as_text_a_chain_does_the_same(x, tmp_path):
    chain = fit("center | whiten | lda 4 | wccn", x, NAMES)
    chain.save(tmp_path, text=True)
    assert (tmp_path / "mean.vec").read_bytes().startswith(b" [ ")
    assert Chain.load(tmp_path).apply(x).tobytes() == chain.apply(x).tobytes()
    theirs = kaldiio.load_mat(str(tmp_path / "transform.mat"))  # kaldiio makes single precision of text
    np.testing.assert_allclose(theirs, chain.steps[2].array, rtol=1e-6)


def test_each_transform_is_fitted_on_what_the_one_before_left(x):
    y = fit("center | length-norm unit | center", x, NAMES).apply(x)
    np.testing.assert_allclose(y.mean(axis=0), 0, atol=1e-12)


def test_saved_and_loaded_a_chain_does_the_same(x, tmp_path):
    chain = fit("center | whiten | lda 4 | length-norm | center", x, NAMES)
    chain.save(tmp_path / "b ö")
    again = Chain.load(tmp_path / "b ö")
    assert again.apply(x).tobytes() == chain.apply(x).tobytes()
    files = sorted(path.name for path in (tmp_path / "b ö").iterdir())
    assert files == ["chain.json", "mean.vec", "mean_2.vec", "transform.mat", "whiten.mat"]


def test_kaldiio_reads_what_is_saved(x, tmp_path):
    chain = fit("center | lda 4", x, NAMES)
    chain.save(tmp_path)
    np.testing.assert_array_equal(kaldiio.load_mat(str(tmp_path / "mean.vec")), chain.steps[0].array)
    np.testing.assert_array_equal(kaldiio.load_mat(str(tmp_path / "transform.mat")), chain.steps[1].array)
    assert chain.steps[1].array.shape == (4, 7)


def test_empty_chain_is_the_identity(x):
    assert fit("", x, NAMES).apply(x).tolist() == x.tolist()


@pytest.mark.parametrize("kind", [np.float32, np.float64])
def test_an_empty_chain_gives_its_caller_a_float64_copy(x, kind):
    given = x.astype(kind)
    found = Chain([]).apply(given)
    assert found.dtype == np.float64 and not np.shares_memory(found, given)
    np.testing.assert_array_equal(found, given)


def test_vectors_of_another_size_are_refused(x):
    for chain in ("center", "lda 2"):
        with pytest.raises(InputError, match="vectors of 5 dimensions"):
            fit(chain, x, NAMES).apply(np.ones((1, 4 + 1)))


def test_chain_json_cannot_name_files_elsewhere(x, tmp_path):
    fit("center", x, NAMES).save(tmp_path)
    (tmp_path / "chain.json").write_text(
        json.dumps({"chain": [{"name": "center", "options": [], "file": "../a"}]})
    )
    with pytest.raises(InputError, match="beside chain.json"):
        Chain.load(tmp_path)
    with pytest.raises(InputError, match="chain.json: the list of the back end's transforms is missing"):
        Chain.load(tmp_path / "nothing")


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("[]", 'no list "chain"'),
        ("{}", 'no list "chain"'),
        ('{"chain": {}}', 'no list "chain"'),
        ('{"chain": [1]}', "not a transform: 1"),
        ('{"chain": [{"name": "centre"}]}', "unknown transform 'centre'"),
        ('{"chain": [{"name": "lda", "options": "150"}]}', "not a transform"),
        ('{"chain": [{"name": "lda", "options": ["x"], "file": "mean.vec"}]}', "'x' is not a number"),
        ('{"chain": [{"name": "lda"}]}', "lda: file ''"),
        ('{"chain": [{"name": "length-norm", "file": "mean.vec"}]}', "length-norm: file 'mean.vec'"),
        ('{"chain": [{"name": "lda", "file": "mean.vec"}]}', "marker b'DV' where FM or DM"),
        ('{"version": 2, "chain": []}', "version 2 of this file, known is 1"),
        ("{", "is damaged"),
    ],
)
def test_a_chain_json_of_another_form_is_refused(x, tmp_path, content, said):
    fit("center", x, NAMES).save(tmp_path)
    (tmp_path / "chain.json").write_text(content)
    with pytest.raises(InputError, match=said):
        Chain.load(tmp_path)


def test_a_chain_json_without_a_version_is_read(x, tmp_path):
    chain = fit("center", x, NAMES)
    chain.save(tmp_path)
    (tmp_path / "chain.json").write_text('{"chain": [{"name": "center", "file": "mean.vec"}]}')
    assert Chain.load(tmp_path).apply(x).tobytes() == chain.apply(x).tobytes()


def test_arrays_of_an_older_chain_do_not_stay(x, tmp_path):
    fit("center | lda 4 | center", x, NAMES).save(tmp_path)
    (tmp_path / "notes").write_text("mine")
    Backend(fit("center", x, NAMES)).save(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["chain.json", "mean.vec", "notes"]

"""Classifiers: what scikit-learn learned is saved as plain arrays, read back, and answers as it does."""

from __future__ import annotations

import json

import numpy as np
import pytest

from pysteps.backend import learners
from pysteps.backend.chain import fit
from pysteps.backend.classifier import Classifier
from pysteps.backend.classline import CLASSIFIERS, parse_class_line, understood
from pysteps.backend.options import BackendOptions
from pysteps.formats.errors import InputError

WORDS = {
    "logistic": "c=0.5",
    "mlp": "hidden=7,5 iterations=20",
    "forest": "trees=9 depth=4",
    "adaboost": "trees=8 depth=2",
    "boosting": "trees=6 leaves=7",
}


def rows_of(classes: int) -> tuple[np.ndarray, list[str], np.ndarray]:
    """Unbalanced training rows and their labels, and rows that nobody learned from."""
    random = np.random.default_rng(classes)
    y = np.repeat(np.arange(classes), [90, 45, 30, 25][:classes])
    centre = random.normal(size=(classes, 6))
    x = centre[y] + random.normal(size=(len(y), 6)) * 1.5
    return x, [f"class{one}" for one in y], random.normal(size=(200, 6)) * 2


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("classes", [2, 4])
@pytest.mark.parametrize("name", CLASSIFIERS)
def test_saved_and_read_they_answer_as_scikit_learn_does(name, classes, tmp_path, monkeypatch):
    x, labels, others = rows_of(classes)
    kept, make = [], learners._MAKE[name]
    monkeypatch.setitem(learners._MAKE, name, lambda *of: kept.append(make(*of)) or kept[-1])
    learned = Classifier.fit(f"averages | standardise | {name} {WORDS[name]}", x, labels)
    learned.save(tmp_path)
    read = Classifier.load(tmp_path)
    assert read.line == learned.line and read.classes == [f"class{one}" for one in range(classes)]
    wanted = kept[0].predict_proba((others - x.mean(axis=0)) / x.std(axis=0))
    np.testing.assert_allclose(read.posteriors(others), wanted, rtol=0, atol=1e-12)
    assert (read.posteriors(others) == learned.posteriors(others)).all()
    assert wanted.std() > 0.01  # it has learned something; AdaBoost is never sure


@pytest.mark.parametrize("name", ["forest", "adaboost", "boosting"])
def test_at_a_threshold_trees_go_scikit_learns_way(name, monkeypatch):
    # Whole numbers are parted at halves. A half and a hair is a half for those that compare float32.
    random = np.random.default_rng(4)
    x = random.integers(0, 8, size=(120, 3)).astype(np.float64)
    labels = ["a" if row @ [1, 2, -1] + random.normal() > 7 else "b" for row in x]
    others = random.integers(0, 8, size=(300, 3)) + random.choice([0.5, 0.5 + 1e-10], size=(300, 3))
    kept, make = [], learners._MAKE[name]
    monkeypatch.setitem(learners._MAKE, name, lambda *of: kept.append(make(*of)) or kept[-1])
    learned = Classifier.fit(f"averages | {name} {WORDS[name]}", x, labels)
    np.testing.assert_allclose(learned.posteriors(others), kept[0].predict_proba(others), atol=1e-12)


@pytest.mark.parametrize("name", CLASSIFIERS)
def test_the_same_vectors_give_the_same_bytes(name, tmp_path, capsys):
    x, labels, _ = rows_of(2)
    line = f"xvectors | center | {name} {WORDS[name]}"
    for folder in ("one", "two"):
        Classifier.fit(line, x, labels, seed=3).save(tmp_path / folder)
    for file in ("classifier.safetensors", "chain.json", "mean.vec"):
        assert (tmp_path / "one" / file).read_bytes() == (tmp_path / "two" / file).read_bytes()
    if name == "mlp":
        assert "mlp: 20 iterations were too few to converge" in capsys.readouterr().err


@pytest.mark.parametrize("name", CLASSIFIERS)
def test_balanced_a_rare_class_weighs_as_much_as_a_frequent_one(name):
    random = np.random.default_rng(1)
    y = np.repeat([0, 1], [380, 20])
    x = random.normal(size=(400, 3)) + y[:, None] * 0.7
    labels = ["often" if not one else "rare" for one in y]
    words = f"{WORDS[name]} leaf=20" if name == "forest" else WORDS[name]
    words = words.replace("iterations=20", "iterations=200")
    rare = {
        weights: (Classifier.fit(f"xvectors | {name} {words} weights={weights}", x, labels).posteriors(x))[
            :, 1
        ]
        for weights in ("balanced", "none")
    }
    assert rare["none"].mean() < 0.3 < rare["balanced"].mean()


def test_rows_repeated_are_rows_weighed():
    # Balanced weights of 30 and 10 rows are those of every row of the second class three times.
    random = np.random.default_rng(2)
    x, labels = random.normal(size=(40, 4)), ["a"] * 30 + ["b"] * 10
    x[30:] += 1
    thrice = np.concatenate([x, x[30:], x[30:]])
    cases = ((1.0, "balanced", x, labels), (2 / 3, "none", thrice, [*labels, *"b" * 20]))
    both = [
        Classifier.fit(f"xvectors | logistic c={c} weights={weights}", some, said).posteriors(x)
        for c, weights, some, said in cases
    ]
    np.testing.assert_allclose(*both, atol=1e-4)


def test_standardise_by_hand():
    x = np.array([[1.0, 10.0, 7.0], [3.0, 30.0, 7.0]])
    chain = fit("standardise", x, ["a", "b"])
    np.testing.assert_allclose(chain.apply([[2.0, 40.0, 8.0]]), [[0.0, 2.0, 1.0]], atol=1e-12)


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("logistic", "the first word says of what: known are network, xvectors, averages"),
        ("xvectors", "the first word says of what"),
        ("network | logistic", "the first word says of what"),
        ("xvectors | center", "no classifier at its end: known are logistic, mlp, forest, adaboost, boo"),
        ("xvectors | forest | logistic", "unknown transform 'forest'"),
        ("xvectors | forest trees=0", "trees=0 is no whole number from 1 on"),
        ("xvectors | forest trees=2.5", "trees=2.5 is no whole number"),
        ("xvectors | mlp hidden=10,x", "sizes of layers are wanted"),
        ("xvectors | logistic weights=some", "known are balanced, none"),
        ("xvectors | logistic hidden=3", "unknown option 'hidden=3'"),
    ],
)
def test_a_line_that_says_nothing_known_is_refused(line, said):
    with pytest.raises(InputError, match=said):
        parse_class_line(line)


def test_words_over_defaults():
    assert understood("mlp", ["hidden=64,32"]) == {
        **{"l2": 1e-4, "rate": 1e-3, "iterations": 300},
        **{"weights": "balanced", "hidden": [64, 32]},
    }


@pytest.mark.parametrize("name", ["baseline", "truth", "a b", ""])
def test_names_that_cannot_be(name):
    with pytest.raises(InputError, match="cannot be a classifier's name"):
        BackendOptions(classifiers={name: "network"})


def test_bad_vectors_and_folders_are_said(tmp_path):
    x, labels, others = rows_of(2)
    with pytest.raises(InputError, match="1 classes: a classifier needs two"):
        Classifier.fit("xvectors | logistic", x, ["a"] * len(x))
    learned = Classifier.fit("xvectors | logistic", x, labels)
    with pytest.raises(InputError, match="vectors of 5 dimensions, the classifier was learned on"):
        learned.posteriors(others[:, :5])
    with pytest.raises(InputError, match="AdaBoost|adaboost cannot be learned"):
        Classifier.fit("xvectors | adaboost", np.ones((4, 2)), ["a", "b", "a", "b"])
    learned.save(tmp_path)
    (tmp_path / "classifier.safetensors").write_bytes(b"no tensors")
    with pytest.raises(InputError, match="the classifier is damaged"):
        Classifier.load(tmp_path)
    (tmp_path / "classifier.safetensors").unlink()
    with pytest.raises(InputError, match="the classifier is missing"):
        Classifier.load(tmp_path)
    (tmp_path / "chain.json").write_text(json.dumps({"version": 1, "chain": []}))
    with pytest.raises(InputError, match="is no classifier"):
        Classifier.load(tmp_path)

"""Classifiers learned by scikit-learn, and what they learned as plain arrays (see posteriors.py).

No pickle and no other program's model format: the arrays are a page of numpy to apply, keep float64 (ONNX's
trees compare float32), and give scikit-learn's predict_proba to rounding.
"""

from __future__ import annotations

import sys
import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..formats.errors import InputError
from .stats import Floats

Arrays = dict[str, NDArray[Any]]


def learn(name: str, options: Mapping[str, Any], x: Floats, y: NDArray[np.int64], seed: int) -> Arrays:
    """The arrays of the classifier ``name`` (see classline) for rows ``x`` [N, D] of classes ``y`` [N].

    Classes are 0..K-1, each there at least once, K >= 2. With ``weights`` balanced a row weighs N / (K n),
    n being its class's rows. One thread; the same input gives the same bytes.
    """
    from sklearn.exceptions import ConvergenceWarning
    from threadpoolctl import threadpool_limits

    counts = np.bincount(y)
    weight = np.ones(len(y)) if options["weights"] == "none" else len(y) / (len(counts) * counts[y])
    model = _MAKE[name](options, seed)
    with warnings.catch_warnings(record=True) as caught, threadpool_limits(1):
        warnings.simplefilter("always", ConvergenceWarning)
        try:
            model.fit(x, y, sample_weight=weight)
        except ValueError as error:  # AdaBoost whose first tree is no better than chance
            raise InputError(f"{name} cannot be learned from these vectors: {error}") from error
    if any(issubclass(one.category, ConvergenceWarning) for one in caught):
        print(f"{name}: {options['iterations']} iterations were too few to converge", file=sys.stderr)
    taken = _TAKE[name](model, len(counts))
    return {"dim": np.array([x.shape[1]], np.int64), **taken}


def _logistic(options: Mapping[str, Any], seed: int) -> Any:
    from sklearn.linear_model import LogisticRegression

    return LogisticRegression(C=options["c"], max_iter=options["iterations"])


def _mlp(options: Mapping[str, Any], seed: int) -> Any:
    from sklearn.neural_network import MLPClassifier

    # No early stopping: its held-out rows would share speakers with the others.
    return MLPClassifier(
        options["hidden"],
        alpha=options["l2"],
        learning_rate_init=options["rate"],
        max_iter=options["iterations"],
        random_state=seed,
    )


def _forest(options: Mapping[str, Any], seed: int) -> Any:
    from sklearn.ensemble import RandomForestClassifier

    return RandomForestClassifier(
        options["trees"],
        max_depth=options["depth"] or None,
        min_samples_leaf=options["leaf"],
        random_state=seed,
    )


def _adaboost(options: Mapping[str, Any], seed: int) -> Any:
    from sklearn.ensemble import AdaBoostClassifier
    from sklearn.tree import DecisionTreeClassifier

    tree = DecisionTreeClassifier(max_depth=options["depth"])
    return AdaBoostClassifier(
        tree, n_estimators=options["trees"], learning_rate=options["rate"], random_state=seed
    )


def _boosting(options: Mapping[str, Any], seed: int) -> Any:
    from sklearn.ensemble import HistGradientBoostingClassifier

    # Of histograms: the exact one takes an hour where this takes seconds. No early stopping: as _mlp.
    return HistGradientBoostingClassifier(
        max_iter=options["trees"],
        max_depth=options["depth"] or None,
        max_leaf_nodes=options["leaves"],
        min_samples_leaf=options["leaf"],
        learning_rate=options["rate"],
        early_stopping=False,
        random_state=seed,
    )


def _layers(weights: Sequence[Any], biases: Sequence[Any]) -> Arrays:
    out: Arrays = {}
    for layer, (weight, bias) in enumerate(zip(weights, biases, strict=True)):
        out[f"weight_{layer}"] = np.ascontiguousarray(weight, np.float64)
        out[f"bias_{layer}"] = np.ascontiguousarray(bias, np.float64)
    return out


Tree = tuple[
    Any, Any, Any, Any, Floats
]  # feature, threshold, left, right (-1: a leaf), value [nodes, columns]


def _joined(trees: Sequence[Tree], columns: Sequence[int], start: Floats) -> Arrays:
    # Trees one behind the other; a leaf's children are itself.
    parts: dict[str, list[Any]] = {key: [] for key in ("feature", "threshold", "left", "right", "value")}
    roots, begin = [], 0
    for feature, threshold, left, right, value in trees:
        places = np.arange(len(left))
        leaf = np.asarray(left) < 0
        parts["feature"].append(np.where(leaf, 0, feature))
        parts["threshold"].append(np.where(leaf, 0.0, threshold))
        for key, side in (("left", left), ("right", right)):
            parts[key].append(begin + np.where(leaf, places, side))
        parts["value"].append(np.where(leaf[:, None], value, 0.0))
        roots.append(begin)
        begin += len(left)
    kinds = {"feature": np.int32, "threshold": np.float64, "value": np.float64}
    out: Arrays = {
        key: np.ascontiguousarray(np.concatenate(some), kinds.get(key, np.int64))
        for key, some in parts.items()
    }
    places_of = {"root": np.array(roots, np.int64), "column": np.array(columns, np.int64)}
    return out | places_of | {"start": np.ascontiguousarray(start, np.float64)}


def _of_tree(tree: Any, value: Floats) -> Tree:
    return tree.feature, tree.threshold, tree.children_left, tree.children_right, value


def _take_forest(model: Any, classes: int) -> Arrays:
    trees = []
    for one in model.estimators_:
        share = one.tree_.value[:, 0, :]
        share = share / share.sum(axis=1, keepdims=True)
        trees.append(_of_tree(one.tree_, share / len(model.estimators_)))
    return _joined(trees, [0] * len(trees), np.zeros(classes))


def _take_adaboost(model: Any, classes: int) -> Arrays:
    # SAMME (J. Zhu et al., "Multi-class AdaBoost", 2009): a tree votes for one class and against the others.
    trees, total = [], model.estimator_weights_.sum() * (classes - 1)
    for one, weight in zip(model.estimators_, model.estimator_weights_, strict=False):
        said = one.tree_.value[:, 0, :].argmax(axis=1)
        votes = np.full((len(said), classes), -1 / (classes - 1))
        votes[np.arange(len(said)), said] = 1.0
        trees.append(_of_tree(one.tree_, votes * weight / total))
    return _joined(trees, [0] * len(trees), np.zeros(classes))


def _take_boosting(model: Any, classes: int) -> Arrays:
    # scikit-learn has no public name for these trees; the tests hold them against predict_proba.
    trees, columns = [], []
    for round_of in model._predictors:
        for column, one in enumerate(round_of):
            nodes = one.nodes
            left, right = (
                np.where(nodes["is_leaf"], -1, nodes[side].astype(np.int64)) for side in ("left", "right")
            )
            trees.append((nodes["feature_idx"], nodes["num_threshold"], left, right, nodes["value"][:, None]))
            columns.append(column)
    return _joined(trees, columns, model._baseline_prediction.ravel())


_MAKE: dict[str, Callable[[Mapping[str, Any], int], Any]] = {
    "logistic": _logistic,
    "mlp": _mlp,
    "forest": _forest,
    "adaboost": _adaboost,
    "boosting": _boosting,
}
_TAKE: dict[str, Callable[[Any, int], Arrays]] = {
    "logistic": lambda model, classes: _layers([model.coef_.T], [model.intercept_]),
    "mlp": lambda model, classes: _layers(model.coefs_, model.intercepts_),
    "forest": _take_forest,
    "adaboost": _take_adaboost,
    "boosting": _take_boosting,
}

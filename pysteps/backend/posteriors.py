"""From a classifier's arrays to posteriors: layers and trees, in numpy alone.

Layers: ``weight_N`` [in, out] and ``bias_N`` [out] (logistic regression has one). Trees lie behind one
another: ``feature``, ``threshold``, ``left``, ``right`` [nodes] (a leaf's left is itself), ``value``
[nodes, columns], ``root`` and ``column`` [trees] (the first of the columns that a tree adds to).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..formats.errors import InputError
from .stats import Floats

Arrays = Mapping[str, NDArray[Any]]
_SHARES = {"forest"}  # whose trees' values add up to posteriors; the others' are scores for a softmax
_SINGLE = {"forest", "adaboost"}  # scikit-learn compares float32 with these ones' thresholds
_ROWS = 1 << 14  # vectors at a time: memory


def posteriors(name: str, arrays: Arrays, x: Floats, classes: int) -> Floats:
    """Posteriors [N, ``classes``] of rows ``x`` [N, D] by the classifier ``name``."""
    if arrays["dim"].tolist() != [x.shape[1]]:
        said = f"vectors of {x.shape[1]} dimensions, the classifier was learned on {arrays['dim'].tolist()}"
        raise InputError(said, mend="take x-vectors of the model that it was learned with")
    out = np.empty((len(x), classes))
    for begin in range(0, len(x), _ROWS):
        part = x[begin : begin + _ROWS]
        found = _trees(name, arrays, part) if "root" in arrays else _layers(arrays, part)
        out[begin : begin + _ROWS] = found if name in _SHARES else softmax(found, classes)
    return out


def softmax(scores: Floats, classes: int) -> Floats:
    """Softmax of ``scores`` [N, classes]; one column is the second class's against 0."""
    if scores.shape[1] == 1 and classes == 2:
        scores = np.column_stack([np.zeros(len(scores)), scores])
    powers = np.exp(scores - scores.max(axis=1, keepdims=True))
    return powers / powers.sum(axis=1, keepdims=True)


def _layers(arrays: Arrays, x: Floats) -> Floats:
    count = sum(key.startswith("weight_") for key in arrays)
    for layer in range(count):
        x = x @ arrays[f"weight_{layer}"] + arrays[f"bias_{layer}"]
        if layer < count - 1:
            x = np.maximum(x, 0.0)
    return x


def _trees(name: str, arrays: Arrays, x: Floats) -> Floats:
    rows = x.astype(np.float32) if name in _SINGLE else x
    out = np.tile(arrays["start"], (len(x), 1))
    every = np.arange(len(x))
    feature, threshold, left, right = (arrays[key] for key in ("feature", "threshold", "left", "right"))
    value = arrays["value"]
    for root, column in zip(arrays["root"].tolist(), arrays["column"].tolist(), strict=True):
        node = np.full(len(x), root)
        while True:  # down one level for all; at a leaf nobody moves
            down = np.where(rows[every, feature[node]] <= threshold[node], left[node], right[node])
            if (down == node).all():
                break
            node = down
        out[:, column : column + value.shape[1]] += value[node]
    return out

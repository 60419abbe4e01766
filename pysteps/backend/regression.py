"""Logistic regression with a set prior: the arithmetic below calibration and fusion."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from .stats import Floats

RIDGE = 1e-8  # on standardised weights: finite where the classes can be parted, nothing elsewhere
_ROWS = 1 << 16  # trials at a time: memory does not grow with their number


def regress(
    columns: Sequence[Floats], label: NDArray[np.bool_], p_target: float, varied: int = 0
) -> tuple[float, list[float]]:
    """Offset and a weight a column: logistic regression on ``columns`` [N] each, whose prior is ``p_target``.

    Newton's method on standardised columns. The objective is convex; steps that overshoot are halved. A
    constant column has weight 0; FloatingPointError where one of the first ``varied`` is constant to 12
    digits, and where numbers are too large or too small for float64.
    """
    with np.errstate(over="ignore", invalid="ignore"):
        means = np.array([column.mean() for column in columns])
        scales = np.array([column.std() for column in columns])
    if not (np.isfinite(means).all() and np.isfinite(scales).all()):
        raise FloatingPointError("the numbers are too large")
    alike = scales <= 1e-12 * np.abs(means)
    if alike[:varied].any():
        raise FloatingPointError("the numbers are too small, or equal to 12 digits")
    scales[alike] = np.inf  # the offset says it already
    prior = np.log(p_target) - np.log1p(-p_target)
    share = np.array([(1 - p_target) / (~label).sum(), p_target / label.sum()])
    share /= 2 * min(p_target, 1 - p_target)  # so that the ridge weighs the same at any prior

    def derivatives(at: Floats) -> tuple[float, Floats, Floats]:
        ridge = np.append(0.0, np.full(len(columns), RIDGE))
        value = 0.5 * float(ridge @ at**2)
        slope, curve = ridge * at, np.diag(ridge)
        for begin in range(0, len(label), _ROWS):
            part = slice(begin, begin + _ROWS)
            x = np.column_stack([np.ones(len(label[part])), *(column[part] for column in columns)])
            x[:, 1:] = (x[:, 1:] - means) / scales
            sign, weight = np.where(label[part], 1.0, -1.0), share[label[part].astype(int)]
            margin = sign * (x @ at + prior)
            wrong = 0.5 * (1 - np.tanh(0.5 * margin))  # 1 / (1 + exp(margin)) without overflow
            value += float(weight @ np.logaddexp(0.0, -margin))
            slope -= x.T @ (weight * sign * wrong)
            curve += (x.T * (weight * wrong * (1 - wrong))) @ x
        return value, slope, curve

    at = np.zeros(len(columns) + 1)
    value, slope, curve = derivatives(at)
    for _ in range(100):
        step = np.linalg.lstsq(curve, slope, rcond=None)[0]
        gain, length = float(slope @ step), 1.0
        if gain < 1e-10:  # below this rounding hides whether a step is a gain; it squares the error
            at = at - step
            break
        trial = derivatives(at - step)
        while trial[0] > value - 1e-4 * length * gain and length > 1e-10:
            length /= 2
            trial = derivatives(at - length * step)
        at, (value, slope, curve) = at - length * step, trial
    with np.errstate(over="ignore", invalid="ignore"):
        weights = at[1:] / scales
        offset = float(at[0] - weights @ means)
    if not np.isfinite([offset, *weights]).all():
        raise FloatingPointError("the numbers are too small")
    return offset, weights.tolist()

"""Calibration: from scores of any kind to natural-log likelihood ratios; fusion of several systems.

``logistic``: offset + sum of weights * scores (+ weights * quality measures), by logistic regression whose
prior is set instead of counted (N. Brummer and J. du Preez, "Application-independent evaluation of speaker
detection", 2006; the objective of the Bosaris toolkit). ``pav``: the best monotone map (pool adjacent
violators). Learned on a development set, never on an evaluation set; stored as JSON.

Infinite scores (trials of dropped utterances) are refused in learning and stay what they are in applying.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import ClassVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..formats.atomic import write_text
from ..formats.errors import InputError
from ..formats.records import read_json
from ..metrics.detection import check_scores
from .stats import Floats

RIDGE = 1e-8  # on standardised weights: finite where the classes can be parted, nothing elsewhere
QUALITIES: dict[str, Callable[[Floats], Floats]] = {
    "duration": np.log,
    "magnitude": np.log,
    "cohort": np.asarray,
}
_ROWS = 1 << 16  # trials at a time: memory does not grow with their number


@dataclass(frozen=True)
class Logistic:
    """offset + ``weights`` {system: weight} * scores + ``quality`` {measure: weight} * measures.

    ``notes`` say what was odd about the scores that it was learned on.
    """

    offset: float
    weights: dict[str, float]
    quality: dict[str, float]
    p_target: float = 0.5
    targets: int = 0
    nontargets: int = 0
    notes: tuple[str, ...] = ()
    kind: ClassVar[str] = "logistic"

    def apply(self, scores: ArrayLike, quality: Mapping[str, ArrayLike] | None = None) -> Floats:
        """[N] log likelihood ratios of ``scores`` [N], or [N, S] in the order of ``weights``.

        ``quality`` {measure: [N]} must have the measures that it was learned with. A trial with an
        infinite score keeps it, whatever the other systems say.
        """
        systems = _columns(scores, len(self.weights))
        side = quality or {}
        missing = [name for name in self.quality if name not in side]
        if missing:
            raise InputError(f"this calibration needs the quality measures {', '.join(missing)}")
        finite = np.isfinite(systems).all(axis=1)
        out = np.full(len(systems), self.offset)
        for column, weight in enumerate(self.weights.values()):
            out += weight * np.where(finite, systems[:, column], 0.0)
        for name, weight in self.quality.items():
            out += weight * _measure(name, side[name], len(out))
        kept = np.where(np.isfinite(systems[~finite]), 0.0, np.sign(systems[~finite])).sum(axis=1)
        if (kept == 0).any():
            raise InputError("a trial is minus infinity for one system and infinity for another")
        out[~finite] = kept * np.inf
        return out


@dataclass(frozen=True)
class Pav:
    """Straight lines through ``scores`` [K], ascending, and their log likelihood ratios ``llrs`` [K]."""

    scores: list[float]
    llrs: list[float]
    targets: int = 0
    nontargets: int = 0
    notes: tuple[str, ...] = ()
    kind: ClassVar[str] = "pav"

    def apply(self, scores: ArrayLike, quality: Mapping[str, ArrayLike] | None = None) -> Floats:
        """[N] log likelihood ratios of ``scores`` [N]: constant beyond the scores it was learned on."""
        if quality:
            raise InputError("a PAV calibration takes no quality measures", mend="use logistic")
        score = _columns(scores, 1)[:, 0]
        return np.where(np.isinf(score), score, np.interp(score, self.scores, self.llrs))


Calibration = Logistic | Pav
KINDS: dict[str, type[Logistic] | type[Pav]] = {"logistic": Logistic, "pav": Pav}


def _columns(scores: ArrayLike, systems: int | None) -> Floats:
    array = np.asarray(scores, dtype=np.float64)
    array = array[:, None] if array.ndim == 1 else array
    if array.ndim != 2 or (systems is not None and array.shape[1] != systems):
        raise InputError(f"scores of shape {np.shape(scores)} for a calibration of {systems or 'N'} systems")
    if np.isnan(array).any():
        raise InputError("some scores are not numbers")
    return array


def _measure(name: str, values: ArrayLike, trials: int) -> Floats:
    array = np.asarray(values, dtype=np.float64)
    if array.shape != (trials,) or not np.isfinite(array).all():
        raise InputError(f"quality measure {name} must be {trials} finite numbers, one a trial")
    return array


def _labels(is_target: ArrayLike, trials: int) -> NDArray[np.bool_]:
    label = np.asarray(is_target, dtype=bool)
    if label.shape != (trials,):
        raise InputError(f"{trials} scores but {label.shape} trial labels")
    if not label.any() or label.all():
        raise InputError("calibration needs target and non-target trials, one kind is missing")
    return label


def fit_logistic(
    scores: ArrayLike,
    is_target: ArrayLike,
    *,
    quality: Mapping[str, ArrayLike] | None = None,
    systems: Sequence[str] | None = None,
    p_target: float = 0.5,
) -> Logistic:
    """Learn from ``scores`` [N] of one system, or [N, S] of ``systems`` (fusion), and ``is_target`` [N].

    ``quality`` {measure: [N]} are linear side terms (see quality_measures). ``p_target``: the prior at
    which the fit is best; targets and non-targets weigh p_target and 1 - p_target however many they are.
    """
    array = _columns(scores, None if systems is None else len(systems))
    label = _labels(is_target, len(array))
    names = list(systems) if systems is not None else [f"system{n + 1}" for n in range(array.shape[1])]
    side = {name: _measure(name, values, len(array)) for name, values in (quality or {}).items()}
    if len(set(names)) < len(names):
        raise InputError(f"two systems of one name among {', '.join(names)}")
    if not 0 < p_target < 1:
        raise InputError(f"p_target {p_target} is not between 0 and 1")
    for name, column in zip(names, array.T, strict=True):
        if np.ptp(check_scores(column, f"{name}'s")) == 0:
            raise InputError(f"all scores of {name} are equal: there is nothing to calibrate")
    columns = [*array.T, *side.values()]
    offset, weights = _regress(columns, label, p_target)
    model = Logistic(
        offset,
        dict(zip(names, weights, strict=False)),
        dict(zip(side, weights[len(names) :], strict=True)),
        p_target,
        int(label.sum()),
        int((~label).sum()),
    )
    return Logistic(**{**vars(model), "notes": tuple(_notes(model, model.apply(array, side), label))})


def _notes(model: Logistic, llrs: Floats, label: NDArray[np.bool_]) -> list[str]:
    notes = [f"{name} has a negative weight" for name, weight in model.weights.items() if weight < 0]
    if llrs[label].min() > llrs[~label].max():
        notes.append("no trial is on the wrong side: the ratios are as certain as the ridge allows")
    return notes


def _regress(columns: list[Floats], label: NDArray[np.bool_], p_target: float) -> tuple[float, list[float]]:
    # Newton's method on standardised columns. The objective is convex; steps that overshoot are halved.
    means = np.array([column.mean() for column in columns])
    scales = np.array([column.std() for column in columns])
    scales[scales <= 1e-12 * np.abs(means)] = np.inf  # constant: the offset says it already
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
    weights = at[1:] / scales
    return float(at[0] - weights @ means), weights.tolist()


def fit_pav(scores: ArrayLike, is_target: ArrayLike) -> Pav:
    """The monotone map with the least Cllr on ``scores`` [N], ``is_target`` [N]; kept finite.

    A target and a non-target are added below all scores and above all (Laplace's rule of succession, as
    Bosaris does): without errors at an end the ratio there would be infinite.
    """
    from scipy.optimize import isotonic_regression

    score = check_scores(_columns(scores, 1)[:, 0], "trial")
    label = _labels(is_target, len(score))
    if np.ptp(score) == 0:
        raise InputError("all scores are equal: there is nothing to calibrate")
    thresholds, place = np.unique(score, return_inverse=True)
    targets = np.concatenate(([1], np.bincount(place, weights=label), [1]))
    count = np.concatenate(([2], np.bincount(place), [2]))
    share = isotonic_regression(targets / count, weights=count).x[1:-1]
    llr = np.log(share) - np.log1p(-share) - np.log(targets.sum() / (count - targets).sum())
    edge = np.concatenate(([True], llr[1:] != llr[:-1]))
    kept = edge | np.append(edge[1:], True)  # both ends of every flat piece
    return Pav(thresholds[kept].tolist(), llr[kept].tolist(), int(label.sum()), int((~label).sum()))


def quality_measures(
    sides: Mapping[str, tuple[ArrayLike, ArrayLike]], pairs: ArrayLike
) -> dict[str, Floats]:
    """Side terms for trials: the lesser and the greater of their two sides' values.

    ``sides``: "duration" (voiced seconds), "magnitude" (length of the x-vector before length
    normalisation) or "cohort" (mean cohort score), each a value a row of enrolment [n] and of test [m];
    ``pairs`` [N, 2]. Durations and magnitudes go in as logarithms. After J. Thienpondt et al., "The IDLab
    VoxCeleb Speaker Recognition Challenge 2020 system description".
    """
    index, out = np.asarray(pairs), {}
    for name, values in sides.items():
        if name not in QUALITIES:
            raise InputError(f"unknown quality measure {name!r}: known are {', '.join(QUALITIES)}")
        columns = []
        for side, column in zip(values, (0, 1), strict=True):
            array = np.asarray(side, dtype=np.float64)
            if not np.isfinite(array).all() or (name != "cohort" and (array <= 0).any()):
                wanted = "finite" if name == "cohort" else "finite and positive"
                raise InputError(f"quality measure {name} must be {wanted}")
            columns.append(QUALITIES[name](array)[index[:, column]])
        out[f"{name}.min"], out[f"{name}.max"] = np.minimum(*columns), np.maximum(*columns)
    return out


def save_calibration(calibration: Calibration, path: str | Path) -> None:
    """Write as JSON; numbers come back exactly."""
    content = {"kind": calibration.kind, **vars(calibration), "notes": list(calibration.notes)}
    write_text(path, json.dumps(content, indent=1, ensure_ascii=False, allow_nan=False) + "\n")


def load_calibration(path: str | Path) -> Calibration:
    """Read what save_calibration wrote; anything else is an InputError."""
    content = read_json(Path(path), "the calibration", mend="redo stage backend")
    try:
        kind = KINDS[content.pop("kind")]
        loaded = kind(**{**content, "notes": tuple(content.get("notes", ()))})
        _check_loaded(loaded)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        said = f"not a calibration of the kinds {', '.join(KINDS)}: {error}"
        raise InputError(said, where=path, mend="redo stage backend") from error
    return loaded


def _check_loaded(loaded: Calibration) -> None:
    # ValueError, TypeError or AttributeError unless it can be applied.
    if isinstance(loaded, Logistic):
        numbers = [loaded.offset, *loaded.weights.values(), *loaded.quality.values()]
        if not loaded.weights:
            raise ValueError("no weights")
    else:
        numbers = [*loaded.scores, *loaded.llrs]
        if not loaded.scores or len(loaded.scores) != len(loaded.llrs):
            raise ValueError(f"{len(loaded.scores)} scores and {len(loaded.llrs)} ratios")
        for name, column in (("scores", loaded.scores), ("llrs", loaded.llrs)):
            if any(two < one for one, two in pairwise(column)):
                raise ValueError(f"{name} that fall")
    numbers += [loaded.targets, loaded.nontargets]
    if not all(type(number) in (int, float) and np.isfinite(number) for number in numbers):
        raise ValueError("values that are no finite numbers")
    if not all(isinstance(note, str) for note in loaded.notes):
        raise ValueError("notes that are no text")

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
from .regression import regress
from .stats import Floats

LEAST_PRIOR = 1e-9  # below it errors beside 1 are lost in rounding
QUALITIES: dict[str, Callable[[Floats], Floats]] = {
    "duration": np.log,
    "magnitude": np.log,
    "cohort": np.asarray,
}


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
        with np.errstate(over="ignore", invalid="ignore"):
            for column, weight in enumerate(self.weights.values()):
                out += weight * np.where(finite, systems[:, column], 0.0)
            for name, weight in self.quality.items():
                out += weight * _measure(name, side[name], len(out))
        if not np.isfinite(out).all():
            said = f"the ratio of trial {int(np.flatnonzero(~np.isfinite(out))[0]) + 1} is too large a number"
            raise InputError(said, mend="give scores of the system that this calibration was learned on")
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
    if not LEAST_PRIOR <= p_target <= 1 - LEAST_PRIOR:
        said = f"p_target {p_target} is not between {LEAST_PRIOR:g} and 1 - {LEAST_PRIOR:g}"
        raise InputError(said, mend="give the share of target trials that is expected, e.g. 0.01")
    for name, column in zip(names, array.T, strict=True):
        if check_scores(column, f"{name}'s").min() == column.max():
            raise InputError(f"all scores of {name} are equal: there is nothing to calibrate")
    columns = [*array.T, *side.values()]
    try:
        offset, weights = regress(columns, label, p_target, varied=len(names))
    except FloatingPointError as error:
        said = f"a calibration of {', '.join(names)} cannot be worked out: {error}"
        raise InputError(said, mend="give scores of a usual size") from error
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


def fit_pav(scores: ArrayLike, is_target: ArrayLike) -> Pav:
    """The monotone map with the least Cllr on ``scores`` [N], ``is_target`` [N]; kept finite.

    A target and a non-target are added below all scores and above all (Laplace's rule of succession, as
    Bosaris does): without errors at an end the ratio there would be infinite.
    """
    from scipy.optimize import isotonic_regression

    score = check_scores(_columns(scores, 1)[:, 0], "trial")
    label = _labels(is_target, len(score))
    if score.min() == score.max():
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


def load_calibration(path: str | Path, mend: str = "redo stage backend") -> Calibration:
    """Read what save_calibration wrote; anything else is an InputError with ``mend``."""
    content = read_json(Path(path), "the calibration", mend=mend)
    try:
        kind = KINDS[content.pop("kind")]
        loaded = kind(**{**content, "notes": tuple(content.get("notes", ()))})
        _check_loaded(loaded)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        said = f"not a calibration of the kinds {', '.join(KINDS)}: {error}"
        raise InputError(said, where=path, mend=mend) from error
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

"""Figures of a classifier, with intervals by a bootstrap over speakers.

Utterances of a speaker are no independent samples, so speakers are drawn with replacement, and an utterance
counts as often as its speaker was drawn (as metrics.intervals does it for trials).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..formats.errors import InputError
from ..formats.rng import generator
from ..metrics import interval
from .answers import FLOOR, Answers
from .evaluate import check_bootstrap
from .few import FEW, enough

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
FIGURES = ("accuracy", "balanced_accuracy", "macro_f1", "roc_auc", "log_loss")
_VALUES = 1 << 24  # weights of utterances in one piece of replicates: memory


class ClassJudged(NamedTuple):
    """``figures`` ready for JSON, and those of each replicate {figure: [R]} (None without speakers)."""

    figures: dict[str, Any]
    drawn: dict[str, Floats] | None


def judge_classes(
    found: Answers,
    labels: Mapping[str, str],
    speakers: Mapping[str, str] | None = None,
    *,
    replicates: int = 1000,
    seed: int = 0,
) -> ClassJudged:
    """All figures of ``found`` against the true ``labels`` {utterance: class}.

    ``accuracy``, and of the classes that are there ``balanced_accuracy`` (mean recall) and ``macro_f1`` (mean
    F1), in percent; ``roc_auc`` of two classes (0..1, ties are half); ``log_loss`` in nats, of the utterances
    that have an answer, posteriors floored at 2.2e-16. Utterances without an answer are wrong in all others.
    ``classes``: precision, recall and f1 in percent and the count of each. ``confusion``: rows the truth,
    columns the answers; ``unanswered`` by class. With ``speakers`` {utterance: speaker} each figure's 95 %
    interval ``_ci``, null of too few.
    """
    check_bootstrap(replicates, seed)
    truth = _truth(found, labels)
    ones = np.ones((1, len(truth)))
    values = _by_weight(found, truth, ones, np.arange(len(truth)))
    figures: dict[str, Any] = {
        "utterances": len(truth),
        "dropped": int((found.said < 0).sum()),
        "speakers": None if speakers is None else len({speakers[utt] for utt in found.utterances}),
        **{key: _number(value[0]) for key, value in values.items()},
        "classes": _by_class(found, truth),
        "confusion": _confusion(found, truth),
    }
    figures = {**dict.fromkeys(FIGURES), **figures}
    if speakers is None:
        return ClassJudged({**figures, **{f"{key}_ci": None for key in FIGURES}}, None)
    codes = _codes([speakers[utt] for utt in found.utterances])
    weights = draw(int(codes.max()) + 1, replicates, seed)
    drawn = _by_weight(found, truth, weights, codes)
    for key in FIGURES:
        some = drawn.get(key)
        usable = some is not None and figures[key] is not None and enough(some, weights.shape[1])
        figures[f"{key}_ci"] = list(interval(some)) if usable and some is not None else None
    return ClassJudged(figures, drawn)


def draw(speakers: int, replicates: int, seed: int) -> Floats:
    """Weights [R, S]: how often each speaker is drawn, as metrics.intervals.replicate draws them."""
    random = generator(seed, "speakers", "bootstrap")
    return random.multinomial(speakers, np.full(speakers, 1 / speakers), size=replicates).astype(np.float64)


def class_differences(first: ClassJudged, second: ClassJudged) -> dict[str, Any]:
    """``FIGURE_difference`` of ``first`` minus ``second`` on the same utterances, with 95 % ``_ci``.

    Null where one of them has no such figure, and intervals where speakers are too few. Both are judged
    with one seed and as many replicates: the same speakers are drawn for both.
    """
    out: dict[str, Any] = {}
    for key in FIGURES:
        one, two = first.figures[key], second.figures[key]
        name, ends = f"{key}_difference", None
        out[name] = None if one is None or two is None else one - two
        if out[name] is not None and first.drawn and second.drawn:
            gaps = first.drawn[key] - second.drawn[key]
            ends = list(interval(gaps)) if enough(gaps, first.figures["speakers"]) else None
        out[f"{name}_ci"] = ends
    return out


def class_notes(found: Mapping[str, Any]) -> list[str]:
    """What to doubt of ``found``, figures of judge_classes."""
    count, said = found["speakers"], []
    if count is not None and found["accuracy_ci"] is None:
        said.append(f"{count} speakers are too few for intervals")
    elif count is not None and count < FEW:
        said.append(f"{count} speakers: below {FEW} the intervals are rough")
    if found["dropped"]:
        lost = f"{found['dropped']} utterances without an answer count as wrong"
        said.append(f"{lost} (but not in the log loss)")
    empty = [name for name, one in found["classes"].items() if not one["count"]]
    if empty:
        said.append(f"no utterance is {', '.join(empty)}: balanced accuracy is the mean of the others")
    return said


def _truth(found: Answers, labels: Mapping[str, str]) -> Ints:
    number = {label: place for place, label in enumerate(found.classes)}
    if not found.utterances:
        raise InputError("no utterances: there is nothing to judge")
    for utt in found.utterances:
        if utt not in labels:
            raise InputError("has an answer, but no label", utt=utt)
        if labels[utt] not in number:
            raise InputError(f"{labels[utt]} is none of the classes {', '.join(found.classes)}", utt=utt)
    return np.array([number[labels[utt]] for utt in found.utterances], np.int64)


def _codes(names: Sequence[str]) -> Ints:
    number = {name: place for place, name in enumerate(sorted(set(names)))}
    return np.array([number[name] for name in names], np.int64)


def _by_weight(found: Answers, truth: Ints, weights: Floats, codes: Ints) -> dict[str, Floats]:
    # {figure: [R]} where an utterance weighs as column ``codes`` [N] of ``weights`` [R, S]; NaN of nobody.
    size, kinds = weights.shape[1], len(found.classes)

    def totals(place: Ints, some: NDArray[np.bool_]) -> Floats:
        flat = np.bincount(codes[some] * kinds + place[some], minlength=size * kinds)
        return weights @ flat.reshape(size, kinds).astype(np.float64)

    there = totals(truth, np.ones(len(truth), bool))
    right, answered = totals(truth, found.said == truth), totals(found.said, found.said >= 0)
    with np.errstate(invalid="ignore"):  # 0/0: a class that nobody drawn has, or nobody at all
        recall = right / there
        f1 = np.where(there > 0, 2 * right / (there + answered), np.nan)
    out = {
        "accuracy": 100 * right.sum(axis=1) / there.sum(axis=1),
        "balanced_accuracy": 100 * _mean(recall),
        "macro_f1": 100 * _mean(f1),
    }
    if found.posteriors is not None:
        out["log_loss"] = _log_loss(found, truth, weights, codes)
        if kinds == 2:
            out["roc_auc"] = _auc(found, truth, weights, codes)
    return out


def _mean(values: Floats) -> Floats:
    known = ~np.isnan(values)
    with np.errstate(invalid="ignore"):
        return np.where(known, values, 0.0).sum(axis=1) / known.sum(axis=1)


def _log_loss(found: Answers, truth: Ints, weights: Floats, codes: Ints) -> Floats:
    assert found.posteriors is not None
    there = found.said >= 0
    own = found.posteriors[there, truth[there]]
    size = weights.shape[1]
    loss = np.bincount(codes[there], -np.log(np.clip(own, FLOOR, 1.0)), size)
    with np.errstate(invalid="ignore"):
        return (weights @ loss) / (weights @ np.bincount(codes[there], minlength=size).astype(np.float64))


def _auc(found: Answers, truth: Ints, weights: Floats, codes: Ints) -> Floats:
    # P(the second class's posterior is higher in one of its utterances than in one of the other class).
    assert found.posteriors is not None
    lost = np.where(truth == 1, -np.inf, np.inf)  # as wrong as can be
    score = np.where(found.said < 0, lost, found.posteriors[:, 1])
    order = np.argsort(score, kind="stable")
    ranked = score[order]
    first = np.flatnonzero(np.concatenate(([True], ranked[1:] != ranked[:-1])))  # of each group of equals
    step = max(1, _VALUES // len(score))
    pieces = (weights[begin : begin + step] for begin in range(0, len(weights), step))
    return np.concatenate([_auc_of(some, codes[order], truth[order], first) for some in pieces])


def _auc_of(weights: Floats, codes: Ints, truth: Ints, first: Ints) -> Floats:
    each = weights[:, codes]
    positive, negative = (np.add.reduceat(each * (truth == kind), first, axis=1) for kind in (1, 0))
    below = np.cumsum(negative, axis=1) - negative
    with np.errstate(invalid="ignore"):
        wins = (positive * (below + negative / 2)).sum(axis=1)
        return wins / (positive.sum(axis=1) * negative.sum(axis=1))


def _number(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None


def _by_class(found: Answers, truth: Ints) -> dict[str, dict[str, Any]]:
    out = {}
    for place, name in enumerate(found.classes):
        count, said = int((truth == place).sum()), int((found.said == place).sum())
        right = int(((truth == place) & (found.said == place)).sum())
        out[name] = {
            "precision": 100 * right / said if said else None,
            "recall": 100 * right / count if count else None,
            "f1": 200 * right / (count + said) if count + said else None,
            "count": count,
        }
    return out


def _confusion(found: Answers, truth: Ints) -> dict[str, Any]:
    kinds, there = len(found.classes), found.said >= 0
    flat = np.bincount(truth[there] * kinds + found.said[there], minlength=kinds * kinds)
    return {
        "labels": found.classes,
        "counts": flat.reshape(kinds, kinds).tolist(),
        "unanswered": np.bincount(truth[~there], minlength=kinds).tolist(),
    }

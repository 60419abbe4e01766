"""How often identification is right: closed set (top-k) and open set (DIR at a false-alarm rate).

P. J. Phillips, P. Grother, R. Micheals, "Evaluation methods in face recognition" (Handbook of Face
Recognition, 2005); ISO/IEC 19795-1 calls 1 - DIR the false-negative identification rate, and the false-alarm
rate that of false-positive identifications. All rates are fractions.

A probe of a dropped utterance is as wrong as can be: an enrolled person's has score -inf and no rank, a
stranger's has score inf.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import ROUND_CEILING, Decimal
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..formats.errors import InputError
from ..formats.rng import generator
from ..metrics import interval
from .space import Floats

Ints = NDArray[np.int64]
NO_RANK = np.iinfo(np.int64).max
FEW_SPEAKERS = 30  # below, an interval over speakers is itself a guess


class Operating(NamedTuple):
    """Detection and identification rate, the threshold that gives it, and its own false-alarm rate."""

    dir: float
    threshold: float
    far: float


@dataclass(frozen=True)
class Probes:
    """What a gallery said of probes.

    Of M probes of enrolled people: ``own`` [M], the score of the right person, and ``rank`` [M], 1 + how many
    others score as high or higher (ties count against the system); of K probes of strangers: ``best`` [K],
    the highest score. ``speakers`` [M] and ``strangers`` [K] say who speaks.
    """

    own: Floats
    rank: Ints
    speakers: Sequence[str]
    best: Floats
    strangers: Sequence[str]

    def __post_init__(self) -> None:
        if not len(self.own) == len(self.rank) == len(self.speakers) or len(self.best) != len(self.strangers):
            raise InputError("probes, ranks and speakers differ in number")
        if np.isnan(self.own).any() or np.isnan(self.best).any():
            raise InputError("a probe's score is not a number")
        if not len(self.own):
            raise InputError("no probe is of an enrolled person", mend="enrol the speakers of some probes")


def top_k(rank: ArrayLike, k: int, weights: ArrayLike | None = None) -> float:
    """Share of probes of enrolled people whose person is among the ``k`` best; ``weights`` [M] or all 1."""
    if k < 1:
        raise InputError(f"top-{k} accuracy: it must be 1 at least")
    return _share(np.asarray(rank) <= k, weights)


def dir_at_far(
    own: ArrayLike,
    rank: ArrayLike,
    best: ArrayLike,
    far: float,
    *,
    weights: ArrayLike | None = None,
    stranger_weights: ArrayLike | None = None,
) -> Operating:
    """DIR at the lowest threshold whose false-alarm rate is ``far`` or less.

    ``own``, ``rank`` [M] and ``best`` [K] as in Probes. A stranger raises a false alarm if ``best`` is at the
    threshold or above; a person is detected and identified if ``own`` is, and ``rank`` is 1. The threshold
    is just above a stranger's score, or -inf if all may be let in.
    """
    scores = np.asarray(best, np.float64)
    if not 0 <= far <= 1:
        raise InputError(f"a false-alarm rate of {far}: it must lie between 0 and 1")
    if not scores.size:
        raise InputError("no probe of a stranger: a false-alarm rate needs some")
    share = np.ones(len(scores)) if stranger_weights is None else np.asarray(stranger_weights, np.float64)
    share = share / share.sum()
    order = np.argsort(-scores)
    let_in = np.cumsum(share[order])
    over = int(np.searchsorted(let_in, far + 1e-9, side="right"))  # rounding must not cost a stranger
    threshold = np.nextafter(scores[order[over]], np.inf) if over < len(scores) else -np.inf
    accepted = (np.asarray(own) >= threshold) & (np.asarray(rank) == 1)
    return Operating(
        _share(accepted, weights), float(threshold), float(share[scores >= threshold].sum())
    )


def _share(right: NDArray[np.bool_], weights: ArrayLike | None) -> float:
    weight = np.ones(len(right)) if weights is None else np.asarray(weights, np.float64)
    return float(weight[right].sum() / weight.sum())


def judge(
    probes: Probes,
    *,
    tops: Sequence[int] = (1, 5, 10),
    fars: Sequence[float] = (0.01, 0.1),
    replicates: int = 1000,
    seed: int = 0,
) -> dict[str, Any]:
    """All figures, ready for JSON: ``top_k``, ``dir_at_far`` (empty without strangers), counts, ``caution``.

    Each with a 95 % interval, null for one speaker, by a bootstrap over speakers (those enrolled and the
    strangers apart): a probe counts as often as its speaker was drawn. The gallery is not drawn.
    """
    if replicates < 2:
        raise InputError(f"--replicates {replicates}: no interval can be drawn", mend="at least 2")
    own, rank, best = np.asarray(probes.own), np.asarray(probes.rank), np.asarray(probes.best)
    known = _drawn(probes.speakers, replicates, seed, "enrolled")
    strange = _drawn(probes.strangers, replicates, seed, "strangers") if len(best) else known[:, :0]
    top_figures = {
        str(k): {"rate": top_k(rank, k), "ci": _ends([top_k(rank, k, w) for w in known], known)} for k in tops
    }
    dir_figures = {}
    for far in fars if len(best) else ():
        at = dir_at_far(own, rank, best, far)
        drawn = [
            dir_at_far(own, rank, best, far, weights=a, stranger_weights=b).dir
            for a, b in zip(known, strange, strict=True)
        ]
        finite = np.isfinite(at.threshold)  # JSON knows no infinity
        threshold = _short(at.threshold, np.concatenate([own, best])) if finite else None
        dir_figures[f"{far:g}"] = {
            "dir": at.dir,
            "ci": _ends(drawn, known),
            "threshold": threshold,
            "far": at.far,
        }
    return {
        "top_k": top_figures,
        "dir_at_far": dir_figures,
        "probes": len(own),
        "speakers": len(set(probes.speakers)),
        "strangers_probes": len(best),
        "strangers": len(set(probes.strangers)),
        "dropped_probes": int(np.isneginf(own).sum() + np.isposinf(best).sum()),
        "caution": [*_caution(probes, fars), *_unreachable(best, dir_figures)],
    }


def _short(threshold: float, scores: Floats) -> float:
    """A number of few digits at ``threshold`` or above that accepts and refuses the same ``scores``.

    A little above, where there is room: a search with other neighbours may differ in a score's last bit.
    """
    above = scores[scores >= threshold]
    next_ = float(above.min()) if len(above) else np.inf
    room = min((next_ - threshold) / 2, 1e-6 * max(1.0, abs(threshold)))
    least = Decimal(threshold + room)
    for digits in range(4, 18):
        rounded = float(least.quantize(Decimal(1).scaleb(-digits), ROUND_CEILING))
        if threshold <= rounded <= next_ - room:
            return rounded
    return threshold


def _unreachable(best: Floats, figures: dict[str, dict[str, Any]]) -> list[str]:
    missed = [far for far, one in figures.items() if one["far"] > float(far) + 1e-9]
    lost = f"{np.isposinf(best).sum()} dropped probes of strangers are false alarms at every threshold"
    return [f"no threshold reaches a false-alarm rate of {' or '.join(missed)}: {lost}"] if missed else []


def _caution(probes: Probes, fars: Sequence[float]) -> list[str]:
    said = []
    for who, speakers in (("enrolled speakers", probes.speakers), ("strangers", probes.strangers)):
        if 0 < (count := len(set(speakers))) < FEW_SPEAKERS:
            said.append(f"{count} {who} are few: the intervals are rough")
    least = min((far for far in fars if far > 0), default=1.0)
    if 0 < len(probes.best) * least < 1:
        said.append(f"{len(probes.best)} probes of strangers cannot show a false-alarm rate of {least:g}")
    if not len(probes.best):
        said.append("no probe of a stranger: closed set only")
    return said


def _drawn(speakers: Sequence[str], replicates: int, seed: int, purpose: str) -> Floats:
    names, number = np.unique(np.asarray(speakers), return_inverse=True)
    random = generator(seed, purpose, "bootstrap")
    counts = random.multinomial(len(names), np.full(len(names), 1 / len(names)), size=replicates)
    return counts[:, number].astype(np.float64)


def _ends(values: Sequence[float], drawn: Floats) -> list[float] | None:
    one_speaker = (drawn == 1).all()
    return None if one_speaker or len(values) < 2 else list(interval(np.asarray(values)))


def as_json(figures: dict[str, Any]) -> str:
    """``judge``'s figures as text."""
    return json.dumps(figures, indent=1) + "\n"


def as_text(figures: dict[str, Any]) -> str:
    """``judge``'s figures as a table for a terminal."""
    lines = [f"{'figure':24s} {'%':>7s}  {'95 % interval':16s} {'threshold':>10s}"]
    for k, one in figures["top_k"].items():
        lines.append(f"{'top-' + k + ' accuracy':24s} {100 * one['rate']:7.2f}  {_between(one['ci']):16s}")
    for far, one in figures["dir_at_far"].items():
        limit = str(one["threshold"])
        if one["threshold"] is None:  # everybody may be let in, or dropped strangers are too many
            limit = "none" if one["far"] <= float(far) + 1e-9 else "unreached"
        name = f"DIR at FAR {100 * float(far):g} %"
        lines.append(f"{name:24s} {100 * one['dir']:7.2f}  {_between(one['ci']):16s} {limit:>10s}")
    lines.append(
        f"{figures['probes']} probes of {figures['speakers']} enrolled speakers, "
        f"{figures['strangers_probes']} of {figures['strangers']} strangers, "
        f"{figures['dropped_probes']} of them dropped and counted as wrong"
    )
    return "\n".join([*lines, *(f"caution: {said}" for said in figures["caution"])])


def _between(ends: list[float] | None) -> str:
    return "" if ends is None else f"{100 * ends[0]:.2f} - {100 * ends[1]:.2f}"

"""Who is taken for whom."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from ..formats.errors import InputError
from .draw import INK, heading, panel, plain

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SHOWN = 20  # labels in a picture: more cannot be read on a phone
_ROWS = 4096  # x-vectors at a time
_WRITTEN = 8  # labels up to which the cells hold their percentages


def confusion(truth: Sequence[str], said: Sequence[str]) -> dict[str, Any]:
    """"labels" [L] sorted, and "counts" [L][L]: row the truth, column what was said; plain values."""
    if len(truth) != len(said) or not len(truth):
        raise InputError(f"{len(truth)} true labels but {len(said)} answers")
    labels = sorted({*truth, *said})
    number = {label: place for place, label in enumerate(labels)}
    counts = np.zeros((len(labels), len(labels)), dtype=np.int64)
    np.add.at(counts, ([number[one] for one in truth], [number[one] for one in said]), 1)
    return {"labels": labels, "counts": counts.tolist()}


def nearest_speaker(vectors: ArrayLike, speakers: Sequence[str]) -> list[str]:
    """For each of ``vectors`` [N, D] the speaker whose mean is nearest in angle, itself left out of it.

    The vectors are centred on their mean first. A speaker's only vector is nearest to somebody else's
    mean: leave such speakers out. One speaker alone is an InputError.
    """
    array = np.asarray(vectors, dtype=np.float64)
    names, place = np.unique(np.asarray(speakers), return_inverse=True)
    if len(names) < 2 or len(array) != len(place):
        raise InputError(f"{len(array)} x-vectors of {len(names)} speakers: there is nobody to confuse")
    array = _unit(array - array.mean(axis=0))
    total = np.zeros((len(names), array.shape[1]))
    np.add.at(total, place, array)
    alone, means = np.bincount(place) == 1, _unit(total)
    best = []
    for begin in range(0, len(array), _ROWS):
        block, mine = array[begin : begin + _ROWS], place[begin : begin + _ROWS]
        near = block @ means.T
        own = (block * _unit(total[mine] - block)).sum(axis=1)
        near[np.arange(len(block)), mine] = np.where(alone[mine], -np.inf, own)
        best += near.argmax(axis=1).tolist()
    return [str(names[number]) for number in best]


def _unit(array: np.ndarray) -> np.ndarray:
    return array / np.maximum(np.linalg.norm(array, axis=1, keepdims=True), 1e-12)


def confusion_summary(found: Mapping[str, Any]) -> tuple[int, int, list[tuple[str, str, int]]]:
    """(right answers, all answers, up to five most frequent mistakes (true, said, how often))."""
    counts, labels = np.asarray(found["counts"]), found["labels"]
    wrong = counts - np.diag(np.diag(counts))
    order = np.argsort(-wrong, axis=None, kind="stable")[:5]
    pairs = [(int(place) // len(labels), int(place) % len(labels)) for place in order]
    worst = [(labels[a], labels[b], int(wrong[a, b])) for a, b in pairs if wrong[a, b] > 1]
    return int(np.trace(counts)), int(counts.sum()), worst


def confusion_figure(found: Mapping[str, Any], title: str) -> Figure:
    """Rows in percent of the true label; of more than 20 labels those with the most mistakes."""
    counts, labels = np.asarray(found["counts"], dtype=float), list(found["labels"])
    if counts.shape != (len(labels), len(labels)):
        raise InputError(f"{title}: counts of shape {counts.shape} for {len(labels)} labels")
    share = 100 * counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    if len(labels) > SHOWN:
        mistakes = counts.sum(axis=1) + counts.sum(axis=0) - 2 * np.diag(counts)
        kept = np.sort(np.argsort(-mistakes, kind="stable")[:SHOWN])
        share, labels = share[np.ix_(kept, kept)], [labels[place] for place in kept]
    figure, axes = panel(4.3, 4.3)
    axes.imshow(share, cmap="Blues", vmin=0, vmax=100)
    size = 9 if len(labels) <= 12 else 7.5
    ticks = [plain(label, 14) for label in labels]
    upright = 0 if max(map(len, ticks)) * len(ticks) <= 40 else 90
    axes.set_xticks(range(len(labels)), ticks, rotation=upright, fontsize=size, color=INK)
    axes.set_yticks(range(len(labels)), ticks, fontsize=size, color=INK)
    axes.tick_params(length=0)
    if len(labels) <= _WRITTEN:
        for (row, column), value in np.ndenumerate(share):
            ink = "white" if value > 55 else INK
            axes.text(column, row, f"{value:.0f}", ha="center", va="center", fontsize=9, color=ink)
    axes.set_xlabel("taken for", color=INK, fontsize=9)
    axes.set_ylabel("true", color=INK, fontsize=9)
    heading(axes, title)
    return figure

"""Whether a map is right: what becomes of the x-vector without the cells that it calls relevant.

Deletion and insertion: Petsiuk, Das and Saenko, "RISE: Randomized input sampling for explanation of black-box
models", BMVC 2018 (arXiv:1806.07421). Cells are replaced by their bin's mean over the utterance, the most
relevant first, and a measure of the output is followed; or they are put back into the mean spectrum. The area
under the deletion curve is small for a faithful map and that under the insertion curve large. A random order
says what any order would give.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from ..formats.errors import InputError
from ..formats.rng import generator
from ..metrics.intervals import interval

Measure = Callable[[np.ndarray], np.ndarray]  # features [batch, time, feature] -> [batch]
RANDOM = "random"


@dataclass(frozen=True)
class Curves:
    """``shares`` [steps] of the cells that are gone (deletion) or back (insertion), and the measure
    [steps]."""

    shares: np.ndarray
    deletion: np.ndarray
    insertion: np.ndarray

    @property
    def areas(self) -> tuple[float, float]:
        """Under deletion and insertion."""
        return float(np.trapezoid(self.deletion, self.shares)), float(
            np.trapezoid(self.insertion, self.shares)
        )


def ranked(relevance: np.ndarray, block: tuple[int, int], random: np.random.Generator) -> np.ndarray:
    """The place of every cell in the order of relevance, 0 first, as a share of all: [time, feature].

    Cells go in blocks of ``block`` (frames, bins), by their mean relevance; equals in random order.
    """
    blocks = block_means(relevance, block)
    draw = random.permutation(blocks.size)
    order = draw[np.argsort(-blocks.ravel()[draw], kind="stable")]
    place = np.empty(blocks.size)
    place[order] = np.arange(blocks.size) / blocks.size
    place = place.reshape(blocks.shape).repeat(block[0], 0).repeat(block[1], 1)
    return place[: relevance.shape[0], : relevance.shape[1]]


def block_means(values: np.ndarray, block: tuple[int, int]) -> np.ndarray:
    """Means of blocks of (frames, bins); those at the ends may be smaller."""
    starts = [np.arange(0, size, step) for size, step in zip(values.shape, block, strict=True)]
    total = np.add.reduceat(np.add.reduceat(values, starts[0], 0), starts[1], 1)
    sizes = [np.diff([*start, size]) for start, size in zip(starts, values.shape, strict=True)]
    return total / np.outer(*sizes)


def curves(features: np.ndarray, place: np.ndarray, measure: Measure, steps: int = 20) -> Curves:
    """Delete and insert the cells of ``features`` [time, feature] in ``steps`` equal parts of the order
    ``place`` (see ranked)."""
    mean = np.broadcast_to(features.mean(0, dtype=np.float64).astype(features.dtype), features.shape)
    shares = np.linspace(0, 1, steps + 1)
    gone = place[None] < shares[:, None, None] - 1e-12
    deleted, inserted = np.where(gone, mean, features), np.where(gone, features, mean)
    return Curves(shares, measure(deleted), measure(inserted))


@dataclass(frozen=True)
class Figures:
    """Of one method: mean areas, and how much better they are than those of random orders, with 95 %
    intervals of a bootstrap over speakers."""

    deletion: float
    insertion: float
    deletion_gain: tuple[float, float, float]  # random - deletion, low, high
    insertion_gain: tuple[float, float, float]  # insertion - random, low, high


def compared(
    areas: Mapping[str, Sequence[tuple[float, float]]],
    speakers: Sequence[str],
    replicates: int = 1000,
    seed: int = 0,
) -> dict[str, Figures]:
    """Figures of every method of ``areas`` {method: (deletion, insertion) of each utterance}, one of which is
    RANDOM; ``speakers``: of each utterance."""
    names, numbers = np.unique(np.asarray(speakers), return_inverse=True)
    if len(names) < 2:
        raise InputError("utterances of one speaker: an interval needs two", mend="--utterances 20")
    drawn = generator(seed, "speakers", "faithfulness").multinomial(
        len(names), np.full(len(names), 1 / len(names)), size=replicates
    )
    weights = drawn[:, numbers].astype(np.float64)
    chance = np.asarray(areas[RANDOM])

    def gain(values: np.ndarray) -> tuple[float, float, float]:
        low, high = interval(weights @ values / weights.sum(1))
        return float(values.mean()), low, high

    found = {}
    for method, rows in areas.items():
        own = np.asarray(rows)
        found[method] = Figures(
            float(own[:, 0].mean()),
            float(own[:, 1].mean()),
            gain(chance[:, 0] - own[:, 0]),
            gain(own[:, 1] - chance[:, 1]),
        )
    return found


def as_table(figures: Mapping[str, Figures], titles: Mapping[str, str], measure: str) -> list[str]:
    """Lines of a Markdown table."""
    lines = [
        f"| method | deletion: area under {measure} | below random | insertion: area | above random |",
        "|---|---|---|---|---|",
    ]
    for method, one in figures.items():
        cells = [f"{one.deletion:.3f}", "", f"{one.insertion:.3f}", ""]
        if method != RANDOM:
            cells[1], cells[3] = (
                "{:.3f} [{:.3f}, {:.3f}]".format(*gain) for gain in (one.deletion_gain, one.insertion_gain)
            )
        lines.append(f"| {titles.get(method, method)} | {' | '.join(cells)} |")
    return lines

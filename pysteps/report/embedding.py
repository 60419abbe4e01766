"""X-vectors on a plane: t-SNE, coloured by speaker, gender and set."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import zip_longest
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..formats.errors import InputError
from ..formats.rng import generator
from .draw import GRID, SOFT, heading, legend, panel, plain

if TYPE_CHECKING:
    from matplotlib.figure import Figure

LIMIT, FEWEST = 1000, 10
_SHOWN = 20  # speakers with a colour of their own; more cannot be told apart
_KINDS = 8  # values of a label that a legend can hold


def choose_points(
    speakers: Sequence[str], sets: Sequence[str] | None = None, *, seed: int = 0, limit: int = LIMIT
) -> NDArray[np.int64]:
    """Rows of at most ``limit`` utterances of ``speakers`` [N]: all, or drawn ones.

    Speakers are drawn, with 20 utterances each (more where there are few speakers): a cluster of one
    shows nothing. With ``sets`` [N] they are taken from each set in turn: a small one is not drowned.
    """
    if len(speakers) <= limit:
        return np.arange(len(speakers))
    draw = generator(seed, "report", "tsne")
    rows: dict[str, dict[str, list[int]]] = {}
    for place in draw.permutation(len(speakers)).tolist():
        group = sets[place] if sets else ""
        rows.setdefault(group, {}).setdefault(speakers[place], []).append(place)
    each = max(20, -(-limit // sum(map(len, rows.values()))))
    queues = []
    for _, part in sorted(rows.items()):
        names = sorted(part)
        queues.append([part[names[number]][:each] for number in draw.permutation(len(names)).tolist()])
    turns = [some for turn in zip_longest(*queues, fillvalue=[]) for some in turn]
    return np.sort(np.asarray([place for some in turns for place in some][:limit], dtype=np.int64))


def tsne(
    vectors: ArrayLike,
    labels: Mapping[str, Sequence[str]],
    *,
    seed: int = 0,
    limit: int = LIMIT,
    of: int | None = None,
) -> dict[str, Any]:
    """A plane for ``vectors`` [N, D], as plain values: "xy" [M, 2], "labels" {name: [M]}, "of" N.

    ``labels`` must have "speaker" [N]; "gender", "set" and others colour further panels. ``of``: how many
    utterances there are, if these were chosen (choose_points) before they were read. Angles count: the
    vectors are centred and brought to length one (L. van der Maaten and G. Hinton, "Visualizing data using
    t-SNE", 2008, as scikit-learn has it). Fewer than 10 vectors, or labels of another length, are an
    InputError.
    """
    from sklearn.manifold import TSNE

    array = np.asarray(vectors, dtype=np.float64)
    if array.ndim != 2 or len(array) < FEWEST:
        raise InputError(f"t-SNE of x-vectors of shape {array.shape}: at least {FEWEST} are needed")
    if not np.isfinite(array).all():
        raise InputError("some x-vectors are not finite")
    if "speaker" not in labels:
        raise InputError("t-SNE needs the label speaker")
    for name, values in labels.items():
        if len(values) != len(array):
            raise InputError(f"{len(array)} x-vectors but {len(values)} labels {name}")
    rows = choose_points(labels["speaker"], labels.get("set"), seed=seed, limit=limit)
    chosen = array[rows] - array[rows].mean(axis=0)
    chosen /= np.maximum(np.linalg.norm(chosen, axis=1, keepdims=True), 1e-12)
    perplexity = min(30.0, (len(rows) - 1) / 3)
    start = "pca" if array.shape[1] > 1 and np.ptp(chosen) > 0 else "random"
    plane = TSNE(perplexity=perplexity, init=start, random_state=seed).fit_transform(chosen)
    return {
        "xy": np.round(plane, 3).tolist(),
        "labels": {name: [str(values[row]) for row in rows] for name, values in labels.items()},
        "of": of or len(array),
    }


def tsne_figures(plane: Mapping[str, Any]) -> dict[str, Figure]:
    """{label: a figure} of what ``tsne`` returned; a label of one value only gets none."""
    xy = np.asarray(plane["xy"], dtype=float)
    figures = {}
    for name, values in plane["labels"].items():
        names, count = np.unique(np.asarray(values), return_counts=True)
        if len(names) < 2:
            continue
        most = sorted(zip(-count, names, strict=True))
        shown = [str(one) for _, one in most[: _SHOWN if name == "speaker" else _KINDS]]
        figures[name] = _scatter(xy, np.asarray(values), shown, len(names), name)
    return figures


def _scatter(xy: np.ndarray, values: np.ndarray, shown: list[str], of: int, name: str) -> Figure:
    from matplotlib import colormaps

    shades = colormaps["tab20" if len(shown) > 8 else "Dark2"].colors  # type: ignore[attr-defined]
    figure, axes = panel(3.9)
    rest = ~np.isin(values, shown)
    style: dict[str, Any] = {"s": 14, "linewidths": 0, "rasterized": True}
    if rest.any():
        label = None if name == "speaker" else f"{of - len(shown)} others"
        axes.scatter(*xy[rest].T, color=SOFT, alpha=0.3, label=label, **style)
    for number, one in enumerate(shown):
        label = plain(one) if name != "speaker" else None
        axes.scatter(*xy[values == one].T, color=[shades[number]], alpha=0.8, label=label, **style)
    grey = f", {len(shown)} of {of} coloured" if rest.any() else f", {of}"
    heading(axes, name + (grey if name == "speaker" else ""))
    if name != "speaker":
        legend(axes, scale=1.8)
    axes.set_xticks([])
    axes.set_yticks([])
    for side in axes.spines.values():
        side.set_color(GRID)
    return figure

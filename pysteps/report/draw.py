"""What all pictures share: colours, axes, and bytes without date or chance in them."""

from __future__ import annotations

import io
from collections.abc import Iterable
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Place = Literal["best", "upper left", "lower left", "lower center"]
INK, SOFT, GRID = "#22262b", "#8a8f98", "#dde1e6"
SAME, OTHER = "#1f5fa8", "#d9742b"  # target and non-target; training and held out
_NAMED = {"plda": SAME, "cosine": OTHER, "baseline": SOFT}
_MORE = ("#2e8b6f", "#a8447f", "#6b57b3", "#b08a1e", "#3aa6c9", "#7a4a2b", "#c23b3b", "#4f5d2f")
WIDTH = 3.9  # inches of one panel: its letters stay readable at the width of a phone


def palette(names: Iterable[str]) -> dict[str, str]:
    """A colour for each of ``names``, the same in every picture of a page; after the tenth they repeat."""
    wanted = list(dict.fromkeys(names))
    free = [*_MORE, *(shade for name, shade in _NAMED.items() if name not in wanted)]
    others = [name for name in wanted if name not in _NAMED]
    return {
        name: _NAMED[name] if name in _NAMED else free[others.index(name) % len(free)] for name in wanted
    }


def picture(figure: Figure, kind: str) -> bytes:
    """``figure`` as "svg" or "png" (144 dots an inch); the same figure gives the same bytes."""
    from matplotlib import rc_context
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    FigureCanvasAgg(figure)
    handle = io.BytesIO()
    with rc_context({"svg.hashsalt": "timbre", "svg.fonttype": "path"}):
        date = {"Date": None} if kind == "svg" else {"Software": None}
        figure.savefig(handle, format=kind, dpi=144, metadata=date)
    return handle.getvalue()


def panel(height: float, width: float = WIDTH) -> tuple[Figure, Axes]:
    """A figure of one panel, in inches."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    return figure, figure.subplots()


def plain(text: str, most: int = 30) -> str:
    """Foreign text for a picture, of at most ``most`` characters: what is left out is in its middle.

    Names of one kind differ at their ends. matplotlib takes what stands between dollars for a formula.
    """
    if len(text) > most:
        text = f"{text[: (most - 1) // 2]}…{text[-(most // 2) :]}"
    return text.replace("$", r"\$")


def tidy(axes: Axes) -> None:
    """A light grid behind the curves, no frame."""
    axes.grid(True, color=GRID, linewidth=0.8)
    axes.set_axisbelow(True)
    axes.tick_params(colors=INK, labelsize=9, length=0)
    for side in axes.spines.values():
        side.set_visible(False)


def heading(axes: Axes, text: str) -> None:
    """A panel's name at its upper left."""
    axes.set_title(plain(text), color=INK, fontsize=10.5, loc="left", fontweight="bold")


def legend(axes: Axes, place: Place = "best", scale: float = 1.0) -> None:
    """A legend that hides no curve behind a frame."""
    axes.legend(frameon=True, framealpha=0.9, edgecolor="none", fontsize=9, loc=place, markerscale=scale)

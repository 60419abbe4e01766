"""report.html of a search: one file that holds its pictures."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..formats.atomic import write_text
from ..formats.run import Run
from ..report.draw import picture
from ..report.page import template
from .options import TuneOptions
from .pictures import curve_figures, history_figure, importance_figure, optuna_figures
from .results import JUDGED, counts, importances, ranked, short
from .study import open_study
from .trial import folder_of, lines_of

if TYPE_CHECKING:
    from matplotlib.figure import Figure

WAYS = ("engine", "sampler", "pruner", "seed")


def render(run: Run, found: Mapping[str, Any], out: Path) -> None:
    """Write ``out`` for the results ``found``."""
    options = TuneOptions(**run.options["tune"]["options"])
    shares = importances(run, found)
    names = list(shares) or [one.name for one in options.space()]
    rows = ranked(found)
    study = open_study(folder_of(run), options)
    lines = {row["number"]: lines_of(folder_of(run) / "trials" / str(row["number"])) for row in rows}
    pictures = [_image(history_figure(found), "the best epoch of each trial, in order")]
    if shares:
        pictures.append(_image(importance_figure(shares), "importance of each parameter"))
    if sum(row["state"] == "finished" for row in rows) > 1:
        pictures += [
            _image(figure, title)
            for title, figure in optuna_figures(study, names, found["judged_by"]).items()
        ]
    curves = curve_figures(rows, lines, found["best"])
    page = template("tune.html.j2").render(
        title=f"Search {found['space']}",
        recipe=run.recipe,
        model=run.tag,
        how=[(name, str(getattr(options, name))) for name in WAYS],
        counts=counts(found),
        judged=JUDGED.get(found["judged_by"], "value"),
        names=[one.name for one in options.space()],
        rows=rows,
        best=next(row for row in rows if row["number"] == found["best"]),
        first=next((row for row in rows if row["number"] == 0), None),
        recipe_first=options.first == "recipe",
        short=short,
        seconds=sum(row["seconds"] for row in rows),
        pictures=pictures,
        curves=[_image(figure, f"{title}, a line a trial") for title, figure in curves.items()],
    )
    write_text(out, page)


def _image(figure: Figure, alt: str) -> dict[str, Any]:
    source = "data:image/svg+xml;base64," + base64.b64encode(picture(figure, "svg")).decode()
    return {"src": source, "alt": alt, "wide": bool(figure.get_size_inches()[0] > 6)}

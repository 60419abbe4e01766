"""compare.html: several systems side by side, their DET curves in one picture a trial list."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from numpy.typing import ArrayLike

from ..formats.atomic import replacing, write_text
from ..formats.errors import InputError
from .draw import SOFT, palette, picture
from .page import equal_error_rates, template
from .pictures import det_figure
from .sections import det_section
from .tables import against_table, list_table, ordered


def render_comparison(
    systems: Mapping[str, Mapping[str, Any]],
    out: str | Path,
    *,
    det: Mapping[str, Mapping[str, Mapping[str, ArrayLike]]] | None = None,
    differences: Sequence[Mapping[str, Any]] = (),
    backends: Sequence[str] | None = None,
    title: str = "Systems side by side",
    caution: str = "",
) -> None:
    """Write ``out`` (compare.html) and, with ``det``, a PNG of its name beside it.

    ``systems`` {NAME: its results.json}; ``det`` {NAME: {LIST: {BACKEND: [M, 2] points}}}; ``backends``: the
    ones to show (default: all). A system's back end is called "NAME · BACKEND", or NAME where the back end
    is "". ``differences``: paired comparisons, each a mapping with "trials", "first", "second" (so called)
    and what score.paired.differences returns of first against second. Fewer than two systems, an unknown
    back end or lists that no system shares are an InputError.
    """
    out = Path(out)
    names = dict.fromkeys(name for results in systems.values() for name in results.get("trials") or {})
    merged: dict[str, dict[str, Any]] = {name: {} for name in names}
    curves: dict[str, dict[str, Any]] = {name: {} for name in names}
    for system, results in systems.items():
        for name, part in (results.get("trials") or {}).items():
            for key, figures in ordered(part).items():
                if backends is None or key in backends:
                    shown = f"{system} · {key}" if key else system
                    merged[name][shown] = {**figures, "against_baseline": None, "against": None}
                    points = ((det or {}).get(system) or {}).get(name, {}).get(key)
                    if points is not None:
                        curves[name][shown] = points
    _check(systems, merged, backends, out)
    merged = {name: part for name, part in merged.items() if part}
    curves = {name: part for name, part in curves.items() if part}
    colours = palette(key for part in merged.values() for key in part)
    eers = equal_error_rates(merged)
    page = template("compare.html.j2").render(
        title=title,
        caution=caution,
        lists=[list_table(name, part, colours) for name, part in merged.items()],
        sections=[section for section in [det_section(curves, eers, colours)] if section],
        differences=_against(differences, colours),
    )
    if curves:
        with replacing(out.with_suffix(".png"), "wb") as handle:
            handle.write(picture(det_figure(curves, eers, colours=colours), "png"))
    write_text(out, page)


def _against(
    differences: Sequence[Mapping[str, Any]], colours: Mapping[str, str]
) -> list[tuple[str, dict[str, Any]]]:
    # A table a trial list and second system.
    rows: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for one in differences:
        row = {**one, "backend": one["first"], "colour": colours.get(one["first"], SOFT)}
        rows.setdefault((one["trials"], one["second"]), []).append(row)
    return [(name, against_table(second, pairs)) for (name, second), pairs in rows.items()]


def _check(
    systems: Mapping[str, Any], merged: Mapping[str, Any], backends: Sequence[str] | None, out: Path
) -> None:
    if len(systems) < 2:
        raise InputError(f"{len(systems)} systems: a comparison needs two", where=out)
    known = sorted(
        {key for one in systems.values() for part in (one.get("trials") or {}).values() for key in part}
    )
    unknown = [key for key in backends or () if key not in known]
    if unknown:
        raise InputError(f"no system has the back end {unknown[0]}: known are {', '.join(known)}", where=out)
    if not any(all(name in (one.get("trials") or {}) for one in systems.values()) for name in merged):
        raise InputError(
            "the systems have no trial list in common",
            where=out,
            mend="score them on the same sets first",
        )

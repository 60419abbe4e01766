"""report.html: one file that holds its pictures and needs no network; det.png beside it for a README."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from numpy.typing import ArrayLike

from ..formats.atomic import replacing, write_text
from ..formats.errors import InputError
from .pictures import colour, det_figure, picture, training_figure

_P_TARGETS = ("0.01", "0.05", "0.001")
_ORDER = {"plda": 0, "cosine": 1, "baseline": 9}
_FEW_SPEAKERS = 20


def render(
    results: Mapping[str, Any],
    det: Mapping[str, Mapping[str, ArrayLike]],
    curves: Sequence[Mapping[str, Any]],
    out: str | Path,
    *,
    title: str = "Speaker verification",
    caution: str = "",
) -> None:
    """Write ``out`` (report.html) and det.png beside it, each whole or not at all.

    ``results`` is results.json: "trials" {NAME: {BACKEND: what score.judge returns, and perhaps under
    "against_baseline" what score.compare does}}; optional "dropped" (counts, nested or not), "model" (a
    name or a mapping), "seconds" {stage: number}. ``det`` {NAME: {BACKEND: [M, 2] points
    (P_fa, P_miss)}}. ``curves``: a mapping an epoch with any of loss, accuracy, valid_loss,
    valid_accuracy, dev_eer, lr, margin. ``caution``: what the corpus cannot show, in a sentence.
    """
    out = Path(out)
    trials = results.get("trials") or {}
    if not trials:
        raise InputError("results without trials: there is nothing to report", where=out)
    eers = {
        name: {key: figures["eer"] for key, figures in part.items() if figures.get("eer") is not None}
        for name, part in trials.items()
    }
    figure = det_figure({name: _ordered(det[name]) for name in trials if name in det}, eers)
    training = training_figure(curves)
    page = _template().render(
        title=title,
        caution=caution,
        model=_flat(results.get("model")),
        lists=[_list(name, part) for name, part in trials.items()],
        p_targets=_P_TARGETS,
        det=_embedded(picture(figure, "svg")) if det else "",
        training="" if training is None else _embedded(picture(training, "svg")),
        epochs=len(curves),
        dropped=_flat(results.get("dropped")),
        seconds=_seconds(results.get("seconds") or {}),
    )
    if det:
        with replacing(out.with_name("det.png"), "wb") as handle:
            handle.write(picture(figure, "png"))
    write_text(out, page)


def _template() -> Any:
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["span"] = _span
    environment.filters["duration"] = _duration
    environment.filters["count"] = lambda number: f"{number:,}".replace(",", "\u202f")
    return environment.get_template("report.html.j2")


def _ordered(part: Mapping[str, Any]) -> dict[str, Any]:
    return dict(sorted(part.items(), key=lambda item: (_ORDER.get(item[0], 5), item[0])))


def _list(name: str, part: Mapping[str, Any]) -> dict[str, Any]:
    rows = [
        {"backend": key, "colour": colour(key, place), "paired": figures.get("against_baseline"), **figures}
        for place, (key, figures) in enumerate(_ordered(part).items())
    ]
    return {"name": name, "rows": rows, "sentences": _sentences(rows)}


def _sentences(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """What the figures of one trial list can and cannot show, in plain words."""
    first = rows[0]
    speakers = first.get("speakers")
    of_whom = f" of {speakers} speakers" if speakers else ""
    said = [
        f"{first['targets']:,} same-speaker and {first['nontargets']:,} different-speaker trials{of_whom}."
    ]
    if speakers and speakers < _FEW_SPEAKERS:
        said.append(f"With {speakers} speakers even the intervals are rough, and probably too narrow.")
    for row in rows:
        if row["paired"]:
            low, high = row["paired"]["eer_difference_ci"]
            verdict = (
                "is below the baseline's; the interval of the difference excludes zero"
                if high < 0
                else "is above the baseline's; the interval of the difference excludes zero"
                if low > 0
                else "cannot be told from the baseline's: the interval of the difference holds zero"
            )
            said.append(f"The EER of {row['backend']} {verdict}.")
    return said


def _flat(value: Any, name: str = "") -> list[tuple[str, str]]:
    """Nested mappings as (path, text) pairs; a list of ids becomes its length."""
    if value is None or value == "" or value == {}:
        return []
    if isinstance(value, Mapping):
        return [
            pair
            for key, part in value.items()
            for pair in _flat(part, f"{name} · {key}" if name else str(key))
        ]
    if isinstance(value, list | tuple | set):
        return [(name, str(len(value)))]
    return [(name, f"{value:g}" if isinstance(value, float) else str(value))]


def _seconds(seconds: Mapping[str, float]) -> list[tuple[str, float, float]]:
    """(stage, seconds, share of the longest in percent)."""
    longest = max(seconds.values(), default=0) or 1
    return [(stage, value, 100 * value / longest) for stage, value in seconds.items()]


def _span(ends: Sequence[float | None] | None, digits: int = 2, sign: bool = False) -> str:
    if not ends:
        return ""
    plus = "+" if sign else ""
    low, high = ("∞" if end is None else f"{end:{plus}.{digits}f}".replace("-", "\u2212") for end in ends)
    return f"{low} to {high}"


def _duration(seconds: float) -> str:
    if seconds < 100:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02d} min" if hours else f"{minutes} min {rest:02d} s"


def _embedded(svg: bytes) -> str:
    return "data:image/svg+xml;base64," + base64.b64encode(svg).decode()

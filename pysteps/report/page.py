"""report.html: one file that holds its pictures and needs no network; det.png beside it for a README."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from numpy.typing import ArrayLike

from ..formats.atomic import replacing, write_text
from ..formats.errors import InputError
from .draw import palette, picture
from .pictures import det_figure
from .sections import (
    calibration_section,
    confusion_section,
    det_section,
    histogram_section,
    training_section,
    tsne_section,
)
from .tables import flat, list_table, ordered, point_name, seconds_table
from .turns import diarization_table


def render(
    results: Mapping[str, Any],
    det: Mapping[str, Mapping[str, ArrayLike]],
    curves: Sequence[Mapping[str, Any]],
    out: str | Path,
    *,
    title: str = "Speaker verification",
    caution: str = "",
    histograms: Mapping[str, Mapping[str, Mapping[str, Any]]] | None = None,
    calibration: Mapping[str, Mapping[str, Mapping[str, Any]]] | None = None,
    plane: Mapping[str, Any] | None = None,
    confusions: Mapping[str, Mapping[str, Any]] | None = None,
    diarization: Mapping[str, Any] | None = None,
) -> None:
    """Write ``out`` (report.html) and det.png beside it, each whole or not at all.

    ``results`` is results.json: "trials" {NAME: {BACKEND: the figures of score.judge, and perhaps under
    "against_baseline" those of score.paired.differences, under "against" {BACKEND: the same}, under
    "conditions" {CONDITION: {VALUE: figures}}}};
    optional "dropped" (counts, nested or not), "model" (a name or a mapping), "seconds" {stage: number}.
    ``det`` {NAME: {BACKEND: [M, 2] points (P_fa, P_miss)}}. ``curves``: a mapping an epoch with any of
    loss, accuracy, valid_loss, valid_accuracy, dev_eer, same_cosine, different_cosine, lr, margin,
    chunks_per_second, waiting (a share), phase. ``caution``: what the corpus cannot show, in a sentence. What
    follows may be missing, and its pictures with it: ``histograms`` {NAME: {BACKEND: score_histogram(...)}};
    ``calibration`` {NAME: {BACKEND: calibration_curve(...)}}, of back ends whose scores are log likelihood
    ratios; ``plane``: tsne(...); ``confusions`` {what: confusion(...)};
    ``diarization``: the results.json of stage diarize.
    """
    out = Path(out)
    trials = {name: ordered(part) for name, part in (results.get("trials") or {}).items()}
    if not trials or not all(trials.values()):
        raise InputError("results without trials: there is nothing to report", where=out)
    colours = palette(key for part in trials.values() for key in part)
    shown = {name: ordered(det[name]) for name in trials if det.get(name)}
    colours |= palette([*colours, *(key for part in shown.values() for key in part)])
    eers = equal_error_rates(trials)
    sections = [
        det_section(shown, eers, colours),
        histogram_section(_known(histograms, trials), trials),
        calibration_section(_known(calibration, trials), colours),
        tsne_section(plane),
        confusion_section(confusions or {}),
        training_section(curves),
    ]
    page = template("report.html.j2").render(
        title=title,
        caution=caution,
        model=flat(results.get("model")),
        lists=[list_table(name, part, colours) for name, part in trials.items()],
        sections=[section for section in sections if section],
        diarization=diarization_table(diarization),
        dropped=flat(results.get("dropped")),
        seconds=seconds_table(results.get("seconds") or {}),
    )
    if shown:
        with replacing(out.with_name("det.png"), "wb") as handle:
            handle.write(picture(det_figure(shown, eers, colours=colours), "png"))
    write_text(out, page)


def _known(extra: Mapping[str, Mapping[str, Any]] | None, trials: Mapping[str, Any]) -> dict[str, Any]:
    return {name: ordered(extra[name]) for name in trials if extra and extra.get(name)}


def equal_error_rates(trials: Mapping[str, Mapping[str, Any]]) -> dict[str, dict[str, float]]:
    """{list: {back end: EER in percent}}, those that have one."""
    return {
        name: {key: figures["eer"] for key, figures in part.items() if figures.get("eer") is not None}
        for name, part in trials.items()
    }


def template(name: str) -> Any:
    """A page's template: what is put into it is escaped, and a name it does not get is an error."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(
        span=_span, number=_number, duration=_duration, count=_count, point=point_name
    )
    return environment.get_template(name)


def _count(number: int) -> str:
    return f"{number:,}".replace(",", "\u202f")


def _number(value: float | None, digits: int = 2, sign: bool = False) -> str:
    if value is None:
        return "–"
    text = f"{value:{'+' if sign else ''}.{digits}f}"
    return "∞" if text == "inf" else text.replace("-", "\u2212")


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

"""report.html of a recipe with labels: classifiers side by side, classes, confusions, training, x-vectors."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ..formats.atomic import write_text
from ..formats.errors import InputError
from .draw import palette
from .page import template
from .sections import confusion_section, training_section, tsne_section
from .tables import FEW_SPEAKERS, flat, seconds_table

_MOST_SHORT = 4  # classifiers in the lead
_MOST_PICTURES = 8  # confusion matrices of a set
_PLANE = (
    "Dots of one class should lie together, whoever speaks; islands of one speaker inside are natural. "
    "Islands of one set mean that the network hears the recordings' origin. Distances between islands, and "
    "their sizes, mean nothing."
)
NO_ANSWER = "no answer"


def render_classes(
    results: Mapping[str, Any],
    out: str | Path,
    *,
    curves: Sequence[Mapping[str, Any]] = (),
    title: str = "Classification",
    caution: str = "",
    plane: Mapping[str, Any] | None = None,
    of: str = "classifier",
) -> None:
    """Write ``out`` (report.html), whole or not at all.

    ``results`` is results.json: "classification" {SET: {CLASSIFIER: the figures of
    score.class_figures.judge_classes, and perhaps under "against" {CLASSIFIER: class_differences},
    under "unvoted" figures}}; optional "labels", "vote", "dropped", "model", "seconds". ``curves``,
    ``caution`` and ``plane`` as page.render has them. ``of``: what the rows are called.
    """
    out, sets = Path(out), dict(results.get("classification") or {})
    if not sets or not all(sets.values()):
        raise InputError("results without classification: there is nothing to report", where=out)
    names = list(dict.fromkeys(name for part in sets.values() for name in part))
    colours = palette(names)
    sections = [
        confusion_section(confusions(sets)),
        tsne_section(plane, _PLANE),
        training_section(curves),
    ]
    page = template("classes.html.j2").render(
        title=title,
        caution=caution,
        of=of,
        labels=results.get("labels") or "",
        vote=results.get("vote") or "none",
        model=flat(results.get("model")),
        names=[{"name": name, "colour": colours[name]} for name in names],
        sets=[set_table(name, part, colours) for name, part in sets.items()],
        sections=[section for section in sections if section],
        dropped=flat(results.get("dropped")),
        seconds=seconds_table(results.get("seconds") or {}),
    )
    write_text(out, page)


def set_table(name: str, part: Mapping[str, Any], colours: Mapping[str, str]) -> dict[str, Any]:
    """One set: rows of classifiers, which columns they fill, tables by class, what can be said of them."""
    rows = [{**figures, "name": key, "colour": colours[key]} for key, figures in part.items()]
    pairs = [
        {"name": row["name"], "other": other, "colour": row["colour"], **found}
        for row in rows
        for other, found in (row.get("against") or {}).items()
    ]
    return {
        "name": name,
        "rows": rows,
        "short": _short(rows),
        "two": any(row.get("roc_auc") is not None for row in rows),
        "loss": any(row.get("log_loss") is not None for row in rows),
        "dropped": any(row.get("dropped") for row in rows),
        "unvoted": any(row.get("unvoted") for row in rows),
        "pairs": pairs,
        "best": max(rows, key=lambda row: row["accuracy"])["name"],
        "said": _sentences(rows, pairs),
    }


def _short(rows: Sequence[Mapping[str, Any]]) -> str:
    # Right answers in a hundred, for somebody who knows none of the words.
    order = sorted(rows, key=lambda row: -row["accuracy"])
    shown = [row for row in rows if row in order[:_MOST_SHORT]]
    said = []
    for row in shown:
        ends = row.get("accuracy_ci")
        span = f" ({ends[0]:.1f} to {ends[1]:.1f})" if ends else ""
        said.append(f"{row['name']} {row['accuracy']:.1f}{span}")
    more = f", and {len(rows) - len(shown)} others" if len(rows) > len(shown) else ""
    return ", ".join(said) + more


def _sentences(rows: Sequence[Mapping[str, Any]], pairs: Sequence[Mapping[str, Any]]) -> list[str]:
    first = rows[0]
    counts = {name: one["count"] for name, one in first["classes"].items()}
    speakers = first.get("speakers")
    classes = ", ".join(f"{count:,} {name}" for name, count in counts.items())
    people = f", {speakers} speakers" if speakers else ""
    most = 100 * max(counts.values()) / sum(counts.values())
    said = [
        f"{first['utterances']:,} answers{people}: {classes}.",
        f"Always answering the most frequent class is right in {most:.1f} %.",
    ]
    if speakers and first.get("accuracy_ci") is None:
        said.append(f"With {speakers} speakers there are no intervals: they are too few.")
    elif speakers and speakers < FEW_SPEAKERS:
        said.append(f"With {speakers} speakers even the intervals are rough, and probably too narrow.")
    return said + _verdicts(pairs)


def _verdicts(pairs: Sequence[Mapping[str, Any]]) -> list[str]:
    # What the intervals of the differences allow to say, each once for all of whom it is true.
    said: dict[str, list[str]] = {}
    for pair in pairs:
        ends, other = pair["accuracy_difference_ci"], pair["other"]
        if ends is None:
            text = f"cannot be told from that of {other}: there are too few speakers for an interval"
        elif ends[0] > 0:
            text = f"is above that of {other}; the interval of the difference excludes zero"
        elif ends[1] < 0:
            text = f"is below that of {other}; the interval of the difference excludes zero"
        else:
            text = f"cannot be told from that of {other}: the interval of the difference holds zero"
        said.setdefault(text, []).append(pair["name"])
    return [f"The accuracy of {', '.join(names)} {text}." for text, names in said.items()]


def confusions(sets: Mapping[str, Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    """{title: confusion as report.confusion has it} of {set: {classifier: figures}}; dropped have a column.

    Of more than eight classifiers of a set those with the highest accuracy.
    """
    out = {}
    for name, part in sets.items():
        best = sorted(part, key=lambda key: -part[key]["accuracy"])[:_MOST_PICTURES]
        for key in (one for one in part if one in best):
            found = part[key]["confusion"]
            labels, counts = list(found["labels"]), [list(row) for row in found["counts"]]
            if any(found["unanswered"]):
                counts = [[*row, lost] for row, lost in zip(counts, found["unanswered"], strict=True)]
                labels, counts = [*labels, NO_ANSWER], [*counts, [0] * (len(labels) + 1)]
            out[f"{name}: {key}"] = {"labels": labels, "counts": counts}
    return out

"""results.json as the rows and sentences of a page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

_ORDER = {"plda": 0, "cosine": 1, "baseline": 9}
_POINTS = ("0.01", "0.05", "0.001")
FEW_SPEAKERS = 30
_MOST_SHORT = 4  # back ends in the lead
_RATIOS = ("cllr", "act_dcf")
_STAGES = "prepare audio vad augment features egs train extract backend score diarize".split()


def ordered(part: Mapping[str, Any]) -> dict[str, Any]:
    """Back ends as they are shown: the model's, then the baseline."""
    return dict(sorted(part.items(), key=lambda item: (_ORDER.get(item[0], 5), item[0])))


def points(rows: Sequence[Mapping[str, Any]], key: str) -> list[str]:
    """The operating points of ``key`` (min_dcf, act_dcf) in any of ``rows``, the usual ones first."""
    found = {point for row in rows for point in row.get(key) or {}}
    return sorted(found, key=lambda one: (_POINTS.index(one) if one in _POINTS else len(_POINTS), one))


def point_name(point: str) -> str:
    """An operating point for a table's head: "0.01" or "0.01,10,1" (p_target, C_miss, C_fa)."""
    p, *costs = point.split(",")
    return f"p = {p}" + (f", costs {' : '.join(costs)}" if costs else "")


def list_table(name: str, part: Mapping[str, Any], colours: Mapping[str, str]) -> dict[str, Any]:
    """One trial list: rows of back ends, which columns they fill, what can be said of them."""
    rows: list[dict[str, Any]] = [
        {
            "threshold": None,
            **figures,
            "backend": key,
            "colour": colours[key],
            "paired": figures.get("against_baseline"),
        }
        for key, figures in part.items()
    ]
    return {
        "name": name,
        "rows": rows,
        "points": points(rows, "min_dcf"),
        "paired": any(row["paired"] for row in rows),
        "dropped": any(row.get("dropped_trials") for row in rows),
        "calibrated": [row for row in rows if row.get("cllr") is not None or row.get("act_dcf")],
        "act_points": points(rows, "act_dcf"),
        "short": _short(rows),
        "sentences": _sentences(rows),
        "beliefs": _beliefs(rows),
        "conditions": _conditions(part, colours),
        "against": _against(rows),
    }


def _against(rows: Sequence[Mapping[str, Any]]) -> dict[str, Any] | None:
    """Every other back end against the recipe's first: {"name", "rows", "said"}; None where there is no pair.

    The first is the one that all others name; what stands in results.json beyond that is for machines.
    """
    others = [row for row in rows if row.get("against")]
    shared = list(others[0]["against"]) if others else []
    shared = [name for name in shared if all(name in row["against"] for row in others)]
    if not shared:
        return None
    name = shared[0]
    pairs = [{**row["against"][name], "backend": row["backend"], "colour": row["colour"]} for row in others]
    return against_table(name, pairs)


def against_table(name: str, pairs: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Paired differences to the system ``name``, each with its "backend" and "colour"."""
    ratios = [pair for pair in pairs if any(pair.get(f"{key}_difference") is not None for key in _RATIOS)]
    return {
        "name": name,
        "rows": pairs,
        "points": points(pairs, "min_dcf_difference"),
        "ratios": ratios,
        "act_points": points(pairs, "act_dcf_difference"),
        "said": [
            f"The EER of {pair['backend']} {verdict(pair['eer_difference_ci'], name)}." for pair in pairs
        ],
    }


def _short(rows: Sequence[Mapping[str, Any]]) -> str:
    """Errors in a hundred comparisons of each back end, for somebody who knows none of the words."""
    known = [row for row in rows if row.get("eer") is not None]
    shown = known
    if len(known) > _MOST_SHORT:  # the best one and the baseline: the table below has them all
        best = min(known, key=lambda row: row["eer"])
        shown = [row for row in known if row is best or row["backend"] == "baseline"]
    said = []
    for row in shown:
        ends = row.get("eer_ci")
        interval = f" ({ends[0]:.1f} to {ends[1]:.1f})" if ends and None not in ends else ""
        said.append(f"{row['backend']} {row['eer']:.1f}{interval}")
    more = f", and {len(known) - len(shown)} others" if len(known) > len(shown) else ""
    return ", ".join(said) + more


def _sentences(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """What the figures of one trial list can and cannot show, in plain words."""
    first = rows[0]
    speakers = first.get("speakers")
    of_whom = f" of {speakers} speakers" if speakers else ""
    said = [
        f"{first['targets']:,} same-speaker and {first['nontargets']:,} different-speaker trials{of_whom}."
    ]
    if speakers and speakers < FEW_SPEAKERS:
        rough = "even the intervals are rough, and probably too narrow"
        few = rough if any(row.get("eer_ci") for row in rows) else "there are no intervals: they are too few"
        said.append(f"With {speakers} speakers {few}.")
    if any((row["targets"], row["nontargets"]) != (first["targets"], first["nontargets"]) for row in rows):
        said = ["The rows are not of the same trials: their figures cannot be compared."]
    return said + [
        f"The EER of {row['backend']} {verdict(row['paired']['eer_difference_ci'], 'the baseline')}."
        for row in rows
        if row["paired"]
    ]


def _beliefs(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """What to doubt of scores that are judged as likelihood ratios, in plain words."""
    said = []
    for row in rows:
        name, raw = row["backend"], row.get("calibrated") is False and row.get("cllr") is not None
        if raw:
            said.append(f"Nothing calibrated {name}: its scores are judged as likelihood ratios as they are.")
        over = [f"Cllr {row['cllr']:.2f}"] if (row.get("cllr") or 0) > 1 else []
        act = row.get("act_dcf") or {}
        over += [f"actDCF {act[p]:.2f} at {point_name(p)}" for p in points([row], "act_dcf") if act[p] > 1]
        if over:
            blame = "they are not calibrated" if raw else "their calibration does not fit these trials"
            if row.get("dropped_trials"):
                blame = f"trials of dropped utterances count as wrong, and perhaps {blame}"
            bad = ", ".join(over)
            said.append(f"{name} is worse here than no system, which has 1 ({bad}): {blame}.")
    return said


def verdict(ends: Sequence[float] | None, other: str) -> str:
    """What the interval of a difference to ``other`` allows to say; None of too few speakers."""
    if ends is None:
        return f"cannot be told from that of {other}: there are too few speakers for an interval"
    low, high = ends
    if high < 0:
        return f"is below that of {other}; the interval of the difference excludes zero"
    if low > 0:
        return f"is above that of {other}; the interval of the difference excludes zero"
    return f"cannot be told from that of {other}: the interval of the difference holds zero"


def _conditions(part: Mapping[str, Any], colours: Mapping[str, str]) -> list[dict[str, Any]]:
    """A table a condition: {"name", "columns", "rows", "said"}, a row a back end, a column a class.

    A cell is the class's figures, or None. "said": what to doubt of classes, and those that have no EER.
    """
    names = dict.fromkeys(name for figures in part.values() for name in figures.get("conditions") or {})
    tables = []
    for name in names:
        found = {key: (figures.get("conditions") or {}).get(name, {}) for key, figures in part.items()}
        first: dict[str, Any] = {}
        for values in found.values():
            first = {**values, **first}
        shown = [value for value in sorted(first) if first[value].get("eer") is not None]
        columns = [{"name": value, **first[value]} for value in shown]
        rows = [
            {"backend": key, "colour": colours[key], "cells": [values.get(value) for value in shown]}
            for key, values in found.items()
            if values
        ]
        tables.append({"name": name, "columns": columns, "rows": rows, "said": _class_notes(first)})
    return tables


def _class_notes(classes: Mapping[str, Mapping[str, Any]]) -> list[str]:
    # What is to be said of several classes is said once.
    said: dict[str, list[str]] = {}
    without = []
    for name in sorted(classes):
        figures = classes[name]
        if figures.get("eer") is None:
            trials = f"{figures.get('targets', 0)} + {figures.get('nontargets', 0)} trials"
            without.append(f"{name} ({trials}): {figures.get('note') or 'no error rates'}.")
        else:
            for note in filter(None, (figures.get("note") or "").split("; ")):
                said.setdefault(note, []).append(name)
    rated = len(classes) - len(without)
    notes = [
        f"{'Each class' if len(names) == rated > 1 else ', '.join(names)}: {note}."
        for note, names in said.items()
    ]
    return notes + without


def flat(value: Any, name: str = "") -> list[tuple[str, str]]:
    """Nested mappings as (path, text) pairs; a list of ids becomes its length."""
    if value is None or value == "" or value == {}:
        return []
    if isinstance(value, Mapping):
        return [
            pair
            for key, part in value.items()
            for pair in flat(part, f"{name} · {key}" if name else str(key))
        ]
    if isinstance(value, list | tuple | set):
        return [(name, str(len(value)))]
    return [(name, f"{value:g}" if isinstance(value, float) else str(value))]


def seconds_table(seconds: Mapping[str, float]) -> list[tuple[str, float, float]]:
    """(stage, seconds, share of the longest in percent), in the stages' order."""
    longest = max(seconds.values(), default=0) or 1
    known = {stage: place for place, stage in enumerate(_STAGES)}
    order = sorted(seconds.items(), key=lambda item: (known.get(item[0], len(known)), item[0]))
    return [(stage, value, 100 * value / longest) for stage, value in order]

"""What stage diarize found, as a table and sentences of the page."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def diarization_table(found: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """{"method", "rows" a set, "said"} of results.json of stage diarize; None without one.

    A row has "name" and "role", and what the set's rates are over all its recordings, if there are any.
    """
    if not found or not found.get("sets"):
        return None
    rows, scoring, notes = [], dict[str, None](), []
    for name, one in found["sets"].items():
        rates = one.get("rates") or {}
        whole = rates.get("all") or {}
        rows.append({"name": name, "role": one.get("role", ""), "recordings": one.get("recordings"), **whole})
        if whole:
            scoring[_scoring(rates)] = None
        else:
            notes.append(f"{name}: no error rates: {one.get('why', 'there is no reference')}.")
        notes += [f"{name}: {note}." for note in rates.get("notes") or []]
        if one.get("dropped"):
            windows = one["dropped"] + one["windows"]
            notes.append(f"{name}: {one['dropped']} of {windows} windows could not be used.")
    said = [*_speech(found.get("speech")), *scoring, *_threshold(found.get("threshold") or {}), *notes]
    short = [_short(row) for row in rows if row.get("der") is not None and row["role"] != "development"]
    return {"method": found.get("method", ""), "rows": rows, "said": said, "short": short}


def _short(row: Mapping[str, Any]) -> str:
    """A set's error in a hundred seconds, for somebody who knows none of the words."""
    low, high = row.get("der_ci") or (None, None)
    interval = "" if low is None or high is None else f" ({low:.1f} to {high:.1f})"
    return f"{row['name']}: {row['der']:.1f}{interval}"


def _speech(source: str | None) -> list[str]:
    if source == "reference":
        return [
            "Where somebody speaks was taken from the reference, as in most published results: a system that "
            "has to find speech itself misses some, and raises false alarms."
        ]
    return ["Speech was found by the recipe's voice activity detection."] if source == "vad" else []


def _scoring(rates: Mapping[str, Any]) -> str:
    collar = rates.get("collar") or 0.0
    border = "all time counts"
    if collar:
        border = f"{collar:g} s before and behind each border of a turn do not count"
    overlap = "counts: the system names one, and misses the others"
    if rates.get("skip_overlap"):
        overlap = "does not count"
    return f"In the DER {border}. Speech of several at once {overlap}."


def _threshold(found: Mapping[str, Any]) -> list[str]:
    if found.get("tuned"):
        value = f"{found['threshold']:.4g}".replace("-", "\u2212")
        return [f"The threshold between speakers ({value}) was chosen on {found['set']}."]
    return [f"No threshold was tuned: {found['why']}."] if found.get("why") else []

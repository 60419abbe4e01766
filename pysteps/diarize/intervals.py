"""Confidence intervals of DER and JER by a bootstrap over recordings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ..formats.rng import generator
from ..metrics.intervals import interval

FEW = 10  # recordings below which an interval says little


def with_intervals(
    result: Mapping[str, Any], *, replicates: int = 1000, seed: int = 0, level: float = 0.95
) -> dict[str, Any]:
    """What ``judge`` returned, with "der_ci" and "jer_ci" (percent, percentiles) under "all", and "notes".

    Recordings are drawn with replacement, as many as there are; in each draw the DER is the sum of error
    seconds over that of speech, the JER the mean over all drawn recordings' speakers: both as ``judge`` has
    them over the set. The draws depend on ``seed`` and the number of recordings alone, so two systems on the
    same recordings get the same. With fewer than two recordings that are scored an interval is None; below
    FEW recordings a note says so.
    """
    rows = list(result["recordings"].values())
    weights = _draws(len(rows), replicates, seed)
    wrong = [row["error_seconds"] for row in rows]
    speech = [row["speech_seconds"] for row in rows]
    speakers = [row["scored_speakers"] for row in rows]
    jaccard = [(row["jer"] or 0.0) * row["scored_speakers"] / 100 for row in rows]
    spans = {
        "der_ci": _span(weights, wrong, speech, level),
        "jer_ci": _span(weights, jaccard, speakers, level),
    }
    notes = list(result.get("notes", []))
    if len(rows) == 1:
        notes.append("one recording: no intervals")
    elif len(rows) < FEW:
        notes.append(f"{len(rows)} recordings: below {FEW} an interval over them says little")
    return {**result, "all": {**result["all"], **spans}, "notes": notes}


def _draws(recordings: int, replicates: int, seed: int) -> np.ndarray:
    # [R, N]: how often each recording is in each draw.
    random = generator(seed, "recordings", "bootstrap")
    return random.multinomial(recordings, np.full(recordings, 1 / recordings), size=replicates)


def _span(
    weights: np.ndarray, top: Sequence[float], bottom: Sequence[float], level: float
) -> list[float] | None:
    # Of the ratio of two weighted sums in percent; a draw with nothing to score says nothing.
    scored = np.asarray(bottom) > 0
    if scored.sum() < 2:
        return None
    above, below = weights @ np.asarray(top), weights @ np.asarray(bottom)
    kept = below > 0
    return None if kept.sum() < 2 else list(interval(100 * above[kept] / below[kept], level))

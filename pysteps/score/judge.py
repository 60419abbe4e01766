"""From scores to the figures of results.json."""

from __future__ import annotations

from collections.abc import Collection, Mapping

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..formats.errors import InputError
from .evaluate import Judged, judged
from .trials import Trials


def as_wrong(trials: Trials, scores: ArrayLike, dropped: Collection[str]) -> NDArray[np.float64]:
    """``scores`` [N] with trials of ``dropped`` ids as wrong as can be: targets -inf, non-targets +inf.

    What stood there (NaN, a placeholder) does not matter; elsewhere a score must be finite.
    """
    values = np.array(scores, dtype=np.float64)
    if values.shape != (len(trials),):
        raise InputError(f"{len(values)} scores for {len(trials)} trials", where=trials.source)
    lost = trials.touches(dropped)
    values[lost] = np.where(trials.is_target[lost], -np.inf, np.inf)
    bad = ~np.isfinite(values) & ~lost
    if bad.any():
        one, two = trials.pair(int(np.flatnonzero(bad)[0]))
        raise InputError(f"{bad.sum()} scores are not finite, first {one} {two}", where=trials.source)
    return values


def speaker_codes(
    trials: Trials, speaker_of: Mapping[str, str]
) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """Numbers of the two speakers of each trial, in the speakers' sorted order.

    An id without a speaker, and a label that contradicts the speakers, are an InputError.
    """
    for one in (*trials.enrol_ids, *trials.test_ids):
        if one not in speaker_of:
            raise InputError(f"{one} has no speaker", where=trials.source, mend="add it to utt2spk")
    names = sorted({speaker_of[one] for one in (*trials.enrol_ids, *trials.test_ids)})
    number = {name: index for index, name in enumerate(names)}
    enrol = np.array([number[speaker_of[one]] for one in trials.enrol_ids], np.int32)[trials.enrol]
    test = np.array([number[speaker_of[one]] for one in trials.test_ids], np.int32)[trials.test]
    odd = np.flatnonzero((enrol == test) != trials.is_target)
    if len(odd):
        one, two = trials.pair(int(odd[0]))
        said = "target" if trials.is_target[odd[0]] else "nontarget"
        raise InputError(
            f"{len(odd)} trials contradict utt2spk, the first: {one} {two} {said}, "
            f"speakers {speaker_of[one]} and {speaker_of[two]}",
            where=trials.source,
            line=int(odd[0]) + 1,
        )
    return enrol, test


def _check_lost(trials: Trials, dropped: Collection[str], max_dropped: float) -> None:
    lost = int(trials.touches(dropped).sum())
    if lost > max_dropped * len(trials):
        raise InputError(
            f"{lost} of {len(trials)} trials are of dropped utterances, above {max_dropped:.2%}",
            where=trials.source,
            mend="see the set's dropped file, or raise the share",
        )


def judge(
    trials: Trials,
    scores: ArrayLike,
    dropped: Collection[str],
    utt2spk: Mapping[str, str],
    seed: int,
    *,
    replicates: int = 1000,
    max_dropped: float = 1.0,
    likelihood_ratios: bool = False,
) -> Judged:
    """All figures of one list of scores, ready for JSON, and the bootstrap behind them.

    ``scores`` [N]; ``dropped`` ids, whose trials are counted and scored as wrong (above the share
    ``max_dropped`` an InputError); ``utt2spk`` knows every id, enrolled models too. Figures as in evaluate's
    ``judged``, costs normalised and with unit costs. ``threshold`` is null when the rates meet among
    dropped trials.
    """
    values = as_wrong(trials, scores, dropped)
    _check_lost(trials, dropped, max_dropped)
    return judged(
        values,
        trials.is_target,
        speakers=speaker_codes(trials, utt2spk),
        likelihood_ratios=likelihood_ratios,
        replicates=replicates,
        seed=seed,
    )

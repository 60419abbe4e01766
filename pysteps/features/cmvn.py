"""Cepstral mean and variance normalisation, in Kaldi's file format and with its window rules.

Everything works in blocks of frames: hours of features are never held a second time as float64.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

from ..formats.errors import InputError

BLOCK = 8192  # frames that are worked on at once
_VARIANCE_FLOOR = 1e-10  # Kaldi's, in SlidingWindowCmn
# Below these shares of its mean, and of the largest root mean square among the features, a deviation is
# the rounding of stored features and not speech. Two-byte archives round to 1/65535 of a matrix's range,
# so also a feature that is constantly 0 is read back as something else: the second share is two such steps.
_RELATIVE_FLOOR, _STORED_FLOOR = 1e-4, 2 / 65535


def blocks(frames: int) -> Iterator[tuple[int, int]]:
    """[first, last) of the blocks of ``frames`` frames."""
    return ((first, min(first + BLOCK, frames)) for first in range(0, frames, BLOCK))


def cmvn_stats(features: np.ndarray, voiced: np.ndarray | None = None) -> np.ndarray:
    """Kaldi's CMVN statistics, float64 [2, dim + 1], of ``features`` [frames, dim].

    Row 0 holds the sums and the count, row 1 the sums of squares and 0. With ``voiced`` (bool
    [frames]) only those frames count.
    """
    _check_voiced(features, voiced)
    stats = np.zeros((2, features.shape[1] + 1))
    for first, last in blocks(len(features)):
        block = features[first:last] if voiced is None else features[first:last][voiced[first:last]]
        chosen = block.astype(np.float64)
        stats[0, :-1] += chosen.sum(0)
        stats[0, -1] += len(chosen)
        stats[1, :-1] += np.einsum("td,td->d", chosen, chosen)
    return stats


def mean_and_scale(stats: np.ndarray, *, norm_vars: bool = False) -> tuple[np.ndarray, np.ndarray]:
    """What is subtracted, then what multiplies (1 without ``norm_vars``): float64 [dim] each.

    A deviation below 1e-4 of its mean, or below 2/65535 of the largest root mean square of all features,
    is held there: so little is the rounding of archives, which must not be blown up.
    """
    count = stats[0, -1]
    if stats.ndim != 2 or len(stats) != 2 or count <= 0:
        raise InputError(f"CMVN statistics {stats.shape} over {count:g} frames", mend="redo stage features")
    mean = stats[0, :-1] / count
    if not norm_vars:
        return mean, np.ones_like(mean)
    power = stats[1, :-1] / count
    floor = (_RELATIVE_FLOOR * mean) ** 2 + _STORED_FLOOR**2 * power.max(initial=0.0) + 1e-20
    return mean, 1.0 / np.sqrt(np.maximum(power - mean**2, floor))


def apply_cmvn(features: np.ndarray, stats: np.ndarray, *, norm_vars: bool = False) -> np.ndarray:
    """``features`` [frames, dim] minus the mean in ``stats``, float32; ``norm_vars``: over the deviation."""
    mean, scale = mean_and_scale(stats, norm_vars=norm_vars)
    if mean.shape != features.shape[1:]:
        raise InputError(f"CMVN statistics of {len(mean)} features for {features.shape[1]}")
    out = np.empty(features.shape, np.float32)
    for first, last in blocks(len(features)):
        out[first:last] = (features[first:last] - mean) * scale
    return out


def sliding_cmn(
    features: np.ndarray,
    *,
    window: int = 300,
    min_window: int = 100,
    center: bool = True,
    norm_vars: bool = False,
) -> np.ndarray:
    """Normalise each frame by the frames around it (Kaldi's apply-cmvn-sliding); float32 [frames, dim].

    ``center`` puts the frame in the middle of ``window`` frames; otherwise the window ends at the
    frame, and has at least ``min_window`` frames. At the ends the window is moved inside.
    """
    if window < 1 or not 1 <= min_window <= window:
        raise InputError(f"a CMN window of {window} frames with a minimum of {min_window}")
    frames = len(features)
    out = np.empty(features.shape, np.float32)
    for first, last in blocks(frames):
        start, end = _windows(np.arange(first, last), frames, window, min_window, center)
        low, high = int(start.min()), int(end.max())
        rows = np.arange(first, last) - low
        out[first:last] = _normalised(features[low:high], rows, start - low, end - low, norm_vars)
    return out


def sliding_frames(
    read: Callable[[int, int], np.ndarray], wanted: np.ndarray, frames: int, window: int, norm_vars: bool
) -> np.ndarray:
    """The rows ``wanted`` (rising indices) of ``sliding_cmn`` of a matrix, reading only what they need of it.

    The matrix has ``frames`` frames; ``read(first, last)`` gives its rows [last - first, dim]. float32.
    """
    start, end = _windows(wanted, frames, window, window, True)
    low, high = int(start.min()), int(end.max())
    return _normalised(read(low, high), wanted - low, start - low, end - low, norm_vars)


def _windows(
    t: np.ndarray, frames: int, window: int, min_window: int, center: bool
) -> tuple[np.ndarray, np.ndarray]:
    start = t - window // 2 if center else t - window
    end = start + window if center else t + 1
    end = np.where(start < 0, end - start, end)
    start = np.maximum(start, 0)
    if not center:
        end = np.where(end > t, np.maximum(t + 1, min_window), end)
    over = np.maximum(end - frames, 0)
    return np.maximum(start - over, 0), end - over


def _normalised(
    rows: np.ndarray, wanted: np.ndarray, start: np.ndarray, end: np.ndarray, norm_vars: bool
) -> np.ndarray:
    """Rows ``wanted`` [n] of ``rows`` [frames, dim], each normalised over its rows [start, end)."""
    # The mean over these rows goes first: sums and squares of small numbers keep their digits.
    values = rows - rows.mean(0, dtype=np.float64)
    count = (end - start)[:, None]
    mean = _between(values, start, end) / count
    out = values[wanted] - mean
    if norm_vars:
        variance = np.maximum(_between(np.square(values), start, end) / count - mean**2, _VARIANCE_FLOOR)
        out = np.where(count == 1, 0.0, out / np.sqrt(variance))
    return out.astype(np.float32)


def _between(values: np.ndarray, start: np.ndarray, end: np.ndarray) -> np.ndarray:
    total = np.zeros((len(values) + 1, values.shape[1]))
    np.cumsum(values, axis=0, out=total[1:])
    return total[end] - total[start]


def _check_voiced(features: np.ndarray, voiced: np.ndarray | None) -> None:
    if voiced is not None and len(voiced) != len(features):
        raise InputError(
            f"{len(voiced)} VAD decisions for {len(features)} frames",
            mend="compute VAD and features with one frame geometry",
        )


def select_voiced(features: np.ndarray, voiced: np.ndarray | None) -> np.ndarray:
    """The frames of ``features`` [frames, dim] where ``voiced`` (bool [frames]) is true; all for None."""
    _check_voiced(features, voiced)
    return features if voiced is None else features[np.asarray(voiced, dtype=bool)]

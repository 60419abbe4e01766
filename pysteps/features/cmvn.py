"""Cepstral mean and variance normalisation, in Kaldi's file format and with its window rules."""

from __future__ import annotations

import numpy as np

from ..formats.errors import InputError

_VARIANCE_FLOOR = 1e-10  # Kaldi's, in SlidingWindowCmn


def cmvn_stats(features: np.ndarray, voiced: np.ndarray | None = None) -> np.ndarray:
    """Kaldi's CMVN statistics, float64 [2, dim + 1], of ``features`` [frames, dim].

    Row 0 holds the sums and the count, row 1 the sums of squares and 0. With ``voiced`` (bool
    [frames]) only those frames count.
    """
    chosen = select_voiced(features, voiced).astype(np.float64)
    stats = np.zeros((2, features.shape[1] + 1))
    stats[0, :-1], stats[0, -1] = chosen.sum(0), len(chosen)
    stats[1, :-1] = np.square(chosen).sum(0)
    return stats


def apply_cmvn(features: np.ndarray, stats: np.ndarray, *, norm_vars: bool = False) -> np.ndarray:
    """``features`` [frames, dim] minus the mean in ``stats``, float32; ``norm_vars``: over the deviation."""
    count = stats[0, -1]
    if stats.shape != (2, features.shape[1] + 1) or count <= 0:
        raise InputError(
            f"CMVN statistics {stats.shape} over {count:g} frames for {features.shape[1]} features"
        )
    mean = stats[0, :-1] / count
    out = features - mean
    if norm_vars:
        out /= np.sqrt(np.maximum(stats[1, :-1] / count - mean**2, 1e-20))
    return out.astype(np.float32)


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
    frames = len(features)
    if window < 1 or not 1 <= min_window <= window:
        raise InputError(f"a CMN window of {window} frames with a minimum of {min_window}")
    start, end = _windows(frames, window, min_window, center)
    count = (end - start)[:, None]
    # The mean over all frames goes first: sums and squares of small numbers keep their digits.
    out = features - features.mean(0, dtype=np.float64) if frames else features.astype(np.float64)
    sums = _between(out, start, end)
    squares = _between(out**2, start, end) if norm_vars else None
    mean = sums / count
    out = out - mean
    if squares is not None:
        variance = np.maximum(squares / count - mean**2, _VARIANCE_FLOOR)
        out = np.where(count == 1, 0.0, out / np.sqrt(variance))
    return out.astype(np.float32)


def _windows(frames: int, window: int, min_window: int, center: bool) -> tuple[np.ndarray, np.ndarray]:
    t = np.arange(frames)
    start = t - window // 2 if center else t - window
    end = start + window if center else t + 1
    end = np.where(start < 0, end - start, end)
    start = np.maximum(start, 0)
    if not center:
        end = np.where(end > t, np.maximum(t + 1, min_window), end)
    over = np.maximum(end - frames, 0)
    return np.maximum(start - over, 0), end - over


def _between(values: np.ndarray, start: np.ndarray, end: np.ndarray) -> np.ndarray:
    total = np.concatenate((np.zeros((1, values.shape[1])), np.cumsum(values, axis=0)))
    return total[end] - total[start]


def select_voiced(features: np.ndarray, voiced: np.ndarray | None) -> np.ndarray:
    """The frames of ``features`` [frames, dim] where ``voiced`` (bool [frames]) is true; all for None."""
    if voiced is None:
        return features
    if len(voiced) != len(features):
        raise InputError(
            f"{len(voiced)} VAD decisions for {len(features)} frames",
            mend="compute VAD and features with one frame geometry",
        )
    return features[np.asarray(voiced, dtype=bool)]

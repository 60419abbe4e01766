"""Numbers as text at the speed of an array: the lines of a score file."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def _digits(values: NDArray[np.float64]) -> NDArray[np.uint8]:
    """Numbers [N] of 8 significant digits as rows of characters, zero bytes where there is nothing."""
    size = np.abs(values)
    plain = (size == 0) | ((size >= 1e-4) & (size < 1e8))
    size = np.where(plain, size, 0.0)
    with np.errstate(divide="ignore"):
        decimals = np.where(size > 0, 7 - np.floor(np.log10(size)), 0.0).clip(0, 11).astype(np.int64)
    whole = np.rint(size * 10.0**decimals).astype(np.int64)
    short = np.flatnonzero((decimals > 0) & (whole % 10 == 0))
    while len(short):  # no zeros at the end
        whole[short] //= 10
        decimals[short] -= 1
        short = short[(decimals[short] > 0) & (whole[short] % 10 == 0)]
    front, back = np.divmod(whole, 10**decimals)
    left, right = len(str(front.max(initial=0))), int(decimals.max(initial=0))
    back *= 10 ** (right - decimals)
    out = np.zeros((len(values), max(left + right + 2, 16)), np.uint8)
    out[:, 0] = np.where(np.signbit(values), ord("-"), 0)
    for place in range(left, 0, -1):
        out[:, place] = np.where((front > 0) | (place == left), 48 + front % 10, 0)
        front //= 10
    out[:, left + 1] = np.where(decimals > 0, ord("."), 0)
    for place in range(right, 0, -1):
        out[:, left + 1 + place] = np.where(place <= decimals, 48 + back % 10, 0)
        back //= 10
    for row in np.flatnonzero(~plain).tolist():
        word = f"{values[row]:.8g}".encode()
        out[row] = np.frombuffer(word.ljust(out.shape[1], b"\0"), np.uint8)
    return out


def score_lines(enrol: NDArray[np.bytes_], test: NDArray[np.bytes_], scores: NDArray[np.float64]) -> bytes:
    """``enrol test score`` lines of ids [N] and scores [N], none of them NaN."""
    columns = [
        part
        for ids in (enrol, test)
        for part in (
            np.ascontiguousarray(ids).view(np.uint8).reshape(len(ids), -1),
            np.full((len(ids), 1), 32, np.uint8),
        )
    ]
    rows = np.concatenate([*columns, _digits(scores), np.full((len(scores), 1), 10, np.uint8)], axis=1)
    return rows[rows != 0].tobytes()

"""How much alike windows are: all pairs of one recording by cosine or PLDA, and where to cut."""

from __future__ import annotations

import numpy as np

from ..backend.plda import Plda
from ..backend.ratio import enrolment, square_weights
from ..formats.errors import InputError

Floats = np.ndarray
_SAME = 1e-6  # relative: what windows of the same sound may differ by, in single precision


def cosine_affinity(x: Floats) -> Floats:
    """[N, N] cosines of the rows of ``x`` [N, D]; a row of zeros is like nothing (0)."""
    length = np.linalg.norm(x, axis=1, keepdims=True)
    rows = x / np.where(length > 0, length, 1.0)
    return np.clip(rows @ rows.T, -1.0, 1.0)


def plda_affinity(x: Floats, plda: Plda, energy: float = 1.0) -> Floats:
    """[N, N] natural-log likelihood ratios of all pairs of rows of ``x`` [N, D] under ``plda``.

    With ``energy`` below 1 vectors and model are first projected to the principal components of this
    recording that hold that share of its variance, two dimensions at least (Kaldi's
    ivector-plda-scoring-dense --target-energy, after Shum et al., IS 2011). Vectors are then scaled to
    the length that the model expects (Kaldi's --normalize-length).
    """
    if x.shape[1] != len(plda.mean):
        raise InputError(f"x-vectors of {x.shape[1]} dimensions for a PLDA of {len(plda.mean)}")
    if not 0 < energy <= 1:
        raise InputError(f"plda_energy {energy}", mend="0 < plda_energy <= 1")
    rows, psi = _projected(x - plda.mean, plda, energy)
    square = (rows**2 / (psi + 1)).sum(axis=1, keepdims=True)
    rows = rows * np.sqrt(rows.shape[1] / np.where(square > 0, square, 1.0))
    factor, term = enrolment(psi, rows, 1)
    # Of one utterance each, both sides add the same: the matrix is made symmetric to the bit.
    whole = factor @ rows.T + term[:, None] + rows**2 @ square_weights(psi, 1)
    return (whole + whole.T) / 2


def _projected(centred: Floats, plda: Plda, energy: float) -> tuple[Floats, Floats]:
    # Rows where the within covariance is 1 and the between one diagonal (psi), and psi.
    if energy >= 1 or len(centred) < 2:
        return centred @ plda.transform.T, plda.psi
    from scipy.linalg import eigh

    values, vectors = np.linalg.eigh(np.cov(centred.T, bias=True))
    if values.sum() <= _SAME**2 * np.mean((centred**2).sum(axis=1)):
        return centred @ plda.transform.T, plda.psi  # components of rounding alone
    held = np.cumsum(values[::-1]) / max(values.sum(), np.finfo(float).tiny)
    components = vectors[:, ::-1][:, : int((held <= energy).sum()) + 2]
    try:
        back = components.T @ np.linalg.inv(plda.transform)  # [dims, D]: PLDA's space to the components
    except np.linalg.LinAlgError as error:
        raise InputError("plda_energy below 1 needs a PLDA whose transform can be inverted") from error
    psi, turn = eigh((back * plda.psi) @ back.T, back @ back.T)
    return centred @ components @ turn, np.maximum(psi, 0.0)


def crossing(scores: Floats, iterations: int = 20, most: int = 4_000_000) -> float:
    """Where two Gaussians of one variance, fitted to ``scores`` by EM, are equally likely.

    Pairs of one speaker and of two make two humps; this is the point between them, which moves with the
    recording (VBx's two-Gaussian calibration). Above ``most`` scores every k-th is used. Equal scores
    have no humps: windows that cannot be told apart are one speaker at any distance, so -inf is returned.
    """
    s = np.ravel(scores)
    s = s[:: -(-s.size // most)].astype(np.float64)
    variance = s.var()
    if variance <= (_SAME * max(1.0, float(np.abs(s).max()))) ** 2:
        return -np.inf
    means, weights = s.mean() + np.sqrt(variance) * np.array([-1.0, 1.0]), np.array([0.5, 0.5])
    for _ in range(iterations):
        # Two classes, one variance: the log odds are linear in the score.
        slope = (means[1] - means[0]) / variance
        odds = slope * (s - means.mean()) + np.log(weights[1] / weights[0])
        high = 1 / (1 + np.exp(-np.clip(odds, -500, 500)))
        share = np.clip(high.mean(), 1e-9, 1 - 1e-9)
        weights = np.array([1 - share, share])
        means = np.array([((1 - high) * s).mean(), (high * s).mean()]) / weights
        variance = max(float((s**2).mean() - weights @ means**2), 1e-12)
    slope = (means[1] - means[0]) / variance
    if slope <= 0:
        return float(s.mean())
    return float(means.mean() - np.log(weights[1] / weights[0]) / slope)

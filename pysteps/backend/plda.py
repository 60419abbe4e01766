"""Two-covariance PLDA, estimated and scored as Kaldi does.

Model: x = mean + y + e, y ~ N(0, between) once a speaker, e ~ N(0, within) once a vector (S. Ioffe,
"Probabilistic Linear Discriminant Analysis", ECCV 2006; Kaldi src/ivector/plda.cc). ``transform`` makes
within the identity and between diagonal with the values ``psi``. All in float64. Its scores: ratio.py.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike

from ..formats.errors import InputError
from .kaldi_io import read_plda, write_plda
from .stats import Floats, SpeakerStats, check_vectors, fixed_signs, gather

NORMALISATIONS = ("model", "simple", "none")


@dataclass(frozen=True)
class Plda:
    """``mean`` [D], ``transform`` [D, D], ``psi`` [D] >= 0, largest first."""

    mean: Floats
    transform: Floats
    psi: Floats

    def __post_init__(self) -> None:
        # Rounding of a product depends on how a matrix lies: a fitted one shall score as the loaded one.
        for name in ("mean", "transform", "psi"):
            object.__setattr__(self, name, np.ascontiguousarray(getattr(self, name), dtype=np.float64))

    def project(self, x: ArrayLike, examples: ArrayLike = 1, normalise: str = "model") -> Floats:
        """Vectors [N, D] in PLDA's space (Kaldi's TransformIvector).

        ``examples`` (a number or [N]): how many utterances each row is the mean of. ``normalise``:
        "model" scales a row to the length the model expects of a mean of so many (Kaldi's
        --normalize-length=true), "simple" to sqrt(D) (--simple-length-norm=true), "none" not at all.
        """
        if normalise not in NORMALISATIONS:
            raise InputError(f"unknown length norm {normalise!r}: known are {', '.join(NORMALISATIONS)}")
        rows = check_vectors(x)
        if rows.shape[1] != len(self.mean):
            raise InputError(f"vectors of {rows.shape[1]} dimensions for a PLDA of {len(self.mean)}")
        count = _examples(examples, len(rows))
        out = (rows - self.mean) @ self.transform.T
        if normalise == "none":
            return out
        scale = 1.0 if normalise == "simple" else 1 / (self.psi + 1 / count[:, None])
        square = (out**2 * scale).sum(axis=1, keepdims=True)
        return out * np.sqrt(len(self.mean) / np.where(square > 0, square, 1.0))

    def covariances(self) -> tuple[Floats, Floats]:
        """(within, between), each [D, D]."""
        back = np.linalg.inv(self.transform)
        return back @ back.T, (back * self.psi) @ back.T

    @staticmethod
    def of(mean: Floats, within: Floats, between: Floats) -> Plda:
        """The PLDA of a ``mean`` [D] and two covariances [D, D]; ``within`` must be positive definite."""
        return _diagonalise(mean, within, between)

    def smoothed(self, factor: float) -> Plda:
        """``factor`` times between added to within (Kaldi's Plda::SmoothWithinClassCovariance)."""
        if factor < 0:
            raise InputError(f"plda: smoothing={factor:g} is below 0")
        wider = 1 + factor * self.psi
        return Plda(self.mean, self.transform / np.sqrt(wider)[:, None], self.psi / wider)

    def shrunk(self, share: float) -> Plda:
        """For few speakers: both covariances C become (1 - ``share``) C + ``share`` C's mean variance."""
        if not 0 <= share <= 1:
            raise InputError(f"plda: shrink={share:g} is outside 0..1")
        eye = np.eye(len(self.mean))
        within, between = ((1 - share) * c + share * np.trace(c) / len(c) * eye for c in self.covariances())
        return _diagonalise(self.mean, within, between)

    def save(self, path: str | Path, *, text: bool = False) -> None:
        """Write as Kaldi's <Plda>, double; binary unless ``text``."""
        write_plda(path, self.mean, self.transform, self.psi, text=text)

    @staticmethod
    def load(path: str | Path) -> Plda:
        """Read Kaldi's <Plda>, binary or text."""
        return Plda(*read_plda(path))


def _examples(examples: ArrayLike, rows: int) -> Floats:
    count = np.broadcast_to(np.asarray(examples, dtype=np.float64), (rows,))
    if rows and count.min() < 1:
        raise InputError(f"a mean of {count.min():g} utterances: there must be one at least")
    return count


def log_likelihood(plda: Plda, x: ArrayLike, speakers: Sequence[str]) -> float:
    """Natural-log likelihood of all of ``x`` [N, D] given which rows share a speaker (``speakers`` [N])."""
    return _log_likelihood(plda, gather(x, speakers, "PLDA"))


def _log_likelihood(plda: Plda, stats: SpeakerStats) -> float:
    # A speaker's n vectors split into their mean, N(0, between + within/n), and n-1 offsets, N(0, within).
    counts, vectors, dim = stats.counts, stats.vectors, stats.dim
    log_volume = np.linalg.slogdet(plda.transform)[1]
    offsets = (vectors - len(counts)) * (dim * np.log(2 * np.pi) - 2 * log_volume)
    offsets += np.trace(plda.transform @ stats.scatter @ plda.transform.T)
    variance = plda.psi + 1 / counts[:, None]
    projected = (stats.means - plda.mean) @ plda.transform.T
    means = (np.log(2 * np.pi * variance) + projected**2 / variance).sum() - 2 * len(counts) * log_volume
    return float(-0.5 * (offsets + means + dim * np.log(counts).sum()))


def _diagonalise(mean: Floats, within: Floats, between: Floats) -> Plda:
    from scipy.linalg import eigh

    values, vectors = eigh((between + between.T) / 2, (within + within.T) / 2)
    return Plda(mean, fixed_signs(vectors.T[::-1]), np.maximum(values[::-1], 0.0))


def _floored(within: Floats, least: float) -> Floats:
    values, vectors = np.linalg.eigh((within + within.T) / 2)
    if values[0] >= least:
        return within
    return (vectors * np.maximum(values, least)) @ vectors.T


def expectation_maximisation_step(plda: Plda, stats: SpeakerStats, least: float = 0.0) -> Plda:
    """One EM iteration (Kaldi's EstimateOneIter); within's eigenvalues are kept at ``least`` or above.

    Done where within is 1 and between diagonal: there every posterior is diagonal too, and all
    speakers are one array operation, whatever their numbers of vectors.
    """
    count = stats.counts[:, None]
    projected = (stats.means - plda.mean) @ plda.transform.T
    spread = plda.psi / (count * plda.psi + 1)  # posterior variance of a speaker's y
    centre = count * spread * projected
    rest = projected - centre
    between = np.diag(spread.sum(axis=0)) + centre.T @ centre
    within = plda.transform @ stats.scatter @ plda.transform.T
    within += np.diag((count * spread).sum(axis=0)) + (rest.T * stats.counts) @ rest
    back = np.linalg.inv(plda.transform)
    within = back @ (within / stats.vectors) @ back.T
    between = back @ (between / len(stats.counts)) @ back.T
    return _diagonalise(plda.mean, _floored(within, least), between)


def fit_plda(
    x: ArrayLike,
    speakers: Sequence[str],
    *,
    iterations: int = 10,
    floor: float = 1e-6,
    rank: int | None = None,
) -> Plda:
    """PLDA from ``x`` [N, D] and ``speakers`` [N] by EM from within = between = 1, as Kaldi.

    The mean is over speakers, not vectors. The likelihood rises with each iteration. Refused: one
    speaker, one vector for every speaker (within and between cannot be told apart). With fewer vectors
    or speakers than dimensions the answer is finite: within's eigenvalues are kept above ``floor``
    times the mean total variance (Kaldi has no floor there); the likelihood may then fall.

    ``rank`` R: simplified PLDA, y = V h with V [D, R] (see simplified_step). float32 ``x`` is not copied:
    sums are float64, in blocks of rows.
    """
    stats = gather(x, speakers, "PLDA")
    mean = stats.means.mean(axis=0)
    spread = np.trace(stats.scatter) + stats.counts @ ((stats.means - mean) ** 2).sum(axis=1)
    if spread <= 0:
        raise InputError("PLDA: all vectors are equal")
    least = floor * spread / (stats.vectors * stats.dim)
    if rank is not None:
        return _fit_simplified(stats, mean, rank, iterations, least)
    plda = Plda(mean, np.eye(stats.dim), np.ones(stats.dim))
    for _ in range(iterations):
        plda = expectation_maximisation_step(plda, stats, least)
    return plda


def simplified_step(
    mean: Floats, voices: Floats, within: Floats, stats: SpeakerStats, least: float = 0.0
) -> tuple[Floats, Floats]:
    """One EM iteration of x = mean + V h + e, h ~ N(0, 1), e ~ N(0, within): new V [D, R] and within.

    Simplified PLDA: speakers differ in R directions, within is a full matrix (P. Kenny, "Bayesian speaker
    verification with heavy-tailed priors", Odyssey 2010; D. Garcia-Romero and C. Espy-Wilson,
    "Analysis of i-vector length normalization", Interspeech 2011). Where V' within^-1 V is diagonal all
    posteriors are, so V is turned there first. h's prior is fitted too (minimum divergence).
    """
    offsets = stats.means - mean
    solved = np.linalg.solve(within, voices)
    gains, turn = np.linalg.eigh(voices.T @ solved)
    gains, voices, solved = np.maximum(gains, 0.0), voices @ turn, solved @ turn
    count = stats.counts[:, None]
    spread = 1 / (1 + count * gains)  # posterior variance of a speaker's h
    centre = count * spread * (offsets @ solved)
    weighted = centre * count
    second = np.diag((count * spread).sum(axis=0)) + weighted.T @ centre
    cross = offsets.T @ weighted
    voices = np.linalg.solve(second, cross.T).T
    total = stats.scatter + (offsets.T * stats.counts) @ offsets
    within = _floored((total - voices @ cross.T) / stats.vectors, least)
    prior = (np.diag(spread.sum(axis=0)) + centre.T @ centre) / len(stats.counts)
    return voices @ np.linalg.cholesky(prior), within


def _fit_simplified(stats: SpeakerStats, mean: Floats, rank: int, iterations: int, least: float) -> Plda:
    most = min(stats.dim, len(stats.counts) - 1)
    if not 1 <= rank <= most:
        said = f"{len(stats.counts)} speakers and {stats.dim} dimensions allow 1 to {most}"
        raise InputError(f"plda rank={rank}: {said}", mend=f"say rank={most} or less")
    offsets = stats.means - mean
    values, vectors = np.linalg.eigh(offsets.T @ offsets / len(offsets))
    voices = vectors[:, -rank:] * np.sqrt(np.maximum(values[-rank:], least))
    within = _floored(stats.scatter / stats.vectors, least)
    for _ in range(iterations):
        voices, within = simplified_step(mean, voices, within, stats, least)
    plda = _diagonalise(mean, within, voices @ voices.T)
    psi = plda.psi.copy()
    psi[rank:] = 0.0  # what rounding left there
    return Plda(mean, plda.transform, psi)

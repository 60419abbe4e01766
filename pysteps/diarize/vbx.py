"""VBx: Bayesian HMM clustering of a sequence of x-vectors.

F. Landini, J. Profant, M. Diez, L. Burget, "Bayesian HMM clustering of x-vector sequences (VBx) in speaker
diarization: theory, implementation and analysis on standard tasks", Computer Speech & Language 71, 2022.
Equation numbers below are that paper's. Speakers are HMM states; a state's x-vectors are N(V y, 1) with
y ~ N(0, 1) and V V' = psi, the PLDA model where its within covariance is 1.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..formats.errors import InputError

_LEAST = 1e-12  # of a speaker's prior: one that has died out may come back in no other way


@dataclass(frozen=True)
class Posterior:
    """``speakers`` [T, S]: whose each window is; ``priors`` [S]; ``bound``: the ELBO after each iteration."""

    speakers: np.ndarray
    priors: np.ndarray
    bound: list[float]


def vbx(
    x: np.ndarray,
    psi: np.ndarray,
    start: np.ndarray,
    *,
    loop: float = 0.99,
    fa: float = 0.3,
    fb: float = 17.0,
    iterations: int = 40,
    least_gain: float = 1e-6,
) -> Posterior:
    """Refine ``start`` [T, S], the probabilities of S speakers for each of T windows in order of time.

    ``x`` [T, D] in PLDA's space (Plda.project(..., normalise="none")), ``psi`` [D]. ``loop``: the
    probability to stay with a speaker without drawing a new one; ``fa`` scales the evidence of a window
    (windows overlap, so they are not independent); ``fb`` weighs the speakers' prior: larger means fewer
    speakers.
    Stops when the bound rises by less than ``least_gain``.
    """
    _check(x, psi, start, loop, fa, fb)
    gamma, states = start / start.sum(axis=1, keepdims=True), start.shape[1]
    priors = np.full(states, 1 / states)
    constant = -0.5 * ((x**2).sum(axis=1) + x.shape[1] * np.log(2 * np.pi))
    rho = x * np.sqrt(psi)
    bound: list[float] = []
    for _ in range(iterations):
        variance = 1 / (1 + fa / fb * gamma.sum(axis=0)[:, None] * psi)  # (17), diagonal
        mean = fa / fb * variance * (gamma.T @ rho)  # (16)
        evidence = fa * (rho @ mean.T - 0.5 * ((variance + mean**2) @ psi) + constant[:, None])  # (23)
        gamma, entries, likelihood = forward_backward(evidence, priors, loop)  # (19)-(22)
        divergence = 0.5 * (np.log(variance) - variance - mean**2 + 1).sum()
        bound.append(float(likelihood + fb * divergence))  # (25)
        priors = np.maximum(entries / entries.sum(), _LEAST)  # (24)
        priors /= priors.sum()
        if len(bound) > 1 and bound[-1] - bound[-2] < least_gain:
            break
    return Posterior(gamma, priors, bound)


def _check(x: np.ndarray, psi: np.ndarray, start: np.ndarray, loop: float, fa: float, fb: float) -> None:
    if len(x) != len(start) or x.shape[1] != len(psi) or not start.size:
        raise InputError(f"VBx of x-vectors {x.shape}, psi {psi.shape} and a start of {start.shape}")
    if not (0 <= loop < 1 and fa > 0 and fb > 0):
        raise InputError(f"VBx with loop {loop}, fa {fa}, fb {fb}", mend="0 <= loop < 1, fa and fb above 0")


def forward_backward(
    evidence: np.ndarray, priors: np.ndarray, loop: float
) -> tuple[np.ndarray, np.ndarray, float]:
    """Posteriors of an HMM that stays with probability ``loop`` and else draws a state from ``priors`` [S].

    ``evidence`` [T, S] log likelihoods. Returns gamma [T, S], the expected number of times that each
    state was drawn [S] (the first window counts as a draw), and the log likelihood of the sequence.
    The transition matrix is never built: a step costs O(S). Each step is scaled to sum 1 (Rabiner 1989).
    """
    windows, states = evidence.shape
    peak = evidence.max(axis=1)
    emission = np.exp(np.maximum(evidence - peak[:, None], -600.0))  # above 0: no step can come to sum 0
    forward, scale = np.empty((windows, states)), np.empty(windows)
    draw = (1 - loop) * priors
    before = priors
    for t in range(windows):
        forward[t] = emission[t] * before
        scale[t] = forward[t].sum()
        forward[t] /= scale[t]
        before = loop * forward[t] + draw
    backward = np.ones(states)
    gamma, entries = np.empty((windows, states)), np.zeros(states)
    for t in range(windows - 1, -1, -1):
        gamma[t] = forward[t] * backward
        ahead = emission[t] * backward / scale[t]
        entries += priors * ahead if t == 0 else draw * ahead
        backward = loop * ahead + draw @ ahead
    return gamma, entries, float((np.log(scale) + peak).sum())


def smoothed(labels: np.ndarray, smoothing: float = 5.0) -> np.ndarray:
    """[T, S] probabilities from hard ``labels`` [T]: softmax of ``smoothing`` times their one-hot code."""
    code = np.exp(smoothing * (np.eye(int(labels.max()) + 1)[labels] - 1))
    return code / code.sum(axis=1, keepdims=True)

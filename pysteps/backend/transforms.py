"""The transforms that a chain is made of: centring, scaling, whitening, LDA, WCCN, length norm, CORAL."""

from __future__ import annotations

import sys
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from ..formats.errors import InputError
from .lda import fit_lda
from .stats import Floats, gather, normalising
from .words import options

Sets = Callable[[str], Floats]  # a set's vectors by its name, as the links before left them


@dataclass(frozen=True)
class Transform(ABC):
    """One link: ``words`` after its name in the description, and the ``array`` it learned.

    ``stored`` is the file the array goes to (.vec a vector, .mat a matrix), "" for none.
    """

    words: list[str]
    array: Floats
    name: ClassVar[str]
    stored: ClassVar[str] = ""

    def __post_init__(self) -> None:
        # Rounding of a product depends on how a matrix lies: a fitted one shall score as the loaded one.
        object.__setattr__(self, "array", np.ascontiguousarray(self.array, dtype=np.float64))

    @classmethod
    @abstractmethod
    def understood(cls, words: list[str]) -> Any:
        """What ``words`` say, as ``learn`` wants it; InputError for words that it does not know."""

    @classmethod
    @abstractmethod
    def learn(cls, words: list[str], x: Floats, speakers: Sequence[str], sets: Sets) -> Floats:
        """The array for ``x`` [N, D] of ``speakers`` [N]; refuses words as ``understood`` does."""

    @abstractmethod
    def apply(self, x: Floats, population: Floats | None = None) -> Floats:
        """Transform ``x`` [N, D]; ``population`` [M, D]: all vectors of the set that x is of, if known."""

    def train(self, x: Floats) -> Floats:
        """Transform the training vectors that it was learned on."""
        return self.apply(x, x)


class Center(Transform):
    """``center``: subtract the training vectors' mean (Kaldi's ivector-subtract-global-mean).

    ``center set`` subtracts the mean of the set that is scored, whichever that is; ``center adapt=SET``
    the mean of SET. Training vectors lose their own mean in both.
    """

    name = "center"
    stored = "mean.vec"

    @classmethod
    def understood(cls, words: list[str]) -> str:
        return "" if words == ["set"] else options("center", words, {}, {"adapt": ""}, also="set")[1]["adapt"]

    @classmethod
    def learn(cls, words: list[str], x: Floats, speakers: Sequence[str], sets: Sets) -> Floats:
        other = cls.understood(words)
        return (sets(other) if other else x).mean(axis=0)

    def apply(self, x: Floats, population: Floats | None = None) -> Floats:
        if x.shape[1] != len(self.array):
            raise InputError(f"vectors of {x.shape[1]} dimensions for a mean of {len(self.array)}")
        if self.words != ["set"]:
            return x - self.array
        if population is None:
            raise InputError(
                "this back end centres each set on its own mean, and there is no set here",
                mend="use a back end with `center`, not `center set`",
            )
        return x - population.mean(axis=0)

    def train(self, x: Floats) -> Floats:
        return x - x.mean(axis=0) if self.words else self.apply(x)


class Standardise(Transform):
    """``standardise``: subtract the training vectors' mean and divide by their deviation, each dimension.

    A dimension that does not vary is only centred. scale.mat [2, D]: means, deviations.
    """

    name = "standardise"
    stored = "scale.mat"

    @classmethod
    def understood(cls, words: list[str]) -> None:
        options("standardise", words, {})

    @classmethod
    def learn(cls, words: list[str], x: Floats, speakers: Sequence[str], sets: Sets) -> Floats:
        cls.understood(words)
        mean, deviation = x.mean(axis=0), x.std(axis=0)
        alike = deviation <= 1e-12 * np.maximum(np.abs(mean), 1e-300)
        return np.stack([mean, np.where(alike, 1.0, deviation)])

    def apply(self, x: Floats, population: Floats | None = None) -> Floats:
        if self.array.shape != (2, x.shape[1]):
            raise InputError(f"vectors of {x.shape[1]} dimensions for a scale of {self.array.shape}")
        return (x - self.array[0]) / self.array[1]


class Affine(Transform):
    """Multiply by a matrix [d, D] or [d, D+1] whose last column is added (Kaldi's ivector-transform)."""

    def apply(self, x: Floats, population: Floats | None = None) -> Floats:
        dim = x.shape[1]
        if self.array.shape[1] not in (dim, dim + 1):
            raise InputError(f"vectors of {dim} dimensions for a transform of {self.array.shape}")
        out = x @ self.array[:, :dim].T
        return out + self.array[:, dim] if self.array.shape[1] > dim else out


class Whiten(Affine):
    """Make the total covariance the identity; eigenvalues are floored at 1e-6 of the largest."""

    name = "whiten"
    stored = "whiten.mat"

    @classmethod
    def understood(cls, words: list[str]) -> None:
        options("whiten", words, {})

    @classmethod
    def learn(cls, words: list[str], x: Floats, speakers: Sequence[str], sets: Sets) -> Floats:
        cls.understood(words)
        mean = x.mean(axis=0)
        linear = normalising((x - mean).T @ (x - mean) / len(x))
        return np.column_stack([linear, -linear @ mean])


class Lda(Affine):
    """``lda [DIM or up-to=DIM] [total-covariance-factor=0.0]``: DIM dimensions (see fit_lda).

    Without DIM there are as many as speakers allow; ``up-to=DIM`` takes fewer where they do not allow DIM,
    and leaves vectors as they are where that is one.
    """

    name = "lda"
    stored = "transform.mat"

    @classmethod
    def understood(cls, words: list[str]) -> tuple[int | None, int | None, float]:
        dim = words[0] if words and "=" not in words[0] else None
        defaults = {"total-covariance-factor": 0.0, "up-to": 0.0}
        numbers, _ = options("lda", words if dim is None else words[1:], defaults)
        if dim is not None and not (dim.isascii() and dim.isdigit() and int(dim)):
            raise InputError(f"lda: {dim!r} is not a number of dimensions")
        factor = numbers["total-covariance-factor"]
        if not 0 <= factor <= 1:
            raise InputError(f"lda: total-covariance-factor={factor:g} is outside 0..1")
        most = numbers["up-to"] if any(word.startswith("up-to=") for word in words) else None
        if most is not None and (dim is not None or most < 2 or most % 1):
            raise InputError(f"lda: up-to={most:g}: it is a whole number from 2, in DIM's place")
        return None if dim is None else int(dim), None if most is None else int(most), factor

    @classmethod
    def learn(cls, words: list[str], x: Floats, speakers: Sequence[str], sets: Sets) -> Floats:
        dim, most, factor = cls.understood(words)
        if most is not None:
            count = len(set(speakers))
            dim = min(most, x.shape[1], count - 1)
            some = f"{dim} dimensions" if dim > 1 else "left out"
            if dim < most:
                said = f"lda up-to={most}: {some}: {count} speakers and {x.shape[1]} dimensions allow no more"
                print(said, file=sys.stderr)
            if dim < 2 <= count:  # length-norm would leave but the sign of one, and two scores in all
                return np.eye(x.shape[1], x.shape[1] + 1)
        return fit_lda(x, speakers, dim, total_covariance_factor=factor)


class Wccn(Affine):
    """``wccn [shrink=0.0]``: make the within-speaker covariance W the identity.

    W is moved to (1 - shrink) W + shrink times its mean variance first, which few speakers need
    (A. Hatch et al., "Within-class covariance normalization for SVM-based speaker recognition",
    Interspeech 2006; there a Cholesky factor, here eigenvectors: a rotation that no score sees).
    """

    name = "wccn"
    stored = "wccn.mat"

    @classmethod
    def understood(cls, words: list[str]) -> float:
        share = options("wccn", words, {"shrink": 0.0})[0]["shrink"]
        if not 0 <= share <= 1:
            raise InputError(f"wccn: shrink={share:g} is outside 0..1")
        return share

    @classmethod
    def learn(cls, words: list[str], x: Floats, speakers: Sequence[str], sets: Sets) -> Floats:
        share = cls.understood(words)
        stats = gather(x, speakers, "WCCN")
        within = stats.scatter / stats.vectors
        level = np.trace(within) / stats.dim
        return normalising((1 - share) * within + share * level * np.eye(stats.dim))


class LengthNorm(Transform):
    """``length-norm [sqrt|unit]``: to length sqrt(D), as Kaldi's ivector-normalize-length, or to 1.

    A vector of zeros stays one.
    """

    name = "length-norm"

    @classmethod
    def understood(cls, words: list[str]) -> None:
        if words not in ([], ["sqrt"], ["unit"]):
            raise InputError(f"length-norm {' '.join(words)}: known are sqrt (the default) and unit")

    @classmethod
    def learn(cls, words: list[str], x: Floats, speakers: Sequence[str], sets: Sets) -> Floats:
        cls.understood(words)
        return np.empty(0)

    def apply(self, x: Floats, population: Floats | None = None) -> Floats:
        length = np.linalg.norm(x, axis=1, keepdims=True)
        goal = 1.0 if self.words == ["unit"] else np.sqrt(x.shape[1])
        return x * (goal / np.where(length > 0, length, 1.0))


class Coral(Affine):
    """``coral adapt=SET [regularise=1.0]``: give the training vectors SET's mean and covariance.

    Correlation alignment (B. Sun, J. Feng, K. Saenko, "Return of frustratingly easy domain adaptation",
    AAAI 2016): the training vectors are whitened with their own covariance and coloured with SET's, so that
    links behind it (LDA, PLDA) are learned in SET's domain. Vectors that are scored pass as they are.
    ``regularise`` times the mean variance is added to the diagonal of both covariances.
    """

    name = "coral"
    stored = "coral.mat"

    @classmethod
    def understood(cls, words: list[str]) -> tuple[str, float]:
        numbers, texts = options("coral", words, {"regularise": 1.0}, {"adapt": ""})
        if not texts["adapt"]:
            raise InputError("coral: no set to adapt to", mend="say coral adapt=SET")
        if numbers["regularise"] < 0:
            raise InputError(f"coral: regularise={numbers['regularise']:g} is below 0")
        return texts["adapt"], numbers["regularise"]

    @classmethod
    def learn(cls, words: list[str], x: Floats, speakers: Sequence[str], sets: Sets) -> Floats:
        name, regularise = cls.understood(words)
        other = sets(name)
        linear = _root(other, regularise, 0.5) @ _root(x, regularise, -0.5)
        return np.column_stack([linear, other.mean(axis=0) - linear @ x.mean(axis=0)])

    def apply(self, x: Floats, population: Floats | None = None) -> Floats:
        return x

    def train(self, x: Floats) -> Floats:
        return super().apply(x)


def _root(x: Floats, regularise: float, power: float, floor: float = 1e-6) -> Floats:
    offsets = x - x.mean(axis=0)
    covariance = offsets.T @ offsets / len(x)
    values, vectors = np.linalg.eigh(covariance)
    if values[-1] <= 0:
        raise InputError("coral: all vectors are equal")
    values = np.maximum(values + regularise * values.mean(), floor * values[-1])
    return (vectors * values**power) @ vectors.T


TRANSFORMS: dict[str, type[Transform]] = {
    one.name: one for one in (Center, Whiten, Lda, LengthNorm, Wccn, Coral, Standardise)
}

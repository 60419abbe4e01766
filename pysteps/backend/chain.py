"""A chain of transforms, written as a recipe writes it: ``center | lda 150 | length-norm``.

Each transform is fitted on the training vectors as the ones before it left them, and is stored as one
Kaldi file (or none); chain.json says the order.
"""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np
from numpy.typing import ArrayLike

from ..formats.atomic import write_text
from ..formats.errors import InputError
from .kaldi_io import read_matrix, read_vector, write_matrix, write_vector
from .lda import fit_lda
from .stats import Floats, check_vectors, normalising

VERSION = 1


@dataclass(frozen=True)
class Transform(ABC):
    """One link: ``words`` after its name in the description, and the ``array`` it learned.

    ``stored`` is the file the array goes to (.vec a vector, .mat a matrix), "" for none.
    """

    words: list[str]
    array: Floats
    name: ClassVar[str]
    stored: ClassVar[str] = ""

    @classmethod
    @abstractmethod
    def learn(cls, words: list[str], x: Floats, speakers: Sequence[str]) -> Floats:
        """The array for ``x`` [N, D] of ``speakers`` [N]; refuses words it does not know."""

    @abstractmethod
    def apply(self, x: Floats) -> Floats:
        """Transform ``x`` [N, D]."""


class Center(Transform):
    """Subtract the training vectors' mean (Kaldi's ivector-subtract-global-mean)."""

    name = "center"
    stored = "mean.vec"

    @classmethod
    def learn(cls, words: list[str], x: Floats, speakers: Sequence[str]) -> Floats:
        _options(words, {})
        return x.mean(axis=0)

    def apply(self, x: Floats) -> Floats:
        if x.shape[1] != len(self.array):
            raise InputError(f"vectors of {x.shape[1]} dimensions for a mean of {len(self.array)}")
        return x - self.array


class Affine(Transform):
    """Multiply by a matrix [d, D] or [d, D+1] whose last column is added (Kaldi's ivector-transform)."""

    def apply(self, x: Floats) -> Floats:
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
    def learn(cls, words: list[str], x: Floats, speakers: Sequence[str]) -> Floats:
        _options(words, {})
        mean = x.mean(axis=0)
        linear = normalising((x - mean).T @ (x - mean) / len(x))
        return np.column_stack([linear, -linear @ mean])


class Lda(Affine):
    """``lda [DIM] [total-covariance-factor=0.0]``; without DIM as many as speakers allow (see fit_lda)."""

    name = "lda"
    stored = "transform.mat"

    @classmethod
    def learn(cls, words: list[str], x: Floats, speakers: Sequence[str]) -> Floats:
        dim = words[0] if words and "=" not in words[0] else None
        options = _options(words if dim is None else words[1:], {"total-covariance-factor": 0.0})
        if dim is not None and not dim.isdecimal():
            raise InputError(f"lda: {dim!r} is not a number of dimensions")
        factor = options["total-covariance-factor"]
        return fit_lda(x, speakers, None if dim is None else int(dim), total_covariance_factor=factor)


class LengthNorm(Transform):
    """``length-norm [sqrt|unit]``: to length sqrt(D), as Kaldi's ivector-normalize-length, or to 1.

    A vector of zeros stays one.
    """

    name = "length-norm"

    @classmethod
    def learn(cls, words: list[str], x: Floats, speakers: Sequence[str]) -> Floats:
        if words not in ([], ["sqrt"], ["unit"]):
            raise InputError(f"length-norm {' '.join(words)}: known are sqrt (the default) and unit")
        return np.empty(0)

    def apply(self, x: Floats) -> Floats:
        length = np.linalg.norm(x, axis=1, keepdims=True)
        goal = 1.0 if self.words == ["unit"] else np.sqrt(x.shape[1])
        return x * (goal / np.where(length > 0, length, 1.0))


TRANSFORMS: dict[str, type[Transform]] = {one.name: one for one in (Center, Whiten, Lda, LengthNorm)}


def _options(words: Sequence[str], known: dict[str, float]) -> dict[str, float]:
    options = dict(known)
    for word in words:
        key, _, value = word.partition("=")
        if key not in known:
            names = ", ".join(f"{name}=NUMBER" for name in known) or "none"
            raise InputError(f"unknown option {word!r} of a transform: known are {names}")
        try:
            options[key] = float(value)
        except ValueError as error:
            raise InputError(f"{key}: {value!r} is not a number") from error
    return options


def _known(name: str, where: object) -> type[Transform]:
    if name not in TRANSFORMS:
        raise InputError(f"unknown transform {name!r}: known are {', '.join(TRANSFORMS)}", where=where)
    return TRANSFORMS[name]


def parse(description: str) -> list[tuple[type[Transform], list[str]]]:
    """``center | lda 150`` as [(Center, []), (Lda, ["150"])]; unknown names are an InputError."""
    links = [link.split() or [""] for link in description.split("|")] if description.strip() else []
    return [(_known(link[0], f"chain {description!r}"), link[1:]) for link in links]


@dataclass(frozen=True)
class Chain:
    """Fitted transforms in order; an empty chain leaves vectors as they are."""

    steps: list[Transform]

    def apply(self, x: ArrayLike) -> Floats:
        """Transform ``x`` [N, D] to float64 [N, d]."""
        rows = check_vectors(x)
        for step in self.steps:
            rows = step.apply(rows)
        return rows

    def save(self, folder: str | Path) -> None:
        """Write each array as a Kaldi file in ``folder`` (mean.vec, transform.mat, ...), then chain.json."""
        folder = Path(folder)
        used: dict[str, int] = {}
        links = []
        for step in self.steps:
            file = step.stored
            if file:
                used[file] = used.get(file, 0) + 1
                if used[file] > 1:  # a second mean.vec becomes mean_2.vec
                    file = f"_{used[step.stored]}.".join(step.stored.split("."))
                (write_vector if file.endswith(".vec") else write_matrix)(folder / file, step.array)
            links.append({"name": step.name, "options": step.words, "file": file})
        write_text(folder / "chain.json", json.dumps({"version": VERSION, "chain": links}, indent=2) + "\n")

    @staticmethod
    def load(folder: str | Path) -> Chain:
        """Read what ``save`` wrote; a file that is missing or malformed is an InputError."""
        path = Path(folder) / "chain.json"
        try:
            rows = [
                (str(link["name"]), [str(word) for word in link["options"]], str(link["file"]))
                for link in json.loads(path.read_text(encoding="utf-8"))["chain"]
            ]
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise InputError(f"no chain of transforms: {error}", where=path) from error
        steps = []
        for name, words, file in rows:
            kind = _known(name, path)
            if Path(file).name != file:
                raise InputError(f"file {file!r} must lie beside chain.json", where=path)
            read = read_vector if file.endswith(".vec") else read_matrix
            steps.append(kind(words, read(path.with_name(file)) if file else np.empty(0)))
        return Chain(steps)


def fit(description: str, x: ArrayLike, speakers: Sequence[str]) -> Chain:
    """Fit ``description`` (see module) on ``x`` [N, D] with ``speakers`` [N]; bad input is an InputError."""
    rows = check_vectors(x)
    if len(speakers) != len(rows):
        raise InputError(f"{len(rows)} vectors but {len(speakers)} speaker labels")
    steps = []
    for kind, words in parse(description):
        step = kind(words, kind.learn(words, rows, speakers))
        rows = step.apply(rows)
        steps.append(step)
    return Chain(steps)

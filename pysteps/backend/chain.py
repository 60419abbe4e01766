"""A chain of transforms, written as a recipe writes it: ``center | lda 150 | length-norm``.

Each transform is fitted on the training vectors as the ones before it left them, and is stored as one
Kaldi file (or none); chain.json says the order.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from ..formats.atomic import write_text
from ..formats.errors import InputError
from ..formats.records import read_json
from .kaldi_io import read_matrix, read_vector, write_matrix, write_vector
from .stats import Floats, check_finite, check_vectors
from .transforms import TRANSFORMS, Transform

VERSION = 1
_ROWS = 1 << 14  # vectors at a time: memory
_EXAMPLE = 'a link is e.g. {"name": "lda", "options": ["150"], "file": "transform.mat"}'


def _known(name: str, where: object) -> type[Transform]:
    if name not in TRANSFORMS:
        raise InputError(f"unknown transform {name!r}: known are {', '.join(TRANSFORMS)}", where=where)
    return TRANSFORMS[name]


def parse(description: str) -> list[tuple[type[Transform], list[str]]]:
    """``center | lda 150`` as [(Center, []), (Lda, ["150"])]; unknown names and words are an InputError."""
    links = [link.split() or [""] for link in description.split("|")] if description.strip() else []
    found = [(_known(link[0], f"chain {description!r}"), link[1:]) for link in links]
    for kind, words in found:
        kind.understood(words)
    return found


@dataclass(frozen=True)
class Chain:
    """Fitted transforms in order; an empty chain leaves vectors as they are."""

    steps: list[Transform]

    def apply(self, x: ArrayLike, population: ArrayLike | None = None) -> Floats:
        """Transform ``x`` [N, D] to float64 [N, d].

        ``population`` [M, D]: all vectors of the set that is scored, for ``center set``, which is refused
        without it.
        """
        if population is not None and any(step.words == ["set"] for step in self.steps):
            return self._follow(check_vectors(x), check_vectors(population))
        array = np.asarray(x)
        check_finite(array)
        if not self.steps:
            return array.astype(np.float64)
        out = np.empty((0, 0))
        for begin in range(0, len(array), _ROWS):
            rows = np.asarray(array[begin : begin + _ROWS], dtype=np.float64)
            for step in self.steps:
                rows = step.apply(rows)
            if not begin:
                out = np.empty((len(array), rows.shape[1]))
            out[begin : begin + _ROWS] = rows
        return out

    def _follow(self, rows: Floats, others: Floats) -> Floats:
        # The population goes through the chain too: a link asks for its mean as the ones before left it.
        for step in self.steps:
            rows, others = step.apply(rows, others), step.apply(others, others)
        return rows

    def train(self, x: ArrayLike) -> Floats:
        """Transform the training vectors ``x`` [N, D]: CORAL moves them, and them alone."""
        rows = check_vectors(x)
        for step in self.steps:
            rows = step.train(rows)
        return rows

    def save(self, folder: str | Path, extra: Mapping[str, Any] | None = None, *, text: bool = False) -> None:
        """Write each array as a Kaldi file in ``folder`` (mean.vec, transform.mat, ...), then chain.json.

        ``extra`` keys go into chain.json too. ``text`` writes Kaldi's text form.
        """
        folder = Path(folder)
        used: dict[str, int] = {}
        links = []
        for step in self.steps:
            file = step.stored
            if file:
                used[file] = used.get(file, 0) + 1
                if used[file] > 1:  # a second mean.vec becomes mean_2.vec
                    file = f"_{used[step.stored]}.".join(step.stored.split("."))
                write = write_vector if file.endswith(".vec") else write_matrix
                write(folder / file, step.array, text=text)
            links.append({"name": step.name, "options": step.words, "file": file})
        content = {"version": VERSION, "chain": links, **(extra or {})}
        write_text(folder / "chain.json", json.dumps(content, indent=2) + "\n")

    @staticmethod
    def load(folder: str | Path) -> Chain:
        """Read what ``save`` wrote; a file that is missing or malformed is an InputError."""
        path = Path(folder) / "chain.json"
        return Chain([_link(row, path) for row in read_description(folder)["chain"]])


def read_description(folder: str | Path) -> dict[str, Any]:
    """chain.json of ``folder``, whose "chain" is a list; another version or form is an InputError."""
    path = Path(folder) / "chain.json"
    mend = "redo stage backend, or name another folder"
    content = read_json(path, "the list of the back end's transforms", mend)
    if not isinstance(content, dict) or not isinstance(content.get("chain"), list):
        raise InputError('no list "chain" in it', where=path, mend=_EXAMPLE)
    if content.get("version", VERSION) != VERSION:
        said = f"version {content['version']!r} of this file, known is {VERSION}"
        raise InputError(said, where=path, mend="redo stage backend with this Timbre")
    return content


def old_arrays(folder: Path) -> list[Path]:
    """The files in ``folder`` under names that ``save`` gives to arrays: mean.vec, mean_2.vec, ..."""
    names = [Path(kind.stored) for kind in TRANSFORMS.values() if kind.stored]
    patterns = [pattern for name in names for pattern in (name.name, f"{name.stem}_[0-9]*{name.suffix}")]
    return [path for pattern in patterns for path in folder.glob(pattern)]


def _link(row: Any, path: Path) -> Transform:
    # One entry of chain.json's chain: {"name": "lda", "options": ["150"], "file": "transform.mat"}.
    known = isinstance(row, dict) and isinstance(row.get("name"), str)
    words, file = (row.get("options", []), row.get("file", "")) if known else (None, None)
    if not (isinstance(words, list) and all(isinstance(word, str) for word in words)):
        raise InputError(f"not a transform: {row!r}", where=path, mend=_EXAMPLE)
    kind = _known(row["name"], path)
    try:
        kind.understood(words)
    except InputError as error:
        raise InputError(str(error), where=path) from error
    if not isinstance(file, str) or bool(file) != bool(kind.stored):
        raise InputError(f"{row['name']}: file {file!r}", where=path, mend=_EXAMPLE)
    if not file:
        return kind(words, np.empty(0))
    if Path(file).name != file:
        raise InputError(f"file {file!r} must lie beside chain.json", where=path)
    read = read_vector if kind.stored.endswith(".vec") else read_matrix
    return kind(words, read(path.with_name(file)))


def of_set(name: str, sets: Mapping[str, ArrayLike] | None, dim: int) -> ArrayLike:
    """The vectors [M, ``dim``] of the set that adapt=``name`` names; InputError without them."""
    if name not in (sets or {}):
        known = ", ".join(sets or {}) or "none"
        raise InputError(f"adapt={name}: no such set here, known are {known}")
    others = (sets or {})[name]
    check_dimensions(others, dim, f"adapt={name}")
    return others


def check_dimensions(x: ArrayLike, dim: int, what: str) -> None:
    """InputError unless ``x`` is [N, ``dim``], as the training vectors are."""
    shape = np.shape(x)
    if len(shape) != 2 or shape[1] != dim:
        found = f"vectors of {shape[1]} dimensions" if len(shape) == 2 else f"shape {shape}"
        said = f"{what}: {found}, where the training vectors have {dim} dimensions"
        raise InputError(said, mend="take x-vectors of one extractor for all")


def fit(
    description: str, x: ArrayLike, speakers: Sequence[str], sets: Mapping[str, ArrayLike] | None = None
) -> Chain:
    """Fit ``description`` (see module) on ``x`` [N, D] with ``speakers`` [N]; bad input is an InputError.

    ``sets``: the vectors of the sets that ``adapt=SET`` names.
    """
    rows = check_vectors(x)
    if len(speakers) != len(rows):
        raise InputError(f"{len(rows)} vectors but {len(speakers)} speaker labels")
    chain, dim = Chain([]), rows.shape[1]

    def adapted_to(name: str) -> Floats:
        others = of_set(name, sets, dim)
        return chain.apply(others, others)

    for kind, words in parse(description):
        step = kind(words, kind.learn(words, rows, speakers, adapted_to))
        rows = step.train(rows)
        chain = Chain([*chain.steps, step])
    return chain

"""A classifier of x-vectors: transforms, then logistic regression, an MLP or trees; or the network itself."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from ..formats.atomic import replacing
from ..formats.errors import InputError
from ..formats.rng import generator
from .chain import Chain, fit, read_description
from .classline import NETWORK, ClassLine, parse_class_line
from .folder import files_of
from .posteriors import Arrays, posteriors
from .stats import Floats

FILE = "classifier.safetensors"
_MEND = "redo stage backend"


@dataclass(frozen=True)
class Classifier:
    """``line`` as it was learned: its ``chain`` and ``arrays``, and the ``classes`` in C-locale order."""

    line: ClassLine
    classes: list[str]
    chain: Chain = field(default_factory=lambda: Chain([]))
    arrays: Arrays = field(default_factory=dict)

    @staticmethod
    def fit(
        line: str | ClassLine,
        vectors: ArrayLike,
        labels: Sequence[str],
        *,
        sets: Mapping[str, ArrayLike] | None = None,
        seed: int = 0,
    ) -> Classifier:
        """Learn ``line`` (see classline.py) from ``vectors`` [N, D] of two ``labels`` [N] or more.

        ``sets``: the vectors of the sets that adapt=SET names. LDA and WCCN take the labels for speakers.
        """
        from .learners import learn

        found = parse_class_line(line) if isinstance(line, str) else line
        if found.vectors == NETWORK:
            raise InputError("network is learned in stage train, not from vectors")
        classes = sorted(set(labels))
        if len(classes) < 2:
            raise InputError(f"{len(classes)} classes: a classifier needs two")
        number = {label: place for place, label in enumerate(classes)}
        chain = fit(found.transforms, vectors, labels, sets)
        y = np.array([number[label] for label in labels], np.int64)
        drawn = int(generator(seed, found.name, "classifier").integers(2**31))
        return Classifier(
            found, classes, chain, learn(found.name, found.options, chain.train(vectors), y, drawn)
        )

    def posteriors(self, x: ArrayLike) -> Floats:
        """Posteriors [N, K] of all vectors ``x`` [N, D] of a set (``center set`` takes their mean)."""
        if self.line.vectors == NETWORK:
            raise InputError("the network's posteriors are stage extract's")
        return posteriors(self.line.name, self.arrays, self.chain.apply(x, x), len(self.classes))

    def save(self, folder: str | Path) -> None:
        """Write chain.json, the transforms' arrays and classifier.safetensors, in place of what was there."""
        from safetensors.numpy import save

        folder = Path(folder)
        for path in [*files_of(folder), folder / FILE]:
            path.unlink(missing_ok=True)
        if self.arrays:
            with replacing(folder / FILE, "wb") as handle:
                handle.write(save({key: np.ascontiguousarray(one) for key, one in self.arrays.items()}))
        words = {"vectors": self.line.vectors, "name": self.line.name, "options": list(self.line.words)}
        self.chain.save(folder, {"classifier": words, "classes": self.classes})

    @staticmethod
    def load(folder: str | Path) -> Classifier:
        """Read what ``save`` wrote; what is missing or damaged is an InputError."""
        folder = Path(folder)
        content = read_description(folder)
        where, said = folder / "chain.json", content.get("classifier")
        classes = content.get("classes")
        listed = isinstance(classes, list) and all(isinstance(one, str) for one in classes)
        if not isinstance(said, dict) or not listed:
            raise InputError("is no classifier: a back end of scores, perhaps", where=where, mend=_MEND)
        chain = Chain.load(folder)
        steps = [" ".join([step.name, *step.words]) for step in chain.steps]
        own = " ".join([str(said.get("name")), *map(str, said.get("options", []))])
        text = own if own == NETWORK else " | ".join([str(said.get("vectors")), *steps, own])
        line = parse_class_line(text)
        arrays = {} if line.vectors == NETWORK else _arrays(folder / FILE)
        return Classifier(line, list(classes or []), chain, arrays)


def _arrays(path: Path) -> dict[str, Any]:
    from safetensors import SafetensorError
    from safetensors.numpy import load

    try:
        return load(path.read_bytes())
    except FileNotFoundError:
        raise InputError("the classifier is missing", where=path, mend=_MEND) from None
    except SafetensorError as error:
        raise InputError(f"the classifier is damaged: {error}", where=path, mend=_MEND) from error

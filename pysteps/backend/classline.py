"""A classifier as a recipe writes it: ``network``, or ``VECTORS | transforms | CLASSIFIER words``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ..formats.errors import InputError
from .chain import parse
from .words import options

NETWORK = "network"
VECTORS = {"xvectors": "xvector.scp", "averages": "baseline.scp"}  # a line's first word -> stage 7's table
WEIGHTS = ("balanced", "none")
_EXAMPLE = "write network, or e.g. xvectors | center | length-norm | logistic"

# Each classifier's numbers with their defaults and least values; what must be whole.
_NUMBERS: dict[str, dict[str, tuple[float, float]]] = {
    "logistic": {"c": (1.0, 1e-9), "iterations": (1000, 1)},
    "mlp": {"l2": (1e-4, 0), "rate": (1e-3, 1e-9), "iterations": (300, 1)},
    "forest": {"trees": (300, 1), "depth": (0, 0), "leaf": (1, 1)},
    "adaboost": {"trees": (100, 1), "depth": (1, 1), "rate": (1.0, 1e-9)},
    "boosting": {"trees": (100, 1), "depth": (0, 0), "leaves": (31, 2), "rate": (0.1, 1e-9), "leaf": (20, 1)},
}
_WHOLE = {"iterations", "trees", "depth", "leaf", "leaves"}
CLASSIFIERS = tuple(_NUMBERS)


def understood(name: str, words: Sequence[str]) -> dict[str, Any]:
    """What the ``words`` of the classifier ``name`` say, over its defaults; InputError for unknown ones."""
    known = _NUMBERS[name]
    texts = {"weights": WEIGHTS[0], **({"hidden": "100"} if name == "mlp" else {})}
    numbers, text = options(name, words, {key: value for key, (value, _) in known.items()}, texts)
    if text["weights"] not in WEIGHTS:
        raise InputError(f"{name}: unknown weights={text['weights']}: known are {', '.join(WEIGHTS)}")
    for key, (_, least) in known.items():
        if numbers[key] < least or (key in _WHOLE and numbers[key] % 1):
            whole = "whole number" if key in _WHOLE else "number"
            raise InputError(f"{name}: {key}={numbers[key]:g} is no {whole} from {least:g} on")
    found: dict[str, Any] = {key: int(one) if key in _WHOLE else one for key, one in numbers.items()}
    if "hidden" in text:
        sizes = text.pop("hidden").split(",")
        if not all(size.isascii() and size.isdigit() and int(size) for size in sizes):
            raise InputError(f"mlp: hidden={','.join(sizes)}: sizes of layers are wanted, e.g. 100 or 64,32")
        found["hidden"] = [int(size) for size in sizes]
    return found | text


@dataclass(frozen=True)
class ClassLine:
    """``vectors``: network, xvectors, averages; ``transforms`` for chain.fit; ``name`` and its ``words``."""

    vectors: str
    transforms: str = ""
    name: str = NETWORK
    words: tuple[str, ...] = ()

    @property
    def options(self) -> Mapping[str, Any]:
        """What the classifier's words say."""
        return understood(self.name, self.words)

    @property
    def sets(self) -> list[str]:
        """The sets that ``adapt=SET`` names, each once."""
        words = [word for _, link in parse(self.transforms) for word in link]
        return list(dict.fromkeys(word.partition("=")[2] for word in words if word.startswith("adapt=")))


def parse_class_line(line: str) -> ClassLine:
    """Split and check ``line``; what it does not know is an InputError with the known words."""
    where = f"classifier {line!r}"
    links = [link.split() or [""] for link in line.split("|")]
    if links == [[NETWORK]]:
        return ClassLine(NETWORK)
    first, *middle = links
    if first[0] not in VECTORS or len(first) > 1 or not middle:
        said = f"the first word says of what: known are {', '.join([NETWORK, *VECTORS])}"
        raise InputError(said, where=where, mend=_EXAMPLE)
    *transforms, (name, *words) = middle
    if name not in CLASSIFIERS:
        raise InputError(
            f"no classifier at its end: known are {', '.join(CLASSIFIERS)}", where=where, mend=_EXAMPLE
        )
    chain = " | ".join(" ".join(link) for link in transforms)
    parse(chain)
    understood(name, words)
    return ClassLine(first[0], chain, name, tuple(words))

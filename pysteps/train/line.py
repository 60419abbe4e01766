"""A loss as a conf file writes it, one line: ``aam subcentres=3 top=5 + 0.003 center``. Imports no torch.

Terms stand between plus signs, each with its weight in front (1 if none) and its words behind. ``scale`` and
``margin`` are options of training: the margin has a schedule. A distance that a metric loss keeps between
speakers is a word, as it stands still.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any, NamedTuple

from ..formats.errors import InputError
from ..models.registry import Registry

DISTANCES = ("cosine", "l2")


def _known(name: str, value: str, known: Sequence[str]) -> None:
    if value not in known:
        raise InputError(f"unknown {name}={value}: known are {', '.join(known)}")


def _least(words: Any, **least: float) -> None:
    for name, low in least.items():
        if not getattr(words, name) >= low:  # NaN is refused too
            raise InputError(f"{name}={getattr(words, name):g}: at least {low:g}")


@dataclass(frozen=True)
class NoWords:
    """Nothing can be set."""


@dataclass(frozen=True)
class ASoftmaxWords:
    """times: what the angle to the own speaker is multiplied with (the paper's m)."""

    times: int = 4

    def __post_init__(self) -> None:
        _least(self, times=1)


@dataclass(frozen=True)
class AamWords:
    """subcentres: of each speaker, the nearest one counts; top: so many nearest other speakers come nearer by
    ``penalty`` radians, which grows as the margin does."""

    subcentres: int = 1
    top: int = 0
    penalty: float = 0.06

    def __post_init__(self) -> None:
        _least(self, subcentres=1, top=0, penalty=0)


@dataclass(frozen=True)
class SphereFace2Words:
    """type: C (margin on the cosine) or A (on the angle); share: of the own speaker in the loss (the paper's
    lambda); power: bends the scale of cosines (its t)."""

    type: str = "C"
    share: float = 0.7
    power: float = 3.0

    def __post_init__(self) -> None:
        _known("type", self.type, ("A", "C"))
        _least(self, power=1)
        if not 0 < self.share < 1:
            raise InputError(f"share={self.share:g}: between 0 and 1")


@dataclass(frozen=True)
class CenterWords:
    """rate: share of the way to its chunks' mean that a centre goes in a step (the paper's alpha)."""

    rate: float = 0.5

    def __post_init__(self) -> None:
        if not 0 < self.rate <= 1:
            raise InputError(f"rate={self.rate:g}: above 0, at most 1")


@dataclass(frozen=True)
class RingWords:
    """radius: length of x-vectors to begin with; 0 is the root of their size, what xvector_norm gives."""

    radius: float = 0.0

    def __post_init__(self) -> None:
        _least(self, radius=0)


@dataclass(frozen=True)
class TripletWords:
    """distance: cosine (1 - cosine) or l2 (of x-vectors of length 1); margin: by which another speaker is to
    be farther than the own one; mining: random, hard or semihard."""

    distance: str = "cosine"
    margin: float = 0.2
    mining: str = "semihard"

    def __post_init__(self) -> None:
        _known("distance", self.distance, DISTANCES)
        _known("mining", self.mining, ("random", "hard", "semihard"))
        _least(self, margin=0)


@dataclass(frozen=True)
class ContrastiveWords:
    """distance: as of triplet; margin: distance from which on two speakers are far enough apart; mining: all
    other speakers' chunks are pushed away, or hard, the nearest one alone."""

    distance: str = "l2"
    margin: float = 1.0
    mining: str = "all"

    def __post_init__(self) -> None:
        _known("distance", self.distance, DISTANCES)
        _known("mining", self.mining, ("all", "hard"))
        _least(self, margin=0)


@dataclass(frozen=True)
class ProtoWords:
    """scale: what the squared distances are multiplied with (metric scaling: Oreshkin et al., NeurIPS 2018).

    Batch norm gives an x-vector of D numbers a length near sqrt(D), so squared distances near 2 D: at 1 the
    cross-entropy of an untrained network is in the hundreds, and few of its pairs have any slope.
    """

    scale: float = 1.0

    def __post_init__(self) -> None:
        _least(self, scale=1e-6)


@dataclass(frozen=True)
class Ge2eWords:
    """method: softmax or contrast."""

    method: str = "softmax"

    def __post_init__(self) -> None:
        _known("method", self.method, ("softmax", "contrast"))


class Kind(NamedTuple):
    """Words of a loss and its class as ``module:Class``. pairs: it compares the chunks of a batch, which must
    be speakers by some chunks; beside: it tells no speakers apart, so it stands beside a loss that does."""

    words: type
    place: str
    pairs: bool = False
    beside: bool = False


# Built as Class(xvector_dim, speakers, TrainOptions, words); see losses.py for what it is then.
LOSSES: Registry[Kind] = Registry(
    "loss",
    {
        "aam": Kind(AamWords, "margins:AamHead"),
        "am": Kind(NoWords, "margins:AmHead"),
        "aproto": Kind(NoWords, "metric:AngularPrototypicalHead", pairs=True),
        "asoftmax": Kind(ASoftmaxWords, "margins:ASoftmaxHead"),
        "center": Kind(CenterWords, "compact:CenterLoss", beside=True),
        "contrastive": Kind(ContrastiveWords, "metric:ContrastiveHead", pairs=True),
        "ge2e": Kind(Ge2eWords, "metric:Ge2eHead", pairs=True),
        "proto": Kind(ProtoWords, "metric:PrototypicalHead", pairs=True),
        "ring": Kind(RingWords, "compact:RingLoss", beside=True),
        "softmax": Kind(NoWords, "margins:SoftmaxHead"),
        "sphereface2": Kind(SphereFace2Words, "margins:SphereFace2Head"),
        "triplet": Kind(TripletWords, "metric:TripletHead", pairs=True),
    },
)


@dataclass(frozen=True)
class Term:
    """One loss of a line: its weight in the sum, its name and its words."""

    weight: float
    name: str
    words: Any

    @property
    def kind(self) -> Kind:
        """Its row of LOSSES."""
        return LOSSES[self.name]


def parse_loss(line: str) -> list[Term]:
    """The terms of ``line``; InputError says what it does not know, with what is known."""
    parts: list[list[str]] = [[]]
    for word in line.split():
        if word == "+":
            parts.append([])
        else:
            parts[-1].append(word)
    try:
        terms = [_term(part) for part in parts]
        if terms[0].kind.beside:
            mend = f"begin with another one: softmax + 0.01 {terms[0].name}"
            raise InputError(f"{terms[0].name} tells no speakers apart by itself", mend=mend)
    except InputError as error:
        raise InputError(str(error), where=f"loss {line!r}") from None
    return terms


def check_loss(line: str, batch_size: int, utterances_per_speaker: int) -> None:
    """InputError if ``line`` is no loss, or needs other batches than these."""
    pairs = [term.name for term in parse_loss(line) if term.kind.pairs]
    each = utterances_per_speaker
    if each < 0 or (each < 2 and pairs):
        said = f"{' and '.join(pairs)} needs batches of some chunks a speaker" if pairs else "it is below 0"
        mend = "--train.utterances_per_speaker 2 or more"
        raise InputError(f"utterances_per_speaker is {each}: {said}", mend=mend)
    if each and batch_size // each < 2:
        said = f"batch_size {batch_size} holds no two speakers of {each} chunks"
        raise InputError(said, mend=f"--train.batch_size {2 * each} or more")


def judges_alone(line: str) -> bool:
    """Whether the loss has a part that judges a chunk by itself, as held-out chunks are judged."""
    return any(not (term.kind.pairs or term.kind.beside) for term in parse_loss(line))


def _term(words: Sequence[str]) -> Term:
    weight, rest = 1.0, list(words)
    if rest:
        try:
            weight = float(rest[0])
            rest = rest[1:]
        except ValueError:
            pass
    if not rest:
        raise InputError("a term without a loss", mend="[WEIGHT] LOSS [WORD=VALUE ...] [+ ...]")
    if not 0 < weight < float("inf"):
        raise InputError(f"{rest[0]}: the weight {weight:g} is not above 0")
    name, *given = rest
    kind = LOSSES[name]
    known = {field.name: str(field.type) for field in fields(kind.words)}
    values: dict[str, Any] = {}
    for word in given:
        key, equals, value = word.partition("=")
        if key not in known or not equals:
            raise InputError(f"{name} has no word {word}", mend=f"its words: {', '.join(known) or 'none'}")
        if key in values:
            raise InputError(f"{name}: {key} is given twice")
        try:
            values[key] = {"int": int, "float": float, "str": str}[known[key]](value)
        except ValueError:
            raise InputError(f"{name}: {word} is no {known[key]}") from None
    try:
        return Term(weight, name, kind.words(**values))
    except InputError as error:
        raise InputError(f"{name}: {error}") from None

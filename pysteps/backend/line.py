"""A back end as a recipe writes it, one line: ``transforms | SCORER [| score normalisation]``."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ..formats.errors import InputError
from .chain import parse
from .plda import NORMALISATIONS
from .scorenorm import SIDES, ScoreNorm
from .words import options

SCORERS = ("cosine", "plda")
METHODS = ("kaldi", "coral+")
ENROL = ("book", "average")


@dataclass(frozen=True)
class PldaWords:
    """``plda [iterations=10] [rank=R] [shrink=0] [smoothing=0] [adapt=SET ...] [normalise=] [enrol=]``.

    rank: of simplified PLDA, 0 for the two-covariance model. shrink, smoothing: see Plda.shrunk and
    Plda.smoothed, in this order. adapt: a set of the target domain, by ``method`` kaldi (within=0.3
    between=0.7 mean-diff=1.0) or coral+ (within=0.8 between=0.8). normalise: as Plda.project. enrol: a
    model of n utterances is scored as the mean of n (book) or as if it were one utterance (average).
    """

    iterations: int = 10
    rank: int = 0
    shrink: float = 0.0
    smoothing: float = 0.0
    adapt: str = ""
    method: str = "kaldi"
    within: float = 0.3
    between: float = 0.7
    mean_diff: float = 1.0
    normalise: str = "model"
    enrol: str = "book"

    @classmethod
    def parse(cls, words: Sequence[str]) -> PldaWords:
        """From the words behind ``plda``; what it does not know is an InputError."""
        shares = (0.8, 0.8) if "method=coral+" in words else (0.3, 0.7)
        defaults = {"iterations": 10, "rank": 0, "shrink": 0, "smoothing": 0}
        adaptation = {"within": shares[0], "between": shares[1], "mean-diff": 1}
        texts = {"adapt": "", "method": "kaldi", "normalise": "model", "enrol": "book"}
        number, text = options("plda", words, {**defaults, **adaptation}, texts)
        for key, known in (("method", METHODS), ("normalise", NORMALISATIONS), ("enrol", ENROL)):
            if text[key] not in known:
                raise InputError(f"plda: unknown {key}={text[key]}: known are {', '.join(known)}")
        for key in ("iterations", "rank"):
            if number[key] < 0 or number[key] % 1:
                raise InputError(f"plda: {key}={number[key]:g} is not a whole number from 0")
        if not text["adapt"] and any(word.split("=")[0] in (*adaptation, "method") for word in words):
            raise InputError("plda: words of adaptation but no adapt=SET")
        if not 0 <= number["shrink"] <= 1 or number["smoothing"] < 0:
            raise InputError("plda: shrink is a share from 0 to 1, smoothing not below 0")
        return cls(
            iterations=int(number["iterations"]),
            rank=int(number["rank"]),
            shrink=number["shrink"],
            smoothing=number["smoothing"],
            within=number["within"],
            between=number["between"],
            mean_diff=number["mean-diff"],
            **text,
        )


@dataclass(frozen=True)
class Line:
    """``transforms`` as chain.fit takes them, the scorer with its ``words``, and the normalisation."""

    transforms: str
    scorer: str
    words: list[str]
    norm: ScoreNorm | None = None

    @property
    def plda(self) -> PldaWords:
        """The words of a PLDA."""
        return PldaWords.parse(self.words)

    @property
    def sets(self) -> list[str]:
        """The sets that ``adapt=SET`` names, each once."""
        links = [words for _, words in parse(self.transforms)] + [self.words]
        found = [word.partition("=")[2] for words in links for word in words if word.startswith("adapt=")]
        return list(dict.fromkeys(found))


def parse_line(line: str) -> Line:
    """Split and check ``line``; a name or word that it does not know is an InputError with the known ones."""
    links = [link.split() or [""] for link in line.split("|")]
    places = [place for place, link in enumerate(links) if link[0] in SCORERS]
    if len(places) != 1:
        said = "no scorer" if not places else f"{len(places)} scorers"
        raise InputError(
            f"{said}: known are {', '.join(SCORERS)}",
            where=f"back end {line!r}",
            mend="write transforms | cosine, or transforms | plda, then perhaps a score normalisation",
        )
    (place,) = places
    scorer, *words = links[place]
    behind = links[place + 1 :]
    if len(behind) > 1 or (behind and behind[0][0] not in SIDES):
        said = f"behind the scorer stands one score normalisation: known are {', '.join(SIDES)}"
        raise InputError(said, where=f"back end {line!r}")
    if scorer == "cosine" and words:
        raise InputError(f"unknown option {words[0]!r} of cosine: known are none", where=f"back end {line!r}")
    transforms = " | ".join(" ".join(link) for link in links[:place])
    parse(transforms)
    found = Line(transforms, scorer, words, ScoreNorm.parse(behind[0]) if behind else None)
    if scorer == "plda":
        PldaWords.parse(words)
    return found

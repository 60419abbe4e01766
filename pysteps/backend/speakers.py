"""What a back end's line wants of the number of training speakers: known before there is any x-vector."""

from __future__ import annotations

from .line import parse_line


def fitting(line: str, speakers: int) -> tuple[list[str], str]:
    """The links of ``line`` that so many training speakers do not allow, and the line that they do allow.

    LDA and simplified PLDA have a dimension less than there are speakers, a cohort of speakers' means has
    one each. Stage backend refuses the same, and what else the vectors do not allow (see lda.py, plda.py).
    """
    norm = parse_line(line).norm
    limits: dict[str, tuple[int, tuple[str, ...]]] = {
        "lda": (speakers - 1, ("",)),
        "plda": (speakers - 1, ("rank=",)),
    }
    if norm is not None and norm.cohort == "speakers":
        limits[norm.kind] = speakers, ("", "top=", "size=")
    wrong, right = [], []
    for name, *words in (link.split() for link in line.split("|")):
        most, keys = limits.get(name, (0, ()))
        new = [next((f"{key}{most}" for key in keys if _number(word, key) > most), word) for word in words]
        wrong += [" ".join([name, *words])] if new != words else []
        if name != "lda" or most > 1 or new == words:  # one dimension is worse than no LDA: see Lda.learn
            right.append(" ".join([name, *new]))
    return wrong, " | ".join(right)


def shortened(line: str, speakers: int) -> str:
    """Of a link ``lda up-to=DIM`` that will have fewer: that link, else empty."""
    for words in (link.split() for link in line.split("|")):
        if words[0] == "lda" and any(_number(word, "up-to=") > speakers - 1 for word in words):
            return " ".join(words)
    return ""


def _number(word: str, key: str) -> float:
    # Of a word KEYNUMBER; others are 0.
    try:
        return float(word.removeprefix(key)) if word.startswith(key) else 0.0
    except ValueError:
        return 0.0

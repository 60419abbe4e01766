"""The ``key=value`` words behind a link's name in a back end's line."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from ..formats.errors import InputError


def options(
    link: str,
    words: Sequence[str],
    numbers: Mapping[str, float],
    texts: Mapping[str, str] | None = None,
    *,
    also: str = "",
) -> tuple[dict[str, float], dict[str, str]]:
    """A link's ``key=value`` words over the defaults of ``numbers`` and ``texts``; others are refused.

    ``also``: a further word to name among the known ones.
    """
    number, text = dict(numbers), dict(texts or {})
    for word in words:
        key, _, value = word.partition("=")
        if key in text and value:
            text[key] = value
            continue
        if key not in number:
            names = [*([also] if also else []), *(f"{name}=NUMBER" for name in number)]
            names += [f"{name}=..." for name in text]
            said = f"unknown option {word!r}: known are {', '.join(names) or 'none'}"
            raise InputError(said, where=link)
        try:
            number[key] = float(value)
        except ValueError as error:
            raise InputError(f"{key}: {value!r} is not a number", where=link) from error
        if not np.isfinite(number[key]):
            raise InputError(f"{key}: {value!r} is not finite", where=link)
    return number, text

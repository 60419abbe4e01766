"""Speakers for training, development and evaluation, where a corpus's owners did not split them."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from ..formats.errors import InputError
from ..formats.rng import generator


def held_out(
    names: Iterable[str],
    shares: dict[str, float],
    seed: int,
    group: Callable[[str], object] | None = None,
    least: int = 2,
) -> dict[str, str]:
    """Name to the set that it is held out for; whoever is not in it is for training.

    ``shares``: set to its share of the names, ``{"dev": 0.1, "eval": 0.2}``; a seeded draw that keeps the
    shares of every ``group`` (gender) as far as whole names go. A set gets ``least`` names or more. A draw
    depends on the name alone, so a name that is new moves few others. InputError where training would get
    none.
    """
    order = sorted(names, key=lambda name: (generator(seed, name, "split").random(), name))
    groups: dict[object, list[str]] = {}
    for name in order:
        groups.setdefault(None if group is None else group(name), []).append(name)
    # Everybody's place in his own group, as a share of it: sorted by that, every beginning is like the whole.
    places = [
        ((rank + 0.5) / len(members), name)
        for members in groups.values()
        for rank, name in enumerate(members)
    ]
    ranked = [name for _, name in sorted(places)]
    counts = {held: max(least, round(share * len(ranked))) for held, share in shares.items()}
    if sum(counts.values()) >= len(ranked):
        wanted = ", ".join(f"{count} for {held}" for held, count in counts.items())
        said = f"{len(ranked)} speakers are too few: {wanted}, none is left for training"
        raise InputError(said, mend="get the rest of the corpus")
    found, at = {}, 0
    for held, count in counts.items():
        found.update(dict.fromkeys(ranked[at : at + count], held))
        at += count
    return found

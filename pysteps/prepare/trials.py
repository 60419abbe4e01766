"""Trial lists by rule, for corpora that come with none."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from itertools import combinations

from ..formats.errors import InputError
from ..formats.rng import generator
from ..formats.tables import invert

Trial = tuple[str, str, bool]  # enrol, test, whether it is a target trial
RULES = ("all", "balanced", "gender", "session")
_EACH = 50
_PAIRED = 300  # of a speaker with more utterances, pairs are made of so many


def all_pairs(utt2spk: Mapping[str, str], group: Callable[[str], object] | None = None) -> Iterator[Trial]:
    """Every unordered pair of utterances once, sorted; with ``group`` those that it puts together only
    (of a gender: ``group=lambda utt: gender[utt]``)."""
    for one, two in combinations(sorted(utt2spk), 2):
        if group is None or group(one) == group(two):
            yield one, two, utt2spk[one] == utt2spk[two]


def drawn_utterances(utt2spk: Mapping[str, str], most: int, seed: int) -> dict[str, str]:
    """At most ``most`` of the utterances, drawn so that speakers share them evenly."""
    ranked = []
    for speaker, utts in invert(utt2spk).items():
        names = utts.split()
        order = generator(seed, speaker, "trials").permutation(len(names))
        ranked += [(int(rank), utt) for rank, utt in zip(order, names, strict=True)]
    return {utt: utt2spk[utt] for _, utt in sorted(ranked)[:most]}


def balanced(
    utt2spk: Mapping[str, str],
    each: int,
    seed: int,
    group: Callable[[str], object] | None = None,
    apart: Callable[[str], object] | None = None,
) -> list[Trial]:
    """``each`` target and ``each`` non-target trials a speaker, sorted; no pair twice, in either order.

    ``group``: both sides must share it (gender). ``apart``: sides of a target trial must differ in it
    (session). A speaker gets fewer where there are no more. InputError where one kind comes out empty.
    """
    by_speaker = {speaker: utts.split() for speaker, utts in invert(utt2spk).items()}
    everyone = sorted(utt2spk)
    found: dict[tuple[str, str], bool] = {}
    for speaker, utts in by_speaker.items():
        rng = generator(seed, speaker, "trials")
        few = (
            utts
            if len(utts) <= _PAIRED
            else [utts[at] for at in sorted(rng.permutation(len(utts))[:_PAIRED])]
        )
        same = [
            pair
            for pair in combinations(few, 2)
            if (group is None or group(pair[0]) == group(pair[1]))
            and (apart is None or apart(pair[0]) != apart(pair[1]))
        ]
        for index in rng.permutation(len(same))[:each]:
            found[same[index]] = True
        made = 0
        for _ in range(20 * each):  # a speaker alone in his group finds nobody
            if made == each:
                break
            one, two = utts[int(rng.integers(len(utts)))], everyone[int(rng.integers(len(everyone)))]
            pair = (min(one, two), max(one, two))
            if utt2spk[two] == speaker or pair in found or (group is not None and group(one) != group(two)):
                continue
            found[pair] = False
            made += 1
    kinds = set(found.values())
    if len(kinds) < 2:
        missing = "target" if True not in kinds else "nontarget"
        raise InputError(f"no {missing} trials can be made of {len(by_speaker)} speakers")
    return [(*pair, found[pair]) for pair in sorted(found)]


def by_rule(
    utt2spk: Mapping[str, str],
    rule: str,
    labels: Mapping[str, str] | None = None,
    each: int | None = None,
    most: int = 1000,
    seed: int = 0,
) -> list[Trial]:
    """Trials by one of RULES; InputError where one kind of them comes out empty.

    all: every pair of ``most`` utterances, drawn so that speakers share them evenly. balanced: ``each`` (50)
    target and as many nontarget trials a speaker. gender: as all, or with ``each`` as balanced, within what
    ``labels`` puts together. session: the same, but that target trials cross what ``labels`` says.
    """
    known = labels or {}
    group = known.__getitem__ if rule == "gender" else None
    apart = known.__getitem__ if rule == "session" else None
    if rule == "balanced" or each is not None:
        return balanced(utt2spk, each or _EACH, seed, group, apart)
    pairs = all_pairs(drawn_utterances(utt2spk, most, seed), group)
    found = [pair for pair in pairs if apart is None or not pair[2] or apart(pair[0]) != apart(pair[1])]
    if len({target for *_, target in found}) < 2:
        kind = "nontarget" if found and found[0][2] else "target"
        mend = "it takes two speakers, one of them with two utterances (of two sessions)"
        raise InputError(f"no {kind} trials can be made of {len(set(utt2spk.values()))} speakers", mend=mend)
    return found

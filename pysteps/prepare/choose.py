"""Which utterances of a set: by list, by number, by share of its seconds, by length; seeded, by name."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

from ..formats.datadir import DataSet
from ..formats.errors import InputError
from ..formats.rng import generator
from ..formats.tables import invert, read_lines
from .split import held_out

Utterances = Mapping[str, str]  # utterance to speaker


def order_of(names: Iterable[str], seed: int, purpose: str) -> list[str]:
    """``names`` in a seeded order in which each one's place depends on its own name alone."""
    return sorted(names, key=lambda name: (generator(seed, name, purpose).random(), name))


def speakers(utt2spk: Utterances, count: int, seed: int) -> dict[str, str]:
    """The utterances of ``count`` speakers."""
    everybody = set(utt2spk.values())
    _refuse_more(count, len(everybody), "speakers")
    chosen = set(order_of(everybody, seed, "subset")[:count])
    return {utt: speaker for utt, speaker in utt2spk.items() if speaker in chosen}


def utterances(utt2spk: Utterances, count: int, seed: int) -> dict[str, str]:
    """``count`` utterances."""
    _refuse_more(count, len(utt2spk), "utterances")
    return {utt: utt2spk[utt] for utt in order_of(utt2spk, seed, "subset")[:count]}


def per_speaker(utt2spk: Utterances, count: int, seed: int) -> dict[str, str]:
    """At most ``count`` utterances of each speaker."""
    found = (order_of(utts.split(), seed, "subset")[:count] for utts in invert(utt2spk).values())
    return {utt: utt2spk[utt] for utts in found for utt in utts}


def seconds_of(
    utt2spk: Utterances, durations: Mapping[str, float], seconds: float, seed: int
) -> dict[str, str]:
    """Utterances in seeded order until they last ``seconds``; the last one may go beyond."""
    chosen, total = {}, 0.0
    for utt in order_of(utt2spk, seed, "subset"):
        if total >= seconds:
            break
        chosen[utt] = utt2spk[utt]
        total += durations[utt]
    return chosen


def by_length(
    utt2spk: Utterances, durations: Mapping[str, float], shortest: float, longest: float
) -> dict[str, str]:
    """Utterances of ``shortest`` to ``longest`` seconds."""
    return {utt: speaker for utt, speaker in utt2spk.items() if shortest <= durations[utt] <= longest}


def by_count(utt2spk: Utterances, fewest: int) -> dict[str, str]:
    """The utterances of speakers who have ``fewest`` of them or more."""
    counts: dict[str, int] = {}
    for speaker in utt2spk.values():
        counts[speaker] = counts.get(speaker, 0) + 1
    return {utt: speaker for utt, speaker in utt2spk.items() if counts[speaker] >= fewest}


def by_list(utt2spk: Utterances, path: Path, whose: str) -> dict[str, str]:
    """The utterances, or those of the speakers (``whose``), that stand first in the lines of ``path``.

    InputError for a name that the set does not have.
    """
    wanted = {key: line for line, key, _ in read_lines(path)}
    known = set(utt2spk) if whose == "utterances" else set(utt2spk.values())
    for name, line in wanted.items():
        if name not in known:
            raise InputError(f"{name} is none of the set's {whose}", where=path, line=line, mend="remove it")
    chosen = ((utt, speaker) for utt, speaker in utt2spk.items())
    return {utt: who for utt, who in chosen if (utt if whose == "utterances" else who) in wanted}


def split_speakers(
    utt2spk: Utterances,
    shares: dict[str, float],
    seed: int,
    genders: Mapping[str, str] | None = None,
    first: str = "train",
    least: int = 2,
) -> dict[str, str]:
    """Speaker to set: ``shares`` of all speakers for their sets, the others for ``first``; none is in two.

    A seeded draw that keeps the share of genders. Speakers of one utterance make no target trial: they stay
    in ``first`` as long as there are others. A set gets ``least`` speakers or more. See split.held_out.
    """
    counts: dict[str, int] = {}
    for speaker in utt2spk.values():
        counts[speaker] = counts.get(speaker, 0) + 1
    able = [speaker for speaker, count in counts.items() if count > 1]
    wanted = sum(max(least, round(share * len(counts))) for share in shares.values())
    pool = able if len(able) > wanted else list(counts)
    scaled = {name: share * len(counts) / len(pool) for name, share in shares.items()}
    known = genders or {}
    held = held_out(pool, scaled, seed, lambda speaker: known.get(speaker, ""), least)
    return {speaker: held.get(speaker, first) for speaker in counts}


def durations_of(data: DataSet, path: Path | None = None) -> dict[str, float]:
    """Seconds of every utterance: of ``path`` (utt2dur), or of the set's utt2dur, segments or reco2dur."""
    utt2spk = data.utt2spk()
    found: dict[str, float] = {}
    if path is not None or data.has("utt2dur"):
        found = _seconds(path or data.folder / "utt2dur")
    else:
        whole = _seconds(data.folder / "reco2dur") if data.has("reco2dur") else {}
        segments = data.segments()
        for utt in utt2spk:
            recording, start, end = segments.get(utt, (utt, 0.0, -1.0))
            if end == -1 and recording in whole:
                end = whole[recording]
            if end > start:
                found[utt] = end - start
    missing = [utt for utt in utt2spk if utt not in found]
    if missing:
        raise InputError(
            f"how long {len(missing)} of {len(utt2spk)} utterances are is not known, the first: {missing[0]}",
            where=path or data.folder,
            mend="--durations FILE, e.g. data/SET/audio/16k/utt2dur, which stage audio writes",
        )
    return found


def _seconds(path: Path) -> dict[str, float]:
    found = {}
    for line, utt, value in read_lines(path):
        try:
            found[utt] = float(value)
        except ValueError:
            raise InputError(f"{value!r} are no seconds", where=path, line=line) from None
    return found


def _refuse_more(count: int, most: int, what: str) -> None:
    if not 0 < count <= most:
        raise InputError(f"{count} of {most} {what} cannot be chosen", mend=f"1 to {most} can")

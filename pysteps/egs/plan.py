"""Which chunk goes where: a seeded plan from the lists alone, before any feature is read."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ..formats.errors import InputError
from ..formats.rng import generator


@dataclass(frozen=True, slots=True)
class Source:
    """One utterance that chunks can be cut from. ``of`` is the clean utterance (itself, or a copy's).

    ``label``: what it is trained to be told as, where that is not its speaker.
    """

    data: str
    utt: str
    of: str
    speaker: str
    frames: int
    label: str = ""

    @property
    def class_name(self) -> str:
        """Its label, else its speaker."""
        return self.label or self.speaker


@dataclass(frozen=True)
class ArchivePlan:
    """An archive: chunk ``i`` is ``frames`` voiced frames of source ``source[i]`` from ``start[i]`` on."""

    name: str
    frames: int
    source: np.ndarray
    start: np.ndarray


def filtered(sources: Sequence[Source], shortest: int, fewest: int) -> tuple[list[Source], dict[str, str]]:
    """Kaldi's filters before egs (its egs/voxceleb/v2/run.sh): what is kept, and why each other is not.

    First utterances of less than ``shortest`` voiced frames go, then speakers with fewer than ``fewest``
    utterances left. Clean utterances are judged and counted; copies go with theirs (one whose clean
    utterance is not among ``sources`` is judged by itself). The second part: utterance to reason.
    """
    frames = {source.utt: source.frames for source in sources if source.utt == source.of}
    # At another speed a copy is another speaker's; it is counted with its clean utterance all the same.
    speakers = {source.utt: source.speaker for source in sources if source.utt == source.of}
    short = {source.of for source in sources if frames.setdefault(source.of, source.frames) < shortest}
    counts: dict[str, int] = {}
    for source in sources:
        if source.utt == source.of and source.of not in short:
            counts[source.speaker] = counts.get(source.speaker, 0) + 1
    kept, gone = [], {}
    for source in sources:
        speaker = speakers.get(source.of, source.speaker)
        count = counts.get(speaker, 0)
        if source.of in short:
            gone[source.utt] = f"{frames[source.of]} voiced frames, fewer than {shortest}"
        elif count < fewest:
            gone[source.utt] = f"{speaker} has {count} utterances, fewer than {fewest}"
        else:
            kept.append(source)
    if gone and not kept:
        mend = "lower --egs.min_utterance_seconds or --egs.min_speaker_utterances"
        raise InputError(f"the filters leave none of {len(sources)} utterances", mend=mend)
    return kept, gone


def hold_out(sources: Sequence[Source], share: float, seed: int) -> set[str]:
    """Clean utterances that are held out of training together with all their copies.

    They are spread over the speakers: ``share`` of the utterances, at most one a speaker, none of a
    speaker with fewer than three.
    """
    clean: dict[str, list[str]] = {}
    for source in sources:
        if source.utt == source.of:
            clean.setdefault(source.speaker, []).append(source.utt)
    able = sorted(speaker for speaker, utts in clean.items() if len(utts) >= 3)
    wanted = min(len(able), max(1, round(share * sum(map(len, clean.values()))))) if share > 0 else 0
    rng = generator(seed, "speakers", "held-out")
    chosen = [able[index] for index in sorted(rng.permutation(len(able))[:wanted])]
    return {sorted(clean[s])[generator(seed, s, "held-out").integers(len(clean[s]))] for s in chosen}


def hold_out_speakers(sources: Sequence[Source], share: float, seed: int) -> set[str]:
    """Clean utterances of the speakers that are held out of training, with all their copies; also those that
    only copies are left of (VAD may drop one and keep it when it is slower).

    ``share`` of each class's speakers, at least one, drawn class by class; a speaker of several classes
    counts in the one that he has most utterances of. Whoever has the last of a class stays.
    """
    clean = [source for source in sources if source.utt == source.of]
    spoken: dict[str, Counter[str]] = {}
    for source in clean:
        spoken.setdefault(source.speaker, Counter())[source.class_name] += 1
    left: Counter[str] = Counter()
    home: dict[str, list[str]] = {}
    for speaker in sorted(spoken):
        left.update(spoken[speaker])
        most = min(spoken[speaker], key=lambda name: (-spoken[speaker][name], name))
        home.setdefault(most, []).append(speaker)
    chosen: set[str] = set()
    for name in sorted(home) if share > 0 else ():
        wanted, taken = max(1, round(share * len(home[name]))), 0
        for index in generator(seed, name, "held-out speakers").permutation(len(home[name])):
            theirs = spoken[home[name][index]]
            if taken < wanted and all(left[one] > count for one, count in theirs.items()):
                left.subtract(theirs)
                chosen.add(home[name][index])
                taken += 1
    gone = {source.utt for source in clean if source.speaker in chosen}
    return gone | {source.of for source in sources if source.speaker in chosen}


def balanced(sources: Sequence[Source], needed: int, seed: int) -> tuple[list[Source], dict[str, str]]:
    """As many clean utterances of every class as the smallest has, drawn, with their copies; and why each
    other is left out, as ``filtered``. One of fewer than ``needed`` frames gives no chunk and does not count.
    """
    classes: dict[str, list[str]] = {}
    for source in sources:
        if source.utt == source.of:
            long_enough = [source.utt] if source.frames >= needed else []
            classes.setdefault(source.class_name, []).extend(long_enough)
    fewest = min(map(len, classes.values()), default=0)
    if not fewest:
        empty = sorted(name for name, utts in classes.items() if not utts)
        said = f"no utterance of {', '.join(empty) or 'any class'} is long enough for a chunk"
        raise InputError(said, mend="lower --egs.min_seconds, or --egs.balance none")
    drawn: set[str] = set()
    for name, utts in classes.items():
        order = generator(seed, name, "balance").permutation(len(utts))
        drawn.update(sorted(utts)[index] for index in order[:fewest])
    kept = [source for source in sources if source.of in drawn]
    gone = {source.utt: f"not drawn: {fewest} of each class" for source in sources if source.of not in drawn}
    return kept, gone


def plan_training(
    sources: Sequence[Source],
    shortest: int,
    longest: int,
    repeats: float,
    per_archive: int,
    seed: int,
    frames: np.ndarray | None = None,
    *,
    name: str = "train",
    option: str = "--egs.min_seconds",
) -> list[ArchivePlan]:
    """Archives whose chunks together take every voiced frame ``repeats`` times on average.

    ``frames`` [sources]: how many frames each counts as having, where that is not its own number. The
    archives are called ``name``.1 and so on; ``option`` is the one to lower where no source is long enough.

    Every source of at least ``shortest`` frames gives at least one chunk. Chunks are shuffled over all
    archives; an archive's length is drawn from [shortest, longest] frames; a chunk whose utterance is
    shorter than the archive's length moves to an archive that it fits. Memory: a few numbers a chunk.
    """
    if frames is None:
        frames = np.asarray([source.frames for source in sources], np.int64)
    usable = np.flatnonzero(frames >= shortest)
    if not len(usable):
        raise InputError(f"no utterance has {shortest} voiced frames", mend=f"lower {option}")
    rng = generator(seed, "chunks" if name == "train" else f"{name} chunks", "plan")
    expected = frames[usable] * repeats / ((shortest + longest) / 2)
    counts = np.maximum(1, np.floor(expected + rng.random(len(usable))).astype(np.int64))
    slots = rng.permutation(np.repeat(usable, counts))
    archives = max(1, round(len(slots) / per_archive))
    lengths = np.sort(_lengths(rng, archives, shortest, longest, int(frames.max())))
    place = rng.permutation(np.arange(len(slots)) % archives)
    # Archives are sorted by length, so those a chunk fits are the first `fitting` ones.
    fitting = np.searchsorted(lengths, frames[slots], side="right")
    moved = place >= fitting
    place[moved] = (rng.random(int(moved.sum())) * fitting[moved]).astype(np.int64)
    order = rng.permutation(archives)  # so that an archive's number says nothing about its length
    # Each archive's slots in the order they have, all archives in one sort: there may be thousands.
    edges = np.searchsorted(np.sort(place), np.arange(archives + 1))
    sorted_slots = slots[np.argsort(place, kind="stable")]
    plans = []
    for archive in range(archives):
        mine = sorted_slots[edges[archive] : edges[archive + 1]]
        length = int(lengths[archive])
        start = (rng.random(len(mine)) * (frames[mine] - length + 1)).astype(np.int64)
        plans.append(ArchivePlan(f"{name}.{order[archive] + 1}", length, mine, start))
    return sorted((plan for plan in plans if len(plan.source)), key=lambda plan: int(plan.name.split(".")[1]))


def _lengths(rng: np.random.Generator, archives: int, shortest: int, longest: int, top: int) -> np.ndarray:
    # Stratified, so that few archives still cover the range; one archive of the shortest length always
    # stands open for the utterances that fit nowhere else.
    share = (np.arange(archives) + rng.random(archives)) / archives
    lengths = shortest + np.floor(share * (min(longest, top) - shortest + 1)).astype(np.int64)
    lengths[0] = shortest
    return lengths


def plan_validation(sources: Sequence[Source], length: int) -> ArchivePlan | None:
    """The middle ``length`` frames (or the shortest utterance's) of every held-out utterance."""
    if not sources:
        return None
    length = min(length, min(source.frames for source in sources))
    start = np.asarray([(source.frames - length) // 2 for source in sources], np.int64)
    return ArchivePlan("valid.1", length, np.arange(len(sources)), start)

"""AMI Meeting Corpus: headset utterances to recognise speakers, Mix-Headset meetings to diarize (stage 0).

Layout and rules are those of
- the owners (groups.inf.ed.ac.uk/ami): ROOT/amicorpus/MEETING/audio/MEETING.{Headset-N,Mix-Headset}.wav, and
  the manual annotations 1.6.2 unpacked below ROOT: words/MEETING.AGENT.words.xml,
  corpusResources/meetings.xml (who an agent is, on which headset) and participants.xml;
- the owners' partition "Full-corpus-ASR" (corpus/datasets.shtml), as Kaldi's egs/ami/s5b, lhotse's
  recipes/ami.py and BUTSpeechFIT/AMI-diarization-setup have it: 136, 18 and 16 meetings; IB4005 is in no set;
- BUT's "only_words" references: every word is speech, vocal sounds are not; words that touch are one turn,
  no pause is bridged; the UEM is the whole recording.

train, dev and eval hold what one person says while nobody else does: pauses of up to half a second are
bridged unless somebody speaks in them, other people's words are cut out, what is longer than 10 s is cut
evenly, what is shorter than 2 s is left out. dev-meetings and eval-meetings hold one Mix-Headset recording a
meeting, with rttm, uem and reco2num_spk.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path

from local.ami_words import SHORTEST, Agents, Spans, join, read_agents, read_traits, read_words, utterances
from local.augmentation import prepare_pools
from pysteps.audio.read import duration
from pysteps.diarize.turns import Turn, write_rttm
from pysteps.formats.atomic import write_text
from pysteps.formats.errors import InputError
from pysteps.formats.rng import generator
from pysteps.formats.tables import invert, write_table
from pysteps.prepare.corpus import Corpus
from pysteps.prepare.script import main

DRAWN = 10  # utterances of a person in a meeting that trials use
SERIES = {
    "train": """ES2002abcd ES2003abcd ES2005abcd ES2006abcd ES2007abcd ES2008abcd ES2009abcd ES2010abcd
        ES2012abcd ES2013abcd ES2014abcd ES2015abcd ES2016abcd IS1000abcd IS1001abcd IS1002bcd IS1003abcd
        IS1004abcd IS1005abc IS1006abcd IS1007abcd TS3005abcd TS3006abcd TS3007abcd TS3008abcd TS3009abcd
        TS3010abcd TS3011abcd TS3012abcd EN2001abde EN2003a EN2004a EN2005a EN2006ab EN2009bcd IN1001 IN1002
        IN1005 IN1007 IN1008 IN1009 IN1012 IN1013 IN1014 IN1016""",
    "dev": "ES2011abcd IS1008abcd TS3004abcd IB4001 IB4002 IB4003 IB4004 IB4010 IB4011",
    "eval": "ES2004abcd IS1009abcd TS3003abcd EN2002abcd",
}
# Meetings, speakers and hours: lists/ and uems/ of BUT's setup. Headsets: four a meeting, five in EN2001a, d
# and e (Kaldi's ami_ihm_data_prep.sh, which has 687 with those of IB4005).
PUBLISHED = {
    "train": {"meetings": 136, "headsets": 547, "speakers": 152, "hours": 80.7},
    "dev": {"meetings": 18, "headsets": 72, "speakers": 21, "hours": 9.7},
    "eval": {"meetings": 16, "headsets": 64, "speakers": 16, "hours": 9.1},
}


@dataclass(frozen=True)
class Person:
    """Who an agent (A to E) of a meeting is and when he speaks: ``words`` in ms, joined where they touch."""

    speaker: str
    headset: Path
    words: Spans


@dataclass(frozen=True)
class Meeting:
    """A meeting that has audio and annotations."""

    name: str
    mix: Path
    people: list[Person]


def meetings_of(name: str) -> list[str]:
    """The meetings of a set of the partition."""
    return [word[:6] + letter for word in SERIES[name].split() for letter in word[6:] or [""]]


def find(root: Path) -> tuple[Path, Path]:
    """The folders of the annotations and of the audio at or below ``root``."""
    places = [root, root / "annotations", *sorted(root.glob("ami_public_manual_*"), reverse=True)]
    for notes in places:
        if (notes / "words").is_dir() and (notes / "corpusResources" / "meetings.xml").is_file():
            break
    else:
        packed = [path.name for path in root.glob("ami_public_manual_*.zip")]
        mend = f"unpack {packed[0]} there" if packed else "unpack ami_public_manual_1.6.2.zip there"
        what = "no words/ with corpusResources/meetings.xml here, in annotations/ or in ami_public_manual_*/"
        raise InputError(what, where=root, mend=mend)
    known = [meeting for name in SERIES for meeting in meetings_of(name)]
    for audio in (root, root / "amicorpus", root / "wav_db"):
        if any((audio / meeting / "audio").is_dir() for meeting in known):
            return notes, audio
    inside = " ".join(sorted(path.name for path in root.iterdir())[:8])
    what = f"no MEETING/audio (such as ES2002a/audio) here, in amicorpus/ or in wav_db/; found {inside}"
    raise InputError(what, where=root, mend="--corpus is the folder that holds amicorpus")


def length_of(path: Path) -> int | None:
    """Milliseconds of a recording; None where it cannot be read (stage audio says why and drops it)."""
    try:
        samples, rate = duration(path)
    except InputError:
        return None
    return samples * 1000 // rate


def warn(text: str) -> None:
    """A line on standard error."""
    print(f"warning: {text}", file=sys.stderr, flush=True)


def read_meetings(name: str, notes: Path, audio: Path, agents: Agents) -> list[Meeting]:
    """The meetings of a set that are there; what is missing is counted and said."""
    found, absent, strangers, odd = [], [], [], 0
    for meeting in meetings_of(name):
        folder, people = audio / meeting / "audio", []
        files = sorted((notes / "words").glob(f"{meeting}.*.words.xml"))
        if not folder.is_dir() or not files:
            absent.append(meeting)
            continue
        for file in files:
            agent = file.name.split(".")[1]
            if agent not in agents.get(meeting, {}):
                strangers.append(file.name)
                continue
            speaker, channel = agents[meeting][agent]
            spans, bad = read_words(file)
            people.append(Person(speaker, folder / f"{meeting}.Headset-{channel}.wav", spans))
            odd += bad
        if any(one.words for one in people):
            found.append(Meeting(meeting, folder / f"{meeting}.Mix-Headset.wav", people))
        else:
            absent.append(meeting)
    if absent:
        warn(f"{name}: {len(absent)} meetings have no audio or no words: {' '.join(absent[:20])}")
    if strangers:
        warn(f"{name}: {len(strangers)} files of nobody in meetings.xml left out: {' '.join(strangers[:5])}")
    if odd:
        print(f"{name}: {odd} words without usable times left out")
    if not found:
        what = f"none of the {len(absent)} meetings of {name} has audio and words ({absent[0]} ...)"
        raise InputError(what, where=audio, mend="get the rest of the corpus, MEETING/audio")
    return found


def write_utterances(
    folder: Path, meetings: Sequence[Meeting], traits: tuple[dict[str, str], dict[str, str]]
) -> dict[str, tuple[str, str]]:
    """One set of utterances; returns utterance to (speaker, meeting)."""
    wav: dict[str, str] = {}
    segments: dict[str, str] = {}
    known: dict[str, tuple[str, str]] = {}
    lengths: dict[Path, int | None] = {}
    for meeting in meetings:
        for one in (one for one in meeting.people if one.headset.is_file()):
            lengths[one.headset] = length_of(one.headset)
            theirs = join((span for other in meeting.people if other is not one for span in other.words), 0)
            for start, end in utterances(one.words, theirs, lengths[one.headset]):
                utt = f"{one.speaker}-{meeting.name}-{start:08d}-{end:08d}"
                segments[utt] = f"{one.headset.stem} {start / 1000:.3f} {end / 1000:.3f}"
                known[utt], wav[one.headset.stem] = (one.speaker, meeting.name), str(one.headset)
    if not known:
        what = f"no utterance of {SHORTEST / 1000:g} s or more in {len(meetings)} meetings of {folder.name}"
        raise InputError(what, where=meetings[0].mix.parent, mend="get MEETING.Headset-N.wav of all meetings")
    compare(folder.name, meetings, lengths)
    genders, languages = traits
    speaker = {utt: one for utt, (one, _) in known.items()}
    write_table(folder / "wav.scp", wav)
    write_table(folder / "segments", segments)
    write_table(folder / "utt2spk", speaker)
    write_table(folder / "spk2utt", invert(speaker))
    # a participant id begins with the gender (the owners' participantids.shtml)
    write_table(folder / "spk2gender", {one: genders.get(one, one[0].lower()) for one in speaker.values()})
    write_table(folder / "utt2session", {utt: meeting for utt, (_, meeting) in known.items()})
    write_table(folder / "utt2lang", dict.fromkeys(known, "en"))
    native = {utt: languages[one] for utt, one in speaker.items() if one in languages}
    write_table(folder / "utt2native", native)
    people = len(set(speaker.values()))
    print(f"{folder}: {len(known)} utterances of {people} people in {len(meetings)} meetings", flush=True)
    return known


def compare(name: str, meetings: Sequence[Meeting], lengths: Mapping[Path, int | None]) -> None:
    """Say where a set is not what is published: headsets that are missing, counts that differ."""
    people = [one for meeting in meetings for one in meeting.people]
    lost = sorted({one.headset.name for one in people if one.headset not in lengths})
    if lost:
        warn(f"{name}: {len(lost)} headset recordings are missing: {' '.join(lost[:8])}")
    longest = (max(lengths.get(one.headset) or 0 for one in meeting.people) for meeting in meetings)
    counts = {
        "meetings": len(meetings),
        "headsets": len(lengths),
        "speakers": len({one.speaker for one in people if one.words and one.headset in lengths}),
        "hours": round(sum(longest) / 3.6e6, 1),
    }
    for what, value in PUBLISHED[name].items():
        if abs(counts[what] - value) > (0.1 if what == "hours" else 0):
            warn(f"{name}: {counts[what]} {what}, published are {value}")


def write_trials(folder: Path, known: Mapping[str, tuple[str, str]], seed: int) -> None:
    """trials: all pairs across meetings of DRAWN utterances a person and meeting; trials.site: within a site.

    The site is a meeting id's first letter: pairs of two sites differ in room and microphones too.
    """
    groups: dict[tuple[str, str], list[str]] = {}
    for utt in sorted(known):
        groups.setdefault(known[utt], []).append(utt)
    chosen = []
    for group, utts in groups.items():
        order = generator(seed, " ".join(group), "trials").permutation(len(utts))
        chosen += [utts[index] for index in order[:DRAWN]]
    lines: dict[str, list[str]] = {"trials": [], "trials.site": []}
    for one, two in combinations(sorted(chosen), 2):
        (who, first), (other, second) = known[one], known[two]
        if first == second:
            continue
        line = f"{one} {two} {'target' if who == other else 'nontarget'}\n"
        lines["trials"].append(line)
        if first[0] == second[0]:
            lines["trials.site"].append(line)
    for name, text in lines.items():
        write_text(folder / name, "".join(text))


def write_recordings(folder: Path, meetings: Sequence[Meeting]) -> None:
    """One set of Mix-Headset recordings: wav.scp, utt2spk (nobody's), rttm, uem and reco2num_spk."""
    there = {meeting.name: meeting for meeting in meetings if meeting.mix.is_file()}
    lost = [meeting.mix.name for meeting in meetings if meeting.name not in there]
    if not there:
        mend = "get MEETING.Mix-Headset.wav of all meetings"
        raise InputError(f"none of {len(lost)} recordings such as {lost[0]}", where=folder.name, mend=mend)
    if lost:
        warn(f"{folder.name}: {len(lost)} recordings are missing: {' '.join(lost[:8])}")
    turns, ends = {}, {}
    for name, meeting in there.items():
        said = [(start, end, one.speaker) for one in meeting.people for start, end in one.words]
        turns[name] = [Turn(start / 1000, end / 1000, speaker) for start, end, speaker in said]
        ends[name] = length_of(meeting.mix) or max(end for _, end, _ in said)
    numbers = {name: str(len({turn.speaker for turn in said})) for name, said in turns.items()}
    write_table(folder / "wav.scp", {name: str(meeting.mix) for name, meeting in there.items()})
    write_table(folder / "utt2spk", {name: name for name in there})
    write_table(folder / "spk2utt", {name: name for name in there})
    write_table(folder / "reco2num_spk", numbers)
    write_rttm(folder / "rttm", turns)
    write_text(folder / "uem", "".join(f"{name} 1 0.000 {ends[name] / 1000:.3f}\n" for name in sorted(ends)))
    print(f"{folder}: {len(there)} recordings", flush=True)


def prepare(corpus: Corpus, data: Path, seed: int) -> None:
    """Write data/{train,dev,eval,dev-meetings,eval-meetings} and the pools that augmentation draws from."""
    notes, audio = find(corpus.root)
    agents, traits = read_agents(notes), read_traits(notes)
    sets = {name: read_meetings(name, notes, audio, agents) for name in SERIES}
    where: dict[str, str] = {}
    for name, meetings in sets.items():
        for speaker in sorted({one.speaker for meeting in meetings for one in meeting.people}):
            if where.setdefault(speaker, name) != name:
                what = f"{speaker} is in {where[speaker]} and in {name}"
                raise InputError(what, where=notes / "corpusResources" / "meetings.xml", mend="version 1.6.2")
    for name, meetings in sets.items():
        known = write_utterances(data / name, meetings, traits)
        if name != "train":
            write_trials(data / name, known, seed)
            write_recordings(data / f"{name}-meetings", meetings)
    prepare_pools(corpus, data, seed)


if __name__ == "__main__":
    main(prepare, __doc__)

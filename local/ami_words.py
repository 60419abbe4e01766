"""AMI's annotations (NXT XML, ami_public_manual_1.6.2): who is where, when he speaks, what he says alone.

Times are whole milliseconds, as finely as they are annotated.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from xml.etree import ElementTree

from pysteps.formats.errors import InputError

PAUSE, SHORTEST, LONGEST = 500, 2000, 10000  # of utterances, ms
ID = "{http://nite.sourceforge.net/}id"
Spans = list[tuple[int, int]]
Agents = dict[str, dict[str, tuple[str, str]]]  # meeting -> agent (A to E) -> speaker, headset's number


def parse(path: Path) -> ElementTree.Element:
    """An annotation file's root."""
    try:
        return ElementTree.parse(path).getroot()
    except FileNotFoundError as error:
        raise InputError("no such file", where=path, mend="unpack the annotations again") from error
    except ElementTree.ParseError as error:
        mend = "unpack the annotations again"
        raise InputError(f"broken XML: {error}", where=path, line=error.position[0], mend=mend) from error


def read_agents(notes: Path) -> Agents:
    """Meeting to agent to (global speaker name, headset's number), from meetings.xml as far as it says so."""
    path = notes / "corpusResources" / "meetings.xml"
    found: Agents = {}
    for meeting in parse(path).iter("meeting"):
        name = meeting.get("observation", "")
        for one in meeting.iter("speaker"):
            agent, speaker, channel = (one.get(key) for key in ("nxt_agent", "global_name", "channel"))
            if agent and speaker and channel:
                found.setdefault(name, {})[agent] = (speaker, channel)
    if not found:
        what = "no meeting with a speaker's nxt_agent, global_name and channel"
        raise InputError(what, where=path, mend="unpack the annotations again (version 1.6.2)")
    return found


def read_traits(notes: Path) -> tuple[dict[str, str], dict[str, str]]:
    """Speaker to m or f, and speaker to native language, from participants.xml as far as it says so."""
    genders, languages = {}, {}
    for one in parse(notes / "corpusResources" / "participants.xml").iter("participant"):
        name = one.get(ID, "")
        if (one.get("sex") or "?")[0].lower() in "mf":
            genders[name] = (one.get("sex") or "")[0].lower()
        if one.get("native_language"):
            languages[name] = "_".join((one.get("native_language") or "").split())
    return genders, languages


def read_words(path: Path) -> tuple[Spans, int]:
    """Words of one agent, joined where they touch, and how many words have no usable times."""
    spans, odd = [], 0
    for word in parse(path).iter("w"):
        if word.get("punc") == "true":
            continue
        try:
            start, end = (round(1000 * float(word.get(key, ""))) for key in ("starttime", "endtime"))
        except (ValueError, OverflowError):
            start = end = 0
        if 0 <= start < end:
            spans.append((start, end))
        else:
            odd += 1
    return join(spans, 0), odd


def join(spans: Iterable[tuple[int, int]], pause: int) -> Spans:
    """``spans`` in order of time, those joined that overlap or are at most ``pause`` apart."""
    joined: Spans = []
    for start, end in sorted(spans):
        if joined and start - joined[-1][1] <= pause:
            joined[-1] = (joined[-1][0], max(joined[-1][1], end))
        else:
            joined.append((start, end))
    return joined


def subtract(spans: Spans, taken: Spans) -> Spans:
    """What of ``spans`` lies in none of ``taken`` (both sorted, without overlap)."""
    left, at = [], 0
    for start, end in spans:
        while at < len(taken) and taken[at][1] <= start:
            at += 1
        for first, last in _before(taken, at, end):
            if first > start:
                left.append((start, first))
            start = max(start, last)
        if start < end:
            left.append((start, end))
    return left


def _before(taken: Spans, at: int, end: int) -> Iterator[tuple[int, int]]:
    while at < len(taken) and taken[at][0] < end:
        yield taken[at]
        at += 1


def utterances(mine: Spans, theirs: Spans, length: int | None) -> Spans:
    """What one person says alone, in pieces of SHORTEST to LONGEST that begin and end with his words.

    ``mine`` and ``theirs`` (everybody else's words) are sorted and do not overlap in themselves;
    ``length`` is the recording's: some annotations go beyond it.
    """
    if length is not None:
        mine = [(start, min(end, length)) for start, end in mine if start < length]
    alone, at, found = subtract(mine, theirs), 0, []
    for _, last in subtract(join(mine, PAUSE), theirs):
        first = at
        while at < len(alone) and alone[at][0] < last:
            at += 1
        if first == at:
            continue  # a pause between two people's words
        start, end = alone[first][0], alone[at - 1][1]
        count = -(-(end - start) // LONGEST)
        borders = [start + (end - start) * part // count for part in range(count + 1)]
        found += [pair for pair in zip(borders, borders[1:], strict=False) if pair[1] - pair[0] >= SHORTEST]
    return found

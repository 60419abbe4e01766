"""A miniature corpus in AMI's own layout, for the tests of local/ami.py."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile

from local import ami
from pysteps.formats.datadir import DataSet
from pysteps.prepare.corpus import Corpus

# Who was there, as in the corpus, in order of agents A to D (the order is ours).
PEOPLE = {
    "ES2002a": "MEE006 FEE005 MEE007 MEE008",
    "ES2002b": "MEE006 FEE005 MEE007 MEE008",
    "IS1000a": "MIO016 FIE081 MIO082 MIO050",
    "IS1000b": "MIO016 FIE081 MIO082 MIO050",
    "ES2011a": "FEE041 FEE042 FEE043 FEE044",
    "ES2011b": "FEE041 FEE042 FEE043 FEE044",
    "ES2004a": "MEO015 FEE013 MEE014 FEE016",
    "ES2004b": "MEO015 FEE013 MEE014 FEE016",
    "TS3003a": "MTD009PM MTD0010ID MTD011UID MTD012ME",
    "TS3003b": "MTD009PM MTD0010ID MTD011UID MTD012ME",
}
SECONDS, SLOT = 49, 4.0
HEAD = '<?xml version="1.0" encoding="ISO-8859-1" standalone="yes"?>\n'
NITE = 'xmlns:nite="http://nite.sourceforge.net/"'
# Of agent A in ES2004a, whose headset is number 1; B's and C's words are in his way.
HAND = [
    ("w", "5.57", "5.94", "Okay"),
    ("w", "5.94", "5.94", ".", 'punc="true"'),
    ("w", "5.94", "8.0", "I&#39;m"),
    ("w", "8.3", "9.0", "here"),  # a pause of 0.3 s: one utterance, two turns
    ("w", "9.6", "12.0", "again"),  # of 0.6 s: two utterances
    ("vocalsound", "12.0", "13.0", "", 'type="laugh"'),
    ("disfmarker", "13.0", "13.0", ""),
    ("w", "20.0", "26.0", "long"),
    ("w", "26.0", "30.0", "longer"),
    ("w", "30.01", "32.5", "longest"),  # 12.5 s: cut in two; a pause of 10 ms parts turns
    ("w", "33.5", "36.5", "under"),  # C says Mm-hmm at 35.5 to 35.9: 2 s and 0.6 s alone
    ("w", "38.0", "40.1", "one"),
    ("w", "40.3", "42.8", "two"),  # D speaks in the pause of 0.2 s: it is not bridged
    ("w", "43.5", "45.0", "short"),
    ("w", "46.9", "49.5", "over"),  # the recording ends at 49 s
]
UNTIMED = '<w nite:id="ES2004a.A.words90">um</w>'


def word(
    meeting: str, agent: str, number: int, tag: str, start: str, end: str, text: str, more: str = ""
) -> str:
    """A line of a words file, as the corpus writes it."""
    attributes = f'nite:id="{meeting}.{agent}.words{number}" starttime="{start}" endtime="{end}"'
    attributes += f" {more}" if more else ""
    return f"   <{tag} {attributes}>{text}</{tag}>" if text else f"   <{tag} {attributes}/>"


def plain(agent: int) -> list[tuple]:
    """Three stretches of 3.2 s, one in each fourth slot; nobody else speaks in them."""
    starts = [SLOT * (agent + 4 * turn) for turn in range(3)]
    words = [((start, start + 1.2), (start + 1.2, start + 3.2)) for start in starts]
    return [("w", f"{one:.2f}", f"{two:.2f}", "so") for pair in words for one, two in pair]


def build(root: Path, sound: Callable[[str, int], np.ndarray] | None = None, hand: bool = True) -> Path:
    """The miniature corpus. ``sound``: (speaker, turn) to samples of one of his stretches; else silence."""
    notes = root / "ami_public_manual_1.6.2"
    meetings, participants = [], {}
    for number, (meeting, people) in enumerate(PEOPLE.items()):
        speakers = []
        mix = np.zeros(SECONDS * 16000, np.float32)
        for agent, speaker in enumerate(people.split()):
            letter, channel = "ABCD"[agent], (1, 0, 2, 3)[agent]
            lines = plain(agent)
            if hand and meeting == "ES2004a":
                lines = [
                    HAND,
                    [("w", "15.0", "16.2", "so"), ("w", "16.2", "18.2", "it is")],
                    [("w", "35.5", "35.9", "Mm-hmm")],
                    [("w", "40.15", "40.25", "No")],
                ][agent]
            text = [word(meeting, letter, count, *line) for count, line in enumerate(lines)]
            if hand and (meeting, letter) == ("ES2004a", "A"):
                text.append(f"   {UNTIMED}")
            write(
                notes / "words" / f"{meeting}.{letter}.words.xml",
                f'nite:id="{meeting}.{letter}.words" {NITE}',
                text,
            )
            speakers.append(
                f'      <speaker nite:id="{meeting}_{channel + 1}" channel="{channel}" nxt_agent="{letter}" '
                f'global_name="{speaker}" role="PM"/>'
            )
            language = {"E": "English", "D": "Dutch"}.get(speaker[2], "Other")
            participants[speaker] = (
                f'   <participant nite:id="{speaker}" sex="{speaker[0]}" native_language="{language}"/>'
            )
            own = np.zeros_like(mix)
            for turn in range(3) if sound else ():
                at, samples = round(SLOT * (agent + 4 * turn) * 16000), sound(speaker, number * 3 + turn)
                own[at : at + len(samples)] = samples
            mix += own
            save(root, meeting, f"Headset-{channel}", own)
        save(root, meeting, "Mix-Headset", mix)
        said = f'   <meeting nite:id="meet_{number}" type="scenario" observation="{meeting}" duration="49">'
        meetings += [said, *speakers, "   </meeting>"]
    write(notes / "corpusResources" / "meetings.xml", NITE, meetings)
    write(notes / "corpusResources" / "participants.xml", NITE, list(participants.values()))
    return root


def write(path: Path, attributes: str, lines: list[str]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join([f"{HEAD}<nite:root {attributes}>", *lines, "</nite:root>\n"]), "latin-1")


def save(root: Path, meeting: str, name: str, samples: np.ndarray) -> None:
    path = root / "amicorpus" / meeting / "audio" / f"{meeting}.{name}.wav"
    path.parent.mkdir(parents=True, exist_ok=True)
    silence = root / "silence.wav"  # written once, under many names
    if not samples.any() and silence.exists():
        os.link(silence, path)
        return
    soundfile.write(path, samples, 16000, subtype="PCM_16")
    if not samples.any():
        os.link(path, silence)


def prepared(corpus: Path, work: Path) -> Path:
    """Stage 0 without pools: data/."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ami, "prepare_pools", lambda *_: None)
        ami.prepare(Corpus(corpus), work / "data", 0)
    return work / "data"


def seconds(data: Path, speaker: str, meeting: str) -> list[tuple[float, float]]:
    """An agent's utterances, from segments."""
    table = DataSet(data / "eval").segments()
    return [part[1:] for utt, part in table.items() if utt.startswith(f"{speaker}-{meeting}-")]


def change(root: Path, name: str, old: str, new: str) -> None:
    path = root / "ami_public_manual_1.6.2" / name
    text = path.read_text("latin-1")
    assert old in text
    path.unlink()  # another name of the tree's own file
    path.write_text(text.replace(old, new), "latin-1")

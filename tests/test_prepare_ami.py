"""egs/ami: a miniature corpus in AMI's own layout becomes sets whose times were worked out by hand."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile

from local import ami, ami_words
from local.ami_words import join, subtract, utterances
from pysteps.audio.read import read_audio
from pysteps.diarize.turns import read_rttm, read_uem
from pysteps.formats.datadir import DataSet
from pysteps.formats.errors import InputError
from pysteps.formats.run import Run
from pysteps.formats.tables import read_table
from pysteps.prepare.stage import validate
from pysteps.recipe.options import parse
from pysteps.recipe.resolve import resolve
from tests.pipeline import REPO, SPEECH, TINY, run_sh

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


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The silent miniature corpus."""
    return build(tmp_path_factory.mktemp("ami") / "AMI corpus")


def prepared(corpus: Path, work: Path) -> Path:
    """Stage 0 without pools: data/."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ami, "prepare_pools", lambda *_: None)
        ami.prepare(corpus, work / "data", 0)
    return work / "data"


@pytest.fixture(scope="module")
def data(tree: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """data/ of the miniature corpus."""
    return prepared(tree, tmp_path_factory.mktemp("work"))


@pytest.fixture
def copy(tree: Path, tmp_path: Path) -> Path:
    """A corpus to spoil."""
    return Path(shutil.copytree(tree, tmp_path / "copy", copy_function=os.link))


def seconds(data: Path, speaker: str, meeting: str) -> list[tuple[float, float]]:
    """An agent's utterances, from segments."""
    table = DataSet(data / "eval").segments()
    return [part[1:] for utt, part in table.items() if utt.startswith(f"{speaker}-{meeting}-")]


def test_the_partition_has_136_18_and_16_different_meetings() -> None:
    sets = [ami.meetings_of(name) for name in ("train", "dev", "eval")]
    assert [len(names) for names in sets] == [136, 18, 16]
    assert len({name for names in sets for name in names}) == 170
    assert not {"IB4005", "IS1002a", "IS1005d", "EN2001c"} & {name for names in sets for name in names}


def test_all_sets_pass_the_validation_of_stage_0(tree: Path, data: Path) -> None:
    run: Run = resolve(REPO, parse(["--recipe", "ami", "--corpus", str(tree), "--work", str(data.parent)]))
    validate(run)
    assert run.base_sets == ["train", "dev", "eval", "dev-meetings", "eval-meetings"]


def test_utterances_are_what_one_person_says_alone(data: Path) -> None:
    assert seconds(data, "MEO015", "ES2004a") == [
        (5.57, 9.0),
        (9.6, 12.0),
        (20.0, 26.25),
        (26.25, 32.5),
        (33.5, 35.5),
        (38.0, 40.1),
        (40.3, 42.8),
        (46.9, 49.0),
    ]


def test_an_utterance_is_cut_from_the_headset_that_meetings_xml_names(data: Path) -> None:
    (first, *_) = [utt for utt in read_table(data / "eval" / "utt2spk") if utt.startswith("MEO015-ES2004a")]
    assert first == "MEO015-ES2004a-00005570-00009000"
    assert read_table(data / "eval" / "segments")[first] == "ES2004a.Headset-1 5.570 9.000"
    file = read_table(data / "eval" / "wav.scp")["ES2004a.Headset-1"]
    assert file.endswith("amicorpus/ES2004a/audio/ES2004a.Headset-1.wav")


def test_turns_are_words_that_touch_and_nothing_else(data: Path) -> None:
    turns = read_rttm(data / "eval-meetings" / "rttm")["ES2004a"]
    his = [(round(turn.start, 3), round(turn.end, 3)) for turn in turns if turn.speaker == "MEO015"]
    assert his == [
        (5.57, 8.0),
        (8.3, 9.0),
        (9.6, 12.0),
        (20.0, 30.0),
        (30.01, 32.5),
        (33.5, 36.5),
        (38.0, 40.1),
        (40.3, 42.8),
        (43.5, 45.0),
        (46.9, 49.5),
    ]
    assert [turn.speaker for turn in turns if 35 < turn.start < 36] == ["MEE014"]


def test_recordings_have_their_number_of_speakers_and_are_scored_whole(data: Path) -> None:
    folder = data / "eval-meetings"
    assert read_table(folder / "reco2num_spk") == dict.fromkeys(
        ["ES2004a", "ES2004b", "TS3003a", "TS3003b"], "4"
    )
    assert read_uem(folder / "uem") == {name: [(0.0, 49.0)] for name in read_table(folder / "wav.scp")}


def test_labels_come_from_the_corpus(data: Path) -> None:
    genders = read_table(data / "eval" / "spk2gender")
    assert genders["MEO015"] == "m" and genders["FEE013"] == "f" and genders["MTD0010ID"] == "m"
    native = read_table(data / "eval" / "utt2native")
    of = {speaker: native[utt] for utt, speaker in read_table(data / "eval" / "utt2spk").items()}
    assert (of["MEO015"], of["FEE013"], of["MTD009PM"]) == ("Other", "English", "Dutch")
    sessions = read_table(data / "train" / "utt2session")
    assert set(sessions.values()) == {"ES2002a", "ES2002b", "IS1000a", "IS1000b"}


def test_trials_cross_meetings_and_are_bounded(data: Path) -> None:
    session = read_table(data / "dev" / "utt2session")
    lines = [line.split() for line in (data / "dev" / "trials").read_text().splitlines()]
    assert all(session[one] != session[two] for one, two, _ in lines)
    # 4 people with 3 utterances in each of 2 meetings: 12 x 12 pairs across, 4 x 3 x 3 of them of one person.
    assert len(lines) == 144 and sum(kind == "target" for *_, kind in lines) == 36


def test_trials_of_a_site_do_not_cross_sites(data: Path) -> None:
    every = (data / "eval" / "trials").read_text().splitlines()
    within = (data / "eval" / "trials.site").read_text().splitlines()
    site = {utt: meeting[0] for utt, meeting in read_table(data / "eval" / "utt2session").items()}
    assert within == [line for line in every if site[line.split()[0]] == site[line.split()[1]]]
    assert 0 < len(within) < len(every)


def test_a_person_has_at_most_ten_utterances_of_a_meeting_in_trials(tmp_path: Path) -> None:
    known = {
        f"{who}-{meeting}-{n:02d}": (who, meeting) for who in "AB" for meeting in "XY" for n in range(14)
    }
    ami.write_trials(tmp_path, known, 0)
    lines = [line.split() for line in (tmp_path / "trials").read_text().splitlines()]
    assert len({utt for one, two, _ in lines for utt in (one, two)}) == 40
    assert len(lines) == 20 * 20


def test_counts_are_compared_with_the_published_ones(
    tree: Path, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    prepared(tree, tmp_path)
    said = capsys.readouterr()
    assert "warning: train: 132 meetings have no audio or no words: ES2002c" in said.err
    assert "warning: eval: 4 meetings, published are 16" in said.err
    assert "warning: eval: 16 headsets, published are 64" in said.err
    assert "warning: eval: 8 speakers, published are 16" in said.err
    assert "warning: eval: 0.1 hours, published are 9.1" in said.err
    assert "eval: 1 words without usable times left out" in said.out


def test_a_missing_headset_loses_its_utterances_alone_and_is_said(
    copy: Path, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    (copy / "amicorpus" / "ES2004a" / "audio" / "ES2004a.Headset-1.wav").unlink()
    made = prepared(copy, tmp_path / "work")
    assert "warning: eval: 1 headset recordings are missing: ES2004a.Headset-1.wav" in capsys.readouterr().err
    assert seconds(made, "MEO015", "ES2004a") == [] and len(seconds(made, "MEO015", "ES2004b")) == 3
    assert any(turn.speaker == "MEO015" for turn in read_rttm(made / "eval-meetings" / "rttm")["ES2004a"])


def test_a_words_file_of_nobody_is_said(copy: Path, tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    words = copy / "ami_public_manual_1.6.2" / "words"
    (words / "ES2004b.D.words.xml").rename(words / "ES2004b.E.words.xml")
    prepared(copy, tmp_path / "work")
    assert "1 files of nobody in meetings.xml left out: ES2004b.E.words.xml" in capsys.readouterr().err


def test_a_meeting_in_which_nobody_speaks_is_said(
    copy: Path, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    for letter in "ABCD":
        change(copy, f"words/ES2004b.{letter}.words.xml", "<w ", "<gap ")
        change(copy, f"words/ES2004b.{letter}.words.xml", "</w>", "</gap>")
    made = prepared(copy, tmp_path / "work")
    assert "eval: 13 meetings have no audio or no words: ES2004b ES2004c" in capsys.readouterr().err
    assert list(read_table(made / "eval-meetings" / "wav.scp")) == ["ES2004a", "TS3003a", "TS3003b"]


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda root: shutil.rmtree(root / "amicorpus"), "no MEETING/audio .* found ami_public_manual_1.6.2"),
        (
            lambda root: shutil.rmtree(root / "ami_public_manual_1.6.2"),
            "no words/ .*unpack ami_public_manual",
        ),
        (
            lambda root: [path.unlink() for path in root.glob("amicorpus/*/audio/*Mix*")],
            "dev-meetings: none of 2 recordings such as ES2011a.Mix-Headset.wav .*get MEETING.Mix",
        ),
        (
            lambda root: [path.unlink() for path in root.glob("amicorpus/ES2011*/audio/*Headset-*")],
            "no utterance of 2 s or more in 2 meetings of dev .*get MEETING.Headset-N.wav",
        ),
        (
            lambda root: [shutil.rmtree(path) for path in root.glob("amicorpus/ES2011*")],
            "none of the 18 meetings of dev has audio and words",
        ),
        (
            lambda root: change(root, "words/ES2011a.A.words.xml", "</nite:root>", ""),
            r"ES2011a.A.words.xml:10: broken XML.*unpack the annotations again",
        ),
        (
            lambda root: change(root, "corpusResources/meetings.xml", "FEE041", "MEO015"),
            "MEO015 is in dev and in eval",
        ),
        (
            lambda root: change(root, "corpusResources/meetings.xml", "nxt_agent", "agent"),
            "meetings.xml: no meeting with a speaker's nxt_agent",
        ),
    ],
    ids="no_audio no_notes no_mix no_headsets no_dev broken overlap old".split(),
)
def test_a_bad_tree_is_refused_with_what_to_do(
    copy: Path, tmp_path: Path, spoil: Callable[[Path], object], said: str
) -> None:
    spoil(copy)
    with pytest.raises(InputError, match=said):
        prepared(copy, tmp_path / "work")


def change(root: Path, name: str, old: str, new: str) -> None:
    path = root / "ami_public_manual_1.6.2" / name
    text = path.read_text("latin-1")
    assert old in text
    path.unlink()  # another name of the tree's own file
    path.write_text(text.replace(old, new), "latin-1")


def test_a_zip_that_was_not_unpacked_is_named(copy: Path, tmp_path: Path) -> None:
    shutil.rmtree(copy / "ami_public_manual_1.6.2")
    (copy / "ami_public_manual_1.6.1.zip").touch()
    with pytest.raises(InputError, match="unpack ami_public_manual_1.6.1.zip there"):
        prepared(copy, tmp_path / "work")


@pytest.mark.parametrize("below", ["", "wav_db"])
def test_audio_may_lie_beside_the_annotations_or_in_wav_db(copy: Path, tmp_path: Path, below: str) -> None:
    for folder in (copy / "amicorpus").iterdir():
        (copy / below).mkdir(exist_ok=True)
        folder.rename(copy / below / folder.name)
    assert (prepared(copy, tmp_path / "work") / "eval" / "segments").is_file()


def test_spans_against_milliseconds_counted_one_by_one() -> None:
    rng = np.random.default_rng(0)
    for _ in range(30):
        mine, theirs = (
            join([(int(at), int(at + length)) for at, length in rng.integers(1, (400, 60), (8, 2))], 0)
            for _ in range(2)
        )
        grid = np.zeros((2, 500), bool)
        for row, spans in enumerate((mine, theirs)):
            for start, end in spans:
                grid[row, start:end] = True
        left = np.zeros(500, bool)
        for start, end in subtract(mine, theirs):
            assert not left[start:end].any()
            left[start:end] = True
        np.testing.assert_array_equal(left, grid[0] & ~grid[1])


def test_an_utterance_never_holds_another_persons_word(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ami_words, "SHORTEST", 1)
    rng = np.random.default_rng(1)
    for _ in range(30):
        mine, theirs = (
            join([(int(at), int(at + size)) for at, size in rng.integers(1, (30000, 3000), (12, 2))], 0)
            for _ in range(2)
        )
        found = utterances(mine, theirs, None)
        assert all(0 < end - start <= 10000 for start, end in found)
        assert subtract(found, theirs) == found
        assert sum(end - start for start, end in subtract(mine, theirs)) <= sum(
            end - start for start, end in found
        )


@pytest.mark.long
def test_the_recipe_runs_from_the_corpus_to_eer_and_der(tmp_path: Path) -> None:
    voices = [path for path in sorted(SPEECH.iterdir()) if path.is_dir()]
    people = sorted({speaker for people in PEOPLE.values() for speaker in people.split()})
    files = {who: sorted(voices[2 * number].iterdir()) for number, who in enumerate(people)}

    def voice(speaker: str, turn: int) -> np.ndarray:
        samples, rate = read_audio(files[speaker][turn % len(files[speaker])])
        assert rate in (16000, 48000)
        samples = samples[:: rate // 16000]
        return 0.3 * np.resize(samples, round(3.2 * 16000)) / np.abs(samples).max()

    corpus = build(tmp_path / "AMI", voice, hand=False)
    settings = {**TINY, "augment.kinds": "noise,speed0.9", "diarize.replicates": "20", "diarize.lda_dim": "4"}
    words = [part for key, value in settings.items() for part in (f"--{key}", value)]
    run_sh("--recipe", "ami", "--corpus", str(corpus), "--work", str(tmp_path / "work"), *words)
    (folder,) = (tmp_path / "work" / "exp").glob("*/results.json")
    results = json.loads(folder.read_text())
    assert set(results["trials"]) == {"eval", "eval.site"}
    diarized = json.loads((folder.parent / "diarize" / "ami" / "results.json").read_text())
    assert "eval-meetings" in json.dumps(diarized)
    assert len(read_rttm(folder.parent / "diarize" / "ami" / "eval-meetings" / "rttm")) == 4

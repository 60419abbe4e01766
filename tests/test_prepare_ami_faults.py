"""egs/ami: what is missing, odd or broken in the corpus is said or refused."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from pysteps.diarize.turns import read_rttm
from pysteps.formats.errors import InputError
from pysteps.formats.tables import read_table
from tests.ami_corpus import build, change, prepared, seconds


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The silent miniature corpus."""
    return build(tmp_path_factory.mktemp("ami") / "AMI corpus")


@pytest.fixture
def copy(tree: Path, tmp_path: Path) -> Path:
    """A corpus to spoil."""
    return Path(shutil.copytree(tree, tmp_path / "copy", copy_function=os.link))


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

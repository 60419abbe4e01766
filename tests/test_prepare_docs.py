"""Commands as docs/own-corpus.md prints them."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest

from pysteps.formats.datadir import DataSet
from pysteps.prepare.sets_command import command
from tests.pipeline import REPO

START = "    python -m pysteps.prepare "


def printed(word: str) -> list[list[str]]:
    lines = (REPO / "docs" / "own-corpus.md").read_text("utf-8").replace("\\\n", "").splitlines()
    return [
        shlex.split(line.removeprefix(START), comments=True)
        for line in lines
        if line.startswith(START + word)
    ]


def test_a_set_behind_stage_audio_is_filtered_and_cut_as_printed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The set as stages prepare and audio leave it: no segments, seconds in audio/16k/utt2dur.
    utts = [f"{who}-{n:02d}" for who in "ab" for n in range(10)]
    (tmp_path / "data/train/audio/16k").mkdir(parents=True)
    (tmp_path / "data/train/wav.scp").write_text("".join(f"{utt} /{utt}.wav\n" for utt in utts))
    (tmp_path / "data/train/utt2spk").write_text("".join(f"{utt} {utt[0]}\n" for utt in utts))
    seconds = "".join(f"{utt} {4 if utt[0] == 'a' else 3 + int(utt[-1]) % 2}\n" for utt in utts)
    (tmp_path / "data/train/audio/16k/utt2dur").write_text(seconds)
    monkeypatch.chdir(tmp_path)
    (words,) = printed("filter")
    command(words)
    assert DataSet(Path("data/long")).speakers() == {"a"}  # b has five of 4 s: fewer than eight
    (words,) = (words for words in printed("subset") if "--share" in words)
    command(words)
    assert len(DataSet(Path("data/tenth")).utt2spk()) in (2, 3)  # of 3 or 4 s, until they are 7.5 of 75 s

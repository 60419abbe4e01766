"""egs/conversations: made-up conversations and the truth about them belong together."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile

from local import conversations
from local.mini import read_tsv
from pysteps.diarize.turns import read_rttm
from pysteps.formats.tables import read_table


@pytest.fixture(scope="module")
def folder(repo: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two short conversations of the evaluation speakers."""
    corpus = repo / "egs" / "mini" / "corpus"
    people = {row["speaker"]: row for row in read_tsv(corpus / "speakers.tsv")}
    rows = [
        row
        for row in read_tsv(corpus / "utterances.tsv")
        if people[row["utterance"].rpartition("-")[0]]["split"] == "eval"
    ]
    folder = tmp_path_factory.mktemp("data") / "eval"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(conversations, "COUNT", 2)
        patch.setattr(conversations, "SECONDS", 12.0)
        conversations.write_conversations(corpus, folder, rows, seed=0)
    return folder


def test_turns_are_where_the_sound_is(folder: Path) -> None:
    for name, path in read_table(folder / "wav.scp").items():
        samples, rate = soundfile.read(path)
        inside = np.zeros(len(samples), bool)
        for turn in read_rttm(folder / "rttm")[name]:
            inside[round(turn.start * rate) : round(turn.end * rate)] = True
        assert np.sqrt(np.mean(samples[inside] ** 2)) == pytest.approx(conversations.LEVEL, rel=0.05)
        assert np.sqrt(np.mean(samples[~inside] ** 2)) < 0.01 * conversations.LEVEL


def test_nobody_follows_himself_or_speaks_with_another(folder: Path) -> None:
    numbers = read_table(folder / "reco2num_spk")
    for name, turns in read_rttm(folder / "rttm").items():
        assert turns[-1].end >= 12.0
        assert len({turn.speaker for turn in turns}) == int(numbers[name])
        for one, two in zip(turns, turns[1:], strict=False):
            assert one.speaker != two.speaker
            assert one.end + 0.09 < two.start


def test_speakers_of_one_conversation_are_of_one_package(folder: Path) -> None:
    for turns in read_rttm(folder / "rttm").values():
        assert len({turn.speaker.split("-")[0] for turn in turns}) == 1

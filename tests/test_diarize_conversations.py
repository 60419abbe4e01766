"""egs/conversations: made-up conversations and the truth about them belong together; the recipe in small."""

from __future__ import annotations

import csv
import json
import re
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import soundfile

from local import conversations
from local.mini import read_tsv
from pysteps.diarize.turns import read_rttm
from pysteps.formats.tables import read_table
from tests.pipeline import TINY, run_sh


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


@pytest.fixture
def small(repo: Path, tmp_path: Path) -> Path:
    """egs/mini's corpus with six training speakers a gender, and four utterances of everybody."""
    corpus, taken, kept = repo / "egs" / "mini" / "corpus", Counter[str](), Counter[str]()
    folder = tmp_path / "corpus"
    folder.mkdir()
    for path in (path for path in corpus.iterdir() if path.is_dir()):
        (folder / path.name).symlink_to(path)
    people = []
    for row in read_tsv(corpus / "speakers.tsv"):
        taken[row["split"] + row["gender"]] += 1
        people += [row] if row["split"] != "train" or taken["train" + row["gender"]] <= 6 else []
    said = []
    for row in read_tsv(corpus / "utterances.tsv"):
        speaker = row["utterance"].rpartition("-")[0]
        kept[speaker] += 1
        if kept[speaker] <= 4 and any(one["speaker"] == speaker for one in people):
            said.append(row)
    for name, rows in (("speakers", people), ("utterances", said)):
        with open(folder / f"{name}.tsv", "w", encoding="utf-8", newline="") as handle:
            writer = csv.DictWriter(handle, list(rows[0]), delimiter="\t", quoting=csv.QUOTE_NONE)
            writer.writeheader()
            writer.writerows(rows)
    return folder


@pytest.mark.long
def test_one_command_from_audio_to_der(small: Path, tmp_path: Path) -> None:
    settings = {**TINY, "egs.repeats": "1", "diarize.shift": "0.96"}
    settings = {key: value for key, value in settings.items() if ".shard_" not in key}
    words = [word for key, value in settings.items() for word in (f"--{key}", value)]
    words += ["--recipe", "conversations", "--corpus", str(small), "--work", str(tmp_path / "work")]
    words += ["--augment", "none", "--nj", "2"]
    done = run_sh(*words)
    found = json.loads(next(tmp_path.glob("work/exp/*/diarize/ahc/results.json")).read_text())
    assert {name: one["role"] for name, one in found["sets"].items()} == {
        "dev-conversations": "development",
        "eval-conversations": "evaluation",
    }
    for name, one in found["sets"].items():
        assert one["recordings"] == 24 and one["windows"] > 24 * 40  # a minute each
        rates = one["rates"]["all"]
        assert 0 < rates["der_ci"][0] < rates["der"] < rates["der_ci"][1] < 100
        assert re.search(rf"{name} +ahc +{rates['der']:.2f} ", done.stdout)
        # The VAD finds nearly all of what is there: what is wrong is who speaks.
        assert rates["missed"] < 5 and rates["false_alarm"] < 5
    assert "eval.package" in done.stdout  # stage 9's table too
    assert run_sh(*words).stdout.count(": fresh") == 11
    # Another method, without a word of what the stages before were made with: nothing is forgotten.
    few = ["--recipe", "conversations", "--work", str(tmp_path / "work"), "--nj", "2", "--stage", "diarize"]
    other = run_sh(*few, "--diarize", "spectral", "--diarize.shift", "0.96")
    assert re.search(r"dev-conversations +spectral +\d", other.stdout) and "eval.package" not in other.stdout
    assert "--models.network.channels 32" in other.stderr
    again = run_sh(*words).stdout  # the report may tell of the other method: stage score may be done again
    assert "train: fresh" in again and "backend: fresh" in again

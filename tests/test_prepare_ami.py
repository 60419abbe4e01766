"""egs/ami: a miniature corpus in AMI's own layout becomes sets whose times were worked out by hand."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from local import ami, ami_words
from local.ami_words import join, subtract, utterances
from pysteps.audio.read import read_audio
from pysteps.diarize.turns import read_rttm, read_uem
from pysteps.formats.run import Run
from pysteps.formats.tables import read_table
from pysteps.prepare.stage import validate
from pysteps.recipe.options import parse
from pysteps.recipe.resolve import resolve
from tests.ami_corpus import PEOPLE, build, prepared, seconds
from tests.pipeline import REPO, SPEECH, TINY, run_sh


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The silent miniature corpus."""
    return build(tmp_path_factory.mktemp("ami") / "AMI corpus")


@pytest.fixture(scope="module")
def data(tree: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """data/ of the miniature corpus."""
    return prepared(tree, tmp_path_factory.mktemp("work"))


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

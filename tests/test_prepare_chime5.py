"""egs/chime5: a miniature of the parties in the owners' layout; utterances and clocks worked out by hand."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from local import chime5
from pysteps.formats.errors import InputError
from pysteps.formats.tables import read_table
from pysteps.prepare.corpus import Corpus
from tests.corpora import RATE, Voices, prepared, results_of

PARTIES = {
    "S03": "P09 P10 P11 P12",
    "S05": "P13 P14 P15 P16",
    "S02": "P05 P06 P07 P08",
    "S01": "P01 P02 P03 P04",
    "S21": "P45 P46 P47 P48",
}
# The beginning of S03.json, as pb_chime5's create_json.py shows it.
FIRST = {
    "end_time": {
        "original": "0:01:0.3800000",
        "U01": "0:01:0.3753125",
        "U02": "0:01:0.3863125",
        "P09": "0:01:0.3802500",
        "P12": "0:01:0.3800000",
    },
    "start_time": {
        "original": "0:00:57.5400000",
        "U01": "0:00:57.5353125",
        "U02": "0:00:57.5463750",
        "P09": "0:00:57.5402500",
        "P12": "0:00:57.5400000",
    },
    "words": "[noise] What were we talking about again? [inaudible 0:00:58.96]",
    "speaker": "P12",
    "session_id": "S03",
}


def set_of(party: str) -> str:
    return next(name for name, parties in chime5.SETS.items() if party in parties)


def clock(seconds: float) -> str:
    return f"{int(seconds // 3600)}:{int(seconds % 3600 // 60):02d}:{seconds % 60:.7f}"


def row(
    party: str, speaker: str, start: float, end: float, words: str = "Yeah, okay.", **more: str
) -> dict[str, Any]:
    """A row of the party; U02's clock is 250 ms ahead, what the speaker wears 10 ms behind."""
    shifts = {"original": 0.0, "U02": 0.25, speaker: -0.01}
    times = [{device: clock(at + by) for device, by in shifts.items()} for at in (start, end)]
    entry: dict[str, Any] = {"end_time": times[1], "start_time": times[0], "words": words}
    entry |= {"speaker": speaker, "session_id": party}
    if set_of(party) != "train":
        entry |= {"ref": "U02", "location": "kitchen"}
    return entry | more


def build(root: Path, voices: Voices, turns: int = 4) -> Path:
    """Everybody says ``turns`` things of 2.5 s, one after the other; S03 has the awkward ones too."""
    for party, people in PARTIES.items():
        rows, length = (
            [],
            int((12.0 * turns + 60) * RATE) if party == "S03" else int((12.0 * turns + 1) * RATE),
        )
        mix = np.zeros(length, np.float32)
        for at, speaker in enumerate(people.split()):
            worn = np.zeros((length, 2), np.float32)
            for turn in range(turns):
                start = 3.0 * (4 * turn + at) + 0.4
                said = voices.samples(speaker, turn, 2.5)
                first = round((start - 0.01) * RATE)
                worn[first : first + len(said), 0] += said
                mix[round((start + 0.25) * RATE) :][: len(said)] += 0.3 * said
                rows.append(row(party, speaker, start, start + 2.5))
            write(root / "audio" / set_of(party) / f"{party}_{speaker}.wav", worn)
        write(root / "audio" / set_of(party) / f"{party}_U02.CH1.wav", mix)
        if party == "S03":
            rows += awkward()
        path = root / "transcriptions" / set_of(party) / f"{party}.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(rows, indent=4))
    return root


def awkward() -> list[dict[str, Any]]:
    return [
        FIRST,  # 57.54 to 60.38, of which P11 leaves 57.54 to 59.9
        row("S03", "P11", 59.9, 63.0),  # alone from 60.38 on
        row("S03", "P10", 70.0, 73.0, "[laughs]"),
        row("S03", "P09", 80.0, 85.0, "I am [redacted]."),
        row("S03", "P09", 72.5, 76.0),  # of which P10's laugh leaves 73.0 to 76.0
        row("S03", "P10", 90.2, 90.1),  # as P45_S21_0356170-0356149 of the corpus
    ]


def write(path: Path, samples: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, samples, RATE)


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The silent miniature."""
    return build(tmp_path_factory.mktemp("chime5") / "CHiME5", Voices(real=False))


@pytest.fixture(scope="module")
def data(tree: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return prepared("chime5", tree, tmp_path_factory.mktemp("work"))


def test_sets_are_the_owners(data: Path) -> None:
    speakers = {
        name: set(read_table(data / name / "spk2utt")) for name in ("train", "dev", "eval", "eval-far")
    }
    assert speakers["train"] == {f"P{number:02d}" for number in range(9, 17)}
    assert speakers["dev"] == {"P05", "P06", "P07", "P08"}
    assert (
        speakers["eval"] == speakers["eval-far"] == {"P01", "P02", "P03", "P04", "P45", "P46", "P47", "P48"}
    )
    assert read_table(data / "dev" / "spk2gender") == {"P05": "f", "P06": "m", "P07": "m", "P08": "f"}
    assert set(read_table(data / "dev" / "utt2session").values()) == {"S02"}


def test_an_utterance_is_what_one_says_alone_by_the_devices_clock(data: Path) -> None:
    segments = read_table(data / "train" / "segments")
    late = {utt: value for utt, value in segments.items() if int(utt.split("-")[2]) >= 55000}
    assert late == {
        "P12-S03-00057540-00059900": "S03_P12 57.540 59.900",
        "P11-S03-00060380-00063000": "S03_P11 60.370 62.990",
        "P09-S03-00073000-00076000": "S03_P09 72.990 75.990",
    }
    assert read_table(data / "train" / "wav.scp")["S03_P12"].endswith("audio/train/S03_P12.wav")


def test_far_is_what_the_named_array_heard(data: Path) -> None:
    segments = read_table(data / "eval-far" / "segments")
    assert segments["P02-S01-U02-00003400-00005900"] == "S01_U02.CH1 3.650 6.150"
    assert segments["P02-S01-00003400-00005900"] == "S01_P02 3.390 5.890"
    devices = read_table(data / "eval-far" / "utt2device")
    assert sorted(set(devices.values())) == ["U02", "worn"] and len(devices) == 64


def trials(path: Path) -> list[tuple[str, str, str]]:
    return [tuple(line.split()) for line in path.read_text().splitlines()]  # type: ignore[misc]


def test_trials_stay_apart_as_they_should(data: Path) -> None:
    party = trials(data / "eval" / "trials.party")
    assert {one.split("-")[1] == two.split("-")[1] for one, two, _ in party} == {True}
    # 8 speakers of 4 utterances: 6 pairs each
    assert sum(kind == "target" for *_, kind in party) == 48
    assert all("-U02-" in one and "-U02-" in two for one, two, _ in trials(data / "eval-far" / "trials"))
    worn = trials(data / "eval-far" / "trials.worn")
    assert all("-U02-" not in one and "-U02-" in two for one, two, _ in worn)
    # of 8 speakers each worn utterance against the other three through the array
    assert sum(kind == "target" for *_, kind in worn) == 8 * 4 * 3
    assert all(two.replace("-U02", "") != one for one, two, _ in worn)


def test_counts_that_differ_and_odd_rows_are_said(
    tree: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    prepared("chime5", tree.parent, tmp_path)  # the folder above will do
    said = capsys.readouterr().err
    assert "warning: CHiME-5 train: 37 utterances, the owners' page has 79,980" in said
    assert "warning: CHiME-5 dev: 1 parties, the owners' page has 2" in said
    assert "warning: S03.json: 1 utterances end before they begin: left out" in said


def test_chime6_has_one_clock(tmp_path: Path) -> None:
    path = tmp_path / "S03.json"
    entry = {**FIRST, "start_time": "0:00:57.5400000", "end_time": "0:01:0.3800000"}
    path.write_text(json.dumps([entry]))
    (piece,), count = chime5.read_party("S03", path)
    assert count == 1 and piece.span("P12") == (57.54, 60.38)


def test_missing_recordings_are_counted(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = build(tmp_path / "CHiME5", Voices(real=False), 2)
    (root / "audio/train/S03_P09.wav").unlink()
    prepared("chime5", root, tmp_path / "work")
    assert (
        "train: 1 recordings are not there (S03_P09): what they heard is left out" in capsys.readouterr().err
    )
    for path in (root / "audio/eval").glob("*_P*.wav"):
        path.unlink()
    with pytest.raises(InputError, match=r"no worn recordings of eval .*released eval's after the challenge"):
        chime5.prepare(Corpus(root), tmp_path / "data", 0)


def test_wrong_folders_are_told(tree: Path, tmp_path: Path) -> None:
    with pytest.raises(
        InputError, match=r"no audio/ with transcriptions/ here.*the folder is empty .*--corpus is"
    ):
        chime5.find(tmp_path)
    (tmp_path / "CHiME5_dev.tgz").touch()
    with pytest.raises(InputError, match="unpack CHiME5_dev.tgz there"):
        chime5.find(tmp_path)
    root = tmp_path / "half"
    (root / "audio").mkdir(parents=True)
    (root / "transcriptions" / "dev").mkdir(parents=True)
    with pytest.raises(InputError, match=r"no transcriptions of train \(S03 .*found dev/"):
        chime5.prepare(Corpus(root), tmp_path / "data", 0)
    (tmp_path / "S02.json").write_text('[{"speaker": "P05"}]')
    with pytest.raises(InputError, match=r"S02.json: no list of .speaker, words"):
        chime5.read_rows(tmp_path / "S02.json")


@pytest.mark.long
def test_the_recipe_runs_from_the_corpus_to_eer(tmp_path: Path) -> None:
    root = build(tmp_path / "CHiME5", Voices(), 5)
    results = results_of("chime5", root, tmp_path / "work")
    assert {"eval", "eval.party", "eval-far", "eval-far.party", "eval-far.worn"} <= set(results["trials"])

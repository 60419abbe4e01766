"""speech: reference: windows wherever the truth has somebody speak, whatever the VAD found."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from pysteps.diarize.extract import geometry_of
from pysteps.diarize.methods import summary
from pysteps.diarize.spoken import SpokenFeatures
from pysteps.diarize.turns import Turn, read_rttm, stretches, write_rttm
from pysteps.diarize.windows import read_windows
from pysteps.diarize.xvectors import method_of
from pysteps.formats.arks import Archive
from pysteps.formats.errors import InputError
from pysteps.formats.tables import read_table
from pysteps.score.results import diarization_file
from tests.conversing import EVAL, done, resolved, sharded

REFERENCE = ("--diarize.speech", "reference")


def test_windows_cover_the_truth_and_nothing_else(repo: Path, conversations: Path) -> None:
    run = resolved(repo, conversations, *REFERENCE)
    path = run.data / EVAL / "rttm"
    truth = read_rttm(path)
    truth[f"{EVAL}-0"] = [Turn(1.0, 2.5, f"{EVAL}x"), Turn(2.5, 4.0, f"{EVAL}y"), Turn(5.0, 99.0, f"{EVAL}x")]
    write_rttm(path, truth)
    found = done(run)
    assert found["speech"] == "reference" and "speech from the reference" in summary(run)
    with Archive() as archive:
        frames = len(archive.array(read_table(run.of("vad", EVAL) / "vad.scp")[f"{EVAL}-0"], "x"))
    times = read_windows(run.exp / "diarize" / f"{EVAL}.reference" / "segments")[f"{EVAL}-0"].times
    spans = stretches([Turn(start, end, "") for start, end in times.tolist()])
    end = (25 / 2 + 10 * (frames - 1) + 5) / 1000  # the turn that goes beyond the recording ends with it
    np.testing.assert_allclose(spans, [(1.0, 4.0), (5.0, end)], atol=0.0011)
    rates = found["sets"][EVAL]["rates"]
    if rates is not None:  # pyannote.metrics is there; the other recordings' turns are whole
        others = [row for name, row in rates["recordings"].items() if name != f"{EVAL}-0"]
        assert all(abs(row["missed"]) < 0.3 and abs(row["false_alarm"]) < 0.3 for row in others)


def test_the_frames_are_the_truth_s_normalised_over_themselves(repo: Path, conversations: Path) -> None:
    run, name = resolved(repo, conversations, *REFERENCE), f"{EVAL}-1"
    write_rttm(
        run.data / EVAL / "rttm", {name: [Turn(0.5, 1.0, "a"), Turn(0.8, 1.2, "b"), Turn(2.0, 2.1, "a")]}
    )
    with Archive() as archive:
        stored = archive.array(read_table(run.of("features", EVAL) / "feats.scp")[name], name)
    middles = np.arange(len(stored)) * 0.01 + 0.0125
    inside = ((middles >= 0.5) & (middles < 1.2)) | ((middles >= 2.0) & (middles < 2.1))
    expected = stored[inside] - stored[inside].mean(axis=0, dtype=np.float64)
    with SpokenFeatures(run, EVAL, *geometry_of(run)) as spoken:
        np.testing.assert_allclose(spoken.matrix(name), expected, atol=1e-5)
        assert spoken.decided(f"{EVAL}-2").sum() == 0  # nobody speaks there


def test_both_kinds_of_speech_stand_side_by_side(repo: Path, conversations: Path) -> None:
    assert done(resolved(repo, conversations))["speech"] == "vad"
    other = resolved(repo, conversations, *REFERENCE)
    sharded(other)
    folder = other.exp / "diarize"
    with_vad, with_truth = ((folder / name / "segments").read_text() for name in (EVAL, f"{EVAL}.reference"))
    assert with_vad != with_truth
    assert [unit.stale() for unit in _windows(repo, conversations)] == [None, None]


def test_the_report_takes_the_rates_of_the_speech_that_was_asked_for(repo: Path, conversations: Path) -> None:
    run = resolved(repo, conversations, *REFERENCE)
    done(run)
    assert diarization_file(run) == method_of(run) / "results.json"
    (run.exp / "diarize" / f"{EVAL}.reference" / ".diarize.done.json").unlink()
    assert diarization_file(run) is None


def _windows(repo: Path, conversations: Path) -> list:
    from pysteps.diarize import xvectors

    return xvectors.units(resolved(repo, conversations))


def test_a_recording_in_which_nobody_speaks_is_dropped_and_said(repo: Path, conversations: Path) -> None:
    run = resolved(repo, conversations, *REFERENCE)
    truth = read_rttm(run.data / EVAL / "rttm")
    del truth[f"{EVAL}-1"]
    write_rttm(run.data / EVAL / "rttm", truth)
    sharded(run)
    folder = run.exp / "diarize" / f"{EVAL}.reference"
    assert "no stretch of speech" in read_table(folder / "dropped")[f"{EVAL}-1"]
    assert f"{EVAL}-1" not in read_windows(folder / "segments")


def test_a_set_without_a_truth_is_refused(repo: Path, conversations: Path) -> None:
    run = resolved(repo, conversations, *REFERENCE)
    (run.data / EVAL / "rttm").unlink()
    with pytest.raises(InputError, match=r"rttm: .*speech reference takes.*--diarize.speech vad"):
        sharded(run)

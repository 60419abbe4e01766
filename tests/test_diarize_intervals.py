"""Intervals of DER and JER over recordings: two recordings enumerated, many against the normal law."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pysteps.diarize.intervals import with_intervals


def judged(*rows: tuple[float, float, float, int]) -> dict[str, Any]:
    """What judge returns of recordings with (error seconds, speech seconds, JER, speakers)."""
    keys = ("error_seconds", "speech_seconds", "jer", "scored_speakers")
    return {
        "all": {},
        "recordings": {f"r{n}": dict(zip(keys, row, strict=True)) for n, row in enumerate(rows)},
    }


# 1 of 10 s and 12 of 30 s wrong: both in a draw give 13 of 40 s. 2 and 4 speakers: 0.2 2 + 0.5 4 of 6.
TWO = judged((1, 10, 20, 2), (12, 30, 50, 4))


@pytest.mark.parametrize(("level", "der", "jer"), [(0.6, (10, 40), (20, 50)), (0.4, (32.5, 32.5), (40, 40))])
def test_two_recordings_have_three_draws(
    level: float, der: tuple[float, float], jer: tuple[float, float]
) -> None:
    # The first twice, one of each, the second twice, with 1/4, 1/2 and 1/4: the percentiles at 20 and 80 %
    # are the ends, those at 30 and 70 % the middle.
    found = with_intervals(TWO, replicates=2000, level=level)["all"]
    assert found["der_ci"] == pytest.approx(der)
    assert found["jer_ci"] == pytest.approx(jer)


def test_of_many_recordings_it_is_the_interval_of_a_mean() -> None:
    # Equal lengths: the DER is the mean of the recordings' own, whose error is their deviation / sqrt(400).
    shares = np.random.default_rng(1).normal(20, 5, 400)
    found = with_intervals(judged(*((share, 100, share, 1) for share in shares)), replicates=4000)
    for low, high in (found["all"]["der_ci"], found["all"]["jer_ci"]):
        assert (low + high) / 2 == pytest.approx(shares.mean(), abs=0.05)
        assert (high - low) / 2 == pytest.approx(1.96 * shares.std() / 20, rel=0.06)
    assert found["notes"] == []


def test_draws_depend_on_seed_alone() -> None:
    many = judged(*((share, 100, share, 1) for share in range(12)))
    assert with_intervals(many, seed=3) == with_intervals(many, seed=3)
    assert with_intervals(many, seed=3) != with_intervals(many, seed=4)


def test_few_recordings_are_said_and_one_has_no_interval() -> None:
    assert with_intervals(TWO)["notes"] == ["2 recordings: below 10 an interval over them says little"]
    one = with_intervals(judged((1, 10, 20, 2)))
    assert one["all"] == {"der_ci": None, "jer_ci": None}
    assert one["notes"] == ["one recording: no intervals"]


def test_a_recording_without_speech_adds_its_false_alarms_and_no_nan() -> None:
    # Draws of the silent one alone have no rate. The others: 1 to 3 of 10 s, with silence (2 s) more.
    found = with_intervals(judged((1, 10, 20, 1), (3, 10, 20, 1), (2, 0, None, 0)), level=0.999)["all"]
    assert found["der_ci"] == pytest.approx([10, 100 * (3 + 2 * 2) / 10])
    assert found["jer_ci"] == pytest.approx([20, 20])


def test_evaluate_prints_them_as_a_table_or_json(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("pyannote.metrics", reason="pip install -r requirements/diarize.txt")
    from pysteps.diarize.__main__ import main

    # Recordings of 10 and 30 s of one speaker, of which 1 and 12 s are missed.
    line = "SPEAKER {} 1 {} {} <NA> <NA> A <NA> <NA>\n".format
    (tmp_path / "ref").write_text(line("r1", 0, 10) + line("r2", 0, 30))
    (tmp_path / "hyp").write_text(line("r1", 1, 9) + line("r2", 12, 18))
    words = ["--reference", str(tmp_path / "ref"), "--hypothesis", str(tmp_path / "hyp")]
    main(["evaluate", *words])
    printed = capsys.readouterr().out
    assert "95 % intervals over 2 recordings: DER 10.00 - 40.00, JER 10.00 - 40.00" in printed
    assert "note: 2 recordings" in printed
    main(["evaluate", *words, "--json"])  # as in score and identify: instead of the table
    found = json.loads(capsys.readouterr().out)["all"]
    assert found["der"] == pytest.approx(32.5) and found["der_ci"] == pytest.approx([10, 40])

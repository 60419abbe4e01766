"""Kaldi's filters before egs, as options of the stage: who is left in the plan, and what makes egs stale."""

from __future__ import annotations

from pathlib import Path

import pytest

from pysteps.egs import stage
from pysteps.formats.tables import read_table, write_table
from pysteps.recipe.options import parse
from pysteps.recipe.resolve import resolve
from tests.pipeline import REPO
from tests.test_egs_audio import tiny_run


def test_short_utterances_go_and_then_speakers_with_few(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = [
        "--egs.min_utterance_seconds",
        "1.2",
        "--egs.min_speaker_utterances",
        "2",
        "--egs.valid_share",
        "0",
    ]
    run = tiny_run(tmp_path, *words)
    path = run.of("vad", "train") / "utt2num_voiced"
    short = {"s0-0", "s1-0", "s1-1"}  # of three each: s0 keeps two, s1 has one left
    write_table(path, {utt: "119" if utt in short else "120" for utt in read_table(path)})
    (unit,) = stage.units(run)
    stage.items(run, unit)
    assert read_table(run.egs / "filtered").keys() == {*short, "s1-2"}
    assert read_table(run.egs / "speakers").keys() == {"s0", "s2", "s3", "s4", "s5"}
    planned = {
        line.split()[2] for plan in (run.egs / "plan").iterdir() for line in plan.read_text().splitlines()
    }
    assert planned == read_table(path).keys() - {*short, "s1-2"}
    assert "4 of 18 utterances, copies counted, are left out by filters" in capsys.readouterr().err


def test_filters_that_are_not_used_are_not_in_the_stamp(tmp_path: Path) -> None:
    def options(*words: str) -> dict[str, object]:
        (unit,) = stage.units(resolve(REPO, parse(["--recipe", "folder", "--work", str(tmp_path), *words])))
        return unit.options

    assert "min_utterance_seconds" not in options()
    assert options("--egs.min_utterance_seconds", "4")["min_utterance_seconds"] == 4.0

"""--dry-run's disk of stage diarize against du, on made-up conversations."""

from __future__ import annotations

from pathlib import Path

from pysteps.formats import arks
from pysteps.formats.run import Run
from pysteps.formats.tables import read_table, write_table
from pysteps.recipe.disk import Estimate
from tests.conversing import done, prepare, resolved
from tests.test_recipe_disk import du


def say_lengths(run: Run) -> None:
    """What stages prepare and audio would have left: the conversations begin with their features."""
    with arks.Archive() as archive:
        for name in run.conversation_sets:
            vad = read_table(run.of("vad", name) / "vad.scp")
            seconds = {recording: len(archive.array(vad[recording], recording)) / 100 for recording in vad}
            write_table(run.data / name / "wav.scp", {recording: "x.wav" for recording in vad})
            lengths = {recording: f"{value:.2f}" for recording, value in seconds.items()}
            write_table(run.of("audio", name) / "utt2dur", lengths)


def test_the_estimate_of_diarization_is_within_a_fifth_of_what_du_says(repo: Path, tmp_path: Path) -> None:
    run = resolved(repo, prepare(repo, tmp_path / "work"))
    say_lengths(run)
    said = Estimate(run).stage("diarize")
    done(run)
    took = du(run.exp / "diarize")
    assert said is not None and abs(said / took - 1) < 0.2, f"{said} for {took}"

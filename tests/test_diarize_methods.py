"""Diarization's summary: all methods that still hold, side by side, from whatever folder it is asked."""

from __future__ import annotations

from pathlib import Path

import pytest

from pysteps.diarize import stage
from pysteps.diarize.extract import extract_windows
from pysteps.diarize.methods import methods, summary
from pysteps.diarize.options import DiarizeOptions
from pysteps.formats import checkout
from pysteps.formats.run import Run
from pysteps.formats.tables import read_table
from tests.conversing import DEV, EVAL, copied, done, prepare, resolved

pytest.importorskip("pyannote.metrics", reason="pip install -r requirements/diarize.txt")


@pytest.fixture(scope="module")
def prepared(repo: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return prepare(repo, tmp_path_factory.mktemp("work"))


def test_methods_stand_side_by_side_the_run_s_own_first(repo: Path, prepared: Path, tmp_path: Path) -> None:
    work = copied(prepared, tmp_path / "work")
    figures = {name: done(resolved(repo, work, "--diarize", name)) for name in ("ahc", "spectral")}
    lines = summary(resolved(repo, work, "--diarize", "spectral")).splitlines()
    rows = [line.split() for line in lines[1:5]]
    assert [row[:2] for row in rows] == [[one, m] for one in (DEV, EVAL) for m in ("spectral", "ahc")]
    for name, method, der, *_ in rows:
        assert der == f"{figures[method]['sets'][name]['rates']['all']['der']:.2f}"
    tuned = [line for line in lines if "threshold" in line]
    assert len(tuned) == 1 and tuned[0].startswith("ahc: threshold ")
    assert sum(line.startswith("collar 0 s") for line in lines) == 1  # scored alike: said once
    notes = [line for line in lines if line.startswith(f"{EVAL}: 5 recordings: below 10")]
    assert len(notes) == 1

    done(resolved(repo, work, "--diarize", "spectral", "--diarize.collar", "0.25"))
    said = summary(resolved(repo, work, "--diarize", "spectral"))
    assert "\nspectral: collar 0.25 s" in said and "\nahc: collar 0 s" in said


def test_a_method_of_windows_that_are_gone_is_left_out_and_said(
    repo: Path, prepared: Path, tmp_path: Path
) -> None:
    work = copied(prepared, tmp_path / "work")
    done(resolved(repo, work))
    run = resolved(repo, work, "--diarize", "spectral", "--diarize.shift", "0.5")
    done(run)
    found, left_out = methods(run)
    assert list(found) == ["spectral"] and list(left_out) == ["ahc"] and "changed" in left_out["ahc"]
    said = summary(run)
    assert (
        f"\n{EVAL:24s} ahc" not in said
        and "\nahc: out of date (" in said
        and "--diarize ahc makes it" in said
    )
    old = summary(resolved(repo, work))
    assert "ahc: out of date" in old and f"\n{EVAL:24s} ahc" in old  # the run's own is shown all the same


def test_another_folder_gives_the_same_summary_and_windows(
    repo: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = tmp_path / "checkout"
    (tmp_path / "elsewhere").mkdir()
    root.mkdir()
    monkeypatch.setattr(checkout, "CHECKOUT", root)
    monkeypatch.chdir(root)
    prepare(repo, Path("egs"))
    run = resolved(repo, Path("egs"))
    done(run)
    run.save(run.exp / "run.json")
    here = summary(run)
    monkeypatch.chdir(tmp_path / "elsewhere")
    there = Run.load(root / run.exp)
    assert summary(there) == here
    assert [unit.stale() for unit in stage.units(there)] == [None] * 6
    extract_windows(there, EVAL, Path("x"), DiarizeOptions(**run.options["diarize"]))
    assert read_table("x/segments") == read_table(there.exp / "diarize" / EVAL / "segments")

"""What a stage's command line says while it works."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest

from pysteps.formats import command
from pysteps.formats.stamps import Unit


@pytest.mark.parametrize(("rank", "lines"), [("0", 2), ("1", 0)])
def test_of_torchruns_processes_the_first_one_speaks(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    rank: str,
    lines: int,
) -> None:
    unit = Unit(name="model", stage="train", folder=tmp_path, version=1, options={})
    stage = SimpleNamespace(NAME="train", units=lambda run: [unit], do=lambda run, unit: None)
    monkeypatch.setenv("RANK", rank)
    command.single(stage, SimpleNamespace())  # type: ignore[arg-type]
    said = capsys.readouterr()
    assert said.out == "" and len(said.err.splitlines()) == lines  # why it is done, and that it is done
    assert unit.stale() is None

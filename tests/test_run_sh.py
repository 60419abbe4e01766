"""run.sh itself, with a Python that says the settings and does nothing else."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.pipeline import REPO

STAND_IN = """#!/bin/bash
case "$*" in
  "-m pysteps.recipe") printf '%s\\n' "$SETTINGS" >&3 ;;
  "-m pysteps.recipe.clean"*) printf '%s|' "${@:3}" >"$SAID" ;;
  *) exec "$REAL" "$@" ;;
esac
"""


@pytest.fixture
def work(tmp_path: Path) -> Path:
    """A work folder with a space and an umlaut, whose run is resolved as it was before."""
    folder = tmp_path / "a b ö"
    run = folder / "exp" / "t" / "run.json"
    run.parent.mkdir(parents=True)
    for path in (run, folder / "resolved"):
        path.write_text("{}\n")
    (folder / "python").write_text(STAND_IN)
    (folder / "python").chmod(0o755)
    return folder


def run_sh(work: Path, **more: str) -> None:
    """Stage prepare, which is fresh; ``more``: settings."""
    settings: dict[str, object] = {"run": work / "exp" / "t" / "run.json", "resolved": work / "resolved"}
    settings |= {
        "work": work,
        "cmd": "local",
        "fresh": "prepare",
        "first": "prepare",
        "last": "prepare",
        **more,
    }
    told = {"SETTINGS": "\n".join(f"{name}={shlex.quote(str(value))}" for name, value in settings.items())}
    told |= {"SAID": str(work / "said"), "REAL": sys.executable, "PYTHON": str(work / "python")}
    told |= {"XDG_CACHE_HOME": str(work / "cache"), "LC_ALL": "C"}
    subprocess.run([str(REPO / "run.sh")], env={**os.environ, **told}, check=True, timeout=60)


def test_products_whose_names_have_blanks_are_restored(work: Path) -> None:
    run_sh(work, restore="audio:train\negs:two words_fbank")
    said = (work / "said").read_bytes().decode()
    assert said == f"{work / 'exp/t/run.json'}|--restore|audio:train|egs:two words_fbank|"


@pytest.mark.parametrize(
    ("changed", "more", "left"),
    [
        (False, {}, ["audio.json", "part"]),
        (True, {}, []),  # its jobs would do something else
        (False, {"force": "1"}, []),
        (False, {"cmd": "local"}, []),
    ],
)
def test_what_a_killed_run_has_queued_stays_for_the_stage_that_goes_on_with_it(
    work: Path, changed: bool, more: dict[str, str], left: list[str]
) -> None:
    queued = work / "exp" / "t" / "log" / ".slurm"
    queued.mkdir(parents=True)
    for name in ("audio", "vad"):
        (queued / f"{name}.json").write_text('{"mark": "", "arrays": []}')
    part = work / ".x.ark.part.node17.1.0"  # its job may be writing it
    part.touch()
    os.utime(part, (time.time() - 4000,) * 2)
    if changed:
        (work / "resolved").write_text('{"other": 1}\n')
    run_sh(work, **{"cmd": "slurm", "next": "audio", **more})
    found = sorted(path.name for path in queued.iterdir())
    assert found + ["part"] * part.exists() == left

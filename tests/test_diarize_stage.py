"""Stage diarize on recordings of seconds: its products at any width, and what is done again when."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from pysteps.diarize import speakers, stage, xvectors
from pysteps.diarize.xvectors import method_of
from pysteps.formats import command
from pysteps.formats.errors import InputError
from pysteps.formats.stamps import Unit
from pysteps.formats.tables import read_table
from tests.conversing import DEV, EVAL, done, products, resolved, sharded


def test_the_same_bytes_at_any_width_and_after_an_interruption(repo: Path, conversations: Path) -> None:
    run = resolved(repo, conversations)
    done(run)
    first = products(run)
    expected = {f"ahc/{EVAL}/rttm", "ahc/threshold.json", f"{EVAL}/xvector.3.ark", f"{DEV}/segments"}
    assert expected <= first.keys()
    shutil.rmtree(run.exp / "diarize")
    _, todo = command.plan(xvectors, run)
    command.job(xvectors, run, todo, 2, 3)  # of five shards: the second and the last
    waiting, _ = command.plan(xvectors, run)
    assert waiting == 3
    with pytest.raises(InputError, match="shards are not done"):
        command.gather(xvectors, run)
    done(run, jobs=2)
    assert products(run) == first


def test_only_what_changed_is_redone(repo: Path, conversations: Path) -> None:
    done(resolved(repo, conversations))

    def reasons(*words: str) -> dict[str, str]:
        run = resolved(repo, conversations, *words)
        found = {unit.name: unit.stale() for unit in stage.units(run)}
        return {name: why for name, why in found.items() if why}

    assert reasons("--diarize.threshold", "0.3") == {}  # the tuned one stands for it
    assert set(reasons("--diarize.fa", "0.3", "--diarize.max_dropped", "0.5")) == set()
    assert reasons("--diarize.collar", "0.25").keys() == {"threshold", "results"}
    assert reasons("--diarize.window", "0.9")[EVAL] == "window: 0.8 -> 0.9"
    # Another method on the same windows, beside the first.
    assert reasons("--diarize", "spectral").keys() == {"threshold", f"{DEV}.rttm", f"{EVAL}.rttm", "results"}
    spectral = done(resolved(repo, conversations, "--diarize", "spectral"))
    assert spectral["threshold"]["why"] == "spectral clustering has none"
    assert reasons() == {} and (conversations / "exp").is_dir()


def test_vbx_takes_the_back_end_with_a_plda(repo: Path, conversations: Path) -> None:
    run = resolved(repo, conversations, "--diarize", "vbx", "--diarize.tune", "false")
    found = done(run)
    assert found["backend"] == "plda" and found["threshold"]["why"] == "--diarize.tune false"
    (run.exp / "backend" / "plda" / "plda").unlink()
    assert "plda is missing" in next(why for why in (unit.stale() for unit in speakers.units(run)) if why)


def test_too_many_windows_too_short_stop_the_stage(repo: Path, conversations: Path) -> None:
    words = ("--diarize.least_window", "0.01", "--diarize.window", "0.3", "--diarize.shift", "0.3")
    run = resolved(repo, conversations, *words, "--diarize.max_dropped", "0")
    with pytest.raises(InputError, match=r"dropped \d+ of \d+ windows.*allowed 0.0%.*--diarize.max_dropped"):
        sharded(run)


def test_windows_are_in_order_whatever_recordings_are_called(repo: Path, tmp_path: Path) -> None:
    # "a" and "a-0": a window of the second sorts before those of the first.
    run = resolved(repo, tmp_path)
    (tmp_path / "out").mkdir()
    lines = {name: f"{name[:-18]} 1.000 2.000" for name in ("a-00001000-00002000", "a-0-00001000-00002000")}
    for table in ("segments", "xvector.scp"):
        (tmp_path / "out" / table).write_text("".join(f"{key} {value}\n" for key, value in lines.items()))
    (tmp_path / "out" / "dropped").write_text("")
    xvectors.conclude(run, Unit("x", "diarize", tmp_path / "out", 1, {}))
    assert list(read_table(tmp_path / "out" / "segments")) == sorted(lines) != list(lines)


def test_only_jobs_import_torch(repo: Path, conversations: Path) -> None:
    run = resolved(repo, conversations)
    run.save(conversations / "run.json")
    code = (
        "import sys\nfrom pathlib import Path\nfrom pysteps.formats import command\n"
        "from pysteps.formats.run import Run\nfrom pysteps.diarize import speakers, stage, xvectors\n"
        f"run = Run.load(Path({str(conversations / 'run.json')!r}))\n"
        "stage.units(run)\ncommand.plan(xvectors, run)\nprint('torch' in sys.modules)\n"
    )
    said = subprocess.run([sys.executable, "-c", code], cwd=repo, capture_output=True, text=True, check=True)
    assert said.stdout == "False\n"


def test_turns_follow_the_threshold_the_back_end_and_the_windows(repo: Path, conversations: Path) -> None:
    run = resolved(repo, conversations)
    done(run)
    turns = f"{EVAL}.rttm"

    def stale(one: str) -> str | None:
        return next(unit for unit in stage.units(run) if unit.name == one).stale()

    for path in (method_of(run) / "threshold.json", run.exp / "backend" / "cosine" / "chain.json"):
        text = path.read_text()
        path.write_text(text + "\n")
        assert stale(turns) == f"{path} changed"
        path.write_text(text)
    assert stale(turns) is None
    (run.exp / "diarize" / EVAL / ".diarize.done.json").write_text("{}")  # windows made anew
    assert "done.json changed" in (stale(turns) or "")

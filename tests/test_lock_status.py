"""--status names who works in the folder and what is queued; a folder that cannot be written is named."""

from __future__ import annotations

import json
import os
import socket
import time
from pathlib import Path

import pytest

from pysteps.formats import scratch
from pysteps.formats.errors import InputError
from pysteps.formats.run import Run
from pysteps.recipe.checks import writable
from pysteps.recipe.holder import at_work
from pysteps.recipe.options import parse
from pysteps.recipe.resolve import resolve
from pysteps.recipe.resume import Kept


@pytest.fixture
def run(repo: Path, tmp_path: Path) -> Run:
    return resolve(repo, parse(["--recipe", "mini", "--work", str(tmp_path / "a b"), "--tag", "t"]))


def leased(run: Run, line: str, seconds_ago: float = 0.0) -> None:
    lease = Path(run.work) / ".lease"
    lease.parent.mkdir(exist_ok=True)
    lease.write_text(line + "\n")
    os.utime(lease, (time.time() - seconds_ago,) * 2)


def test_nobody_at_work_is_no_line(run: Run) -> None:
    assert at_work(run) == []


def test_the_holder_is_named(run: Run) -> None:
    leased(run, "node17 4242 99 0")
    assert at_work(run) == ["  at work here: process 4242 on node17, Slurm job 99"]
    leased(run, f"{socket.gethostname()} {os.getpid()} - 0", seconds_ago=1000)
    assert at_work(run) == [f"  at work here: process {os.getpid()} on {socket.gethostname()}"]


@pytest.mark.parametrize(
    ("line", "age"), [("node17 4242 - 0", 100), (f"{socket.gethostname()} 99999999 - 0", 0)]
)
def test_a_holder_that_is_gone_is_said_to_be(run: Run, line: str, age: float) -> None:
    leased(run, line, age)
    (said,) = at_work(run)
    assert "is gone: start again and it goes on" in said


def test_arrays_of_both_schedulers_are_named(run: Run) -> None:
    slurm = run.exp / "log" / ".slurm"
    slurm.mkdir(parents=True)
    entries = [["train.ab", "/f", [1], "38"], ["train.cd", "/f", [1, 2], None]]
    (slurm / "train.json").write_text(json.dumps({"mark": "x", "arrays": entries}))
    (run.exp / "log" / ".sge" / "vad" / "vad.ef").mkdir(parents=True)
    assert at_work(run) == [
        "  train: Slurm array 38, 1 job (see squeue --me)",
        "  train: Slurm array train.cd, 2 jobs (see squeue --me)",
        "  vad: Grid Engine array vad.ef (see qstat)",
    ]


@pytest.mark.parametrize("text", ["", "{", "{}", '{"arrays": [[1]]}', '{"arrays": 7}', "[]"])
def test_a_damaged_record_is_no_line(run: Run, text: str) -> None:
    record = run.exp / "log" / ".slurm" / "vad.json"
    record.parent.mkdir(parents=True)
    record.write_text(text)
    assert at_work(run) == []


def test_a_work_folder_that_cannot_be_is_named_with_its_option(run: Run, tmp_path: Path) -> None:
    (tmp_path / "a b").write_text("a file")
    with pytest.raises(InputError, match=r"a b: cannot be written: .*--work"):
        writable(run)


def test_a_scratch_that_cannot_be_is_named_with_its_option(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    with (
        pytest.raises(InputError, match=r"file.*cannot be made: .*--scratch"),
        scratch.near(tmp_path, ["x"], tmp_path / "file"),
    ):
        pass


def test_what_is_taken_over_can_be_pasted(capsys: pytest.CaptureFixture[str]) -> None:
    then = {
        "backends": {"cosine": "center | cosine", "lda": "lda 9 | cosine"},
        "trials": 5,
        "sets": ["a", "b"],
    }
    plain = {"backends": {"cosine": "center | cosine", "lda": "lda 3 | cosine"}, "trials": 5, "sets": ["a"]}
    Kept(options={"backend": then}, where=Path("run.json")).say({"backend": then}, {"backend": plain})
    said = capsys.readouterr().err
    assert said == (
        "taken over from run.json: --backend.backends.lda 'lda 9 | cosine' --backend.sets '[\"a\", \"b\"]'\n"
    )

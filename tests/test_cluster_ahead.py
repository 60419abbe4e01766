"""A site's mistakes, told before the first job: settings, programs, what Slurm refuses; why jobs wait."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from pysteps.formats.errors import InputError
from pysteps.formats.names import MORE, STAGES
from pysteps.recipe.plan import refuse_launcher
from tests import stand_in_slurm
from tests.slurm import Launcher, wait_for, work_folder

HOW = {"cmd": "slurm", "nj": "4", "ngpu": "1", "nodes": "1"}
ALL = [*STAGES, *MORE]
Check = Callable[..., None]


@pytest.fixture
def site(repo: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A checkout's steps and settings to spoil, with a stand-in for Slurm in PATH: its folder of settings."""
    root = tmp_path / "checkout"
    for name in ("steps", "conf/cluster"):
        shutil.copytree(repo / name, root / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(repo / "path.sh", root)
    shutil.copy(repo / "requirements.txt", root)
    path = os.pathsep.join([str(stand_in_slurm.install(tmp_path / "slurm")), os.environ["PATH"]])
    monkeypatch.setenv("PATH", path)
    monkeypatch.setenv("SLURM_STAND_IN", str(tmp_path / "slurm"))
    monkeypatch.setenv("PYTHON", sys.executable)
    monkeypatch.setenv("TIMBRE_PYTHON_SEEN", sys.executable)
    monkeypatch.chdir(root)
    return root / "conf" / "cluster"


def check(stages: list[str], work: str = "w", **how: str) -> None:
    refuse_launcher(stages, {**HOW, **how}, Path(work) / "exp" / "t" / "run.json")


@pytest.mark.parametrize(
    ("cmd", "line", "said"),
    [
        ("slurm", "cpu:\n  partitoin: x\n", "unknown key cpu.partitoin"),
        ("sge", "grace: soon\n", "grace cannot be 'soon'"),
        ("local", "max_jobs: 2\n", "only max_jobs_run is known"),
    ],
)
def test_a_misspelt_setting_is_told_before_any_job(site: Path, cmd: str, line: str, said: str) -> None:
    check(["vad"], cmd=cmd)
    (site / f"{cmd}.yaml").write_text(line)
    with pytest.raises(InputError, match=said):
        check(["vad"], cmd=cmd)


def test_memory_for_what_is_no_fan_out_is_refused(site: Path) -> None:
    (site / "slurm.yaml").write_text("mem:\n  featrues: 8\n")
    with pytest.raises(
        InputError, match=r"mem\.featrues: there is no fan-out featrues; known: prepare audio"
    ):
        check(["features"])


def test_a_program_that_is_not_there_is_told_before_any_job(site: Path) -> None:
    with pytest.raises(InputError, match="--cmd 'slrum': there is no such program"):
        check(["vad"], cmd="slrum")


def test_a_work_folder_that_kaldis_programs_cannot_take_is_refused(site: Path) -> None:
    (site / "own.pl").write_text("#!/bin/sh\n")
    (site / "own.pl").chmod(0o755)
    check(["vad"], "plain", cmd="conf/cluster/own.pl")
    with pytest.raises(InputError, match="own.pl reads the command with a shell"):
        check(["vad"], "a b", cmd="conf/cluster/own.pl")


def test_slurm_is_asked_once_for_all_that_ask_the_same(site: Path, tmp_path: Path) -> None:
    (site / "slurm.yaml").write_text("gpu:\n  partition: fast\nio:\n  jobs: egs\n  partition: copy\n")
    check(["vad", "augment", "features", "egs", "extract"])
    asked = [json.loads(path.read_text()) for path in sorted((tmp_path / "slurm").glob("tested.*"))]
    asks = [
        [stand_in_slurm.value(words, name) for name in ("--job-name", "--mem", "--partition", "--gres")]
        for words in asked
    ]
    assert asks == [
        ["vad", "", "", ""],
        ["features", "4096M", "", ""],
        ["egs", "4096M", "copy", ""],
        ["extract", "4096M", "fast", "gpu:1"],
    ]
    assert not list((tmp_path / "slurm").glob("submitted.*"))


def test_what_slurm_would_not_take_is_told_with_the_ask_and_its_place(site: Path, tmp_path: Path) -> None:
    (tmp_path / "slurm" / "refuse").write_text("invalid partition specified: fsat")
    (site / "slurm.yaml").write_text("gpu:\n  partition: fsat\n")
    with pytest.raises(InputError) as said:
        check(["train"], nodes="2")
    words = str(said.value)
    assert "would refuse train: sbatch: error: invalid partition specified: fsat" in words
    assert "--nodes=2" in words and "--gres=gpu:1" in words and "--partition=fsat" in words
    assert "edit conf/cluster/slurm.yaml, section gpu: (memory: mem:), or give ./run.sh another" in words


def test_a_controller_that_is_away_is_an_error_at_the_start(site: Path, tmp_path: Path) -> None:
    (tmp_path / "slurm" / "down").touch()
    with pytest.raises(InputError, match="sbatch cannot be reached: .*Unable to contact"):
        check(["vad"])


def test_nodes_that_are_busy_now_refuse_nothing(
    site: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "slurm" / "refuse").write_text("allocation failure: Requested nodes are busy")
    check(["vad"])
    assert "vad would have to wait" in capfd.readouterr().err


def test_a_node_that_is_missing_refuses_unless_one_is_out_of_use(
    site: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    words = "allocation failure: Requested node configuration is not available"
    (tmp_path / "slurm" / "refuse").write_text(words)
    with pytest.raises(InputError, match="would refuse vad"):
        check(["vad"])
    (tmp_path / "slurm" / "drained").touch()
    check(["vad"])
    assert "vad would have to wait (see sinfo -R)" in capfd.readouterr().err


def test_the_names_of_fan_outs_are_those_of_the_steps(site: Path, repo: Path) -> None:
    run = Path("w/exp/t/run.json")
    run.parent.mkdir(parents=True)
    (run.parent / "report.html").touch()  # then stage diarize adds to it
    names = set()
    for stage in ALL:
        line = ["bash", f"steps/{stage}.sh", "--run", str(run), "--dry-run", "1"]
        said = subprocess.run(line, capture_output=True, text=True, check=True).stdout
        logs = [word for word in said.split("\0") if word.endswith(".log")]
        names |= {Path(log).name.removesuffix(".log").removesuffix(".TIMBREJOB") for log in logs}
    known = (repo / "steps" / "cmd" / "sbatch.py").read_text()
    scope: dict[str, tuple[str, ...]] = {}
    exec("\n".join(line for line in known.splitlines() if line.startswith("FAN_OUTS")), scope)  # noqa: S102
    assert names == set(scope["FAN_OUTS"])


@pytest.fixture
def launch(tmp_path: Path) -> Launcher:
    path = os.pathsep.join([str(stand_in_slurm.install(tmp_path / "slurm")), os.environ["PATH"]])
    clean = {name: value for name, value in os.environ.items() if not name.startswith("TIMBRE_")}
    return Launcher(work_folder(tmp_path), {**clean, "PATH": path, "SLURM_STAND_IN": str(tmp_path / "slurm")})


def test_a_job_that_can_never_start_is_told_once_with_its_number(launch: Launcher, tmp_path: Path) -> None:
    process = launch.start("--nodes", 3, "log/train.log", "true")
    wait_for(lambda: list(tmp_path.glob("slurm/jobs/*")))
    (job,) = tmp_path.glob("slurm/jobs/*")
    name = json.loads(job.read_text())["name"]
    job.write_text(json.dumps({"name": name, "tasks": {"0": "PENDING PartitionConfig"}}))
    lines = [process.stderr.readline() for _ in range(2)]
    time.sleep(1.0)  # several more looks at the queue
    process.terminate()
    rest = process.communicate(timeout=30)[1]
    assert lines[0] == "train: Slurm array 1, 1 job, log log/train.log\n"
    assert lines[1].startswith("slurm: train: job 1_0 waits (PartitionConfig): its partition does not give")
    assert "--nodes=3" in lines[1] and "section cpu" in lines[1]
    assert "PartitionConfig" not in rest and "cancelled; 0 jobs were done; start again" in rest


@pytest.mark.parametrize("reason", ["Priority", "Resources", "None", "JobArrayTaskLimit", "Dependency"])
def test_what_passes_by_itself_is_not_told(repo: Path, monkeypatch: pytest.MonkeyPatch, reason: str) -> None:
    monkeypatch.syspath_prepend(str(repo / "steps" / "cmd"))
    from reasons import sentence  # type: ignore[import-not-found]

    assert sentence(reason) == ""
    assert sentence("ReqNodeNotAvail, UnavailableNodes:n1") and sentence("QOSMaxCpuPerUserLimit")


def test_what_sbatch_refuses_is_said_with_what_was_asked(launch: Launcher, tmp_path: Path) -> None:
    (tmp_path / "slurm" / "refuse").write_text("Memory specification can not be satisfied")
    (launch.work / "site.yaml").write_text("mem:\n  vad: 900\n")
    done = launch("JOB=1:2", "log/vad.JOB.log", "true")
    assert done.returncode == 1 and "refused vad: sbatch: error: Memory" in done.stderr
    assert "--mem=921600M" in done.stderr and "site.yaml, section cpu: (memory: mem:)" in done.stderr

"""Stage tune as it is used: ./run.sh on a few real voices, killed and started again, and its best trained."""

from __future__ import annotations

import json
import os
import re
import shlex
import signal
import subprocess
import time
from pathlib import Path

import pytest
import yaml

pytest.importorskip("optuna")

from tests.pipeline import REPO, TINY, environment, run_sh, small_corpus
from tests.slurm import slurm_node

SPACE = {
    "seed": 1,
    "startup": 2,
    "pruner": "median",
    "prune_trials": 1,
    "train.lr": {"float": [0.001, 0.2], "log": True},
    "models.xvector_dim": {"choice": [16, 32]},
}


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a work folder up to egs, and a search space; its name has a blank and an umlaut."""
    folder = tmp_path_factory.mktemp("tune") / "a ö"
    folder.mkdir()
    corpus = small_corpus(folder / "corpus")
    (folder / "space.yaml").write_text(yaml.safe_dump(SPACE, sort_keys=False))
    run_sh(*words(folder / "work"), "--corpus", str(corpus), "--stop-stage", "egs", "--augment", "none")
    return folder


def words(work: Path) -> list[str]:
    settings = [word for key, value in TINY.items() for word in (f"--{key}", value)]
    return ["--recipe", "folder", "--work", str(work), "--nj", "1", "--ngpu", "0", *settings]


def tune(folder: Path, work: Path, trials: int, *more: str) -> list[str]:
    space = str(folder / "space.yaml")
    return [*words(work), "--stage", "tune", "--space", space, "--trials", str(trials), *more]


def rows(work: Path) -> list[dict]:
    (path,) = work.glob("exp/*/tune/space/results.json")
    found = json.loads(path.read_text())["trials"]
    return [{key: value for key, value in row.items() if key != "seconds"} for row in found]


@pytest.mark.long
def test_a_search_from_run_sh(prepared: Path) -> None:
    """Dry, then two trials, then a third, killed on its way and gone on with; the best one trained again."""
    work = prepared / "work"
    dry = run_sh(*tune(prepared, work, 2), "--dry-run").stdout
    assert "pysteps.tune job" in dry and "pysteps.recipe.tuned" in dry
    assert not list(work.glob("exp/*/tune"))
    before = {path: path.read_bytes() for path in work.glob("exp/*/run.json")}
    said = run_sh(*tune(prepared, work, 2)).stdout
    assert "search space: 2 trials" in said
    assert {path: path.read_bytes() for path in work.glob("exp/*/run.json")} == before
    assert "tune: fresh" in run_sh(*tune(prepared, work, 2)).stdout
    two = rows(work)

    driver = subprocess.Popen(
        [str(REPO / "run.sh"), *tune(prepared, work, 3)],
        env=environment(), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    (folder,) = work.glob("exp/*/tune/space")
    _until(lambda: list(folder.glob("trials/2/checkpoints/step-*.pt")), driver)
    os.kill(driver.pid, signal.SIGKILL)
    driver.wait()
    said = run_sh(*tune(prepared, work, 3)).stdout
    three = rows(work)
    assert three[:2] == two and len(three) == 3
    assert "going on after step" in (folder.parents[1] / "log" / "tune.1.log").read_text()

    found = json.loads((folder / "results.json").read_text())
    command = re.search(r"^train the best: \./run\.sh (.*)$", said, re.MULTILINE)
    assert command is not None
    run_sh(*shlex.split(command[1]), "--stop-stage", "train", "--ngpu", "0")
    (again,) = work.glob("exp/*_space/model/model.safetensors")
    model = folder / "trials" / str(found["best"]) / "model" / "model.safetensors"
    assert again.read_bytes() == model.read_bytes()


def _until(there, driver: subprocess.Popen) -> None:
    end = time.monotonic() + 120
    while not there():
        assert time.monotonic() < end and driver.poll() is None, "nothing to kill"
        time.sleep(0.05)


@pytest.mark.long
def test_two_workers_of_the_launcher(prepared: Path) -> None:
    """--nj 2: two jobs through $cmd make four trials of one study; --force begins anew."""
    work = prepared / "work"
    run_sh(*tune(prepared, work, 4, "--nj", "2", "--force"))
    assert [row["number"] for row in rows(work)] == [0, 1, 2, 3]
    logs = list(work.glob("exp/*/log/tune.*.log"))
    assert sum("finished:" in path.read_text() or "ended after" in path.read_text() for path in logs) == 2


@pytest.mark.long
def test_two_jobs_of_slurm(
    prepared: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    """--cmd slurm: the trials of one study, by the tasks of an array."""
    work = prepared / "work"
    with slurm_node(tmp_path_factory.mktemp("slurm")) as slurm:
        for name, value in slurm.items():
            monkeypatch.setenv(name, value)
        run_sh(*tune(prepared, work, 4, "--nj", "2", "--cmd", "slurm", "--force"))
    assert [row["number"] for row in rows(work)] == [0, 1, 2, 3]
    logs = [path.read_text() for path in work.glob("exp/*/log/tune.*.log")]
    assert len(logs) == 2 and all(re.search(r"^# Running on .*Slurm job \d+_\d", log, re.M) for log in logs)
    assert sum(len(re.findall(r"finished:|ended after", log)) for log in logs) == 4


def test_without_egs_it_says_so(tmp_path: Path) -> None:
    (tmp_path / "space.yaml").write_text(yaml.safe_dump(SPACE))
    done = run_sh(*tune(tmp_path, tmp_path / "work", 2), check=False)
    assert done.returncode == 1 and "egs.json: is missing" in done.stderr
    assert "Traceback" not in done.stderr + done.stdout


@pytest.mark.long
def test_ray_makes_the_same_kind_of_search(prepared: Path, tmp_path: Path) -> None:
    """engine: ray, begun with ray and gone on with by Optuna."""
    pytest.importorskip("ray")
    work, space = prepared / "work", tmp_path / "space.yaml"
    space.write_text(yaml.safe_dump({**SPACE, "engine": "ray"}))
    run_sh(*tune(tmp_path, work, 2, "--force"))
    two = rows(work)
    assert {row["state"] for row in two} <= {"finished", "ended early"} and len(two) == 2
    assert two[0]["values"] == {"train.lr": 0.001, "models.xvector_dim": 32}
    space.write_text(yaml.safe_dump(SPACE))
    run_sh(*tune(tmp_path, work, 3))
    assert rows(work)[:2] == two and len(rows(work)) == 3

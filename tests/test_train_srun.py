"""Training on two nodes: torchrun under srun, on a real Slurm whose two nodes are this machine."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
from collections.abc import Iterator
from multiprocessing.context import ForkProcess
from pathlib import Path

import pytest

from pysteps.train.meter import MEASURED
from tests.pipeline import REPO, arguments, environment, run_sh, small_corpus
from tests.slurm import slurm_node, wait_for
from tests.test_train_loop import ends, kill_when, start, weights

pytestmark = pytest.mark.long

# Steps enough to be hit in the middle, small enough for seconds.
LONGER = {"train__epochs": "4", "train__checkpoint_steps": "2", "train__average": "2"}
TWO = ("--stage", "train", "--stop-stage", "train", "--cmd", "slurm", "--nodes", "2", "--ngpu", "0")


class Site:
    """Stages 0 to 5 done once, a copy of them for each training."""

    def __init__(self, folder: Path, slurm: dict[str, str]) -> None:
        self.folder, self.slurm = folder, slurm
        self.corpus = small_corpus(folder / "corpus")
        run_sh(*arguments(self.corpus, folder / "work", "--stop-stage", "egs", "--nj", "2", **LONGER))

    def start(self, tag: str) -> subprocess.Popen[str]:
        """./run.sh, stage train, two nodes."""
        words = arguments(self.corpus, self.folder / "work", *TWO, "--tag", tag, **LONGER)
        return subprocess.Popen(
            [str(REPO / "run.sh"), *words],
            env={**environment(), **self.slurm},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def train(self, tag: str) -> str:
        process = self.start(tag)
        said = process.communicate(timeout=400)[0]
        assert process.returncode == 0, said
        return said

    def exp(self, tag: str) -> Path:
        return self.folder / "work" / "exp" / tag

    def log(self, tag: str) -> str:
        return (self.exp(tag) / "log" / "train.log").read_text()

    def weights(self, tag: str) -> bytes:
        return (self.exp(tag) / "model" / "model.safetensors").read_bytes()

    def curves(self, tag: str) -> list[dict]:
        lines = map(json.loads, (self.exp(tag) / "curves.jsonl").read_text().splitlines())
        return [{key: line[key] for key in line if key not in MEASURED} for line in lines]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    folder = tmp_path_factory.mktemp("srun")
    with slurm_node(folder, nodes=2) as slurm:
        site = Site(folder, slurm)
        site.train("whole")
        yield site


def kill(site: Site, tag: str, program: str, **known: str) -> None:
    """SIGKILL to a training's process of ``program`` that has ``known`` in its environment."""
    for path in Path("/proc").glob("[0-9]*"):
        try:
            words = (path / "cmdline").read_text("utf-8", "replace").split("\0")
            pairs = (path / "environ").read_text("utf-8", "replace").split("\0")
        except OSError:
            continue  # gone, or not ours
        own = str(site.exp(tag) / "run.json") in words and any(program in word for word in words)
        if own and all(f"{name}={value}" in pairs for name, value in known.items()):
            os.kill(int(path.name), signal.SIGKILL)
            return
    raise AssertionError(f"no {program} with {known}")


def test_two_nodes_train_one_model(site: Site) -> None:
    log = site.log("whole")
    assert "steps/cmd/nodes.sh 1 pysteps.train" in log and "going on" not in log
    assert [line["epoch"] for line in site.curves("whole")] == [1, 2, 3, 4]
    import torch

    *_, newest = sorted((site.exp("whole") / "checkpoints").glob("step-*.pt"))
    assert torch.load(newest, weights_only=True)["processes"] == 2


def test_after_a_killed_process_all_begin_at_the_last_checkpoint(site: Site) -> None:
    process = site.start("killed")
    wait_for((site.exp("killed") / "checkpoints" / "epoch-00001.pt").exists, 200)
    kill(site, "killed", "python", RANK="0")
    said = process.communicate(timeout=400)[0]
    assert process.returncode == 0, said
    assert "submitting it again" not in said, "torchrun began anew, in the same Slurm job"
    assert "train: going on after step " in site.log("killed") and "Traceback" not in site.log("killed")
    assert site.weights("killed") == site.weights("whole")
    assert site.curves("killed") == site.curves("whole")


def test_after_a_lost_torchrun_the_job_is_submitted_again(site: Site) -> None:
    process = site.start("lost")
    wait_for((site.exp("lost") / "checkpoints" / "epoch-00001.pt").exists, 200)
    kill(site, "lost", "torchrun", SLURM_NODEID="1")
    kill(site, "lost", "python", RANK="1")  # or both processes may end the training before Slurm has ended it
    said = process.communicate(timeout=400)[0]
    assert process.returncode == 0, said
    assert "submitting it again" in said
    assert "train: going on after step " in site.log("lost")
    assert site.weights("lost") == site.weights("whole")
    assert site.curves("lost") == site.curves("whole")


def pair(first: Path, second: Path) -> list[ForkProcess]:
    """Two processes of one training that do not see each other's files."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    shared = {"WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
    return [start(out, RANK=rank, LOCAL_RANK="0", **shared) for out, rank in ((first, "0"), (second, "1"))]


def test_what_another_node_does_not_see_yet_it_is_told(tmp_path: Path) -> None:
    whole, here, there = tmp_path / "whole", tmp_path / "here", tmp_path / "there"
    assert [ends(process) for process in pair(whole, whole)] == [0, 0]
    kill_when(here, "step-000000012.pt", *pair(here, there))
    assert [ends(process) for process in pair(here, there)] == [0, 0]
    assert weights(here) == weights(whole)
    assert not there.exists()

"""The mini recipe, stages 0 to 9, with --cmd slurm: the same bytes as with --cmd local."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.pipeline import REPO, differing, environment, products
from tests.slurm import ask, slurm_node, wait_for

pytestmark = pytest.mark.long

# All its utterances and stages; a small network and two epochs, 78 s of CPU a run. TIMBRE_TEST_WHOLE=1 takes
# the recipe as it is (twice a quarter of an hour on two idle cores).
SHORT = {
    "models.network.channels": "32",
    "models.network.frame_channels": "96",
    "models.network.scale": "4",
    "models.network.se_channels": "16",
    "models.pool.attention_channels": "16",
    "models.xvector_dim": "32",
    "train.epochs": "2",
    "train.average": "2",
    "train.threads": "1",
    "train.precision": "fp32",
    "egs.repeats": "0.3",
    "score.replicates": "50",
}


def words(work: Path, *extra: str) -> list[str]:
    """./run.sh of the mini recipe."""
    settings = {} if os.environ.get("TIMBRE_TEST_WHOLE") else SHORT
    pairs = [word for key, value in settings.items() for word in (f"--{key}", value)]
    return [str(REPO / "run.sh"), "--recipe", "mini", "--work", str(work), "--ngpu", "0", *extra, *pairs]


def run(line: list[str], slurm: dict[str, str]) -> str:
    done = subprocess.run(line, env={**environment(), **slurm}, capture_output=True, text=True, timeout=7200)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-5000:]
    return done.stdout + done.stderr


@pytest.fixture(scope="module")
def slurm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    with slurm_node(tmp_path_factory.mktemp("slurm")) as environment:
        yield environment


@pytest.fixture(scope="module")
def local(tmp_path_factory: pytest.TempPathFactory, slurm: dict[str, str]) -> dict[str, bytes]:
    work = tmp_path_factory.mktemp("local")
    run(words(work, "--cmd", "local", "--nj", "2"), slurm)
    return products(work)


def test_as_slurm_jobs_it_gives_the_same_bytes_though_much_goes_wrong(
    local: dict[str, bytes], slurm: dict[str, str], tmp_path: Path
) -> None:
    """A first start loses a task, then all of them and its driver; the second one finishes."""
    work = tmp_path / "été 100%"
    line = words(work, "--cmd", "slurm", "--nj", "3")
    said = tmp_path / "said"
    with open(said, "w") as stream:
        first = subprocess.Popen(
            line, env={**environment(), **slurm}, stdout=stream, stderr=stream, start_new_session=True
        )
    wait_for(lambda: "features: " in said.read_text() or first.poll() is not None, 600)
    wait_for(lambda: running(slurm, "features") or first.poll() is not None, 600)
    kill_job(work)
    wait_for(lambda: "submitting it again" in said.read_text() or first.poll() is not None, 600)
    assert first.poll() is None, said.read_text()
    os.killpg(first.pid, signal.SIGKILL)
    first.wait()
    ask(slurm, "scancel", "-u", str(os.getuid()))
    run(line, slurm)
    assert differing(local, products(work)) == []
    assert len([name for name in local if name.endswith("xvector.scp")]) >= 3
    assert not ask(slurm, "squeue", "-h")


def kill_job(work: Path) -> None:
    """SIGKILL to one job of stage features."""
    words = {str(next(work.glob("exp/*/run.json"))), "pysteps.features", "job"}
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        for path in Path("/proc").glob("[0-9]*"):
            try:
                found = set((path / "cmdline").read_text("utf-8", "replace").split("\0"))
                if words <= found and "TIMBREJOB" not in found:  # the launcher names it so
                    os.kill(int(path.name), signal.SIGKILL)
                    return
            except OSError:
                continue  # gone, or not ours
    raise AssertionError("no job of stage features was found")


def running(slurm: dict[str, str], name: str) -> list[str]:
    """Slurm's names of the running tasks of a fan-out."""
    lines = ask(slurm, "squeue", "-h", "-r", "-t", "RUNNING", "-o", "%i %j").splitlines()
    return [line.split()[0] for line in lines if line.split()[1].startswith(f"{name}.")]

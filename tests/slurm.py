"""A real Slurm for the tests of the launcher: brought up on this machine, taken down again by process id."""

from __future__ import annotations

import os
import shlex
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

REPO = Path(__file__).resolve().parent.parent
NODE = str(REPO / "tests" / "slurm_node.sh")


@contextmanager
def slurm_node(folder: Path, nodes: int = 1) -> Iterator[dict[str, str]]:
    """The environment in which Slurm's programs find the daemons that run as long as the context."""
    # Python reads a pipe to its end, and a daemon would hold it open: a file it is.
    with open(folder / "said", "w+") as said:
        line = [NODE, "start", folder / "node", str(nodes)]
        code = subprocess.run(line, stdout=said, stderr=said, timeout=300).returncode
        said.seek(0)
        words = said.read()
    if code == 77:
        pytest.skip(words.strip())
    assert code == 0, words
    setting = shlex.split(words)[-1]
    clean = {name: value for name, value in os.environ.items() if not name.startswith("TIMBRE_")}
    try:
        yield {**clean, "SLURM_CONF": setting.removeprefix("SLURM_CONF=")}
    finally:
        subprocess.run([NODE, "stop", folder / "node"], timeout=60, check=True)


def controller(environment: dict[str, str], action: str) -> None:
    """``stop`` or ``start`` the controller alone."""
    folder = Path(environment["SLURM_CONF"]).parent
    quiet = subprocess.DEVNULL
    line = [NODE, f"{action}-controller", folder]
    subprocess.run(line, env=environment, stdout=quiet, stderr=quiet, timeout=60, check=True)


class Launcher:
    """steps/cmd/slurm, started in ``work`` with the settings of ``work``/site.yaml."""

    def __init__(self, work: Path, slurm: dict[str, str]) -> None:
        self.line = [str(REPO / "steps" / "cmd" / "slurm"), "--conf", str(work / "site.yaml")]
        self.work, self.environment = work, slurm

    def start(self, *arguments: object) -> subprocess.Popen[str]:
        line = [*self.line, *map(str, arguments)]
        return subprocess.Popen(line, cwd=self.work, env=self.environment, stderr=subprocess.PIPE, text=True)

    def __call__(self, *arguments: object) -> subprocess.CompletedProcess[str]:
        process = self.start(*arguments)
        said = process.communicate(timeout=180)[1]
        return subprocess.CompletedProcess(arguments, process.returncode, "", said)

    def ask(self, *command: str) -> str:
        return ask(self.environment, *command)

    def queue(self) -> list[str]:
        return self.ask("squeue", "-h", "-r", "-o", "%A_%K %T").splitlines()

    def clear(self) -> None:
        """Leave nothing in the queue."""
        self.ask("scancel", "-u", str(os.getuid()))
        wait_for(lambda: not self.queue(), 60)


def ask(environment: dict[str, str], *command: str) -> str:
    """What one of Slurm's programs prints."""
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60)
    return done.stdout


def work_folder(tmp_path: Path) -> Path:
    """A folder as awkward as a home directory can be, with impatient settings."""
    folder = tmp_path / "mes données 100%"
    folder.mkdir()
    (folder / "site.yaml").write_text("retries: 1\ngrace: 2\npoll: 1\ncpu:\n  partition: main\n")
    return folder


def wait_for(condition: Callable[[], object], seconds: float = 60.0) -> None:
    """Until ``condition`` holds; an assertion fails when that takes too long."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.05)

"""./run.sh --cmd slurm that is ended or killed: what becomes of its jobs, on a real Slurm."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.pipeline import REPO, arguments, environment, small_corpus
from tests.slurm import ask, slurm_node, wait_for

pytestmark = pytest.mark.long


@pytest.fixture(scope="module")
def slurm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    with slurm_node(tmp_path_factory.mktemp("slurm")) as settings:
        yield {**settings, **environment(), "SLURM_CONF": settings["SLURM_CONF"]}


@pytest.fixture(autouse=True)
def clean(slurm: dict[str, str]) -> Iterator[None]:
    """After a test that failed the next one finds an idle node and an empty queue."""
    yield
    node(slurm, "resume")
    ask(slurm, "scancel", "-u", str(os.getuid()))


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return small_corpus(tmp_path_factory.mktemp("corpus"), utterances=2)


def node(slurm: dict[str, str], state: str) -> None:
    """``drain``: what is submitted waits; ``resume``."""
    name = ask(slurm, "sinfo", "-h", "-N", "-o", "%N").split()[0]
    ask(slurm, "scontrol", "update", f"NodeName={name}", f"State={state}", "Reason=test")


def queue(slurm: dict[str, str]) -> list[str]:
    return ask(slurm, "squeue", "-h", "-r", "-o", "%j").split()


def words(corpus: Path, work: Path, *extra: str) -> list[str]:
    line = arguments(corpus, work, "--stop-stage", "audio", "--ngpu", "0", "--nj", "2", *extra)
    return [str(REPO / "run.sh"), *line]


def waiting(slurm: dict[str, str], line: list[str], said: Path) -> subprocess.Popen[bytes]:
    """A run whose jobs of stage audio are in the queue and do not start."""
    swapped = {"audio": "prepare", "slurm": "local"}
    finish(slurm, [swapped.get(word, word) for word in line])
    node(slurm, "drain")
    heard = ["env", "--default-signal=HUP,INT"]  # whatever a nohup around the tests has it ignore
    with open(said, "w") as stream:
        line = [*heard, *line]
        driver = subprocess.Popen(line, env=slurm, stdout=stream, stderr=stream, start_new_session=True)
    wait_for(lambda: [name for name in queue(slurm) if name.startswith("audio.")], 120)
    return driver


def finish(slurm: dict[str, str], line: list[str]) -> str:
    done = subprocess.run(line, env=slurm, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


@pytest.mark.parametrize("send", [os.kill, os.killpg])
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT])
def test_a_signal_to_run_sh_cancels_its_array_and_frees_the_folder(
    slurm: dict[str, str], corpus: Path, tmp_path: Path, number: int, send: Callable[[int, int], None]
) -> None:
    """To itself alone, and to all that it has started, as scancel of its own job does."""
    driver = waiting(slurm, words(corpus, tmp_path / "w", "--cmd", "slurm"), tmp_path / "said")
    send(driver.pid, number)
    assert driver.wait(60) in (-number, 128 + number)
    assert queue(slurm) == []
    assert "audio: cancelled; 0 jobs were done" in (tmp_path / "said").read_text()
    assert not (tmp_path / "w" / ".lease").exists()
    node(slurm, "resume")


@pytest.mark.parametrize(
    "more", [("--cmd", "local"), ("--cmd", "slurm", "--tag", "b"), ("--cmd", "slurm", "--force")]
)
def test_another_run_cancels_what_a_killed_one_left(
    slurm: dict[str, str], corpus: Path, tmp_path: Path, more: tuple[str, ...]
) -> None:
    driver = waiting(slurm, words(corpus, tmp_path / "w", "--cmd", "slurm"), tmp_path / "said")
    (old,) = set(queue(slurm))
    os.killpg(driver.pid, signal.SIGKILL)
    driver.wait()
    other = () if "--force" in more else ("--audio.materialise", "flac")
    line = words(corpus, tmp_path / "w", *other, *more)
    with open(tmp_path / "again", "w") as stream:
        again = subprocess.Popen(line, env=slurm, stdout=stream, stderr=stream)
    wait_for(lambda: "running: cancelling it" in (tmp_path / "again").read_text() or again.poll() is not None)
    node(slurm, "resume")
    assert again.wait(120) == 0
    text = (tmp_path / "again").read_text()
    assert text.index("is still queued or running: cancelling it") < text.index(": ", text.index("prepare: "))
    assert old not in queue(slurm)


def test_the_same_run_goes_on_with_them(slurm: dict[str, str], corpus: Path, tmp_path: Path) -> None:
    line = words(corpus, tmp_path / "w", "--cmd", "slurm")
    driver = waiting(slurm, line, tmp_path / "said")
    os.killpg(driver.pid, signal.SIGKILL)
    driver.wait()
    again = subprocess.Popen(line, env=slurm, stderr=subprocess.PIPE, text=True)
    assert again.stderr is not None
    lines = iter(again.stderr.readline, "")
    assert any("is still queued or running: waiting for it" in text for text in lines)
    node(slurm, "resume")
    again.stderr.read()
    assert again.wait(120) == 0

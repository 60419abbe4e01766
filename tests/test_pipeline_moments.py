"""Killed at a random moment, everything at once, and started again: the same bytes as an undisturbed run.

TIMBRE_KILLS=N sets how often (default 30). A file of its own, which test_pipeline_kills.py can run beside.
"""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import time
import uuid
from pathlib import Path

import pytest

from pysteps.formats.names import STAGES
from tests.pipeline import REPO, arguments, differing, environment, products, run_sh, small_corpus


def kill_everything(mark: str) -> None:
    """SIGKILL to every process that has ``mark`` in its environment, until none is left.

    Process groups and sessions do not do: jobs have groups of their own, the launcher's watchdog a session.
    """
    while True:
        found = []
        for folder in Path("/proc").glob("[0-9]*"):
            try:
                if mark.encode() in (folder / "environ").read_bytes():
                    found.append(int(folder.name))
            except OSError:
                continue  # gone
        if not found:
            return
        for process in found:
            try:
                os.kill(process, signal.SIGKILL)
            except ProcessLookupError:
                continue
        time.sleep(0.01)


@pytest.mark.long
def test_killed_at_any_moment_and_started_again(tmp_path: Path) -> None:
    chance, work, before = random.Random(11), tmp_path / "work", tmp_path / "before"
    corpus = small_corpus(tmp_path / "corpus", speakers=11, utterances=3)
    tiny = {
        "train__epochs": "2",
        "augment__kinds": "[noise]",
        "backend__backends__plda": "center | lda 2 | length-norm | plda",
    }
    words = arguments(corpus, work, **tiny)
    work.mkdir()
    seconds = {}
    for stage in STAGES:  # with a copy of what each began with: a run that is killed in it begins there
        shutil.copytree(work, before / stage)
        began = time.monotonic()
        run_sh(*words, "--stop-stage", stage)
        seconds[stage] = time.monotonic() - began
    whole = products(work)
    kills, landed = int(os.environ.get("TIMBRE_KILLS", "30")), 0
    for _ in range(kills):
        (stage,) = chance.choices(list(STAGES), [seconds[stage] for stage in STAGES])
        shutil.rmtree(work)
        shutil.copytree(before / stage, work)
        mark = f"TIMBRE_TEST_MARK={uuid.uuid4()}"
        process = subprocess.Popen(
            [str(REPO / "run.sh"), *words, "--nj", str(chance.randint(1, 3))],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env={**environment(), "TIMBRE_TEST_MARK": mark.partition("=")[2]},
        )
        time.sleep(seconds[stage] * chance.random())
        landed += process.poll() is None
        kill_everything(mark)
        process.wait()
        run_sh(*words, "--nj", str(chance.randint(1, 3)))
        assert differing(whole, products(work)) == [], f"killed in stage {stage}"
        assert [str(path) for path in work.rglob(".*.part.*")] == []
    assert landed >= 0.8 * kills, f"{landed} of {kills} kills met a running one: they came too late"

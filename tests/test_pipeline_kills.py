"""Killed in each stage, started again: the same bytes as an undisturbed run."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import time
from pathlib import Path

import pytest

from pysteps.formats.names import STAGES
from tests.faults.harness import clean, drive, tables_only
from tests.pipeline import REPO, arguments, differing, environment, products, run_sh, small_corpus

KILLS = {stage: 2 for stage in STAGES} | {"train": 5}


def start_and_kill(words: list[str], stage: str, delay: float, whole_group: bool) -> bool:
    """Start ./run.sh and SIGKILL it ``delay`` seconds into ``stage``; False if the stage was over by then."""
    process = subprocess.Popen(
        [str(REPO / "run.sh"), *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        env=environment(),
        start_new_session=True,
    )
    assert process.stdout is not None
    for line in process.stdout:
        if line.startswith(f"{stage}: ") and "fresh" not in line:
            time.sleep(delay)
            break
    else:
        assert process.wait() == 0
        return False
    alive = process.poll() is None
    if alive and whole_group:
        os.killpg(process.pid, signal.SIGKILL)
    elif alive:
        os.kill(process.pid, signal.SIGKILL)
    process.stdout.close()
    process.wait()
    return alive


@pytest.mark.long
def test_killed_in_every_stage_and_five_times_in_training(tmp_path: Path) -> None:
    corpus = small_corpus(tmp_path / "corpus")
    slow = {"train__epochs": "6"}
    run_sh(*arguments(corpus, tmp_path / "whole", "--nj", "2", **slow))
    seconds = {path.name: float(path.read_text()) for path in (tmp_path / "whole").glob("exp/*/seconds/*")}
    chance, killed = random.Random(7), dict.fromkeys(STAGES, 0)
    work = tmp_path / "killed"
    for stage in STAGES:
        for number in range(KILLS[stage]):
            share = (number + chance.random()) / KILLS[stage]
            # Restarts share out the work anew: nothing may depend on --nj.
            words = arguments(corpus, work, "--nj", str(1 + number % 3), "--stop-stage", stage, **slow)
            delay = (0.9 if stage != "train" else 0.35) * share * seconds[stage]
            # What ended before it could be killed (half was done) is done once more, and killed earlier.
            for again in (), ("--stage", stage, "--force"), ("--stage", stage, "--force"):
                if start_and_kill([*words, *again], stage, delay, whole_group=bool(number % 2)):
                    killed[stage] += 1
                    break
                delay /= 3
    run_sh(*arguments(corpus, work, "--nj", "3", **slow))
    assert {stage: count for stage, count in killed.items() if count < KILLS[stage]} == {}
    assert differing(products(tmp_path / "whole"), products(work)) == []


def test_three_kills_of_audio_and_vad(tmp_path: Path) -> None:
    run = tables_only(tmp_path)
    verdict = drive(run, None, stages=["audio", "vad"], kind="kills", attempts=3, seed=5)
    assert clean(verdict) == {} and verdict["attempts"] == 3 and verdict["files"] > 30
    assert verdict["landed"] >= 1

"""Killed anywhere, started again: the same bytes as an undisturbed run.

TIMBRE_KILLS=N sets how often test_killed_at_any_moment_and_started_again kills (default 30).
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

from tests.faults.harness import clean, drive, tables_only
from tests.pipeline import REPO, arguments, differing, environment, products, run_sh, small_corpus

STAGES = ("prepare", "audio", "vad", "augment", "features", "egs", "train", "extract", "backend", "score")
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
        (stage,) = chance.choices(STAGES, [seconds[stage] for stage in STAGES])
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


def test_three_kills_of_audio_and_vad(tmp_path: Path) -> None:
    run = tables_only(tmp_path)
    verdict = drive(run, None, stages=["audio", "vad"], kind="kills", attempts=3, seed=5)
    assert clean(verdict) == {} and verdict["attempts"] == 3 and verdict["files"] > 30
    assert verdict["landed"] >= 2

"""Batches that processes make: the same bytes, errors that say what happened, and no process left."""

from __future__ import annotations

import os
import pickle
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from multiprocessing import active_children
from pathlib import Path

import numpy as np
import pytest

REPO = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(REPO / "tests" / "bench"))

import loader  # noqa: E402

from pysteps.egs.source import AudioEgs, EgsFolder, open_egs  # noqa: E402
from pysteps.formats.errors import InputError  # noqa: E402
from pysteps.recipe.options import parse  # noqa: E402
from pysteps.recipe.resolve import resolve  # noqa: E402
from pysteps.train.crew import crew  # noqa: E402
from pysteps.train.data import batches  # noqa: E402
from pysteps.train.options import TrainOptions  # noqa: E402
from tests.small_egs import OPTIONS, Dying, audio_egs, comparable, egs, seen  # noqa: E402

WIDER = replace(OPTIONS, batch_size=8)  # as two processes need it


@contextmanager
def none_left() -> Iterator[None]:
    """No process is there afterwards that was not there before."""
    before = {child.pid for child in active_children()}
    yield
    assert {child.pid for child in active_children()} == before


def test_batches_are_the_same_whoever_makes_them(tmp_path: Path) -> None:
    source = EgsFolder(egs(tmp_path))
    balanced = TrainOptions(loss="ge2e", batch_size=8, utterances_per_speaker=2)
    ways = [{}, {"first": 3}, {"rank": 1, "width": 2}, {"first": 2, "rank": 0, "width": 2}]
    with none_left(), crew(source, 2) as processes:
        for way in ways:
            assert seen(processes, 1, WIDER, **way) == seen(source, 1, WIDER, **way)
        assert seen(processes, 2, balanced) == seen(source, 2, balanced)


def test_batches_of_audio_are_the_same_whoever_makes_them(tmp_path: Path) -> None:
    source, infos = audio_egs(tmp_path)

    def found(egs: AudioEgs, epoch: int, options: TrainOptions) -> list[tuple]:
        return [comparable(batch) for batch in batches(egs, infos, epoch, options)]

    balanced = TrainOptions(loss="ge2e", batch_size=4, utterances_per_speaker=2)
    with none_left(), crew(source, 2) as processes:
        for epoch in (0, 1):
            assert found(processes, epoch, OPTIONS) == found(source, epoch, OPTIONS)
        assert found(processes, 0, balanced) == found(source, 0, balanced)
        assert processes.keys("train.1")[2] == "000002-s2-utt-2@2"  # all else is the source's


def test_a_runs_egs_reach_the_processes(tmp_path: Path) -> None:
    words = ["--recipe", "folder", "--work", str(tmp_path), "--augment.kinds", "[room]"]
    words += ["--augment.when", "training", "--egs.kind", "audio"]
    run = resolve(REPO, parse(words))
    run.egs.mkdir(parents=True)
    audio_egs(run.egs)
    source = open_egs(run)
    source.folder = tmp_path / "near"  # as on_scratch has it
    there = pickle.loads(pickle.dumps(source))
    assert there.folder == source.folder and there.plan is not None
    source.folder = there.folder = run.egs
    info = source.plan().archives[0]
    rows = np.arange(2)
    assert np.array_equal(source.archive(info, 1, rows)[0], there.archive(info, 1, rows)[0])


def test_a_process_that_dies_is_an_error_with_signal_and_archive(tmp_path: Path) -> None:
    source = Dying(egs(tmp_path))
    said = "^archive train.2: a process that reads chunks was ended by SIGKILL .*--train.workers"
    with none_left(), pytest.raises(InputError, match=said), crew(source, 1) as processes:
        seen(processes)


def test_a_process_that_died_between_two_epochs_is_an_error(tmp_path: Path) -> None:
    source = EgsFolder(egs(tmp_path))
    with none_left(), crew(source, 1) as processes:
        seen(processes)
        (child,) = active_children()
        child.terminate()
        child.join()
        with pytest.raises(InputError, match="archive train.*was ended by SIGTERM"):
            seen(processes, 1)


def test_what_a_process_refuses_is_refused_in_its_words(tmp_path: Path) -> None:
    source = EgsFolder(egs(tmp_path))
    (tmp_path / "train.3.ark").write_bytes(b"")
    with none_left(), pytest.raises(InputError) as caught, crew(source, 1) as processes:
        seen(processes)
    assert str(caught.value).startswith(f"{tmp_path}/train.3.ark: an empty archive (redo stage egs)")


def test_a_mistake_of_ours_shows_where_it_was_made(tmp_path: Path) -> None:
    source = Dying(egs(tmp_path))
    with none_left(), pytest.raises(RuntimeError, match="(?s)in archive.*what nobody thought of"):
        with crew(source, 1) as processes:
            seen(processes, 1)


def test_an_epoch_that_was_left_does_not_disturb_the_next(tmp_path: Path) -> None:
    source = EgsFolder(egs(tmp_path))
    with none_left(), crew(source, 2) as processes:
        for epoch in range(4):
            for batch in batches(processes, source.plan().archives, epoch, OPTIONS):
                if batch.number == epoch:
                    break
        assert seen(processes, 7) == seen(source, 7)


LONGER = """
import sys, time
from multiprocessing import active_children
from dataclasses import replace
from pathlib import Path
from pysteps.egs.source import EgsFolder  # noqa: E402
from pysteps.train.data import batches  # noqa: E402
from pysteps.train.options import TrainOptions  # noqa: E402
from pysteps.train.crew import crew  # noqa: E402

if __name__ == "__main__":
    source = EgsFolder(Path(sys.argv[1]))
    with crew(source, 2) as processes:
        for epoch in range(10**6):
            for batch in batches(processes, source.plan().archives, epoch, TrainOptions(batch_size=4)):
                if not epoch and not batch.number:
                    print(*(child.pid for child in active_children()), flush=True)
                time.sleep(0.01)
"""


def runs(pid: int) -> bool:
    with suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    return False


@pytest.mark.parametrize("ending", [signal.SIGINT, signal.SIGKILL])
def test_however_a_training_ends_no_process_is_left(tmp_path: Path, ending: signal.Signals) -> None:
    script = tmp_path / "longer.py"
    script.write_text(LONGER)
    command = [sys.executable, str(script), str(egs(tmp_path))]
    environment = {**os.environ, "PYTHONPATH": str(REPO)}
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment,
        start_new_session=True,
    )  # fmt: skip
    assert process.stdout is not None
    children = [int(word) for word in process.stdout.readline().split()]
    assert len(children) == 2 and all(runs(child) for child in children)
    if ending == signal.SIGINT:
        os.killpg(process.pid, ending)  # as a terminal does: to the children too
    else:
        process.send_signal(ending)
    said = process.communicate(timeout=30)[1]
    deadline = time.monotonic() + 20
    while any(runs(child) for child in children) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert not any(runs(child) for child in children)
    assert said.count("Traceback") == (ending == signal.SIGINT)


def test_fewer_than_no_processes_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="-1 processes to read with"), crew(EgsFolder(tmp_path), -1):
        pass


def test_the_bench_measures(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch) -> None:
    for name, value in {"ROUNDS": 1, "TIMES": 1, "STEP": 0.0, "FRAMES": 3, "BINS": 2}.items():
        monkeypatch.setattr(loader, name, value)
    source = EgsFolder(loader.make_egs(tmp_path, 2, 9))
    seconds, chunks = loader.spent(loader.ours(source, 4, 0))
    assert chunks == 18 and seconds > 0
    assert loader.spent(loader.theirs(tmp_path, 4, 0))[1] == 18
    assert loader.waiting(slow(), 0.0) > 0.5 > loader.waiting(iter([1] * 5), 0.01)
    loader.workers(tmp_path)
    assert "made by two processes" in capsys.readouterr().out


def slow() -> Iterator[int]:
    for number in range(5):
        time.sleep(0.01)
        yield number

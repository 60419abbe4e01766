"""A run whose paths are relative, as ./run.sh writes them in the checkout, read from any other folder."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile

from pysteps.audio.read import read_audio
from pysteps.formats import arks, checkout
from pysteps.formats.errors import InputError
from pysteps.formats.run import Run
from pysteps.formats.stamps import Unit, changed
from pysteps.formats.vectors import read_rows


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A checkout, which is the current folder; beside it stands ``elsewhere``."""
    for name in ("checkout", "elsewhere"):
        (tmp_path / name).mkdir()
    monkeypatch.setattr(checkout, "CHECKOUT", tmp_path / "checkout")
    monkeypatch.chdir(tmp_path / "checkout")
    return tmp_path / "checkout"


def _run(work: str) -> Run:
    return Run("r", "c", "p", work, "tag", "egs", "train", "dev", ["eval"], {}, {})


def test_a_relative_work_folder_counts_from_the_checkout(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = _run("egs/r")
    run.save(run.exp / "run.json")
    path = root / run.exp / "run.json"
    assert Run.load(path) == run  # in the checkout nothing changes
    monkeypatch.chdir(root.parent / "elsewhere")
    assert Run.load(path).exp == root / "egs" / "r" / "exp" / "tag"
    absolute = _run(str(root.parent / "work"))
    absolute.save(absolute.exp / "run.json")
    assert Run.load(absolute.exp / "run.json") == absolute


def test_a_folder_s_run_is_its_run_json(root: Path) -> None:
    run = _run("egs/r")
    run.save(run.exp / "run.json")
    assert Run.load(run.exp) == run
    with pytest.raises(InputError, match=r"egs/r/run.json: no such run \(name exp/TAG or its run.json"):
        Run.load("egs/r")


@pytest.mark.parametrize("absolute", [False, True])
def test_a_stamp_holds_from_everywhere(root: Path, monkeypatch: pytest.MonkeyPatch, absolute: bool) -> None:
    def unit(work: str) -> Unit:
        folder = Path(work)
        return Unit("u", "s", folder / "out", 1, {"a": 1}, inputs=(folder / "list",))

    (root / "w").mkdir()
    (root / "w" / "list").write_text("a 1\n")
    unit(str(root / "w") if absolute else "w").done()
    key = unit("w").key()
    monkeypatch.chdir(root.parent / "elsewhere")
    there = unit(str(root / "w"))
    assert there.stale() is None and there.key() == key and changed(there.stamp) is None
    (root / "w" / "list").write_text("a 2\n")
    assert there.stale() == changed(there.stamp) == "w/list changed"


def test_archives_that_tables_name_from_the_checkout_are_found(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with arks.writing("x/xvector.ark") as writer:
        writer.array("a", np.array([1.0, 2], np.float32))
    monkeypatch.chdir(root.parent / "elsewhere")
    assert read_rows(writer.scp, "xvector.scp").tolist() == [[1, 2]]
    with arks.Archive() as archive:
        assert archive.array(writer.scp["a"], "a").tolist() == [1, 2]
    # What is there under the name, seen from where the command was started, goes first.
    with arks.writing("x/xvector.ark") as writer:
        writer.array("a", np.array([3.0, 4], np.float32))
    assert read_rows(writer.scp, "xvector.scp").tolist() == [[3, 4]]


def test_recordings_that_tables_name_from_the_checkout_are_found(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    soundfile.write("a.wav", np.zeros(80), 8000)
    monkeypatch.chdir(root.parent / "elsewhere")
    assert read_audio("a.wav")[0].shape == (80,)


def test_a_list_of_people_in_the_place_of_x_vectors_is_doubted(root: Path) -> None:
    with pytest.raises(
        InputError, match=r"utt2spk: utterance a1: there is no archive a \(a line of a table of"
    ):
        read_rows({"a1": "a"}, "utt2spk")

"""--scratch: a node's own copy is whole, made once, used again, and left or removed by rule."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from pysteps.features.contract import contract
from pysteps.features.voiced import VoicedFeatures
from pysteps.formats import command
from pysteps.formats.errors import InputError
from pysteps.formats.run import Run
from pysteps.formats.scratch import chosen, near
from pysteps.models.model import SpeakerModel, save_model
from pysteps.models.options import ModelOptions
from pysteps.recipe.status import MODULES
from tests.pipeline import REPO
from tests.test_recipe_disk import do, make


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two files of known bytes."""
    home = tmp_path / "egs ö"
    home.mkdir()
    (home / "train.1.ark").write_bytes(bytes(range(256)) * 10)
    (home / "train.1.lab").write_bytes(b"a 0\n")
    return home


NAMES = ["train.1.ark", "train.1.lab"]


def test_the_copy_holds_the_same_bytes_and_goes_when_all_went_well(folder: Path, tmp_path: Path) -> None:
    with near(folder, NAMES, tmp_path / "disk") as place:
        assert place != folder
        assert {n: (place / n).read_bytes() for n in NAMES} == {n: (folder / n).read_bytes() for n in NAMES}
    assert not place.exists()


def test_without_a_scratch_the_folder_itself_is_read(folder: Path) -> None:
    with near(folder, NAMES, None) as place:
        assert place == folder


def test_a_copy_stays_after_a_failure_and_only_what_changed_is_copied_again(
    folder: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(ValueError), near(folder, NAMES, tmp_path / "disk") as place:
        raise ValueError
    kept = (place / "train.1.ark").stat()
    (folder / "train.1.lab").write_bytes(b"a 1\n")  # as long, but written anew
    os.utime(folder / "train.1.lab", (5, 5))
    with near(folder, NAMES, tmp_path / "disk") as again:
        assert again == place and (place / "train.1.lab").read_bytes() == b"a 1\n"
        assert (place / "train.1.ark").stat().st_ino == kept.st_ino
    assert capfd.readouterr().err.count(" to ") == 2


def test_a_copy_that_was_cut_short_is_made_again(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError), near(folder, NAMES, tmp_path) as place:
        raise ValueError
    (place / "train.1.ark").write_bytes(b"cut")
    with near(folder, NAMES, tmp_path) as place:
        assert (place / "train.1.ark").read_bytes() == (folder / "train.1.ark").read_bytes()


def test_what_another_process_reads_is_not_removed(folder: Path, tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from pysteps.formats.scratch import near\n"
        f"with near(Path(sys.argv[1]), {NAMES}, Path(sys.argv[2])) as place:\n"
        " print(place, flush=True); input()"
    )
    words = [sys.executable, "-c", code, str(folder), str(tmp_path / "disk")]
    other = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert other.stdout is not None
    theirs = Path(other.stdout.readline().strip())
    with near(folder, NAMES, tmp_path / "disk") as place:  # at the same time: nobody waits for the other
        assert place == theirs
    assert (place / "train.1.ark").is_file()
    other.communicate("\n", timeout=30)
    assert not place.exists()


def test_a_disk_that_is_too_small_is_refused_before_anything_is_copied(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    full = os.statvfs_result((4096, 4096, 100, 10, 10, 0, 0, 0, 0, 255))
    monkeypatch.setattr(os, "statvfs", lambda path: full)
    with pytest.raises(InputError, match=r"do not fit.*--scratch"), near(folder, NAMES, tmp_path / "disk"):
        pass
    assert not list((tmp_path / "disk").rglob("train.*"))


def test_a_nodes_own_variable_is_looked_up_on_the_node(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TIMBRE_SCRATCH", "$NODE_DISK/x")
    monkeypatch.delenv("NODE_DISK", raising=False)
    with pytest.raises(InputError, match="not set on this node"):
        chosen()
    monkeypatch.setenv("NODE_DISK", "/disk")
    assert chosen() == Path("/disk/x")


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Features of a few real voices, and a network that has learned nothing."""
    with pytest.MonkeyPatch.context() as patch:
        made = make(tmp_path_factory.mktemp("near"), patch, ("audio", "vad", "augment", "features"))
        options = ModelOptions(**made.run.options["models"])
        save_model(SpeakerModel(options), made.run.exp / "model", contract(made.run))
    return made.run


@pytest.mark.parametrize(
    ("stage", "copies"), [("egs", ["train", "train_noise", "train_speed0.9"]), ("extract", [])]
)
def test_a_stage_gives_the_same_bytes_from_a_copy_of_the_features(
    run: Run,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    stage: str,
    copies: list[str],
) -> None:
    monkeypatch.chdir(REPO)
    folders = [unit.folder for unit in MODULES[stage].units(run)]

    def products() -> dict[str, bytes]:
        do(run, stage)
        files = [path for folder in folders for path in folder.rglob("*.ark")]
        found = {str(path): path.read_bytes() for path in files}
        command.forget(MODULES[stage], run)
        for path in files:
            path.unlink()
        return found

    plain = products()
    capfd.readouterr()
    monkeypatch.setenv("TIMBRE_SCRATCH", str(tmp_path / "disk"))
    assert products() == plain and len(plain) > 3
    said = capfd.readouterr().err
    sets = copies or run.utterance_sets
    assert all(f"{run.of('features', name)}: " in said for name in sets) and f" MB to {tmp_path}" in said
    assert not list((tmp_path / "disk").rglob("*.ark"))  # all went well: the copies are gone


def test_features_are_read_from_the_copy_and_only_what_is_asked_for_is_copied(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(REPO)
    folder, disk = run.of("features", "train"), tmp_path / "disk"
    with VoicedFeatures(run, "train") as voiced:
        first, *_, last = voiced.utterances
        whole = {utt: voiced.matrix(utt) for utt in (first, last)}
    with VoicedFeatures(run, "train") as voiced:
        with voiced.near(disk, [first]):
            copied = sorted(path.name for path in disk.rglob("*.ark"))
            assert copied == ["cmvn.1.ark", "feats.1.ark"] and len(list(folder.glob("feats.*.ark"))) > 1
            away = (folder / "feats.1.ark").rename(tmp_path / "feats.1.ark")
            assert np.array_equal(voiced.matrix(first), whole[first])
            away.rename(folder / "feats.1.ark")
            assert np.array_equal(voiced.matrix(last), whole[last])  # from where it is
        assert np.array_equal(voiced.matrix(first), whole[first])

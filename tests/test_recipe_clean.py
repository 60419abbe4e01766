"""--clean: what training still needs is refused, and a mark holds whatever becomes of files' times."""

from __future__ import annotations

import os
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from pysteps.formats.errors import InputError
from pysteps.formats.run import Run
from pysteps.formats.stamps import Unit
from pysteps.recipe import clean, space
from pysteps.recipe.options import parse
from pysteps.recipe.resolve import resolve

LIVE = ("--augment.when", "training", "--egs.kind", "audio", "--augment.kinds")


@pytest.fixture
def run(repo: Path, tmp_path: Path) -> Run:
    return resolve(repo, parse(["--recipe", "folder", "--work", str(tmp_path)]))


def unit_of(run: Run, stage: str, *outputs: str) -> Unit:
    """A finished unit with these archives."""
    folder = run.exp if stage == "train" else run.of(stage, "train")
    unit = Unit(name="train", stage=stage, folder=folder, version=1, options={})
    for name in outputs:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text("some bytes")
    folder.mkdir(parents=True, exist_ok=True)
    unit.done()
    return unit


def test_checkpoints_of_an_unfinished_training_stay_unless_forced(run: Run) -> None:
    unit = unit_of(run, "train", "checkpoints/step-000000004.pt")
    unit.forget()
    with pytest.raises(InputError, match=r"checkpoints are still needed: train .*not done.*--force"):
        clean.clean(run, ["train"], {"train": [unit]}, force=False)
    assert (run.exp / "checkpoints/step-000000004.pt").is_file()
    clean.clean(run, ["train"], {"train": [unit]}, force=True)
    assert not (run.exp / "checkpoints").exists()


def test_those_of_a_finished_one_go_and_where_there_are_none_nothing_is_refused(run: Run) -> None:
    unit = unit_of(run, "train", "checkpoints/step-000000004.pt")
    clean.clean(run, ["train"], {"train": [unit]}, force=False)
    assert not (run.exp / "checkpoints").exists() and unit.stale() is None
    unit.forget()
    clean.clean(run, ["train"], {"train": [unit]}, force=False)


@pytest.mark.parametrize(("kinds", "reads"), [("[babble]", True), ("[noise,reverb]", False)])
def test_training_that_draws_babble_reads_the_training_sets_audio(
    repo: Path, tmp_path: Path, kinds: str, reads: bool
) -> None:
    words = ["--recipe", "folder", "--work", str(tmp_path), *LIVE, kinds]
    run = resolve(repo, parse(words))
    assert (("audio", "train") in clean.reads(run, "train", run.tag)) is reads
    train = replace(unit_of(run, "train"), name=run.tag)
    train.forget()
    audio = unit_of(run, "audio", "audio.1.ark")
    units = {"audio": [audio], "train": [train]}
    if reads:
        with pytest.raises(InputError, match="audio is still needed: train"):
            clean.clean(run, ["audio"], units, force=False)
    else:
        clean.clean(run, ["audio"], units, force=False)
    assert audio.folder.joinpath("audio.1.ark").is_file() is reads


def test_what_is_missing_decides_not_the_time_of_a_stamp(run: Run, tmp_path: Path) -> None:
    unit = unit_of(run, "audio", "audio.1.ark", "audio.2.ark")
    shutil.copytree(unit.folder, tmp_path / "back")
    clean.clean(run, ["audio"], {"audio": [unit]}, force=False)
    os.utime(unit.stamp, (5, 5))
    assert clean.cleaned(unit)
    for name in ("audio.1.ark", "audio.2.ark"):  # made again by hand, one after the other
        assert clean.cleaned(unit)
        shutil.copy(tmp_path / "back" / name, unit.folder)
    assert clean.cleaned(unit) is None


def test_a_stage_made_again_otherwise_is_not_cleaned(run: Run) -> None:
    unit = unit_of(run, "audio", "audio.1.ark")
    clean.clean(run, ["audio"], {"audio": [unit]}, force=False)
    other = replace(unit, options={"materialise": "changed"})  # leaves the files where they are: no archive
    other.done()
    assert clean.cleaned(other) is None


def test_a_clean_up_that_was_killed_is_finished_by_the_next(run: Run) -> None:
    unit = unit_of(run, "audio", "audio.1.ark", "audio.2.ark")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Path, "unlink", _dies_at_second(Path.unlink))
        with pytest.raises(KeyboardInterrupt):
            clean.clean(run, ["audio"], {"audio": [unit]}, force=False)
    assert len(list(unit.folder.glob("*.ark"))) == 1 and clean.cleaned(unit)
    clean.clean(run, ["audio"], {"audio": [unit]}, force=False)
    assert clean.cleaned(unit) and not list(unit.folder.glob("*.ark"))


def _dies_at_second(real):  # type: ignore[no-untyped-def]
    seen = []

    def unlink(path: Path, missing_ok: bool = False) -> None:
        if path.suffix == ".ark":
            seen.append(path)
            if len(seen) == 2:
                raise KeyboardInterrupt
        real(path, missing_ok=missing_ok)

    return unlink


def test_what_goes_while_it_is_counted_counts_for_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "stays").write_bytes(bytes(5000))
    alone, walk = space.used([tmp_path, tmp_path / "never"]), os.walk
    monkeypatch.setattr(os, "walk", lambda top: [(top, [], [*next(walk(top))[2], "gone"])])
    assert space.used([tmp_path]) == alone

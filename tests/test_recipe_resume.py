"""A run that begins in the middle keeps what the folder's run.json says of the stages it leaves alone."""

from __future__ import annotations

from pathlib import Path

import pytest

from pysteps.formats.run import Run
from pysteps.recipe.options import parse
from pysteps.recipe.resolve import resolve

RECIPE = ("--recipe", "conversations")


@pytest.fixture
def first(repo: Path, tmp_path: Path) -> tuple[str, ...]:
    """The words that name a work folder; its run was made with another VAD and a small network."""
    words = (*RECIPE, "--work", str(tmp_path), "--tag", "t")
    own = ("--models", "ecapa512", "--models.channels", "32", "--vad", "energy", "--corpus", "voices")
    own += ("--diarize.shift", "0.5", "--features.num_mel_bins", "40")
    run = resolve(repo, parse([*words, *own]))
    run.save(run.exp / "run.json")
    return words


def resumed(repo: Path, *words: str) -> Run:
    return resolve(repo, parse([*words]))


def test_another_diarization_forgets_no_option_of_the_stages_before(
    repo: Path, first: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    run = resumed(repo, *first, "--stage", "diarize", "--diarize", "spectral")
    assert run.options["models"]["channels"] == 32 and run.options["models"]["feature_dim"] == 40
    assert (run.names["models"], run.names["vad"], run.corpus) == ("ecapa512", "energy", "voices")
    assert run.options["diarize"]["clustering"] == "spectral"
    assert run.options["diarize"]["shift"] == 0.24  # runs now: what is not given is the recipe's
    said = capsys.readouterr().err
    assert "run.json: " in said and "--models.channels 32" in said and "shift" not in said


def test_what_is_given_goes_before_what_the_folder_says(repo: Path, first: tuple[str, ...]) -> None:
    run = resumed(repo, *first, "--stage", "diarize", "--models.channels", "64", "--vad", "webrtc")
    assert run.options["models"]["channels"] == 64 and run.names["models"] == "ecapa512"
    assert run.names["vad"] == "webrtc" and run.egs_tag.endswith("_webrtc")


def test_stages_behind_the_last_one_keep_theirs(repo: Path, first: tuple[str, ...]) -> None:
    run = resumed(repo, *first, "--stage", "vad", "--stop-stage", "features")
    assert run.options["diarize"]["shift"] == 0.5 and run.options["models"]["channels"] == 32
    assert run.names["vad"] == "webrtc"  # runs now


def test_a_whole_run_is_what_the_recipe_says(repo: Path, first: tuple[str, ...]) -> None:
    run = resumed(repo, *first)
    assert run == resolve(repo, parse([*RECIPE, "--work", run.work, "--tag", "t", "--corpus", run.corpus]))
    assert run.options["models"]["channels"] != 32 and run.names["vad"] == "webrtc"


@pytest.mark.parametrize("text", ["{", '{"recipe": "conversations"}'])
def test_a_run_file_that_cannot_be_read_says_nothing(repo: Path, first: tuple[str, ...], text: str) -> None:
    path = Path(first[3]) / "exp" / "t" / "run.json"
    path.write_text(text)
    assert resumed(repo, *first, "--stage", "diarize").options["diarize"]["shift"] == 0.24


def test_another_recipe_s_folder_says_nothing(repo: Path, first: tuple[str, ...]) -> None:
    run = resumed(repo, "--recipe", "mini", *first[2:], "--stage", "score")
    assert run.options["models"]["channels"] != 32

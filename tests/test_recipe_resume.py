"""A run that begins in the middle keeps what the folder's run.json says of the stages it leaves alone."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from pysteps.formats.errors import InputError
from pysteps.formats.run import Run
from pysteps.recipe.checks import refuse_unknown_tag
from pysteps.recipe.options import parse
from pysteps.recipe.resolve import resolve

RECIPE = ("--recipe", "conversations")


@pytest.fixture
def first(repo: Path, tmp_path: Path) -> tuple[str, ...]:
    """The words that name a work folder; its run was made with another VAD and a small network."""
    words = (*RECIPE, "--work", str(tmp_path), "--tag", "t")
    own = ("--models", "ecapa512", "--models.network.channels", "32", "--vad", "energy", "--corpus", "voices")
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
    assert run.options["models"]["network"]["channels"] == 32 and run.options["models"]["feature_dim"] == 40
    assert (run.names["models"], run.names["vad"], run.corpus) == ("ecapa512", "energy", "voices")
    assert run.options["diarize"]["clustering"] == "spectral"
    said = capsys.readouterr().err
    assert "run.json: " in said and "--models.network.channels 32" in said and "clustering" not in said


def test_the_width_of_the_features_is_not_said_to_be_taken_over_for_the_network(
    repo: Path, first: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    resumed(repo, *first, "--stage", "diarize")
    said = capsys.readouterr().err
    assert "--features.num_mel_bins 40" in said and "--models.network.channels 32" in said
    assert "feature_dim" not in said, "no option: it follows from the features"


def test_another_diarization_has_the_same_windows(
    repo: Path, first: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    spectral = resumed(repo, *first, "--stage", "diarize", "--diarize", "spectral").options["diarize"]
    assert (spectral["shift"], spectral["window"]) == (0.5, 1.44)
    assert "--diarize.shift 0.5" in capsys.readouterr().err
    given = resumed(repo, *first, "--stage", "diarize", "--diarize.shift", "0.3")
    assert given.options["diarize"]["shift"] == 0.3
    plda = resumed(repo, *first, "--stage", "diarize", "--diarize", "plda")
    assert plda.options["diarize"]["shift"] == 0.75  # its conf file says so
    earlier = resumed(repo, *first, "--stage", "score")
    assert earlier.options["diarize"]["shift"] == 0.24  # not diarize alone: the recipe's


def test_what_a_conf_file_says_of_windows_goes_with_it(repo: Path, first: tuple[str, ...]) -> None:
    run = resumed(repo, *first, "--stage", "diarize", "--diarize", "plda", "--diarize.max_dropped", "0.3")
    run.save(run.exp / "run.json")
    options = resumed(repo, *first, "--stage", "diarize").options["diarize"]
    assert (options["window"], options["shift"], options["max_dropped"]) == (1.44, 0.24, 0.3)
    again = resumed(repo, *first, "--stage", "diarize", "--diarize", "plda").options["diarize"]
    assert (again["window"], again["shift"], again["max_dropped"]) == (1.5, 0.75, 0.3)


@pytest.mark.parametrize("stage", ["extract", "diarize", "backend"])
def test_a_tag_without_a_model_beside_others_is_refused_and_leaves_no_folder(
    repo: Path, first: tuple[str, ...], stage: str
) -> None:
    work = Path(first[3])
    for room in ("model", "xvectors"):
        (work / "exp" / "tiny" / room).mkdir(parents=True)
    words = ["bash", str(repo / "run.sh"), *RECIPE, "--work", str(work), "--stage", stage]
    done = subprocess.run([*words, "--tag", "tinny"], cwd=repo, capture_output=True, text=True)
    assert done.returncode == 1 and not (work / "exp" / "tinny").exists()
    assert f"error: {work / 'exp' / 'tinny'}: no " in done.stderr
    assert "there are tiny (--tag tiny)" in done.stderr


def test_a_tag_is_refused_only_where_the_first_stage_begins_with_what_is_not_there(
    repo: Path, first: tuple[str, ...]
) -> None:
    run = resumed(repo, *first)
    refuse_unknown_tag(run, "diarize")  # no other tag has a model: the stage says what is missing
    (run.exp.parent / "other" / "model").mkdir(parents=True)
    refuse_unknown_tag(run, "egs")
    with pytest.raises(InputError, match="no model/ here, and stage extract begins with it; there are other"):
        refuse_unknown_tag(run, "extract")
    (run.exp / "model").mkdir()
    refuse_unknown_tag(run, "extract")


def test_what_is_given_goes_before_what_the_folder_says(repo: Path, first: tuple[str, ...]) -> None:
    run = resumed(repo, *first, "--stage", "diarize", "--models.network.channels", "64", "--vad", "webrtc")
    assert run.options["models"]["network"]["channels"] == 64 and run.names["models"] == "ecapa512"
    assert run.names["vad"] == "webrtc" and run.egs_tag.endswith("_webrtc")


def test_stages_behind_the_last_one_keep_theirs(repo: Path, first: tuple[str, ...]) -> None:
    run = resumed(repo, *first, "--stage", "vad", "--stop-stage", "features")
    assert run.options["diarize"]["shift"] == 0.5 and run.options["models"]["network"]["channels"] == 32
    assert run.names["vad"] == "webrtc"  # runs now


def test_a_whole_run_is_what_the_recipe_says(repo: Path, first: tuple[str, ...]) -> None:
    run = resumed(repo, *first)
    assert run == resolve(repo, parse([*RECIPE, "--work", run.work, "--tag", "t", "--corpus", run.corpus]))
    assert run.options["models"]["network"]["channels"] != 32 and run.names["vad"] == "webrtc"


@pytest.mark.parametrize("text", ["{", '{"recipe": "conversations"}'])
def test_a_run_file_that_cannot_be_read_says_nothing(repo: Path, first: tuple[str, ...], text: str) -> None:
    path = Path(first[3]) / "exp" / "t" / "run.json"
    path.write_text(text)
    assert resumed(repo, *first, "--stage", "diarize").options["diarize"]["shift"] == 0.24


def test_another_recipe_s_folder_says_nothing(repo: Path, first: tuple[str, ...]) -> None:
    run = resumed(repo, "--recipe", "mini", *first[2:], "--stage", "score")
    assert run.options["models"]["network"]["channels"] != 32

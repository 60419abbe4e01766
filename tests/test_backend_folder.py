"""A back end is a folder that can be moved: nothing outside it is read, nothing in it is believed."""

from __future__ import annotations

import json
import os
import shutil

import kaldiio
import numpy as np
import pytest

from pysteps.backend import Backend, Plda
from pysteps.backend.calibration import Logistic
from pysteps.formats.errors import InputError

RANDOM = np.random.default_rng(5)
SPEAKERS = [f"s{number // 5:02d}" for number in range(100)]
X = np.repeat(RANDOM.normal(size=(20, 24)) * 2, 5, axis=0) + RANDOM.normal(size=(100, 24)) + 4
TEST = RANDOM.normal(size=(70, 24)) + 4
PAIRS = RANDOM.integers(0, 70, (500, 2))


@pytest.fixture
def saved(tmp_path):
    """A folder with a cohort of five speakers' means."""
    Backend.fit("cosine | s-norm size=5", X, SPEAKERS).save(tmp_path / "back")
    return tmp_path / "back"


@pytest.mark.parametrize("text", [False, True])
@pytest.mark.parametrize(
    "line",
    [
        "center | whiten | cosine | as-norm 9",
        "lda 12 | wccn | plda | as-norm 9 cohort=utterances size=30",
        "lda 12 | length-norm | plda rank=5 | s-norm",
    ],
)
def test_copied_elsewhere_it_scores_the_same_to_the_bit(tmp_path, line, text):
    backend = Backend.fit(line, X, SPEAKERS).calibrated(Logistic(0.1, {"a": 1 / 3}, {}))
    backend.save(tmp_path / "ä old", text=text)
    shutil.copytree(tmp_path / "ä old", tmp_path / "new")
    shutil.rmtree(tmp_path / "ä old")
    again = Backend.load(tmp_path / "new")
    counts = RANDOM.integers(1, 4, 70)
    one, two = (back.score(TEST, TEST, PAIRS, counts) for back in (backend, again))
    assert one.tobytes() == two.tobytes()
    # A single row is multiplied by other code, which rounds by how the matrix lies in memory.
    one, two = (back.score(TEST[:1], TEST[1:2], [[0, 0]]) for back in (backend, again))
    assert one.tobytes() == two.tobytes()
    assert again.calibration == backend.calibration


def test_a_plda_scores_the_same_however_its_matrix_lies(tmp_path):
    turned = np.asfortranarray(RANDOM.normal(size=(24, 24)))
    plda = Plda(np.zeros(24), turned, np.linspace(3, 0.1, 24))
    plda.save(tmp_path / "plda")
    again = Plda.load(tmp_path / "plda")
    assert again.project(TEST[:1]).tobytes() == plda.project(TEST[:1]).tobytes()


def test_a_copy_does_not_read_the_old_folder(saved, tmp_path):
    shutil.copytree(saved, tmp_path / "copy")
    before = Backend.load(tmp_path / "copy").score(TEST, TEST, PAIRS)
    (saved / "cohort.ark").write_bytes(b"")
    assert Backend.load(tmp_path / "copy").score(TEST, TEST, PAIRS).tobytes() == before.tobytes()


def test_kaldi_reads_a_cohort_from_its_folder(saved, monkeypatch):
    monkeypatch.chdir(saved)
    assert all(line.split()[1].startswith("cohort.ark:") for line in open("cohort.scp"))
    theirs = kaldiio.load_scp("cohort.scp")
    mine = Backend.load(saved).cohort
    assert list(theirs) == mine.keys
    np.testing.assert_array_equal(np.array(list(theirs.values())), mine.vectors)


def test_an_older_cohort_of_absolute_paths_is_read_beside_its_table(saved):
    scp = saved / "cohort.scp"
    scp.write_text(scp.read_text().replace(" cohort.ark", " /nowhere/back/cohort.ark"))
    assert len(Backend.load(saved).cohort.keys) == 5


@pytest.mark.parametrize(
    ("file", "text", "said"),
    [
        ("cohort.scp", "s00 other.ark:4\n", "cohort.scp: utterance s00: other.ark must lie beside it"),
        ("cohort.scp", "s00 cohort.ark:3\n", "no Kaldi matrix or vector here"),
        ("cohort.scp", "", "cohort.scp: no vectors"),
        ("cohort2num_utts", "a 1\n", "has no number of utterances"),
        ("cohort2num_utts", None, "has 0 utterances"),
        ("cohort.scp", "s00 touch x |\n", "the entry is a command"),
    ],
)
def test_a_damaged_cohort_is_refused(saved, file, text, said):
    before = (saved / file).read_text()
    (saved / file).write_text(before.replace(" 5\n", " 0\n") if text is None else text)
    with pytest.raises(InputError, match=said):
        Backend.load(saved)


def test_cohort_vectors_that_are_no_numbers_are_refused(saved):
    data = bytearray((saved / "cohort.ark").read_bytes())
    data[-8:] = np.array(np.nan).tobytes()
    (saved / "cohort.ark").write_bytes(data)
    with pytest.raises(InputError, match="cohort.scp: utterance .*: its vector is not finite"):
        Backend.load(saved)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"scorer": "plda"}, "not a scorer: 'plda'"),
        ({"scorer": []}, "not a scorer"),
        ({"scorer": {"options": []}}, "not a scorer"),
        ({"scorer": {"name": "cosine", "options": "x"}}, "not a scorer"),
        ({"scorer": {"name": "svm"}}, "the scorer svm and the file plda disagree"),
        ({"scorer": {"name": "cosine", "options": ["rank=x"]}}, "chain.json: .*not a number"),
        ({"norm": "magic"}, "chain.json: unknown score normalisation 'magic'"),
        ({"norm": 3}, "chain.json: unknown score normalisation '3'"),
        ({"version": "one"}, "version 'one' of this file, known is 1"),
    ],
)
def test_a_chain_json_that_means_nothing_is_refused(saved, change, said):
    path = saved / "chain.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **change}))
    with pytest.raises(InputError, match=said):
        Backend.load(saved)


def test_a_save_that_fails_leaves_no_folder_that_looks_whole(saved, monkeypatch):
    def full(*_: object, **__: object) -> None:
        raise OSError(28, os.strerror(28))

    monkeypatch.setattr("pysteps.backend.backend.save_cohort", full)
    with pytest.raises(OSError, match="No space left"):
        Backend.fit("center | cosine | s-norm", X, SPEAKERS).save(saved)
    with pytest.raises(InputError, match="missing"):
        Backend.load(saved)


@pytest.mark.parametrize("name", ["plda", "cohort.scp", "calibration.json", "mean.vec", "transform_2.mat"])
def test_files_that_are_nobody_s_back_end_stay(tmp_path, name):
    (tmp_path / name).write_text("mine")
    backend = Backend.fit("center | cosine", X, SPEAKERS)
    with pytest.raises(InputError, match=f"is no back end, but has files .*{name}"):
        backend.save(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == [name]
    backend.save(tmp_path, replace_all=True)  # a stage's own folder
    assert {path.name for path in tmp_path.iterdir()} == {"chain.json", "mean.vec"}


def test_a_file_is_no_folder(tmp_path):
    (tmp_path / "file").write_text("mine")
    with pytest.raises(InputError, match="file: is no folder"):
        Backend.fit("center | cosine", X, SPEAKERS).save(tmp_path / "file")

"""Trial lists and score tables."""

from __future__ import annotations

import gzip
import subprocess
import sys

import numpy as np
import pytest

from pysteps.formats.errors import InputError
from pysteps.score import read_scores, read_trials, write_scores


def _file(folder, data: bytes):
    path = folder / "trials ä"
    path.write_bytes(data)
    return path


@pytest.mark.parametrize(
    "data",
    [
        b"a b target\na c nontarget\n",
        b"a b target\na c nontarget",
        b"a\tb  target\r\na c nontarget\r\n",
        b"1 a b\n0 a c\n",
        b"1 a b\n0 a c",
        gzip.compress(b"1 a b\n0 a c"),
    ],
)
def test_both_formats_are_read(tmp_path, data):
    trials = read_trials(_file(tmp_path, data))
    assert [trials.pair(0), trials.pair(1)] == [("a", "b"), ("a", "c")]
    assert trials.is_target.tolist() == [True, False]
    assert trials.enrol_ids == ["a"] and trials.test_ids == ["b", "c"]


def test_an_utterance_called_1_is_no_voxceleb_label(tmp_path):
    assert read_trials(_file(tmp_path, b"1 0 target\n")).pair(0) == ("1", "0")


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"a b target\na b\n", ":2: 2 words"),
        (b"a b target\n\na c target\n", ":2: 0 words"),
        (b"a b target\na c maybe\n", ":2: 'maybe'"),
        (b"1 a b\n2 a b\n", ":2: '2'"),
        (b"1 a b\na b target\n", ":2: 'a'"),
        (b"a b c\n", ":1: 'a'"),
        (b"a b target\n\xff b target\n", "not UTF-8"),
        (b"", "no trials"),
        (gzip.compress(b"1 a b\n" * 1000)[:-20], "broken gzip"),
    ],
)
def test_bad_lists_are_refused_with_file_and_line(tmp_path, data, said):
    with pytest.raises(InputError, match=said) as caught:
        read_trials(_file(tmp_path, data))
    assert "trials ä" in str(caught.value)


def test_a_missing_list_is_refused(tmp_path):
    with pytest.raises(InputError, match="cannot be read"):
        read_trials(tmp_path / "nothing")


def test_voxceleb1_o_is_read_whole(shared_data):
    trials = read_trials(shared_data / "reference/trials/vox1_o_cleaned.txt.gz")
    assert len(trials) == 37611
    assert trials.is_target.sum() == 18802
    assert trials.pair(0) == ("id10270/x6uYqmx31kE/00001.wav", "id10270/8jEAjG6SegY/00008.wav")


def test_scores_are_written_and_read(tmp_path):
    trials = read_trials(_file(tmp_path, b"a b target\na c nontarget\nd b nontarget\n"))
    write_scores(tmp_path / "scores", trials, [1 / 3, -np.inf, 1234567.8])
    assert (tmp_path / "scores").read_text() == "a b 0.33333333\na c -inf\nd b 1234567.8\n"
    np.testing.assert_allclose(
        read_scores(tmp_path / "scores", trials), [1 / 3, -np.inf, 1234567.8], rtol=1e-7
    )


def test_scores_that_are_not_numbers_are_not_written(tmp_path):
    trials = read_trials(_file(tmp_path, b"a b target\na c nontarget\n"))
    with pytest.raises(InputError, match="score of a c"):
        write_scores(tmp_path / "scores", trials, [1, np.nan])
    assert not (tmp_path / "scores").exists()


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"a b 1\na d 2\n", ":2: a score of a d, not of a c"),
        (b"a b 1\n", "1 scores for 2 trials"),
        (b"a b 1\na c 2\na c 2\n", ":3: more scores"),
        (b"a b 1\na c two\n", ":2: 'two'"),
    ],
)
def test_scores_of_other_trials_are_refused(tmp_path, data, said):
    trials = read_trials(_file(tmp_path, b"a b target\na c nontarget\n"))
    (tmp_path / "scores").write_bytes(data)
    with pytest.raises(InputError, match=said):
        read_scores(tmp_path / "scores", trials)


def test_locate_finds_rows_and_refuses_unknown_ids(tmp_path):
    trials = read_trials(_file(tmp_path, b"a b target\na c nontarget\n"))
    enrol, test = trials.locate({"a": 4}, {"b": 7}, {"c"})
    assert enrol.tolist() == [4, 4] and test.tolist() == [7, -1]
    with pytest.raises(InputError, match="first: c"):
        trials.locate({"a": 4}, {"b": 7})


def test_scoring_never_imports_torch(repo):
    rooms = "pysteps.metrics, pysteps.backend, pysteps.score, pysteps.report"
    code = f"import sys, {rooms}; print([m for m in ('torch', 'sklearn', 'matplotlib') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], cwd=repo, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"

"""Trial lists and score tables."""

from __future__ import annotations

import gzip
import os
import subprocess
import sys
import threading

import numpy as np
import pytest

from pysteps.formats.errors import InputError
from pysteps.score import Trials, columns, read_scores, read_trials, write_scores


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
        gzip.compress(b"1 a b\n0 a c", mtime=0),
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
        (gzip.compress(b"1 a b\n" * 1000, mtime=0)[:-20], "broken gzip"),
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
        (b"a b 1\na d 2\n", "1 of 2 trials have no score, the first: a c; 1 scores .* first: a d .line 2"),
        (b"a b 1\nd c 2\na c 3\nd d 4\n", "2 scores are of no trial, the first: d c .line 2"),
        (b"a b 1\n", "1 of 2 trials have no score, the first: a c"),
        (b"a c 2\na b 1\na c 2\n", "1 scores are of a pair that has one already, the first: a c .line 3"),
        (b"a b 1\na c nan\n", ":2: .* not a number"),
        (b"", "no scores"),
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


@pytest.mark.parametrize("data", [b"a c 2\na b 1\n", b"1 a b\n2 a c\n", b"2 a c\n1 a b\n"])
def test_scores_in_any_order_and_either_format(tmp_path, data):
    trials = read_trials(_file(tmp_path, b"a b target\na c nontarget\n"))
    (tmp_path / "scores").write_bytes(data)
    assert read_scores(tmp_path / "scores", trials).tolist() == [1, 2]


def test_ids_that_are_numbers_do_not_hide_the_format(tmp_path):
    trials = read_trials(_file(tmp_path, b"1 2 target\n1 3 nontarget\n"))
    for data, expected in ((b"1 2 5\n1 3 1\n", [5, 1]), (b"2 1 2\n1 1 3\n", [2, 1])):
        (tmp_path / "scores").write_bytes(data)
        assert read_scores(tmp_path / "scores", trials).tolist() == expected


def test_a_trial_that_is_listed_twice_has_one_score(tmp_path):
    trials = read_trials(_file(tmp_path, b"a b target\na c nontarget\na b target\n"))
    (tmp_path / "scores").write_bytes(b"a c 2\na b 1\n")
    assert read_scores(tmp_path / "scores", trials).tolist() == [1, 2, 1]


def test_lists_longer_than_a_block_read_as_line_by_line(tmp_path, monkeypatch):
    monkeypatch.setattr(columns, "_BLOCK", 50)  # bytes: words of up to 40 cross its ends
    draw = np.random.default_rng(0)
    ids = ["\u00e4" * int(size) + str(number) for number, size in enumerate(draw.integers(0, 20, 300))]
    pairs = draw.integers(0, 300, (2000, 2)).tolist()
    lines = [f"{ids[a]} {ids[b]} {'target' if a > b else 'nontarget'}\n" for a, b in pairs]
    trials = read_trials(_file(tmp_path, "".join(lines).encode()))
    assert [trials.pair(n) for n in range(2000)] == [(ids[a], ids[b]) for a, b in pairs]
    assert trials.enrol_ids == list(dict.fromkeys(ids[a] for a, _ in pairs))
    assert trials.is_target.tolist() == [a > b for a, b in pairs]


def test_numbers_are_written_to_eight_digits(tmp_path):
    draw = np.random.default_rng(0)
    values = draw.normal(size=3000) * 10.0 ** draw.integers(-12, 12, 3000)
    values[:9] = [0, -0.0, 1, -100, 99999999.9, 1e-4, 0.5, np.inf, 9.99999999]
    trials = Trials(["\u00e4", "bb"], ["c"], *np.zeros((2, 3000), np.int32), np.zeros(3000, bool))
    write_scores(tmp_path / "scores", trials, values)
    words = [line.split() for line in (tmp_path / "scores").read_text().splitlines()]
    assert {(one, two) for one, two, _ in words} == {("\u00e4", "c")}
    np.testing.assert_allclose([float(word) for *_, word in words], values, rtol=5.1e-8)
    assert sum(word == f"{value:.8g}" for (*_, word), value in zip(words, values, strict=True)) > 2990


@pytest.mark.parametrize("packed", [False, True])
def test_a_pipe_is_read_as_a_file_is(tmp_path, packed):
    # <(zcat FILE): what has been read cannot be wound back.
    path, text = tmp_path / "pipe", b"a b target\na c nontarget\n"
    os.mkfifo(path)
    writer = threading.Thread(target=path.write_bytes, args=(gzip.compress(text) if packed else text,))
    writer.start()
    trials = read_trials(path)
    writer.join()
    assert [trials.pair(0), trials.pair(1)] == [("a", "b"), ("a", "c")]


def test_scores_from_a_pipe_that_are_of_no_trial_are_refused(tmp_path, repo):
    words = 'exec "$0" -m pysteps.score evaluate --trials t --scores <(printf "c d 1\\n")'
    (tmp_path / "t").write_text("a b target\n")
    (tmp_path / "pysteps").symlink_to(repo / "pysteps")
    done = subprocess.run(
        ["bash", "-c", words, sys.executable], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode and "1 of 1 trials have no score" in done.stderr
    assert "Traceback" not in done.stderr

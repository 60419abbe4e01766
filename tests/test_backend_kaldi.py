"""Kaldi's single objects in files: what is read, and what is refused."""

from __future__ import annotations

import pickle

import kaldiio
import numpy as np
import pytest

from pysteps.backend.kaldi_io import (
    read_matrix,
    read_plda,
    read_vector,
    write_matrix,
    write_plda,
    write_vector,
)
from pysteps.formats.errors import InputError


def test_text_objects_are_read(tmp_path):
    (tmp_path / "v").write_text(" [ 1 2.5 -3 ]\n")
    (tmp_path / "m").write_text(" [\n  1 2\n  3 4 ]\n")
    (tmp_path / "p").write_text("<Plda>  [ 1 2 ]\n [\n  1 0\n  0 1 ]\n [ 3 0.5 ]\n</Plda> \n")
    assert read_vector(tmp_path / "v").tolist() == [1, 2.5, -3]
    assert read_matrix(tmp_path / "m").tolist() == [[1, 2], [3, 4]]
    assert [part.tolist() for part in read_plda(tmp_path / "p")] == [[1, 2], [[1, 0], [0, 1]], [3, 0.5]]


def test_single_precision_is_read(tmp_path):
    kaldiio.save_mat(str(tmp_path / "v"), np.array([1.5, 2], dtype=np.float32))
    kaldiio.save_mat(str(tmp_path / "m"), np.array([[1.5, 2]], dtype=np.float32))
    assert read_vector(tmp_path / "v").tolist() == [1.5, 2]
    assert read_matrix(tmp_path / "m").tolist() == [[1.5, 2]]


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", "expected \\["),
        (pickle.dumps([1]), "expected \\["),
        (b"PKL" + pickle.dumps([1]), "expected \\["),
        (b"\0BFM \4\1\0\0\0\4\1\0\0\0\0\0\0\0", "FV or DV"),
        (b"\0BCM \4\1\0\0\0", "FV or DV"),
        (b"\0B" + b"x" * 40, "no Kaldi marker"),
        (b"\0BDV \4\xff\xff\xff\x7f", "ends early"),
        (b"\0BDV \4\xff\xff\xff\xff", "a size of -1"),
        (b"\0BDV \4\1\0\0\0" + b"\0" * 9, "missing|follows"),
        (b"\0BDV \4\2\0\0\0" + b"\0" * 9, "ends early"),
        (b"\0BDV \4\1\0\0\0" + np.array(np.nan).tobytes(), "not finite"),
        (b" [ 1 x ]", "not a number"),
        (b" [ 1 2", "no closing"),
        (b" [ 1 2 ] 3", "follows"),
    ],
)
def test_what_is_no_vector_is_refused(tmp_path, data, said):
    path = tmp_path / "object"
    path.write_bytes(data)
    if data.endswith(b"\0" * 9) and data[6:7] == b"\1":
        path.write_bytes(data[:-1] + b"x")
    with pytest.raises(InputError, match=said):
        read_vector(path)


def test_a_missing_object_is_refused(tmp_path):
    with pytest.raises(InputError, match="cannot be read"):
        read_vector(tmp_path / "nothing")


def test_a_plda_whose_sizes_disagree_is_refused(tmp_path):
    (tmp_path / "p").write_text("<Plda>  [ 1 2 ]\n [\n  1 0\n  0 1 ]\n [ 3 ]\n</Plda> \n")
    with pytest.raises(InputError, match="disagree"):
        read_plda(tmp_path / "p")


def test_written_objects_are_read_back_exactly(tmp_path):
    values = np.random.default_rng(0).normal(size=(3, 5))
    write_matrix(tmp_path / "m", values)
    write_vector(tmp_path / "v", values[0])
    assert read_matrix(tmp_path / "m").tobytes() == values.tobytes()
    assert read_vector(tmp_path / "v").tobytes() == values[0].tobytes()


@pytest.mark.parametrize(
    ("transform", "psi", "said"),
    [
        ([[1.0, 2.0], [2.0, 4.0]], [1.0, 0.5], "a singular transform, of rank 1 where 2 is needed"),
        (np.zeros((2, 2)), [1.0, 0.5], "of rank 0"),
        (np.eye(2), [0.0, 0.0], "psi is 0 throughout"),
        (np.eye(2), [1.0, -0.5], "a between-speaker variance of -0.5"),
        (np.eye(2), [1.0, np.nan], "not finite"),
    ],
)
@pytest.mark.parametrize("text", [False, True])
def test_a_plda_that_cannot_score_is_refused(tmp_path, transform, psi, said, text):
    write_plda(tmp_path / "plda", np.zeros(2), transform, psi, text=text)
    with pytest.raises(InputError, match=f"plda: .*{said}"):
        read_plda(tmp_path / "plda")


def test_a_plda_whose_speakers_differ_in_some_directions_alone_is_read(tmp_path):
    write_plda(tmp_path / "plda", np.zeros(2), np.diag([1.0, 1e-9]), [1.0, 0.0])
    assert read_plda(tmp_path / "plda")[2].tolist() == [1.0, 0.0]

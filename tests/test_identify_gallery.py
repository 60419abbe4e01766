"""The gallery in files: appended to, whole at every moment, readable by Kaldi's readers."""

from __future__ import annotations

import json
import multiprocessing

import kaldiio
import numpy as np
import pytest

from pysteps.backend import Chain, Plda, fit
from pysteps.formats.errors import InputError
from pysteps.identify import Gallery, Space

PEOPLE = {"anna": ["a1", "a2"], "björn": ["b1"]}
UTTS = ["a1", "a2", "b1", "c1"]
X = np.array([[3.0, 0, 1], [5, 0, 1], [1, 2, 1], [1, 0, 7]])
MEAN = np.array([1.0, 0, 1])


@pytest.fixture
def space() -> Space:
    return Space(fit("center", [MEAN - 1, MEAN + 1], ["a", "b"]))


@pytest.fixture
def gallery(tmp_path, space) -> Gallery:
    made = Gallery.create(tmp_path / "people here", space)
    made.enrol(PEOPLE, UTTS, X)
    return made


def _vectors(gallery: Gallery, first: int = 0) -> np.ndarray:
    return np.concatenate([np.empty((0, gallery.dim)), *gallery.vectors(first)])


def test_a_person_is_the_transformed_mean_of_the_utterances(gallery):
    assert gallery.names == ["anna", "björn"]
    assert gallery.examples.tolist() == [2, 1]
    np.testing.assert_array_equal(_vectors(gallery), [[3, 0, 0], [0, 2, 0]])


def test_kaldi_readers_read_it(gallery):
    read = dict(kaldiio.load_ark(str(gallery.folder / "xvector.ark")))
    assert {key: value.tolist() for key, value in read.items()} == {"anna": [3, 0, 0], "björn": [0, 2, 0]}
    assert (gallery.folder / "spk2utt").read_text("utf-8") == "anna a1 a2\nbjörn b1\n"


def test_one_more_person_leaves_every_byte_before(gallery):
    before = {name: (gallery.folder / name).read_bytes() for name in ("xvector.ark", "spk2utt")}
    assert gallery.enrol({"carla": ["c1"]}, UTTS, X) == 3
    for name, content in before.items():
        assert (gallery.folder / name).read_bytes().startswith(content)
    np.testing.assert_array_equal(_vectors(gallery, 2), [[0, 0, 6]])


def test_one_by_one_gives_the_bytes_of_all_at_once(gallery, tmp_path, space):
    other = Gallery.create(tmp_path / "other", space)
    for person, members in PEOPLE.items():
        other.enrol({person: members}, UTTS, X)
    for name in ("xvector.ark", "spk2utt", "gallery.json"):
        assert (other.folder / name).read_bytes() == (gallery.folder / name).read_bytes()


def test_an_open_gallery_learns_of_new_people_when_refreshed(gallery):
    other = Gallery(gallery.folder)
    gallery.enrol({"carla": ["c1"]}, UTTS, X)
    assert len(other) == 2 and other.refresh() == 1 and other.names[2] == "carla"
    np.testing.assert_array_equal(_vectors(other), _vectors(gallery))


def test_what_a_killed_enrolment_left_does_not_count(gallery):
    before = _vectors(gallery)
    for name in ("xvector.ark", "spk2utt"):
        with open(gallery.folder / name, "ab") as handle:
            handle.write(b"carla half a li")
    again = Gallery(gallery.folder)
    np.testing.assert_array_equal(_vectors(again), before)
    again.enrol({"carla": ["c1"]}, UTTS, X)
    assert (gallery.folder / "spk2utt").read_text("utf-8").splitlines()[2:] == ["carla c1"]
    assert list(dict(kaldiio.load_ark(str(gallery.folder / "xvector.ark")))) == ["anna", "björn", "carla"]


def test_a_failing_enrolment_enrols_nobody(gallery, monkeypatch):
    def fail(*_: object) -> None:
        raise OSError("no space left on device")

    monkeypatch.setattr("pysteps.identify.gallery.write_text", fail)
    with pytest.raises(OSError, match="no space"):
        gallery.enrol({"carla": ["c1"]}, UTTS, X)
    assert Gallery(gallery.folder).names == ["anna", "björn"]


def _enrol_ten(folder: str, letter: str) -> None:
    gallery = Gallery(folder)
    for number in range(10):
        name = f"{letter}{number}"
        gallery.enrol({name: [f"{name}-u"]}, [f"{name}-u"], np.full((1, 3), number))


def test_two_processes_enrol_at_once(tmp_path, space):
    Gallery.create(tmp_path, space)
    context = multiprocessing.get_context("fork")
    jobs = [context.Process(target=_enrol_ten, args=(str(tmp_path), letter)) for letter in "xy"]
    for job in jobs:
        job.start()
    for job in jobs:
        job.join()
    gallery = Gallery(tmp_path)
    assert sorted(gallery.names) == [f"{letter}{number}" for letter in "xy" for number in range(10)]
    expected = np.array([int(name[1:]) for name in gallery.names])[:, None] - MEAN
    np.testing.assert_array_equal(_vectors(gallery), expected)


@pytest.mark.parametrize(
    ("people", "message"),
    [
        ({"anna": ["c1"]}, "anna is enrolled already"),
        ({"carla": ["a1"]}, "a1: enrolled already, for anna"),
        ({"carla": ["c1"], "dora": ["c1"]}, "enrolled already, for carla"),
        ({"carla": ["x9"]}, "no x-vector for carla"),
        ({"carla": []}, "no utterance of carla"),
        ({"ca rla": ["c1"]}, "must be one word"),
        ({"carla\u2028": ["c1"]}, "must be one word"),
    ],
)
def test_who_cannot_be_enrolled_is_refused(gallery, people, message):
    with pytest.raises(InputError, match=message):
        gallery.enrol(people, UTTS, X)
    assert Gallery(gallery.folder).names == ["anna", "björn"]


def test_an_x_vector_that_is_not_finite_is_refused_by_name(gallery):
    with pytest.raises(InputError, match="carla is not finite"):
        gallery.enrol({"carla": ["c1"]}, ["c1"], [[1.0, np.nan, 0]])


def test_x_vectors_of_another_size_are_refused(gallery):
    with pytest.raises(InputError, match="4 dimensions"):
        gallery.enrol({"carla": ["c1"]}, ["c1"], np.ones((1, 4)))


def test_a_damaged_archive_is_said(gallery):
    path = gallery.folder / "xvector.ark"
    path.write_bytes(path.read_bytes().replace(b"anna", b"hans"))
    with pytest.raises(InputError, match="not the vector of anna"):
        _vectors(gallery)


@pytest.mark.parametrize("name", ["xvector.ark", "spk2utt"])
def test_a_file_that_was_cut_short_is_said(gallery, name):
    path = gallery.folder / name
    path.write_bytes(path.read_bytes()[:-3])
    with pytest.raises(InputError, match="restore the folder"):
        again = Gallery(gallery.folder)
        again.enrol({"carla": ["c1"]}, UTTS, X)


def test_a_back_end_that_was_changed_is_refused(gallery):
    fit("center", [MEAN, MEAN + 4], ["a", "b"]).save(gallery.folder / "backend")
    with pytest.raises(InputError, match="not what people were enrolled with"):
        Gallery(gallery.folder)


def test_a_gallery_is_not_made_twice(gallery, space):
    with pytest.raises(InputError, match="a gallery already"):
        Gallery.create(gallery.folder, space)


def test_no_gallery_is_said(tmp_path):
    with pytest.raises(InputError, match="missing.*--backend"):
        Gallery(tmp_path)


@pytest.mark.parametrize("record", ["[]", "{}", '{"version": 9}', "{"])
def test_a_damaged_record_is_said(gallery, record):
    (gallery.folder / "gallery.json").write_text(record)
    with pytest.raises(InputError, match="gallery.json"):
        Gallery(gallery.folder)


def test_a_record_says_what_counts(gallery):
    record = json.loads((gallery.folder / "gallery.json").read_text())
    assert record["people"] == 2 and record["bytes"]["spk2utt"] == len("anna a1 a2\nbjörn b1\n".encode())


def test_the_back_end_is_carried_along(tmp_path):
    plda = Plda(np.zeros(2), np.eye(2), np.array([2.0, 1.0]))
    made = Gallery.create(tmp_path, Space(Chain([]), plda))
    np.testing.assert_array_equal(Gallery(tmp_path).space.plda.psi, plda.psi)
    with pytest.raises(InputError, match="give 3 dimensions, the PLDA has 2"):
        made.enrol({"a": ["a1"]}, ["a1"], np.ones((1, 3)))


@pytest.mark.parametrize(
    ("people", "x", "message"),
    [({"anna": ["a1"], "cara": ["x9"]}, X, "no x-vector for cara"), ({"anna": ["a1"]}, X * np.nan, "finite")],
)
def test_a_first_enrolment_that_is_refused_leaves_nothing(tmp_path, space, people, x, message):
    with pytest.raises(InputError, match=message):
        Gallery.begin(tmp_path / "new" / "people", space, people, UTTS, x)
    assert list(tmp_path.iterdir()) == []
    assert Gallery.begin(tmp_path / "new" / "people", space, PEOPLE, UTTS, X) == 2
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["people"]


def test_a_gallery_is_not_begun_over_other_files(tmp_path, space):
    (tmp_path / "thesis").write_text("")
    with pytest.raises(InputError, match="there is something"):
        Gallery.begin(tmp_path, space, PEOPLE, UTTS, X)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis"]


def test_names_that_are_not_utf_8_are_said(gallery):
    path = gallery.folder / "spk2utt"
    path.write_bytes(path.read_bytes().replace("ö".encode(), b"\xf6\xf6"))
    with pytest.raises(InputError, match=r"spk2utt: not UTF-8.*restore the folder"):
        Gallery(gallery.folder)

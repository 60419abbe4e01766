"""egs/sitw and egs/voxceleb_to_sitw: a miniature sitw_database.v4, by itself and behind both VoxCelebs."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from local import sitw, voxceleb_to_sitw
from local.voxceleb_files import VOX1, read_people
from pysteps.formats.datadir import DataSet
from pysteps.formats.errors import InputError
from pysteps.formats.tables import read_table
from pysteps.prepare.corpus import Corpus
from tests import voxceleb_corpus
from tests.corpora import Voices, prepared, results_of
from tests.voxceleb_corpus import DEV1, DEV2, PEOPLE, TEST1

AAM = ("--train", "aam", "--egs", "audio", "--augment", "live")


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The database of empty files; not to be changed."""
    return voxceleb_corpus.sitw(tmp_path_factory.mktemp("sitw"))


@pytest.fixture
def own(tree: Path, tmp_path: Path) -> Path:
    """A copy to change."""
    return Path(shutil.copytree(tree, tmp_path / "corpus"))


@pytest.fixture
def three(own: Path) -> Path:
    """SITW and both VoxCelebs; VoxCeleb1 and SITW share A.R._Rahman and Eartha_Kitt."""
    voxceleb_corpus.voxceleb(own)
    (own / "VoxCeleb1" / "voxceleb1_sitw_overlap.txt").write_text("A.R._Rahman\nEartha_Kitt\n")
    return own


@pytest.fixture(scope="module")
def data(tree: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """data/ of recipe sitw."""
    return prepared("sitw", tree, tmp_path_factory.mktemp("work"))


def lines(path: Path) -> list[list[str]]:
    return [line.split() for line in path.read_text().splitlines()]


def test_a_core_model_is_a_recording_and_an_assist_model_a_piece_of_one(data: Path) -> None:
    folder = data / "sitw-eval"
    assert read_table(folder / "enrol") == {
        "12013": "LKQN-ggjnl",
        "12014": "MROS-abhpt",
        "12015": "TVAH-eqjrx",
        "45205": "LKQN-xkcuo-0000500-0002000",
        "45206": "MROS-dygum-0000500-0002000",
        "45207": "TVAH-hntvi-0000500-0002000",
    }
    segments = read_table(folder / "segments")
    assert segments["LKQN-xkcuo-0000500-0002000"] == "LKQN-xkcuo 0.500 2.000"
    assert segments["LKQN-xkcuo"] == "LKQN-xkcuo 0.000 -1"
    assert read_table(folder / "wav.scp")["LKQN-xkcuo"].endswith("v4/eval/audio/xkcuo.flac")
    assert set(read_table(folder / "utt2spk").values()) == set(PEOPLE["eval"])


def test_trials_are_the_keys(data: Path) -> None:
    folder = data / "sitw-eval"
    assert {path.name for path in folder.glob("trials*")} == {
        "trials.core-core",
        "trials.core-multi",
        "trials.assist-core",
    }
    core = lines(folder / "trials.core-core")
    assert core[:3] == [
        ["12013", "LKQN-akyvw", "target"],
        ["12013", "LKQN-lywwa", "target"],
        ["12013", "MROS-bznqd", "nontarget"],
    ]
    assert len(core) == 18 and sum(kind == "target" for *_, kind in core) == 6
    multi = lines(folder / "trials.core-multi")
    assert ["12013", "LKQN-xkcuo", "target"] in multi and len(multi) == 9
    assert lines(folder / "trials.assist-core")[0] == ["45205", "LKQN-akyvw", "target"]


def test_metadata_give_gender_and_session(data: Path) -> None:
    assert read_table(data / "sitw-eval" / "spk2gender") == {"LKQN": "m", "MROS": "f", "TVAH": "m"}
    assert read_table(data / "sitw-eval" / "utt2session")["LKQN-lywwa"] == "605272"


def test_training_hears_the_dev_speakers_where_they_are_alone(data: Path) -> None:
    sets = {name: DataSet(data / name) for name in ("train", "dev")}
    assert sets["train"].speakers() | sets["dev"].speakers() == set(PEOPLE["dev"])
    assert len(sets["dev"].speakers()) == 2 and not sets["train"].speakers() & sets["dev"].speakers()
    names = {utt.partition("-")[2] for one in sets.values() for utt in one.utt2spk()}
    alone = {name for _, names in PEOPLE["dev"].values() for name in names.split()[:3]}
    assert names == alone
    # Two people with three sessions each: 3 pairs of sessions each, and at most 9 pairs of people.
    kinds = [kind for *_, kind in lines(data / "dev" / "trials")]
    assert kinds.count("target") == 6 and 0 < kinds.count("nontarget") <= 9


def test_the_number_of_speakers_is_compared(
    tree: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    prepared("sitw", tree / "sitw_database.v4", tmp_path)
    said = capsys.readouterr().err
    assert "warning: SITW dev and eval: 11 speakers, McLaren et al. 2016 has 299\n" in said
    assert "keys has no assist-multi" in said


def test_a_missing_recording_costs_its_models_and_trials(
    own: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    audio = own / "sitw_database.v4" / "eval" / "audio"
    (audio / "ggjnl.flac").unlink()  # a model of six trials
    (audio / "bznqd.flac").unlink()  # a test of three
    folder = prepared("sitw", own, tmp_path) / "sitw-eval"
    assert "12013" not in read_table(folder / "enrol")
    assert len(lines(folder / "trials.core-core")) == 18 - 6 - 2
    said = capsys.readouterr().err
    assert "eval: 2 recordings are not there or not in meta.lst (bznqd ...)" in said
    assert "trials.core-core: 8 of 18 trials name what is not there" in said


def test_without_assist_models_core_is_left(own: Path, tmp_path: Path) -> None:
    (own / "sitw_database.v4" / "eval" / "lists" / "enroll-assist.lst").unlink()
    folder = prepared("sitw", own, tmp_path) / "sitw-eval"
    assert {path.name for path in folder.glob("trials*")} == {"trials.core-core", "trials.core-multi"}
    assert len(read_table(folder / "enrol")) == 3


@pytest.mark.parametrize(
    ("gone", "said"),
    [
        ("eval", r"v4: no eval here; found dev/ .*sitw_database.v4, which holds dev/ and eval/"),
        ("eval/audio", r"no audio here; found keys/, lists/"),
        ("dev/keys/meta.lst", r"no keys/meta.lst here"),
        ("eval/lists/enroll-core.lst", r"no lists/enroll-core.lst here"),
        ("eval/keys/core-core.lst", r"no core-core.lst; found assist-core.lst, core-multi.lst, meta.lst"),
    ],
)
def test_half_a_database_is_named(own: Path, tmp_path: Path, gone: str, said: str) -> None:
    path = own / "sitw_database.v4" / gone
    shutil.rmtree(path) if path.is_dir() else path.unlink()
    with pytest.raises(InputError, match=said):
        prepared("sitw", own, tmp_path)


def test_an_archive_that_is_still_packed_is_named(tmp_path: Path) -> None:
    (tmp_path / "sitw_database.v4.tar.gz").touch()
    with pytest.raises(InputError, match="no dev and no eval here; .*unpack sitw_database.v4.tar.gz there"):
        prepared("sitw", tmp_path, tmp_path / "work")


@pytest.mark.parametrize(
    ("file", "line", "said"),
    [
        ("keys/meta.lst", "audio/skdts.flac ZPYJ video 605273", "meta.lst.*not `audio/NAME.flac SPEAKER m|f"),
        ("lists/enroll-assist.lst", "45205 audio/ggjnl.flac 88.000", "enroll-assist.lst.*not `MODEL audio"),
        ("keys/core-core.lst", "12013 audio/akyvw.flac yes", "'yes' is neither tgt nor imp"),
    ],
)
def test_a_broken_line_is_named(own: Path, tmp_path: Path, file: str, line: str, said: str) -> None:
    with (own / "sitw_database.v4" / "eval" / file).open("a") as handle:
        handle.write(line + "\n")
    with pytest.raises(InputError, match=said):
        prepared("sitw", own, tmp_path)


def test_who_is_in_sitw_is_not_trained_on(
    three: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = prepared("voxceleb_to_sitw", three, tmp_path, *AAM)
    heard = DataSet(data / "train").speakers() | DataSet(data / "dev").speakers()
    assert heard == {*DEV1, *TEST1, *DEV2} - {"id10002", "id10270"}
    assert DataSet(data / "sitw-dev").speakers() == set(PEOPLE["dev"])
    assert len(lines(data / "sitw-dev" / "trials.core-core")) == 8 * 8 * 2
    said = capsys.readouterr().err
    assert "VoxCeleb1: 8 utterances of speakers who are in SITW are left out" in said
    assert "voxceleb1_sitw_overlap.txt: 2 speakers, Kaldi's egs/sitw/v2 has 60" in said
    assert "training and development: 16 speakers, Kaldi's egs/sitw/v2 has 7,185" in said


def test_nothing_is_trained_without_the_list_of_who_is_in_sitw(three: Path, tmp_path: Path) -> None:
    (three / "VoxCeleb1" / "voxceleb1_sitw_overlap.txt").unlink()
    with pytest.raises(InputError, match=r"no voxceleb1_sitw_overlap.txt.*SLR49"):
        prepared("voxceleb_to_sitw", three, tmp_path, *AAM)
    (three / "VoxCeleb1" / "voxceleb1_sitw_overlap.txt").touch()
    with pytest.raises(InputError, match=r"voxceleb1_sitw_overlap.txt: the list is empty"):
        prepared("voxceleb_to_sitw", three, tmp_path, *AAM)


def test_names_need_ids_and_ids_do_not(three: Path) -> None:
    corpus, path = Corpus(three), three / "VoxCeleb1" / "voxceleb1_sitw_overlap.txt"
    people = read_people(corpus, VOX1)
    assert voxceleb_to_sitw.shared_speakers(corpus, people) == {"id10002", "id10270"}
    with pytest.raises(InputError, match="2 of 2 speakers have no id, the first is A.R._Rahman.*vox1_meta"):
        voxceleb_to_sitw.shared_speakers(corpus, {})
    path.write_text("id10002\nid10270\n")
    assert voxceleb_to_sitw.shared_speakers(corpus, {}) == {"id10002", "id10270"}


def test_an_enrolment_may_have_several_pieces(own: Path, tmp_path: Path) -> None:
    part = sitw.read_part(own / "sitw_database.v4" / "eval")
    with (part.folder / "lists" / "enroll-assist.lst").open("a") as handle:
        handle.write("45205 audio/xkcuo.flac 2.000 2.500\n")
    sitw.write_lists(tmp_path / "set", part)
    utts = "LKQN-xkcuo-0000500-0002000 LKQN-xkcuo-0002000-0002500"
    assert read_table(tmp_path / "set" / "enrol")["45205"] == utts


@pytest.mark.long
def test_the_recipe_runs_from_stage_0_to_9(tmp_path: Path) -> None:
    root = voxceleb_corpus.sitw(tmp_path / "corpus", Voices())
    results = results_of("sitw", root, tmp_path / "work")
    assert set(results["trials"]) == {
        f"sitw-eval.{one}" for one in ("core-core", "core-multi", "assist-core")
    }


@pytest.mark.long
def test_the_other_runs_from_stage_0_to_9(tmp_path: Path) -> None:
    voices = Voices()
    root = voxceleb_corpus.voxceleb(voxceleb_corpus.sitw(tmp_path / "corpora", voices), voices)
    (root / "VoxCeleb1" / "voxceleb1_sitw_overlap.txt").write_text("A.R._Rahman\nEartha_Kitt\n")
    results = results_of("voxceleb_to_sitw", root, tmp_path / "work", *AAM)
    lists = ("core-core", "core-multi", "assist-core")
    assert set(results["trials"]) == {f"sitw-{part}.{one}" for part in ("dev", "eval") for one in lists}

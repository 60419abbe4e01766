"""egs/voxceleb, voxceleb1 and voxceleb12: miniature corpora in the layouts that people have."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest

from local import voxceleb_files
from local.voxceleb_files import VOX1, VOX2, Person, read_pairs, recordings, voxceleb2_dev
from pysteps.formats.errors import InputError
from pysteps.formats.tables import read_table
from pysteps.prepare.corpus import Corpus
from tests.corpora import Voices, prepared, results_of
from tests.voxceleb_corpus import DEV1, DEV2, TEST1, VIDEOS, add, lists, trials, voxceleb

AAM = ("--train", "aam", "--egs", "audio", "--augment", "live")


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Both corpora, of empty files; not to be changed."""
    return voxceleb(tmp_path_factory.mktemp("vox") / "two corpora")


@pytest.fixture
def own(tree: Path, tmp_path: Path) -> Path:
    """A copy to change."""
    return Path(shutil.copytree(tree, tmp_path / "corpus"))


def people(data: Path, name: str) -> set[str]:
    return set(read_table(data / name / "spk2utt"))


def test_who_is_where(tree: Path, tmp_path: Path) -> None:
    data = prepared("voxceleb", tree, tmp_path, *AAM)
    assert people(data, "vox1") == {*TEST1, *DEV1}
    assert len(people(data, "dev")) == 2
    assert people(data, "train") | people(data, "dev") == set(DEV2)
    assert not people(data, "train") & people(data, "dev")


def test_a_recording_has_its_speaker_gender_video_and_file(tree: Path, tmp_path: Path) -> None:
    data = prepared("voxceleb", tree, tmp_path, *AAM)
    utt = "id10006--xAzUdI_A1k-00001"
    assert read_table(data / "vox1" / "utt2spk")[utt] == "id10006"
    assert read_table(data / "vox1" / "utt2session")[utt] == "-xAzUdI_A1k"
    assert read_table(data / "vox1" / "spk2gender")["id10006"] == "f"
    path = str(tree / "VoxCeleb1/dev/wav/id10006/-xAzUdI_A1k/00001.wav")
    assert read_table(data / "vox1" / "wav.scp")[utt] == path
    genders = read_table(data / "train" / "spk2gender") | read_table(data / "dev" / "spk2gender")
    assert genders == {name: "m" if name < "id00020" else "f" for name in DEV2}
    assert sorted(read_table(data / "dev" / "spk2gender").values()) == ["f", "m"]


def test_lists_are_the_owners_and_the_set_holds_what_they_name(tree: Path, tmp_path: Path) -> None:
    folder = prepared("voxceleb", tree, tmp_path, *AAM) / "vox1"
    assert {path.name for path in folder.glob("trials*")} == {
        "trials.O-cleaned",
        "trials.O-original",
        "trials.E-cleaned",
        "trials.H-cleaned",
    }
    assert (folder / "trials.O-cleaned").read_text().splitlines()[:2] == [
        "id10270-5r0dWxy17C8-00001 id10270--xAzUdI_A1k-00001 target",
        "id10270-5r0dWxy17C8-00001 id10271--xAzUdI_A1k-00001 nontarget",
    ]
    assert len((folder / "trials.E-cleaned").read_text().splitlines()) == 20
    # Of the four utterances of each of the ten speakers the lists name two.
    assert len(read_table(folder / "utt2spk")) == 20


def test_dev_trials_cross_videos_and_hold_both_kinds(tree: Path, tmp_path: Path) -> None:
    data = prepared("voxceleb", tree, tmp_path, *AAM)
    video = read_table(data / "dev" / "utt2session")
    lines = [line.split() for line in (data / "dev" / "trials").read_text().splitlines()]
    # Two people with two utterances in each of two videos: 2 x 2 pairs across videos, 4 x 4 between people.
    targets = [(one, two) for one, two, kind in lines if kind == "target"]
    assert len(targets) == 8 and all(video[one] != video[two] for one, two in targets)
    assert 0 < len(lines) - len(targets) <= 16


def test_counts_that_are_not_the_published_ones_are_said(
    tree: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    prepared("voxceleb", tree, tmp_path, *AAM)
    said = capsys.readouterr().err
    for line in (
        "VoxCeleb1 dev: 7 speakers, the owners' page has 1,211",
        "VoxCeleb1 dev: 28 utterances, the owners' page has 148,642",
        "VoxCeleb1 test: 12 utterances, the owners' page has 4,874",
        "VoxCeleb2 dev: 8 speakers, the owners' page has 5,994",
        "VoxCeleb2 dev: 32 utterances, the owners' page has 1,092,009",
        "veri_test2.txt: 6 trials, the owners' page has 37,611",
        "no list_test_all.txt, no list_test_hard.txt beside VoxCeleb1: these lists are left out",
    ):
        assert f"warning: {line}\n" in said


@pytest.mark.parametrize("layout", ["wav", ".", "vox1_dev_wav"])
def test_every_layout_gives_the_same_utterances(tree: Path, tmp_path: Path, layout: str) -> None:
    for folder, speakers in (("dev", DEV1), ("test", TEST1)):
        place = {"vox1_dev_wav": f"vox1_{folder}_wav/wav"}.get(layout, layout)
        add(tmp_path / place, speakers, ".wav")
    found = recordings(Corpus(tmp_path), VOX1)
    assert found.keys() == recordings(Corpus(tree), VOX1).keys()
    assert all(Path(path).is_file() for path in found.values())


def test_a_converted_copy_goes_before_the_m4a(own: Path) -> None:
    add(own / "VoxCeleb2" / "dev" / "aac", ["id00012"], ".wav")  # beside the m4a
    add(own / "VoxCeleb2" / "dev" / "wav", ["id00015"], ".wav")  # in a folder of its own
    found = recordings(Corpus(own), VOX2)
    assert len(found) == 32
    kinds = {(utt[:7], path.rpartition(".")[2]) for utt, path in found.items()}
    assert kinds == {(name, "wav" if name in ("id00012", "id00015") else "m4a") for name in DEV2}


def test_both_corpora_may_lie_in_one_folder(tmp_path: Path) -> None:
    add(tmp_path / "wav", [*DEV1, *TEST1, *DEV2], ".wav")  # SpeechBrain's VoxCeleb1+2
    lists(tmp_path / "meta")
    data = prepared("voxceleb12", tmp_path, tmp_path / "work", *AAM)
    assert people(data, "train") | people(data, "dev") == {*DEV1, *DEV2}
    assert people(data, "vox1") == set(TEST1)
    assert {path.name for path in (data / "vox1").glob("trials*")} == {
        "trials.O-cleaned",
        "trials.O-original",
    }


def test_voxceleb1_alone_trains_on_its_dev_and_is_judged_on_o(tree: Path, tmp_path: Path) -> None:
    data = prepared("voxceleb1", tree / "VoxCeleb1", tmp_path, *AAM)
    assert people(data, "train") | people(data, "dev") == set(DEV1)
    assert people(data, "vox1") == set(TEST1)
    assert {path.name for path in (data / "vox1").glob("trials*")} == {
        "trials.O-cleaned",
        "trials.O-original",
    }


def test_lists_may_lie_elsewhere(own: Path, tmp_path: Path) -> None:
    lists(tmp_path / "lists of VGG")
    for name in ("veri_test.txt", "veri_test2.txt", "list_test_all2.txt", "list_test_hard2.txt"):
        (own / "VoxCeleb1" / name).unlink()
    with pytest.raises(
        InputError, match="no veri_test2.txt, no veri_test.txt, .*roots.voxceleb_lists FOLDER"
    ):
        prepared("voxceleb", own, tmp_path / "a", *AAM)
    data = prepared("voxceleb", own, tmp_path / "b", *AAM, voxceleb_lists=tmp_path / "lists of VGG")
    assert (data / "vox1" / "trials.H-cleaned").is_file()


def test_test_speakers_of_voxceleb2_are_left_out(own: Path, capsys: pytest.CaptureFixture[str]) -> None:
    add(own / "VoxCeleb2" / "dev" / "aac", ["id00017"], ".m4a")
    test = {"id00017": Person("n000017", "m", "test"), "id10270": Person("Eartha_Kitt", "f", "test")}
    assert {utt[:7] for utt in voxceleb2_dev(Corpus(own), test)} == set(DEV2)
    assert "VoxCeleb2: 4 utterances of its test speakers are left out" in capsys.readouterr().err


def test_who_is_in_test_must_be_known_where_test_is_there(
    tree: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    every = {f"id{number:05d}-video-00001": "/x.m4a" for number in range(6112)}
    monkeypatch.setattr(voxceleb_files, "recordings", lambda *_: every)
    with pytest.raises(InputError, match="6,112 speakers where dev has 5,994.*vox2_meta.csv"):
        voxceleb2_dev(Corpus(tree), {"id10270": Person("Eartha_Kitt", "f", "test")})


def test_a_missing_recording_costs_its_trials(
    own: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (own / "VoxCeleb1/test/wav/id10271" / VIDEOS[1] / "00001.wav").unlink()
    data = prepared("voxceleb", own, tmp_path, *AAM)
    lines = (data / "vox1" / "trials.O-cleaned").read_text().splitlines()
    assert len(lines) == 4 and not any(f"id10271-{VIDEOS[1]}-00001" in line for line in lines)
    said = capsys.readouterr().err
    assert (
        "trials.O-cleaned: 2 of 6 trials name what is not there (the first: id10271--xAzUdI_A1k-00001)"
        in said
    )


def test_without_voxceleb1_dev_o_is_left(
    own: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.rmtree(own / "VoxCeleb1" / "dev")
    data = prepared("voxceleb", own, tmp_path, *AAM)
    assert people(data, "vox1") == set(TEST1)
    assert "VoxCeleb1's dev is not here: E-cleaned, H-cleaned are left out" in capsys.readouterr().err
    with pytest.raises(InputError, match="test speakers are here, dev's are not.*vox1_dev_wav.zip"):
        prepared("voxceleb1", own, tmp_path / "other", *AAM)


def test_without_metadata_genders_are_unknown(
    own: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (own / "VoxCeleb1" / "vox1_meta.csv").unlink()
    data = prepared("voxceleb", own, tmp_path, *AAM)
    assert not (data / "vox1" / "spk2gender").exists() and (data / "train" / "spk2gender").exists()
    assert "no vox1_meta.csv beside VoxCeleb1: genders are not known" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (
            "vox1_dev_wav.zip",
            r"no VoxCeleb1 here: looked for dev/wav/id1\.\.\.\./.*found VoxCeleb2/.*unpack vox1_dev",
        ),
        ("vox1_dev_wav_partaa", r"unpack vox1_dev_wav_partaa there \(parts: cat them together first\)"),
        (
            "voxceleb1_wav/A.J._Buckley/1zcIwhmdeo4_0000001.wav",
            "version 1.0, with people's names: get version 1.1",
        ),
        ("wav/id10001/1zcIwhmdeo4.txt", "speakers without SPEAKER/VIDEO/NUMBER.wav"),
        ("notes", "--prepare.roots.voxceleb1 FOLDER is the folder that holds one of them"),
    ],
)
def test_a_wrong_folder_is_named(own: Path, tmp_path: Path, change: str, said: str) -> None:
    shutil.rmtree(own / "VoxCeleb1")
    (own / change).parent.mkdir(parents=True, exist_ok=True)
    (own / change).touch()
    with pytest.raises(InputError, match=said):
        prepared("voxceleb", own, tmp_path, *AAM)


@pytest.mark.parametrize(
    ("line", "said"),
    [
        (
            "1 Eartha_Kitt/8jEAjG6SegY_0000008.wav Eartha_Kitt/x6uYqmx31kE_0000001.wav",
            "VoxCeleb1 1.0.*version 1.1",
        ),
        ("target id10270/a/00001.wav id10270/b/00001.wav", "neither 1 nor 0"),
        ("1 id10270/a/00001.wav", "2 words where 3"),
    ],
)
def test_a_list_of_another_kind_is_refused(tmp_path: Path, line: str, said: str) -> None:
    path = tmp_path / "veri_test.txt"
    path.write_text(trials(TEST1) + line + "\n")
    with pytest.raises(InputError, match=said) as error:
        list(read_pairs(path))
    assert re.search(r"veri_test.txt:7|line 7", str(error.value))


@pytest.mark.parametrize("fields", ["id10001,A.J._Buckley", "id10001\tA.J._Buckley\tm\tIreland\t?"])
def test_broken_metadata_are_refused(own: Path, tmp_path: Path, fields: str) -> None:
    (own / "VoxCeleb1" / "vox1_meta.csv").write_text(f"ID\n{fields}\n")
    with pytest.raises(InputError, match=r"not `id, name, gender"):
        prepared("voxceleb", own, tmp_path, *AAM)


@pytest.mark.long
def test_the_recipe_runs_from_m4a_to_eer(tmp_path: Path) -> None:
    root = voxceleb(tmp_path / "corpora", Voices())
    results = results_of("voxceleb", root, tmp_path / "work", *AAM)
    assert set(results["trials"]) == {"vox1.O-cleaned", "vox1.O-original", "vox1.E-cleaned", "vox1.H-cleaned"}


@pytest.mark.long
@pytest.mark.parametrize("name", ["voxceleb1", "voxceleb12"])
def test_the_others_run_too(tmp_path: Path, name: str) -> None:
    root = voxceleb(tmp_path / "corpora", Voices())
    results = results_of(name, root, tmp_path / "work", *AAM)
    assert set(results["trials"]) == {"vox1.O-cleaned", "vox1.O-original"}

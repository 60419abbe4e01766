"""egs/aishell1: a miniature corpus in AISHELL-1's own layout."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from pysteps.formats.errors import InputError
from pysteps.formats.tables import read_table
from tests.corpora import Voices, prepared, results_of
from tests.voxceleb_corpus import write

SPEAKERS = {
    "train": ["S0002", "S0003", "S0004", "S0005", "S0006", "S0007"],
    "dev": ["S0724", "S0725", "S0726"],
    "test": ["S0764", "S0765", "S0766"],
}
INFO = """0002 F
0003 F
0004 M
0005 M
0006 F
0007 F
0724 F
0725 F
0726 M
0764 F
0765 F
0766 M
"""


def build(root: Path, voices: Voices | None = None) -> Path:
    """data_aishell with the archives of wav/ beside what came out of them, and resource_aishell."""
    wav = root / "data_aishell" / "wav"
    for name, speakers in SPEAKERS.items():
        for who in speakers:
            for number in range(5):
                write(wav / name / who / f"BAC009{who}W{121 + number:04d}.wav", who, number, voices)
            (wav / f"{who}.tar.gz").touch()
    (root / "resource_aishell").mkdir()
    (root / "resource_aishell" / "speaker.info").write_text(INFO)
    return root


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The corpus, of empty files; not to be changed."""
    return build(tmp_path_factory.mktemp("aishell") / "a corpus")


@pytest.fixture
def own(tree: Path, tmp_path: Path) -> Path:
    """A copy to change."""
    return Path(shutil.copytree(tree, tmp_path / "corpus"))


@pytest.fixture(scope="module")
def data(tree: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """data/ of the miniature corpus."""
    return prepared("aishell1", tree, tmp_path_factory.mktemp("work"))


def people(data: Path, name: str) -> set[str]:
    return set(read_table(data / name / "spk2utt"))


def trials(path: Path) -> list[list[str]]:
    return [line.split() for line in path.read_text().splitlines()]


def test_the_sets_are_the_owners(tree: Path, data: Path) -> None:
    for name, folder in (("train", "train"), ("dev", "dev"), ("eval", "test")):
        assert people(data, name) == set(SPEAKERS[folder])
    path = tree / "data_aishell" / "wav" / "test" / "S0764" / "BAC009S0764W0121.wav"
    assert read_table(data / "eval" / "wav.scp")["S0764-BAC009S0764W0121"] == str(path)
    assert read_table(data / "eval" / "spk2gender") == {"S0764": "f", "S0765": "f", "S0766": "m"}
    assert set(read_table(data / "train" / "utt2lang").values()) == {"zh"}


def test_three_utterances_are_a_model_and_the_others_are_tried_against_every_model(data: Path) -> None:
    models = {name: utts.split() for name, utts in read_table(data / "eval" / "enrol").items()}
    assert set(models) == {"S0764-model", "S0765-model", "S0766-model"}
    assert all(len(utts) == 3 and {utt[:5] for utt in utts} == {name[:5]} for name, utts in models.items())
    lines = trials(data / "eval" / "trials")
    # 3 speakers with 5 - 3 utterances each, against 3 models
    assert len(lines) == 18 and sum(kind == "target" for *_, kind in lines) == 6
    assert all((model[:5] == utt[:5]) == (kind == "target") for model, utt, kind in lines)
    assert not {utt for _, utt, _ in lines} & {utt for utts in models.values() for utt in utts}


def test_trials_within_a_gender(data: Path) -> None:
    gender = read_table(data / "eval" / "spk2gender")
    lines = trials(data / "eval" / "trials.gender")
    # two women's four utterances against their two models, one man's two against his
    assert len(lines) == 10 and all(gender[model[:5]] == gender[utt[:5]] for model, utt, _ in lines)


def test_dev_trials_are_all_of_a_small_set(data: Path) -> None:
    lines = trials(data / "dev" / "trials")
    assert sum(kind == "target" for *_, kind in lines) == 3 * 10  # pairs of five utterances


def test_counts_that_are_not_the_published_ones_are_said(
    tree: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    prepared("aishell1", tree, tmp_path)
    said = capsys.readouterr().err
    assert "warning: AISHELL-1 test: 3 speakers, arXiv 1709.05522 has 20\n" in said
    assert "warning: AISHELL-1: 60 recordings, Kaldi's egs/aishell has 141,925\n" in said
    assert "not unpacked" not in said


def test_archives_that_are_not_unpacked_are_said(
    own: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.rmtree(own / "data_aishell" / "wav" / "train" / "S0004")
    prepared("aishell1", own, tmp_path)
    assert "1 of 12 archives are not unpacked (S0004.tar.gz ...)" in capsys.readouterr().err


def test_who_is_in_two_sets_is_judged_only(
    own: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    wav = own / "data_aishell" / "wav"
    write(wav / "train" / "S0764" / "BAC009S0764W0499.wav", "", 0, None)
    data = prepared("aishell1", own, tmp_path)
    assert "S0764" not in people(data, "train")
    assert (
        "train: 1 speakers (1 recordings) are also in a test set and left out: S0764"
        in capsys.readouterr().err
    )


def test_the_folder_itself_does_and_genders_may_be_missing(
    own: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.rmtree(own / "resource_aishell")
    data = prepared("aishell1", own / "data_aishell", tmp_path)
    assert not (data / "eval" / "spk2gender").exists() and not (data / "eval" / "trials.gender").exists()
    assert "no resource_aishell/speaker.info" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("there", "said"),
    [
        ("readme", r"no data_aishell/wav and no wav here; found readme.*--corpus is the folder"),
        ("data_aishell.tgz", r"no data_aishell/wav.*unpack data_aishell.tgz there"),
        ("data_aishell/wav/S0002.tar.gz", r"1 archives \(S0002.tar.gz ...\) and no recordings.*tar xzf"),
        ("data_aishell/wav/train/S0002/BAC009S0002W0121.wav", r"no SPEAKER folders in dev/; found train/"),
    ],
)
def test_a_wrong_or_packed_folder_is_refused(tmp_path: Path, there: str, said: str) -> None:
    write(tmp_path / "corpus" / there, "", 0, None)
    with pytest.raises(InputError, match=f"(?s){said}"):
        prepared("aishell1", tmp_path / "corpus", tmp_path)


@pytest.mark.long
def test_the_recipe_runs_to_eer(tmp_path: Path) -> None:
    root = build(tmp_path / "corpus", Voices())
    assert set(results_of("aishell1", root, tmp_path / "work")["trials"]) == {"eval", "eval.gender"}

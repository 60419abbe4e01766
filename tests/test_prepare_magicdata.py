"""egs/magicdata: a miniature corpus in MAGICDATA's own layout."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from pysteps.formats.errors import InputError
from pysteps.formats.tables import read_table
from tests.corpora import Voices, prepared, results_of
from tests.voxceleb_corpus import write

SPEAKERS = {
    "train": ["14_3466", "14_3664", "16_4013", "18_1565", "5_541", "5_5410"],
    "dev": ["5_1812", "5_2187", "5_970"],
    "test": ["38_5716", "38_5718", "38_5721"],
}
MEN = {"14_3664", "5_2187", "38_5721"}
TIMES = ("20170628135834", "20170628135901", "20170629000170", "20170629000171")


def build(root: Path, voices: Voices | None = None) -> Path:
    """train/, dev/, test/ and SPKINFO.txt; one of the two recordings that Kaldi leaves out is among them."""
    info = "SPKID\tAge\tGender\tDialect\n"
    for name, speakers in SPEAKERS.items():
        for who in speakers:
            for number, time in enumerate(TIMES):
                write(root / name / who / f"{who}_{time}.wav", who, number, voices)
            info += f"{who}\t18\t{'male' if who in MEN else 'female'}\the bei\n"
    write(root / "train" / "16_4013" / "16_4013_20170819121429.wav", "16_4013", 0, voices)
    (root / "SPKINFO.txt").write_text(info)
    return root


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The corpus, of empty files; not to be changed."""
    return build(tmp_path_factory.mktemp("magicdata") / "a corpus")


@pytest.fixture
def own(tree: Path, tmp_path: Path) -> Path:
    """A copy to change."""
    return Path(shutil.copytree(tree, tmp_path / "corpus"))


@pytest.fixture(scope="module")
def data(tree: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """data/ of the miniature corpus."""
    return prepared("magicdata", tree, tmp_path_factory.mktemp("work"))


def trials(path: Path) -> list[list[str]]:
    return [line.split() for line in path.read_text().splitlines()]


def test_the_sets_are_the_owners(tree: Path, data: Path) -> None:
    for name, folder in (("train", "train"), ("dev", "dev"), ("eval", "test")):
        assert set(read_table(data / name / "spk2utt")) == set(SPEAKERS[folder])
    path = tree / "dev" / "5_1812" / "5_1812_20170628135834.wav"
    assert read_table(data / "dev" / "wav.scp")["5_1812-20170628135834"] == str(path)
    assert read_table(data / "dev" / "utt2session")["5_1812-20170628135834"] == "5_1812-20170628"
    assert read_table(data / "dev" / "spk2gender") == {"5_1812": "f", "5_2187": "m", "5_970": "f"}


def test_utterances_sort_as_their_speakers_do(data: Path) -> None:
    # 5_5410_ would come before 5_541_
    assert list(read_table(data / "train" / "spk2utt"))[-2:] == ["5_541", "5_5410"]
    assert list(read_table(data / "train" / "utt2spk").values())[-8:] == ["5_541"] * 4 + ["5_5410"] * 4


def test_a_broken_recording_is_left_out(data: Path) -> None:
    assert len(read_table(data / "train" / "utt2spk")) == 6 * 4


def test_trials_by_rule(data: Path) -> None:
    lines = trials(data / "eval" / "trials")
    assert sum(kind == "target" for *_, kind in lines) == 3 * 6  # pairs of four utterances
    speaker, gender = read_table(data / "eval" / "utt2spk"), read_table(data / "eval" / "spk2gender")
    assert all((speaker[one] == speaker[two]) == (kind == "target") for one, two, kind in lines)
    within = trials(data / "eval" / "trials.gender")
    assert all(gender[speaker[one]] == gender[speaker[two]] for one, two, _ in within)


def test_metadata_may_lie_in_their_folder_or_be_missing(
    own: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (own / "metadata").mkdir()
    (own / "SPKINFO.txt").rename(own / "metadata" / "SPKINFO.txt")
    assert (prepared("magicdata", own, tmp_path / "one") / "eval" / "trials.gender").exists()
    assert "genders are not known" not in capsys.readouterr().err
    (own / "metadata" / "SPKINFO.txt").unlink()
    assert not (prepared("magicdata", own, tmp_path / "two") / "eval" / "spk2gender").exists()
    assert "genders are not known" in capsys.readouterr().err


def test_counts_that_are_not_the_published_ones_are_said(
    tree: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    prepared("magicdata", tree, tmp_path)
    said = capsys.readouterr().err
    assert "warning: MAGICDATA: 12 speakers, openslr.org (SLR68) has 1,080\n" in said
    assert "warning: MAGICDATA: 49 recordings, Kaldi's egs/multi_cn has 609,552\n" in said


@pytest.mark.parametrize(
    ("there", "said"),
    [
        ("readme", r"no train/ here, and no magicdata/train; found readme.*--corpus is the folder"),
        ("train_set.tar.gz", r"no train/ here.*unpack train_set.tar.gz there"),
        ("train/14_3466/14_3466_20170628135834.wav", r"no SPEAKER folders in dev/.*unpack train_set"),
    ],
)
def test_a_wrong_or_packed_folder_is_refused(tmp_path: Path, there: str, said: str) -> None:
    write(tmp_path / "corpus" / there, "", 0, None)
    with pytest.raises(InputError, match=f"(?s){said}"):
        prepared("magicdata", tmp_path / "corpus", tmp_path)


@pytest.mark.long
def test_the_recipe_runs_to_eer(tmp_path: Path) -> None:
    root = build(tmp_path / "corpus", Voices())
    results = results_of("magicdata", root, tmp_path / "work")
    assert set(results["trials"]) == {"eval", "eval.gender"}

"""egs/aidatatang_200zh: a miniature corpus in the owners' layout."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from pysteps.formats.errors import InputError
from pysteps.formats.tables import read_table
from tests.corpora import Voices, prepared, results_of
from tests.voxceleb_corpus import write

SPEAKERS = {
    "train": ["G0013", "G0014", "G0015", "G0016", "G0017", "G0018"],
    "dev": ["G0002", "G0036", "G0044"],
    "test": ["G1260", "G2863", "G2914"],
}
MEN = {"G0014", "G0036", "G2914"}


def build(root: Path, voices: Voices | None = None) -> Path:
    """aidatatang_200zh with a metadata file beside every recording."""
    corpus = root / "aidatatang_200zh" / "corpus"
    for name, speakers in SPEAKERS.items():
        for who in speakers:
            for number in range(1, 5):
                path = corpus / name / who / f"T0055{who}S{number:04d}.wav"
                write(path, who, number, voices)
                sex = "Male" if who in MEN else "Female"
                text = f"SCD\t{who}\nSEX\t{sex}\nAGE\t25\nBIR\tHebei\nACC\tMandarin\n"
                path.with_suffix(".metadata").write_text(text)
    return root


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The corpus, of empty files; not to be changed."""
    return build(tmp_path_factory.mktemp("aidatatang") / "a corpus")


@pytest.fixture
def own(tree: Path, tmp_path: Path) -> Path:
    """A copy to change."""
    return Path(shutil.copytree(tree, tmp_path / "corpus"))


@pytest.fixture(scope="module")
def data(tree: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """data/ of the miniature corpus."""
    return prepared("aidatatang_200zh", tree, tmp_path_factory.mktemp("work"))


def trials(path: Path) -> list[list[str]]:
    return [line.split() for line in path.read_text().splitlines()]


def test_the_sets_are_the_owners(tree: Path, data: Path) -> None:
    for name, folder in (("train", "train"), ("dev", "dev"), ("eval", "test")):
        assert set(read_table(data / name / "spk2utt")) == set(SPEAKERS[folder])
    path = tree / "aidatatang_200zh" / "corpus" / "dev" / "G0002" / "T0055G0002S0001.wav"
    assert read_table(data / "dev" / "wav.scp")["G0002-T0055G0002S0001"] == str(path)
    assert read_table(data / "eval" / "spk2gender") == {"G1260": "f", "G2863": "f", "G2914": "m"}


def test_trials_are_all_target_pairs_of_a_small_set_and_as_many_others_as_there_are(data: Path) -> None:
    lines = trials(data / "eval" / "trials")
    assert sum(kind == "target" for *_, kind in lines) == 3 * 6  # pairs of four utterances
    assert all((one[:5] == two[:5]) == (kind == "target") for one, two, kind in lines)
    gender = read_table(data / "eval" / "spk2gender")
    within = trials(data / "eval" / "trials.gender")
    assert all(gender[one[:5]] == gender[two[:5]] for one, two, _ in within)
    # two women of four utterances: sixteen pairs between them
    assert sum(kind == "nontarget" for *_, kind in within) == 16


def test_a_gender_in_chinese_is_one_and_an_unknown_one_is_said(
    own: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = own / "aidatatang_200zh" / "corpus" / "train"
    (folder / "G0013" / "T0055G0013S0001.metadata").write_text("SEX\t男\n")
    for path in (folder / "G0015").glob("*.metadata"):
        path.unlink()
    data = prepared("aidatatang_200zh", own, tmp_path)
    assert read_table(data / "train" / "spk2gender") == {
        who: "m" if who in {"G0013", "G0014"} else "f" for who in SPEAKERS["train"] if who != "G0015"
    }
    assert "genders of 1 of 12 speakers are not known" in capsys.readouterr().err


def test_counts_that_are_not_the_published_ones_are_said(
    tree: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    prepared("aidatatang_200zh", tree / "aidatatang_200zh", tmp_path)
    said = capsys.readouterr().err
    assert "warning: aidatatang_200zh: 12 speakers, openslr.org (SLR62) has 600\n" in said
    assert "warning: aidatatang_200zh: 48 recordings, Kaldi's egs/aidatatang_200zh has 237,265\n" in said


@pytest.mark.parametrize(
    ("there", "said"),
    [
        (("readme",), r"no aidatatang_200zh/corpus with train/, dev/ and test/ here; found readme"),
        (("aidatatang_200zh.tgz",), r"no aidatatang_200zh/corpus.*unpack aidatatang_200zh.tgz there"),
        (
            ("corpus/train/G0013.tar.gz", "corpus/dev/G0002.tar.gz", "corpus/test/G1260.tar.gz"),
            r"1 archives \(G0013.tar.gz ...\) and no recordings.*in train/: for a in",
        ),
    ],
)
def test_a_wrong_or_packed_folder_is_refused(tmp_path: Path, there: tuple[str, ...], said: str) -> None:
    for name in there:
        write(tmp_path / "corpus" / name, "", 0, None)
    with pytest.raises(InputError, match=f"(?s){said}"):
        prepared("aidatatang_200zh", tmp_path / "corpus", tmp_path)


@pytest.mark.long
def test_the_recipe_runs_to_eer(tmp_path: Path) -> None:
    root = build(tmp_path / "corpus", Voices())
    results = results_of("aidatatang_200zh", root, tmp_path / "work")
    assert set(results["trials"]) == {"eval", "eval.gender"}

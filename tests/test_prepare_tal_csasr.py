"""egs/tal_csasr: a miniature corpus in the layouts of TAL_CSASR's two archives."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from pysteps.formats.errors import InputError
from pysteps.formats.tables import read_table
from tests.corpora import Voices, prepared, results_of
from tests.voxceleb_corpus import write

# Two names of lessons are the corpus's own; the others are made like them.
LESSONS = [
    "210_36476_210_8341_1_1533271973_7057520",
    "210_40223_210_6228_1_1533298404_4812267",
    *(f"210_4{number:04d}_210_{7000 + number}_1_15332{number:05d}_481{number:04d}" for number in range(8)),
]


def lessons(which: int) -> list[str]:
    """Every teacher's lesson, and a second one of his."""
    return [name if which == 0 else f"{name[:-7]}9{name[-6:]}" for name in LESSONS]


def build(root: Path, voices: Voices | None = None) -> Path:
    """TALCS_corpus: the owners' sets share lessons here."""
    for which in range(2):
        for lesson in lessons(which):
            who = "_".join(lesson.split("_")[2:4])
            for number, name in enumerate(("train_set", "train_set", "test_set")):
                path = root / "TALCS_corpus" / name / "wav" / f"{lesson}_{132 + number}.wav"
                write(path, who, 3 * which + number, voices)
    write(root / "TALCS_corpus" / "dev_set" / "wav" / f"{LESSONS[0]}_138.wav", "210_8341", 6, voices)
    for name in ("train_set", "dev_set", "test_set"):
        (root / "TALCS_corpus" / name / "label.txt").write_text("")
    return root


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The corpus, of empty files; not to be changed."""
    return build(tmp_path_factory.mktemp("talcs") / "a corpus")


@pytest.fixture
def own(tree: Path, tmp_path: Path) -> Path:
    """A copy to change."""
    return Path(shutil.copytree(tree, tmp_path / "corpus"))


@pytest.fixture(scope="module")
def data(tree: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """data/ of the miniature corpus."""
    return prepared("tal_csasr", tree, tmp_path_factory.mktemp("work"))


def test_speakers_are_the_third_and_fourth_number_and_in_one_set_each(data: Path) -> None:
    sets = {name: set(read_table(data / name / "spk2utt")) for name in ("train", "dev", "eval")}
    assert [len(sets[name]) for name in ("train", "dev", "eval")] == [6, 2, 2]
    assert set.union(*sets.values()) == {"210_8341", "210_6228", *(f"210_{7000 + n}" for n in range(8))}
    utts = {utt: name for name in sets for utt in read_table(data / name / "utt2spk")}
    assert len(utts) == 10 * 6 + 1  # of all three of the owners' sets


def test_an_utterance_has_its_lesson_and_file(tree: Path, data: Path) -> None:
    utt = "210_8341-210_36476_210_8341_1_1533271973_7057520_138"
    (folder,) = [
        data / name for name in ("train", "dev", "eval") if utt in read_table(data / name / "utt2spk")
    ]
    path = tree / "TALCS_corpus" / "dev_set" / "wav" / "210_36476_210_8341_1_1533271973_7057520_138.wav"
    assert read_table(folder / "wav.scp")[utt] == str(path)
    assert read_table(folder / "utt2session")[utt] == "210_8341-210_36476_210_8341_1_1533271973_7057520"
    assert read_table(folder / "utt2lang")[utt] == "zh-en"


@pytest.mark.parametrize("name", ["dev", "eval"])
def test_target_trials_are_of_two_lessons(data: Path, name: str) -> None:
    session = read_table(data / name / "utt2session")
    lines = [line.split() for line in (data / name / "trials").read_text().splitlines()]
    targets = [(one, two) for one, two, kind in lines if kind == "target"]
    # two speakers with three utterances (perhaps a fourth) in each of two lessons
    assert len(targets) in (18, 21) and all(session[one] != session[two] for one, two in targets)


def test_where_everybody_has_one_lesson_that_is_said(
    own: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for path in sorted((own / "TALCS_corpus").glob("*/wav/*.wav")):
        if path.stem.rpartition("_")[0] not in LESSONS:
            path.unlink()
    prepared("tal_csasr", own, tmp_path)
    assert "eval: every speaker has one lesson" in capsys.readouterr().err


def test_too_few_speakers_and_odd_names_are_said(
    own: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("a_b.wav", "210_8341.wav"):
        write(own / "TALCS_corpus" / "dev_set" / "wav" / name, "", 0, None)
    prepared("tal_csasr", own, tmp_path)
    said = capsys.readouterr().err
    assert "TAL_CSASR: 10 speakers by the recordings' names, the owners have more than 200" in said
    assert "2 recordings are left out: their names are not eight numbers (the first: 210_8341)" in said


def test_the_first_archive_is_read_too(
    tree: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for path in (tree / "TALCS_corpus").glob("*/wav/*.wav"):
        write(tmp_path / "corpus" / "TAL_CSASR" / "cs_wav" / path.name, "", 0, None)
    data = prepared("tal_csasr", tmp_path / "corpus", tmp_path)
    assert sum(len(read_table(data / name / "utt2spk")) for name in ("train", "dev", "eval")) == 61
    assert "warning: TAL_CSASR: 61 recordings, WeNet's multi_cn has 370,000\n" in capsys.readouterr().err


def test_a_set_that_is_missing_is_said(own: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shutil.rmtree(own / "TALCS_corpus" / "test_set")
    prepared("tal_csasr", own / "TALCS_corpus", tmp_path)
    assert "no test_set/wav" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("there", "said"),
    [
        ("readme", r"no TALCS_corpus/train_set/wav and no TAL_CSASR/cs_wav here; found readme"),
        ("TAL_CSASR.tar.partaa", r"no TALCS_corpus.*cat TAL_CSASR.tar\* \| tar x"),
        ("TALCS_corpus/train_set/wav/one.wav", r"no recording is named after its lesson"),
    ],
)
def test_a_wrong_or_packed_folder_is_refused(tmp_path: Path, there: str, said: str) -> None:
    write(tmp_path / "corpus" / there, "", 0, None)
    with pytest.raises(InputError, match=f"(?s){said}"):
        prepared("tal_csasr", tmp_path / "corpus", tmp_path)


@pytest.mark.long
def test_the_recipe_runs_to_eer(tmp_path: Path) -> None:
    root = build(tmp_path / "corpus", Voices())
    assert set(results_of("tal_csasr", root, tmp_path / "work")["trials"]) == {"eval"}

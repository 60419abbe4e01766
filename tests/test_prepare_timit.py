"""egs/timit: a miniature corpus in the layout of its readme.doc, sets and trials worked out by hand."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from local import timit
from pysteps.formats.errors import InputError
from pysteps.formats.tables import read_table
from pysteps.prepare.corpus import Corpus
from tests.corpora import Voices, prepared, results_of

# Speakers of TEST: of the core test set, table 3 of readme.doc.
PEOPLE = {
    "TRAIN": {
        "DR1": ("FCJF0", "FDAW0", "FDML0", "FECD0", "MCPM0", "MDAC0", "MDPK0", "MEDR0"),
        "DR2": ("FAEM0", "MARC0"),
    },
    "TEST": {"DR1": ("MDAB0", "MWBT0", "FELC0"), "DR5": ("MBPM0", "FNLP0")},
}
SENTENCES = ("SA1", "SA2", "SI1027", "SX37", "SX127")
INFO = """\
;ID  Sex DR Use  RecDate   BirthDate  Ht    Race Edu  Comments
CJF0  F  1  TRN  01/03/86  02/05/61   5'6"  WHT  BS
BPM0  M  5  TST  01/28/86  03/05/60   6'0"  WHT  BS
"""


def build(root: Path, voices: Voices, lower: bool = False) -> Path:
    """TRAIN, TEST and DOC below ``root``: SPHERE files."""
    for part, dialects in PEOPLE.items():
        for dialect, speakers in dialects.items():
            for speaker in speakers:
                for number, sentence in enumerate(SENTENCES):
                    name = "/".join((part, dialect, speaker, sentence))
                    path = root / (name.lower() if lower else name)
                    made = voices.write(path.with_suffix(".sph"), speaker, number, 2.0)
                    made.rename(path.with_suffix(".wav" if lower else ".WAV"))
                    path.with_suffix(".phn" if lower else ".PHN").write_text("0 7470 h#\n")
    doc = root / ("doc" if lower else "DOC")
    doc.mkdir()
    (doc / ("spkrinfo.txt" if lower else "SPKRINFO.TXT")).write_text(INFO)
    return root


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """The silent miniature corpus."""
    return build(tmp_path / "TIMIT", Voices(real=False))


def speakers_of(folder: Path) -> set[str]:
    return set(read_table(folder / "spk2utt"))


def test_test_is_eval_and_a_tenth_of_train_is_dev(tree: Path, tmp_path: Path) -> None:
    data = prepared("timit", tree, tmp_path / "work")
    assert speakers_of(data / "eval") == {"MDAB0", "MWBT0", "FELC0", "MBPM0", "FNLP0"}
    train, dev = speakers_of(data / "train"), speakers_of(data / "dev")
    assert len(train) == 8 and len(dev) == 2 and len(train | dev) == 10
    assert {name[0] for name in dev} == {"F", "M"}  # the draw keeps the genders
    assert len(read_table(data / "eval" / "utt2spk")) == 25
    assert read_table(data / "eval" / "spk2gender")["FELC0"] == "f"
    assert read_table(data / "eval" / "utt2dialect")["MBPM0-SX37"] == "DR5"
    assert read_table(data / "eval" / "wav.scp")["MBPM0-SX37"].endswith("TEST/DR5/MBPM0/SX37.WAV")


def test_sentences_that_all_read_are_in_no_trial(tree: Path, tmp_path: Path) -> None:
    data = prepared("timit", tree, tmp_path / "work")
    lines = [line.split() for line in (data / "eval" / "trials").read_text().splitlines()]
    # five speakers of three sentences: 15 x 14 / 2 pairs, 5 x 3 of one speaker
    assert len(lines) == 105 and sum(kind == "target" for *_, kind in lines) == 15
    assert not any("-SA" in one or "-SA" in two for one, two, _ in lines)
    within = [line.split() for line in (data / "eval" / "trials.gender").read_text().splitlines()]
    # nine sentences of men, six of women
    assert len(within) == 36 + 15 and all(one[0] == two[0] for one, two, _ in within)
    # in dev there are one man and one woman: no non-target trial within a gender
    assert not (data / "dev" / "trials.gender").exists()


def test_a_lower_case_tree_gives_the_same_names(tree: Path, tmp_path: Path) -> None:
    upper = prepared("timit", tree, tmp_path / "work")
    lower = build(tmp_path / "disc" / "timit", Voices(real=False), lower=True)
    data = prepared("timit", lower.parent, tmp_path / "lower")
    for name in ("train", "dev", "eval"):
        assert (data / name / "utt2spk").read_text() == (upper / name / "utt2spk").read_text()
    assert read_table(data / "eval" / "wav.scp")["MBPM0-SX37"].endswith("timit/test/dr5/mbpm0/sx37.wav")


def test_a_converted_copy_goes_before_the_sphere_file(tree: Path, tmp_path: Path) -> None:
    shutil.copy(tree / "TEST/DR1/MDAB0/SX37.WAV", tree / "TEST/DR1/MDAB0/SX37.WAV.wav")
    data = prepared("timit", tree, tmp_path / "work")
    assert read_table(data / "eval" / "wav.scp")["MDAB0-SX37"].endswith("SX37.WAV.wav")
    assert len(read_table(data / "eval" / "utt2spk")) == 25


def test_counts_and_a_table_that_differ_are_said(
    tree: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tree / "DOC" / "SPKRINFO.TXT").write_text(INFO.replace("F  1", "F  3"))
    prepared("timit", tree, tmp_path / "work")
    said = capsys.readouterr().err
    assert "warning: TIMIT TRAIN: 10 speakers, readme.doc has 462\n" in said
    assert "warning: TIMIT TEST: 25 utterances, readme.doc has 1,680\n" in said
    assert "warning: TIMIT TEST: 3 men, readme.doc has 112\n" in said
    assert "1 speakers differ from their folders: FCJF0 is of dialect 3 there and of 1 here" in said


def test_a_wrong_folder_is_said(tree: Path, tmp_path: Path) -> None:
    with pytest.raises(
        InputError, match=r"no TRAIN and TEST here or in TIMIT/; found DR1/, DR2/.*--corpus is"
    ):
        timit.prepare(Corpus(tree / "TRAIN"), tmp_path / "data", 0)
    shutil.rmtree(tree / "TEST")
    (tree / "timit_test.zip").touch()
    with pytest.raises(InputError, match=r"found DOC/, TRAIN/, timit_test.zip.*unpack timit_test.zip there"):
        timit.prepare(Corpus(tree), tmp_path / "data", 0)
    (tree / "TEST").mkdir()
    with pytest.raises(InputError, match=r"no DR1/FCJF0/SA1.WAV and the like; the folder is empty"):
        timit.prepare(Corpus(tree), tmp_path / "data", 0)
    path = tree / "TRAIN" / "DR1" / "FCJF0" / "SX37.WAV"
    path.rename(path.with_name("note.wav"))
    with pytest.raises(InputError, match=r"note.wav: not DR1..8/SEX\+ID/SENTENCE.WAV"):
        timit.prepare(Corpus(tree), tmp_path / "data", 0)


@pytest.mark.long
def test_the_recipe_runs_from_the_corpus_to_eer(tmp_path: Path) -> None:
    results = results_of("timit", build(tmp_path / "TIMIT", Voices()), tmp_path / "work")
    assert set(results["trials"]) == {"eval", "eval.gender"}

"""egs/librispeech960 and egs/libritts: miniature corpora in the owners' layouts, worked out by hand."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from local import librispeech960, libritts
from pysteps.formats.errors import InputError
from pysteps.formats.tables import read_table
from pysteps.prepare.corpus import Corpus
from tests.corpora import Voices, prepared, results_of

# Lines of LibriSpeech's SPEAKERS.TXT; LibriTTS has the same people.
SPEAKERS = """\
; gender: 'F' for female, 'M' for male
;
;ID  |SEX| SUBSET           |MINUTES| NAME
19   | F | train-clean-100  | 25.19 | Kara Shallenberg
20   | F | train-other-500  | 30.07 | Gesine
25   | M | train-other-500  | 30.16 | John Gonzalez
26   | M | train-clean-100  | 25.08 | Denny Sayers
60   | M | train-clean-100  | 20.18 | |CBW|Simon
116  | M | dev-other        | 10.02 | Steven Collins
121  | F | test-clean       | 8.01  | Nikolle Doolin
237  | F | test-clean       | 8.02  | rachelellen
1089 | M | test-clean       | 8.05  | Peter Bobbe
1272 | M | dev-clean        | 8.02  | John Rose
1462 | F | dev-clean        | 8.04  | E. Tavano
1688 | M | test-other       | 9.83  | winam
1998 | F | test-other       | 10.02 | Sonja
"""
CHAPTERS: dict[str, dict[str, tuple[str, ...]]] = {
    "train-clean-100": {"19": ("198", "227"), "26": ("495", "496"), "60": ("121082",)},
    "train-other-500": {"20": ("205", "211"), "25": ("123319", "123276")},
    "dev-clean": {"1272": ("128104", "135031"), "1462": ("170138", "170142")},
    "dev-other": {"116": ("288045", "288046")},
    "test-clean": {"121": ("121726", "123852"), "237": ("126133", "134493"), "1089": ("134686", "134691")},
    "test-other": {"1688": ("142285",), "1998": ("15444", "29454")},
}


def build(root: Path, recipe: str, voices: Voices) -> Path:
    """The corpus's folder: two utterances a chapter, of two seconds."""
    for subset, speakers in CHAPTERS.items():
        for speaker, chapters in speakers.items():
            for number, chapter in enumerate(chapters):
                folder = root / subset / speaker / chapter
                for last in (0, 1):
                    name = f"{speaker}-{chapter}-{last:04d}.flac"
                    if recipe == "libritts":
                        name = f"{speaker}_{chapter}_000000_{2 * last:06d}.wav"
                        (folder / name).with_suffix(".normalized.txt").parent.mkdir(
                            parents=True, exist_ok=True
                        )
                        (folder / name).with_suffix(".normalized.txt").write_text("This is.")
                    rate = 24000 if recipe == "libritts" else 16000
                    voices.write(folder / name, speaker, 2 * number + last, 2.0, rate=rate)
                (folder / f"{speaker}-{chapter}.trans.txt").write_text(f"{speaker}-{chapter}-0000 THIS IS\n")
    if recipe == "libritts":
        rows = [line.split("|", 4) for line in SPEAKERS.splitlines() if not line.startswith(";")]
        lines = ["\t".join(field.strip() for field in (*row[:3], row[4])) for row in rows]
        lines[-1] = "1998\tF\ttest-other"  # some lines have no name (tensorflow/datasets, libritts.py)
        (root / "speakers.tsv").write_text("\n".join(["READER\tGENDER\tSUBSET\tNAME", *lines]) + "\n")
    else:
        (root / "SPEAKERS.TXT").write_text(SPEAKERS)
    return root


@pytest.fixture
def tree(tmp_path: Path, request: pytest.FixtureRequest) -> Path:
    """A silent miniature corpus of the recipe of the test."""
    return build(tmp_path / "corpus" / "LibriSpeech", request.param, Voices(real=False))


BOTH = pytest.mark.parametrize(
    ("tree", "recipe", "first"),
    [
        ("librispeech960", "librispeech960", "19-198-0000"),
        ("libritts", "libritts", "19-198-000000-000000"),
    ],
    indirect=["tree"],
)


@BOTH
def test_sets_are_the_owners_subsets(tree: Path, recipe: str, first: str, tmp_path: Path) -> None:
    data = prepared(recipe, tree, tmp_path / "work")
    speakers = {
        name: set(read_table(data / name / "spk2utt"))
        for name in ("train", "dev", "test-clean", "test-other")
    }
    assert speakers == {
        "train": {"19", "20", "25", "26", "60"},
        "dev": {"1272", "1462", "116"},
        "test-clean": {"121", "237", "1089"},
        "test-other": {"1688", "1998"},
    }
    assert len(read_table(data / "train" / "utt2spk")) == 18
    assert next(iter(read_table(data / "train" / "wav.scp"))) == first
    genders = read_table(data / "train" / "spk2gender")
    assert genders == {"19": "f", "20": "f", "25": "m", "26": "m", "60": "m"}
    assert read_table(data / "train" / "utt2session")[first] == "19-198"
    assert read_table(data / "train" / "utt2subset")[first] == "train-clean-100"


@BOTH
def test_trials_cross_chapters_and_keep_genders(tree: Path, recipe: str, first: str, tmp_path: Path) -> None:
    data = prepared(recipe, tree, tmp_path / "work")
    session = read_table(data / "test-clean" / "utt2session")
    lines = [line.split() for line in (data / "test-clean" / "trials").read_text().splitlines()]
    same = [(one, two) for one, two, kind in lines if kind == "target"]
    # three speakers of two chapters of two utterances: 4 pairs each across chapters; 3 x 16 across speakers
    assert len(same) == 12 and all(session[one] != session[two] for one, two in same)
    assert len(lines) == 12 + 48
    within = [line.split() for line in (data / "test-clean" / "trials.gender").read_text().splitlines()]
    others = {
        frozenset((one.split("-")[0], two.split("-")[0])) for one, two, kind in within if kind != "target"
    }
    assert len(within) == 12 + 16 and others == {frozenset(("121", "237"))}
    # 1688 has one chapter: only 1998 has target trials
    other = (data / "test-other" / "trials").read_text().splitlines()
    assert sum(line.endswith(" target") for line in other) == 4
    assert not (data / "test-other" / "trials.gender").exists()  # of either gender there is one


def warnings_of(text: str) -> list[str]:
    return [line for line in text.splitlines() if line.startswith("warning: ")]


@BOTH
def test_what_is_not_as_published_is_said(
    tree: Path, recipe: str, first: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    prepared(recipe, tree, tmp_path / "work")
    said = warnings_of(capsys.readouterr().err)
    name, total = ("LibriTTS", "4,837") if recipe == "libritts" else ("LibriSpeech", "2,620")
    assert (
        f"warning: {name}: train is train-clean-100 and train-other-500 only: the rest is not there" in said
    )
    assert any(line.startswith(f"warning: {name} dev-other: 1 speakers, the owners' ") for line in said)
    assert any(
        f"{name} test-clean: 12 utterances" in line and line.endswith(f" has {total}") for line in said
    )


@BOTH
def test_a_folder_above_will_do_and_strays_are_counted(
    tree: Path, recipe: str, first: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (stray, *_) = (tree / "dev-clean" / "1272" / "128104").glob("1272*[cv]")  # .flac, .wav
    shutil.copy(stray, tree / "dev-clean" / "1462" / "170138" / stray.name)
    table = next(path for path in tree.iterdir() if path.is_file())
    lines = table.read_text().splitlines(keepends=True)
    table.write_text("".join(line for line in lines if not line.startswith("116")))
    above = tree.parent
    tree.rename(above / ("LibriTTS" if recipe == "libritts" else "LibriSpeech"))
    data = prepared(recipe, above, tmp_path / "work")
    said = warnings_of(capsys.readouterr().err)
    assert any(f"1 files are not named after their folders: {stray.name} ..." in line for line in said)
    assert any("the gender of 1 speakers is not listed: 116 ..." in line for line in said)
    assert set(read_table(data / "dev" / "spk2gender")) == {"1272", "1462"}


@BOTH
def test_what_is_missing_is_named(tree: Path, recipe: str, first: str, tmp_path: Path) -> None:
    script = {"librispeech960": librispeech960, "libritts": libritts}[recipe]
    shutil.rmtree(tree / "test-other")
    with pytest.raises(InputError, match=r"no test-other here; found .*get test-other of Libri.* and unpack"):
        script.prepare(Corpus(tree), tmp_path / "data", 0)
    next(path for path in tree.iterdir() if path.is_file()).unlink()
    with pytest.raises(InputError, match=r"(?i)no speakers.t.*found dev-clean/.*unpack one again"):
        script.prepare(Corpus(tree), tmp_path / "data", 0)
    empty = tmp_path / "empty"
    empty.mkdir()
    with pytest.raises(
        InputError, match=r"no train-clean-100, dev-clean .*the folder is empty.*--corpus is the"
    ):
        script.prepare(Corpus(empty), tmp_path / "data", 0)
    (empty / "train-clean-100.tar.gz").touch()
    with pytest.raises(InputError, match=r"unpack train-clean-100.tar.gz"):
        script.prepare(Corpus(empty), tmp_path / "data", 0)


def test_a_broken_table_of_speakers_is_named_by_line(tmp_path: Path) -> None:
    tree = build(tmp_path / "corpus", "librispeech960", Voices(real=False))
    (tree / "SPEAKERS.TXT").write_text(SPEAKERS.replace("19   | F", "19   | X"))
    with pytest.raises(InputError, match=r"SPEAKERS.TXT:4.*not `ID"):
        librispeech960.prepare(Corpus(tree), tmp_path / "data", 0)


@pytest.mark.long
@pytest.mark.parametrize("recipe", ["librispeech960", "libritts"])
def test_the_recipe_runs_from_the_corpus_to_eer(recipe: str, tmp_path: Path) -> None:
    root = build(tmp_path / "corpus", recipe, Voices())
    results = results_of(recipe, root, tmp_path / "work")
    assert set(results["trials"]) == {"test-clean", "test-clean.gender", "test-other"}

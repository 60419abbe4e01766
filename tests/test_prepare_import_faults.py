"""What cannot be imported is said with file, line and remedy; bad rows can be left out and are counted."""

from __future__ import annotations

from pathlib import Path

import pytest

from pysteps.formats.errors import InputError
from pysteps.prepare.import_command import command
from tests.importing import HEADER, PEOPLE, audio, clips, everything, imported, prepared, rows


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("x,clips/p0_0.wav,,f,,,,,\n", "list.csv:22: no speaker .complete the row.; --skip-bad"),
        ("x,clips/gone.wav,p0,f,,,,,\n", "list.csv:22: no file .*clips/gone.wav"),
        ("x,clips/p0_0.wav,p0,f,2,1,,,\n", "list.csv:22: 2.0 to 1.0 is no interval"),
        ("x,clips/p0_0.wav,p0,f,soon,,,,\n", "list.csv:22: start 'soon' are no seconds"),
        ("x,clips/p0_0.wav,p0,f,,,fold5,,\n", "list.csv:22: set 'fold5' is none of train.*--set fold5=train"),
        ("x,clips/p0_0.wav,p0\n", "list.csv:22: 3 fields, the header has 9"),
        ("x,https://x/y.wav,p0,f,,,,,\n", "list.csv:22: https://x/y.wav is on a network"),
    ],
)
def test_a_bad_row_is_said_with_its_line_and_can_be_left_out(
    tmp_path: Path, line: str, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    path = clips(tmp_path) / "list.csv"
    path.write_text(HEADER + rows() + line)
    with pytest.raises(InputError, match=said):
        imported(tmp_path, path)
    sets = imported(tmp_path, path, "--skip-bad")
    assert len(everything(sets, "utt2spk")) == 20
    assert "1 bad rows are left out, the first of them:\n" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("text", "words", "said"),
    [
        ("file,who\na.wav,p0\n", [], "which column is the speaker.*file, who.*--speaker-column NAME"),
        ("file,who\na.wav,p0\n", ["--speaker-column", "whom"], "no column whom: there are file, who"),
        (
            HEADER + rows(split="train") + "p0-9,list.csv,p0,f,,,eval,,\n",
            [],
            "1 of 10 speakers are in training",
        ),
        (HEADER + rows(split="eval"), [], "has eval and no train.*--set"),
        (HEADER + rows().replace(",p0,", ",p 1,").replace(",p1,", ",p_1,"), [], "both be called p_1"),
        (
            HEADER + rows().replace("female", "other"),
            ["--trials", "gender"],
            "4 of 8 utterances of dev and 4 of 8 utterances of eval have no gender",
        ),
        (HEADER, [], "no rows are left"),
        (
            HEADER + "".join(rows().splitlines(True)[::2]),
            [],
            "dev: no target trials can be made of 2 speakers",
        ),
        (
            HEADER + rows(),
            ["--trials", "session"],
            "4 of 4 utterances of dev and 4 of 4 .* of eval have no session.*--session-column",
        ),
    ],
)
def test_lists_that_cannot_be_imported(tmp_path: Path, text: str, words: list[str], said: str) -> None:
    path = clips(tmp_path) / "list.csv"
    path.write_text(text)
    with pytest.raises(InputError, match=said):
        imported(tmp_path, path, *words)


def test_names_of_sets_and_a_set_column_that_is_not_wanted(tmp_path: Path) -> None:
    path = clips(tmp_path) / "list.csv"
    lines = rows(split="train").splitlines(keepends=True)
    lines[:4] = [line.replace(",train,", ",fold5,") for line in lines[:4]]
    path.write_text(HEADER + "".join(lines))
    sets = imported(tmp_path, path, "--set", "fold5=eval")
    assert sets["eval"].speakers() == {"p0", "p1"}
    sets = imported(tmp_path, path, "--set-column", "none", "--force", "--eval-share", "0.3")
    assert [len(one.speakers()) for one in sets.values()] == [5, 2, 3]


def test_other_recipes_and_what_is_no_source_are_refused(tmp_path: Path) -> None:
    source = audio(tmp_path / "corpus", *(f"{who}/{n}.wav" for who in PEOPLE for n in range(2)))
    imported(tmp_path, source)
    with pytest.raises(InputError, match="was imported before.*--force"):
        imported(tmp_path, source)
    (tmp_path / "egs/mine/corpus.tsv").unlink()
    with pytest.raises(InputError, match="a recipe of this name is there"):
        imported(tmp_path, source, "--force")
    for path, said in (("gone", "no such file or folder"), ("egs/mine/recipe.sh", "No table by its name")):
        with pytest.raises(InputError, match=said):
            command(["import", str(tmp_path / path), "--name", "new", "--egs", str(tmp_path / "egs")])
    with pytest.raises(InputError, match="is no folder name"):
        command(["import", str(source), "--name", "a b"])
    empty = audio(tmp_path / "empty", "p0/notes.txt")
    with pytest.raises(InputError, match="no recordings; found p0/"):
        command(["import", str(empty), "--name", "new", "--egs", str(tmp_path / "egs")])


ONE_IN_TRAINING = [f"train/p0/{n}.wav" for n in range(4)] + [
    f"{s}/{s}{n}/{f}.wav" for s in ("dev", "eval") for n in "ab" for f in "cd"
]


@pytest.mark.parametrize(
    ("names", "words", "said"),
    [
        (
            ONE_IN_TRAINING,
            [],
            r"all utterances of train are p0's: nothing can be told apart .*one folder too high",
        ),
        (
            [f"all/{who}/{n}.wav" for who in PEOPLE for n in range(2)],
            [],
            r"1 speaker is too few: dev and eval want 2 speakers each and training 2 .*one folder too high",
        ),
        (
            [f"{who}/{n}.wav" for who in PEOPLE[:5] for n in range(2)],
            [],
            r"5 speakers are too few: dev and eval want 2 speakers each and training 2",
        ),
        (
            [f"{who}/{n}.wav" for who in PEOPLE[:9] for n in range(2)],
            ["--trials", "gender"],
            r"9 speakers are too few: dev and eval want 4 speakers, two of each gender, each",
        ),
        (
            [f"{who}/{n}.wav" for who in PEOPLE for n in range(2)],
            ["--dev-share", "0.5", "--eval-share", "0.4"],
            r"--dev-share 0.5 and --eval-share 0.4 of 10 speakers leave fewer than 2 for training",
        ),
        (
            [f"{who}/{n}.wav" for who in PEOPLE for n in range(2)],
            ["--dev-share", "10"],
            r"--dev-share 10 is no share .from 0 to less than 1",
        ),
        (
            [f"{who}/{n}.wav" for who in PEOPLE for n in range(2)],
            ["--trials", "gender"],
            r"8 of 8 utterances of dev and 8 of 8 utterances of eval have no gender .*mine/corpus.tsv",
        ),
        (
            [f"{who}/{n}.wav" for who in PEOPLE for n in range(2)],
            ["--speaker-column", "who", "--label", "mic"],
            r"--speaker-column who, --label mic: folders have no columns .*mine/corpus.tsv",
        ),
    ],
)
def test_folders_that_cannot_be_imported(
    tmp_path: Path, names: list[str], words: list[str], said: str
) -> None:
    with pytest.raises(InputError, match=said):
        imported(tmp_path, audio(tmp_path / "corpus", *names), *words)


def test_trials_within_a_gender_say_who_is_in_the_set(tmp_path: Path) -> None:
    path = clips(tmp_path) / "list.csv"
    lines = rows(split="train").splitlines(keepends=True)
    lines[:4] = [line.replace(",train,", ",dev,") for line in lines[:4]]  # p0, a man, and p1, a woman
    path.write_text(HEADER + "".join(lines))
    with pytest.raises(InputError, match=r"dev .1 f, 1 m.: no nontarget trials"):
        imported(tmp_path, path, "--trials", "gender")


def test_what_a_folders_remedy_says_can_be_done(tmp_path: Path) -> None:
    imported(tmp_path, audio(tmp_path / "corpus", *(f"{who}/{n}.wav" for who in PEOPLE for n in range(3))))
    path = tmp_path / "egs/mine/corpus.tsv"
    header, *lines = path.read_text().splitlines()
    path.write_text("\n".join([header + "\tgender", *(line + "\tf" for line in lines)]) + "\n")
    recipe = tmp_path / "egs/mine/recipe.sh"
    recipe.write_text(recipe.read_text().replace("choices.trials all", "choices.trials gender"))
    assert set(everything(prepared(tmp_path), "spk2gender").values()) == {"f"}

"""egs/commonvoice: miniature releases of several versions; sets, trials and losses worked out by hand."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from local import commonvoice
from pysteps.formats.errors import InputError
from pysteps.formats.tables import read_table
from pysteps.prepare.corpus import Corpus
from tests.corpora import Voices, prepared, results_of

# Headers of releases 17 and later, 5 to 12, and 1 to 4.
NEW = (
    "client_id path sentence_id sentence sentence_domain up_votes down_votes age gender accents variant "
    "locale segment"
)
OLD = "client_id path sentence up_votes down_votes age gender accent locale segment"
FIRST = "client_id path sentence up_votes down_votes age gender accent"
# Of a language: client to how many validated clips, and who is in dev.tsv and in test.tsv.
CY = {
    "Ann": 5,
    "Bob": 6,
    "Cai": 5,
    "Dai": 2,
    "Eve": 5,
    "Fay": 3,
    "Gus": 2,
    "Hal": 3,
    "Ida": 2,
    "Jo": 1,
    "Lyn": 2,
}
BR = {"Ann": 2, "Fay": 2, "Kim": 5, "Hal": 2}
SPLIT = {"cy": ("Fay Gus Lyn", "Hal Ida Jo"), "br": ("Kim", "Fay Hal")}
SEX = {"Ann": "female", "Eve": "female", "Fay": "female", "Ida": "female", "Jo": "", "Kim": "other"}


def client(name: str) -> str:
    return hashlib.sha512(name.encode()).hexdigest()


def gender_of(name: str, header: str) -> str:
    sex = SEX.get(name, "male")
    return {"female": "female_feminine", "male": "male_masculine"}.get(sex, sex) if header == NEW else sex


def table(path: Path, header: str, rows: list[tuple[str, str]]) -> None:
    lines = ["\t".join(header.split())]
    for name, clip in rows:
        values = {"client_id": client(name), "path": clip, "sentence": 'A "quoted word.', "age": "twenties"}
        values |= {"gender": gender_of(name, header), "up_votes": "2", "down_votes": "0"}
        lines.append("\t".join(values.get(column, "") for column in header.split()))
    path.write_text("\n".join(lines) + "\n")


def build_language(
    folder: Path, language: str, clients: dict[str, int], voices: Voices, header: str, bare: bool = False
) -> None:
    """A language's folder; ``bare``: paths without .mp3, as in the first releases."""
    rows, number = [], {"cy": 17681234, "br": 17337450}[language]
    for name, count in clients.items():
        for index in range(count):
            clip = f"common_voice_{language}_{number}"
            voices.write(folder / "clips" / f"{clip}.mp3", name, index, 2.0)
            rows.append((name, clip if bare else f"{clip}.mp3"))
            number += 1
    table(folder / "validated.tsv", header, rows)
    for file, names in zip(("dev.tsv", "test.tsv"), SPLIT[language], strict=True):
        firsts = {name: clip for name, clip in reversed(rows) if name in names.split()}
        table(folder / file, header, list(firsts.items()))


def build(root: Path, voices: Voices) -> Path:
    """A release of two languages."""
    release = root / "cv-corpus-17.0-2024-03-15"
    build_language(release / "cy", "cy", CY, voices, NEW)
    build_language(release / "br", "br", BR, voices, NEW)
    return release


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """The silent miniature release."""
    return build(tmp_path / "CommonVoice", Voices(real=False))


def people(folder: Path) -> set[str]:
    """Who of CY and BR is in a set."""
    names = {client(name)[:16]: name for name in (*CY, *BR)}
    return {names[speaker] for speaker in read_table(folder / "spk2utt")}


def test_the_owners_split_of_clients_is_kept_over_languages(
    tree: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = prepared("commonvoice", tree, tmp_path / "work")
    # Dai has two clips of the five that training asks for; Fay is in dev of cy and in test of br
    assert people(data / "train") == {"Ann", "Bob", "Cai", "Eve"}
    assert people(data / "dev") == {"Gus", "Kim", "Lyn"}
    assert people(data / "eval") == {"Fay", "Hal", "Ida", "Jo"}
    assert len(read_table(data / "train" / "utt2spk")) == 5 + 2 + 6 + 5 + 5
    assert "1 of 12 clients have fewer than 5 clips and are left out" in capsys.readouterr().out
    first = f"{client('Ann')[:16]}-common_voice_cy_17681234"
    assert read_table(data / "train" / "wav.scp")[first] == str(
        tree / "cy/clips/common_voice_cy_17681234.mp3"
    )
    assert read_table(data / "train" / "utt2age")[first] == "twenties"
    assert set(read_table(data / "train" / "utt2lang").values()) == {"cy", "br"}
    genders = {
        name: read_table(data / "eval" / "spk2gender").get(client(name)[:16]) for name in ("Fay", "Hal", "Jo")
    }
    assert genders == {"Fay": "f", "Hal": "m", "Jo": None}
    assert not (set(read_table(data / "dev" / "spk2gender")) & {client("Kim")[:16]})


def test_trials_stay_within_a_language_and_a_gender(tree: Path, tmp_path: Path) -> None:
    data = prepared("commonvoice", tree, tmp_path / "work")
    language = read_table(data / "eval" / "utt2lang")
    lines = [line.split() for line in (data / "eval" / "trials").read_text().splitlines()]
    assert all(language[one] == language[two] for one, two, _ in lines)
    # cy: Fay 3, Hal 3, Ida 2, Jo 1 clips: 3 + 3 + 1 target pairs; br: Fay 2, Hal 2: 1 + 1
    assert sum(kind == "target" for *_, kind in lines) == 9
    assert len(lines) == (9 * 8) // 2 + (4 * 3) // 2  # so few that all others are drawn
    within = [line.split() for line in (data / "eval" / "trials.gender").read_text().splitlines()]
    assert sum(kind == "target" for *_, kind in within) == 7  # cy alone has two of a gender: Fay and Ida
    assert sum(kind != "target" for *_, kind in within) == 3 * 2
    # in dev Gus and Lyn speak cy, and Kim alone br
    assert len((data / "dev" / "trials").read_text().splitlines()) == 2 + 4


def test_a_choice_of_languages_and_of_the_fewest_clips(tree: Path, tmp_path: Path) -> None:
    words = ("--prepare.choices.languages", "cy", "--prepare.choices.fewest", "2")
    data = prepared("commonvoice", tree / "cy", tmp_path / "work", *words)
    assert people(data / "train") == {"Ann", "Bob", "Cai", "Dai", "Eve"}
    assert people(data / "dev") == {"Fay", "Gus", "Lyn"}
    with pytest.raises(InputError, match=r"no language fr here.*choices.languages of br, cy"):
        commonvoice.prepare(Corpus(tree, {}, {"languages": "cy,fr"}), tmp_path / "data", 0)


def test_clients_are_drawn_where_the_owners_did_not_split(tree: Path, tmp_path: Path) -> None:
    for name in ("dev.tsv", "test.tsv"):
        (tree / "cy" / name).unlink()
    with pytest.raises(InputError, match=r"no clips for dev.*--prepare.choices.split drawn"):
        prepared("commonvoice", tree / "cy", tmp_path / "work")
    data = prepared("commonvoice", tree / "cy", tmp_path / "work", "--prepare.choices.split", "drawn")
    held = people(data / "dev") | people(data / "eval")
    assert len(held) == 4 and "Jo" not in held  # she has one clip
    assert not held & people(data / "train")


@pytest.mark.parametrize(("name", "header", "bare"), [("cv-corpus-3_cy", FIRST, True), ("cy", OLD, False)])
def test_older_releases_have_other_columns_and_folders(
    name: str, header: str, bare: bool, tmp_path: Path
) -> None:
    root = tmp_path / "corpus"
    build_language(root / name, "cy", CY, Voices(real=False), header, bare)
    for where in (root, root / name):
        data = prepared("commonvoice", where, tmp_path / "work")
        assert people(data / "eval") == {"Hal", "Ida", "Jo"}
        assert set(read_table(data / "eval" / "utt2lang").values()) == {"cy"}
        assert read_table(data / "eval" / "spk2gender")[client("Ida")[:16]] == "f"


def test_what_is_broken_is_counted(tree: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tree / "cy" / "validated.tsv"
    lines = path.read_text().splitlines(keepends=True)
    ann = [line for line in lines if line.startswith(client("Ann"))]
    lines += [ann[0], "half a line\tof two fields\n", ann[1].replace("female_feminine", "male_masculine")]
    path.write_text("".join(lines))
    for number in (17681239, 17681240):  # of Bob, who keeps four
        (tree / "cy" / "clips" / f"common_voice_cy_{number}.mp3").unlink()
    data = prepared("commonvoice", tree, tmp_path / "work")
    said = capsys.readouterr().err
    assert f"{path}: 1 lines do not have the header's 13 fields or no client_id and are left out" in said
    assert f"{tree / 'cy'}: 2 of 38 validated clips are not in clips/" in said
    assert f"{tree / 'cy'}: 2 validated clips stand in the table twice" in said
    assert "1 clients are male in some lines and female in others: their gender is left out" in said
    assert people(data / "train") == {"Ann", "Cai", "Eve"}
    assert client("Ann")[:16] not in read_table(data / "train" / "spk2gender")


def test_a_wrong_folder_is_said(tree: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"no LANG/validated.tsv here; found common_voice_br_17337450.mp3"):
        commonvoice.prepare(Corpus(tree / "br" / "clips"), tmp_path / "data", 0)
    (tree / "br" / "clips").rename(tree / "br" / "mp3")
    with pytest.raises(InputError, match=r"validated.tsv but no clips/ here; found dev.tsv, mp3/.*unpack"):
        commonvoice.prepare(Corpus(tree), tmp_path / "data", 0)
    (tree / "cy" / "validated.tsv").write_text("clip\tsentence\n")
    with pytest.raises(InputError, match=r"validated.tsv:1.*no column client_id and no path: clip sentence"):
        commonvoice.prepare(Corpus(tree, {}, {"languages": "cy"}), tmp_path / "data", 0)
    empty = tmp_path / "empty"
    empty.mkdir()
    (empty / "cv-corpus-17.0-2024-03-15-cy.tar.gz").touch()
    with pytest.raises(InputError, match=r"unpack cv-corpus-17.0-2024-03-15-cy.tar.gz there"):
        commonvoice.prepare(Corpus(empty), tmp_path / "data", 0)


def test_two_clients_of_one_beginning_are_not_mixed_up(tree: Path, tmp_path: Path) -> None:
    path = tree / "cy" / "dev.tsv"
    path.write_text(path.read_text().replace(client("Fay"), client("Fay")[:20] + "0" * 108))
    with pytest.raises(InputError, match=f"two clients begin with {client('Fay')[:16]}"):
        commonvoice.prepare(Corpus(tree), tmp_path / "data", 0)


def test_of_several_releases_the_newest_by_number_is_taken(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("cv-corpus-9.0-2022-04-27", "cv-corpus-17.0-2024-03-15"):
        (tmp_path / name / "cy").mkdir(parents=True)
        (tmp_path / name / "cy" / "validated.tsv").touch()
    assert commonvoice.find(tmp_path) == {"cy": tmp_path / "cv-corpus-17.0-2024-03-15" / "cy"}
    assert "has 2 releases: cv-corpus-17.0-2024-03-15 is taken" in capsys.readouterr().err


def test_a_line_without_a_client_is_no_speaker(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "x.tsv").write_text("client_id\tpath\n\ta.mp3\nid\tb.mp3\n")
    assert list(commonvoice.read_tsv(tmp_path / "x.tsv", "client_id", "path")) == [["id", "b.mp3"]]
    assert "1 lines do not have the header's 2 fields or no client_id" in capsys.readouterr().err


@pytest.mark.long
def test_the_recipe_runs_from_the_corpus_to_eer(tmp_path: Path) -> None:
    release = tmp_path / "cv-corpus-17.0-2024-03-15"
    build_language(release / "cy", "cy", CY, Voices(), NEW)
    words = ("--prepare.choices.fewest", "2")
    results = results_of("commonvoice", release, tmp_path / "work", *words)
    assert "eval" in results["trials"]

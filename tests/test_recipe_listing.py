"""./run.sh --recipes: columns that hold whatever names and texts there are."""

from __future__ import annotations

from pathlib import Path

from pysteps.recipe.listing import read_rows, table

ROW = dict.fromkeys(("recipe", "hours", "speakers", "size", "licence", "expected", "description"), "")


def test_columns_start_at_the_same_place_in_every_row_and_empty_ones_are_left_out() -> None:
    rows = [
        {**ROW, "recipe": "a", "hours": "1", "licence": "CC0"},
        {**ROW, "recipe": "twenty_letters_long_", "hours": "2,000", "licence": "MIT"},
    ]
    head, first, second = table(rows, 200).splitlines()
    assert head == "recipe                hours  licence"
    assert first.index("CC0") == second.index("MIT") == head.index("licence")


def test_sentences_stand_below_the_facts_and_are_wrapped() -> None:
    text = "EER 0.87 % on VoxCeleb1-O cleaned (Desplanques et al. 2020, ECAPA-TDNN of 1024 channels)"
    rows = [
        {**ROW, "recipe": "voxceleb", "expected": text, "description": "VoxCeleb2"},
        {**ROW, "recipe": "b"},
    ]
    lines = table(rows, 60).splitlines()
    assert lines[:3] == ["recipe", "voxceleb", "    VoxCeleb2"]
    assert lines[-1] == "b" and all(len(line) <= 60 for line in lines)
    assert " ".join(line.strip() for line in lines[3:-1]) == f"expected: {text}"


def test_a_broken_recipe_hides_no_other(tmp_path: Path) -> None:
    for name, text in {"b": "hours=3", "a": "hours=5 size='7 GB'", "c": "nonsense=1"}.items():
        (tmp_path / "egs" / name).mkdir(parents=True)
        (tmp_path / "egs" / name / "recipe.sh").write_text(text)
    rows, wrong = read_rows(tmp_path)
    assert [(row["recipe"], row["hours"], row["size"]) for row in rows] == [
        ("a", "5", "7 GB"),
        ("b", "3", ""),
    ]
    assert len(wrong) == 1 and "unknown variable nonsense" in wrong[0]

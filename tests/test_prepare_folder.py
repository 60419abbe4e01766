"""local/folder.py: names with blanks, and what one folder too high looks like at stage 0."""

from __future__ import annotations

from pathlib import Path

import pytest

from local import folder
from pysteps.formats.errors import InputError
from pysteps.formats.tables import read_table
from tests.importing import PEOPLE, audio


def test_names_with_blanks_get_underscores(tmp_path: Path) -> None:
    root = audio(tmp_path / "my corpus", "Ann B/s 1/a b.wav", "Ann B/c.wav", "Bob/d.wav")
    speakers = folder.find_speakers(root)
    assert folder.write_set(tmp_path / "data", speakers) == {
        "Ann_B-s_1-a_b": "Ann_B",
        "Ann_B-c": "Ann_B",
        "Bob-d": "Bob",
    }
    assert read_table(tmp_path / "data/wav.scp")["Ann_B-s_1-a_b"] == str(root / "Ann B/s 1/a b.wav")


def test_all_names_that_would_become_one_are_listed(tmp_path: Path) -> None:
    root = audio(tmp_path, "p 1/a.wav", "p_1/a.wav", "p2/a.wav", "q 3/a.wav", "q  3/a.wav")
    with pytest.raises(InputError, match=r"'p 1' and 'p_1'; 'q  3' and 'q 3' .rename one of each"):
        folder.find_speakers(root)


def test_a_name_without_blanks_stays_what_it_was(tmp_path: Path) -> None:
    root = audio(tmp_path, *(f"{who}/{who}/a.wav" for who in PEOPLE))
    assert set(folder.write_set(tmp_path / "data", folder.find_speakers(root))) == {
        f"{who}-a" for who in PEOPLE
    }

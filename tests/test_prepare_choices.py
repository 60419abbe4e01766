"""What a corpus's script lets one choose, and speakers held out where owners did not split."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from pysteps.formats.errors import InputError
from pysteps.prepare.corpus import Corpus
from pysteps.prepare.split import held_out
from tests.corpora import recipe_of
from tests.pipeline import REPO


def test_a_choice_is_taken_checked_or_default() -> None:
    corpus = Corpus(Path("x"), {}, {"mic": "mic2", "fewest": "7", "odd": "-1"})
    assert corpus.choice("mic", "mic1", "mic1", "mic2") == "mic2"
    assert corpus.choice("window", "10") == "10"
    assert corpus.whole("fewest", 5) == 7 and corpus.whole("most", 20) == 20
    with pytest.raises(InputError, match=r"prepare.choices.mic: 'mic2' is none of a, b"):
        corpus.choice("mic", "a", "a", "b")
    with pytest.raises(InputError, match=r"prepare.choices.odd: '-1' is no whole number from 1"):
        corpus.whole("odd", 1, least=1)
    with pytest.raises(InputError, match=r"'7' is no whole number from 8"):
        corpus.whole("fewest", 9, least=8)


def test_a_choice_comes_from_the_command_line_as_text(tmp_path: Path) -> None:
    words = ("--prepare.choices.fewest", "5", "--prepare.choices.languages", "cy,de")
    run = recipe_of("folder", tmp_path, tmp_path / "work", *words)
    assert run.options["prepare"]["choices"] == {"fewest": "5", "languages": "cy,de"}


def test_a_choice_that_the_script_does_not_offer_is_refused(tmp_path: Path) -> None:
    words = [sys.executable, "local/vctk.py", "--corpus", str(tmp_path), "--data", str(tmp_path / "data")]
    done = subprocess.run([*words, "--choice=mik=1"], cwd=REPO, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "--prepare.choices.mik: the corpus's script does not know this" in done.stderr
    assert "it offers mic" in done.stderr


def test_shares_are_kept_in_every_group() -> None:
    names = [f"f{number:02d}" for number in range(60)] + [f"m{number:02d}" for number in range(20)]
    held = held_out(names, {"dev": 0.1, "eval": 0.2}, seed=0, group=lambda name: name[0])
    counts = {(held_for, sex): 0 for held_for in ("dev", "eval") for sex in "fm"}
    for name, held_for in held.items():
        counts[held_for, name[0]] += 1
    assert counts == {("dev", "f"): 6, ("dev", "m"): 2, ("eval", "f"): 12, ("eval", "m"): 4}
    assert held == held_out(reversed(names), {"dev": 0.1, "eval": 0.2}, seed=0, group=lambda name: name[0])
    assert held != held_out(names, {"dev": 0.1, "eval": 0.2}, seed=1, group=lambda name: name[0])


def test_few_speakers_give_the_least_or_an_error() -> None:
    assert sorted(held_out("abcdef", {"dev": 0.1, "eval": 0.1}, 0).values()) == ["dev"] * 2 + ["eval"] * 2
    with pytest.raises(InputError, match=r"4 speakers are too few: 2 for dev, 2 for eval, none is left"):
        held_out("abcd", {"dev": 0.1, "eval": 0.1}, 0)

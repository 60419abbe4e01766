"""Stage prepare: what its stamp reads."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest

from pysteps.formats.errors import InputError
from pysteps.formats.run import Run
from pysteps.prepare.stage import _clear, scripts, validate
from pysteps.recipe.options import parse
from pysteps.recipe.resolve import resolve
from tests.pipeline import REPO


def test_a_scripts_own_modules_are_part_of_its_stamp(tmp_path: Path) -> None:
    folder = tmp_path / "local"
    folder.mkdir()
    texts = {
        "corpus": "import csv\nfrom local.words import read\nfrom pysteps.formats import tables\n",
        "words": "from local import times\nimport local.corpus\n",  # a circle ends
        "times": "",
        "other": "from local.corpus import x\n",
        "csv": "",  # the library's is meant, not this
    }
    for name, text in texts.items():
        (folder / f"{name}.py").write_text(text)
    found = [path.stem for path in scripts(folder / "corpus.py")]
    assert found == ["corpus", "times", "words"]


def test_a_missing_script_is_named_by_its_stamp(tmp_path: Path) -> None:
    assert scripts(tmp_path / "local" / "none.py") == [tmp_path / "local" / "none.py"]


def test_what_an_earlier_corpus_said_of_speakers_is_gone(tmp_path: Path) -> None:
    data = tmp_path / "data" / "train"
    data.mkdir(parents=True)
    for name in ("spk2gender", "enrol", "utt2genre", "trials.old", "wav.scp"):
        (data / name).touch()
    _clear(cast(Run, SimpleNamespace(data=tmp_path / "data", base_sets=["train", "dev"])))
    assert [path.name for path in data.iterdir()] == ["wav.scp"]


def test_a_training_set_of_one_speaker_is_refused(tmp_path: Path) -> None:
    run = resolve(REPO, parse(["--recipe", "folder", "--work", str(tmp_path)]))
    for name, speakers in (("train", "aaa"), ("dev", "bbc"), ("eval", "dde")):
        folder = tmp_path / "data" / name
        folder.mkdir(parents=True)
        utts = [f"{who}{n}" for n, who in enumerate(speakers)]
        (folder / "wav.scp").write_text("".join(f"{utt} {utt}.wav\n" for utt in utts))
        (folder / "utt2spk").write_text("".join(f"{utt} {utt[0]}\n" for utt in utts))
        if name != "train":
            trials = f"{utts[0]} {utts[1]} target\n{utts[0]} {utts[2]} nontarget\n"
            (folder / "trials").write_text(trials)
    with pytest.raises(InputError, match=r"train/utt2spk: all are of speaker a: .*one folder too high"):
        validate(run)
    (tmp_path / "data/train/utt2spk").write_text("a0 a\na1 a\na2 a2\n")
    validate(run)  # two are enough

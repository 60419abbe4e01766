"""Somebody's own corpus for tests of pysteps.prepare import: files, a list of them, the sets made."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from local import table
from pysteps.formats.datadir import DataSet, check, refuse_overlap
from pysteps.prepare.corpus import Corpus
from pysteps.prepare.import_command import command
from pysteps.recipe.options import parse
from pysteps.recipe.resolve import resolve
from tests.pipeline import REPO

PEOPLE = [f"p{number}" for number in range(10)]


def audio(root: Path, *names: str) -> Path:
    """Files that are there and hold a byte: nobody listens to them."""
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(b"x")
    return root


def imported(tmp_path: Path, source: Path, *words: str) -> dict[str, DataSet]:
    """Import, then stage 0's script with what the recipe says; the sets, checked."""
    command(["import", str(source), "--name", "mine", "--egs", str(tmp_path / "egs"), *words])
    return prepared(tmp_path)


def prepared(tmp_path: Path) -> dict[str, DataSet]:
    """Stage 0 of the imported recipe."""
    for name in ("conf", "local"):
        if not (tmp_path / name).exists():
            (tmp_path / name).symlink_to(REPO / name)
    run = resolve(tmp_path, parse(["--recipe", "mine", "--work", str(tmp_path / "work")]))
    asked = run.options["prepare"]
    roots = {name: Path(folder) for name, folder in asked["roots"].items()}
    shutil.rmtree(tmp_path / "data", ignore_errors=True)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(table, "prepare_pools", lambda *_: None)
        corpus = Corpus(tmp_path / run.corpus, roots, asked["choices"])
        table.prepare(corpus, tmp_path / "data", asked["seed"])
    sets = {name: DataSet(tmp_path / "data" / name) for name in ("train", "dev", "eval")}
    for data in sets.values():
        check(data)
    refuse_overlap(sets["train"], [sets["dev"], sets["eval"]])
    return sets


def everything(sets: dict[str, DataSet], name: str) -> dict[str, str]:
    """A table of all sets together."""
    found: dict[str, str] = {}
    for data in sets.values():
        found |= data.table(name) if data.has(name) else {}
    return found


HEADER = "id,Audio Path,Speaker ID,sex,start,end,split,locale,mic\n"


def rows(**cells: str) -> str:
    """Two rows a speaker, men and women by turns; ``cells``: the same in every row."""
    plain = {"start": "", "end": "", "split": "", "locale": "en", "mic": "near"}
    lines = []
    for number, who in enumerate(PEOPLE):
        for n in range(2):
            one = {"id": f"{who}-{n}", "path": f"clips/{who}_{n}.wav", "who": who, **plain, **cells}
            sex = "female" if number % 2 else "male_masculine"
            fields = [one["id"], one["path"], who, sex, *(one[name] for name in plain)]
            lines.append(",".join(fields) + "\n")
    return "".join(lines)


def clips(tmp_path: Path) -> Path:
    """The files that ``rows`` name."""
    return audio(tmp_path / "corpus", *(f"clips/{who}_{n}.wav" for who in PEOPLE for n in range(2)))

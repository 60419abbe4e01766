"""Too few training speakers for a back end: found before training, with the line that they allow."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from pysteps.backend import Backend
from pysteps.backend.speakers import fitting, shortened
from pysteps.formats.errors import InputError
from pysteps.formats.tables import write_table
from pysteps.recipe.checks import check_speakers
from pysteps.recipe.options import parse
from pysteps.recipe.plan import note_ahead, refuse_speakers
from pysteps.recipe.resolve import resolve
from tests.pipeline import REPO, arguments, run_sh, small_corpus


@pytest.mark.parametrize(
    ("line", "wrong", "right"),
    [
        ("center | lda 64 | plda", ["lda 64"], "center | lda 7 | plda"),
        ("lda 7 | plda rank=7", [], "lda 7 | plda rank=7"),
        ("lda | plda rank=10 shrink=0.3", ["plda rank=10 shrink=0.3"], "lda | plda rank=7 shrink=0.3"),
        ("lda up-to=64 | cosine | as-norm 8", [], "lda up-to=64 | cosine | as-norm 8"),
        ("cosine | as-norm top=9 size=20", ["as-norm top=9 size=20"], "cosine | as-norm top=8 size=8"),
        ("cosine | as-norm 9 cohort=utterances", [], "cosine | as-norm 9 cohort=utterances"),
        ("wccn shrink=0.5 | cosine | s-norm", [], "wccn shrink=0.5 | cosine | s-norm"),
    ],
)
def test_what_is_refused_here_is_what_the_back_end_refuses(line: str, wrong: list[str], right: str) -> None:
    assert fitting(line, 8) == (wrong, right)
    x, names = np.random.default_rng(0).normal(size=(80, 20)), [f"s{number % 8}" for number in range(80)]
    Backend.fit(right, x, names)
    if wrong:
        with pytest.raises(InputError):
            Backend.fit(line, x, names)


def test_two_speakers_have_no_lda() -> None:
    assert fitting("center | lda 64 | plda", 2) == (["lda 64"], "center | plda")


def test_an_lda_of_fewer_dimensions_is_told() -> None:
    assert shortened("center | lda up-to=64 | plda", 64) == "lda up-to=64"
    assert shortened("center | lda up-to=64 | plda", 65) == shortened("lda | cosine", 2) == ""


def test_the_folder_recipe_takes_any_number_of_speakers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(REPO)
    run = resolve(REPO, parse(["--recipe", "folder", "--work", str(tmp_path)]))
    check_speakers(run)  # nothing is known yet
    for count in (2, 8, 65):
        write_table(
            run.data / "train" / "utt2spk", {f"s{n:02d}-{u}": f"s{n:02d}" for n in range(count) for u in "ab"}
        )
        check_speakers(run)
    said = capsys.readouterr().err.splitlines()
    assert said == [
        "note: back end plda: 2 training speakers are too few for lda up-to=64: it is left out",
        "note: back end plda: 8 training speakers leave lda up-to=64 7 dimensions",
    ]


def test_only_what_comes_to_the_back_end_behind_the_sets_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(REPO)
    run = resolve(REPO, parse(["--recipe", "folder", "--work", str(tmp_path), "--backend", "default"]))
    write_table(run.data / "train" / "utt2spk", {"a-1": "a", "b-1": "b", "c-1": "c"})
    refuse_speakers(run, ["audio", "train"])
    refuse_speakers(run, ["prepare", "backend"])  # the sets will be others
    with pytest.raises(InputError, match=r"3 training speakers .* plda \(lda 64\).*lda 2 \| length-norm"):
        refuse_speakers(run, ["audio", "backend"])
    note_ahead(run, ["prepare", "backend"])
    assert "audio" not in (run.exp / "todo" / "disk").read_text()  # so that the step asks


def test_a_first_run_ends_behind_stage_prepare_with_the_flag_that_mends_it(tmp_path: Path) -> None:
    corpus, work = small_corpus(tmp_path / "corpus", speakers=10, utterances=3), tmp_path / "work"
    more = {"backend__backends__plda": "center | lda 9 | length-norm | plda"}
    said = run_sh(*arguments(corpus, work, **more), check=False)
    assert said.returncode != 0 and "3 training speakers are too few for back end plda (lda 9)" in said.stderr
    assert "--backend.backends.plda 'center | lda 2 | length-norm | plda'" in said.stderr
    assert not list((work / "data").glob("*/audio/*/wav.scp"))
    run_sh(*arguments(corpus, work, "--stop-stage", "audio", **more))  # no back end, nothing to refuse

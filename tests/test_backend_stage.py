"""Stage 8 on vectors that were not made by a network: sets, development trials, calibration."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from pysteps.backend import stage
from pysteps.backend.calibration import fit_logistic
from pysteps.backend.vectors import read_vectors
from pysteps.formats import tables
from pysteps.formats.errors import InputError
from pysteps.formats.run import Run
from pysteps.recipe.options import parse
from pysteps.recipe.resolve import resolve
from pysteps.score import stage as score
from tests.vector_run import add_set, learn, small_run, with_backends


@pytest.fixture
def run(tmp_path: Path) -> Run:
    return small_run(tmp_path)


def test_the_order_of_the_recipe_makes_nothing_stale(run: Run, tmp_path: Path) -> None:
    """run.json has keys by name, a recipe as it likes."""
    run = with_backends(run, plda="center | plda", cosine="cosine")
    run.save(tmp_path / "run.json")
    assert list(stage.backends(run)) == ["cosine", "plda", "baseline"]
    again = Run.load(tmp_path / "run.json")
    for mine in (stage, score):  # lists in their order, tables in any
        assert [unit.options for unit in mine.units(run)] == [unit.options for unit in mine.units(again)]


def test_every_back_end_of_the_table_is_a_unit_and_the_baseline_too(run: Run) -> None:
    run = with_backends(run, mine="cosine", other="center | plda")
    assert [unit.name for unit in stage.units(run)] == ["mine", "other", "baseline"]
    learn(run, "baseline")
    assert {path.name for path in (run.exp / "backend" / "baseline").iterdir()} == {
        "chain.json",
        "mean.vec",
        "calibration.json",
    }


def test_calibration_is_learned_on_all_pairs_of_the_development_set(run: Run) -> None:
    learned = learn(run).calibration
    assert (learned.targets, learned.nontargets) == (8 * 15, 48 * 47 // 2 - 8 * 15)
    assert list(learned.weights) == ["mine"] and learned.weights["mine"] > 0


def test_a_development_list_and_its_models_go_before_pairs(run: Run) -> None:
    folder = run.data / "dev"
    tables.write_table(folder / "enrol", {"M": "dev00-0 dev00-1 dev00-9"})
    tables.write_table(folder / "utt2spk", {**run.set("dev").utt2spk(), "dev00-9": "dev00"})
    dropped = run.exp / "xvectors" / "dev" / "dropped"
    dropped.write_text("dev00-9 short\n")
    lines = [f"M dev{s:02d}-{u} {'target' if s == 0 else 'nontarget'}" for s in range(8) for u in range(2, 6)]
    (folder / "trials").write_text("\n".join([*lines, "M dev00-9 target"]))
    backend = learn(run)
    learned = backend.calibration
    assert (learned.targets, learned.nontargets) == (4, 28)
    # The model is the mean of its two utterances that have vectors, and scored as such.
    keys, vectors = read_vectors(run.exp / "xvectors" / "dev" / "xvector.scp")
    wanted = [keys.index(line.split()[1]) for line in lines]
    model, pairs = vectors[:2].mean(axis=0, dtype=np.float64), [[0, row] for row in wanted]
    scores = backend.score(model[None], vectors, np.array(pairs), 2)
    again = fit_logistic(scores, ["nontarget" not in line for line in lines], systems=["mine"])
    assert learned.offset == pytest.approx(again.offset) and learned.weights == pytest.approx(again.weights)
    (unit, _) = stage.units(run)
    assert folder / "trials" in unit.inputs and folder / "enrol" in unit.inputs


def test_a_development_set_without_pairs_of_one_speaker_gives_no_calibration(run: Run, capsys) -> None:
    tables.write_table(run.data / "dev" / "utt2spk", {utt: utt for utt in run.set("dev").utt2spk()})
    assert learn(run).calibration is None
    assert "no calibration, dev has no pairs of one speaker" in capsys.readouterr().err


def test_what_a_killed_save_left_is_replaced(run: Run) -> None:
    learn(run, "baseline")
    folder = run.exp / "backend" / "baseline"
    (folder / "chain.json").unlink()
    learn(run, "baseline")
    assert (folder / "chain.json").is_file()


def test_without_calibration_the_development_set_is_not_read(run: Run) -> None:
    run.options["backend"]["calibration"] = "none"
    (unit, _) = stage.units(run)
    assert not [path for path in unit.inputs if "dev" in path.parts]
    assert learn(run).calibration is None


def test_adaptation_reads_its_set(run: Run) -> None:
    add_set(run, "new", 9, shift=7.0)
    run = with_backends(run, mine="center | plda adapt=new")
    (unit, _) = stage.units(run)
    assert run.exp / "xvectors" / "new" / "xvector.scp" in unit.inputs
    backend = learn(run)
    assert abs(backend.plda.mean - 7).max() < 3 and abs(backend.chain.steps[0].array).max() < 3


def test_a_cohort_of_an_evaluated_speaker_is_refused(run: Run) -> None:
    run = with_backends(run, mine="cosine | s-norm")
    (unit, _) = stage.units(run)
    assert run.data / "eval" / "utt2spk" in unit.inputs
    assert len(learn(run).cohort.keys) == 20
    tables.write_table(run.data / "eval" / "utt2spk", {"u": "train03"})
    with pytest.raises(InputError, match="evaluated in eval, the first is train03"):
        learn(run)


def _recipe(root: Path, text: str) -> Path:
    for folder, name in (("audio", "16k"), ("augment", "musan"), ("models", "ecapa512"), ("train", "aam")):
        (root / "conf" / folder).mkdir(parents=True)
        (root / "conf" / folder / f"{name}.yaml").write_text("")
    for folder, name in (("vad", "webrtc"), ("features", "fbank80")):
        (root / "conf" / folder).mkdir(parents=True)
        (root / "conf" / folder / f"{name}.yaml").write_text("")
    (root / "egs" / "tiny").mkdir(parents=True)
    (root / "egs" / "tiny" / "recipe.sh").write_text(text)
    (root / "local").mkdir()
    (root / "local" / "tiny.py").write_text("")
    return root


def test_adaptation_sets_are_sets_of_the_run(tmp_path: Path) -> None:
    root = _recipe(tmp_path, 'adapt_sets="new other"\n')
    words = ["--recipe", "tiny", "--backend.backends.mine", "center | plda adapt=new"]
    found = resolve(root, parse(words))
    assert found.base_sets == ["train", "dev", "eval", "new", "other"]
    assert set(found.options["backend"]["backends"]) == {"cosine", "plda", "mine"}
    found.save(root / "run.json")
    assert Run.load(root / "run.json").adapt_sets == ["new", "other"]


@pytest.mark.parametrize(
    ("text", "line", "said"),
    [
        ("", "plda adapt=new", "adapts to new: possible are dev .*adapt_sets"),
        ("", "plda adapt=eval", "adapts to eval: possible are dev .*never sees an evaluation set"),
        ("adapt_sets=dev\n", "plda", "the set dev is named twice"),
        ("", "plda adapt=", "unknown option|no such"),
        ("", "center | plda | as-norm", "as-norm: no number of cohort scores"),
    ],
)
def test_a_line_is_checked_before_anything_runs(tmp_path: Path, text: str, line: str, said: str) -> None:
    root = _recipe(tmp_path, text)
    with pytest.raises(InputError, match=said):
        resolve(root, parse(["--recipe", "tiny", "--backend.backends.mine", line]))

"""Search spaces: what a file may say, what is refused and how, and conf files that are paths."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from pysteps.formats.errors import InputError
from pysteps.recipe.options import parse
from pysteps.recipe.resolve import resolve
from pysteps.recipe.tuned import searched
from pysteps.tune.options import parameter, read_space
from pysteps.tune.values import apply
from tests.tuning import REPO, SPACE, search


def written(folder: Path, **content: object) -> Path:
    path = folder / "s.yaml"
    path.write_text(yaml.safe_dump(content, sort_keys=False))
    return path


def test_a_space_file_is_typed(tmp_path: Path) -> None:
    path = tmp_path / "s.yaml"
    path.write_text(
        "pruner: median\n"
        "train.lr: {float: [1e-4, 1e-2], log: true}\n"  # YAML reads 1e-4 as text
        "models.network.blocks: {int: [2, 6], step: 2}\n"
        "train.schedule: {choice: [cosine, step]}\n"
    )
    found = read_space(path)
    assert (found.sampler, found.pruner, found.seed) == ("tpe", "median", 0)
    rate, blocks, schedule = found.space()
    assert (rate.low, rate.high, rate.log) == (0.0001, 0.01, True)
    assert blocks.points() == [2, 4, 6] and all(type(one) is int for one in blocks.points())
    assert schedule.values == ("cosine", "step")


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ({"train.lrr": {"float": [0.1, 1]}}, "s.yaml: unknown option train.lrr (did you mean lr?)"),
        ({"egs.max_seconds": {"float": [1, 2]}}, "only models.* and train.*"),
        ({"train.keep": {"int": [1, 2]}}, "it changes no weight"),
        ({"train.threads": {"int": [1, 2]}}, "it changes the last bits of weights"),
        ({"models.feature_dim": {"int": [1, 2]}}, "it follows from the features"),
        ({"train.lr": {"float": [1, 0.1]}}, "1 is not below 0.1"),
        ({"train.lr": {"float": [0, 0.1], "log": True}}, "a low end above 0"),
        ({"train.lr": {"float": [0.1, 0.2], "lgo": True}}, "float has no lgo"),
        ({"train.lr": {"floats": [0.1, 0.2]}}, "{float: [low, high]}"),
        ({"train.lr": [0.1, 0.2]}, "{float: [low, high]}"),
        ({"train.epochs": {"int": [1.5, 3]}}, "1.5 is no whole number"),
        ({"train.epochs": {"int": [1, 6], "step": 2}}, "step 2 does not lead from 1 to 6"),
        ({"train.loss": {"choice": []}}, "choice is []"),
        ({"train.loss": {"choice": ["aam", "aam"]}}, "stands twice"),
        ({"smapler": "tpe"}, "unknown key smapler (did you mean sampler?"),
        ({"sampler": "best", "train.lr": {"float": [0.1, 1]}}, "unknown sampler 'best' (one of tpe, random"),
        ({"sampler": "grid", "train.lr": {"float": [0.1, 1]}}, "a grid needs choices, or a step"),
        ({"factor": 1, "train.lr": {"float": [0.1, 1]}}, "factor is 1 (a whole number from 2)"),
        ({"pruner": "none"}, "nothing to search"),
    ],
)  # fmt: skip
def test_what_cannot_be_searched_is_refused(tmp_path: Path, content: dict, says: str) -> None:
    with pytest.raises(InputError) as raised:
        read_space(written(tmp_path, **content))
    assert says in str(raised.value)


def test_a_file_that_is_not_there_names_the_nearest(tmp_path: Path) -> None:
    (tmp_path / "conformer.yaml").write_text("")
    with pytest.raises(InputError, match=r"did you mean .*conformer\.yaml\?"):
        read_space(tmp_path / "confromer.yaml")


@pytest.mark.parametrize(
    ("space", "says"),
    [
        ({"models.network.chanels": {"int": [8, 16]}}, r"unknown option models.network.chanels \(did you"),
        ({"models.network.channels": {"choice": [16, 18]}}, r"models.network.channels 18: "),
        ({"train.loss": {"choice": ["aam", "amm"]}}, r"train.loss amm: .*amm"),
        ({"train.margin": {"float": [0.1, 2.5]}}, r"train.margin 2.5: margin is 2.5"),
        ({"train.epochs": {"float": [1, 3]}}, r"train.epochs: 1.0 is no int"),
        ({"train.lr": {"choice": [0.1, "high"]}}, r"train.lr: 'high' is no float"),
    ],
)  # fmt: skip
def test_values_are_tried_before_anything_runs(tmp_path: Path, space: dict, says: str) -> None:
    with pytest.raises(InputError, match=rf"space\.yaml: {says}"):
        search(tmp_path, 3, **{"train.lr": None, "models.xvector_dim": None, **space})


def test_values_that_only_fit_together_pass(tmp_path: Path) -> None:
    # 18 channels do not go with the run's scale of 4, but with 3 or 6, which alone do not go with its 16.
    both = {"models.network.channels": {"choice": [16, 18]}, "models.network.scale": {"choice": [4, 6]}}
    run = search(tmp_path, 3, **both)
    assert apply(run.options, {"models.network.channels": 18, "models.network.scale": 6})
    with pytest.raises(InputError):
        apply(run.options, {"models.network.channels": 18, "models.network.scale": 4})


def test_a_trial_changes_only_its_own_options(tmp_path: Path) -> None:
    run = search(tmp_path, 3)
    found = apply(run.options, {"models.network.channels": 32, "train.lr": 0.5})
    assert run.options["models"]["network"]["channels"] == 16 and run.options["train"]["lr"] == 0.08
    expected = {**run.options["train"], "lr": 0.5}
    assert found["train"] == expected and found["models"]["network"]["channels"] == 32


@pytest.mark.parametrize(
    ("name", "value", "inside"),
    [
        ("lr", 0.1, True), ("lr", 0.3, False), ("lr", True, False), ("epochs", 4, True), ("epochs", 3, False),
        ("epochs", 4.0, True), ("loss", "aam", True), ("loss", "am", False),
    ],
)  # fmt: skip
def test_what_a_parameter_holds(name: str, value: object, inside: bool) -> None:
    kinds = {"lr": {"float": [0.1, 0.2]}, "epochs": {"int": [2, 6], "step": 2}, "loss": {"choice": ["aam"]}}
    assert parameter(f"train.{name}", kinds[name]).holds(value) is inside


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--stage", "tune"], "needs a search space"),
        (["--stage", "tune", "--space", "SPACE", "--trials", "0"], "--trials 0 is no whole number from 1"),
        (["--stage", "tune", "--space", "SPACE", "--stop-stage", "score"], "--stage tune runs alone"),
        (
            ["--stage", "tune", "--space", "SPACE", "--train.model", "MODEL"],
            "stands in the place of training",
        ),
    ],
)
def test_searches_that_cannot_be_are_refused(tmp_path: Path, words: list[str], says: str) -> None:
    (tmp_path / "model.safetensors").write_bytes(b"")
    path = written(tmp_path, **SPACE)
    words = [str({"SPACE": path, "MODEL": tmp_path}.get(word, word)) for word in words]
    chosen = parse(["--recipe", "folder", *words])
    with pytest.raises(InputError, match=says):
        searched(resolve(REPO, chosen), chosen)


def test_a_conf_file_may_be_a_path(tmp_path: Path) -> None:
    path = tmp_path / "näher dran.yaml"
    path.write_text("epochs: 7\n")
    run = resolve(REPO, parse(["--recipe", "folder", "--train", str(path)]))
    assert run.options["train"]["epochs"] == 7 and run.names["train"] == "näher dran"
    assert run.tag.endswith("_näher dran")
    with pytest.raises(InputError, match="nothing.yaml: no train configuration here"):
        resolve(REPO, parse(["--recipe", "folder", "--train", str(tmp_path / "nothing.yaml")]))
    path.write_text("epoch: 7\n")
    with pytest.raises(InputError, match="unknown key epoch .did you mean epochs"):
        resolve(REPO, parse(["--recipe", "folder", "--train", str(path)]))


def test_the_space_of_the_conformer_is_one() -> None:
    chosen = parse(["--recipe", "conformer_aam", "--stage", "tune", "--space", "conf/tune/conformer.yaml"])
    run = searched(resolve(REPO, chosen), chosen)
    assert run.options["train"]["lr"] == 9.06e-4 and run.options["models"]["xvector_dim"] == 2048

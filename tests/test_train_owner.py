"""Checkpoints and the training that they are of."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from pysteps.formats.errors import InputError
from pysteps.formats.stamps import Unit
from pysteps.train.owner import give_up, refuse_another, take_up, written


def unit_of(folder: Path, lr: float, **more: object) -> Unit:
    return Unit("a", "train", folder, 1, {"lr": lr, "models": {"network": {"channels": 8}}, **more})


def held(folder: Path) -> dict[str, str]:
    """What every set of checkpoints says of itself."""
    return {path.parent.name: path.read_text() for path in sorted(folder.glob("*/step-*.pt"))}


def train(unit: Unit) -> None:
    """A training that writes its rate as a checkpoint."""
    take_up(unit)
    (unit.folder / "checkpoints" / "step-000000001.pt").write_text(str(unit.options["lr"]))


def test_another_training_sets_checkpoints_aside_and_says_why(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    one = unit_of(tmp_path, 0.1)
    train(one)
    take_up(one)
    assert held(tmp_path) == {"checkpoints": "0.1"} and not capsys.readouterr().err
    other = replace(one, options={**one.options, "models": {"network": {"channels": 9}}})
    take_up(other)
    said = capsys.readouterr().err
    assert "another training (models.network.channels: 8 -> 9): set aside as checkpoints.before" in said
    assert held(tmp_path) == {"checkpoints.before": "0.1"}


def test_options_that_come_back_go_on_with_their_own_checkpoints(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    one, two, three = (unit_of(tmp_path, lr) for lr in (0.1, 0.2, 0.3))
    train(one)
    take_up(two)
    take_up(one)  # two had made no step: it leaves nothing
    assert held(tmp_path) == {"checkpoints": "0.1"}
    assert capsys.readouterr().err.endswith("train: going on with checkpoints.before\n")
    train(two)
    take_up(one)
    assert held(tmp_path) == {"checkpoints": "0.1", "checkpoints.before": "0.2"}
    train(three)
    assert held(tmp_path) == {"checkpoints": "0.3", "checkpoints.before": "0.1"}, "one set is kept"
    refuse_another(three, three.key())
    with pytest.raises(InputError, match="training has begun anew meanwhile"):
        refuse_another(one, one.key())


def test_force_removes_the_trainings_own_checkpoints_alone(tmp_path: Path) -> None:
    one, two = unit_of(tmp_path, 0.1), unit_of(tmp_path, 0.2)
    train(one)
    train(two)
    give_up(one)
    assert held(tmp_path) == {"checkpoints.before": "0.2"}
    give_up(two)
    assert not held(tmp_path)


def test_half_a_set_takes_no_whole_ones_place(tmp_path: Path) -> None:
    one, two = unit_of(tmp_path, 0.1), unit_of(tmp_path, 0.2)
    train(one)
    train(two)
    (tmp_path / "checkpoints" / "key").unlink()  # as a kill in the middle of --force leaves it
    take_up(unit_of(tmp_path, 0.3))
    assert held(tmp_path) == {"checkpoints.before": "0.1"}


def test_without_the_inputs_of_a_training_nothing_is_removed(tmp_path: Path) -> None:
    given = tmp_path / "egs.json"
    given.write_text("{}")
    one = replace(unit_of(tmp_path / "exp", 0.1), inputs=(given,))
    train(one)
    given.unlink()
    give_up(one)
    assert held(one.folder) == {"checkpoints": "0.1"} and written(one).name == "checkpoints.before"


def test_what_cannot_be_set_aside_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    one = unit_of(tmp_path, 0.1)
    train(one)
    train(unit_of(tmp_path, 0.2))
    monkeypatch.setattr("shutil.rmtree", lambda *_, **__: None)  # another user's files
    with pytest.raises(InputError, match=r"checkpoints\.moving: cannot become checkpoints\.before.*remove"):
        take_up(unit_of(tmp_path, 0.3))


def test_of_the_disk_a_trainings_own_checkpoints_count_as_written(tmp_path: Path) -> None:
    one, two = unit_of(tmp_path, 0.1), unit_of(tmp_path, 0.2)
    train(one)
    assert (written(one).name, written(two).name) == ("checkpoints", "checkpoints.before")


@pytest.mark.parametrize("back", [False, True])
def test_a_kill_between_two_moves_loses_no_set(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, back: bool
) -> None:
    one, two, three = (unit_of(tmp_path, lr) for lr in (0.1, 0.2, 0.3))
    rename: Callable[..., Path] = Path.rename
    for moves in range(4):
        folder = tmp_path / str(moves)
        first, second, other = (replace(unit, folder=folder) for unit in (one, two, three))
        train(first)
        train(second)
        count = iter(range(moves))

        def killed(path: Path, target: Path, count: object = count) -> Path:
            if next(count, None) is None:  # type: ignore[call-overload]
                raise KeyboardInterrupt
            return rename(path, target)

        with monkeypatch.context() as patched:
            patched.setattr(Path, "rename", killed)
            try:
                take_up(first if back else other)
            except KeyboardInterrupt:
                assert moves < (3 if back else 2)
        take_up(first if back else other)
        aside = {"checkpoints.before": "0.2"}
        assert held(folder) == ({"checkpoints": "0.1", **aside} if back else aside)

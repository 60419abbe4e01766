"""The search space (conf/tune/NAME.yaml): what is searched, between which ends, and how.

Imports neither torch nor Optuna: the driver reads it.
"""

from __future__ import annotations

import difflib
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields
from itertools import product
from pathlib import Path
from typing import Any

import yaml

from ..formats.errors import InputError
from ..models.options import ModelOptions
from ..train.options import FREE, TrainOptions

STAGES = {"models": ModelOptions, "train": TrainOptions}
KINDS = ("float", "int", "choice")
# Of these stages, but nothing to search, and why.
_NOT = {
    "models.feature_dim": "it follows from the features",
    "train.phases": "a list of tables: search the values of the first phase",
    "train.model": "it stands in the place of training",
    "train.threads": "it changes the last bits of weights, and nothing that is learned",
    **{f"train.{key}": "it changes no weight" for key in FREE},
}


@dataclass(frozen=True)
class Parameter:
    """One option and what it may be: ``kind`` float or int with ``low`` and ``high`` (both may come), ``log``
    and ``step`` (0: none); or choice with ``values``."""

    name: str
    kind: str
    low: float = 0.0
    high: float = 0.0
    log: bool = False
    step: float = 0.0
    values: tuple[Any, ...] = ()

    def ends(self) -> list[Any]:
        """What is tried before anything runs: both ends, or every choice."""
        return list(self.values) if self.kind == "choice" else [self._typed(self.low), self._typed(self.high)]

    def points(self) -> list[Any]:
        """Every value; InputError for one that has too many (a float without a step)."""
        if self.kind == "choice":
            return list(self.values)
        step = self.step or (1 if self.kind == "int" else 0)
        if not step or self.log:
            raise InputError(
                f"{self.name}: a grid needs choices, or a step", mend=f"{self.name}: {{choice: [...]}}"
            )
        count = math.floor((self.high - self.low) / step + 1e-9) + 1
        return [self._typed(round(self.low + place * step, 12)) for place in range(count)]

    def holds(self, value: Any) -> bool:
        """Whether ``value`` is one that may come."""
        if self.kind == "choice":
            return any(value == one and type(value) is type(one) for one in self.values)
        if (
            isinstance(value, bool)
            or not isinstance(value, int | float)
            or not self.low <= value <= self.high
        ):
            return False
        far = (value - self.low) / self.step if self.step else 0.0
        return abs(far - round(far)) < 1e-9 and (self.kind == "float" or value == int(value))

    def _typed(self, value: float) -> Any:
        return int(value) if self.kind == "int" else float(value)


@dataclass
class TuneOptions:
    """How the space is searched."""

    engine: str = "optuna"
    """optuna, or ray (requirements/ray.txt): trials on this machine, ASHA in place of Optuna's halving"""
    sampler: str = "tpe"
    """tpe (Bergstra et al., 2011), random, or grid: every point in order"""
    seed: int = 0
    """of the sampler; trainings have --train.seed"""
    startup: int = 10
    """tpe: so many finished trials are drawn at random first"""
    first: str = "recipe"
    """trial 0 has the values of the recipe, where the space holds them; drawn: it is drawn like the others"""
    pruner: str = "halving"
    """none; median: ends what is worse than the median of the trials at that epoch; halving: asynchronous
    successive halving (ASHA; Li et al., 2020)"""
    prune_epoch: int = 1
    """no trial ends before it has so many epochs"""
    prune_trials: int = 5
    """median: none ends before so many trials are finished"""
    factor: int = 4
    """halving: one of so many goes on at prune_epoch epochs, at factor times as many, and so on"""
    keep: str = "best"
    """models of trials that stay on the disk: best, or all"""
    parameters: dict[str, dict[str, Any]] = field(default_factory=dict)
    """option -> what it may be"""

    def __post_init__(self) -> None:
        for name, known in (
            ("engine", ("optuna", "ray")),
            ("sampler", ("tpe", "random", "grid")),
            ("first", ("recipe", "drawn")),
            ("pruner", ("none", "median", "halving")),
            ("keep", ("best", "all")),
        ):
            if getattr(self, name) not in known:
                raise InputError(f"unknown {name} {getattr(self, name)!r}", mend=f"one of {', '.join(known)}")
        for name, least in (
            ("seed", 0),
            ("startup", 1),
            ("prune_epoch", 1),
            ("prune_trials", 1),
            ("factor", 2),
        ):
            value = getattr(self, name)
            if type(value) is not int or value < least:
                raise InputError(f"{name} is {value!r}", mend=f"a whole number from {least}")
        if not self.parameters:
            raise InputError("nothing to search", mend="train.lr: {float: [0.0001, 0.01], log: true}")

    def space(self) -> list[Parameter]:
        """The parameters, in the order of the file."""
        return [parameter(name, table) for name, table in self.parameters.items()]

    def grid(self) -> list[dict[str, Any]]:
        """Every point of the space; the last parameter changes first."""
        space = self.space()
        return [
            dict(zip((one.name for one in space), values, strict=True))
            for values in product(*(one.points() for one in space))
        ]


def read_space(path: str | Path) -> TuneOptions:
    """The space file; InputError with the file and what is wrong in it."""
    path = Path(path)
    if not path.is_file():
        known = sorted(str(found) for found in path.parent.glob("*.yaml"))
        mend = near(str(path), known) if known else "conf/tune/*.yaml are examples; see docs/tune.md"
        raise InputError("no such search space", where=path, mend=mend)
    try:
        content = yaml.safe_load(path.read_text("utf-8"))
    except (yaml.YAMLError, ValueError) as error:
        raise InputError(" ".join(str(error).split()), where=path) from None
    if not isinstance(content, dict):
        raise InputError("no table of options", where=path, mend="see docs/tune.md")
    own = {one.name for one in fields(TuneOptions)} - {"parameters"}
    how = {str(key): value for key, value in content.items() if "." not in str(key)}
    for key in how:
        if key not in own:
            mend = f"{near(key, sorted(own))}; what is searched begins with models. or train."
            raise InputError(f"unknown key {key}", where=path, mend=mend)
    try:
        tables = {str(key): table for key, table in content.items() if "." in str(key)}
        options = TuneOptions(**how, parameters=tables)
        options.parameters = {one.name: _plain(one) for one in options.space()}
        if options.sampler == "grid":
            options.grid()
    except InputError as error:
        raise InputError(str(error), where=path) from None
    return options


def parameter(name: str, table: Any) -> Parameter:
    """One line of a space file; InputError for an option that is not known, and for ends that cannot be."""
    _refuse_unknown(name)
    if not isinstance(table, Mapping) or sum(kind in table for kind in KINDS) != 1:
        raise InputError(
            f"{name} is {table!r}", mend="{float: [low, high]}, {int: [low, high]} or {choice: [...]}"
        )
    kind = next(kind for kind in KINDS if kind in table)
    rest = {key: value for key, value in table.items() if key != kind}
    allowed = () if kind == "choice" else ("log", "step")
    for key in rest:
        if key not in allowed:
            raise InputError(
                f"{name}: {kind} has no {key}", mend=f"known: {', '.join(allowed) or 'nothing more'}"
            )
    if kind == "choice":
        return Parameter(name, kind, values=_values(name, table[kind]))
    low, high = _ends(name, kind, table[kind])
    log, step = rest.get("log", False), _number(name, kind, rest["step"]) if rest.get("step") else 0.0
    if not isinstance(log, bool):
        raise InputError(f"{name}: log is {log!r}", mend="true or false")
    if log and (low <= 0 or step):
        raise InputError(f"{name}: log goes with a low end above 0, and without a step")
    if step < 0 or (step and abs((high - low) / step - round((high - low) / step)) > 1e-9):
        raise InputError(f"{name}: step {step:g} does not lead from {low:g} to {high:g}")
    return Parameter(name, kind, low, high, log, step)


def _refuse_unknown(name: str) -> None:
    stage, _, key = name.partition(".")
    if stage not in STAGES:
        raise InputError(
            f"{name} cannot be searched", mend="only models.* and train.*: the egs are made once"
        )
    if name in _NOT:
        raise InputError(f"{name} cannot be searched: {_NOT[name]}")
    known = [one.name for one in fields(STAGES[stage])]
    if key.partition(".")[0] not in known:
        raise InputError(f"unknown option {name}", mend=near(key, known))


def _values(name: str, given: Any) -> tuple[Any, ...]:
    if (
        not isinstance(given, list)
        or not given
        or not all(isinstance(one, str | int | float) for one in given)
    ):
        raise InputError(f"{name}: choice is {given!r}", mend="a list of numbers, texts, or true and false")
    if len({(type(one), one) for one in given}) < len(given):
        raise InputError(f"{name}: a choice stands twice in {given}")
    return tuple(given)


def _ends(name: str, kind: str, given: Any) -> tuple[float, float]:
    if not isinstance(given, list) or len(given) != 2:
        raise InputError(f"{name}: {kind} is {given!r}", mend="[low, high]")
    low, high = (_number(name, kind, one) for one in given)
    if not low < high:
        raise InputError(f"{name}: {low:g} is not below {high:g}", mend="[low, high]")
    return low, high


def _number(name: str, kind: str, given: Any) -> float:
    # YAML reads 1e-4 as text.
    try:
        value = math.nan if isinstance(given, bool) else float(given)
    except (TypeError, ValueError):
        value = math.nan
    if not math.isfinite(value) or (kind == "int" and value != int(value)):
        raise InputError(f"{name}: {given!r} is no {'whole ' if kind == 'int' else ''}number")
    return value


def _plain(one: Parameter) -> dict[str, Any]:
    # As a space file has it, with numbers for numbers; run files keep that.
    if one.kind == "choice":
        return {"choice": list(one.values)}
    return {one.kind: one.ends(), "log": one.log, "step": one.step}


def near(name: str, known: Iterable[str]) -> str:
    known = [str(one) for one in known]
    found = difflib.get_close_matches(name, known, 1, 0.5)
    return f"did you mean {found[0]}?" if found else f"known: {', '.join(known)}"

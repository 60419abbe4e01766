"""A trial's values in the options of a run, and whether every value of a space fits there."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from copy import deepcopy
from dataclasses import asdict
from typing import Any

from ..formats.errors import InputError
from .options import STAGES, Parameter, TuneOptions, near


def apply(options: Mapping[str, Any], values: Mapping[str, Any]) -> dict[str, Any]:
    """The run's ``options`` with a trial's ``values``: models and train built anew, so typed and checked.

    InputError where they cannot be together.
    """
    found = {**options, **{stage: deepcopy(options[stage]) for stage in STAGES}}
    for name, value in values.items():
        stage, *path, last = name.split(".")
        table = found[stage]
        for key in path:
            table = table[key]
        table[last] = value
    for stage, kind in STAGES.items():
        found[stage] = asdict(kind(**found[stage]))
    return found


def recipe_values(options: Mapping[str, Any], space: Iterable[Parameter]) -> dict[str, Any]:
    """What the run itself has for every parameter; InputError for one that its network does not have."""
    found = {}
    for one in space:
        value: Any = options
        for key in one.name.split("."):
            if not isinstance(value, Mapping) or key not in value:
                raise InputError(f"unknown option {one.name}", mend=near(key, value))
            value = value[key]
        found[one.name] = value
    return found


def check(run_options: Mapping[str, Any], tune: TuneOptions) -> None:
    """InputError unless every value fits its option, tried one by one beside the run's own values."""
    if run_options["train"]["model"]:
        raise InputError("train.model stands in the place of training: there is nothing to search")
    space = tune.space()
    own = recipe_values(run_options, space)
    for one in space:
        for value in one.ends():
            _refuse_kind(one.name, value, own[one.name])
            try:
                apply(run_options, {one.name: value})
            except InputError as error:
                if not _fits_with_another(run_options, space, one, value):
                    raise InputError(f"{one.name} {value}: {error}") from None


def _fits_with_another(
    run_options: Mapping[str, Any], space: Iterable[Parameter], one: Parameter, value: Any
) -> bool:
    # What hangs together (channels and heads) may fit though it does not beside the run's own value.
    for other in space:
        for end in other.ends() if other.name != one.name else ():
            try:
                apply(run_options, {one.name: value, other.name: end})
            except InputError:
                continue
            return True
    return False


def _refuse_kind(name: str, value: Any, own: Any) -> None:
    if isinstance(own, float) and isinstance(value, int) and not isinstance(value, bool):
        return
    if type(value) is not type(own):
        raise InputError(f"{name}: {value!r} is no {type(own).__name__}, as {own!r} is")


def text(value: Any) -> str:
    """A value as a command line has it."""
    return json.dumps(value)

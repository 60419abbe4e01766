"""What a run that begins behind stage 0, or ends before the last one, takes over from exp/TAG/run.json.

The options of stages that do not run now say how what lies there was made: the recipe's own would be wrong
wherever it was made with others, and would forget them. A run of stage diarize alone also keeps how windows
are cut, so that another method (--diarize NAME) has the same windows.
"""

from __future__ import annotations

import json
import shlex
import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..diarize.options import CUTTING
from ..formats.errors import InputError
from ..formats.names import BESIDE, MORE, STAGES
from ..formats.run import Run
from .options import Chosen, stage_number

DERIVED = "feature_dim"  # of the network: resolve takes it from the features


@dataclass(frozen=True)
class Kept:
    """Names of conf files and options of the stages that do not run, as the work folder's run has them."""

    names: dict[str, str] = field(default_factory=dict)
    options: dict[str, dict[str, Any]] = field(default_factory=dict)
    corpus: str = ""
    where: Path = Path()
    cut: dict[str, Any] = field(default_factory=dict)  # how windows are cut, where diarize alone runs again
    method: str = ""  # the conf file of diarize that was used with it

    def say(self, options: Mapping[str, Mapping[str, Any]], plain: Mapping[str, Mapping[str, Any]]) -> None:
        """One line on standard error: ``options`` that the recipe alone (``plain``) would have otherwise."""
        said = [
            f"--{option} {shlex.quote(value if isinstance(value, str) else json.dumps(value))}"
            for stage in (*self.options, *(["diarize"] if self.cut else []))
            for option, value in different(stage, options.get(stage, {}), plain.get(stage, {}))
        ]
        if said:
            print(f"taken over from {self.where}: {' '.join(said)}", file=sys.stderr)


def different(name: str, values: Mapping[str, Any], plain: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """(option, value) that ``plain`` has otherwise, as on a command line: of a table an entry at a time."""
    for key, value in values.items():
        other = plain.get(key)
        if isinstance(value, Mapping) and isinstance(other, Mapping):
            yield from different(f"{name}.{key}", value, other)
        elif value != other:
            yield f"{name}.{key}", value


def kept(path: Path, recipe: str, chosen: Chosen, known: Iterable[str]) -> Kept:
    """What ``path`` (a run.json) says of the stages that ``chosen`` leaves alone; nothing without one.

    ``known``: the stages that have options. A conf file that the command line names stands for itself.
    """
    order = [*STAGES, *MORE]
    asked = chosen.values.get("stage", order[0])
    first = stage_number("train" if asked in BESIDE else asked, order)  # a search is many trainings
    last = stage_number(chosen.values.get("stop-stage", order[-1]), order)
    idle = {*order[:first], *order[last + 1 :]}
    if "train" in idle:
        idle.add("models")  # the network is that of training
    if not idle or not path.is_file():
        return Kept()
    try:
        before = Run.load(path)
    except InputError:  # of another version: run.sh is about to replace it
        return Kept()
    if before.recipe != recipe:
        return Kept()
    stages = [one for one in known if one in idle and one in before.options and one not in chosen.confs]
    options = {stage: dict(before.options[stage]) for stage in stages}
    options.get("models", {}).pop(DERIVED, None)
    return Kept(
        {stage: before.names[stage] for stage in stages if stage in before.names},
        options,
        before.corpus if "prepare" in idle else "",
        path,
        *(_cut(before) if order[first] == "diarize" else ()),
    )


def _cut(before: Run) -> tuple[dict[str, Any], str]:
    # Methods are compared on the same windows: another one, on its own, does not cut them anew.
    if "diarize" not in before.options:
        return {}, ""
    options = before.options["diarize"]
    return {key: options[key] for key in CUTTING if key in options}, before.names["diarize"]

"""What the word explain of the command line does: maps of one utterance, or of a trial's two sides."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from ..features.panels import Window, panels
from ..features.plot import FORMATS, save
from ..features.voiced import VoicedFeatures
from ..formats import arks
from ..formats.errors import InputError
from ..formats.rng import generator
from ..formats.tables import write_table
from .draw import Side, draw_maps
from .methods import Explanation, explain
from .system import System, on_time_axis

_ALL_FRAMES = 1e9  # seconds: the panel is of the whole recording


def explain_utterance(
    system: System,
    utt: str,
    out: Path,
    *,
    methods: Sequence[str],
    target: str = "",
    other: str = "",
    layer: str = "",
) -> list[str]:
    """Draw maps of ``utt`` (and of ``other``, the trial's other side) to ``out``, a picture, and write each
    method's to OUT.METHOD.ark and .scp. Returns lines about what was found."""
    if out.suffix not in FORMATS:  # before the work
        raise InputError("no picture format", where=out, mend=f"end in {', '.join(FORMATS)}")
    target = target or ("cosine" if other else "direction")
    if other and target != "cosine":
        raise InputError(
            f"--with is the other side of a trial, the target is {target}", mend="--target cosine"
        )
    utts = [utt, other] if other else [utt]
    with VoicedFeatures(system.run, system.name) as voiced:
        for one in utts:
            system.refuse_unknown(voiced, one)
        heard = [system.features(voiced, one) for one in utts]
    sides, lines = [], []
    maps: dict[str, dict[str, np.ndarray]] = {method: {} for method in methods}
    for number, (one, features) in enumerate(zip(utts, heard, strict=True)):
        goal = system.target(target, features, heard[1 - number] if other else None)
        found = [explain(system.model, features, goal, method, layer) for method in methods]
        decided = system.decided(one)
        lines.append(f"{one}: {system.describe(goal)} {found[0].output:.4f}")
        lines += [f"  {made.method}: {made.note}" for made in found if made.note]
        for made in found:
            maps[made.method][one] = on_time_axis(made.values, decided)
        sides.append(_side(system, one, decided, found))
    for method, table in maps.items():
        write_maps(out.with_name(f"{out.stem}.{method}"), table)
    save(draw_maps(sides, system.options, title=f"{lines[0]}   {system.run.tag}"), out)
    return [*lines, str(out)]


def _side(system: System, utt: str, decided: np.ndarray, found: Sequence[Explanation]) -> Side:
    panel = panels(system.run, utt, [], Window(0.0, _ALL_FRAMES))[0]
    last = int(np.flatnonzero(decided)[-1]) + 1
    end = int(system.options.geometry.span(last, system.options.sample_rate)[1])
    shown = Side(
        type(panel)(utt, panel.samples[:end], panel.voiced[:last], panel.features[:last]),
        decided[:last],
        {one.method: on_time_axis(one.values, decided)[:last] for one in found},
        {one.method: one.note for one in found},
    )
    return shown


def write_maps(stem: Path, maps: Mapping[str, np.ndarray]) -> None:
    """Write ``maps`` {utterance: [frames, feature]} to STEM.ark and its table STEM.scp."""
    with arks.writing(stem.with_name(f"{stem.name}.ark")) as writer:
        for utt in sorted(maps):
            writer.array(utt, maps[utt])
    write_table(stem.with_name(f"{stem.name}.scp"), writer.scp)


def fitting(system: System, methods: Sequence[str], layer: str = "") -> tuple[list[str], list[str]]:
    """Of ``methods`` those that fit the network, and a line for each that does not."""
    options = system.model.options
    frames = system.model.min_frames + 8
    random = generator(0, "probe", "analyse")
    probe = random.standard_normal((frames, options.feature_dim), dtype=np.float32)
    fit, said = [], []
    for method in methods:
        try:
            explain(system.model, probe, system.target("norm", probe), method, layer)
            fit.append(method)
        except InputError as error:
            said.append(f"left out: {error}")
    if not fit:
        raise InputError(said[0].removeprefix("left out: "))
    return fit, said

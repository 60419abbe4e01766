"""What the words bands and faithfulness of the command line do: maps of many utterances."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np
import torch
from torch import nn

from ..features.plot import save
from ..features.voiced import VoicedFeatures
from ..formats.atomic import write_text
from ..formats.errors import InputError
from ..formats.progress import Progress
from ..formats.rng import generator
from .bands import Bands, as_lines, averaged, bin_hertz, bin_rows, share_of_bins, strongest
from .cam import has_bins
from .commands import fitting, write_maps
from .draw import draw_bands, draw_curves
from .faithful import RANDOM, Curves, Measure, as_table, compared, curves, ranked
from .methods import METHODS, explain
from .system import System, on_time_axis
from .targets import ClassTarget

ORDERS = 3  # random orders of each utterance


def bands_of_set(
    system: System,
    out: Path,
    *,
    methods: Sequence[str],
    target: str = "direction",
    utterances: int = 50,
    layer: str = "",
    seed: int = 0,
) -> list[str]:
    """Average maps over a set: OUT/bands.png, OUT/METHOD.bands (a table), OUT/METHOD.ark and .scp."""
    centres = bin_hertz(system.options)
    methods, lines = fitting(system, methods, layer)
    for method in [one for one in methods if METHODS[one].layered and not has_bins(system.model, layer)]:
        methods.remove(method)
        lines.append(f"left out: {method}: the layer has no bins; --layer names another")
    if not methods:
        raise InputError("no method is left that tells bins apart", mend="--method gradient")
    maps, speaker_of = _maps(system, methods, target, utterances, layer, seed)
    found: dict[str, Bands] = {}
    for method, table in maps.items():
        shares = {utt: share_of_bins(values[:, bin_rows(system.options)]) for utt, values in table.items()}
        found[method] = averaged(shares, speaker_of, centres, seed=seed)
        write_maps(out / method, table)
        write_text(out / f"{method}.bands", "".join(as_lines(found[method], f"{method}, {target}")))
        lines += [f"{method}: {one}" for one in strongest(found[method])]
    one = found[methods[0]]
    said = f"{system.name}: {one.utterances} utterances of {one.speakers} speakers, {target}"
    save(draw_bands(found, f"{said}   {system.run.tag}"), out / "bands.png")
    return [*lines, str(out / "bands.png")]


def _maps(
    system: System, methods: Sequence[str], target: str, utterances: int, layer: str, seed: int
) -> tuple[dict[str, dict[str, np.ndarray]], dict[str, str]]:
    """{method: {utterance: map on the recording's time axis}}, and the utterances' speakers."""
    maps: dict[str, dict[str, np.ndarray]] = {method: {} for method in methods}
    with VoicedFeatures(system.run, system.name) as voiced:
        speaker_of = system.chosen(voiced, utterances, seed)
        progress = Progress(len(speaker_of), "utterances", "bands")
        for utt in sorted(speaker_of):
            features = system.features(voiced, utt)
            goal, decided = system.target(target, features), system.decided(utt)
            for method in methods:
                made = explain(system.model, features, goal, method, layer)
                maps[method][utt] = on_time_axis(made.values, decided)
            progress.update()
        progress.close()
    return maps, speaker_of


def faithfulness(
    system: System,
    out: Path,
    *,
    methods: Sequence[str],
    target: str = "direction",
    utterances: int = 30,
    steps: int = 20,
    block: tuple[int, int] = (1, 1),
    layer: str = "",
    seed: int = 0,
) -> list[str]:
    """Deletion and insertion of every method and of random orders over a set: OUT/faithfulness.json and .png.

    The measure is the cosine with the x-vector of the whole utterance, for a class its probability. Cells go
    in blocks of ``block`` (frames, bins).
    """
    if target.partition(":")[0] not in ("direction", "norm", "class"):
        raise InputError(f"faithfulness for the target {target!r}", mend="--target direction, norm or class")
    if steps < 1 or min(block) < 1:
        raise InputError(f"{steps} steps of blocks of {block[0]}x{block[1]}", mend="both at least 1")
    methods, lines = fitting(system, methods, layer)
    found: dict[str, list[Curves]] = {method: [] for method in [*methods, RANDOM]}
    with VoicedFeatures(system.run, system.name) as voiced:
        speaker_of = system.chosen(voiced, utterances, seed)
        progress = Progress(len(speaker_of), "utterances", "faithfulness")
        for utt in speaker_of:
            features = system.features(voiced, utt)
            measure, goal = _measure(system, features, target)
            for method in methods:
                made = explain(system.model, features, goal, method, layer)
                place = ranked(made.relevance, block, generator(seed, utt, "analyse ties"))
                found[method].append(curves(features, place, measure, steps))
            found[RANDOM].append(_by_chance(features, measure, steps, block, seed, utt))
            progress.update()
        progress.close()
    areas = {method: [one.areas for one in many] for method, many in found.items()}
    figures = compared(areas, list(speaker_of.values()), seed=seed)
    means = {method: _mean(many) for method, many in found.items()}
    said = "probability of the class" if target.startswith("class") else "cosine to the whole"
    title = f"{system.name}: {len(speaker_of)} utterances, blocks of {block[0]}x{block[1]}"
    record = {
        "set": system.name,
        "target": target,
        "measure": said,
        "utterances": list(speaker_of),
        "block": list(block),
        "steps": steps,
        "methods": {method: asdict(one) for method, one in figures.items()},
        "curves": {method: _plain(one) for method, one in means.items()},
    }
    write_text(out / "faithfulness.json", json.dumps(record, indent=1) + "\n")
    save(draw_curves(means, said, f"{title}   {system.run.tag}"), out / "faithfulness.png")
    titles = {method: METHODS[method].title for method in methods}
    return [*lines, *as_table(figures, titles, said), str(out / "faithfulness.png")]


def _plain(one: Curves) -> dict[str, list[float]]:
    return {key: values.tolist() for key, values in asdict(one).items()}


def _measure(system: System, features: np.ndarray, target: str) -> tuple[Measure, nn.Module]:
    goal = system.target(target, features)
    if isinstance(goal, ClassTarget):
        wanted = goal

        def probable(batch: np.ndarray) -> np.ndarray:
            with torch.no_grad():
                return wanted.probability(torch.from_numpy(system.xvectors(batch))).numpy()

        return probable, goal
    whole = system.xvectors([features])[0]

    def alike(batch: np.ndarray) -> np.ndarray:
        found = system.xvectors(batch)
        return found @ whole / (np.linalg.norm(found, axis=1) * np.linalg.norm(whole)).clip(1e-12)

    return alike, goal


def _by_chance(
    features: np.ndarray, measure: Measure, steps: int, block: tuple[int, int], seed: int, utt: str
) -> Curves:
    nothing = np.zeros(features.shape)
    drawn = [
        curves(
            features, ranked(nothing, block, generator(seed, utt, "analyse random", copy=n)), measure, steps
        )
        for n in range(ORDERS)
    ]
    return _mean(drawn)


def _mean(found: Sequence[Curves]) -> Curves:
    return Curves(
        found[0].shares,
        np.mean([one.deletion for one in found], axis=0),
        np.mean([one.insertion for one in found], axis=0),
    )

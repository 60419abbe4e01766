"""Whether training augments on the fly, and what that means for the egs."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from ..augment import stage as augment
from ..augment.effects import EFFECTS, parse_chain
from ..augment.live import Live, longest_factor
from ..augment.options import AugmentOptions, relevant
from ..formats.run import Run


def augments_live(run: Run) -> bool:
    """Whether training augments (--augment.when training)."""
    return run.options["augment"]["when"] == "training"


def live_of(run: Run) -> Live | None:
    """The augmentation that training does, None where copies were made or nothing is wanted."""
    if run.labels:  # at another speed a voice keeps its label
        augment = {**run.options["augment"], "speed_speakers": "same"}
        run = replace(run, options={**run.options, "augment": augment})
    return Live.of(run) if augments_live(run) else None


def highest_speed(run: Run) -> float:
    """That training may draw: so much longer than the result a chunk's audio must be. 1 without."""
    return longest_factor(AugmentOptions(**run.options["augment"])) if augments_live(run) else 1.0


def voices(run: Run) -> list[str]:
    """What training may put behind a speaker's name: "" first, then -speed0.9 and the like; labels stay."""
    if run.labels:
        return [""]
    return Live.voices(AugmentOptions(**run.options["augment"])) if augments_live(run) else [""]


def own_speed(kind: str) -> bool:
    """Whether copies of a kind are at the recording's own speed and tempo."""
    return all(EFFECTS[step.effect].keeps_length for step in parse_chain(kind))


def deciding(run: Run) -> dict[str, Any]:
    """What decides the augmentation that training does, for its stamp; {} where it does none."""
    if not augments_live(run):
        return {}
    options, kinds = run.options["augment"], run.options["augment"]["kinds"]
    decide = {name: value for kind in kinds for name, value in relevant(options, kind).items()}
    # No copies, so no stamp of stage augment says which version of the effects was at work.
    decide |= {"augment_version": augment.VERSION, "seed": options["seed"]}
    return {"kinds": kinds, "probability": options["probability"], **decide}


def pool_names(run: Run) -> set[str]:
    """What training draws recordings from (noise, music, rooms, simulated, speech), if it draws any."""
    kinds = run.options["augment"]["kinds"] if augments_live(run) else []
    return {EFFECTS[step.effect].pool for kind in kinds for step in parse_chain(kind)}


def pools(run: Run) -> list[Path]:
    """The tables of the recordings that training mixes in."""
    used = sorted(pool_names(run) & {"noise", "music", "rooms"})
    return [run.data / run.options["augment"][pool] / "wav.scp" for pool in used]

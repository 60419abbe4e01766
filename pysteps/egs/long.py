"""Long chunks: what a last phase of training with a large margin learns from."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from ..formats.errors import InputError
from ..formats.run import Run
from .live import own_speed
from .plan import ArchivePlan, Source, plan_training

NAME = "long"


def plan_long(run: Run, training: Sequence[Source]) -> tuple[list[Source], list[ArchivePlan]]:
    """The utterances that long chunks are cut from, and the archives long.N; ([], []) where none are asked.

    All chunks have --egs.long_seconds. An utterance with fewer voiced frames gives none. Neither does a copy
    at another speed or tempo: large-margin fine-tuning (Thienpondt et al., ICASSP 2021) is done on voices as
    they are, and the classes of those at other speeds get no long chunk.
    """
    options = run.options["egs"]
    if not options["long_seconds"]:
        return [], []
    frames = round(options["long_seconds"] * 1000 / run.options["features"]["frame_shift_ms"])
    if frames < 1:
        raise InputError("long chunks of no frame", mend="raise --egs.long_seconds")
    at_speed = {name for name, kind in run.copies.items() if not own_speed(kind)}
    own = [source for source in training if source.data not in at_speed]
    fit = [source for source in own if source.frames >= frames]
    plans = plan_training(
        fit,
        frames,
        frames,
        options["long_repeats"],
        options["archive_chunks"],
        options["seed"],
        name=NAME,
        option="--egs.long_seconds",
    )
    left = f"{len(own) - len(fit)} utterances have fewer than {frames} voiced frames"
    left += f", {len(training) - len(own)} are copies at another speed" if at_speed else ""
    chunks = sum(len(plan.source) for plan in plans)
    print(f"egs: {chunks} long chunks of {len(fit)} utterances; {left} and give none", file=sys.stderr)
    return fit, plans

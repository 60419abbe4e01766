"""The methods of stage 2 by name: samples to one decision a frame."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np

from ..formats import arks
from ..formats.errors import InputError
from ..formats.frames import FrameGeometry
from .energy import energy_vad, log_energies
from .options import VadOptions
from .webrtc import webrtc_vad

Decide = Callable[[np.ndarray, int], np.ndarray]


def decider(options: VadOptions) -> Decide:
    """A function from (samples [time], rate) to bool [frames]; an unknown method is refused."""
    geometry = FrameGeometry(options.frame_length_ms, options.frame_shift_ms, options.snip_edges)

    def energy(samples: np.ndarray, rate: int) -> np.ndarray:
        return energy_vad(
            log_energies(samples, rate, geometry),
            threshold=options.energy_threshold,
            mean_scale=options.energy_mean_scale,
            context=options.context,
            proportion=options.proportion,
        )

    def webrtc(samples: np.ndarray, rate: int) -> np.ndarray:
        return webrtc_vad(
            samples,
            rate,
            geometry,
            mode=options.mode,
            frame_ms=options.webrtc_ms,
            smooth=options.smooth,
            hangover=options.hangover,
        )

    def everything(samples: np.ndarray, rate: int) -> np.ndarray:
        return np.ones(geometry.num_frames(len(samples), rate), bool)

    methods: dict[str, Decide] = {"energy": energy, "webrtc": webrtc, "none": everything}
    if options.method not in methods:
        raise InputError(f"unknown VAD method {options.method}", mend=f"one of {', '.join(methods)}")
    return methods[options.method]


def decide_set(
    path: Path, utts: Iterable[str], samples: Callable[[str], tuple[np.ndarray, int]], options: dict[str, Any]
) -> dict[str, dict[str, str]]:
    """Decide ``utts``, write the archive ``path``, and return the tables that belong to it.

    ``samples(utt)`` gives samples [time] and rate. Tables: vad.scp, utt2voiced (seconds), utt2num_voiced
    (frames) and dropped (those with fewer than ``min_voiced`` voiced frames).
    """
    chosen = VadOptions(**options)
    decide = decider(chosen)
    seconds, frames, dropped = {}, {}, {}
    with arks.writing(path) as writer:
        for utt in utts:
            voiced = decide(*samples(utt))
            count = int(voiced.sum())
            if count < chosen.min_voiced:
                dropped[utt] = f"{count} voiced frames of {len(voiced)}, wanted {chosen.min_voiced}"
                continue
            writer.array(utt, voiced.astype(np.float32))
            frames[utt] = str(count)
            seconds[utt] = f"{count * chosen.frame_shift_ms / 1000:.2f}"
    return {"vad.scp": writer.scp, "utt2voiced": seconds, "utt2num_voiced": frames, "dropped": dropped}

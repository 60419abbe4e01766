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
from .silero import silero_vad
from .webrtc import webrtc_vad

Decide = Callable[[np.ndarray, int], np.ndarray]


def decider(options: VadOptions) -> Decide:
    """A function from (samples [time], rate) to bool [frames]; silero loads its network here."""
    geometry = options.geometry()

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

    methods: dict[str, Callable[[], Decide]] = {
        "energy": lambda: energy,
        "webrtc": lambda: webrtc,
        "silero": lambda: _silero(options, geometry),
        "none": lambda: everything,
    }
    return methods[options.method]()


def _silero(options: VadOptions, geometry: FrameGeometry) -> Decide:
    from .silero_network import load  # torch: only those who choose it pay

    probabilities = load()

    def silero(samples: np.ndarray, rate: int) -> np.ndarray:
        return silero_vad(
            samples,
            rate,
            geometry,
            probabilities,
            threshold=options.silero_threshold,
            hysteresis=options.silero_hysteresis,
            min_speech_ms=options.silero_min_speech_ms,
            min_silence_ms=options.silero_min_silence_ms,
            pad_ms=options.silero_pad_ms,
        )

    return silero


def decide_set(
    path: Path, utts: Iterable[str], samples: Callable[[str], tuple[np.ndarray, int]], options: dict[str, Any]
) -> dict[str, dict[str, str]]:
    """Decide ``utts``, write the archive ``path``, and return the tables that belong to it.

    ``samples(utt)`` gives samples [time] and rate. Tables: vad.scp, utt2voiced (seconds), utt2num_voiced
    (frames) and dropped (those with fewer than ``min_voiced`` voiced frames). NaN or infinity in a
    recording is an InputError that names it. Where all are dropped there is no archive.
    """
    chosen = VadOptions(**options)
    decide = decider(chosen)
    seconds, frames, dropped = {}, {}, {}
    with arks.writing(path) as writer:
        for utt in utts:
            voiced = _decide_one(decide, utt, *samples(utt))
            count = int(voiced.sum())
            if count < chosen.min_voiced:
                dropped[utt] = f"{count} voiced frames of {len(voiced)}, wanted {chosen.min_voiced}"
                continue
            writer.array(utt, voiced.astype(np.float32))
            frames[utt] = str(count)
            seconds[utt] = f"{count * chosen.frame_shift_ms / 1000:.2f}"
    if not writer.scp:
        path.unlink()
    return {"vad.scp": writer.scp, "utt2voiced": seconds, "utt2num_voiced": frames, "dropped": dropped}


def _decide_one(decide: Decide, utt: str, samples: np.ndarray, rate: int) -> np.ndarray:
    # A function of its own: one recording is gone before the next is read.
    if len(samples) and not (np.isfinite(samples.min()) and np.isfinite(samples.max())):
        raise InputError("NaN or infinity among the samples", utt=utt, mend="redo stage audio")
    return decide(samples, rate)

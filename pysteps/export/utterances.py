"""Features of a set's utterances, or of files, for calibration: what stage 7 gave the network."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..formats.errors import InputError
from ..formats.rng import generator
from ..formats.run import Run
from .graphs import Loaded
from .heard import normalised, recording, voiced_frames


def of_set(folder: Path, name: str, most: int, seed: int = 0) -> dict[str, NDArray[np.float32]]:
    """Up to ``most`` utterances of the set ``name`` of a run, drawn: utterance -> [time, feature]."""
    from ..features.voiced import VoicedFeatures

    run = Run.load(folder)
    if name not in run.utterance_sets:
        mend = f"one of {', '.join(run.utterance_sets)}"
        raise InputError(f"this run has no set {name!r}", where=folder, mend=mend)
    with VoicedFeatures(run, name) as voiced:
        utts = voiced.utterances
        drawn = generator(seed, "export", "utterances").permutation(len(utts))[:most]
        return {utts[place]: voiced.matrix(utts[place]) for place in sorted(drawn)}


def long_enough(loaded: Loaded, files: Sequence[str | Path]) -> tuple[list[str | Path], list[str]]:
    """Of ``files`` those that the network takes, and a line for each that is too short for it.

    InputError where that is every one.
    """
    kept: list[str | Path] = []
    short: list[str] = []
    for file in files:
        samples = recording(file, None, loaded.heard.audio)
        try:
            frames = int(voiced_frames(samples, loaded.heard, file).sum())
        except InputError as error:  # hardly any speech at all
            short.append(str(error))
            continue
        if frames >= loaded.model.min_frames:
            kept.append(file)
        else:
            short.append(f"{file}: {frames} voiced frames, the network needs {loaded.model.min_frames}")
    if files and not kept:
        raise InputError(f"no recording is long enough: {short[0]}", mend="--audio with longer ones")
    return kept, short


def of_files(loaded: Loaded, files: Sequence[str | Path]) -> dict[str, NDArray[np.float32]]:
    """Recordings, through stages 1, 2 and 4."""
    from ..features.fbank import Fbank, compute

    fbank, found = Fbank(loaded.heard.features.acoustic()), {}
    for file in files:
        samples = recording(file, None, loaded.heard.audio)
        voiced = voiced_frames(samples, loaded.heard, file)
        found[str(file)] = normalised(compute(samples, fbank, utt=str(file)), voiced, loaded.heard)
    return found

"""What a model hears of a recording, as stages 1, 2 and 4 of the pipeline make it, without a data directory.

Everything is said by the feature contract that lies in the model. Dither is left out: it would make the
x-vector of a file another one under another name.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..audio.convert import Converted
from ..audio.options import AudioOptions
from ..audio.process import processed
from ..audio.read import open_audio
from ..audio.source import Source
from ..features.cmvn import apply_cmvn, cmvn_stats, sliding_cmn
from ..features.contract import FeaturesOptions
from ..formats.errors import InputError
from ..vad.decide import decider
from ..vad.options import VadOptions

Samples = NDArray[np.float32]
_LOUDEST = 8.0  # of float samples: above 1 a little is a loud mix, above this they are no such floats
_LOWEST_RATE, _HIGHEST_RATE = 1000, 384000  # Hz


@dataclass(frozen=True)
class Heard:
    """A feature contract as options: ``stats`` are those of a global CMVN, Kaldi's [2, dim + 1]."""

    audio: AudioOptions
    vad: VadOptions
    features: FeaturesOptions
    stats: NDArray[np.float64] | None = None

    @staticmethod
    def of(contract: Mapping[str, Any], where: object) -> Heard:
        """The options of a ``contract``; InputError, with ``where``, for one of another version."""
        try:
            options = FeaturesOptions(**contract["features"])
            audio, vad = AudioOptions(**contract["audio"]), VadOptions(**contract["vad"])
            stats = _global(contract["global_cmvn"]) if options.cmvn == "global" else None
        except (KeyError, TypeError, ValueError) as error:
            said = f"not a feature contract of this version ({error})"
            raise InputError(said, where=where, mend="train with this version, or import the model") from None
        if options.dim != contract.get("dim", options.dim):
            raise InputError(
                f"features of size {options.dim}, the contract says {contract['dim']}", where=where
            )
        return Heard(audio, vad, replace(options, dither=0.0), stats)

    @property
    def chooses(self) -> bool:
        """Whether a VAD takes frames out."""
        return self.vad.method != "none"


def _global(said: Mapping[str, Any]) -> NDArray[np.float64]:
    sums, squares = np.asarray(said["sums"], np.float64), np.asarray(said["squares"], np.float64)
    return np.stack((np.append(sums, float(said["frames"])), np.append(squares, 0.0)))


class _Given(Source):
    """Samples that the caller has, [time] float32 in [-1, 1), as an opened recording."""

    channels, format, subtype = 1, "GIVEN", "FLOAT"

    def __init__(self, samples: Samples, rate: int) -> None:
        super().__init__("the samples given", None)
        self._samples, self.rate, self.frames = samples, rate, len(samples)

    def close(self) -> None:
        """Nothing is open."""

    def _read(self, first: int, last: int | None, size: int) -> Iterator[np.ndarray]:
        for start in range(first, len(self._samples) if last is None else last, size):
            yield self._samples[start : min(start + size, len(self._samples))][:, None]


def recording(source: str | Path | ArrayLike, sample_rate: int | None, options: AudioOptions) -> Samples:
    """What stage 1 makes of a file, or of samples [time] at ``sample_rate`` Hz: float32 [time] of 16 bits.

    Samples are in [-1, 1), or whole numbers of 16 bits. InputError for what stage 1 would drop, and for
    samples without a rate or of another shape.
    """
    if isinstance(source, (str, Path)):
        if sample_rate is not None:
            raise InputError("a file says its own sample rate", where=source, mend="leave sample_rate out")
        with open_audio(source) as opened:
            return _sixteen_bits(options, opened, str(source))
    return _sixteen_bits(options, _Given(*_checked(np.asarray(source), sample_rate)), "the samples given")


def _checked(samples: NDArray[Any], rate: int | None) -> tuple[Samples, int]:
    if samples.ndim != 1:
        raise InputError(f"samples of shape {samples.shape}", mend="give one channel, [time]")
    if rate is None:
        raise InputError("samples without a sample rate", mend="embed(samples, sample_rate=16000)")
    if not isinstance(rate, (int, float, np.number)) or not _LOWEST_RATE <= rate <= _HIGHEST_RATE:
        said = f"a sample rate of {rate!r} Hz"
        raise InputError(said, mend=f"a number from {_LOWEST_RATE} to {_HIGHEST_RATE}")
    if samples.dtype == np.int16:
        return samples.astype(np.float32) / np.float32(32768), int(rate)
    if samples.dtype.kind != "f":
        raise InputError(f"samples of type {samples.dtype}", mend="floats in [-1, 1), or int16")
    peak = np.abs(samples, where=np.isfinite(samples), out=np.zeros_like(samples)).max(initial=0.0)
    if peak > _LOUDEST:
        said = f"float samples up to {peak:g}: they are to be in [-1, 1)"
        raise InputError(said, mend="whole numbers read as floats? divide by 32768, or give int16")
    return samples.astype(np.float32), int(rate)


def _sixteen_bits(options: AudioOptions, source: Source, where: str) -> Samples:
    channel = 0 if isinstance(source, _Given) else options.channel
    blocks = list(Converted(processed(options, source, 0.0, None, channel), where))
    return np.concatenate(blocks).astype(np.float32) / np.float32(32768)


def voiced_frames(samples: Samples, heard: Heard, where: object) -> NDArray[np.bool_]:
    """Stage 2's decisions, bool [frames]; InputError for fewer than ``min_voiced`` voiced ones or none."""
    voiced = decider(heard.vad)(samples, heard.audio.sample_rate)
    count, wanted = int(voiced.sum()), max(1, heard.vad.min_voiced)
    if count < wanted:
        raise InputError(f"{count} voiced frames of {len(voiced)}, wanted {wanted}", where=where)
    return voiced


def normalised(matrix: NDArray[np.float32], voiced: NDArray[np.bool_], heard: Heard) -> NDArray[np.float32]:
    """Features [frames, dim] as a network gets them: CMVN as the contract has it, the voiced frames alone."""
    options = heard.features
    if options.cmvn == "none":
        return matrix[voiced]
    if options.cmvn == "sliding":
        rows = matrix[voiced] if options.voiced_only else matrix
        window, norm_vars = options.cmvn_window, options.cmvn_vars
        slid = sliding_cmn(rows, window=window, min_window=window, norm_vars=norm_vars)
        return slid if options.voiced_only else slid[voiced]
    stats = heard.stats
    if stats is None:
        stats = cmvn_stats(matrix, voiced if options.voiced_only else None)
    return apply_cmvn(matrix[voiced], stats, norm_vars=options.cmvn_vars)

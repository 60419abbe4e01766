"""What features are, as one dictionary that travels with them, into the model and to extraction."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from ..audio.options import relevant as audio_relevant
from ..formats.errors import InputError
from ..formats.records import read_json
from ..formats.run import Run
from ..vad.options import relevant as vad_relevant
from .options import FbankOptions

CMVN = ("utterance", "sliding", "global", "none")
GLOBAL_ARCHIVE = "global_cmvn.ark"
GLOBAL_KEY = "global"
# Of the options of features and VAD, what changes no feature or no choice of frames.
_NOT_CONTRACT = ("max_dropped", "shard_utterances", "seed", "compression")
# Of stage audio's options, what says where the samples lie and not how they were processed. Everything
# else changes what a network hears.
_NOT_AUDIO = ("channel", "reference_channel", "materialise", "max_dropped", "shard_utterances")

# Of the acoustic options, those that samples have.
_GEOMETRY = ("frame_length_ms", "frame_shift_ms", "snip_edges")
_OF_SAMPLES = ("kind", "sample_rate", "sample_scale", "dither", *_GEOMETRY)


@dataclass(frozen=True)
class FeaturesOptions(FbankOptions):
    """FbankOptions and what stage 4 does with them.

    cmvn: what is subtracted from the stored features when they are read: the mean of the utterance, of the
    cmvn_window frames around each frame (sliding, Kaldi's, centred), of the training set (global), or none.
    cmvn_vars: divide by the deviation too. cmvn_frames: which frames means are taken over: voiced, all, or
    auto, which is Kaldi's habit: all for sliding (VAD selects afterwards), voiced otherwise.
    pitch: append the logarithm of the fundamental frequency (0 where there is none; searched from
    pitch_low to pitch_high Hz) and a voicing flag; needs pyworld. compression: Kaldi's method 0 (float32),
    2 (one byte) or 3 (two bytes). Stored features are before CMVN.
    """

    cmvn: str = "utterance"
    cmvn_window: int = 300
    cmvn_vars: bool = False
    cmvn_frames: str = "auto"
    pitch: bool = False
    pitch_low: float = 60.0
    pitch_high: float = 400.0
    compression: int = 3
    seed: int = 0
    max_dropped: float = 0.01
    shard_utterances: int = 400

    def __post_init__(self) -> None:
        super().__post_init__()
        for value, known, what in (
            (self.cmvn, CMVN, "cmvn"),
            (self.cmvn_frames, ("auto", "voiced", "all"), "cmvn_frames"),
            (self.compression, (0, 2, 3), "compression"),
        ):
            if value not in known:
                raise InputError(f"unknown {what} {value!r}", mend=f"one of {', '.join(map(str, known))}")
        if self.kind == "samples" and (self.cmvn != "none" or self.pitch):
            raise InputError("samples have no CMVN and no pitch", mend="--features.cmvn none")
        if self.cmvn_window < 1:
            raise InputError(f"a CMN window of {self.cmvn_window} frames", mend="Kaldi's is 300")
        if self.pitch and not 0 < self.pitch_low < self.pitch_high < self.sample_rate / 2:
            raise InputError(
                f"pitch from {self.pitch_low} to {self.pitch_high} Hz", mend="the usual ones are 60 and 400"
            )

    @property
    def dim(self) -> int:
        """Numbers in one frame's feature vector."""
        return super().dim + 2 * int(self.pitch)

    @property
    def voiced_only(self) -> bool:
        """Whether CMVN's statistics are taken over voiced frames alone."""
        return self.cmvn_frames == "voiced" or (self.cmvn_frames == "auto" and self.cmvn != "sliding")

    def acoustic(self) -> FbankOptions:
        """The part that says what a feature is, but for pitch."""
        return FbankOptions(**{field.name: getattr(self, field.name) for field in fields(FbankOptions)})


def relevant(options: Mapping[str, Any]) -> dict[str, Any]:
    """``options`` of features without those that the others leave without effect: what features depend on."""
    if options["kind"] == "samples":
        idle = {field.name for field in fields(FbankOptions)} - {*_OF_SAMPLES}
        options = {name: value for name, value in options.items() if name not in idle}
        idle = {"cmvn_window", "cmvn_vars", "cmvn_frames", "pitch_low", "pitch_high"}
        return {k: v for k, v in options.items() if k not in idle and (k != "seed" or options["dither"] > 0)}
    kind, plain = options["kind"], options["kind"] in ("fbank", "spectrogram")
    needed = {
        "round_to_power_of_two": not options["fft_size"],
        "blackman_coeff": options["window_type"] == "blackman",
        **dict.fromkeys(("num_mel_bins", "low_freq", "high_freq", "mel_slopes"), kind != "spectrogram"),
        **dict.fromkeys(("vtln_warp", "htk_mode"), kind != "spectrogram"),
        **dict.fromkeys(("vtln_low", "vtln_high"), kind != "spectrogram" and options["vtln_warp"] != 1.0),
        **dict.fromkeys(("use_power", "use_log_fbank"), plain),
        "log_offset": plain and options["use_log_fbank"],
        **dict.fromkeys(("raw_energy", "energy_floor"), options["use_energy"]),
        **dict.fromkeys(("num_ceps", "cepstral_lifter"), not plain),
        **dict.fromkeys(("lpc_order", "compress_factor", "cepstral_scale"), kind == "plp"),
        "htk_compat": not plain or (kind == "fbank" and options["use_energy"]),
        "delta_window": options["delta_order"] > 0,
        "cmvn_window": options["cmvn"] == "sliding",
        **dict.fromkeys(("cmvn_vars", "cmvn_frames"), options["cmvn"] != "none"),
        **dict.fromkeys(("pitch_low", "pitch_high"), options["pitch"]),
        "seed": options["dither"] > 0,
    }
    return {name: value for name, value in options.items() if needed.get(name, True)}


def contract(run: Run) -> dict[str, Any]:
    """The feature contract of a run: the options that change what a network hears, and no others."""
    features = FeaturesOptions(**run.options["features"])
    heard = relevant(asdict(features))
    vad = vad_relevant(run.options["vad"])
    audio = audio_relevant(run.options["audio"])
    found = {
        "features": {key: value for key, value in heard.items() if key not in _NOT_CONTRACT},
        "vad": {key: value for key, value in vad.items() if key not in _NOT_CONTRACT},
        "audio": {key: value for key, value in audio.items() if key not in _NOT_AUDIO},
        "dim": features.dim,
    }
    if features.cmvn == "global":
        found["cmvn_set"] = run.train_set
    return found


def stored(folder: Path) -> dict[str, Any]:
    """The contract as it lies beside features."""
    return read_json(folder / "contract.json", "the features' contract", mend="run stage features")


def read(folder: Path) -> dict[str, Any]:
    """The contract of the features in ``folder``, with the values of the global CMVN where that is asked for.

    So features whose training set has other statistics by now do not fit an older model.
    """
    content = stored(folder)
    if "cmvn_set" in content and "global_cmvn" not in content:
        # data/SET/feats/NAME: the training set's lie in the same place of another SET.
        home = folder.parents[2] / content["cmvn_set"] / folder.parent.name / folder.name
        stats = global_stats(home)
        content["global_cmvn"] = {"frames": stats[0, -1], "sums": stats[0, :-1].tolist()}
        content["global_cmvn"]["squares"] = stats[1, :-1].tolist()
    return content


def global_stats(folder: Path) -> Any:
    """Kaldi's CMVN statistics [2, dim + 1] of the training set, from its feature folder."""
    from ..formats.arks import Archive

    path = folder / GLOBAL_ARCHIVE
    if not path.is_file():
        raise InputError("missing", where=path, mend="run stage features: the training set's writes it")
    with Archive() as archive:
        return archive.array(f"{path}:{len(GLOBAL_KEY) + 1}", GLOBAL_KEY)


def refuse_mismatch(
    wanted: dict[str, Any], found: dict[str, Any], where: object, asks: str = "the model was trained with"
) -> None:
    """InputError naming the first thing in which ``found`` differs from ``wanted``."""
    for part in sorted({*wanted, *found}):
        ours, theirs = wanted.get(part), found.get(part)
        if ours == theirs:
            continue
        if isinstance(ours, dict) and isinstance(theirs, dict):
            key = next(key for key in sorted({*ours, *theirs}) if ours.get(key) != theirs.get(key))
            part, ours, theirs = f"{part}.{key}", ours.get(key), theirs.get(key)
        raise InputError(
            f"{asks} {part} = {_short(ours)}, these features have {_short(theirs)}",
            where=where,
            mend="use features of one kind throughout, or run stage features again"
            + (" and train again" if part.startswith("global_cmvn") else ""),
        )


def _short(value: object) -> str:
    text = str(value)
    return text if len(text) <= 60 else f"{text[:60]}..."

"""Options of stage 2, and what their numbers may be."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ..formats.errors import InputError
from ..formats.frames import FrameGeometry

# Each method and the options that are its own.
METHODS: dict[str, tuple[str, ...]] = {
    "webrtc": ("mode", "webrtc_ms", "smooth", "hangover"),
    "energy": ("energy_threshold", "energy_mean_scale", "context", "proportion"),
    "silero": (
        "silero_threshold",
        "silero_hysteresis",
        "silero_min_speech_ms",
        "silero_min_silence_ms",
        "silero_pad_ms",
    ),
    "none": (),
}


@dataclass
class VadOptions:
    """method: webrtc, energy, silero or none. Frame geometry is set here and taken over by stage features.

    mode: webrtc's aggressiveness 0-3, webrtc_ms: what it decides at once (10, 20, 30 ms); smooth: frames
    of a majority vote after it (odd, 1 for none); hangover: frames kept around speech.
    energy_threshold, energy_mean_scale, context, proportion: Kaldi's compute-vad options.
    silero_threshold: the probability that begins speech; it ends silero_hysteresis below that, after
    silero_min_silence_ms. Speech of silero_min_speech_ms or less is none; the rest grows by
    silero_pad_ms at both ends (the package's get_speech_timestamps).
    min_voiced: fewer voiced frames than this and the utterance is dropped. max_dropped: largest share of
    utterances that may be. shard_utterances: at most so many are one piece of work.
    """

    method: str = "webrtc"
    frame_length_ms: float = 25.0
    frame_shift_ms: float = 10.0
    snip_edges: bool = True
    mode: int = 2
    webrtc_ms: int = 30
    smooth: int = 5
    hangover: int = 0
    energy_threshold: float = 5.5
    energy_mean_scale: float = 0.5
    context: int = 2
    proportion: float = 0.12
    silero_threshold: float = 0.5
    silero_hysteresis: float = 0.15
    silero_min_speech_ms: int = 250
    silero_min_silence_ms: int = 100
    silero_pad_ms: int = 30
    min_voiced: int = 20
    max_dropped: float = 0.01
    shard_utterances: int = 500

    def __post_init__(self) -> None:
        if self.method not in METHODS:
            raise InputError(f"unknown VAD method {self.method}", mend=f"one of {', '.join(METHODS)}")
        self.geometry()
        self._fits("min_voiced", self.min_voiced >= 0, "at least 0")
        self._fits("max_dropped", 0 <= self.max_dropped <= 1, "a share from 0 to 1")
        self._fits("shard_utterances", self.shard_utterances >= 1, "at least 1")
        check_energy(self.energy_mean_scale, self.context, self.proportion)
        check_webrtc(self.mode, self.webrtc_ms, self.smooth, self.hangover)
        check_silero(
            self.silero_threshold,
            self.silero_hysteresis,
            self.silero_min_speech_ms,
            self.silero_min_silence_ms,
            self.silero_pad_ms,
        )

    def geometry(self) -> FrameGeometry:
        """Where the frames lie that are decided; InputError if there can be no such frames."""
        return FrameGeometry(self.frame_length_ms, self.frame_shift_ms, self.snip_edges)

    def _fits(self, name: str, fine: bool, what: str) -> None:
        if not fine:
            raise InputError(f"--vad.{name} {getattr(self, name)}", mend=what)


def relevant(options: Mapping[str, Any]) -> dict[str, Any]:
    """``options`` without those of the methods that are not chosen: what a decision depends on."""
    others = {key for method, keys in METHODS.items() if method != options["method"] for key in keys}
    return {key: value for key, value in options.items() if key not in others}


def check_energy(mean_scale: float, context: int, proportion: float) -> None:
    """InputError for numbers that Kaldi's compute-vad refuses too."""
    if not (mean_scale >= 0 and context >= 0 and 0 < proportion < 1):
        raise InputError(
            f"energy VAD with mean_scale {mean_scale}, context {context}, proportion {proportion}",
            mend="mean_scale and context at least 0, 0 < proportion < 1",
        )


def check_webrtc(mode: int, frame_ms: int, smooth: int, hangover: int) -> None:
    """InputError for what webrtc does not know, and for a vote that could be a draw."""
    if mode not in range(4) or frame_ms not in (10, 20, 30):
        raise InputError(
            f"webrtc VAD with mode {mode}, frame_ms {frame_ms}", mend="mode 0 to 3, frame_ms 10, 20 or 30"
        )
    if smooth < 1 or smooth % 2 == 0 or hangover < 0:
        raise InputError(
            f"webrtc VAD with smooth {smooth}, hangover {hangover}", mend="smooth odd, hangover at least 0"
        )


def check_silero(threshold: float, hysteresis: float, *milliseconds: int) -> None:
    """InputError unless 0 < threshold < 1, 0 <= hysteresis < 1 and no time is negative."""
    if not (0 < threshold < 1 and 0 <= hysteresis < 1 and min(milliseconds) >= 0):
        raise InputError(
            f"silero VAD with threshold {threshold}, hysteresis {hysteresis} and times "
            f"of {', '.join(map(str, milliseconds))} ms",
            mend="0 < threshold < 1, 0 <= hysteresis < 1, times at least 0",
        )

"""Options of stage 2."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass
class VadOptions:
    """method: webrtc, energy or none. Frame geometry is set here and taken over by stage features.

    mode: webrtc's aggressiveness 0-3, webrtc_ms: what it decides at once (10, 20, 30 ms); smooth: frames
    of a majority vote after it (odd, 1 for none); hangover: frames kept around speech.
    energy_threshold, energy_mean_scale, context, proportion: Kaldi's compute-vad options.
    min_voiced: fewer voiced frames than this and the utterance is dropped.
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
    min_voiced: int = 20
    max_dropped: float = 0.01
    shard_utterances: int = 500

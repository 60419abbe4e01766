"""Options of stage 1."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass
class AudioOptions:
    """sample_rate: of everything behind this stage, Hz. channel: which one of a multi-channel recording.

    band_low, band_high: Butterworth band-pass edges in Hz, 0 for none; band_order its order;
    zero_phase: filter forward and backward. max_dropped: largest share of utterances that may be unusable.
    """

    sample_rate: int = 16000
    channel: int = 0
    band_low: float = 0.0
    band_high: float = 0.0
    band_order: int = 5
    zero_phase: bool = True
    max_dropped: float = 0.01
    shard_utterances: int = 200

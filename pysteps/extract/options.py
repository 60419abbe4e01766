"""Options of stage 7."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass
class ExtractOptions:
    """batch_size: utterances of one length at once, at most.

    max_frames: a longer utterance is cut into equal parts below this and their x-vectors are averaged
    with their lengths as weights (as Kaldi's nnet3-xvector-compute does); 0 for no limit.
    """

    batch_size: int = 64
    max_frames: int = 10000
    max_dropped: float = 0.01
    shard_utterances: int = 400

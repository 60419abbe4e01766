"""Options of stage 5."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ..formats.errors import InputError

KINDS = ("features", "audio")
BALANCES = ("none", "subset")
FILTERS = ("min_utterance_seconds", "min_speaker_utterances")  # 0: nothing is left out


@dataclass
class EgsOptions:
    """kind: what a chunk holds: ``features`` (stage 4's, normalised), or ``audio`` (the voiced samples:
    training computes the features, and augments where --augment.when says so).

    min_seconds, max_seconds: an archive's chunk length is drawn between them (voiced frames).
    repeats: how often, on average, a voiced frame is taken in an epoch. archive_chunks: chunks an archive.
    valid_share: share of the clean utterances held out (at least one, never a speaker's last two); in recipes
    with labels, share of each class's speakers (at least one, never the last).
    long_seconds: also chunks of this one length, of voices at their own speed only, for a phase of training
    that asks for them (0: none). long_repeats: how often, on average, such a chunk takes a voiced frame of an
    utterance that is long enough.

    min_utterance_seconds: utterances with less voiced speech are left out, with all their copies (0: none).
    min_speaker_utterances: and then speakers who have fewer clean utterances left (0: none).

    balance: ``none``, or ``subset``: as many utterances of every class (speaker, or label) as the smallest
    has, drawn; the others are left out, with their copies.
    """

    kind: str = "features"
    min_seconds: float = 2.0
    max_seconds: float = 4.0
    repeats: float = 1.0
    archive_chunks: int = 512
    valid_share: float = 0.03
    long_seconds: float = 0.0
    long_repeats: float = 1.0
    min_utterance_seconds: float = 0.0
    min_speaker_utterances: int = 0
    balance: str = "none"
    seed: int = 0

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise InputError(f"unknown kind of egs {self.kind!r}", mend=f"one of {', '.join(KINDS)}")
        if self.balance not in BALANCES:
            raise InputError(f"unknown balance of egs {self.balance!r}", mend=f"one of {', '.join(BALANCES)}")
        for good, said, mend in (
            (
                0 < self.min_seconds <= self.max_seconds < math.inf,
                f"chunks of {self.min_seconds} to {self.max_seconds} seconds",
                "--egs.min_seconds must be positive and not above --egs.max_seconds",
            ),
            (
                0 < self.repeats < math.inf,
                f"repeats is {self.repeats}",
                "--egs.repeats must be positive",
            ),
            (
                self.archive_chunks >= 1,
                f"archive_chunks is {self.archive_chunks}",
                "--egs.archive_chunks is at least 1",
            ),
            (
                0 <= self.valid_share < 1,
                f"valid_share is {self.valid_share}",
                "--egs.valid_share is 0 (none) to below 1",
            ),
            (
                0 <= self.long_seconds < math.inf,
                f"long_seconds is {self.long_seconds}",
                "--egs.long_seconds is 0 (no long chunks) or above",
            ),
            (
                0 < self.long_repeats < math.inf,
                f"long_repeats is {self.long_repeats}",
                "--egs.long_repeats must be positive",
            ),
            (
                0 <= self.min_utterance_seconds < math.inf and self.min_speaker_utterances >= 0,
                f"min_utterance_seconds is {self.min_utterance_seconds}, "
                f"min_speaker_utterances is {self.min_speaker_utterances}",
                "both are 0 (no filter) or more",
            ),
        ):
            if not good:  # so said that NaN is refused too
                raise InputError(said, mend=mend)


def relevant(options: Mapping[str, Any]) -> dict[str, Any]:
    """Those of a run's ``egs`` options that decide what the egs hold, for their stamp.

    What is not used is not said, a filter that leaves nothing out and long chunks where there are none: egs
    that were made before there were such stay fresh.
    """
    unused = [name for name in FILTERS if not options[name]]
    unused += ["balance"] if options.get("balance") == "none" else []
    unused += [] if options["long_seconds"] else ["long_seconds", "long_repeats"]
    return {name: value for name, value in options.items() if name not in unused}

"""Options of stage 3."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass
class AugmentOptions:
    """kinds: one copy of the training set for each: noise, music, babble, reverb, and speedFACTOR (speed0.9:
    its speakers count as others, and its VAD is decided again). seed: of the draw.

    noise, music, rooms: data sets (below data/) that the copies draw from.
    """

    kinds: list[str] = field(default_factory=lambda: ["noise", "music", "babble", "reverb"])
    noise: str = "noise"
    music: str = "music"
    rooms: str = "rirs"
    seed: int = 0

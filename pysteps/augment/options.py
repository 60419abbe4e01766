"""Options of stage 3."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ..formats.errors import InputError
from .bitrates import OPUS_KBPS, mp3_coding
from .effects import EFFECTS, parse_chain

WHEN = ("copies", "training")
MATERIALISE = ("none", "ark", "flac")
SPEAKERS = ("new", "same")
# Options that are a range (low, high), and what its ends may be.
RANGES: dict[str, tuple[float, float]] = {
    "noise_snr": (-100, 100),
    "music_snr": (-100, 100),
    "babble_snr": (-100, 100),
    "babble_voices": (1, 100),
    "volume_db": (-60, 60),
    "clip_share": (0, 0.5),
    "room_rt60": (0.1, 2.0),
}


@dataclass
class AugmentOptions:
    """What is done to the training set. A kind is an effect or a chain of them: noise, reverb+noise.

    kinds: one copy of the training set for each (docs/augment.md lists the effects). when: ``copies`` are
    data sets that stages 4 and 5 read; ``training`` makes none: training draws anew every epoch (it needs
    egs.kind audio). probability: of the other kinds than plain speeds and tempos, at when=training.
    speed_speakers: whether a voice at another speed counts as a ``new`` speaker or the ``same``.
    materialise: ``none`` carries a copy out whenever it is read; ``ark`` and ``flac`` write it once.
    noise, music, rooms: data sets (below data/) to draw from. seed: of the draw.

    Ranges that numbers are drawn from, evenly: noise_snr, music_snr, babble_snr (dB), babble_voices (other
    speakers at once), volume_db, clip_share (of the samples), room_rt60 (seconds, simulated rooms, of
    which there are rooms_simulated). Lists to choose from: mp3_kbps, opus_kbps.
    """

    kinds: list[str] = field(default_factory=lambda: ["noise", "music", "babble", "reverb"])
    when: str = "copies"
    probability: float = 0.6
    speed_speakers: str = "new"
    materialise: str = "none"
    noise: str = "noise"
    music: str = "music"
    rooms: str = "rirs"
    noise_snr: tuple[float, float] = (0.0, 15.0)
    music_snr: tuple[float, float] = (5.0, 15.0)
    babble_snr: tuple[float, float] = (13.0, 20.0)
    babble_voices: tuple[int, int] = (3, 7)
    volume_db: tuple[float, float] = (-18.0, 6.0)
    clip_share: tuple[float, float] = (0.001, 0.05)
    mp3_kbps: list[int] = field(default_factory=lambda: [16, 24, 32, 48, 64])
    opus_kbps: list[int] = field(default_factory=lambda: [12, 16, 24, 32])
    room_rt60: tuple[float, float] = (0.2, 0.8)
    rooms_simulated: int = 200
    seed: int = 0
    shard_utterances: int = 500

    def __post_init__(self) -> None:
        for kind in self.kinds:
            parse_chain(kind)
            if self.kinds.count(kind) > 1:
                raise InputError(f"{kind} is twice among the kinds", mend="--augment.kinds names each once")
        for name, known in (("when", WHEN), ("materialise", MATERIALISE), ("speed_speakers", SPEAKERS)):
            if getattr(self, name) not in known:
                raise InputError(
                    f"{name} is {getattr(self, name)!r}", mend=f"--augment.{name}: {' or '.join(known)}"
                )
        for name, (lowest, highest) in RANGES.items():
            bounds = getattr(self, name)
            if len(bounds) != 2 or not lowest <= bounds[0] <= bounds[1] <= highest:
                raise InputError(
                    f"{name} is {list(bounds)}",
                    mend=f"--augment.{name} is [low, high] in order, between {lowest:g} and {highest:g}",
                )
        for name in ("mp3_kbps", "opus_kbps"):
            rates = getattr(self, name)
            if not rates or min(rates) < 1:
                raise InputError(f"{name} is {rates}", mend=f"--augment.{name} is a list of kbit/s")
        if not OPUS_KBPS[0] <= min(self.opus_kbps) <= max(self.opus_kbps) <= OPUS_KBPS[1]:
            raise InputError(
                f"opus_kbps is {self.opus_kbps}",
                mend="--augment.opus_kbps holds {} to {} kbit/s".format(*OPUS_KBPS),
            )
        if not 0 <= self.probability <= 1:
            raise InputError(f"probability is {self.probability}", mend="--augment.probability is 0 to 1")
        for name in ("rooms_simulated", "shard_utterances"):
            if getattr(self, name) < 1:
                raise InputError(f"{name} is {getattr(self, name)}", mend=f"--augment.{name} is at least 1")


def relevant(options: dict[str, object], kind: str) -> dict[str, object]:
    """Those of a run's ``augment`` options that decide what a copy of this ``kind`` holds, for its stamp."""
    names = {"seed", *(name for step in parse_chain(kind) for name in EFFECTS[step.effect].options)}
    return {name: options[name] for name in sorted(names)}


def shaping(audio: Mapping[str, Any], kind: str) -> dict[str, Any]:
    """Those of a run's ``audio`` options that noise and music of this ``kind`` of copy are brought to.

    The steps of stage audio that shape a sound: DC, band-pass and pre-emphasis; none that is off.
    """
    if not any(EFFECTS[step.effect].pool in ("noise", "music") for step in parse_chain(kind)):
        return {}
    wanted = ["dc"] * bool(audio["dc"]) + ["preemphasis"] * bool(audio["preemphasis"])
    if audio["band_low"] or audio["band_high"]:
        wanted += ["band_low", "band_high", "band_order", "zero_phase"]
    return {name: audio[name] for name in wanted}


def check_mp3(options: Mapping[str, Any], rate: int) -> None:
    """InputError if a kind has mp3 and one of ``mp3_kbps`` is none that mp3 knows at ``rate`` Hz."""
    if not any(step.effect == "mp3" for kind in options["kinds"] for step in parse_chain(kind)):
        return
    coded, low, high = mp3_coding(rate)
    wrong = [kbps for kbps in options["mp3_kbps"] if not low <= kbps <= high]
    if wrong:
        raise InputError(
            f"mp3 at {coded} Hz has no {wrong[0]} kbit/s",
            where=f"augment.mp3_kbps {options['mp3_kbps']}, audio.sample_rate {rate}",
            mend=f"--augment.mp3_kbps holds {low} to {high} kbit/s",
        )

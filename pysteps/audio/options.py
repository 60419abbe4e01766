"""Options of stage 1."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ..formats.errors import InputError


@dataclass
class AudioOptions:
    """What stage 1 does to every recording, in this order; the defaults change the sample rate only.

    channel: which one of a multi-channel recording, from 0 (data/SET/reco2channel goes before it).
    dc: remove the mean. sample_rate: of everything behind this stage, Hz. enhance: none, line (adaptive
    line enhancer, one channel) or cancel (two-input canceller; reference_channel hears the noise alone);
    enhance_taps: seconds of its filter; for line, enhance_delay: seconds that it looks ahead, and
    enhance_rumble_db: how far it turns rumble and hiss down, 0 for not at all.
    band_low, band_high: Butterworth band-pass edges in Hz, 0 for none; band_order its order; zero_phase:
    filter forward and backward. preemphasis: 0 for none. trim_db: cut ends that are more than this below
    the loudest frame, 0 for none. level: none, rms or peak, brought to level_db below full scale.

    materialise: ark (16-bit wav in archives), flac (the same bits in about half the space) or changed (the
    corpus's own file wherever nothing would change). max_dropped: largest share of utterances that may be
    unusable.
    """

    sample_rate: int = 16000
    channel: int = 0
    reference_channel: int = -1
    dc: bool = False
    enhance: str = "none"
    enhance_taps: float = 0.128
    enhance_delay: float = 0.1
    enhance_rumble_db: float = 20.0
    band_low: float = 0.0
    band_high: float = 0.0
    band_order: int = 5
    zero_phase: bool = True
    preemphasis: float = 0.0
    trim_db: float = 0.0
    level: str = "none"
    level_db: float = -26.0
    materialise: str = "ark"
    max_dropped: float = 0.01
    shard_utterances: int = 200

    def __post_init__(self) -> None:
        self._one_of("enhance", "none", "line", "cancel")
        self._one_of("level", "none", "rms", "peak")
        self._one_of("materialise", "ark", "flac", "changed")
        self._fits("sample_rate", 1000 <= self.sample_rate <= 384000, "1000 to 384000 Hz")
        self._fits("channel", self.channel >= 0, "a number from 0")
        self._fits("band_order", 1 <= self.band_order <= 20, "1 to 20")
        self._fits("enhance_taps", 0.001 <= self.enhance_taps <= 2, "0.001 to 2 seconds")
        self._fits("enhance_delay", 0.001 <= self.enhance_delay <= 10, "0.001 to 10 seconds")
        self._fits("enhance_rumble_db", 0 <= self.enhance_rumble_db <= 100, "0 (off) to 100 dB")
        half = self.sample_rate / 2
        self._fits("band_low", 0 <= self.band_low < half, f"0 (none) to below {half:g} Hz")
        self._fits(
            "band_high",
            self.band_high == 0 or self.band_low < self.band_high < half,
            f"0 (none), or above band_low and below {half:g} Hz",
        )
        self._fits("preemphasis", 0 <= self.preemphasis <= 1, "0 (none) to 1")
        self._fits("trim_db", 0 <= self.trim_db < 200, "0 (none) to 200 dB")
        self._fits("level_db", -100 <= self.level_db <= 0, "-100 to 0 dB")
        fine = self.materialise != "flac" or self.sample_rate <= 65535 or self.sample_rate % 10 == 0
        self._fits("materialise", fine, f"ark: flac has no {self.sample_rate} Hz")
        self._fits("max_dropped", 0 <= self.max_dropped <= 1, "a share from 0 to 1")
        self._fits("shard_utterances", self.shard_utterances >= 1, "at least 1")
        if self.enhance == "cancel":
            other = self.reference_channel >= 0 and self.reference_channel != self.channel
            self._fits("reference_channel", other, "another channel than --audio.channel, for enhance=cancel")

    def _one_of(self, name: str, *known: str) -> None:
        self._fits(name, getattr(self, name) in known, f"one of {', '.join(known)}")

    def _fits(self, name: str, fine: bool, what: str) -> None:
        if not fine:
            raise InputError(f"--audio.{name} {getattr(self, name)}", mend=what)

    @property
    def filters(self) -> bool:
        """Whether there is a band-pass."""
        return self.band_low > 0 or self.band_high > 0

    @property
    def streams(self) -> bool:
        """Whether every step goes block by block, so that a long recording never is in memory whole."""
        whole = (self.enhance != "none", self.filters and self.zero_phase, self.trim_db, self.level != "none")
        return not any(whole)

    @property
    def processes(self) -> bool:
        """Whether anything but channel and sample rate is touched."""
        wanted = (self.dc, self.enhance != "none", self.filters, self.preemphasis, self.trim_db)
        return any(wanted) or self.level != "none"


def relevant(options: Mapping[str, Any]) -> dict[str, Any]:
    """``options`` without the numbers of steps that are not asked for: what the samples depend on."""
    enhance = options["enhance"]
    idle = set()
    if enhance != "cancel":
        idle |= {"reference_channel"}
    if enhance != "line":
        idle |= {"enhance_delay", "enhance_rumble_db"}
    if enhance == "none":
        idle |= {"enhance_taps"}
    if not options["band_low"] and not options["band_high"]:
        idle |= {"band_order", "zero_phase"}
    if options["level"] == "none":
        idle |= {"level_db"}
    return {key: value for key, value in options.items() if key not in idle}

"""What can be set about poolings. Imports no torch."""

from __future__ import annotations

from dataclasses import dataclass, field

from ..formats.errors import InputError

NONE = {"least": 0}  # of a number that may be 0


@dataclass
class NoOptions:
    """Nothing can be set."""


@dataclass
class AttentiveOptions:
    """attention_channels: bottleneck of the attention."""

    attention_channels: int = 128


@dataclass
class HeadsOptions:
    """heads: parts of the channels, each with an attention of its own; they divide the channels."""

    heads: int = 8

    def __post_init__(self) -> None:
        if self.heads < 1:
            raise InputError(f"heads is {self.heads}: 1 or more")


@dataclass
class MultiQueryOptions:
    """queries: attentions over each part of the channels; heads: these parts, they divide the channels;
    attention_channels: bottleneck of an attention; shared: all channels of a part have one weight in a frame,
    else each has its own."""

    queries: int = 2
    heads: int = 8
    attention_channels: int = 64
    shared: bool = False

    def __post_init__(self) -> None:
        if min(self.queries, self.heads, self.attention_channels) < 1:
            said = f"queries {self.queries}, heads {self.heads}, attention_channels {self.attention_channels}"
            raise InputError(said, mend="1 or more of each")


@dataclass
class GhostVladOptions:
    """clusters: whose residuals are the output; ghosts: clusters that take frames up and are left out;
    channels: width that frames are brought to first, 0: none."""

    clusters: int = 8
    ghosts: int = field(default=2, metadata=NONE)
    channels: int = field(default=512, metadata=NONE)

    def __post_init__(self) -> None:
        if self.clusters < 1:
            raise InputError(f"clusters is {self.clusters}: 1 or more")


@dataclass
class NetVladOptions(GhostVladOptions):
    """As of GhostVLAD, without ghosts."""

    ghosts: int = field(default=0, metadata=NONE)


@dataclass
class DictionaryOptions:
    """clusters: words of the dictionary; channels: width that frames are brought to first, 0: none."""

    clusters: int = 64
    channels: int = field(default=128, metadata=NONE)

    def __post_init__(self) -> None:
        if self.clusters < 1:
            raise InputError(f"clusters is {self.clusters}: 1 or more")


@dataclass
class SegmentOptions:
    """segment_channels: width of the layer between the statistics and the projector."""

    segment_channels: int = 512


@dataclass
class MeanCnnOptions:
    """channels: of each stage, which halves the bins; kernel: bins of a convolution, odd; dropout: before the
    projector."""

    channels: list[int] = field(default_factory=lambda: [32, 64, 128])
    kernel: int = 5
    dropout: float = 0.2

    def __post_init__(self) -> None:
        if not self.channels or min(self.channels) < 1 or self.kernel < 1 or self.kernel % 2 == 0:
            said = f"channels is {self.channels}, kernel {self.kernel}"
            raise InputError(said, mend="a stage or more, and an odd kernel")
        if not 0 <= self.dropout < 1:
            raise InputError(f"dropout is {self.dropout}", mend="at least 0 and below 1")

"""What can be set about networks over images of bins and time: CNNs and ResNets. Imports no torch."""

from __future__ import annotations

from dataclasses import dataclass, field

from ..formats.errors import InputError


@dataclass
class CnnOptions:
    """channels: width of each stage; convolutions: in a stage; average_bins: the mean over the bins goes to
    the pooling in place of all of them."""

    channels: list[int] = field(default_factory=lambda: [32, 64, 128, 256])
    convolutions: int = 2
    average_bins: bool = False

    def __post_init__(self) -> None:
        if not self.channels or min(self.channels) < 1 or self.convolutions < 1:
            said = f"channels is {self.channels}, convolutions {self.convolutions}"
            raise InputError(said, mend="one stage or more, and a convolution or more in each")


@dataclass
class ResCnnOptions:
    """channels: width of the first of the four stages, doubled in each later one; blocks: residual ones in a
    stage."""

    channels: int = 64
    blocks: int = 3

    def __post_init__(self) -> None:
        if self.channels < 1 or self.blocks < 1:
            said = f"channels {self.channels}, blocks {self.blocks}"
            raise InputError(said, mend="1 or more of each")


@dataclass
class ResNetOptions:
    """channels: width of the first stage, doubled in each later one; blocks: in each of the four stages;
    block: basic or bottleneck; attention: none, se or simam; reduction: channels for one inside se; stem:
    3x3, 7x7 (half the bins) or 7x7_pool (a quarter); last_stride: of the fourth stage, 2 or 1; average_bins:
    the mean over the bins goes to the pooling in place of all of them."""

    channels: int = 32
    blocks: list[int] = field(default_factory=lambda: [3, 4, 6, 3])
    block: str = "basic"
    attention: str = "none"
    reduction: int = 8
    stem: str = "3x3"
    last_stride: int = 2
    average_bins: bool = False

    def __post_init__(self) -> None:
        if len(self.blocks) != 4 or min(self.blocks) < 1:
            raise InputError(f"blocks is {self.blocks}: a ResNet has four stages of one block or more")
        for name, known in (
            ("block", ("basic", "bottleneck")),
            ("attention", ("none", "se", "simam")),
            ("stem", ("3x3", "7x7", "7x7_pool")),
        ):
            if getattr(self, name) not in known:
                raise InputError(f"unknown {name} {getattr(self, name)!r}", mend=f"one of {', '.join(known)}")
        if self.channels < 1 or self.reduction < 1 or self.last_stride not in (1, 2):
            said = f"channels {self.channels}, reduction {self.reduction}, last_stride {self.last_stride}"
            raise InputError(said, mend="channels and reduction of 1 or more, and a last_stride of 1 or 2")


@dataclass
class PreActResNetOptions:
    """channels, blocks: of each of the four stages."""

    channels: list[int] = field(default_factory=lambda: [128, 128, 256, 256])
    blocks: list[int] = field(default_factory=lambda: [3, 4, 6, 3])

    def __post_init__(self) -> None:
        for name in ("channels", "blocks"):
            found = getattr(self, name)
            if len(found) != 4 or min(found) < 1:
                raise InputError(f"{name} is {found}: a number of 1 or more for each of four stages")


@dataclass
class ERes2NetOptions:
    """channels: width of the first stage, doubled in each later one; blocks: in each of the four stages;
    base_width: channels of a group for 64 of a stage; scale: groups of a block."""

    channels: int = 64
    blocks: list[int] = field(default_factory=lambda: [3, 4, 6, 3])
    base_width: int = 26
    scale: int = 2

    def __post_init__(self) -> None:
        if len(self.blocks) != 4 or min(self.blocks) < 1:
            raise InputError(f"blocks is {self.blocks}: ERes2NetV2 has four stages of one block or more")
        if self.scale < 2 or self.channels * self.base_width < 64:
            said = f"channels {self.channels}, base_width {self.base_width}, scale {self.scale}"
            raise InputError(said, mend="a scale of 2 or more, and channels * base_width of 64 or more")


@dataclass
class ReDimNetOptions:
    """channels: of the first stage's image; block: convnext, resnet or resnet_se; group: channels of a group
    of a 3x3 convolution; stages: a list of [stride over bins, 2-D blocks, times the channels inside them,
    reduction of the 1-D block or 0 for none]."""

    channels: int = 16
    block: str = "convnext"
    group: int = 4
    stages: list[list[int]] = field(
        default_factory=lambda: [
            [1, 2, 1, 12],
            [2, 2, 1, 12],
            [1, 3, 1, 12],
            [2, 4, 1, 8],
            [1, 4, 1, 8],
            [2, 4, 1, 4],
        ]
    )

    def __post_init__(self) -> None:
        if self.block not in ("convnext", "resnet", "resnet_se"):
            raise InputError(f"unknown block {self.block!r}", mend="one of convnext, resnet, resnet_se")
        if not self.stages or any(len(row) != 4 or min(row[:3]) < 1 or row[3] < 0 for row in self.stages):
            raise InputError(f"stages is {self.stages}", mend="a list of [stride, blocks, wide, reduction]")
        channels = self.channels
        for stride, _, wide, _ in self.stages:
            channels *= stride
            groups = [width // self.group if self.group else 0 for width in (channels, channels * wide)]
            if min(groups) < 1 or channels % groups[0] or channels * wide % groups[1]:
                said = f"group is {self.group}: it must fit into the {channels} channels of every stage"
                raise InputError(said)

"""What can be set about networks over frames: TDNNs, LSTMs, Conformers. Imports no torch."""

from __future__ import annotations

from dataclasses import dataclass, field

from ..formats.errors import InputError


@dataclass
class TdnnOptions:
    """channels: width of the layers; frame_channels: of the last one."""

    channels: int = 512
    frame_channels: int = 1500


@dataclass
class ExtendedTdnnOptions:
    """channels: width of the layers; frame_channels: of the last one."""

    channels: int = 512
    frame_channels: int = 1500


@dataclass
class FactorisedTdnnOptions:
    """first_channels: width of the first layer; channels: of the factorised ones; bottleneck: of their
    inside; frame_channels: of the frames that are pooled."""

    first_channels: int = 512
    channels: int = 1024
    bottleneck: int = 256
    frame_channels: int = 2048


@dataclass
class DenseTdnnOptions:
    """channels: width of the first layer; growth: channels that a dense layer adds; bottleneck: of a layer,
    in times the growth; layers: in each of the two dense blocks; selection: each layer has two dilations and
    weighs them (D-TDNN-SS), with PReLUs; reduction: channels for one inside the selection."""

    channels: int = 128
    growth: int = 64
    bottleneck: int = 2
    layers: list[int] = field(default_factory=lambda: [6, 12])
    selection: bool = False
    reduction: int = 2

    def __post_init__(self) -> None:
        if len(self.layers) != 2 or min(self.layers) < 1:
            raise InputError(f"layers is {self.layers}: D-TDNN has two dense blocks of one layer or more")
        if self.reduction < 1 or self.selection and self.growth < self.reduction:
            raise InputError(f"reduction is {self.reduction}: it must be 1 or more and at most the growth")


@dataclass
class ResidualTdnnOptions:
    """channels: width of the layers, divided by groups; frame_channels: of the last one; aggregated: blocks
    of many narrow paths (ARET), else plain ones (RET); groups: these paths."""

    channels: int = 512
    frame_channels: int = 1536
    aggregated: bool = True
    groups: int = 32

    def __post_init__(self) -> None:
        if self.groups < 1 or self.channels % self.groups:
            raise InputError(f"groups is {self.groups}: it must divide {self.channels} channels")


@dataclass
class Conv1dOptions:
    """channels, kernels (odd), dilations: of each layer."""

    channels: list[int] = field(default_factory=lambda: [512, 512, 512, 512, 1500])
    kernels: list[int] = field(default_factory=lambda: [5, 3, 3, 1, 1])
    dilations: list[int] = field(default_factory=lambda: [1, 2, 3, 1, 1])

    def __post_init__(self) -> None:
        rows = (self.channels, self.kernels, self.dilations)
        if not self.channels or len({len(row) for row in rows}) > 1 or min(map(min, rows)) < 1:
            said = f"channels {self.channels}, kernels {self.kernels}, dilations {self.dilations}"
            raise InputError(said, mend="three lists of one length, of numbers of 1 or more")
        if any(kernel % 2 == 0 for kernel in self.kernels):
            raise InputError(f"kernels is {self.kernels}: they are odd, as many frames before as after")


@dataclass
class Conv2dOptions:
    """front_channels: of the two layers over images; groups: into which the channels of the second are cut on
    the way to channels; channels: width of the TDNN behind; frame_channels: of its last layer."""

    front_channels: list[int] = field(default_factory=lambda: [32, 64])
    groups: int = 16
    channels: int = 512
    frame_channels: int = 1500

    def __post_init__(self) -> None:
        if len(self.front_channels) != 2 or min(self.front_channels) < 1:
            raise InputError(f"front_channels is {self.front_channels}: two numbers of 1 or more")
        if self.groups < 1 or self.channels % self.groups or self.front_channels[1] % self.groups:
            said = f"groups is {self.groups}: it must divide {self.channels} channels"
            raise InputError(said + f" and the {self.front_channels[1]} of the front")


@dataclass
class EcapaOptions:
    """channels: width of the layers; frame_channels: of the frames that are pooled; scale: groups of a Res2
    layer, divides channels; se_channels: bottleneck of squeeze and excitation."""

    channels: int = 512
    frame_channels: int = 1536
    scale: int = 8
    se_channels: int = 128

    def __post_init__(self) -> None:
        if self.scale < 2 or self.channels % self.scale:
            said = f"scale is {self.scale}: it must be 2 or more and divide {self.channels} channels"
            raise InputError(said)


@dataclass
class CamPlusOptions:
    """channels: width after the front end; front_channels: of its images; growth: channels that a dense layer
    adds; bottleneck: of a layer, in times the growth; layers: in each of the three dense blocks."""

    channels: int = 128
    front_channels: int = 32
    growth: int = 32
    bottleneck: int = 4
    layers: list[int] = field(default_factory=lambda: [12, 24, 16])

    def __post_init__(self) -> None:
        if len(self.layers) != 3 or min(self.layers) < 1:
            raise InputError(f"layers is {self.layers}: CAM++ has three dense blocks of one layer or more")


@dataclass
class LstmOptions:
    """hidden: cells of a layer; layers: how many; projection: width of a layer's output, 0: the cells'."""

    hidden: int = 768
    layers: int = 3
    projection: int = field(default=256, metadata={"least": 0})

    def __post_init__(self) -> None:
        if min(self.hidden, self.layers) < 1 or self.projection >= self.hidden:
            said = f"hidden {self.hidden}, layers {self.layers}, projection {self.projection}"
            raise InputError(said, mend="1 or more, and a projection narrower than hidden")


@dataclass
class ConformerOptions:
    """channels: width of the blocks; blocks: how many; heads: of the attention, they divide the channels;
    hidden_channels: inside a feed-forward layer; kernel: frames of a convolution, odd; subsampling: frames of
    the input for one, 2 or 4; positions: relative, or key as in WeNet (conformer.py); aggregate: the frames
    of all blocks go to the pooling, side by side (MFA-Conformer), else those of the last; dropout: after each
    layer."""

    channels: int = 256
    blocks: int = 6
    heads: int = 4
    hidden_channels: int = 2048
    kernel: int = 15
    subsampling: int = 2
    positions: str = "relative"
    aggregate: bool = False
    dropout: float = 0.1

    def __post_init__(self) -> None:
        if min(self.blocks, self.heads, self.hidden_channels, self.kernel) < 1:
            raise InputError("blocks, heads, hidden_channels and kernel are 1 or more")
        if self.channels < 2 or self.channels % 2 or self.channels % self.heads:
            said = f"channels is {self.channels}, heads {self.heads}"
            raise InputError(said, mend="an even number of channels that the heads divide")
        if self.kernel % 2 == 0:
            raise InputError(f"kernel is {self.kernel}: an odd one has a middle")
        if self.subsampling not in (2, 4):
            raise InputError(f"subsampling is {self.subsampling}", mend="2 or 4")
        if self.positions not in ("relative", "key"):
            raise InputError(f"unknown positions {self.positions!r}", mend="relative or key")
        if not 0 <= self.dropout < 1:
            raise InputError(f"dropout is {self.dropout}", mend="at least 0 and below 1")

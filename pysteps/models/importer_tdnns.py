"""ECAPA-TDNN and x-vector of WeSpeaker, 3D-Speaker and SpeechBrain, tensor by tensor."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from torch import Tensor

from .importer_rules import (
    BOTH,
    CLASSIFIER,
    NORM,
    Family,
    Rule,
    State,
    count,
    decibels,
    ends,
    ends_options,
    numbered,
    plain,
    with_context,
)


def _wespeaker_ecapa_options(state: State) -> dict[str, Any]:
    first, last = state["layer1.conv.weight"], state["linear.weight"]
    return {
        "encoder": "ecapa",
        "network": {
            "channels": first.shape[0],
            "frame_channels": state["conv.weight"].shape[0],
            "scale": count(state, r"layer2\.se_res2block\.1\.convs\.(\d+)\..*") + 1,
            "se_channels": state["layer2.se_res2block.3.linear1.weight"].shape[0],
        },
        "pooling": "astp",
        "pool": {"attention_channels": state["pool.linear1.weight"].shape[0]},
        "pooled_norm": True,
        "xvector_norm": "bn2.weight" in state,
        "xvector_dim": last.shape[0],
        "feature_dim": first.shape[1],
    }


def _rotated(dim: int) -> Callable[[Tensor, State], Tensor]:
    """Their Res2 layer passes its last group on, the paper's (and ours) its first."""

    def change(tensor: Tensor, state: State) -> Tensor:
        width = state["layer2.se_res2block.1.convs.0.weight"].shape[0]
        return tensor.roll(width, dim) if tensor.dim() > dim else tensor

    return change


def _se(name: str) -> Callable[[re.Match[str]], str]:
    return numbered("encoder.blocks.{}.", name, 2)


_SE = r"layer([234])\.se_res2block\."
WESPEAKER_ECAPA = Family(
    name="ECAPA-TDNN",
    sources=("wespeaker",),
    marks=("layer1.conv.weight", "layer2.se_res2block.0.conv.weight", "pool.linear1.weight"),
    options=_wespeaker_ecapa_options,
    rules=(
        Rule(rf"layer1\.conv\.{BOTH}", r"encoder.first.0.\1"),
        Rule(rf"layer1\.bn\.{NORM}", r"encoder.first.2.\1"),
        Rule(rf"{_SE}0\.conv\.{BOTH}", _se(r"0.0.\2"), _rotated(0)),
        Rule(rf"{_SE}0\.bn\.{NORM}", _se(r"0.2.\2"), _rotated(0)),
        Rule(rf"{_SE}1\.convs\.(\d+)\.{BOTH}", _se(r"1.groups.\2.0.\3")),
        Rule(rf"{_SE}1\.bns\.(\d+)\.{NORM}", _se(r"1.groups.\2.2.\3")),
        Rule(rf"{_SE}2\.conv\.weight", _se(r"2.0.weight"), _rotated(1)),
        Rule(rf"{_SE}2\.conv\.bias", _se(r"2.0.bias")),
        Rule(rf"{_SE}2\.bn\.{NORM}", _se(r"2.2.\2")),
        Rule(rf"{_SE}3\.linear1\.{BOTH}", _se(r"3.squeeze.\2")),
        Rule(rf"{_SE}3\.linear2\.{BOTH}", _se(r"3.excite.\2")),
        Rule(rf"conv\.{BOTH}", r"encoder.aggregate.0.\1"),
        Rule(r"pool\.linear1\.weight", r"pooling.hidden.weight", with_context),
        Rule(r"pool\.linear1\.bias", r"pooling.hidden.bias"),
        Rule(rf"pool\.linear2\.{BOTH}", r"pooling.score.\1"),
        Rule(rf"bn\.{NORM}", r"projector.0.\1"),
        Rule(rf"linear\.{BOTH}", r"projector.1.\1"),
        Rule(rf"bn2\.{NORM}", r"projector.2.\1"),
    ),
    unused=(CLASSIFIER,),
)


def _mirror_ecapa_options(state: State) -> dict[str, Any]:
    first = state["blocks.0.conv.conv.weight"]
    return {
        "encoder": "ecapa_mirror",
        "network": {
            "channels": first.shape[0],
            "frame_channels": state["mfa.conv.conv.weight"].shape[0],
            "scale": count(state, r"blocks\.1\.res2net_block\.blocks\.(\d+)\..*") + 1,
            "se_channels": state["blocks.1.se_block.conv1.conv.weight"].shape[0],
        },
        "pooling": "astp_normed",
        "pool": {"attention_channels": state["asp.conv.conv.weight"].shape[1]},
        "pooled_norm": True,
        "xvector_norm": False,
        "xvector_dim": state["fc.conv.weight"].shape[0],
        "feature_dim": first.shape[1],
    }


def _mirror_ecapa_rules(change: Callable[[Tensor, State], Tensor] | None) -> tuple[Rule, ...]:
    def block(name: str) -> Callable[[re.Match[str]], str]:
        return numbered("encoder.blocks.{}.", name)

    inner = r"blocks\.([123])\."
    return (
        Rule(r"blocks\.0\.conv\.conv\.weight", r"encoder.first.0.weight", change),
        Rule(r"blocks\.0\.conv\.conv\.bias", r"encoder.first.0.bias"),
        Rule(rf"blocks\.0\.norm\.norm\.{NORM}", r"encoder.first.2.\1"),
        Rule(rf"{inner}tdnn1\.conv\.conv\.{BOTH}", block(r"0.0.\2")),
        Rule(rf"{inner}tdnn1\.norm\.norm\.{NORM}", block(r"0.2.\2")),
        Rule(rf"{inner}res2net_block\.blocks\.(\d+)\.conv\.conv\.{BOTH}", block(r"1.groups.\2.0.\3")),
        Rule(rf"{inner}res2net_block\.blocks\.(\d+)\.norm\.norm\.{NORM}", block(r"1.groups.\2.2.\3")),
        Rule(rf"{inner}tdnn2\.conv\.conv\.{BOTH}", block(r"2.0.\2")),
        Rule(rf"{inner}tdnn2\.norm\.norm\.{NORM}", block(r"2.2.\2")),
        Rule(rf"{inner}se_block\.conv1\.conv\.{BOTH}", block(r"3.squeeze.\2")),
        Rule(rf"{inner}se_block\.conv2\.conv\.{BOTH}", block(r"3.excite.\2")),
        Rule(rf"mfa\.conv\.conv\.{BOTH}", r"encoder.aggregate.0.\1"),
        Rule(rf"mfa\.norm\.norm\.{NORM}", r"encoder.aggregate.2.\1"),
        Rule(rf"asp\.tdnn\.conv\.conv\.{BOTH}", r"pooling.hidden.\1"),
        Rule(rf"asp\.tdnn\.norm\.norm\.{NORM}", r"pooling.norm.\1"),
        Rule(rf"asp\.conv\.conv\.{BOTH}", r"pooling.score.\1"),
        Rule(rf"asp_bn\.norm\.{NORM}", r"projector.0.\1"),
        Rule(rf"fc\.conv\.{BOTH}", r"projector.1.\1"),
    )


def _mirror_ecapa(source: str, change: Callable[[Tensor, State], Tensor] | None) -> Family:
    return Family(
        name="ECAPA-TDNN",
        sources=(source,),
        marks=("blocks.0.conv.conv.weight", "mfa.conv.conv.weight", "asp.conv.conv.weight"),
        options=_mirror_ecapa_options,
        rules=_mirror_ecapa_rules(change),
        unused=(CLASSIFIER,),
    )


def _tdnn(sources: tuple[str, ...], two: bool) -> Family:
    def options(state: State) -> dict[str, Any]:
        first = state["frame_1.conv_1d.weight"]
        return {
            "encoder": "tdnn",
            "network": {
                "channels": first.shape[0],
                "frame_channels": state["frame_5.conv_1d.weight"].shape[0],
            },
            "feature_dim": first.shape[1],
            **ends_options(state, two),
        }

    frame = "encoder.layers.{}."
    return Family(
        name="x-vector TDNN" + " with two segment layers" * two,
        sources=sources,
        marks=("frame_1.conv_1d.weight", "frame_5.conv_1d.weight", "seg_2.weight" if two else "seg_1.weight"),
        options=options,
        rules=(
            Rule(rf"frame_(\d)\.conv_1d\.{BOTH}", numbered(frame, r"0.\2")),
            Rule(rf"frame_(\d)\.bn\.{NORM}", numbered(frame, r"2.\2")),
            *ends(two),
        ),
        unused=(CLASSIFIER,),
        constants=plain(r"encoder\.layers\.\d\.2"),
    )


def _mirror_tdnn_options(state: State) -> dict[str, Any]:
    first = state["blocks.0.conv.weight"]
    return {
        "encoder": "tdnn_mirror",
        "network": {"channels": first.shape[0], "frame_channels": state["blocks.12.conv.weight"].shape[0]},
        "pooling": "sample_stats",
        "pooled_norm": False,
        "xvector_norm": False,
        "xvector_dim": state["blocks.16.w.weight"].shape[0],
        "feature_dim": first.shape[1],
    }


def _third(name: str, less: int) -> Callable[[re.Match[str]], str]:
    """Their blocks are convolution, activation, norm in a row."""
    return lambda match: f"encoder.layers.{(int(match[1]) - less) // 3}." + match.expand(name)


MIRROR_TDNN = Family(
    name="x-vector TDNN",
    sources=("speechbrain",),
    marks=("blocks.0.conv.weight", "blocks.12.conv.weight", "blocks.16.w.weight"),
    options=_mirror_tdnn_options,
    rules=(
        Rule(r"blocks\.(0)\.conv\.weight", _third("0.weight", 0), decibels),
        Rule(rf"blocks\.(\d+)\.conv\.{BOTH}", _third(r"0.\2", 0)),
        Rule(rf"blocks\.(\d+)\.norm\.{NORM}", _third(r"2.\2", 2)),
        Rule(rf"blocks\.16\.w\.{BOTH}", r"projector.0.\1"),
    ),
    unused=(CLASSIFIER,),
)
FAMILIES = (
    WESPEAKER_ECAPA,
    _mirror_ecapa("3dspeaker", None),
    _mirror_ecapa("speechbrain", decibels),
    _tdnn(("wespeaker",), two=True),
    _tdnn(("wespeaker", "3dspeaker"), two=False),
    MIRROR_TDNN,
)

"""The 2-D networks of WeSpeaker, 3D-Speaker and SpeechBrain, tensor by tensor: ResNet, CAM++, ERes2NetV2.

Images of the first two are [channels, bins, time]. Those of our CAM++ and ERes2NetV2 are [channels, time,
bins], so 2-D kernels are turned; their frames hold a channel's bins side by side and ours a bin's channels,
so what follows such frames is regrouped. Our ResNet keeps their order. SpeechBrain's images are [channels,
time, bins], but its frames are as our ResNets': its kernels are turned and nothing else.
"""

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
    regrouped,
    turned,
)


def _campplus_options(state: State) -> dict[str, Any]:
    front, growth = (
        state[name].shape[0] for name in ("head.conv1.weight", f"{_DENSE1}.cam_layer.linear_local.weight")
    )
    first = state["xvector.tdnn.linear.weight"]
    return {
        "encoder": "campplus",
        "network": {
            "channels": first.shape[0],
            "front_channels": front,
            "growth": growth,
            "bottleneck": state[f"{_DENSE1}.linear1.weight"].shape[0] // growth,
            "layers": [count(state, rf"xvector\.block{block}\.tdnnd(\d+)\..*") for block in (1, 2, 3)],
        },
        "pooling": "sample_stats",
        "pooled_norm": False,
        "xvector_norm": True,
        "xvector_dim": state["xvector.dense.linear.weight"].shape[0],
        "feature_dim": 8 * first.shape[1] // front,
    }


_DENSE1 = "xvector.block1.tdnnd1"


def _dense(name: str) -> Callable[[re.Match[str]], str]:
    return lambda m: f"encoder.blocks.{2 * int(m[1]) - 2}.{int(m[2]) - 1}." + m.expand(name)


def _transit(name: str) -> Callable[[re.Match[str]], str]:
    return lambda m: f"encoder.blocks.{2 * int(m[1]) - 1}." + m.expand(name)


def _front(name: str) -> Callable[[re.Match[str]], str]:
    return lambda m: f"encoder.front.blocks.{2 * int(m[1]) - 2 + int(m[2])}." + m.expand(name)


_LAYER = r"head\.layer(\d+)\.(\d+)\."
_TDNND = r"xvector\.block(\d+)\.tdnnd(\d+)\."
CAMPPLUS = Family(
    name="CAM++",
    sources=("3dspeaker", "wespeaker"),
    marks=("head.conv1.weight", "xvector.tdnn.linear.weight", "xvector.dense.linear.weight"),
    options=_campplus_options,
    rules=(
        Rule(r"head\.conv1\.weight", r"encoder.front.first.weight", turned),
        Rule(rf"head\.bn1\.{NORM}", r"encoder.front.first_norm.\1"),
        Rule(rf"{_LAYER}conv(\d)\.weight", _front(r"conv\3.weight"), turned),
        Rule(rf"{_LAYER}bn(\d)\.{NORM}", _front(r"norm\3.\4")),
        Rule(rf"{_LAYER}shortcut\.0\.weight", _front(r"skip.0.weight"), turned),
        Rule(rf"{_LAYER}shortcut\.1\.{NORM}", _front(r"skip.1.\3")),
        Rule(r"head\.conv2\.weight", r"encoder.front.last.weight", turned),
        Rule(rf"head\.bn2\.{NORM}", r"encoder.front.last_norm.\1"),
        Rule(
            r"xvector\.tdnn\.linear\.weight",
            r"encoder.first.0.weight",
            regrouped(lambda state: state["head.conv1.weight"].shape[0]),
        ),
        Rule(rf"xvector\.tdnn\.nonlinear\.batchnorm\.{NORM}", r"encoder.first.1.0.\1"),
        Rule(rf"{_TDNND}nonlinear1\.batchnorm\.{NORM}", _dense(r"pre.0.\3")),
        Rule(rf"{_TDNND}linear1\.weight", _dense(r"bottleneck.weight")),
        Rule(rf"{_TDNND}nonlinear2\.batchnorm\.{NORM}", _dense(r"inner.0.\3")),
        Rule(rf"{_TDNND}cam_layer\.linear_local\.weight", _dense(r"local.weight")),
        Rule(rf"{_TDNND}cam_layer\.linear1\.{BOTH}", _dense(r"mask.squeeze.\3")),
        Rule(rf"{_TDNND}cam_layer\.linear2\.{BOTH}", _dense(r"mask.excite.\3")),
        Rule(rf"xvector\.transit(\d)\.nonlinear\.batchnorm\.{NORM}", _transit(r"0.0.\2")),
        Rule(r"xvector\.transit(\d)\.linear\.weight", _transit(r"1.weight")),
        Rule(rf"xvector\.out_nonlinear\.batchnorm\.{NORM}", r"encoder.last.0.\1"),
        Rule(r"xvector\.dense\.linear\.weight", r"projector.0.weight"),
        Rule(rf"xvector\.dense\.nonlinear\.batchnorm\.{NORM}", r"projector.1.\1"),
    ),
    unused=(CLASSIFIER,),
    constants=((r"projector\.0\.bias", 0.0), *plain(r"projector\.1")),
)


def _eres2net_options(two: bool) -> Callable[[State], dict[str, Any]]:
    def options(state: State) -> dict[str, Any]:
        channels = state["conv1.weight"].shape[0]
        widths = [state[f"layer{stage}.0.convs.0.weight"].shape[0] for stage in (1, 2, 3, 4)]
        bases = [base for base in range(1, 257) if [(channels << n) * base // 64 for n in range(4)] == widths]
        return {
            "encoder": "eres2netv2",
            "network": {
                "channels": channels,
                "blocks": [count(state, rf"layer{stage}\.(\d+)\..*") for stage in (1, 2, 3, 4)],
                "base_width": bases[0] if bases else 26,
                "scale": count(state, r"layer1\.0\.convs\.(\d+)\..*"),
            },
            "feature_dim": 8 * state["seg_1.weight"].shape[1] // (2 * _fused(state)),
            **ends_options(state, two),
        }

    return options


def _fused(state: State) -> int:
    return state["layer3_ds.weight"].shape[0]


def _block(name: str) -> Callable[[re.Match[str]], str]:
    return numbered("encoder.stages.{}.", rf"\2.{name}")


_BLOCK = r"layer(\d)\.(\d+)\."


def _eres2net(two: bool) -> Family:
    return Family(
        name="ERes2NetV2" + " with two segment layers" * two,
        sources=("3dspeaker",),
        marks=("layer3_ds.weight", "fuse34.local_att.0.weight", "seg_2.weight" if two else "seg_1.weight"),
        options=_eres2net_options(two),
        rules=(
            Rule(r"conv1\.weight", r"encoder.first.0.weight", turned),
            Rule(rf"bn1\.{NORM}", r"encoder.first.1.\1"),
            Rule(rf"{_BLOCK}conv1\.weight", _block(r"enter.0.weight")),
            Rule(rf"{_BLOCK}bn1\.{NORM}", _block(r"enter.1.\3")),
            Rule(rf"{_BLOCK}convs\.(\d+)\.weight", _block(r"convs.\3.0.weight"), turned),
            Rule(rf"{_BLOCK}bns\.(\d+)\.{NORM}", _block(r"convs.\3.1.\4")),
            Rule(
                rf"{_BLOCK}fuse_models\.(\d+)\.local_att\.(\d)\.{NORM}",
                _block(r"joins.\3.attention.\4.\5"),
            ),
            Rule(rf"{_BLOCK}conv3\.weight", _block(r"leave.0.weight")),
            Rule(rf"{_BLOCK}bn3\.{NORM}", _block(r"leave.1.\3")),
            Rule(rf"{_BLOCK}shortcut\.(\d)\.{NORM}", _block(r"skip.\3.\4")),
            Rule(r"layer3_ds\.weight", r"encoder.down.weight", turned),
            Rule(rf"fuse34\.local_att\.(\d)\.{NORM}", r"encoder.fusion.attention.\1.\2"),
            *ends(two, regrouped(_fused, parts=2)),
        ),
        unused=(CLASSIFIER,),
    )


def _resnet_options(two: bool) -> Callable[[State], dict[str, Any]]:
    def options(state: State) -> dict[str, Any]:
        bottleneck = "layer1.0.conv3.weight" in state
        last = state[f"layer4.0.conv{3 if bottleneck else 2}.weight"].shape[0]
        return {
            "encoder": "resnet",
            "network": {
                "channels": state["conv1.weight"].shape[0],
                "blocks": [count(state, rf"layer{stage}\.(\d+)\..*") for stage in (1, 2, 3, 4)],
                "block": "bottleneck" if bottleneck else "basic",
            },
            "feature_dim": 8 * state["seg_1.weight"].shape[1] // (2 * last),
            **ends_options(state, two),
        }

    return options


def _resnet(two: bool) -> Family:
    """Ours keeps their names and their order."""
    return Family(
        name="ResNet" + " with two segment layers" * two,
        sources=("wespeaker", "3dspeaker"),
        marks=("conv1.weight", "layer4.0.conv2.weight", "seg_2.weight" if two else "seg_1.weight"),
        options=_resnet_options(two),
        rules=(
            Rule(rf"(conv1|bn1)\.{NORM}", r"encoder.\1.\2"),
            Rule(rf"(layer[1-4]\.\d+\.(?:conv\d|bn\d|shortcut\.\d))\.{NORM}", r"encoder.\1.\2"),
            *ends(two),
        ),
        unused=(CLASSIFIER,),
    )


def _preact_options(state: State) -> dict[str, Any]:
    channels = [state[f"layer{stage}.0.conv1.weight"].shape[0] for stage in (1, 2, 3, 4)]
    hidden = state["attention.0.weight"]
    return {
        "encoder": "resnet_preact",
        "network": {
            "channels": channels,
            "blocks": [count(state, rf"layer{stage}\.(\d+)\..*") for stage in (1, 2, 3, 4)],
        },
        "pooling": "channel_asp",
        "pool": {"attention_channels": hidden.shape[0]},
        "pooled_norm": True,
        "xvector_norm": True,
        "xvector_dim": state["fc_embed.weight"].shape[0],
        "feature_dim": 8 * hidden.shape[1] // channels[-1],
    }


def _decibels_turned(tensor: Tensor, state: State) -> Tensor:
    return decibels(turned(tensor, state), state)


_PREACT = r"(layer[1-4]\.\d+)\."
PREACT_RESNET = Family(
    name="pre-activated ResNet",
    sources=("speechbrain",),
    marks=("conv1.weight", "layer4.0.conv3.weight", "attention.3.weight", "fc_embed.weight"),
    options=_preact_options,
    rules=(
        Rule(r"conv1\.weight", r"encoder.conv1.weight", _decibels_turned),
        Rule(rf"bn1\.{NORM}", r"encoder.bn1.\1"),
        Rule(rf"{_PREACT}(conv\d)\.weight", r"encoder.\1.\2.weight", turned),
        Rule(rf"{_PREACT}(bn\d)\.{NORM}", r"encoder.\1.\2.\3"),
        Rule(rf"{_PREACT}downsample\.(\d)\.{NORM}", r"encoder.\1.shortcut.\2.\3"),
        Rule(rf"{_PREACT}se\.fc\.0\.{BOTH}", r"encoder.\1.attention.squeeze.\2"),
        Rule(rf"{_PREACT}se\.fc\.2\.{BOTH}", r"encoder.\1.attention.excite.\2"),
        Rule(rf"attention\.([02])\.{NORM}", r"pooling.hidden.\1.\2"),
        Rule(rf"attention\.3\.{BOTH}", r"pooling.score.\1"),
        Rule(rf"norm_stats\.{NORM}", r"projector.0.\1"),
        Rule(rf"fc_embed\.{BOTH}", r"projector.1.\1"),
        Rule(rf"norm_embed\.{NORM}", r"projector.2.\1"),
    ),
    unused=(CLASSIFIER,),
)
FAMILIES = (_resnet(True), _resnet(False), CAMPPLUS, _eres2net(True), _eres2net(False), PREACT_RESNET)

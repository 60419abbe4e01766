"""ReDimNet by its authors (their file, or what is inside) and by WeSpeaker, tensor by tensor."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from .importer_rules import BOTH, CLASSIFIER, NORM, Family, Rule, State, count, turned, with_context

_BLOCKS = {"dwconvs.0": "convnext", "conv2": "resnet", "se.squeeze": "resnet_se"}


def _options(shift: int) -> Callable[[State], dict[str, Any]]:
    """Their options read off the shapes. ``shift``: where a stage's convolution stands in its sequence."""

    def options(state: State) -> dict[str, Any]:
        channels = state["backbone.stem.0.weight"].shape[0]
        width = state["pool.linear2.weight"].shape[0]
        shape: dict[str, Any] = {"channels": channels, "bins": width // channels, "groups": []}
        stages = []
        for number in range(count(state, r"backbone\.stage(\d+)\..*")):
            stages.append(_stage(state, f"backbone.stage{number}", shift, shape))
        marks = [mark for mark in _BLOCKS if f"backbone.stage0.{shift + 1}.conv_block.{mark}.weight" in state]
        authors = shift > 0
        return {
            "encoder": "redimnet",
            "network": {
                "channels": channels,
                "block": _BLOCKS[marks[-1]] if marks else "convnext",
                "group": _group(shape["groups"]),
                "stages": stages,
            },
            "pooling": "astp",
            "pool": {"attention_channels": state["pool.linear1.weight"].shape[0]},
            "pooled_norm": authors,
            "xvector_norm": "bn2.weight" in state,
            "xvector_dim": state["linear.weight" if authors else "seg_1.weight"].shape[0],
            "feature_dim": width // channels,
        }

    return options


def _stage(state: State, name: str, shift: int, shape: dict[str, Any]) -> list[int]:
    """[stride, blocks, wide, reduction] of a stage; ``shape`` goes on to the next one."""
    enter = state[f"{name}.{shift}.weight"]
    stride = enter.shape[2]
    shape["channels"] *= stride
    inner = enter.shape[0]
    blocks = count(state, re.escape(name) + r"\.(\d+)\.conv_block\..*")
    for part in ("conv1", "dwconvs.0"):
        kernel = state.get(f"{name}.{shift + 1}.conv_block.{part}.weight")
        if kernel is not None:
            shape["groups"].append((inner, inner // kernel.shape[1]))
    leave = state.get(f"{name}.{shift + 1 + blocks}.0.weight")
    if leave is not None:
        shape["groups"].append((shape["channels"], inner // leave.shape[1]))
    pattern = re.escape(name) + r"\.\d+\.red_dim_conv\.0\.weight"
    reduced = [tensor.shape for key, tensor in state.items() if re.fullmatch(pattern, key)]
    reduction = reduced[0][1] // reduced[0][0] if reduced else 0
    return [stride, blocks, inner // shape["channels"], reduction]


def _group(found: list[tuple[int, int]]) -> int:
    """The group size that gives every width its number of groups."""
    most = max(width for width, _ in found)
    fits = [group for group in range(1, most + 1) if all(width // group == groups for width, groups in found)]
    return fits[0] if fits else most


_ANY = r"(\w+)"
_STAGE = r"backbone\.stage(\d+)\.(\d+)\."


def _last_apart(state: State) -> State:
    """The last of WeSpeaker's list of weights is the final sum's: by the authors' name."""
    last = count(state, r"backbone\.inputs_weights\.(\d+)") - 1
    names = {f"backbone.inputs_weights.{last}": "backbone.fin_wght1d.w"}
    return {names.get(name, name): tensor for name, tensor in state.items()}


def _rules(shift: int) -> tuple[Rule, ...]:
    def block(name: str) -> Callable[[re.Match[str]], str]:
        return lambda match: (
            f"encoder.stages.{match[1]}.blocks.{int(match[2]) - shift - 1}." + match.expand(name)
        )

    block_2d, context = _STAGE + r"conv_block\.", r"encoder.stages.\1.context."
    tcm = _STAGE + r"tcm\."
    return (
        Rule(r"backbone\.stem\.0\.weight", "encoder.first.weight", turned),
        Rule(r"backbone\.stem\.0\.bias", "encoder.first.bias"),
        Rule(rf"backbone\.stem\.1\.{BOTH}", r"encoder.first_norm.\1"),
        Rule(rf"backbone\.stage(\d+)\.{shift}\.weight", r"encoder.stages.\1.enter.weight", turned),
        Rule(rf"backbone\.stage(\d+)\.{shift}\.bias", r"encoder.stages.\1.enter.bias"),
        # 2-D blocks: ConvNeXt-like, or two separable convolutions with or without squeeze and excitation.
        Rule(rf"{block_2d}dwconvs\.0\.weight", block("conv.weight"), turned),
        Rule(rf"{block_2d}dwconvs\.0\.bias", block("conv.bias")),
        Rule(rf"{block_2d}norm\.{NORM}", block(r"norm.\3")),
        Rule(rf"{block_2d}pwconv1\.{BOTH}", block(r"mix.\3")),
        Rule(rf"{block_2d}conv([12])\.weight", block(r"conv\3.weight"), turned),
        Rule(rf"{block_2d}conv([12])pw\.{BOTH}", block(r"mix\3.\4")),
        Rule(rf"{block_2d}bn([12])\.{NORM}", block(r"norm\3.\4")),
        Rule(rf"{block_2d}se\.squeeze\.{BOTH}", block(r"gate.squeeze.\3")),
        Rule(rf"{block_2d}se\.exitation\.{BOTH}", block(r"gate.excite.\3")),
        Rule(rf"{_STAGE}0\.weight", r"encoder.stages.\1.leave.0.weight", turned),
        Rule(rf"{_STAGE}([013])\.{NORM}", r"encoder.stages.\1.leave.\3.\4"),
        # 1-D block.
        Rule(rf"{_STAGE}red_dim_conv\.0\.{BOTH}", context + r"reduce.\3"),
        Rule(rf"{_STAGE}red_dim_conv\.1\.{BOTH}", context + r"norm.\3"),
        Rule(rf"{tcm}(\d)\.dwconvs\.0\.{BOTH}", context + r"convs.\3.conv.\4"),
        Rule(rf"{tcm}([0-3])\.norm\.{NORM}", context + r"convs.\3.norm.\4"),
        Rule(rf"{tcm}(\d)\.pwconv1\.{BOTH}", context + r"convs.\3.mix.\4"),
        *(
            Rule(rf"{tcm}4\.{theirs}\.{BOTH}", rf"{context}attention.{ours}.\3")
            for theirs, ours in (
                (r"attention\.q_proj", "query"),
                (r"attention\.k_proj", "key"),
                (r"attention\.v_proj", "value"),
                (r"attention\.out_proj", "out"),
                ("layer_norm", "norm"),
                (r"feed_forward\.intermediate_dense", "inner"),
                (r"feed_forward\.output_dense", "outer"),
                ("final_layer_norm", "last_norm"),
            )
        ),
        Rule(rf"{_STAGE}exp_dim_conv\.{BOTH}", context + r"expand.\3"),
        Rule(r"pool\.linear1\.weight", "pooling.hidden.weight", with_context),
        Rule(r"pool\.linear1\.bias", "pooling.hidden.bias"),
        Rule(rf"pool\.linear2\.{BOTH}", r"pooling.score.\1"),
    )


AUTHORS = Family(
    name="ReDimNet",
    sources=("redimnet",),
    marks=("backbone.stem.0.weight", "backbone.fin_wght1d.w", "linear.weight"),
    options=_options(2),
    rules=(
        *_rules(2),
        Rule(r"backbone\.stage(\d+)\.0\.w", r"encoder.stages.\1.weighted.weight"),
        Rule(r"backbone\.fin_wght1d\.w", "encoder.weighted.weight"),
        Rule(rf"bn\.{NORM}", r"projector.0.\1"),
        Rule(rf"linear\.{BOTH}", r"projector.1.\1"),
        Rule(rf"bn2\.{NORM}", r"projector.2.\1"),
    ),
    unused=(
        CLASSIFIER,
        (r"backbone\.stage0\.0\.w", "a softmax over one"),
        (r"spec\..*", "the window and the filters of their features"),
    ),
)
WESPEAKER = Family(
    name="ReDimNet",
    sources=("wespeaker",),
    marks=("backbone.stem.0.weight", "backbone.inputs_weights.0", "seg_1.weight"),
    prepared=_last_apart,
    options=_options(0),
    rules=(
        *_rules(0),
        Rule(r"backbone\.inputs_weights\.(\d+)", r"encoder.stages.\1.weighted.weight"),
        Rule(r"backbone\.fin_wght1d\.w", "encoder.weighted.weight"),
        Rule(rf"seg_1\.{BOTH}", r"projector.0.\1"),
    ),
    unused=(CLASSIFIER, (r"backbone\.inputs_weights\.0", "a softmax over one")),
)
FAMILIES = (AUTHORS, WESPEAKER)

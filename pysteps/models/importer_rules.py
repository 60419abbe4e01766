"""How another toolkit's tensors become ours: rules, and the changes that several networks share."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

State = dict[str, Tensor]


@dataclass(frozen=True)
class Rule:
    """Tensors called ``theirs`` (a whole regular expression) are ``ours`` (a template, or a function of the
    match) after ``change``, which gets all of their tensors too."""

    theirs: str
    ours: str | Callable[[re.Match[str]], str]
    change: Callable[[Tensor, State], Tensor] | None = None

    def name(self, theirs: str) -> str | None:
        """Our name of their tensor, None if the rule is not about it."""
        match = re.fullmatch(self.theirs, theirs)
        if match is None:
            return None
        return self.ours(match) if callable(self.ours) else match.expand(self.ours)


@dataclass(frozen=True)
class Family:
    """A network of theirs.

    sources: toolkits that have it; marks: names of tensors that tell it from the others; options: of our
    model, from their tensors; rules; unused: tensors that no x-vector depends on, with the reason;
    constants: ours that they have not, for a normalisation without scale or a layer without bias; prepared:
    their tensors under names that rules can tell apart.
    """

    name: str
    sources: tuple[str, ...]
    marks: tuple[str, ...]
    options: Callable[[State], dict[str, Any]]
    rules: tuple[Rule, ...]
    unused: tuple[tuple[str, str], ...] = ()
    constants: tuple[tuple[str, float], ...] = ()
    prepared: Callable[[State], State] = dict


NORM = r"(weight|bias|running_mean|running_var|num_batches_tracked)"
BOTH = r"(weight|bias)"
CLASSIFIER = (r"(projection|classifier|cls_head)\..*", "the training speakers' classifier")


def count(state: State, pattern: str) -> int:
    """How many different first groups ``pattern`` has among the names."""
    return len({match[1] for match in (re.fullmatch(pattern, name) for name in state) if match})


def turned(tensor: Tensor, state: State) -> Tensor:
    """A kernel [out, in, bins, time] as [out, in, time, bins], or the other way."""
    return tensor.transpose(2, 3)


def decibels(tensor: Tensor, state: State) -> Tensor:
    """SpeechBrain's features are in decibels, ours are natural logarithms: the first layer takes it up."""
    return tensor * (10 / math.log(10))


def regrouped(channels: Callable[[State], int], parts: int = 1) -> Callable[[Tensor, State], Tensor]:
    """Inputs in the order (channel, bin) as (bin, channel); ``parts`` of them (mean, deviation) in a row."""

    def change(tensor: Tensor, state: State) -> Tensor:
        return tensor.unflatten(1, (parts, channels(state), -1)).transpose(2, 3).flatten(1, 3)

    return change


def with_context(tensor: Tensor, state: State) -> Tensor:
    """pool.linear1 that sees the frame alone is one whose weights of the utterance's context are 0."""
    channels = state["pool.linear2.weight"].shape[0]
    if tensor.shape[1] == channels:
        return torch.cat((tensor, tensor.new_zeros(tensor.shape[0], 2 * channels, 1)), dim=1)
    return tensor


def plain(*names: str) -> tuple[tuple[str, float], ...]:
    """Constants of the norms ``names`` (expressions) that have no scale of theirs: scale 1, shift 0."""
    parts = (("weight", 1.0), ("bias", 0.0))
    return tuple((rf"{name}\.{part}", value) for name in names for part, value in parts)


def numbered(template: str, name: str, less: int = 1) -> Callable[[re.Match[str]], str]:
    """``template`` with the first group less ``less``, then ``name`` with all groups."""
    return lambda match: template.format(int(match[1]) - less) + match.expand(name)


def ends(two: bool, change: Callable[[Tensor, State], Tensor] | None = None) -> tuple[Rule, ...]:
    """Rules of what comes behind the statistics: one linear layer, or two with ReLU and a norm between."""
    first = "pooling.segment" if two else "projector.0"
    rules = (
        Rule(r"seg_1\.weight", f"{first}.weight", change),
        Rule(r"seg_1\.bias", f"{first}.bias"),
    )
    second = (
        Rule(rf"seg_bn_1\.{NORM}", r"pooling.norm.\1"),
        Rule(rf"seg_2\.{BOTH}", r"projector.0.\1"),
    )
    return (*rules, *second) if two else rules


def ends_options(state: State, two: bool) -> dict[str, Any]:
    """Pooling and projector of the same."""
    first, last = state["seg_1.weight"], state["seg_2.weight" if two else "seg_1.weight"]
    pool = {"segment_channels": first.shape[0]} if two else {}
    return {
        "pooling": "segment_stats" if two else "sample_stats",
        "pool": pool,
        "pooled_norm": False,
        "xvector_norm": False,
        "xvector_dim": last.shape[0],
    }

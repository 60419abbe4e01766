"""Parts of the network that stay as they are."""

from __future__ import annotations

from collections.abc import Sequence

from torch import nn

from ..formats.errors import InputError


def freeze(
    model: nn.Module, names: Sequence[str], learning: Sequence[nn.Parameter], where: str | None = None
) -> list[nn.Module]:
    """Take the gradient from the parts with these ``names`` and leave it to the rest of ``learning``, the
    weights that the network lets learn at all. Returns the parts: they belong into evaluation mode, so that
    batch normalisations there keep their means. InputError (of the phase ``where``) names the parts that
    exist.
    """
    known = {name: part for name, part in model.named_modules() if name}
    for name in names:
        if name not in known:
            above = [name for name in known if name.count(".") < 2]
            said = f"freeze: the network has no part {name}"
            raise InputError(said, where=where, mend=f"it has {', '.join(above)}")
    parts = [known[name] for name in names]
    still = {id(weight) for part in parts for weight in part.parameters()}
    for weight in learning:
        weight.requires_grad_(id(weight) not in still)
    return parts

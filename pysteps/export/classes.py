"""What a network of classes (a run with ``labels``) says of x-vectors: posteriors of its training's loss."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from ..formats.errors import InputError
from ..formats.records import read_json

if TYPE_CHECKING:
    from torch import nn

Posteriors = dict[str, float]


def places(folder: str | Path) -> tuple[Path, Path]:
    """The run and the model's folder that ``folder`` means: exp/TAG, exp/TAG/model, or a model alone."""
    folder = Path(folder)
    inside = folder / "model"
    return (folder, inside) if (inside / "model.json").is_file() else (folder.parent, folder)


def labels_of(run: Path) -> str:
    """The table of labels that the run in ``run`` has, as spk2gender; "" for speakers, or where there is no
    run."""
    if not (run / "run.json").is_file():
        return ""
    return str(read_json(run / "run.json", "the run", mend="./run.sh writes it").get("labels", ""))


def names_of(model: Path) -> tuple[str, ...]:
    """The classes of the model in ``model``, in the order of its training; () where it does not say them."""
    path = model / "speakers"
    return tuple(path.read_text("utf-8").split()) if path.is_file() else ()


def load_classifier(run: Path, model: Path, xvector_dim: int) -> tuple[nn.Module, tuple[str, ...]]:
    """The loss that the training left beside its model, in evaluation mode, and its classes.

    InputError where it is not there, is another one than run.json says, or has no logits.
    """
    from ..train.line import judges_alone
    from ..train.options import TrainOptions
    from ..train.phases import phases_of
    from ..train.start import load_head

    said = read_json(run / "run.json", "the run", mend="./run.sh writes it")
    try:
        options = TrainOptions(**said["options"]["train"])
    except (KeyError, TypeError):
        raise InputError("not the run of a training of this version", where=run / "run.json") from None
    loss = phases_of(options)[-1].loss
    if not judges_alone(loss):
        raise InputError(
            f"the loss {loss!r} has no posteriors", where=model, mend="train with softmax, or aam"
        )
    head, names = load_head(model, options, xvector_dim)
    return head.requires_grad_(False), tuple(names)


def posterior_module(head: nn.Module) -> nn.Module:
    """x-vectors [batch, xvector] -> posteriors [batch, class]: the softmax of ``head`` without margin."""
    import torch
    from torch import Tensor, nn

    class Posterior(nn.Module):
        """See ``posterior_module``."""

        def __init__(self) -> None:
            super().__init__()
            self.head = head

        def forward(self, xvectors: Tensor) -> Tensor:
            labels = torch.zeros_like(xvectors[:, 0], dtype=torch.int64)
            found: Tensor = self.head(xvectors, labels, 0.0)[1].softmax(1)
            return found

    return Posterior().eval()


def by_name(names: tuple[str, ...], row: ArrayLike) -> Posteriors:
    """Posteriors [class] by class, in C-locale order."""
    values = np.asarray(row, np.float64)
    return {name: float(values[place]) for place, name in sorted(enumerate(names), key=lambda one: one[1])}


def said_of_classes(labels: str, names: tuple[str, ...]) -> dict[str, Any]:
    """What people ask of a network of classes; nothing for one of speakers."""
    return {"labels": labels, "classes": ", ".join(sorted(names))} if labels else {}

"""Weights that a training begins with, or that stand in its place: a model folder, imported or trained.

A training leaves the weights of its loss beside the model (head.safetensors), and whose they are (speakers: a
name a line, in the order of the labels), so that another one can begin with them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load as load_tensors
from safetensors.torch import save as save_tensors
from torch import Tensor, nn

from ..features.contract import refuse_mismatch
from ..formats.atomic import replacing, write_text
from ..formats.errors import InputError
from ..models.model import SpeakerModel, load_model, read_description, save_model
from ..models.options import ModelOptions
from .losses import build_head, of_speakers
from .options import TrainOptions
from .phases import phases_of
from .stage import LOSS

HEAD, SPEAKERS = LOSS


def begin_with(model: SpeakerModel, folder: Path, contract: Mapping[str, Any]) -> None:
    """Give ``model`` the weights of ``folder``; InputError for another network or other features."""
    model.load_state_dict(_fitting(folder, model.options, contract).state_dict())


def stand_in(folder: Path, options: ModelOptions, contract: Mapping[str, Any], out: Path) -> None:
    """Write ``folder``'s model to ``out`` as if it had been trained there, with the weights of its loss where
    it has them; InputError as ``begin_with``."""
    model, there = _fitting(folder, options, contract), all((folder / name).is_file() for name in LOSS)
    for name in LOSS:
        if there:
            with replacing(out / name, "wb") as handle:
                handle.write((folder / name).read_bytes())
        else:
            (out / name).unlink(missing_ok=True)  # of a training that this model takes the place of
    save_model(model, out, contract)


def save_head(head: nn.Module, speakers: Sequence[str], folder: Path) -> None:
    """Write the weights of a loss, and whose they are, beside a model."""
    tensors = {name: value.detach().cpu().contiguous() for name, value in head.state_dict().items()}
    with replacing(folder / HEAD, "wb") as handle:
        handle.write(save_tensors(tensors))
    write_text(folder / SPEAKERS, "".join(f"{name}\n" for name in speakers))


def load_head(folder: Path, options: TrainOptions, xvector_dim: int) -> tuple[nn.Module, list[str]]:
    """The loss that ``save_head`` wrote beside a model, in evaluation mode on the CPU, and its classes.

    ``options`` are those of the training; of its phases the last one's loss is meant. InputError where there
    is none, and where it is another one.
    """
    last = phases_of(options)[-1]
    for name in LOSS:
        if not (folder / name).is_file():
            raise InputError(f"no {name} beside the model", where=folder, mend="train it here")
    tensors, names = _read_head(folder)
    head = build_head(last.loss, xvector_dim, len(names), last)
    try:
        head.load_state_dict(tensors)
    except RuntimeError as error:  # torch says which tensors do not fit
        said = f"these are no weights of the loss {last.loss!r}: {' '.join(str(error).split())}"
        raise InputError(said, where=folder / HEAD, mend="--train.loss as it was trained") from None
    return head.eval(), names


def begin_head(head: nn.Module, speakers: Sequence[str], folder: Path) -> str:
    """Give ``head`` what the loss in ``folder`` knows of ``speakers`` (in the order of the labels), by their
    names. Returns a line on what was taken.
    """
    if not all((folder / name).is_file() for name in LOSS):
        return f"the loss begins anew: {folder} has none beside its model"
    theirs, names = _read_head(folder)
    known = {name: place for place, name in enumerate(names)}
    pairs = [(place, known[name]) for place, name in enumerate(speakers) if name in known]
    state = {name: value.detach().cpu().clone() for name, value in head.state_dict().items()}
    if not any(of_speakers(name) for name in state):
        return "the loss begins anew: it has no weights of speakers"
    if set(state) != set(theirs):
        return "the loss begins anew: the one there is another"
    ours, others = torch.tensor(pairs, dtype=torch.int64).reshape(-1, 2).unbind(1)
    for name, value in state.items():
        here, there = (
            (_by_speaker(value, speakers), _by_speaker(theirs[name], names))
            if of_speakers(name)
            else (value.unsqueeze(0), theirs[name].unsqueeze(0))
        )
        if here.shape[1:] != there.shape[1:]:
            return f"the loss begins anew: {name} has another size there"
        if of_speakers(name):
            here[ours] = there[others]
        else:
            here.copy_(there)
    head.load_state_dict(state)
    new = len(speakers) - len(pairs)
    return f"the loss begins with what is known of {len(pairs)} speakers; {new} are new"


def _read_head(folder: Path) -> tuple[dict[str, Tensor], list[str]]:
    names = (folder / SPEAKERS).read_text("utf-8").split("\n")[:-1]
    try:
        theirs = load_tensors((folder / HEAD).read_bytes())
    except Exception as error:  # safetensors has its own exception classes for a broken file
        raise InputError(f"the weights cannot be read: {error}", where=folder / HEAD) from None
    if any(of_speakers(name) and len(value) % max(1, len(names)) for name, value in theirs.items()):
        raise InputError(f"{len(names)} names, the weights are of others", where=folder / SPEAKERS)
    return theirs, names


def _by_speaker(value: Tensor, speakers: Sequence[str]) -> Tensor:
    # [speakers, weights of each ...], a view: a speaker may have several rows.
    return value.view(len(speakers), -1, *value.shape[1:])


def _fitting(folder: Path, options: ModelOptions, contract: Mapping[str, Any]) -> SpeakerModel:
    model = load_model(folder)
    refuse_mismatch(read_description(folder)["features"], dict(contract), folder)
    wanted = asdict(options)
    for name, value in asdict(model.options).items():
        if value != wanted[name]:
            said = f"the model there has {name} {value}, this run {wanted[name]}"
            raise InputError(said, where=folder, mend=f"--models.{name}")
    return model

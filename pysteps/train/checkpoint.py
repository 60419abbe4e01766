"""Checkpoints: tensors and plain numbers, whole or not there, the newest good one found again."""

from __future__ import annotations

import io
import sys
from collections.abc import Container, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ..formats.atomic import ask, replacing
from ..formats.errors import InputError


class Checkpoints:
    """The folder of a training: ``step-N.pt`` to go on from, ``epoch-N.pt`` models to average.

    ``keep`` of the first stay: the newest may be damaged by a disk, the one before it is the way back.
    """

    def __init__(self, folder: Path, keep: int = 2) -> None:
        self.folder, self.keep = Path(folder), keep

    def save(self, state: Mapping[str, Any], step: int) -> None:
        """Write ``state`` (tensors, numbers, text, lists and dicts of them) and forget older ones."""
        _write(self.folder / f"step-{step:09d}.pt", state)
        for path in self._found("step")[: -self.keep]:
            path.unlink(missing_ok=True)  # of a lost node's process that still runs, it may be gone already

    def save_epoch(self, model: Mapping[str, Tensor], epoch: int, needed: Container[int]) -> None:
        """Write the model after ``epoch`` (from 1) if it is ``needed``; those of epochs that are not go."""
        if epoch in needed:
            _write(self.folder / f"epoch-{epoch:05d}.pt", dict(model))
        ask()
        for path in self._found("epoch"):
            if int(path.stem.split("-")[1]) not in needed:
                path.unlink(missing_ok=True)

    def newest(self) -> dict[str, Any] | None:
        """The state to go on from; None at the beginning. A damaged file is said and passed over."""
        return state_of(self.newest_bytes())

    def newest_bytes(self) -> bytes:
        """The file of the state to go on from; empty at the beginning."""
        for path in reversed(self._found("step")):
            content = path.read_bytes()
            if state_of(content) is not None:
                return content
            print(f"{path}: damaged, going back to the checkpoint before it", file=sys.stderr)
        return b""

    def average(self, epochs: Sequence[int]) -> dict[str, Tensor]:
        """Mean of the models after these ``epochs``; buffers are averaged too.

        Whole numbers (how many batches a normalisation has seen) are those of the last model.
        """
        models = []
        for epoch in epochs:
            path = self.folder / f"epoch-{epoch:05d}.pt"
            state = state_of(path.read_bytes() if path.is_file() else b"")
            if state is None:
                raise InputError("missing or damaged", where=path, mend="train again with --force")
            models.append(state)
        return mean_of(models)

    def _found(self, kind: str) -> list[Path]:
        return sorted(self.folder.glob(f"{kind}-*.pt"))


def mean_of(models: Sequence[Mapping[str, Tensor]]) -> dict[str, Tensor]:
    """Mean of every floating-point tensor, in 64 bits; other tensors from the last model."""
    mean = {}
    for name, value in models[-1].items():
        if value.is_floating_point():
            total = sum(model[name].double() for model in models)
            value = (total / len(models)).to(value.dtype)  # type: ignore[union-attr]
        mean[name] = value
    return mean


def _write(path: Path, state: Mapping[str, Any]) -> None:
    with replacing(path, "wb") as handle:
        torch.save(state, handle)


def state_of(content: bytes) -> dict[str, Any] | None:
    """What a checkpoint's file holds, on the CPU; None if it is empty or damaged."""
    try:
        return torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
    except Exception:  # noqa: BLE001  torch raises whatever its unpickler and its zip reader raise
        return None


def refuse_changes(then: Mapping[str, Any], now: Mapping[str, Any], where: Path) -> None:
    """InputError that names what was set otherwise when the checkpoint was written."""
    changed = [
        f"{key} was {then.get(key)!r}, is {now.get(key)!r}"
        for key in sorted({*then, *now})
        if then.get(key) != now.get(key)
    ]
    if changed:
        raise InputError(
            f"the checkpoint is of another training: {'; '.join(changed)}",
            where=where,
            mend="begin again with --force, or train beside it with --tag",
        )

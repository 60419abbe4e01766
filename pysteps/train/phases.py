"""A training in phases: which options each has, and how one is cut from the training's own. Imports no torch.

The training's own options are those of the first phase. Each table of ``phases`` says what is other in one
more. A phase begins with the mean of the models and losses that the one before it ends with; its optimiser is
new and its schedule begins at 0, while epochs are counted on.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import fields, replace
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any

from ..formats.errors import InputError

if TYPE_CHECKING:
    from .options import TrainOptions

CHUNKS = ("train", "long")
# What a phase may have of its own. The rest belongs to the training as a whole.
OWN = (
    *("epochs", "chunks", "epoch_parts", "batch_size", "accumulate", "freeze", "utterances_per_speaker"),
    *("loss", "scale", "margin", "margin_start_epoch", "margin_end_epoch", "margin_growth", "hidden_dim"),
    *("optimiser", "lr", "final_lr", "lr_batch", "warmup_epochs", "schedule", "step_epochs", "step_factor"),
    *("plateau_patience", "momentum", "weight_decay", "head_weight_decay", "clip_norm"),
    *("time_masks", "time_width", "frequency_masks", "frequency_width"),
    *("average", "average_of", "ema", "patience"),
)


def phases_of(options: TrainOptions) -> list[TrainOptions]:
    """The options of every phase, without tables; the values in ``options.phases`` get their types.

    InputError names the phase and what is wrong in its table.
    """
    options.phases = [_typed(options, table, number) for number, table in enumerate(options.phases, 2)]
    found = []
    for number, table in enumerate([{}, *options.phases], 1):
        try:
            found.append(replace(options, phases=[], **table) if options.phases else options)
        except InputError as error:
            raise InputError(f"phase {number}: {error}") from None
    return found


def _typed(options: TrainOptions, table: Mapping[str, Any], number: int) -> dict[str, Any]:
    kinds = {field.name: str(field.type) for field in fields(options)}
    if not isinstance(table, Mapping):
        raise InputError(f"phase {number} is {table!r}", mend="a table: [{epochs: 5, lr: 0.0001}]")
    for key in table:
        if key not in OWN:
            why = "is of the whole training" if key in kinds else "is no option of training"
            near = get_close_matches(str(key), OWN, 1)
            mend = f"did you mean {near[0]}?" if near else f"a phase may have {', '.join(OWN)}"
            raise InputError(f"phase {number}: {key} {why}", mend=mend)
    try:
        return {key: _cast(kinds[key], value) for key, value in table.items()}
    except (TypeError, ValueError):
        wrong = next(key for key, value in table.items() if not _fits(kinds[key], value))
        raise InputError(f"phase {number}: {wrong} is {table[wrong]!r}, no {kinds[wrong]}") from None


def _cast(kind: str, value: Any) -> Any:
    # YAML reads 1e-4 as text.
    if kind == "float" and not isinstance(value, bool):
        return float(value)
    if kind == "int" and not isinstance(value, bool) and float(value) == int(value):
        return int(value)
    if kind == "str" and isinstance(value, str):
        return value
    if kind == "list[str]" and isinstance(value, list | tuple) and all(isinstance(v, str) for v in value):
        return list(value)
    raise ValueError


def _fits(kind: str, value: Any) -> bool:
    try:
        _cast(kind, value)
    except (TypeError, ValueError):
        return False
    return True


# --- when a phase ends, and on what


def judged_by(line: Mapping[str, Any]) -> float | None:
    """What an epoch is judged by, less being better: the dev EER, with labels the development utterances'
    loss, else the loss of held-out chunks."""
    found = [line[name] for name in ("dev_eer", "dev_loss", "valid_loss") if name in line]
    return float(found[0]) if found else None


def without_better(judged: Sequence[float]) -> int:
    """Epochs since the best one (the first of equals)."""
    return len(judged) - 1 - min(range(len(judged)), key=lambda place: judged[place]) if judged else 0


def ended(lines: Sequence[Mapping[str, Any]], options: TrainOptions) -> str:
    """Why a phase with these epochs behind it is at its end; "" if it is not."""
    if len(lines) >= options.epochs:
        return f"{options.epochs} epochs are done"
    since = without_better([judged_by(line) or 0.0 for line in lines]) if options.patience else 0
    if options.patience and since >= options.patience:
        return f"no better epoch for {since} epochs (patience {options.patience})"
    return ""


def to_average(lines: Sequence[Mapping[str, Any]], options: TrainOptions) -> list[int]:
    """The epochs of a phase, so far, whose mean counts: the last ones or the best ones (last of equals)."""
    if options.average_of == "last":
        return [int(line["epoch"]) for line in lines[-options.average :]]
    ranked = sorted(lines, key=lambda line: (judged_by(line) or 0.0, -int(line["epoch"])))
    return sorted(int(line["epoch"]) for line in ranked[: options.average])


def needs_judging(options: TrainOptions) -> str:
    """What of these options needs epochs to be judged; "" if nothing does."""
    reasons = {
        "patience": options.patience > 0,
        "average_of best": options.average_of == "best",
        "schedule plateau": options.schedule == "plateau",
    }
    return " and ".join(name for name, wanted in reasons.items() if wanted)


def check_phase(options: TrainOptions) -> None:
    """InputError for values that no phase can have."""
    if options.chunks not in CHUNKS:
        raise InputError(f"unknown chunks {options.chunks!r}; known: {', '.join(CHUNKS)}")
    if options.average_of not in ("last", "best"):
        raise InputError(f"unknown average_of {options.average_of!r}; known: last, best")
    if not 0 <= options.ema < 1:
        raise InputError(f"ema is {options.ema:g}: 0 (none) to below 1", mend="--train.ema 0.999")
    for name in ("patience", "plateau_patience", "lr_batch", "head_weight_decay"):
        if getattr(options, name) < 0:
            raise InputError(f"{name} is {getattr(options, name)}, it must be at least 0")
    if options.accumulate > 1 and options.utterances_per_speaker:
        raise InputError(
            f"accumulate {options.accumulate}: a loss of pairs needs all chunks of a step together",
            mend="--train.accumulate 1, or --train.utterances_per_speaker 0",
        )

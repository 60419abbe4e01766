"""Weights of other toolkits as a model folder of ours: their state dictionary in, our tensors out.

A family (importer_tables.py) is a network of theirs: how it is recognised, the options it comes to, and
rules that give each of their tensors its name here. Every tensor must be used and every one of ours be given:
what is left over or missing is an error that names it. Their file is read as tensors, never as code.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import torch
from torch import Tensor

from ..audio.options import AudioOptions
from ..features.contract import FeaturesOptions, contract
from ..formats.errors import InputError
from ..formats.run import Run
from ..vad.options import VadOptions
from .importer_rules import Family, State
from .importer_tables import FAMILIES
from .model import WEIGHTS, SpeakerModel, save_model
from .options import ModelOptions

# What each toolkit's recipes train with, all with the mean of the utterance removed and without VAD.
# At extraction nothing is dithered.
FRONT_ENDS: dict[str, dict[str, Any]] = {
    "wespeaker": {"window_type": "hamming"},
    "3dspeaker": {"sample_scale": 1.0},
    "speechbrain": {
        "sample_scale": 1.0,
        "window_type": "hamming",
        "periodic_window": True,
        "round_to_power_of_two": False,
        "preemphasis": 0.0,
        "remove_dc_offset": False,
        "low_freq": 0.0,
        "mel_slopes": "hertz_even",
        "log_offset": 1e-10,
    },
    "redimnet": {
        "sample_scale": 1.0,
        "window_type": "hamming",
        "periodic_window": True,
        "remove_dc_offset": False,
        "high_freq": 7600.0,
        "mel_slopes": "hertz",
        "log_offset": 1e-6,
    },
}


def read_checkpoint(path: Path) -> tuple[State, dict[str, Any]]:
    """Their tensors, from a state dictionary or one inside a dictionary as trainers save it, and what that
    dictionary says of features (``told``)."""
    try:
        found = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError:
        raise InputError("no such file", where=path) from None
    except (OSError, MemoryError) as error:
        raise InputError(f"cannot be read: {getattr(error, 'strerror', None) or error}", where=path) from None
    except Exception as error:  # pickle, zip and torch have their own for what is not a file of tensors
        objects = re.search(r"GLOBAL (\w[\w.]*)", str(error)) or re.search(r"global:? (\w[\w.]*)", str(error))
        said = f"it holds objects of {objects[1]}" if objects else "torch finds none in this file"
        mend = "in the toolkit that it is from: torch.save(model.state_dict(), FILE)" if objects else None
        raise InputError(f"not a state dictionary of tensors: {said}", where=path, mend=mend) from None
    features = told(found.get("model_config")) if isinstance(found, dict) else {}
    for key in ("state_dict", "model", "model_state_dict"):
        if isinstance(found, dict) and isinstance(found.get(key), dict):
            found = found[key]
    if not isinstance(found, dict) or not any(isinstance(value, Tensor) for value in found.values()):
        raise InputError("holds no state dictionary", where=path)
    for key, value in found.items():
        if not isinstance(value, Tensor):
            raise InputError(f"{key} is no tensor", where=path)
        if not bool(value.isfinite().all()):
            raise InputError(f"tensor {key} has numbers that are not finite", where=path)
    return {re.sub(r"^(module|model)\.", "", str(key)): value for key, value in found.items()}, features


def told(config: object) -> dict[str, Any]:
    """Options of features in the ``model_config`` of a file of ReDimNet's authors, at 16 kHz."""
    config = config if isinstance(config, dict) else {}
    inner = config.get("spec_params")
    said = {**(inner if isinstance(inner, dict) else {}), **config}
    said = {name: value for name, value in said.items() if isinstance(value, (int, float))}
    lengths = {"hop_length": "frame_shift_ms", "win_length": "frame_length_ms"}
    edges = {"f_min": "low_freq", "f_max": "high_freq"}
    found = {ours: float(said[name]) / 16 for name, ours in lengths.items() if name in said}
    found |= {ours: float(said[name]) for name, ours in edges.items() if name in said}
    return found | ({} if said.get("do_preemph", True) else {"preemphasis": 0.0})


def recognise(state: State, source: str) -> Family:
    """The family of ``source`` whose marks are all there; InputError if there is none."""
    known = [family for family in FAMILIES if source in family.sources]
    if not known:
        sources = sorted({name for family in FAMILIES for name in family.sources})
        raise InputError(f"unknown source {source!r}", mend=f"one of {', '.join(sources)}")
    for family in known:
        if all(mark in state for mark in family.marks):
            return family
    names = ", ".join(family.name for family in known)
    raise InputError(f"none of {source}'s networks that are known here", mend=f"known: {names}")


def convert(state: State, family: Family) -> tuple[ModelOptions, State]:
    """Our options and tensors. InputError names a tensor that is left over, missing or of another shape."""
    state = family.prepared(state)
    try:
        options = ModelOptions(**family.options(state))
    except KeyError as error:
        raise InputError(f"{family.name}: tensor {error.args[0]} is missing") from None
    with torch.device("meta"):  # shapes alone
        wanted = SpeakerModel(options).state_dict()
    given: State = {}
    for theirs, tensor in state.items():
        if any(re.fullmatch(pattern, theirs) for pattern, _ in family.unused):
            continue
        name, change = _named(theirs, family)
        if name not in wanted:
            raise InputError(f"{family.name}: tensor {theirs} is left over (it would be {name})")
        if name in given:
            raise InputError(f"{family.name}: tensor {theirs} would be {name}, which is there already")
        value = tensor if change is None else change(tensor, state)
        if value.squeeze().shape != wanted[name].squeeze().shape:
            shapes = f"{tuple(value.shape)}, ours {tuple(wanted[name].shape)}"
            raise InputError(f"{family.name}: tensor {theirs} is {shapes} as {name}")
        given[name] = value.reshape(wanted[name].shape).to(wanted[name].dtype).contiguous()
    for name in wanted.keys() - given.keys():
        given[name] = _constant(name, wanted[name], family)
    return options, given


def _named(theirs: str, family: Family) -> tuple[str, Callable[[Tensor, State], Tensor] | None]:
    for rule in family.rules:
        name = rule.name(theirs)
        if name is not None:
            return name, rule.change
    raise InputError(f"{family.name}: tensor {theirs} is left over")


def _constant(name: str, wanted: Tensor, family: Family) -> Tensor:
    if name.endswith("num_batches_tracked"):
        return torch.zeros((), dtype=torch.int64)
    for pattern, value in family.constants:
        if re.fullmatch(pattern, name):
            return torch.full(wanted.shape, value)
    raise InputError(f"{family.name}: nothing in the file is {name}")


def feature_contract(source: str, bins: int, changed: Mapping[str, Any]) -> dict[str, Any]:
    """The feature contract of ``source``'s recipes with ``bins`` mel bins; ``changed``: options on top."""
    known = asdict(FeaturesOptions())
    for name, value in changed.items():
        if name not in known:
            raise InputError(f"features have no option {name}")
        kind = type(known[name])
        if type(value) is not kind and not (kind is float and type(value) is int):
            raise InputError(f"features option {name} is {value!r}", mend=f"it is of type {kind.__name__}")
    features = FeaturesOptions(**{**FRONT_ENDS[source], "num_mel_bins": bins, **changed})
    if features.dim != bins:
        raise InputError(f"these features have {features.dim} numbers a frame, the network takes {bins}")
    made = {
        "features": asdict(features),
        "vad": asdict(VadOptions(method="none")),
        "audio": asdict(AudioOptions(sample_rate=features.sample_rate)),
    }
    return contract(cast(Run, SimpleNamespace(options=made, train_set="")))


def import_weights(
    path: Path, source: str, out: Path, changed: Mapping[str, Any] | None = None
) -> tuple[Family, SpeakerModel]:
    """Write folder ``out`` (model.safetensors, model.json) from ``source``'s checkpoint ``path``.

    ``changed``: options of features that were others than in ``source``'s recipes and than the file says.
    InputError says what is wrong with the file and leaves nothing behind; a model that is in ``out`` stays.
    """
    if (out / WEIGHTS).exists():
        mend = "name another folder, or remove this one"
        raise InputError("there is a model already", where=out, mend=mend)
    state, features = read_checkpoint(path)
    try:
        family = recognise(state, source)
        options, tensors = convert(state, family)
    except InputError as error:
        raise InputError(str(error), where=path) from None
    model = SpeakerModel(options)
    model.load_state_dict(tensors)
    save_model(model, out, feature_contract(source, options.feature_dim, {**features, **(changed or {})}))
    return family, model.eval()

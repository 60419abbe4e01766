"""A model's folder as exported programs: the network alone, and the features before it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.export import Dim, ExportedProgram

from ..formats.errors import InputError
from ..formats.rng import generator
from ..models.model import SpeakerModel, load_model, read_description
from .classes import labels_of, load_classifier, names_of, places, posterior_module
from .engines import without_vad
from .fast import faster
from .front import Front, Whole
from .heard import Heard, recording, voiced_frames

MOST_BATCH, MOST_FRAMES = 1024, 1 << 20
TOLERANCE = 1e-4  # of an x-vector's length


@dataclass(frozen=True)
class Loaded:
    """A model as it is exported; ``contract`` is the feature contract that lies in it.

    ``front`` None: features are not part of what is exported. ``frames``: whether it takes VAD's choice.
    ``labels``: the run's, "" for speakers; ``classifier``: x-vectors -> posteriors of ``classes``.
    """

    model: SpeakerModel
    network: nn.Module
    heard: Heard
    contract: dict[str, Any]
    description: dict[str, Any]
    front: Front | None
    frames: bool
    labels: str = ""
    classes: tuple[str, ...] = ()
    classifier: nn.Module | None = None

    @property
    def inputs(self) -> list[str]:
        """The names of what the exported graph takes."""
        if self.front is None:
            return ["features"]
        return ["samples", "frames"] if self.frames else ["samples"]

    @property
    def least_samples(self) -> int:
        """Samples of the shortest utterance that the network takes."""
        geometry, rate = self.heard.features.geometry, self.heard.features.sample_rate
        begin, end = geometry.span(self.model.min_frames + 1, rate)
        return end - begin

    def meta(self, precision: str) -> dict[str, Any]:
        """What a file says of itself, as JSON takes it."""
        model = self.model.options
        return {
            "format": 1,
            "input": self.inputs[0],
            "inputs": self.inputs,
            "output": "xvector",
            "outputs": ["xvector"] if self.classifier is None else ["xvector", "posterior"],
            "precision": precision,
            "network": model.encoder,
            "pooling": model.pooling,
            "xvector_dim": model.xvector_dim,
            "min_frames": self.model.min_frames,
            "contract": self.contract,
            "vad": self._vad,
            "labels": self.labels,
            "classes": list(self.classes),
        }

    @property
    def _vad(self) -> str:
        method = self.heard.vad.method
        left_out = self.front is not None and self.heard.chooses and not self.frames
        return without_vad(method) if left_out else method


def load(folder: str | Path, *, features: bool, vad: bool = True) -> Loaded:
    """The model of exp/TAG or of a model's folder.

    ``features``: the graph begins at samples. ``vad`` False leaves out the input that says which frames VAD
    keeps: every frame is taken, and x-vectors are other ones where the contract has a VAD. Of a run with
    ``labels`` the loss that tells them apart comes along.
    """
    run, home = places(folder)
    description = read_description(home)
    heard = Heard.of(description["features"], home / "model.json")
    model = load_model(home).requires_grad_(False)
    front = Front(heard).eval() if features else None
    frames = features and vad and heard.chooses
    plain = Loaded(model, faster(model), heard, description["features"], description, front, frames)
    labels = labels_of(run)  # a network of classes says their names; speakers are nobody's business
    if not labels:
        return plain
    if not (home / "head.safetensors").is_file():  # a model that was taken in place of training
        return replace(plain, labels=labels, classes=names_of(home))
    head, names = load_classifier(run, home, model.options.xvector_dim)
    return replace(plain, labels=labels, classes=names, classifier=posterior_module(head))


def example(loaded: Loaded, batch: int, frames: int, seed: int = 0) -> tuple[Tensor, ...]:
    """Inputs of the graph for utterances of ``frames`` frames, of which VAD keeps all but every seventh."""
    rng = generator(seed, "export", "example")
    options = loaded.heard.features
    if loaded.front is None:
        return (torch.from_numpy(rng.standard_normal((batch, frames, options.dim), dtype=np.float32)),)
    begin, end = options.geometry.span(frames, options.sample_rate)
    loudness = np.float32(0.02) * 4 ** rng.standard_normal((batch, 1), dtype=np.float32)
    samples = np.clip(loudness * rng.standard_normal((batch, end - begin), dtype=np.float32), -1, 1)
    count = options.geometry.num_frames(samples.shape[1], options.sample_rate)
    if not loaded.frames:
        return (torch.from_numpy(samples),)
    kept = np.arange(count)
    if count >= 2 * loaded.model.min_frames:
        kept = np.flatnonzero(kept % 7 != 3)
    return torch.from_numpy(samples), torch.from_numpy(np.tile(kept, (batch, 1)))


def program(module: nn.Module, given: Sequence[Tensor], dims: Sequence[dict[int, Any]]) -> ExportedProgram:
    """torch.export of ``module``; a network it cannot follow is an InputError."""
    shapes: Any = (tuple(dims),) if isinstance(module, (Whole, _Star)) else tuple(dims)
    try:
        with torch.no_grad():
            return torch.export.export(module.eval(), tuple(given), dynamic_shapes=shapes)
    except InputError:
        raise
    except Exception as error:  # the exporter's errors are of many classes, and long
        first = str(error).strip().splitlines()[0]
        raise InputError(f"torch.export cannot follow this network: {first}") from None


class _Star(nn.Module):
    """A module called with any number of tensors, for ``program``."""

    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.inner = inner

    def forward(self, *given: Tensor) -> Any:
        return self.inner(*given)


def network_program(loaded: Loaded) -> ExportedProgram:
    """The network alone: features [batch, frames, feature] -> xvector [batch, xvector], both free."""
    dims = {0: Dim("batch", min=1, max=MOST_BATCH), 1: _time("time", loaded.model.min_frames + 1)}
    shape = (2, loaded.model.min_frames + 222, loaded.heard.features.dim)
    features = torch.from_numpy(generator(0, "export", "features").standard_normal(shape, dtype=np.float32))
    return program(loaded.network, (features,), (dims,))


def classifier_program(loaded: Loaded) -> ExportedProgram:
    """The loss alone: xvector [batch, xvector] -> posterior [batch, class]."""
    assert loaded.classifier is not None
    shape = (2, loaded.model.options.xvector_dim)
    given = torch.from_numpy(generator(0, "export", "x-vectors").standard_normal(shape, dtype=np.float32))
    return program(_Star(loaded.classifier), (given,), ({0: Dim("batch", min=1, max=MOST_BATCH)},))


def front_program(loaded: Loaded) -> ExportedProgram:
    """The features alone: samples [batch, time] (and frames [batch, kept]) -> features."""
    assert loaded.front is not None
    return program(_Star(loaded.front), _given(loaded), _free(loaded))


def whole_program(loaded: Loaded) -> ExportedProgram:
    """Features, if they are asked for, and network in one."""
    if loaded.front is None:
        return network_program(loaded)
    return program(Whole(loaded.front, loaded.network), _given(loaded), _free(loaded))  # type: ignore[arg-type]


def _given(loaded: Loaded) -> tuple[Tensor, ...]:
    return example(loaded, 2, loaded.model.min_frames * 2 + 222)


def _time(name: str, least: int, most: int = MOST_FRAMES) -> Any:
    return Dim(name, min=least, max=most)


def _free(loaded: Loaded) -> tuple[dict[int, Any], ...]:
    batch = Dim("batch", min=1, max=MOST_BATCH)
    samples = {0: batch, 1: _time("time", loaded.least_samples, 1 << 28)}
    if not loaded.frames:
        return (samples,)
    return samples, {0: batch, 1: _time("kept", loaded.model.min_frames + 1)}


def reference(loaded: Loaded, given: Sequence[Tensor]) -> NDArray[np.float32]:
    """X-vectors [batch, xvector] of the graph's inputs by torch, with the model as stage 7 has it."""
    with torch.inference_mode():
        features = given[0] if loaded.front is None else loaded.front(*given)
        return loaded.model(features).numpy()


def posterior_reference(loaded: Loaded, xvectors: NDArray[np.float32]) -> NDArray[np.float32]:
    """Posteriors [batch, class] of x-vectors by torch."""
    assert loaded.classifier is not None
    with torch.inference_mode():
        found: NDArray[np.float32] = loaded.classifier(torch.from_numpy(xvectors)).numpy()
    return found


def trials(loaded: Loaded, audio: Sequence[str | Path] = ()) -> list[tuple[str, tuple[Tensor, ...]]]:
    """What an export is compared on: noise of several batches and lengths, and recordings."""
    from .utterances import of_files

    least = loaded.model.min_frames
    found = []
    for batch, frames in ((1, least + 1), (3, 2 * least + 97), (1, 2 * least + 500)):
        found.append((f"noise of {batch} x {frames} frames", example(loaded, batch, frames, seed=frames)))
    if loaded.front is None:
        files = of_files(loaded, audio)
        return [*found, *((name, (torch.from_numpy(matrix[None]),)) for name, matrix in files.items())]
    for file in audio:
        samples = recording(file, None, loaded.heard.audio)
        inputs = [torch.from_numpy(samples[None])]
        if loaded.frames:
            kept = np.flatnonzero(voiced_frames(samples, loaded.heard, file))
            inputs.append(torch.from_numpy(kept[None]))
        found.append((str(file), tuple(inputs)))
    return found


def difference(wanted: NDArray[Any], found: NDArray[Any]) -> float:
    """The largest |found - wanted| / |wanted| of a row; infinity where something is not finite."""
    if found.shape != wanted.shape or not np.isfinite(found).all():
        return float("inf")
    apart = np.linalg.norm(found.astype(np.float64) - wanted, axis=1)
    return float((apart / np.maximum(np.linalg.norm(wanted, axis=1), 1e-20)).max())

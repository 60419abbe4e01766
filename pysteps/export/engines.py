"""The two ways from samples to an x-vector: torch on a model's folder, ONNX Runtime on an exported file."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..extract.options import ExtractOptions
from ..formats.errors import InputError
from .classes import Posteriors, by_name, labels_of, load_classifier, names_of, said_of_classes
from .heard import Heard, Samples, normalised, voiced_frames

META = "timbre"  # the key of what an ONNX file says of itself
Vector = NDArray[np.float32]
Embed = Callable[[Samples, object], Vector]
Classify = Callable[[Samples, object], Posteriors]


@dataclass(frozen=True)
class Engine:
    """``embed`` takes samples of stage 1's kind and their name for messages; ``facts`` are for people.

    ``labels``: the table of labels that the network was trained on, "" for speakers; ``classify`` says how
    likely each of them is, None where that is not to be had. ``notes``: what a user must know.
    """

    heard: Heard
    embed: Embed
    facts: dict[str, Any]
    labels: str = ""
    classify: Classify | None = None
    notes: tuple[str, ...] = ()


def torch_engine(
    folder: Path,
    max_frames: int = ExtractOptions.max_frames,
    device: str = "cpu",
    run: Path | None = None,
    precision: str = "fp32",
) -> Engine:
    """The model of ``folder``, with stages 2, 4 and 7 before it; see SpeakerModel.from_dir.

    ``run``: exp/TAG, which says the labels that its loss tells apart.
    """
    try:
        import torch
    except ImportError:
        mend = "pip install '.[torch]' in Timbre's checkout, or use a file that was exported to ONNX"
        raise InputError("torch is not installed", where=folder, mend=mend) from None
    from ..extract.vectors import embed_all
    from ..features.fbank import Fbank, compute
    from ..models.model import embed, load_model, read_description
    from .fast import ready

    description = read_description(folder)
    heard = Heard.of(description["features"], folder / "model.json")
    model = load_model(folder)
    network = ready(model, device, precision)
    fbank, options = Fbank(heard.features.acoustic()), heard.features

    def do(samples: Samples, where: object) -> Vector:
        voiced = voiced_frames(samples, heard, where)
        matrix = compute(samples, fbank, utt=str(where))
        if options.pitch:
            from ..features.pitch import with_pitch

            matrix = with_pitch(matrix, samples, options)
        features = normalised(matrix, voiced, heard)
        if len(features) < model.min_frames:
            said = f"{len(features)} voiced frames, the network needs {model.min_frames}"
            raise InputError(said, where=where)
        with torch.inference_mode():
            found = embed_all({"": features}, lambda batch: embed(network, batch), 1, max_frames)
        return found[""]

    labels = "" if run is None else labels_of(run)

    @cache
    def classifier() -> Any:  # read when somebody asks: an x-vector needs no loss
        assert run is not None
        return load_classifier(run, folder, model.options.xvector_dim)

    def classify(samples: Samples, where: object) -> Posteriors:
        from ..train.judge import log_posteriors

        head, names = classifier()
        return by_name(names, np.exp(log_posteriors(head, do(samples, where)[None]))[0])

    facts = {
        "precision": precision,
        "network": description["model"]["encoder"],
        "pooling": description["model"]["pooling"],
        "xvector_dim": model.options.xvector_dim,
        "parameters": sum(tensor.numel() for tensor in model.parameters()),
        "shortest": f"{model.min_frames} frames",
        **said_of(description["features"]),
        **said_of_classes(labels, names_of(folder)),
    }
    return Engine(heard, do, facts, labels, classify if labels else None)


def onnx_engine(path: Path, threads: int = 1) -> Engine:
    """An exported file with the features in it; see SpeakerModel.from_onnx."""
    session, meta = opened(path, threads)
    if meta["input"] != "samples":
        mend = "python -m pysteps.export onnx --features yes, or compute the features yourself"
        raise InputError("this file takes features, not samples", where=path, mend=mend)
    heard, facts, notes = Heard.of(meta["contract"], path), said_of(meta["contract"]), []
    if heard.chooses and "frames" not in meta["inputs"]:
        facts["vad"] = without_vad(heard.vad.method)
        notes.append(f"{path}: vad {facts['vad']}: x-vectors are others than the run's own")
        heard = replace(heard, vad=replace(heard.vad, method="none"))
    names, labels = tuple(meta.get("classes", ())), meta.get("labels", "")

    def run(output: str, samples: Samples, where: object) -> NDArray[np.float32]:
        kept = np.flatnonzero(voiced_frames(samples, heard, where))
        if len(kept) < meta["min_frames"]:
            said = f"{len(kept)} voiced frames, the network needs {meta['min_frames']}"
            raise InputError(said, where=where)
        given: dict[str, NDArray[Any]] = {"samples": samples[None]}
        if "frames" in meta["inputs"]:
            given["frames"] = kept[None].astype(np.int64)
        (found,) = session.run([output], given)
        return np.asarray(found[0], np.float32)

    def do(samples: Samples, where: object) -> Vector:
        return run("xvector", samples, where)

    def classify(samples: Samples, where: object) -> Posteriors:
        return by_name(names, run("posterior", samples, where))

    told = {key: meta[key] for key in ("network", "pooling", "xvector_dim", "precision")}
    able = classify if "posterior" in meta.get("outputs", ()) else None
    return Engine(heard, do, {**told, **facts, **said_of_classes(labels, names)}, labels, able, tuple(notes))


def without_vad(method: str) -> str:
    """What a file says of the VAD ``method`` that it leaves out."""
    return f"none in this file (the model's run: {method})"


def opened(path: Path, threads: int = 1) -> tuple[Any, dict[str, Any]]:
    """An ONNX Runtime session of ``path`` and what the file says of itself. InputError for any other file."""
    if not path.is_file():
        raise InputError("no such file", where=path)
    try:
        import onnxruntime
    except ImportError:
        mend = "pip install '.[onnx]' in Timbre's checkout"
        raise InputError("onnxruntime is not installed", where=path, mend=mend) from None
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.log_severity_level = 3
    try:
        session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        meta = json.loads(session.get_modelmeta().custom_metadata_map[META])
    except KeyError:
        mend = "python -m pysteps.export onnx writes them"
        raise InputError("an ONNX file, but not one of Timbre's", where=path, mend=mend) from None
    except Exception as error:  # onnxruntime has a dozen exception classes of its own
        first = str(error).splitlines()[0]
        raise InputError(f"cannot be read as ONNX: {first}", where=path) from None
    return session, meta


def said_of(contract: Mapping[str, Any]) -> dict[str, Any]:
    """What people ask first about a feature contract."""
    features = contract["features"]
    return {
        "features": f"{features['kind']}, {contract['dim']} numbers a frame, cmvn {features['cmvn']}",
        "sample_rate": features["sample_rate"],
        "vad": contract["vad"]["method"],
    }

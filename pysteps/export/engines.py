"""The two ways from samples to an x-vector: torch on a model's folder, ONNX Runtime on an exported file."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..extract.options import ExtractOptions
from ..formats.errors import InputError
from .heard import Heard, Samples, normalised, voiced_frames

META = "timbre"  # the key of what an ONNX file says of itself
Vector = NDArray[np.float32]
Embed = Callable[[Samples, object], Vector]


@dataclass(frozen=True)
class Engine:
    """``embed`` takes samples of stage 1's kind and their name for messages; ``facts`` are for people."""

    heard: Heard
    embed: Embed
    facts: dict[str, Any]


def torch_engine(folder: Path, max_frames: int = ExtractOptions.max_frames, device: str = "cpu") -> Engine:
    """The model of ``folder``, with stages 2, 4 and 7 before it; see SpeakerModel.from_dir."""
    try:
        import torch
    except ImportError:
        mend = "pip install '.[torch]' in Timbre's checkout, or use a file that was exported to ONNX"
        raise InputError("torch is not installed", where=folder, mend=mend) from None
    from ..extract.vectors import embed_all
    from ..features.fbank import Fbank, compute
    from ..models.model import embed, load_model, read_description
    from .fast import faster, packed

    description = read_description(folder)
    heard = Heard.of(description["features"], folder / "model.json")
    model = load_model(folder)
    try:
        network = packed(faster(model)) if device == "cpu" else faster(model).to(device)
    except (RuntimeError, AssertionError) as error:  # a build without CUDA, a name that is none
        raise InputError(f"no device {device!r}: {str(error).splitlines()[0]}", mend="device='cpu'") from None
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

    facts = {
        "network": description["model"]["encoder"],
        "pooling": description["model"]["pooling"],
        "xvector_dim": model.options.xvector_dim,
        "parameters": sum(tensor.numel() for tensor in model.parameters()),
        "shortest": f"{model.min_frames} frames",
        **said_of(description["features"]),
    }
    return Engine(heard, do, facts)


def onnx_engine(path: Path, threads: int = 1) -> Engine:
    """An exported file with the features in it; see SpeakerModel.from_onnx."""
    session, meta = opened(path, threads)
    if meta["input"] != "samples":
        mend = "python -m pysteps.export onnx --features yes, or compute the features yourself"
        raise InputError("this file takes features, not samples", where=path, mend=mend)
    heard = Heard.of(meta["contract"], path)

    def do(samples: Samples, where: object) -> Vector:
        kept = np.flatnonzero(voiced_frames(samples, heard, where))
        if len(kept) < meta["min_frames"]:
            said = f"{len(kept)} voiced frames, the network needs {meta['min_frames']}"
            raise InputError(said, where=where)
        given: dict[str, NDArray[Any]] = {"samples": samples[None]}
        if "frames" in meta["inputs"]:
            given["frames"] = kept[None].astype(np.int64)
        (found,) = session.run(["xvector"], given)
        return np.asarray(found[0], np.float32)

    facts = {key: meta[key] for key in ("network", "pooling", "xvector_dim", "precision")}
    return Engine(heard, do, {**facts, **said_of(meta["contract"])})


def opened(path: Path, threads: int = 1) -> tuple[Any, dict[str, Any]]:
    """An ONNX Runtime session of ``path`` and what the file says of itself. InputError for any other file."""
    try:
        import onnxruntime
    except ImportError:
        mend = "pip install '.[onnx]' in Timbre's checkout"
        raise InputError("onnxruntime is not installed", where=path, mend=mend) from None
    if not path.is_file():
        raise InputError("no such file", where=path)
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

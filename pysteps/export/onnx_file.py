"""ONNX files: the network and the features before it, joined, described, checked before they are written."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from torch.export import ExportedProgram

from ..formats.atomic import replacing
from ..formats.errors import InputError
from .engines import META
from .graphs import (
    TOLERANCE,
    Loaded,
    classifier_program,
    difference,
    front_program,
    network_program,
    posterior_reference,
    reference,
    trials,
)

_MEND = "pip install '.[export]' in Timbre's checkout"
OPSET = 18


def library() -> Any:
    """onnx; InputError where it, onnxscript or onnxruntime is not installed."""
    try:
        import onnx
        import onnxruntime  # noqa: F401 - for the check
        import onnxscript  # noqa: F401 - torch's exporter needs it
    except ImportError as error:
        raise InputError(f"exporting needs the package {error.name}", mend=_MEND) from None
    # It says at every start that torchvision is missing, which nothing here needs.
    logging.getLogger("torch.onnx._internal.exporter._registration").setLevel(logging.ERROR)
    return onnx


def as_onnx(program: ExportedProgram, inputs: Sequence[str], output: str) -> Any:
    """An exported program as an ONNX ModelProto whose weights are inside."""
    import torch

    onnx, buffer = library(), io.BytesIO()
    made = torch.onnx.export(
        program,
        dynamo=True,
        verbose=False,
        opset_version=OPSET,
        input_names=list(inputs),
        output_names=[output],
    )
    if made is None:
        raise InputError("torch.onnx gave no graph")
    made.save(buffer)  # type: ignore[arg-type]
    return onnx.load_from_string(buffer.getvalue())


def network_graph(loaded: Loaded) -> Any:
    """features [batch, time, feature] -> xvector."""
    return as_onnx(network_program(loaded), ["features"], "xvector")


def joined(loaded: Loaded, network: Any) -> Any:
    """``network`` with the features before it, if they are asked for, and posteriors behind it, if it has
    classes."""
    onnx = library()
    if loaded.classifier is not None:
        behind = as_onnx(classifier_program(loaded), ["vector"], "posterior")
        behind = onnx.compose.add_prefix(behind, "classes_", rename_inputs=False, rename_outputs=False)
        network.ir_version = behind.ir_version = min(network.ir_version, behind.ir_version)
        network = onnx.compose.merge_models(
            network, behind, io_map=[("xvector", "vector")], outputs=["xvector", "posterior"]
        )
    if loaded.front is None:
        return network
    front = as_onnx(front_program(loaded), loaded.inputs, "features")
    front = onnx.compose.add_prefix(front, "front_", rename_inputs=False, rename_outputs=False)
    network = onnx.compose.add_prefix(network, "network_", rename_inputs=True, rename_outputs=False)
    front.ir_version = network.ir_version = min(front.ir_version, network.ir_version)
    return onnx.compose.merge_models(front, network, io_map=[("features", "network_features")])


def described(model: Any, meta: dict[str, Any]) -> bytes:
    """The bytes of ``model`` with ``meta`` inside, and without what exporters leave of this machine."""
    onnx = library()
    del model.metadata_props[:]
    for holder in (model.graph, *model.graph.node, *model.graph.value_info, *model.graph.initializer):
        if hasattr(holder, "metadata_props"):
            del holder.metadata_props[:]
        holder.doc_string = ""
    model.doc_string = ""
    onnx.helper.set_model_props(model, {META: json.dumps(meta, sort_keys=True, ensure_ascii=False)})
    onnx.checker.check_model(model)
    return model.SerializeToString(deterministic=True)


def export_onnx(
    loaded: Loaded, out: Path, audio: Sequence[str | Path] = (), precision: str = "fp32"
) -> dict[str, float]:
    """Write ``out`` and return how far its x-vectors are from torch's, by what they were compared on.

    InputError, and no file, if one is farther than 1e-4 of the x-vector's length.
    """
    data = described(joined(loaded, network_graph(loaded)), loaded.meta(precision))
    found = compared(loaded, data, trials(loaded, audio))
    worst = max(found, key=lambda name: found[name])
    if not found[worst] <= TOLERANCE:
        said = f"ONNX Runtime's x-vector differs by {found[worst]:.1e} of its length on {worst}"
        raise InputError(f"{said}: nothing was written", where=out)
    with replacing(out, "wb") as handle:
        handle.write(data)
    return found


def compared(loaded: Loaded, data: bytes, given: Sequence[tuple[str, Any]]) -> dict[str, float]:
    """Relative differences of the x-vectors of the graph ``data`` from torch's; that of posteriors, absolute,
    where it is larger."""
    session = session_of(data)
    found = {}
    for name, inputs in given:
        values = {key: value.numpy() for key, value in zip(loaded.inputs, inputs, strict=True)}
        (vectors,) = session.run(["xvector"], values)
        wanted = reference(loaded, inputs)
        found[name] = difference(wanted, np.asarray(vectors))
        if loaded.classifier is not None:
            (posteriors,) = session.run(["posterior"], values)
            apart = np.abs(posteriors - posterior_reference(loaded, wanted)).max()
            found[name] = max(found[name], float(apart))
    return found


def session_of(data: bytes, threads: int = 1) -> Any:
    """An ONNX Runtime session on the CPU."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(data, options, providers=["CPUExecutionProvider"])

"""The network in 8 bits: ONNX Runtime's static quantisation, calibrated on real utterances, judged on others.

Weights are of 8 bits a channel, activations of 8 bits with ranges seen on the calibration utterances. What is
quantised are convolutions and products with weights; features, statistics and the projector stay in 32 bits.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..formats.atomic import replacing
from ..formats.errors import InputError
from ..formats.rng import generator
from .graphs import Loaded
from .onnx_file import described, joined, library, network_graph, session_of

LEAST_COSINE = 0.98
Features = Mapping[str, NDArray[np.float32]]


@dataclass(frozen=True)
class Loss:
    """What 8 bits cost, over ``utterances`` that the calibration has not seen (``again``: there were none but
    its own); sizes are of the files. ``too_short``: utterances that the network does not take."""

    utterances: int
    mean_cosine: float
    least_cosine: float
    bytes_before: int
    bytes_after: int
    again: bool = False
    too_short: int = 0


def divided(names: Sequence[str], calibrate: int, seed: int = 0) -> tuple[list[str], list[str]]:
    """``calibrate`` of ``names``, drawn, and the others (all again where none is left)."""
    if not names:
        raise InputError("no utterances to calibrate on")
    order = generator(seed, "export", "int8").permutation(len(names))
    drawn = [names[place] for place in sorted(order[:calibrate])]
    left = [names[place] for place in sorted(order[calibrate:])]
    return drawn, left or drawn


def export_int8(
    loaded: Loaded, out: Path, features: Features, calibrate: int = 50, least: float = LEAST_COSINE
) -> Loss:
    """Write ``out``: the network of ``loaded`` in 8 bits, with the features before it if they are asked for.

    ``features``: utterance -> [time, feature] after CMVN and VAD; ``calibrate`` of them are drawn for the
    ranges, the others are what the loss is measured on. InputError, and no file, for a mean cosine below
    ``least``.
    """
    least_frames = loaded.model.min_frames
    usable = sorted(name for name, matrix in features.items() if len(matrix) >= least_frames)
    if not usable:
        raise InputError(f"no utterance has the {least_frames} voiced frames that the network needs")
    chosen, others = divided(usable, calibrate)
    whole = described(network_graph(loaded), {})
    small = quantised(whole, [features[name] for name in chosen])
    before, after = (_vectors(data, [features[name] for name in others]) for data in (whole, small))
    cosines = _cosines(before, after)
    graph = joined(loaded, library().load_from_string(small))
    data = described(graph, loaded.meta("int8"))
    loss = Loss(
        len(others),
        float(cosines.mean()),
        float(cosines.min()),
        len(whole),
        len(data),
        again=others == chosen,
        too_short=len(features) - len(usable),
    )
    if not loss.mean_cosine >= least:
        said = f"in 8 bits x-vectors have a mean cosine of {loss.mean_cosine:.4f} to what they were"
        raise InputError(f"{said}: nothing was written", where=out, mend="calibrate on more utterances")
    with replacing(out, "wb") as handle:
        handle.write(data)
    return loss


def quantised(data: bytes, features: Sequence[NDArray[np.float32]]) -> bytes:
    """The ONNX network ``data`` in 8 bits, its ranges from ``features`` [time, feature] of utterances."""
    from onnxruntime.quantization import (
        CalibrationDataReader,
        QuantFormat,
        QuantType,
        quantize_static,
    )
    from onnxruntime.quantization.shape_inference import quant_pre_process

    class Reader(CalibrationDataReader):  # type: ignore[misc]
        """One utterance after the other."""

        def __init__(self) -> None:
            self._left: Iterator[NDArray[np.float32]] = iter(features)

        def get_next(self) -> dict[str, Any] | None:
            """The next utterance's input, None at the end."""
            matrix = next(self._left, None)
            return None if matrix is None else {"features": matrix[None]}

    # Its tools want files.
    with tempfile.TemporaryDirectory(prefix="timbre.") as folder:
        first, ready, done = (Path(folder) / f"{name}.onnx" for name in ("first", "ready", "done"))
        first.write_bytes(data)
        quant_pre_process(str(first), str(ready), skip_symbolic_shape=True)
        quantize_static(
            str(ready),
            str(done),
            Reader(),
            quant_format=QuantFormat.QDQ,
            op_types_to_quantize=["Conv", "MatMul"],
            nodes_to_exclude=_without_weights(ready),
            per_channel=True,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
        )
        return done.read_bytes()


def _without_weights(path: Path) -> list[str]:
    # Products of two activations are means and variances: small, and 8 bits are too few for them.
    graph = library().load(str(path)).graph
    weights = {tensor.name for tensor in graph.initializer}
    return [
        node.name for node in graph.node if node.op_type == "MatMul" and not weights.intersection(node.input)
    ]


def _vectors(data: bytes, features: Sequence[NDArray[np.float32]]) -> NDArray[np.float64]:
    session = session_of(data)
    rows = [session.run(["xvector"], {"features": matrix[None]})[0][0] for matrix in features]
    return np.asarray(rows, np.float64)


def _cosines(one: NDArray[np.float64], other: NDArray[np.float64]) -> NDArray[np.float64]:
    length = np.linalg.norm(one, axis=1) * np.linalg.norm(other, axis=1)
    found: NDArray[np.float64] = np.einsum("nd,nd->n", one, other) / np.maximum(length, 1e-20)
    return found

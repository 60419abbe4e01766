"""Silero's network (version 6, 16 kHz) on the weights that the package silero_vad carries.

The package's own model walks through a recording window by window. Only its LSTM has to: here the
windows of a block go through STFT and convolutions as one batch and through the LSTM as one sequence,
whose state the next block takes over. The same probabilities, many times as fast.

The weights are the initialisers of the package's silero_vad_16k_sequence.onnx: plain tensors, no code (its
silero_vad.jit is a program, and its .safetensors holds an earlier version's weights).
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from ..formats.errors import InputError
from .silero import RATE, WINDOW, Probabilities
from .windows import blocks

FILE = "data/silero_vad_16k_sequence.onnx"
_CONTEXT = 64  # samples of the window before that each window sees again
_BATCH = 128  # windows at once: 4 s; more do not fit the cache


class SileroNetwork(nn.Module):
    """STFT magnitudes, four convolutions, an LSTM over the windows, and a sigmoid."""

    def __init__(self) -> None:
        super().__init__()
        self.stft = nn.Conv1d(1, 258, 256, stride=128, bias=False)
        self.convolutions = nn.ModuleList(
            [
                nn.Conv1d(129, 128, 3, stride=1, padding=1),
                nn.Conv1d(128, 64, 3, stride=2, padding=1),
                nn.Conv1d(64, 64, 3, stride=2, padding=1),
                nn.Conv1d(64, 128, 3, stride=1, padding=1),
            ]
        )
        self.lstm = nn.LSTM(128, 128)
        self.output = nn.Linear(128, 1)

    def forward(
        self, windows: torch.Tensor, state: tuple[torch.Tensor, torch.Tensor] | None = None
    ) -> tuple[torch.Tensor, tuple[torch.Tensor, torch.Tensor]]:
        """Probabilities [windows] of consecutive ``windows`` [windows, 64 + 512], and the LSTM's state."""
        padded = functional.pad(windows, (0, 64), mode="reflect")
        real, imaginary = self.stft(padded[:, None]).chunk(2, dim=1)
        hidden = (real.square() + imaginary.square()).sqrt()  # [windows, 129, 4]
        for convolution in self.convolutions:
            hidden = convolution(hidden).relu()
        sequence, state = self.lstm(hidden[:, :, 0], state)
        return self.output(sequence.relu()).sigmoid()[:, 0], state


def load() -> Probabilities:
    """(samples [time] in [-1, 1), rate) -> (probabilities float32 [windows], samples at 16 kHz).

    The last, incomplete window is filled up with zeros. InputError without the package silero_vad.
    """
    network = _network(_weights())

    def probabilities(samples: np.ndarray, rate: int) -> tuple[np.ndarray, int]:
        found, length, state = [np.zeros(0, np.float32)], 0, None
        buffer = np.zeros(_CONTEXT + _BATCH * WINDOW, np.float32)
        with torch.inference_mode(), _one_thread():
            for block in blocks(samples, rate, RATE, _BATCH * WINDOW):
                buffer[_CONTEXT : _CONTEXT + len(block)] = block
                buffer[_CONTEXT + len(block) :] = 0
                count, length = -(-len(block) // WINDOW), length + len(block)
                windows = torch.from_numpy(buffer).unfold(0, _CONTEXT + WINDOW, WINDOW)[:count]
                made, state = network(windows, state)
                found.append(made.numpy())
                buffer[:_CONTEXT] = buffer[-_CONTEXT:]
        return np.concatenate(found), length

    return probabilities


def _network(weights: dict[str, torch.Tensor]) -> SileroNetwork:
    network = SileroNetwork()
    try:
        network.load_state_dict(weights)
    except RuntimeError as error:
        raise InputError(f"another network than version 6: {error}", where=FILE, mend=_MEND) from None
    return network.eval()


_MEND = "pip install 'silero-vad>=6.2,<7' 'onnx>=1.16'"


def _weights() -> dict[str, torch.Tensor]:
    # find_spec does not run the package: it would import what Timbre has no use for.
    spec = find_spec("silero_vad")
    places = (spec.submodule_search_locations or []) if spec else []
    path = next((Path(place) / FILE for place in places if (Path(place) / FILE).is_file()), None)
    if path is None or find_spec("onnx") is None:
        missing = "silero_vad" if path is None else "onnx"
        raise InputError(f"method silero needs the package {missing}", mend=_MEND)
    import onnx
    from onnx import numpy_helper

    try:
        graph = onnx.load(str(path), load_external_data=False).graph
    except Exception as error:  # protobuf has its own exception classes for a broken file
        raise InputError(f"cannot be read: {error}", where=path, mend=_MEND) from None
    if any(tensor.data_location == onnx.TensorProto.EXTERNAL for tensor in graph.initializer):
        raise InputError("weights in other files, which version 6 has not", where=path, mend=_MEND)
    arrays = {
        tensor.name: torch.from_numpy(numpy_helper.to_array(tensor).copy()) for tensor in graph.initializer
    }
    recurrent = next((node for node in graph.node if node.op_type == "LSTM"), None)
    if recurrent is None or "output.weight" not in arrays:
        raise InputError("another network than version 6", where=path, mend=_MEND)
    into, back, bias = (arrays[name] for name in recurrent.input[1:4])
    biases = bias[0].chunk(2)
    layers = {
        name.replace("encoder", "convolutions").replace("stft.forward_basis_buffer", "stft.weight"): array
        for name, array in arrays.items()
        if name.startswith(("stft", "encoder", "output"))
    }
    return {
        **layers,
        "output.weight": arrays["output.weight"][:, :, 0],
        "lstm.weight_ih_l0": _torch_order(into[0]),
        "lstm.weight_hh_l0": _torch_order(back[0]),
        "lstm.bias_ih_l0": _torch_order(biases[0]),
        "lstm.bias_hh_l0": _torch_order(biases[1]),
    }


def _torch_order(gates: torch.Tensor) -> torch.Tensor:
    # ONNX: input, output, forget, cell. torch: input, forget, cell, output.
    first, output, forget, cell = gates.chunk(4)
    return torch.cat((first, forget, cell, output))


@contextmanager
def _one_thread() -> Iterator[None]:
    # The number of threads decides the bits; whoever calls gets theirs back.
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)

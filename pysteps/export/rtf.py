"""Real-time factors: seconds of work a second of audio, on one thread.

Medians of the processor's own seconds, so a neighbour on the machine counts little; on a machine that does
nothing else they are what a clock shows. VAD is not counted: every frame is kept.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..features.contract import FeaturesOptions
from ..formats.errors import InputError
from ..formats.rng import generator

ROW = "{:<16} {:>7}" + " {:>12}" * 6


def table(
    networks: Sequence[str], seconds: Sequence[float], repeats: int = 20, *, int8: bool = False
) -> Iterator[str]:
    """Lines of a table: network, seconds of audio, then torch and ONNX Runtime without and with features.

    bf16 is torch in bf16 and int8 ONNX Runtime in 8 bits, both with features.
    """
    import torch

    torch.set_num_threads(1)
    yield ROW.format(
        "network", "seconds", "torch", "+ features", "bf16 + f.", "onnx", "+ features", "int8 + f."
    )
    for name in networks:
        yield from measured(name, seconds, repeats, int8=int8)


def measured(name: str, seconds: Sequence[float], repeats: int, *, int8: bool) -> Iterator[str]:
    """The rows of one network."""
    import torch

    from ..features.fbank import Fbank, compute
    from .fast import PRECISIONS, ready
    from .graphs import load
    from .int8_file import quantised
    from .onnx_file import described, joined, library, network_graph, session_of

    with tempfile.TemporaryDirectory(prefix="timbre.") as scratch:
        loaded = load(_folder(name, Path(scratch)), features=True, vad=False)
        networks = {one: ready(loaded.model, precision=one) for one in PRECISIONS}
        options = loaded.heard.features
        fbank = Fbank(options.acoustic())
        graph = network_graph(loaded)
        graphs = {"onnx+": described(joined(loaded, graph), {}), "onnx": described(graph, {})}
        if int8:
            small = library().load_from_string(quantised(graphs["onnx"], _drawn(options.dim)))
            graphs["int8"] = described(joined(loaded, small), {})
        sessions = {key: session_of(data) for key, data in graphs.items()}
    for length in seconds:
        samples = _noise(length, options.sample_rate)
        features = compute(samples, fbank, utt="noise")
        batch = torch.from_numpy(features[None])

        def in_torch(precision: str, samples: NDArray[np.float32] = samples) -> Any:
            found = compute(samples, fbank, utt="noise")
            return networks[precision](torch.from_numpy((found - found.mean(0))[None]))

        def in_onnx(key: str, given: dict[str, Any]) -> Callable[[], Any]:
            return lambda: sessions[key].run(["xvector"], given)

        whole = {"samples": samples[None]}
        with torch.inference_mode():
            work: list[Callable[[], Any]] = [
                lambda batch=batch: networks["fp32"](batch),  # type: ignore[misc]
                lambda do=in_torch: do("fp32"),  # type: ignore[misc]
                lambda do=in_torch: do("bf16"),  # type: ignore[misc]
                in_onnx("onnx", {"features": features[None]}),
                in_onnx("onnx+", whole),
            ]
            work += [in_onnx("int8", whole)] if int8 else []
            times = [f"{median(one, repeats) / length:.5f}" for one in work]
        yield ROW.format(name, f"{length:g}", *times, *([] if int8 else ["-"]))


def median(work: Callable[[], Any], repeats: int) -> float:
    """The median of the processor's seconds over ``repeats`` calls, after two that do not count."""
    times = []
    for number in range(repeats + 2):
        began = time.process_time()
        work()
        if number > 1:
            times.append(time.process_time() - began)
    return statistics.median(times)


def _noise(seconds: float, rate: int) -> NDArray[np.float32]:
    rng = generator(0, "export", "noise")
    return (0.1 * rng.standard_normal(round(seconds * rate))).astype(np.float32)


def _folder(name: str, scratch: Path) -> Path:
    # A trained model as it is; a network of conf/models with random weights, which cost the same time.
    if Path(name).is_dir():
        return Path(name)
    import torch

    from ..formats.checkout import CHECKOUT
    from ..models.model import SpeakerModel, save_model
    from ..models.zoo import read_options

    path = CHECKOUT / "conf" / "models" / f"{name}.yaml"
    if not path.is_file():
        known = ", ".join(sorted(one.stem for one in path.parent.glob("*.yaml")))
        raise InputError(f"no model and no network {name!r}", mend=f"a folder, or one of {known}")
    torch.manual_seed(0)
    options = read_options(path)
    save_model(SpeakerModel(options).eval(), scratch, _contract(options.feature_dim))
    return scratch


def _contract(bins: int) -> dict[str, Any]:
    from types import SimpleNamespace
    from typing import cast

    from ..audio.options import AudioOptions
    from ..features.contract import contract
    from ..formats.run import Run
    from ..vad.options import VadOptions

    features = FeaturesOptions(num_mel_bins=bins)
    made = {"features": vars(features), "vad": vars(VadOptions()), "audio": vars(AudioOptions())}
    return contract(cast(Run, SimpleNamespace(options=made, train_set="")))


def _drawn(dim: int) -> list[NDArray[np.float32]]:
    rng = generator(0, "export", "drawn")
    return [rng.standard_normal((300, dim)).astype(np.float32) for _ in range(4)]

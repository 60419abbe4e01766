"""Silero: the package's own probabilities and stretches, carried onto the feature frames."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import soundfile
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from pysteps.audio.filters import resample
from pysteps.formats.errors import InputError
from pysteps.formats.frames import FrameGeometry
from pysteps.vad import silero_network
from pysteps.vad.silero import Probabilities, silero_vad, stretches

PACKAGE = Path(importlib.util.find_spec("silero_vad").submodule_search_locations[0])  # type: ignore[union-attr,index]
GEOMETRY = FrameGeometry()


@pytest.fixture(scope="module")
def network() -> Probabilities:
    """Timbre's way from samples to probabilities."""
    return silero_network.load()


@pytest.fixture(scope="module")
def package() -> ModuleType:
    """The package's utils_vad, without the package: its start changes torch's threads for everybody."""
    spec = importlib.util.spec_from_file_location("silero_utils_vad", PACKAGE / "utils_vad.py")
    module = importlib.util.module_from_spec(spec)  # type: ignore[arg-type]
    spec.loader.exec_module(module)  # type: ignore[union-attr]
    return module


@pytest.fixture(scope="module")
def speech(shared_data: Path) -> np.ndarray:
    """1.4 s of speech with 0.7 s of nothing on each side, at 16 kHz."""
    samples, _ = soundfile.read(shared_data / "reference/kaldi_feat/test.wav", dtype="float32")
    return np.pad(samples, 11200)


@pytest.mark.filterwarnings("ignore:.*torch.jit.load:DeprecationWarning")
def test_probabilities_are_the_packages(network: Probabilities, shared_data: Path) -> None:
    path = min((shared_data / "LibriSpeech/test-other").rglob("*.flac"))
    samples = np.resize(soundfile.read(path, dtype="float32")[0], 16000 * 6 + 77)  # 188 windows: two blocks
    theirs = torch.jit.load(str(PACKAGE / "data" / "silero_vad.jit")).eval()
    theirs.reset_states()
    padded = torch.from_numpy(np.pad(samples, (0, -len(samples) % 512)))
    with torch.no_grad():
        wanted = [theirs(window, 16000).item() for window in padded.split(512)]
    found, length = network(samples, 16000)
    assert length == len(samples)
    assert max(wanted) > 0.9 and min(wanted) < 0.1
    np.testing.assert_allclose(found, wanted, atol=1e-4)


def test_blocks_leave_no_seam(
    network: Probabilities, speech: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole, _ = network(speech, 16000)
    monkeypatch.setattr(silero_network, "_BATCH", 7)
    np.testing.assert_allclose(silero_network.load()(speech, 16000)[0], whole, atol=1e-6)


@settings(max_examples=300, deadline=None)
@given(
    levels=st.lists(st.integers(0, 20), max_size=60),
    missing=st.integers(0, 511),
    threshold=st.sampled_from([0.1, 0.5, 0.7]),
    min_speech=st.sampled_from([0, 32, 64, 250]),
    min_silence=st.sampled_from([0, 32, 64, 100]),
    pad=st.sampled_from([0, 16, 30, 200]),
)
def test_stretches_are_the_packages(
    package: ModuleType,
    levels: list[int],
    missing: int,
    threshold: float,
    min_speech: int,
    min_silence: int,
    pad: int,
) -> None:
    probabilities = np.array(levels, np.float32) / np.float32(20)
    length = max(0, 512 * len(levels) - missing)
    theirs = package.get_speech_timestamps_from_probs(
        probabilities.tolist(),
        threshold=threshold,
        min_speech_duration_ms=min_speech,
        min_silence_duration_ms=min_silence,
        speech_pad_ms=pad,
        audio_length_samples=length,
    )
    mine = stretches(
        probabilities,
        length,
        threshold=threshold,
        min_speech_ms=min_speech,
        min_silence_ms=min_silence,
        pad_ms=pad,
    )
    assert mine == [(found["start"], found["end"]) for found in theirs]


def test_speech_goes_on_between_the_two_thresholds() -> None:
    probabilities = np.array([0.4, 0.6, 0.4, 0.4, 0.3, 0.3, 0.3, 0.3, 0.4], np.float32)
    found = stretches(probabilities, 9 * 512, min_speech_ms=0, min_silence_ms=64, pad_ms=0)
    assert found == [(512, 4 * 512)]  # 0.4 neither begins speech nor ends it; 0.3 ends it
    found = stretches(
        probabilities, 9 * 512, hysteresis=0.05, min_speech_ms=0, min_silence_ms=64, pad_ms=0
    )
    assert found == [(512, 2 * 512)]


@pytest.mark.parametrize("rate", [8000, 16000, 44100])
def test_a_frame_has_the_decision_at_its_middle(rate: int) -> None:
    def second_window(samples: np.ndarray, rate: int) -> tuple[np.ndarray, int]:
        return np.array([0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0], np.float32), 5632

    samples = np.zeros(rate * 352 // 1000, np.float32)
    voiced = silero_vad(
        samples, rate, GEOMETRY, second_window, min_speech_ms=0, min_silence_ms=0, pad_ms=0
    )
    # 32 to 64 ms; the middles lie at 12.5, 22.5, 32.5, ... 62.5 ms
    assert np.flatnonzero(voiced).tolist() == [2, 3, 4, 5]
    assert len(voiced) == GEOMETRY.num_frames(len(samples), rate)


@pytest.mark.parametrize("rate", [8000, 16000, 22050, 48000])
def test_every_rate_finds_the_speech(network: Probabilities, speech: np.ndarray, rate: int) -> None:
    voiced = silero_vad(resample(speech, 16000, rate), rate, GEOMETRY, network)
    assert voiced[80:190].mean() > 0.7
    assert voiced[:60].mean() < 0.1


@settings(max_examples=40, deadline=None)
@given(
    length=st.integers(0, 3000),
    rate=st.sampled_from([8000, 16000, 44100, 48000]),
    snip=st.booleans(),
    shape=st.sampled_from(["dc", "square", "zeros"]),
)
def test_any_length_gives_a_decision_a_frame(
    network: Probabilities, length: int, rate: int, snip: bool, shape: str
) -> None:
    signal = {"dc": np.full(length, 0.9), "zeros": np.zeros(length)}
    signal["square"] = np.where(np.arange(length) // 40 % 2, 1.0, -1.0)
    geometry = FrameGeometry(snip_edges=snip)
    samples = signal[shape].astype(np.float32)
    assert np.isfinite(network(samples, rate)[0]).all()
    voiced = silero_vad(samples, rate, geometry, network)
    assert voiced.dtype == bool and voiced.shape == (geometry.num_frames(length, rate),)


def test_torch_keeps_its_threads(network: Probabilities) -> None:
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        network(np.zeros(1000, np.float32), 16000)
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)


@pytest.mark.parametrize("missing", ["silero_vad", "onnx"])
def test_a_missing_package_is_named(missing: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        silero_network,
        "find_spec",
        lambda name: None if name == missing else importlib.util.find_spec(name),
    )
    with pytest.raises(InputError, match=f"needs the package {missing} .*pip install"):
        silero_network.load()


@pytest.mark.parametrize("kind", ["damaged", "elsewhere"])
def test_a_file_that_is_not_the_networks_is_refused(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Weights "elsewhere" would be read from any file that the entry names."""
    import onnx

    path = tmp_path / silero_network.FILE
    path.parent.mkdir(parents=True)
    (tmp_path / "secret").write_bytes(bytes(4))
    tensor = onnx.TensorProto(name="output.weight", data_type=1, dims=[1])
    tensor.data_location = onnx.TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value=str(tmp_path / "secret"))
    model = onnx.ModelProto(graph=onnx.GraphProto(initializer=[tensor]))
    path.write_bytes(model.SerializeToString() if kind == "elsewhere" else b"\xff" * 50)
    spec = ModuleType("spec")
    spec.submodule_search_locations = [str(tmp_path)]
    monkeypatch.setattr(
        silero_network,
        "find_spec",
        lambda name: spec if name == "silero_vad" else importlib.util.find_spec(name),
    )
    with pytest.raises(InputError, match="cannot be read" if kind == "damaged" else "in other files"):
        silero_network.load()


@pytest.mark.parametrize("wrong", [{"threshold": 0}, {"threshold": 1}, {"hysteresis": -0.1}, {"pad_ms": -1}])
def test_impossible_options_are_refused(network: Probabilities, wrong: dict) -> None:
    with pytest.raises(InputError):
        silero_vad(np.zeros(1600, np.float32), 16000, GEOMETRY, network, **wrong)


def test_only_silero_pays_for_torch(repo: Path) -> None:
    program = (
        "import sys; from pysteps.vad.decide import decider; from pysteps.vad.options import VadOptions\n"
        "for method in ('energy', 'webrtc', 'none'): decider(VadOptions(method=method))\n"
        "assert 'torch' not in sys.modules\n"
        "decider(VadOptions(method='silero'))\n"
        "assert 'torch' in sys.modules and not {'silero_vad', 'torchaudio'} & set(sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", program], cwd=repo, check=True)

"""Stage 1 at its limits: any signal becomes 16 bits or an error with its file's name; hours fit in memory."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st

from pysteps.audio.convert import Converter
from pysteps.audio.options import AudioOptions
from pysteps.formats import arks
from pysteps.formats.errors import InputError

REPO = Path(__file__).resolve().parent.parent
KINDS = ("noise", "dc", "square", "nan", "infinity", "huge", "impulse")
CHAINS: dict[str, dict[str, object]] = {
    "plain": {},
    "whole": {"dc": True, "band_low": 300, "band_high": 3400, "trim_db": 30, "level": "rms"},
    "streamed": {"dc": True, "band_high": 3000, "zero_phase": False, "preemphasis": 0.97},
    "line": {"enhance": "line", "level": "rms"},
    "peak": {"preemphasis": 1.0, "level": "peak", "level_db": 0, "trim_db": 0.1},
}


def signal(kind: str, length: int, seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    x = rng.normal(size=length).astype(np.float32) * np.float32(0.3)
    if kind == "dc":
        x[:] = rng.choice([-1.0, 0.999, 1e-6])
    elif kind == "square":
        x = np.sign(np.sin(np.arange(length) * rng.uniform(0.01, 3))).astype(np.float32)
    elif kind == "impulse":
        x[:] = 0
    if length and kind in ("nan", "infinity", "huge", "impulse"):
        worst = {"nan": np.nan, "infinity": -np.inf, "huge": 3e38, "impulse": 1.0}
        x[rng.integers(length)] = worst[kind]
    return x


@settings(max_examples=60, deadline=None)
@given(
    length=st.one_of(st.integers(0, 40), st.integers(0, 20000)),
    rate=st.integers(4000, 96000),
    kind=st.sampled_from(KINDS),
    chain=st.sampled_from(list(CHAINS)),
    seed=st.integers(0, 1000),
)
def test_any_signal_becomes_16_bits_or_an_error(
    tmp_path_factory: pytest.TempPathFactory, length: int, rate: int, kind: str, chain: str, seed: int
) -> None:
    path = tmp_path_factory.mktemp("any") / "x.wav"
    soundfile.write(path, signal(kind, length, seed), rate, subtype="FLOAT")
    options = AudioOptions(sample_rate=8000, **CHAINS[chain])
    try:
        blocks = Converter(options).blocks(str(path))
        samples = np.concatenate(list(blocks))
    except InputError as error:
        short = length * 8000 / rate < 1.5
        assert str(path) in str(error)
        assert short or kind in ("nan", "infinity", "huge")
        return
    assert kind not in ("nan", "infinity")
    clipped = blocks.clipped
    assert samples.dtype == np.int16 and 0 <= clipped <= len(samples)
    expected = length * 8000 / rate
    assert len(samples) <= expected + 1
    if "trim_db" not in CHAINS[chain]:
        assert len(samples) >= expected - 1
    if "level" in CHAINS[chain]:
        assert clipped == 0


STREAM = """
import sys
import scipy.signal, soxr
from pysteps.audio.convert import Converter, Recordings
from pysteps.audio.options import AudioOptions
from pysteps.formats import arks
def peak():
    return int(open("/proc/self/status").read().split("VmHWM:")[1].split()[0]) / 1024  # of its own
before = peak()
options = AudioOptions(**eval(sys.argv[3]))
with Converter(options) as converter, arks.writing(sys.argv[2]) as writer:
    count = writer.audio("utt", converter.blocks(sys.argv[1]), options.sample_rate)
print(count, before, peak())
"""


def long_wav(path: Path, minutes: int) -> Path:
    """48 kHz, two channels, 16 bits: some noise and then silence that takes no room on the disk."""
    frames = minutes * 60 * 48000
    with arks.writing(path) as writer:
        writer._handle.write(arks._riff(48000, 4 * frames))
    with open(path, "r+b") as handle:
        handle.seek(22)
        handle.write(b"\x02\0" + (48000).to_bytes(4, "little") + (192000).to_bytes(4, "little") + b"\x04\0")
        handle.seek(44)
        handle.write(np.random.default_rng(0).integers(-9000, 9000, 200000).astype("<i2").tobytes())
        handle.truncate(44 + 4 * frames)
    return path


def memory(wav: Path, out: Path, options: str) -> tuple[int, float, float]:
    """Samples written, and megabytes before and at most."""
    words = [sys.executable, "-c", STREAM, str(wav), str(out), options]
    done = subprocess.run(words, cwd=REPO, capture_output=True, text=True, check=True)
    count, before, peak = map(float, done.stdout.split())
    return int(count), before, peak


def test_a_long_recording_streams(tmp_path: Path) -> None:
    wav = long_wav(tmp_path / "x.wav", 12)  # 138 MB, and as many in float32 of one channel
    options = "dict(dc=True, band_high=3400, zero_phase=False, preemphasis=0.97)"
    count, before, peak = memory(wav, tmp_path / "x.ark", options)
    assert count == 12 * 60 * 16000
    assert peak - before < 70


@pytest.fixture(scope="module")
def three_hours(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """3 hours at 48 kHz."""
    yield long_wav(tmp_path_factory.mktemp("long") / "x.wav", 180)


@pytest.mark.long
@pytest.mark.parametrize(
    ("options", "most"),
    [
        ("dict(dc=True, band_low=300, zero_phase=False, preemphasis=0.97)", 500),
        ("dict(dc=True, band_low=300, band_high=3400, preemphasis=0.97, trim_db=60, level='rms')", 1500),
    ],
    ids=["streamed", "whole"],
)
def test_three_hours_stay_within_the_promise(
    three_hours: Path, tmp_path: Path, options: str, most: float
) -> None:
    _, _, peak = memory(three_hours, tmp_path / "x.ark", options)
    assert peak < most

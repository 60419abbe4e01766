"""Long recordings: little beside one copy of them is in memory, and in place or in blocks is the same."""

from __future__ import annotations

import tracemalloc
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from pysteps.audio.filters import resample
from pysteps.augment.audio import Audio
from pysteps.augment.draw import Chain, apply, loader
from pysteps.augment.effects import EFFECTS
from pysteps.augment.level import clip
from pysteps.augment.mix import reverberate
from pysteps.augment.speed import change_speed
from pysteps.formats import arks, tables

RATE, MINUTES = 16000, 10
STEPS: dict[str, dict[str, Any]] = {
    "noise": {"name": "n", "fraction": 0.3, "snr_db": 5.0},
    "music": {"name": "n", "fraction": 0.3, "snr_db": 5.0},
    "babble": {"snr_db": 15.0, "voices": [{"name": "n", "fraction": 0.1}, {"name": "n", "fraction": 0.6}]},
    "reverb": {"name": "r"},
    "room": {"name": "r"},
    "speed": {"factor": 0.9},
    "tempo": {"factor": 0.9},
    "mp3": {"kbps": 32},
    "opus": {"kbps": 24},
    "volume": {"gain_db": -3.0},
    "clip": {"share": 0.01},
}


def chain(*names: str) -> Chain:
    return [{"kind": name, **STEPS.get(name, {})} for name in names]


def load(pool: str, name: str, fraction: float = 0.0, length: int | None = None) -> np.ndarray:
    rng = np.random.default_rng(1)
    if name == "r":
        room = np.exp(-np.arange(4000) / 900) * rng.standard_normal(4000) * 0.05
        room[50] = 1
        return room.astype(np.float32)
    noise = rng.standard_normal(RATE).astype(np.float32)
    return loader(lambda pool, name: noise)(pool, name, fraction, length)


@pytest.fixture(scope="module")
def long(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Audio]:
    """A recording of ten minutes as stage 1 writes it."""
    folder = tmp_path_factory.mktemp("long")
    rng = np.random.default_rng(0)
    with arks.writing(folder / "audio.1.ark") as writer:
        minutes = (rng.normal(0, 3000, 60 * RATE).clip(-32768, 32767).astype("<i2") for _ in range(MINUTES))
        writer.audio("u", minutes, RATE)
    tables.write_table(folder / "wav.scp", writer.scp)
    options = {"audio": {"sample_rate": RATE}, "augment": {"materialise": "none"}}
    run: Any = SimpleNamespace(
        options=options, copies={}, data=folder, audio_scp=lambda name: folder / "wav.scp"
    )
    with Audio(run, "long") as audio:
        yield audio


@pytest.mark.parametrize(
    "names", ["", "telephone", "speed+noise", "tempo", "reverb+noise", "volume+clip", "noise+alaw"]
)
def test_beside_one_copy_at_most_half_of_one_is_in_memory(names: str, long: Audio) -> None:
    steps = chain(*filter(None, names.split("+")))
    apply(np.ones(RATE, np.float32), steps, load, RATE)  # what is imported once is not counted
    tracemalloc.start()
    try:
        samples = long.augmented("u", steps, load)
        most = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    # A telephone's 8 kHz are half a copy; blocks of the file and of the filters are 6 MB.
    assert most < (1.5 if "telephone" in names else 1.0) * samples.nbytes + 9e6


@pytest.mark.parametrize("name", EFFECTS)
def test_read_in_blocks_is_the_same_as_at_once_and_the_callers_samples_stay(
    name: str, tmp_path: Path
) -> None:
    pcm = np.random.default_rng(2).normal(0, 3000, 3 * 65536 + 77).clip(-32768, 32767).astype("<i2")
    with arks.writing(tmp_path / "audio.1.ark") as writer:
        writer.audio("u", [pcm], RATE)
    tables.write_table(tmp_path / "wav.scp", writer.scp)
    options = {"audio": {"sample_rate": RATE}, "augment": {"materialise": "none"}}
    run: Any = SimpleNamespace(
        options=options, copies={}, data=tmp_path, audio_scp=lambda name: tmp_path / "wav.scp"
    )
    samples = pcm.astype(np.float32) / 32768
    before = samples.copy()
    with Audio(run, "x") as audio:
        read = audio.augmented("u", chain(name), load)
    np.testing.assert_array_equal(read, apply(samples, chain(name), load, RATE))
    np.testing.assert_array_equal(samples, before)


def test_a_speed_in_blocks_is_that_of_the_whole() -> None:
    samples = np.random.default_rng(0).normal(0, 0.1, 200_001).astype(np.float32)
    for factor in (0.5, 0.9, 1.1, 1.234):
        np.testing.assert_array_equal(
            change_speed(samples, factor), resample(samples, round(1000 * factor), 1000)
        )


@pytest.mark.parametrize("direct", [0, 50, 3999])
def test_a_room_in_place_is_the_convolution(direct: int) -> None:
    speech, room = np.random.default_rng(0).normal(0, 0.1, 90_000).astype(np.float32), load("rooms", "r")
    wet = np.convolve(speech.astype(np.float64), room)[direct : direct + len(speech)]
    wet *= np.sqrt(np.mean(speech.astype(np.float64) ** 2) / np.mean(wet**2))
    out = reverberate(speech, room, direct, in_place=True)
    assert out is speech
    np.testing.assert_allclose(out, wet, atol=3e-6)


@pytest.mark.parametrize("share", [1e-5, 0.01, 0.5, 0.99])
def test_the_limit_of_clipping_is_the_sorted_ones(share: float) -> None:
    samples = np.random.default_rng(0).normal(0, 0.1, 150_000).astype(np.float32)
    samples[::7] = np.float32(0.05)  # many are equal
    count = round(share * len(samples))
    limit = np.sort(np.abs(samples))[-count] if count else np.inf
    wanted = np.clip(samples.astype(np.float64), -limit, limit)
    wanted *= np.sqrt(np.mean(samples.astype(np.float64) ** 2) / np.mean(wanted**2))
    np.testing.assert_allclose(clip(samples, share), wanted, rtol=1e-5)

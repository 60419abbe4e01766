"""Chains on many chunks at once: the samples that they give one by one, in any company."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from pysteps.augment import batch
from pysteps.augment.batch import Together, change_speeds, reverberate
from pysteps.augment.draw import apply, loader
from pysteps.augment.speed import change_speed
from pysteps.augment.speeds import fast_size, filter_of

RATE, TIME = 16000, 7000
RNG = np.random.default_rng(0)
AUDIO = {
    "hall": (RNG.standard_normal(3000) * np.exp(-np.arange(3000) / 500)).astype(np.float32),
    "long hall": (RNG.standard_normal(20000) * np.exp(-np.arange(20000) / 5000)).astype(np.float32),
    "late": np.r_[np.zeros(90), 0.1, np.zeros(9), 1.0, np.zeros(400), 0.3].astype(np.float32),
    "hum": RNG.uniform(-0.5, 0.5, 3000).astype(np.float32),
    "silence": np.zeros(500, np.float32),
    "voice": RNG.uniform(-0.5, 0.5, 9000).astype(np.float32),
}
LOAD = loader(lambda pool, name: AUDIO[name])
NOISE = {"kind": "noise", "name": "hum", "snr_db": 5.0, "fraction": 0.25}
VOICES = [{"name": "voice", "fraction": 0.1}, {"name": "hum", "fraction": 0.9}]
CHAINS: list[list[dict[str, Any]]] = [
    [],
    [{"kind": "speed", "factor": 0.9}],
    [{"kind": "speed", "factor": 1.1}, NOISE],
    [{"kind": "speed", "factor": 0.9}, {"kind": "reverb", "name": "hall"}, NOISE],
    [{"kind": "speed", "factor": 1.017}],  # 1017 phases: left to soxr
    [{"kind": "tempo", "factor": 1.1}],
    [{"kind": "reverb", "name": "hall"}],
    [{"kind": "reverb", "name": "long hall"}],
    [{"kind": "reverb", "name": "late"}],
    [{"kind": "room", "name": "hall"}, {"kind": "volume", "gain_db": -6.0}],
    [NOISE],
    [{**NOISE, "kind": "music", "name": "voice"}],
    [{**NOISE, "name": "silence"}],
    [{"kind": "babble", "snr_db": 13.0, "voices": VOICES}],
    [{"kind": "clip", "share": 0.05}],
]
CHUNKS = torch.from_numpy(RNG.uniform(-1, 1, (len(CHAINS), TIME)).astype(np.float32))


def test_together_chunks_are_what_they_are_one_by_one() -> None:
    before = CHUNKS.clone()
    heard = Together(LOAD, RATE)(CHUNKS, CHAINS)
    for found, chunk, chain in zip(heard, before, CHAINS, strict=True):
        wanted = apply(chunk.numpy(), chain, LOAD, RATE)
        assert found.dtype == torch.float32 and found.shape == wanted.shape
        assert np.abs(found.numpy() - wanted).max() < 1e-6 * max(1.0, np.abs(wanted).max()), chain
    assert torch.equal(CHUNKS, before)


def test_silent_speech_stays_silent() -> None:
    for heard in Together(LOAD, RATE)(torch.zeros(len(CHAINS), TIME), CHAINS):
        assert not heard.any()


@pytest.mark.parametrize("company", [[3], [3, 6], [9, 3, 8, 7, 6], [*range(len(CHAINS))][::-1], [3] * 7])
def test_a_chunk_has_the_same_bits_in_any_company(company: list[int]) -> None:
    together = Together(LOAD, RATE)
    whole = together(CHUNKS, CHAINS)
    part = together(CHUNKS[company], [CHAINS[row] for row in company])
    for row, found in zip(company, part, strict=True):
        assert torch.equal(found, whole[row])


def test_a_devices_transforms_give_the_same_samples(monkeypatch: pytest.MonkeyPatch) -> None:
    heard = Together(LOAD, RATE)(CHUNKS, CHAINS)
    monkeypatch.setattr(batch, "_rfft", torch.fft.rfft)
    monkeypatch.setattr(batch, "_irfft", torch.fft.irfft)
    monkeypatch.setattr(batch, "_ROWS", len(CHAINS))
    for ours, theirs in zip(Together(LOAD, RATE)(CHUNKS, CHAINS), heard, strict=True):
        assert (ours - theirs).abs().max() < 2e-6


@pytest.mark.parametrize("factor", [0.5, 0.8, 0.9, 0.95, 1.05, 1.1, 1.25, 2.0])
@pytest.mark.parametrize("time", [4096, 9001])
def test_speeds_are_soxrs_to_a_millionth_from_the_first_sample_to_the_last(factor: float, time: int) -> None:
    noise = np.random.default_rng(time).uniform(-1, 1, time).astype(np.float32)
    assert filter_of(factor, time) is not None
    (found,) = change_speeds([torch.from_numpy(noise)], factor)
    wanted = change_speed(noise, factor)
    assert len(found) == len(wanted) and np.abs(found.numpy() - wanted).max() < 1e-6


def test_short_chunks_and_odd_factors_are_left_to_soxr() -> None:
    assert filter_of(0.9, 4095) is None and filter_of(1.017, 20000) is None
    short = torch.rand(500)
    assert np.array_equal(change_speeds([short], 1.1)[0].numpy(), change_speed(short.numpy(), 1.1))


def test_lengths_share_few_sizes() -> None:
    sizes = [fast_size(least) for least in range(32768, 65536, 7)]
    assert all(size >= least for size, least in zip(sizes, range(32768, 65536, 7), strict=True))
    assert len(set(sizes)) <= 9 and max(np.diff(sorted(set(sizes)))) <= 8192


def test_chunks_of_several_lengths_are_in_one_room() -> None:
    long, short = torch.rand(7000), torch.rand(6900)
    rooms = [(AUDIO["late"], 100)] * 2
    both = reverberate([long, short], rooms)
    assert torch.equal(both[0], reverberate([long], rooms[:1])[0])
    assert torch.equal(both[1], reverberate([short], rooms[:1])[0])
    # The impulse at sample 100 is time 0; 0.1 ten samples before it, 0.3 four hundred and one after.
    dry = short.numpy().astype(np.float64)
    wet = dry.copy()
    wet[:-10] += 0.1 * dry[10:]
    wet[401:] += 0.3 * dry[:-401]
    wet *= np.sqrt(np.mean(dry**2) / np.mean(wet**2))
    assert np.abs(both[1].numpy() - wet).max() < 1e-6

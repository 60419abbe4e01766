"""Batches of chunks of audio as they are heard: like one chunk, and like stage 4."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import numpy as np
import pytest
import torch

from pysteps.augment.draw import loader
from pysteps.augment.live import Live
from pysteps.augment.options import AugmentOptions
from pysteps.egs.batch import HeardChunks, masked
from pysteps.egs.chunks import ChunkFeatures
from pysteps.features.cmvn import apply_cmvn, cmvn_stats
from pysteps.features.contract import FeaturesOptions
from pysteps.features.fbank import Fbank, compute
from pysteps.features.options import FbankOptions
from pysteps.formats.errors import InputError

FRAMES, TIME = 30, 5600
RNG = np.random.default_rng(0)
POOLS = {"noise": ["n1"], "rooms": ["r1", "r2"]}
AUDIO = {
    "n1": RNG.uniform(-0.5, 0.5, 9000).astype(np.float32),
    "r1": (RNG.standard_normal(900) * np.exp(-np.arange(900) / 100)).astype(np.float32),
    "r2": (RNG.standard_normal(3000) * np.exp(-np.arange(3000) / 300)).astype(np.float32),
}
CHUNKS = RNG.integers(-9000, 9000, (9, TIME)).astype(np.int16)
NAMES = [f"train.1 {row}" for row in range(len(CHUNKS))]


def live() -> Live:
    options = AugmentOptions(
        kinds=["speed0.9", "speed1.1", "noise", "reverb"], when="training", probability=0.8
    )
    return Live(options, POOLS, None, loader(lambda pool, name: AUDIO[name]), 16000)


def contract(**features: Any) -> dict[str, Any]:
    return {"features": asdict(FeaturesOptions(**features))}


def drawn() -> list[list[dict[str, Any]]]:
    chains = [live().draw(name, 2, key=name) for name in NAMES]
    assert {how["kind"] for chain in chains for how in chain} == {"speed", "noise", "reverb"}
    return chains


@pytest.mark.parametrize("dither", [0.0, 1.0])
@pytest.mark.parametrize("rows", [[4], [1, 4], [8, 7, 6, 5, 4, 3, 2]])
def test_a_chunk_has_the_same_features_in_any_batch(rows: list[int], dither: float) -> None:
    heard, chains = HeardChunks(contract(dither=dither), live()), drawn()
    whole = heard.hear(CHUNKS, chains, NAMES, FRAMES, 2)
    part = heard.hear(CHUNKS[rows], [chains[row] for row in rows], [NAMES[row] for row in rows], FRAMES, 2)
    assert whole.shape == (len(CHUNKS), FRAMES, 80) and torch.equal(part, whole[rows])


def test_without_augmentation_they_are_stage_fours() -> None:
    clean = HeardChunks(contract(), None).hear(CHUNKS[:, :5040], [[]] * 9, NAMES, FRAMES, 0).numpy()
    for found, chunk in zip(clean, CHUNKS, strict=True):
        wanted = compute(chunk[:5040] / np.float32(32768), Fbank(FbankOptions()), utt="u")
        assert np.abs(found - (wanted - wanted.mean(0, dtype=np.float64))).max() < 1e-5


@pytest.mark.parametrize("cmvn", [{"cmvn": "none"}, {"cmvn_vars": True}, {"cmvn": "global"}])
def test_other_ways_of_normalising(cmvn: dict[str, Any]) -> None:
    said = contract(**cmvn)
    samples = CHUNKS[:, :5040] / np.float32(32768)
    plain = ChunkFeatures(contract(cmvn="none"))(samples, NAMES)
    stats = [cmvn_stats(chunk) for chunk in plain]
    if cmvn.get("cmvn") == "global":
        stats = [sum(stats)] * len(stats)
        sums, squares = stats[0]
        said["global_cmvn"] = {
            "frames": sums[-1],
            "sums": sums[:-1].tolist(),
            "squares": squares[:-1].tolist(),
        }
    found = HeardChunks(said, None).hear(CHUNKS[:, :5040], [[]] * 9, NAMES, FRAMES, 0).numpy()
    for chunk, clean, own in zip(found, plain, stats, strict=True):
        normed = clean if cmvn == {"cmvn": "none"} else apply_cmvn(clean, own, norm_vars="cmvn_vars" in cmvn)
        assert np.abs(chunk - normed).max() < 1e-5


def test_dither_is_another_stretch_of_noise_for_every_chunk_and_epoch() -> None:
    silent = np.zeros((3, 5040), np.int16)
    heard = HeardChunks(contract(dither=1.0, cmvn="none"), None, features_seed=1)
    first, again, later = (heard.hear(silent, [[]] * 3, NAMES[:3], FRAMES, epoch) for epoch in (0, 0, 1))
    assert torch.equal(first, again) and not torch.equal(first, later)
    assert not torch.equal(first[0], first[1])
    other = HeardChunks(contract(dither=1.0, cmvn="none"), None, features_seed=2)
    assert not torch.equal(first, other.hear(silent, [[]] * 3, NAMES[:3], FRAMES, 0))
    # White noise of 1 in 16 bits, as stage 4 would hear it.
    expected = compute(RNG.standard_normal(5040) / 32768, Fbank(FbankOptions()), utt="u")
    assert abs(float(first.mean()) - expected.mean()) < 0.1


def test_a_chunk_that_is_too_short_is_refused() -> None:
    with pytest.raises(InputError, match=r"5039 samples where 30 frames need 5040.*stage egs again"):
        HeardChunks(contract(), None).hear(CHUNKS[:, :5039], [[]] * 9, NAMES, FRAMES, 0)


def test_masks_are_the_mean() -> None:
    features = torch.ones(2, 3, 4)
    frames, bins = np.zeros((2, 3), bool), np.zeros((2, 4), bool)
    frames[0, 1] = bins[1, 2] = True
    masked(features, frames, bins)
    assert features[0].sum() == 8 and not features[0, 1].any()
    assert features[1].sum() == 9 and not features[1, :, 2].any()

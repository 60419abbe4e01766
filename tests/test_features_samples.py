"""The kind samples: the waveform in frames side by side."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml

from pysteps.features.contract import FeaturesOptions, relevant
from pysteps.features.fbank import Fbank, compute
from pysteps.features.options import FbankOptions
from pysteps.features.voiced import VoicedFeatures
from pysteps.formats.errors import InputError
from pysteps.formats.tables import read_table
from tests.test_features_stage import LENGTHS, features, make_run, noise, whole

OPTIONS = FbankOptions(kind="samples", sample_scale=1.0)


def wave(count: int) -> np.ndarray:
    return np.random.default_rng(count).uniform(-1, 1, count).astype(np.float32)


@pytest.mark.parametrize("snip_edges", [True, False])
@pytest.mark.parametrize("count", [400, 401, 5000, 16000 * 3])
def test_frames_side_by_side_are_the_waveform(snip_edges: bool, count: int) -> None:
    options = FbankOptions(kind="samples", sample_scale=1.0, snip_edges=snip_edges)
    samples = wave(count)
    frames = compute(samples, Fbank(options), utt="u")
    assert frames.shape == (options.geometry.num_frames(count, 16000), 160)
    # A frame of 25 ms begins 7.5 ms before its middle 10 ms; without snip_edges the first is at 0.
    first = 120 if snip_edges else 0
    expected = samples[first : first + frames.size]
    np.testing.assert_array_equal(frames.ravel()[: len(expected)], expected)
    assert frames.size - len(expected) < 160
    torch.testing.assert_close(Fbank(options)(torch.from_numpy(samples)).numpy(), frames)


def test_scale_is_a_factor() -> None:
    frames = compute(wave(1000), Fbank(FbankOptions(kind="samples")), utt="u")
    np.testing.assert_array_equal(frames, 32768 * compute(wave(1000), Fbank(OPTIONS), utt="u"))


def test_only_what_changes_samples_is_compared(repo: Path) -> None:
    conf = yaml.safe_load((repo / "conf" / "features" / "samples.yaml").read_text("utf-8"))
    kept = relevant(asdict(FeaturesOptions(**conf)))
    assert set(kept) == {
        *("kind", "sample_rate", "sample_scale", "dither", "frame_length_ms", "frame_shift_ms", "snip_edges"),
        *("cmvn", "pitch", "compression", "max_dropped", "shard_utterances"),
    }
    assert FeaturesOptions(**conf).dim == 160


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"cmvn": "utterance"}, "samples have no CMVN"),
        ({"pitch": True}, "samples have no CMVN and no pitch"),
        ({"delta_order": 1}, "neither use_energy nor delta_order"),
        ({"frame_shift_ms": 30.0}, "a shift within the frame"),
    ],
)
def test_what_samples_cannot_have_is_refused(change: dict, message: str) -> None:
    with pytest.raises(InputError, match=message):
        FeaturesOptions(**{"kind": "samples", "cmvn": "none", **change})


def test_the_stage_stores_the_voiced_waveform(tmp_path: Path) -> None:
    run = make_run(tmp_path, kind="samples", sample_scale=1.0, cmvn="none")
    features(run)
    with VoicedFeatures(run, "train") as voiced:
        for utt in read_table(run.of("features", "train") / "feats.scp"):
            stored, decided = whole(run, utt)
            samples = noise(LENGTHS[utt], seed=0) / np.float32(32768)
            frames = samples[120 : 120 + stored.size]
            assert stored.shape == (len(decided), 160)
            np.testing.assert_allclose(stored.ravel()[: len(frames)], frames, atol=1e-5)
            np.testing.assert_allclose(voiced.matrix(utt), stored[decided], atol=1e-6)

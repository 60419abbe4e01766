"""The feature module itself: shapes, batches, gradients, dither, refusals."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from pysteps.features.deltas import kernels, slopes
from pysteps.features.fbank import Fbank, compute, dithered
from pysteps.features.mel import mel_filters
from pysteps.features.options import FbankOptions
from pysteps.formats.errors import InputError
from pysteps.formats.frames import FrameGeometry

OPTIONS = FbankOptions(num_mel_bins=20)


def noise(*shape: int) -> np.ndarray:
    return (np.random.default_rng(1).standard_normal(shape) * 0.1).astype(np.float32)


@pytest.mark.parametrize(
    ("samples", "snip", "frames"),
    [(399, True, 0), (400, True, 1), (559, True, 1), (560, True, 2), (0, True, 0)]
    + [(79, False, 0), (80, False, 1), (239, False, 1), (240, False, 2), (16000, False, 100)],
)
def test_frame_count_by_hand(samples: int, snip: bool, frames: int) -> None:
    assert FrameGeometry(snip_edges=snip).num_frames(samples, 16000) == frames


def test_first_sample_by_hand() -> None:
    assert FrameGeometry().first_sample(3, 16000) == 480
    # Without snipping the middle of frame 0 is half a shift in: 80 - 200.
    assert FrameGeometry(snip_edges=False).first_sample(0, 16000) == -120
    assert FrameGeometry(25, 10).length(44100) == 1102


def test_batched_rows_have_the_bits_of_single_ones() -> None:
    batch = torch.from_numpy(noise(3, 100000))
    fbank = Fbank(OPTIONS)
    together = fbank(batch)
    assert together.shape == (3, OPTIONS.geometry.num_frames(100000, 16000), 20)
    for row, features in zip(batch, together, strict=True):
        assert torch.equal(fbank(row), features)


def test_blocks_leave_no_seam() -> None:
    samples, options = noise(200000), OPTIONS
    whole = Fbank(options)(torch.from_numpy(samples))
    piece = Fbank(options)(torch.from_numpy(samples[160 * 250 : 160 * 260 + 400 - 160]))
    torch.testing.assert_close(whole[250:260], piece, atol=1e-4, rtol=0)


@pytest.mark.parametrize("samples", [0, 1, 399])
def test_too_short_gives_no_frames(samples: int) -> None:
    assert compute(noise(samples), Fbank(OPTIONS), utt="u").shape == (0, 20)


def test_batch_of_too_short_ones() -> None:
    assert Fbank(OPTIONS)(torch.zeros(4, 399)).shape == (4, 0, 20)


@pytest.mark.parametrize("kind", ["fbank", "mfcc", "plp", "spectrogram"])
def test_gradient_is_that_of_finite_differences(kind: str) -> None:
    options = FbankOptions(
        kind=kind,
        sample_rate=1000,
        num_mel_bins=4,
        num_ceps=3,
        lpc_order=3,
        use_energy=kind != "plp",
        use_power=kind != "spectrogram",
        delta_order=1,
    )
    fbank = Fbank(options).double()
    samples = torch.from_numpy(noise(45)).double().requires_grad_()
    assert torch.autograd.gradcheck(fbank, (samples,), atol=1e-4, rtol=1e-3)


def test_a_wanted_gradient_changes_no_bit() -> None:
    samples, fbank = torch.from_numpy(noise(2, 70000)), Fbank(OPTIONS)
    with_gradient = fbank(samples.clone().requires_grad_())
    assert with_gradient.requires_grad
    assert torch.equal(with_gradient.reshape(2, -1, 20), fbank(samples))


def test_has_no_checkpoint_entries() -> None:
    assert Fbank(OPTIONS).state_dict() == {}


def test_dither_depends_on_the_utterance_alone() -> None:
    options = FbankOptions(num_mel_bins=20, dither=1.0)
    fbank, silence = Fbank(options), np.zeros(1600, np.float32)
    first = compute(silence, fbank, utt="a", seed=3)
    assert np.array_equal(first, compute(silence, fbank, utt="a", seed=3))
    assert not np.array_equal(first, compute(silence, fbank, utt="b", seed=3))
    # A frame of 400 samples of variance 1 without pre-emphasis or window has an energy of about 400.
    plain = FbankOptions(dither=1.0, use_energy=True, num_mel_bins=20)
    energy = compute(np.zeros(160000, np.float32), Fbank(plain), utt="a")[:, 0]
    assert np.exp(energy).mean() == pytest.approx(400, rel=0.02)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_not_finite_is_refused_with_the_utterance(bad: float) -> None:
    samples = noise(1600)
    samples[700] = bad
    with pytest.raises(InputError, match="utterance u7"):
        compute(samples, Fbank(OPTIONS), utt="u7")


@settings(max_examples=40, deadline=None)
@given(
    length=st.integers(0, 4000),
    shape=st.sampled_from(["noise", "dc", "square", "zeros"]),
    snip=st.booleans(),
    kind=st.sampled_from(["fbank", "mfcc", "plp", "spectrogram"]),
    rate=st.sampled_from([8000, 11025, 16000, 44100]),
)
def test_any_signal_gives_finite_features(length: int, shape: str, snip: bool, kind: str, rate: int) -> None:
    signals = {"noise": noise(length), "dc": np.full(length, 0.7), "zeros": np.zeros(length)}
    signals["square"] = np.where(np.arange(length) // 20 % 2, 1.0, -1.0)
    options = FbankOptions(
        kind=kind, sample_rate=rate, num_mel_bins=15, snip_edges=snip, use_energy=kind != "plp", delta_order=1
    )
    features = compute(signals[shape].astype(np.float32), Fbank(options), utt="u")
    assert features.shape == (options.geometry.num_frames(length, rate), options.dim)
    assert np.isfinite(features).all()


@pytest.mark.parametrize(
    "wrong",
    [
        {"kind": "rasta"},
        {"kind": "plp", "num_ceps": 14},
        {"fft_size": 256},
        {"fft_size": 513},
        {"delta_order": 3},
        {"mel_slopes": "bark"},
        {"log_offset": -1.0},
        {"window_type": "hann"},
        {"low_freq": 9000},
        {"sample_rate": 8000, "num_mel_bins": 120},  # filters narrower than an FFT bin
        {"kind": "mfcc", "num_ceps": 81},
        {"preemphasis": 1.5},
        {"frame_shift_ms": 0},
        {"vtln_warp": 0.9, "vtln_low": 5.0},
        {"frame_length_ms": 25.1, "round_to_power_of_two": False},
    ],
    ids=str,
)
def test_impossible_options_are_refused(wrong: dict) -> None:
    with pytest.raises(InputError):
        Fbank(FbankOptions(**wrong))


def with_deltas(features: np.ndarray, order: int = 2, window: int = 2) -> np.ndarray:
    values = torch.from_numpy(features)
    return torch.cat((values, *slopes(values, kernels(order, window), 0, len(values))), -1).numpy()


def test_deltas_of_a_ramp_are_its_slope() -> None:
    ramp = np.arange(20.0)[:, None] * [[3.0, -1.0]]
    out = with_deltas(ramp)
    assert out.shape == (20, 6)
    np.testing.assert_allclose(out[4:-4, 2:4], np.tile([3.0, -1.0], (12, 1)))
    np.testing.assert_allclose(out[4:-4, 4:], 0, atol=1e-12)
    # Frame 0: (1 * (x1 - x0) + 2 * (x2 - x0)) / 10 = (3 + 12) / 10.
    assert out[0, 2] == pytest.approx(1.5)


@pytest.mark.parametrize("window", [1, 2, 3])
@pytest.mark.parametrize("frames", [1, 2, 7, 30])
def test_deltas_are_regressions_over_the_repeated_ends(frames: int, window: int) -> None:
    values = np.random.default_rng(frames).standard_normal((frames, 2))
    # The first order as the textbook writes it; the second as Kaldi's filter, the first one on itself.
    first = np.zeros_like(values)
    scale = 2 * sum(n * n for n in range(1, window + 1))
    for t in range(frames):
        for n in range(1, window + 1):
            first[t] += n * (values[min(t + n, frames - 1)] - values[max(t - n, 0)]) / scale
    out = with_deltas(values, window=window)
    np.testing.assert_allclose(out[:, 2:4], first, atol=1e-12)
    ramp = np.arange(-window, window + 1) / scale
    wide = np.pad(values, ((2 * window, 2 * window), (0, 0)), mode="edge")
    second = np.stack([np.convolve(wide[:, d], np.convolve(ramp, ramp), mode="valid") for d in range(2)], 1)
    np.testing.assert_allclose(out[:, 4:], second, atol=1e-12)


EVERY_KIND = [
    {"num_mel_bins": 20},
    {"snip_edges": False, "use_energy": True, "delta_order": 2},
    {"kind": "mfcc", "num_mel_bins": 23, "delta_order": 1},
    {"kind": "plp", "num_mel_bins": 23, "use_energy": True},
    {"kind": "spectrogram", "frame_length_ms": 20, "round_to_power_of_two": False, "use_power": False},
]


@pytest.mark.parametrize("more", EVERY_KIND, ids=str)
def test_pieces_of_hours_leave_no_seam(more: dict, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pysteps.features.fbank._BLOCK_SAMPLES", 2048)
    monkeypatch.setattr("pysteps.features.fbank._PIECE_BLOCKS", 5)
    fbank = Fbank(FbankOptions(**more))
    for samples in (noise(90), noise(401), noise(20000), noise(20133)):
        assert np.array_equal(compute(samples, fbank, utt="u"), fbank(torch.from_numpy(samples)).numpy())


def test_dither_of_a_part_is_that_of_the_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pysteps.features.fbank._PIECE_BLOCKS", 1)
    options, samples = FbankOptions(dither=1.0), noise(150000)
    whole = dithered(samples, options, 0, "u")
    assert np.array_equal(whole[60000:140000], dithered(samples[60000:140000], options, 0, "u", start=60000))
    expected = Fbank(options)(torch.from_numpy(whole)).numpy()
    assert np.array_equal(compute(samples, Fbank(options), utt="u"), expected)
    assert np.array_equal(samples, noise(150000))  # the caller's stay as they are
    assert (whole - samples).std() * 32768 == pytest.approx(1.0, rel=0.01)


@pytest.mark.parametrize("more", EVERY_KIND, ids=str)
def test_every_kind_is_the_same_in_a_batch(more: dict) -> None:
    batch, fbank = torch.from_numpy(noise(3, 9000)), Fbank(FbankOptions(**more))
    for row, features in zip(batch, fbank(batch), strict=True):
        assert torch.equal(fbank(row), features)


def test_plp_of_silence_is_finite() -> None:
    features = compute(np.zeros(4000, np.float32), Fbank(FbankOptions(kind="plp", num_mel_bins=23)), utt="u")
    assert features.shape == (23, 13) and np.isfinite(features).all()


def test_options_and_frames_do_not_import_torch() -> None:
    program = (
        "import sys, pysteps.features.options, pysteps.features.cmvn\n"
        "import pysteps.vad.energy, pysteps.vad.webrtc\n"
        "import pysteps.audio.read, pysteps.audio.filters, pysteps.augment.mix, pysteps.augment.draw\n"
        "print([m for m in ('torch', 'scipy.signal', 'webrtcvad', 'soxr') if m in sys.modules])"
    )
    shown = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert shown.stdout.strip() == "[]"


def test_even_triangles_in_hertz_are_as_steep_on_both_sides() -> None:
    options = FbankOptions(num_mel_bins=20, low_freq=0.0, high_freq=8000.0, mel_slopes="hertz_even")
    top = 1127 * np.log(1 + 8000 / 700)
    points = 700 * np.expm1(np.arange(22) * top / 21 / 1127)  # even steps in mel, in hertz
    bins = np.arange(options.fft_length // 2) * 16000 / options.fft_length
    sides = zip(points[:-2], points[1:-1], strict=True)
    expected = [np.clip(1 - abs(bins - c) / (c - a), 0, None) for a, c in sides]
    np.testing.assert_allclose(mel_filters(options)[:, : len(bins)], expected, atol=1e-5)

"""Fbank and MFCC against the three other programs that compute Kaldi's features."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import kaldi_native_fbank
import numpy as np
import pytest
import soundfile
import soxr
import torch

from pysteps.features.deltas import add_deltas
from pysteps.features.fbank import Fbank, compute
from pysteps.features.options import FbankOptions
from tests.torchaudio_stub import kaldi


@pytest.fixture(scope="module")
def speech(shared_data: Path) -> np.ndarray:
    """1.4 s of 16-bit speech at 16 kHz, the file Kaldi tests its features with."""
    return soundfile.read(shared_data / "reference/kaldi_feat/test.wav", dtype="float32")[0]


def at_rate(speech: np.ndarray, rate: int) -> np.ndarray:
    if rate <= 16000:
        return speech if rate == 16000 else soxr.resample(speech, 16000, rate)
    # Above 8 kHz the resampled speech is empty: logarithms of rounding errors. Noise as a microphone's.
    noise = np.random.default_rng(0).standard_normal(len(speech) * rate // 16000) * 1e-3
    return (soxr.resample(speech, 16000, rate)[: len(noise)] + noise).astype(np.float32)


def ours(samples: np.ndarray, options: FbankOptions) -> np.ndarray:
    return compute(samples, Fbank(options), utt="test")


def by_torchaudio(samples: np.ndarray, options: FbankOptions) -> np.ndarray:
    names = {"sample_rate": "sample_frequency", "preemphasis": "preemphasis_coefficient"}
    names |= {"frame_length_ms": "frame_length", "frame_shift_ms": "frame_shift"}
    fbank, mfcc = {"use_power", "use_log_fbank"}, {"num_ceps", "cepstral_lifter"}
    other = {"kind", "sample_scale", "htk_mode"} | (fbank if options.kind == "mfcc" else mfcc)
    values = {names.get(k, k): v for k, v in dataclasses.asdict(options).items() if k not in other}
    return getattr(kaldi(), options.kind)(torch.from_numpy(samples)[None] * 32768, **values).numpy()


def by_native(samples: np.ndarray, options: FbankOptions) -> np.ndarray:
    mfcc = options.kind == "mfcc"
    theirs = kaldi_native_fbank.MfccOptions() if mfcc else kaldi_native_fbank.FbankOptions()
    theirs.frame_opts.dither = 0.0
    theirs.frame_opts.samp_freq = options.sample_rate
    theirs.frame_opts.window_type = options.window_type
    theirs.frame_opts.snip_edges = options.snip_edges
    theirs.mel_opts.num_bins = options.num_mel_bins
    theirs.use_energy = options.use_energy
    theirs.htk_compat = options.htk_compat
    online = (kaldi_native_fbank.OnlineMfcc if mfcc else kaldi_native_fbank.OnlineFbank)(theirs)
    online.accept_waveform(options.sample_rate, (samples * 32768).tolist())
    online.input_finished()
    return np.stack([online.get_frame(i) for i in range(online.num_frames_ready)])


CASES = [
    FbankOptions(),
    FbankOptions(snip_edges=False),
    FbankOptions(window_type="hamming", use_energy=True),
    FbankOptions(window_type="hanning", snip_edges=False, use_energy=True, raw_energy=False),
    FbankOptions(window_type="rectangular", remove_dc_offset=False, energy_floor=1e9, use_energy=True),
    FbankOptions(window_type="blackman", preemphasis=0.0, htk_compat=True, use_energy=True),
    FbankOptions(use_power=False, num_mel_bins=40, high_freq=-400),
    FbankOptions(use_log_fbank=False, num_mel_bins=23),
    FbankOptions(round_to_power_of_two=False, num_mel_bins=40),
    FbankOptions(vtln_warp=0.9, num_mel_bins=40),
    FbankOptions(sample_rate=8000, num_mel_bins=40),
    FbankOptions(sample_rate=8000, num_mel_bins=40, snip_edges=False, window_type="hamming"),
    FbankOptions(sample_rate=48000),
    FbankOptions(sample_rate=48000, snip_edges=False, use_energy=True),
    FbankOptions(kind="mfcc", num_mel_bins=23),
    FbankOptions(kind="mfcc", num_mel_bins=30, num_ceps=30, use_energy=True, snip_edges=False),
    FbankOptions(kind="mfcc", num_mel_bins=23, htk_compat=True, cepstral_lifter=0.0),
    FbankOptions(kind="mfcc", sample_rate=8000, num_mel_bins=23, htk_compat=True, use_energy=True),
    FbankOptions(kind="mfcc", sample_rate=48000, num_mel_bins=40, num_ceps=20),
]


def shown(options: FbankOptions) -> str:
    default, values = dataclasses.asdict(FbankOptions()), dataclasses.asdict(options)
    return ",".join(f"{k}={v}" for k, v in values.items() if default[k] != v) or "default"


@pytest.mark.parametrize("options", CASES, ids=shown)
def test_equals_torchaudio(speech: np.ndarray, options: FbankOptions) -> None:
    samples = at_rate(speech, options.sample_rate)
    theirs, mine = by_torchaudio(samples, options), ours(samples, options)
    assert mine.shape == theirs.shape
    # Energies that are not logarithms reach 1e9: there the tolerance is relative.
    relative = 0.0 if options.kind == "mfcc" or options.use_log_fbank else 1e-4
    np.testing.assert_allclose(mine, theirs, atol=1e-3, rtol=relative)


@pytest.mark.parametrize("kind", ["fbank", "mfcc"])
@pytest.mark.parametrize("rate", [8000, 16000, 48000])
@pytest.mark.parametrize(
    "more",
    [
        {},
        {"snip_edges": False},
        {"window_type": "hamming", "use_energy": True},
        {"window_type": "hanning"},
        {"use_energy": True, "htk_compat": True},
    ],
    ids=str,
)
def test_equals_kaldi_native_fbank(speech: np.ndarray, kind: str, rate: int, more: dict) -> None:
    bins = 80 if kind == "fbank" and rate > 8000 else 23
    options = FbankOptions(kind=kind, sample_rate=rate, num_mel_bins=bins, **more)
    samples = at_rate(speech, rate)
    np.testing.assert_allclose(ours(samples, options), by_native(samples, options), atol=1e-2)


def read_htk(path: Path) -> np.ndarray:
    """HTK's format: big-endian frames, period, bytes a frame and kind in 12 bytes, then float32."""
    content = path.read_bytes()
    frames, width = int.from_bytes(content[:4], "big"), int.from_bytes(content[8:10], "big") // 4
    return np.frombuffer(content, ">f4", offset=12).reshape(frames, width)


# Options as in hcopyN.conf and fbankN.conf; preemphasis 0, Hamming window and no DC removal are HTK's.
HTK = FbankOptions(
    window_type="hamming",
    remove_dc_offset=False,
    htk_compat=True,
    htk_mode=True,
    preemphasis=0.0,
    low_freq=0.0,
    num_mel_bins=23,
)
MFCC = dataclasses.replace(HTK, kind="mfcc")
WARPED = {"vtln_low": 100.0, "vtln_high": 7500.0}
HTK_MFCC = {
    1: MFCC,
    2: dataclasses.replace(MFCC, use_energy=True),
    3: dataclasses.replace(MFCC, use_energy=True, low_freq=20.0),
    4: dataclasses.replace(MFCC, use_energy=True, preemphasis=0.97),
    5: dataclasses.replace(MFCC, use_energy=True, preemphasis=0.97, vtln_warp=1.1, **WARPED),
    6: dataclasses.replace(MFCC, low_freq=125.0, high_freq=7800.0, num_mel_bins=24, preemphasis=0.97),
}
HTK_FBANK = {
    1: HTK,
    2: dataclasses.replace(HTK, low_freq=25.0),
    3: dataclasses.replace(HTK, low_freq=25.0, vtln_warp=0.9, **WARPED),
    4: dataclasses.replace(HTK, low_freq=25.0, vtln_warp=1.1, **WARPED),
}


@pytest.mark.parametrize("number", HTK_MFCC)
def test_mfcc_with_deltas_equals_htk(speech: np.ndarray, shared_data: Path, number: int) -> None:
    theirs = read_htk(shared_data / f"reference/kaldi_feat/test.wav.fea_htk.{number}")
    mine = add_deltas(ours(speech, HTK_MFCC[number]))
    assert mine.shape == theirs.shape
    # Kaldi's tolerance; ten frames at each end differ by the rule for deltas there.
    np.testing.assert_allclose(mine[10:-10], theirs[10:-10], atol=1.0)


@pytest.mark.parametrize("number", HTK_FBANK)
def test_fbank_equals_htk(speech: np.ndarray, shared_data: Path, number: int) -> None:
    theirs = read_htk(shared_data / f"reference/kaldi_feat/test.wav.fbank_htk.{number}")
    mine = ours(speech, HTK_FBANK[number])
    assert mine.shape == theirs.shape
    # Kaldi's tolerances: with file 3 the last filters differ, the two warp the upper end differently.
    kept, tolerance = (20, 1e-3) if number == 3 else (23, 1e-2 if number == 4 else 1e-3)
    np.testing.assert_allclose(mine[10:-10, :kept], theirs[10:-10, :kept], atol=tolerance)

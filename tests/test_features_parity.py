"""Features against the other programs that compute them: torchaudio, kaldi-native-fbank, HTK."""

from __future__ import annotations

import dataclasses
import importlib
import inspect
from pathlib import Path

import kaldi_native_fbank
import numpy as np
import pytest
import soundfile
import soxr
import torch

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
    program = getattr(kaldi(), options.kind)
    values = {names.get(key, key): value for key, value in dataclasses.asdict(options).items()}
    known = inspect.signature(program).parameters
    values = {key: value for key, value in values.items() if key in known}
    return program(torch.from_numpy(samples)[None] * 32768, **values).numpy()


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


SPECTROGRAMS = [
    FbankOptions(kind="spectrogram", use_energy=True),
    FbankOptions(kind="spectrogram", use_energy=True, snip_edges=False, energy_floor=1e9),
    FbankOptions(kind="spectrogram", use_energy=True, sample_rate=8000, raw_energy=False),
    FbankOptions(
        kind="spectrogram",
        use_energy=True,
        frame_length_ms=20,
        round_to_power_of_two=False,
        window_type="hamming",
    ),
]


@pytest.mark.parametrize("options", SPECTROGRAMS, ids=shown)
def test_spectrogram_equals_torchaudios(speech: np.ndarray, options: FbankOptions) -> None:
    samples = at_rate(speech, options.sample_rate)
    theirs, mine = by_torchaudio(samples, options), ours(samples, options)
    assert mine.shape == theirs.shape
    np.testing.assert_allclose(mine[:, 0], theirs[:, 0], atol=1e-3)  # the log energy, as Kaldi has it
    loud = theirs > theirs[:, 1:].max(1, keepdims=True) + np.log(1e-7)
    assert loud.mean() > 0.9
    np.testing.assert_allclose(mine[loud], theirs[loud], atol=1e-3)
    # 70 dB below the frame's strongest bin stands the rounding of float32: there magnitudes agree.
    apart = np.abs(np.exp(mine / 2) - np.exp(theirs / 2)) / np.exp(theirs[:, 1:].max(1, keepdims=True) / 2)
    assert apart[~loud].max() < 1e-6


def test_plain_spectrogram_is_the_literal_one(speech: np.ndarray) -> None:
    options = FbankOptions(
        kind="spectrogram",
        frame_length_ms=20,
        round_to_power_of_two=False,
        use_power=False,
        use_log_fbank=False,
        preemphasis=0.0,
        window_type="rectangular",
    )
    mine = ours(speech, options)
    frames = np.lib.stride_tricks.sliding_window_view(speech.astype(np.float64) * 32768, 320)[::160]
    literal = np.abs(np.fft.rfft(frames - frames.mean(1, keepdims=True)))
    assert mine.shape == (len(frames), 161)
    np.testing.assert_allclose(mine, literal, atol=1e-5 * literal.max(), rtol=1e-5)


@pytest.mark.parametrize(("points", "bins", "power"), [(400, 40, 2.0), (512, 64, 1.0), (1024, 128, 2.0)])
@pytest.mark.parametrize("window", ["hanning", "hamming"])
def test_mel_spectrogram_equals_torchaudios(
    speech: np.ndarray, points: int, bins: int, power: float, window: str
) -> None:
    kaldi()  # puts the stand-in for torchaudio's extension into place
    transform = importlib.import_module("torchaudio.transforms").MelSpectrogram(
        sample_rate=16000,
        n_fft=points,
        win_length=400,
        hop_length=160,
        n_mels=bins,
        power=power,
        center=False,
        window_fn=torch.hann_window if window == "hanning" else torch.hamming_window,
    )
    # torch.stft puts the window in the middle of the transformed samples, Kaldi at their beginning.
    pad = (points - 400) // 2
    theirs = transform(torch.from_numpy(np.pad(speech, pad))).T.numpy()
    options = FbankOptions(
        sample_scale=1.0,
        remove_dc_offset=False,
        preemphasis=0.0,
        window_type=window,
        periodic_window=True,
        fft_size=points,
        num_mel_bins=bins,
        low_freq=0.0,
        mel_slopes="hertz",
        use_power=power == 2.0,
        use_log_fbank=False,
    )
    mine = ours(speech, options)
    assert mine.shape == theirs.shape
    np.testing.assert_allclose(mine, theirs, atol=1e-5 * theirs.max(), rtol=1e-4)
    logarithms = ours(speech, dataclasses.replace(options, use_log_fbank=True, log_offset=1e-6))
    np.testing.assert_allclose(logarithms, np.log(theirs + 1e-6), atol=1e-3)


def literal_plp(mels: np.ndarray, centres: np.ndarray, order: int, count: int) -> np.ndarray:
    """Hermansky's steps one frame at a time with a linear solver in the place of Durbin's recursion."""
    square = centres**2
    loud = (square / (square + 1.6e5)) ** 2 * (square + 1.44e6) / (square + 9.61e6)
    out = []
    for frame in mels:
        spectrum = (frame * loud) ** 0.33333
        spectrum = np.concatenate((spectrum[:1], spectrum, spectrum[-1:]))
        whole = np.concatenate((spectrum, spectrum[-2:0:-1]))  # symmetric: its inverse DFT is real
        lags = np.fft.ifft(whole).real[: order + 1]
        toeplitz = lags[np.abs(np.subtract.outer(np.arange(order), np.arange(order)))]
        predictor = np.linalg.solve(toeplitz, lags[1:])
        residual = lags[0] - predictor @ lags[1:]
        # The cepstrum of 1 / A(z): minus the logarithm of A's spectrum, transformed back.
        response = np.fft.fft(np.concatenate(([1.0], -predictor)), 4096)
        cepstrum = 2 * np.fft.ifft(-np.log(np.abs(response))).real
        lifter = 1 + 11 * np.sin(np.pi * np.arange(count) / 22)
        out.append(np.concatenate(([np.log(residual)], cepstrum[1:count])) * lifter)
    return np.stack(out)


def test_plp_equals_the_literal_one(speech: np.ndarray) -> None:
    options = FbankOptions(kind="plp", num_mel_bins=23)
    mels = ours(speech, FbankOptions(num_mel_bins=23, use_log_fbank=False)).astype(np.float64)
    points = np.linspace(*(1127 * np.log(1 + np.array([20.0, 8000.0]) / 700)), 25)[1:-1]
    centres = 700 * (np.exp(points / 1127) - 1)
    np.testing.assert_allclose(ours(speech, options), literal_plp(mels, centres, 12, 13), atol=2e-3)


def test_plp_puts_energy_in_place_of_c0_and_last_for_htk(speech: np.ndarray) -> None:
    plain = ours(speech, FbankOptions(kind="plp", num_mel_bins=23))
    energy = ours(speech, FbankOptions(use_energy=True, num_mel_bins=23))[:, 0]
    options = FbankOptions(kind="plp", num_mel_bins=23, use_energy=True, htk_compat=True, cepstral_scale=10)
    mine = ours(speech, options)
    np.testing.assert_allclose(mine[:, :-1], plain[:, 1:] * 10, atol=1e-5)
    np.testing.assert_allclose(mine[:, -1], energy, atol=1e-5)


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


def test_every_reference_file_of_htk_is_used(shared_data: Path) -> None:
    found = {path.name for path in (shared_data / "reference/kaldi_feat").glob("*_htk.*")}
    used = {f"test.wav.fea_htk.{n}" for n in HTK_MFCC} | {f"test.wav.fbank_htk.{n}" for n in HTK_FBANK}
    assert found == used


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
    mine = ours(speech, dataclasses.replace(HTK_MFCC[number], delta_order=2))
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

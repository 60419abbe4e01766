"""The feature module outside of eager torch: exported, by ONNX Runtime, on another device."""

from __future__ import annotations

import io

import numpy as np
import pytest
import torch

from pysteps.features.fbank import Fbank
from pysteps.features.options import FbankOptions
from pysteps.formats.errors import InputError

KINDS = [
    FbankOptions(),
    FbankOptions(kind="mfcc", num_mel_bins=30, num_ceps=30, use_energy=True, high_freq=-400),
    FbankOptions(kind="mfcc", num_mel_bins=23, snip_edges=False, delta_order=2),
    FbankOptions(kind="spectrogram", frame_length_ms=20, round_to_power_of_two=False, snip_edges=False),
]


def name(options: FbankOptions) -> str:
    return f"{options.kind}{options.dim}{'' if options.snip_edges else '_unsnipped'}"


def noise(*shape: int) -> torch.Tensor:
    return torch.from_numpy((np.random.default_rng(0).standard_normal(shape) * 0.1).astype(np.float32))


DYNAMIC = ({0: torch.export.Dim("batch", min=1, max=512), 1: torch.export.Dim("time", min=800, max=1 << 24)},)


@pytest.mark.parametrize("options", KINDS, ids=name)
def test_exported_for_any_batch_and_time_it_gives_the_same_features(options: FbankOptions) -> None:
    onnxruntime = pytest.importorskip("onnxruntime", reason="onnxruntime is not installed")
    pytest.importorskip("onnxscript", reason="onnxscript is not installed")
    fbank, buffer = Fbank(options).eval(), io.BytesIO()
    exported = torch.export.export(fbank, (noise(2, 5000),), dynamic_shapes=DYNAMIC)
    program = torch.onnx.export(exported, dynamo=True, verbose=False, input_names=["samples"])
    assert program is not None
    program.save(buffer)
    session = onnxruntime.InferenceSession(buffer.getvalue(), providers=["CPUExecutionProvider"])
    for shape in ((1, 800), (3, 7777)):
        samples = noise(*shape)
        expected = fbank(samples).numpy()
        again = exported.module()(samples).numpy()
        (found,) = session.run(None, {"samples": samples.numpy()})
        # Where a bin of a spectrogram is empty (60 dB below the strongest) stands rounding.
        depth = np.log(1e6) if options.kind == "spectrogram" else np.inf
        kept = expected > expected.max(-1, keepdims=True) - depth
        assert again.shape == found.shape == expected.shape and kept.mean() > 0.99
        np.testing.assert_allclose(again[kept], expected[kept], atol=1e-4)
        # The lowest mel bins hold little energy: there another FFT differs a little more.
        np.testing.assert_allclose(found[kept], expected[kept], atol=1e-4, rtol=3e-5)


def test_dither_is_not_exported() -> None:
    with pytest.raises(InputError, match="dither"):
        torch.export.export(Fbank(FbankOptions(dither=1.0)), (noise(2, 5000),))


def test_scripts_of_a_gpu_give_what_a_cpu_gives(monkeypatch: pytest.MonkeyPatch) -> None:
    # A device takes whole batches instead of blocks: the same path without one.
    fbank, samples = Fbank(FbankOptions(num_mel_bins=40, delta_order=1)), noise(5, 9000)
    expected = fbank(samples)
    monkeypatch.setattr("torch.compiler.is_compiling", lambda: True)
    torch.testing.assert_close(fbank(samples), expected, atol=1e-4, rtol=0)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU here")
def test_a_gpu_gives_what_a_cpu_gives(monkeypatch: pytest.MonkeyPatch) -> None:
    samples = noise(5, 90000)
    for options in KINDS:
        fbank = Fbank(options)
        expected = fbank(samples)
        monkeypatch.setattr("pysteps.features.fbank._DEVICE_SAMPLES", 1 << 18)
        found = fbank.cuda()(samples.cuda()).cpu()
        torch.testing.assert_close(found, expected, atol=1e-3, rtol=0)

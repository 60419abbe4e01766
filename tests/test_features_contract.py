"""What the features' contract and stamp compare: options that change a feature, and no others."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest

from pysteps.features import contract as contracts
from pysteps.features import stage
from pysteps.features.contract import FeaturesOptions
from pysteps.features.fbank import Fbank, compute
from pysteps.features.voiced import VoicedFeatures
from tests.test_features_stage import features, make_run, noise


@pytest.mark.parametrize("kind", ["fbank", "mfcc", "plp", "spectrogram"])
@pytest.mark.parametrize(
    "more",
    [
        {},
        {"use_energy": True},
        {"use_log_fbank": False, "fft_size": 600, "window_type": "blackman"},
        {"vtln_warp": 1.1, "delta_order": 1, "dither": 1.0},
    ],
    ids=str,
)
def test_options_that_are_not_compared_change_no_feature(kind: str, more: dict) -> None:
    options = FeaturesOptions(kind=kind, num_mel_bins=20, **more)
    kept = contracts.relevant(asdict(options))
    samples = noise(4000) / np.float32(32768)
    wanted = compute(samples, Fbank(options.acoustic()), utt="u", seed=options.seed)
    other = {
        "round_to_power_of_two": False,
        "blackman_coeff": 0.3,
        "num_mel_bins": 15,
        "low_freq": 50.0,
        "high_freq": 7800.0,
        "mel_slopes": "hertz",
        "vtln_warp": 0.9,
        "vtln_low": 150.0,
        "vtln_high": -1500.0,
        "use_power": False,
        "use_log_fbank": not options.use_log_fbank,
        "log_offset": 1e7,
        "raw_energy": False,
        "energy_floor": 1e12,
        "num_ceps": 10,
        "cepstral_lifter": 10.0,
        "lpc_order": 13,
        "compress_factor": 0.5,
        "cepstral_scale": 2.0,
        "htk_compat": True,
        "htk_mode": True,
        "delta_window": 3,
        "seed": 7,
    }
    for name, value in other.items():
        changed = FeaturesOptions(**{**asdict(options), name: value})
        found = compute(samples, Fbank(changed.acoustic()), utt="u", seed=changed.seed)
        assert np.array_equal(found, wanted) == (name not in kept), name


def test_only_what_a_mean_and_pitch_need_is_compared() -> None:
    def kept(**options: object) -> set[str]:
        names = ("cmvn_window", "cmvn_vars", "cmvn_frames", "pitch_low", "pitch_high")
        return set(names) & set(contracts.relevant(asdict(FeaturesOptions(**options))))

    assert kept() == {"cmvn_vars", "cmvn_frames"} == kept(cmvn="global")
    assert kept(cmvn="none") == set()
    assert kept(cmvn="sliding", pitch=True) == {
        "cmvn_window",
        "cmvn_vars",
        "cmvn_frames",
        "pitch_low",
        "pitch_high",
    }


def test_a_number_without_effect_makes_no_feature_stale(tmp_path: Path) -> None:
    run = make_run(tmp_path)
    features(run)
    run.options["features"] |= {"pitch_low": 70.0, "cmvn_window": 200, "lpc_order": 10}
    assert [unit.stale() for unit in stage.units(run)] == [None, None]
    VoicedFeatures(run, "dev")  # nor is the contract another
    run.options["features"]["low_freq"] = 30.0
    assert "low_freq" in str(stage.units(run)[0].stale())

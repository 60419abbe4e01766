"""Options of stage augment that only together, or only with those of other stages, are wrong."""

from __future__ import annotations

from pathlib import Path

import pytest

from pysteps.augment.options import AugmentOptions, shaping
from pysteps.formats.errors import InputError
from pysteps.recipe.options import parse
from pysteps.recipe.resolve import resolve


def resolved(repo: Path, *words: str) -> dict[str, object]:
    return resolve(repo, parse(["--recipe", "mini", *words])).options["augment"]


@pytest.mark.parametrize("kbps", [[8], [16, 300]])
def test_a_bit_rate_that_opus_lacks_is_refused_before_the_first_stage(kbps: list[int]) -> None:
    with pytest.raises(InputError, match="opus_kbps.*12 to 256 kbit/s"):
        AugmentOptions(opus_kbps=kbps)


@pytest.mark.parametrize(
    ("rate", "kbps", "bounds"), [("48000", "[16,64]", "32 to 320"), ("8000", "[64,96]", "8 to 64")]
)
def test_a_bit_rate_that_mp3_lacks_at_the_runs_rate_is_refused(
    repo: Path, rate: str, kbps: str, bounds: str
) -> None:
    words = ("--audio.sample_rate", rate, "--features.high_freq", "0", "--augment.mp3_kbps", kbps)
    with pytest.raises(InputError, match=f"mp3 at {rate} Hz has no .*{bounds} kbit/s"):
        resolved(repo, *words, "--augment.kinds", "[noise,reverb+mp3]")
    assert resolved(repo, *words)  # who does not code has no bit rate


@pytest.mark.parametrize("rate", ["8000", "16000", "22050", "24000"])
def test_the_default_bit_rates_are_known_at_the_rates_of_speech(repo: Path, rate: str) -> None:
    words = ("--audio.sample_rate", rate, "--features.high_freq", "0")
    assert resolved(repo, *words, "--augment.kinds", "[mp3,opus]")["mp3_kbps"] == [16, 24, 32, 48, 64]


def test_training_on_the_fly_writes_no_copies(repo: Path) -> None:
    words = ("--augment.when", "training", "--egs.kind", "audio")
    with pytest.raises(InputError, match=r"no copies to write out.*--augment\.materialise none"):
        resolved(repo, *words, "--augment.materialise", "flac")
    assert resolved(repo, *words)["when"] == "training"


def test_only_steps_that_are_taken_and_kinds_that_draw_a_sound_are_in_the_stamp() -> None:
    plain = {"dc": False, "preemphasis": 0.0, "band_low": 0.0, "band_high": 0.0}
    plain |= {"band_order": 5, "zero_phase": True, "level": "rms"}
    assert shaping(plain, "noise") == {}
    full = {**plain, "dc": True, "band_high": 3400.0}
    wanted = {"dc": True, "band_low": 0.0, "band_high": 3400.0, "band_order": 5, "zero_phase": True}
    assert shaping(full, "reverb+music") == shaping(full, "noise") == wanted
    assert shaping(full, "reverb") == shaping(full, "babble") == {}

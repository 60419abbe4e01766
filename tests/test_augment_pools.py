"""Recordings that lie ready in 16-bit wavs are read where they lie: the same samples as any other way."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile

from pysteps.augment import pools
from pysteps.augment.pools import Pools
from pysteps.formats.errors import InputError
from pysteps.formats.run import Run
from pysteps.formats.tables import write_table
from pysteps.recipe.options import parse
from pysteps.recipe.resolve import resolve
from tests.pipeline import REPO

SAMPLES = np.random.default_rng(0).integers(-9000, 9000, 5000).astype(np.int16)


def run_with(work: Path, files: dict[str, Path], *words: str) -> Run:
    run = resolve(
        REPO, parse(["--recipe", "folder", "--work", str(work), "--augment.kinds", "[noise]", *words])
    )
    (run.data / "noise").mkdir(parents=True)
    write_table(run.data / "noise" / "wav.scp", {name: str(path) for name, path in files.items()})
    return run


def recording(path: Path, rate: int = 16000, subtype: str = "PCM_16") -> Path:
    soundfile.write(path, SAMPLES, rate, subtype=subtype)
    return path


@pytest.mark.parametrize(("fraction", "length"), [(0.0, 100), (0.7, 1500), (0.95, 1000), (0.5, 9000)])
def test_a_part_of_a_wav_is_that_of_a_flac(tmp_path: Path, fraction: float, length: int) -> None:
    files = {kind: recording(tmp_path / f"noise.{kind}") for kind in ("wav", "flac")}
    loaded = Pools(run_with(tmp_path / "work", files))
    wav, flac = (loaded.load("noise", kind, fraction, length) for kind in ("wav", "flac"))
    turned = np.roll(SAMPLES, -int(fraction * 5000))[:length] / np.float32(32768)
    assert np.array_equal(wav, flac) and np.array_equal(wav, turned)
    assert np.array_equal(loaded.load("noise", "wav"), SAMPLES / np.float32(32768))


def test_other_rates_and_codings_and_shaped_sounds_are_no_exception(tmp_path: Path) -> None:
    files = {
        "slow": recording(tmp_path / "a.wav", 8000),
        "wide": recording(tmp_path / "b.wav", subtype="PCM_24"),
    }
    loaded = Pools(run_with(tmp_path / "work", files))
    assert len(loaded.load("noise", "slow", 0.0, 20000)) == 10000
    assert np.abs(loaded.load("noise", "wide", 0.5, 100) - SAMPLES[2500:2600] / 32768).max() < 1e-4
    plain = recording(tmp_path / "c.wav")
    shaped = Pools(run_with(tmp_path / "other", {"plain": plain}, "--audio.preemphasis", "0.9"))
    heard, clean = shaped.load("noise", "plain", 0.0, 100), SAMPLES[:100] / 32768
    assert np.abs(heard[1:] - (clean[1:] - 0.9 * clean[:-1])).max() < 1e-6


def test_no_more_files_stay_open_than_are_allowed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pools, "KEPT_OPEN", 2)
    files = {f"n{number}": recording(tmp_path / f"{number}.wav") for number in range(5)}
    loaded = Pools(run_with(tmp_path / "work", files))
    for _ in range(2):
        for name in files:
            assert len(loaded.load("noise", name, 0.5, 10)) == 10
    assert len(loaded._wavs._files) == 2
    loaded.close()
    assert not loaded._wavs._files and len(loaded.load("noise", "n0", 0.5, 10)) == 10


def test_a_cut_wav_is_refused_as_before(tmp_path: Path) -> None:
    path = recording(tmp_path / "cut.wav")
    path.write_bytes(path.read_bytes()[:-500])
    with pytest.raises(InputError, match="truncated"):
        Pools(run_with(tmp_path / "work", {"cut": path})).load("noise", "cut", 0.0, 100)

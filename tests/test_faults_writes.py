"""Calls that write fail one time in twenty: nothing is ever partial, and restarts end in the same bytes."""

from __future__ import annotations

from pathlib import Path

import pytest

from pysteps.formats import arks
from pysteps.formats.atomic import replacing
from tests.faults.harness import clean, compile_shim, drive, resolved, tables_only


@pytest.fixture(scope="module")
def shim(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The library that makes a disk fail."""
    return compile_shim(tmp_path_factory.mktemp("shim"))


def test_audio_and_vad_with_5_percent_of_writes_failing(tmp_path: Path, shim: Path) -> None:
    run = tables_only(tmp_path)
    verdict = drive(run, shim, stages=["audio", "vad"], mille=50)
    assert clean(verdict) == {}
    # Some 6 calls a file, 30 files: one attempt in ten thousand would do it at once.
    assert verdict["attempts"] > 10 and verdict["files"] > 30
    assert all(line.startswith(f"error: {tmp_path}") for line in verdict["said"])
    assert any("cannot be written" in line for line in verdict["said"])


def test_when_the_disk_fills_up_the_file_and_the_disk_are_named(tmp_path: Path, shim: Path) -> None:
    run = tables_only(tmp_path)
    quotas = [10, 3000, 20000, 200000, 400000, 600000]
    verdict = drive(run, shim, stages=["audio", "vad"], kind="quota", quotas=quotas, short=0)
    assert clean(verdict) == {}
    assert len(verdict["said"]) == len(quotas)
    for line in verdict["said"]:
        assert line.startswith(f"error: {run.work}") and "cannot be written: No space left on device" in line
        assert "free on the disk at " in line and "start again" in line


# Work that is one unit starts from its beginning: of its N calls all must go well at once.
@pytest.mark.long
@pytest.mark.parametrize(
    ("stages", "first", "mille"),
    [
        ("prepare", "", 2),
        ("augment,features", "vad", 10),
        ("egs,train,extract", "features", 20),
        ("backend,score", "extract", 20),
    ],
)
def test_every_other_stage(tmp_path: Path, shim: Path, stages: str, first: str, mille: int) -> None:
    copies = {"augment__kinds": "[noise, speed0.9]", "augment__materialise": "ark"}
    run = resolved(tmp_path, **copies, train__tensorboard="true")
    verdict = drive(run, shim, stages=stages.split(","), first=first, mille=mille, seed=1000)
    assert clean(verdict) == {}
    assert verdict["attempts"] > 1
    assert all(line.startswith(f"error: {tmp_path}") for line in verdict["said"] if "local/" not in line)


# Bytes that may be written before the disk is full: in a list, in an archive, near the end.
@pytest.mark.long
@pytest.mark.parametrize(
    ("stages", "first", "quotas"),
    [
        ("egs", "features", [100, 3000, 30_000, 300_000]),
        ("train", "egs", [100, 30_000, 300_000, 700_000]),
        ("extract,backend", "train", [100, 3000, 9000]),
        ("score", "backend", [100, 3000, 30_000]),
    ],
)
def test_a_full_disk_in_every_later_stage(
    tmp_path: Path, shim: Path, stages: str, first: str, quotas: list[int]
) -> None:
    run = resolved(tmp_path)
    spec = {"kind": "quota", "quotas": quotas, "short": 0, "first": first}
    verdict = drive(run, shim, stages=stages.split(","), **spec)
    assert clean(verdict) == {}
    assert verdict["attempts"] == len(quotas) + 1 and len(verdict["said"]) == len(quotas)
    for line in verdict["said"]:
        assert line.startswith(f"error: {run.work}") and "No space left on device" in line
        assert "free on the disk at " in line and "start again" in line


@pytest.mark.long
def test_flac_whose_library_writes_from_c(tmp_path: Path, shim: Path) -> None:
    run = tables_only(tmp_path, audio__materialise="flac")
    verdict = drive(run, shim, stages=["audio", "vad"], mille=20, seed=30)
    assert clean(verdict) == {}
    assert any(".ark: cannot be written" in line for line in verdict["said"])


def test_an_error_that_a_library_swallows_is_raised_all_the_same(tmp_path: Path) -> None:
    whole = tmp_path / "whole"
    whole.write_text("before")
    with pytest.raises(OSError, match="cannot be written: No space left") as caught:
        with replacing(whole, "wb") as handle:
            full(handle)
            try:
                handle.write(bytes(1 << 17))
            except OSError:
                raise RuntimeError("unexpected pos 64 vs 0") from None  # what torch makes of a full disk
    assert caught.value.filename == str(whole)
    assert whole.read_text() == "before" and [path.name for path in tmp_path.iterdir()] == ["whole"]


def test_a_flac_on_a_full_disk_says_so(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    import numpy as np

    noise = np.random.default_rng(0).integers(-9000, 9000, 90000).astype(np.int16)
    with pytest.raises(OSError, match="cannot be written: No space left") as caught:
        with replacing(tmp_path / "a.ark", "wb") as handle:
            full(handle)
            arks.ArchiveWriter(handle, "a.ark").audio("one", noise, 16000, flac=True)
    assert caught.value.filename == str(tmp_path / "a.ark")
    assert list(tmp_path.iterdir()) == [] and "cffi" not in capfd.readouterr().err


def full(handle) -> None:  # type: ignore[no-untyped-def]
    """Put /dev/full in the place of the file below ``handle``."""
    import os

    device = os.open("/dev/full", os.O_WRONLY)
    os.dup2(device, handle.fileno())
    os.close(device)

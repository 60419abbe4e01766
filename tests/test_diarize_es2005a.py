"""AMI ES2005a from the x-vectors, windows, transform and PLDA that the authors of VBx published."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("h5py", reason="pip install -r requirements/diarize.txt")
pytest.importorskip("pyannote.metrics", reason="pip install -r requirements/diarize.txt")

from pysteps.diarize.judge import judge
from pysteps.diarize.options import DiarizeOptions
from pysteps.diarize.turns import Turns, read_rttm
from pysteps.diarize.work import Inputs, diarize

VBX = DiarizeOptions(threshold=-0.015, resegment="vbx", lda_dim=128, fa=0.3, fb=17.0, loop=0.99)


@pytest.fixture(scope="module")
def folder(shared_data: Path) -> Path:
    """The published files."""
    return shared_data / "reference" / "vbx"


def _diarize(folder: Path, options: DiarizeOptions) -> Turns:
    files = [
        str(folder / name) for name in ("ES2005a.xvectors.ark", "ES2005a.segments", "transform.h5", "plda")
    ]
    return diarize(Inputs.load(files[0], files[1], files[2], files[3], options), options)


def _der(folder: Path, turns: Turns) -> float:
    reference = read_rttm(folder / "ES2005a.reference.rttm")
    return judge(reference, turns, collar=0.25, skip_overlap=True)["all"]["der"]


def test_ahc_and_vbx_reach_the_published_error(folder: Path) -> None:
    turns = _diarize(folder, VBX)
    assert round(_der(folder, turns), 2) <= 7.06
    reference = read_rttm(folder / "ES2005a.reference.rttm")
    # Published: 29.99, on frames of 10 ms; here on exact times.
    assert judge(reference, turns)["all"]["jer"] == pytest.approx(29.99, abs=0.05)


def test_the_turns_are_those_of_the_authors(folder: Path) -> None:
    ours, theirs = _diarize(folder, VBX)["ES2005a"], read_rttm(folder / "ES2005a.vbx.rttm")["ES2005a"]
    assert len(ours) == len(theirs)
    np.testing.assert_allclose(
        [(turn.start, turn.end) for turn in ours], [(turn.start, turn.end) for turn in theirs], atol=1e-6
    )
    pairs = {(one.speaker, two.speaker) for one, two in zip(ours, theirs, strict=True)}
    assert len(pairs) == len({two for _, two in pairs}) == len({one for one, _ in pairs}) == 5


def test_ahc_alone_at_that_threshold(folder: Path) -> None:
    # Measured here, nobody published it: AHC leaves 31 clusters on purpose, VBx is to join them.
    turns = _diarize(folder, DiarizeOptions(threshold=-0.015))
    assert len({turn.speaker for turn in turns["ES2005a"]}) == 31
    assert _der(folder, turns) == pytest.approx(22.43, abs=0.01)


@pytest.mark.parametrize(
    ("options", "most"),
    [
        (DiarizeOptions(speakers=4), 2.81),
        (DiarizeOptions(speakers=4, affinity="plda", plda_energy=0.1), 5.40),
        (DiarizeOptions(speakers=4, clustering="spectral", max_speakers=10), 1.85),
    ],
    ids=["ahc-cosine", "ahc-plda", "spectral"],
)
def test_four_speakers_are_found_when_their_number_is_known(
    folder: Path, options: DiarizeOptions, most: float
) -> None:
    # Bounds are what was measured; they guard against getting worse.
    assert _der(folder, _diarize(folder, options)) <= most

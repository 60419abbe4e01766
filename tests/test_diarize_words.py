"""The command line of diarization: what does nothing is refused, what is left out is said."""

from __future__ import annotations

import gzip
import shutil
from pathlib import Path

import pytest

from pysteps.diarize.__main__ import main
from pysteps.diarize.options import EXPLAINED, DiarizeOptions
from pysteps.diarize.turns import read_rttm, stretches
from pysteps.diarize.words import READS
from pysteps.formats.errors import InputError
from tests.test_diarize_files import _conversation

NEEDED = {
    "cluster": ["--xvectors", "x.scp", "--segments", "s", "--out", "o"],
    "tune": ["--xvectors", "x.scp", "--segments", "s", "--reference", "r"],
    "windows": ["--out", "o"],
    "extract": ["--run", "r", "--set", "s", "--out", "o"],
}


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("tune --speakers 3", "--speakers does nothing in tune"),
        ("tune --threshold 0.3", "--threshold does nothing in tune"),
        ("cluster --window 1.5", "--window does nothing in cluster"),
        ("cluster --collar 0.25", "--collar does nothing in cluster"),
        ("cluster --speakers 2 --max_speakers 4", "--max_speakers does nothing where the number"),
        ("cluster --reco2num-spk n --max_speakers=4", "--max_speakers does nothing where the number"),
        ("cluster --reco2num-spk n --speakers 2", "--speakers does nothing beside --reco2num-spk"),
        ("cluster --fa 0.3", "--fa does nothing with resegment none"),
        ("cluster --plda_energy 0.1", "--plda_energy does nothing with affinity cosine"),
        ("cluster --plda p", "--plda does nothing without affinity plda or resegment vbx"),
        ("cluster --clustering spectral --max_speakers 4 --threshold 1", "--threshold does nothing with clu"),
        ("cluster --seed 1", "--seed does nothing without clustering spectral"),
        ("windows --lab a.lab --rate 8000", "--rate does nothing without --vad"),
        ("extract --speech reference --least_gap 1", "--least_gap does nothing with speech reference"),
        ("cluster --speakers 5 --max_speakers 4", "does nothing|speakers 5, max_speakers 4"),
        ("cluster --resegment vbx", r"resegment vbx needs a PLDA model \(--plda FILE"),
        ("cluster --affinity plda", r"affinity plda needs a PLDA model \(--plda FILE"),
    ],
)
def test_what_does_nothing_or_is_not_enough_is_refused(line: str, message: str) -> None:
    verb, *words = line.split()
    with pytest.raises(InputError, match=message):
        main([verb, *NEEDED[verb], *words])


def test_a_conf_file_may_hold_what_a_verb_does_not_read(tmp_path: Path, repo: Path) -> None:
    _conversation(tmp_path)
    config = str(repo / "conf" / "diarize" / "spectral.yaml")
    words = ["--xvectors", str(tmp_path / "xvector.scp"), "--segments", str(tmp_path / "segments")]
    (tmp_path / "c.yaml").write_text(Path(config).read_text() + "window: 1.5\ncollar: 0.25\n")
    main(["cluster", "--config", str(tmp_path / "c.yaml"), *words, "--out", str(tmp_path / "a")])
    assert len({turn.speaker for turn in read_rttm(tmp_path / "a")["talk"]}) == 3


@pytest.mark.parametrize("verb", READS)
def test_help_explains_what_a_verb_reads_and_shows_nothing_else(
    verb: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        main([verb, "--help"])
    said = " ".join(capsys.readouterr().out.split())
    for name in DiarizeOptions.__dataclass_fields__:
        shown = f"--{name} " in said or f"--{name.replace('_', '-')} " in said
        assert shown == (name in READS[verb]), name
        assert (EXPLAINED[name] in said) == shown, name


def test_every_option_is_explained() -> None:
    assert list(EXPLAINED) == list(DiarizeOptions.__dataclass_fields__)


@pytest.mark.parametrize("count", ["0", "-2"])
def test_no_threshold_to_try_is_refused(tmp_path: Path, count: str) -> None:
    pytest.importorskip("pyannote.metrics", reason="pip install -r requirements/diarize.txt")
    _conversation(tmp_path)
    words = ["--xvectors", str(tmp_path / "xvector.scp"), "--segments", str(tmp_path / "segments")]
    with pytest.raises(InputError, match=f"{count} thresholds to try .at least 1"):
        main(["tune", *words, "--reference", str(tmp_path / "ref.rttm"), "--count", count])


def test_x_vectors_without_a_window_are_counted_and_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    _conversation(tmp_path)
    lines = (tmp_path / "segments").read_text().splitlines(keepends=True)
    (tmp_path / "segments").write_text("".join(lines[:-3]))
    words = ["--xvectors", str(tmp_path / "xvector.scp"), "--segments", str(tmp_path / "segments")]
    main(["cluster", *words, "--out", str(tmp_path / "a")])
    assert "left out 3 of 39 x-vectors that have no line there, first talk-0180" in capsys.readouterr().err


def test_gzipped_lists_are_read(tmp_path: Path) -> None:
    _conversation(tmp_path)
    for name in ("segments", "ref.rttm"):
        with open(tmp_path / name, "rb") as plain, gzip.open(tmp_path / f"{name}.gz", "wb") as packed:
            shutil.copyfileobj(plain, packed)
    assert read_rttm(tmp_path / "ref.rttm.gz") == read_rttm(tmp_path / "ref.rttm")
    words = ["--xvectors", str(tmp_path / "xvector.scp"), "--speakers", "3"]
    for name in ("segments", "segments.gz"):
        main(["cluster", *words, "--segments", str(tmp_path / name), "--out", str(tmp_path / f"{name}.rttm")])
    assert (tmp_path / "segments.rttm").read_bytes() == (tmp_path / "segments.gz.rttm").read_bytes()


def test_windows_of_a_reference(tmp_path: Path) -> None:
    lines = ["0.5 1.0 <NA> <NA> a", "1.2 0.8 <NA> <NA> b", "2.0 0.1 <NA> <NA> a", "3.0 0.5 <NA> <NA> b"]
    (tmp_path / "r").write_text("".join(f"SPEAKER talk 1 {line} <NA> <NA>\n" for line in lines))
    assert stretches(read_rttm(tmp_path / "r")["talk"]) == [(0.5, 2.1), (3.0, 3.5)]
    words = ["--rttm", str(tmp_path / "r"), "--window", "2", "--shift", "1"]
    main(["windows", *words, "--out", str(tmp_path / "segments")])
    found = [line.split()[2:] for line in (tmp_path / "segments").read_text().splitlines()]
    assert found == [["0.500", "2.100"], ["3.000", "3.500"]]

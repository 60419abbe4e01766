"""From files to RTTM by the command line: made-up conversations, bad input, the threshold from dev."""

from __future__ import annotations

import gzip
import struct
from pathlib import Path

import numpy as np
import pytest

from pysteps.backend import Backend
from pysteps.diarize.__main__ import main
from pysteps.diarize.options import DiarizeOptions
from pysteps.diarize.turns import read_rttm
from pysteps.diarize.vectors import load_transform, read_index, read_rows
from pysteps.diarize.work import Inputs, diarize, read_numbers
from pysteps.formats.arks import writing
from pysteps.formats.errors import InputError
from pysteps.formats.tables import write_table

TRUTH = [("A", 0, 6), ("B", 6, 12), ("A", 12, 15), ("C", 15, 20)]


def _conversation(folder: Path, name: str = "talk", noise: float = 0.3) -> None:
    """Windows of 1 s every 0.5 s over 20 s, x-vectors of whoever speaks in their middle, and the truth."""
    random = np.random.default_rng(0)
    voices = dict(zip("ABC", np.linalg.qr(random.normal(size=(16, 16)))[0], strict=False))
    starts = np.arange(0, 19.5, 0.5)
    with writing(folder / "xvector.ark") as writer:
        segments = {}
        for start in starts:
            who = next(speaker for speaker, begin, end in TRUTH if begin <= start + 0.5 < end)
            window = f"{name}-{int(start * 10):04d}"
            segments[window] = f"{name} {start} {start + 1}"
            vector = voices[who] + noise * random.normal(size=16) / 4
            writer.array(window, vector.astype(np.float32))
    write_table(folder / "xvector.scp", writer.scp)
    write_table(folder / "segments", segments)
    lines = [f"SPEAKER {name} 1 {begin} {end - begin} <NA> <NA> {who} <NA> <NA>" for who, begin, end in TRUTH]
    (folder / "ref.rttm").write_text("\n".join(lines) + "\n")


@pytest.mark.parametrize("table", ["xvector.scp", "xvector.ark"])
def test_x_vectors_to_rttm(tmp_path: Path, table: str, capsys: pytest.CaptureFixture[str]) -> None:
    _conversation(tmp_path)
    words = ["--xvectors", str(tmp_path / table), "--segments", str(tmp_path / "segments")]
    main(["cluster", *words, "--threshold", "0.5", "--relative", "false", "--out", str(tmp_path / "a.rttm")])
    turns = read_rttm(tmp_path / "a.rttm")["talk"]
    assert [turn.speaker for turn in turns] == ["1", "2", "1", "3"]
    assert [round(turn.end, 2) for turn in turns] == [5.75, 11.75, 14.75, 20.0]
    assert "overlapped speech is given to one" in capsys.readouterr().err


def test_a_config_file_and_a_word_over_it(tmp_path: Path, repo: Path) -> None:
    _conversation(tmp_path)
    words = ["--xvectors", str(tmp_path / "xvector.scp"), "--segments", str(tmp_path / "segments")]
    config = str(repo / "conf" / "diarize" / "spectral.yaml")
    main(["cluster", "--config", config, *words, "--speakers", "2", "--out", str(tmp_path / "a.rttm")])
    assert {turn.speaker for turn in read_rttm(tmp_path / "a.rttm")["talk"]} == {"1", "2"}


def test_every_config_file_is_accepted(repo: Path) -> None:
    import yaml

    paths = sorted((repo / "conf" / "diarize").glob("*.yaml"))
    assert paths
    for path in paths:
        DiarizeOptions(**yaml.safe_load(path.read_text("utf-8")))


def test_reco2num_spk_goes_before_the_option(tmp_path: Path) -> None:
    _conversation(tmp_path)
    (tmp_path / "reco2num_spk").write_text("talk 2\n")
    options = DiarizeOptions(speakers=5)
    inputs = Inputs.load(str(tmp_path / "xvector.scp"), str(tmp_path / "segments"), None, None, options)
    found = diarize(inputs, options, read_numbers(str(tmp_path / "reco2num_spk")))
    assert {turn.speaker for turn in found["talk"]} == {"1", "2"}
    with pytest.raises(InputError, match="talk has no number"):
        diarize(inputs, options, {"other": 2})


def test_the_threshold_of_dev_finds_its_speakers(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("pyannote.metrics", reason="pip install -r requirements/diarize.txt")
    _conversation(tmp_path)
    words = ["--xvectors", str(tmp_path / "xvector.scp"), "--segments", str(tmp_path / "segments")]
    main(["tune", *words, "--relative", "false", "--reference", str(tmp_path / "ref.rttm")])
    threshold = capsys.readouterr().out.split()[-1]
    main(["cluster", *words, "--relative=false", f"--threshold={threshold}", "--out", str(tmp_path / "a")])
    assert len({turn.speaker for turn in read_rttm(tmp_path / "a")["talk"]}) == 3
    main(["evaluate", "--reference", str(tmp_path / "ref.rttm"), "--hypothesis", str(tmp_path / "a")])
    assert capsys.readouterr().out.split("all")[-1].split()[0] == "3.75"  # three borders 0.25 s early of 20 s


def test_windows_of_a_label_file(tmp_path: Path) -> None:
    (tmp_path / "talk.vad.lab").write_text("0.0 2.0 sp\n")
    words = ["--lab", str(tmp_path / "talk.vad.lab"), "--window", "1.5", "--shift", "0.5"]
    main(["windows", *words, "--out", str(tmp_path / "segments")])
    assert (tmp_path / "segments").read_text() == (
        "talk-00000000-00001500 talk 0.000 1.500\ntalk-00000500-00002000 talk 0.500 2.000\n"
    )


def test_windows_of_a_vad(tmp_path: Path) -> None:
    with writing(tmp_path / "vad.ark") as writer:
        writer.array("talk", np.r_[np.zeros(100), np.ones(100)].astype(np.float32))
    write_table(tmp_path / "vad.scp", writer.scp)
    main(["windows", "--vad", str(tmp_path / "vad.scp"), "--out", str(tmp_path / "segments")])
    # Frames 100-199 of 25 ms every 10 ms stand for 1.0075-2.0075 s.
    recording, start, end = (tmp_path / "segments").read_text().split()[1:]
    assert recording == "talk"
    assert (float(start), float(end)) == pytest.approx((1.0075, 2.0075), abs=0.00051)


def test_a_window_without_an_x_vector_is_named(tmp_path: Path) -> None:
    _conversation(tmp_path)
    with open(tmp_path / "segments", "a") as handle:
        handle.write("zz talk 19.5 20.5\n")
    options = DiarizeOptions()
    inputs = Inputs.load(str(tmp_path / "xvector.scp"), str(tmp_path / "segments"), None, None, options)
    with pytest.raises(InputError, match="no x-vector for 1 windows, the first is zz"):
        diarize(inputs, options)


def test_sizes_that_do_not_fit_are_said_with_file_and_option(tmp_path: Path) -> None:
    _conversation(tmp_path)
    random = np.random.default_rng(0)
    for name, dims in (("large", 20), ("small", 8)):
        Backend.fit("center | plda", random.normal(size=(60, dims)), [f"s{n % 6}" for n in range(60)]).save(
            tmp_path / name
        )
    words = [str(tmp_path / "xvector.scp"), str(tmp_path / "segments")]
    options = DiarizeOptions(affinity="plda")
    with pytest.raises(InputError, match=r"xvector.scp: x-vectors of 16 .* PLDA of 8: .*\(--transform: "):
        Inputs.load(*words, None, str(tmp_path / "small" / "plda"), options)
    with pytest.raises(InputError, match=r"xvector.scp: x-vectors of 16 .* --transform .*large: "):
        Inputs.load(*words, str(tmp_path / "large"), None, DiarizeOptions())


def test_an_rttm_in_gz_is_gzipped(tmp_path: Path) -> None:
    _conversation(tmp_path)
    words = ["--xvectors", str(tmp_path / "xvector.scp"), "--segments", str(tmp_path / "segments")]
    for name in ("a.rttm", "a.rttm.gz"):
        main(["cluster", *words, "--out", str(tmp_path / name)])
    assert gzip.decompress((tmp_path / "a.rttm.gz").read_bytes()) == (tmp_path / "a.rttm").read_bytes()


def _vector(values: list[float]) -> bytes:
    return b"\0BFV \4" + struct.pack("<i", len(values)) + np.array(values, "<f4").tobytes()


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"a " + _vector([1, 2]) + b"b " + _vector([1, 2])[:-1], "utterance b: the archive ends early"),
        (b"a " + _vector([1]) + b"a " + _vector([1]), "a is there twice"),
        (b"a \0BFM " + bytes(20), "no Kaldi vector at byte 0"),
        (b"\x80\x04cos system", "no Kaldi vector"),
        (b"nothing", "no Kaldi vector"),
    ],
)
def test_a_bad_archive_is_refused(tmp_path: Path, data: bytes, message: str) -> None:
    (tmp_path / "x.ark").write_bytes(data)
    with pytest.raises(InputError, match=message):
        read_index(tmp_path / "x.ark")


def test_odd_x_vectors_are_named(tmp_path: Path) -> None:
    nan = float("nan")
    (tmp_path / "x.ark").write_bytes(
        b"a " + _vector([1, 2]) + b"b " + _vector([1, 2, 3]) + b"c " + _vector([1, nan])
    )
    index = read_index(tmp_path / "x.ark")
    with pytest.raises(InputError, match="utterance b: shape"):
        read_rows(index, ["a", "b"], "x.ark")
    with pytest.raises(InputError, match="utterance c: an x-vector that is not finite"):
        read_rows(index, ["a", "c"], "x.ark")


def test_a_vbx_transform_written_out(tmp_path: Path) -> None:
    h5py = pytest.importorskip("h5py", reason="pip install -r requirements/diarize.txt")
    random = np.random.default_rng(0)
    first, lda, second = random.normal(size=3), random.normal(size=(3, 2)), random.normal(size=2)
    with h5py.File(tmp_path / "t.h5", "w") as file:
        file["mean1"], file["lda"], file["mean2"] = first, lda, second
    x = random.normal(size=3)
    row = (x - first) / np.linalg.norm(x - first)
    row = lda.T @ row - second
    np.testing.assert_allclose(load_transform(tmp_path / "t.h5")(x[None])[0], row / np.linalg.norm(row))
    with h5py.File(tmp_path / "t.h5", "a") as file:
        del file["mean2"]
        file["mean2"] = h5py.ExternalLink("other.h5", "mean2")
    with pytest.raises(InputError, match="no data set mean2"):
        load_transform(tmp_path / "t.h5")
    (tmp_path / "t.h5").write_text("text")
    with pytest.raises(InputError, match="not an HDF5 file"):
        load_transform(tmp_path / "t.h5")


def test_a_missing_plda_is_said_before_any_work(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="--plda FILE"):
        Inputs.load("none.scp", "none", None, None, DiarizeOptions(resegment="vbx"))

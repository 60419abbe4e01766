"""Archives: kaldiio and kaldi-native-io read them; they cost little memory; entries are whole or absent."""

from __future__ import annotations

import io
import re
import struct
import subprocess
import sys
import wave
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import kaldi_native_io
import kaldiio
import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st

from pysteps.formats import arks, command
from pysteps.formats.compressed import ONE_BYTE
from pysteps.formats.errors import InputError
from pysteps.formats.records import read_json

REPO = Path(__file__).resolve().parent.parent


def whole_two_bytes(matrix: np.ndarray) -> bytes:
    """Kaldi's kTwoByteAuto of a whole matrix at once, in double precision."""
    low = np.float64(matrix.min())
    span = np.float64(matrix.max()) - low
    span = span if span > 0 else 1 + abs(low)
    head = np.asarray([low, span], "<f4").tobytes() + np.asarray(matrix.shape, "<i4").tobytes()
    levels = np.rint((matrix.astype(np.float64) - low) * (65535 / span))
    return b"CM2 " + head + levels.astype("<u2").tobytes()


def of_kaldiio(matrix: np.ndarray, method: int) -> bytes:
    """A matrix as kaldiio writes it, at once."""
    handle = io.BytesIO()
    kaldiio.matio.write_array(handle, matrix, compression_method=method or None)
    return handle.getvalue()


@pytest.fixture
def matrix() -> np.ndarray:
    """A matrix of several pieces both ways, with the spread of log energies."""
    rng = np.random.default_rng(0)
    return (rng.normal(size=(300_000, 3)) * [1, 4, 9] + [0, -5, 12]).astype(np.float32)


@pytest.mark.parametrize("compression", [0, ONE_BYTE, arks.TWO_BYTES])
def test_pieces_give_the_bytes_of_the_whole(matrix: np.ndarray, compression: int, tmp_path: Path) -> None:
    with arks.writing(tmp_path / "x.ark") as writer:
        writer.array("utt", matrix, compression)
    if compression == arks.TWO_BYTES:
        wanted = b"\0B" + whole_two_bytes(matrix)
    else:
        wanted = of_kaldiio(matrix, compression)
    assert (tmp_path / "x.ark").read_bytes() == b"utt " + wanted


@pytest.mark.parametrize("compression", [0, ONE_BYTE, arks.TWO_BYTES])
@pytest.mark.parametrize("shape", [(300_000, 3), (9, 70), (1, 4), (3, 1)])
def test_matrices_are_read_as_kaldiio_and_kaldi_read_them(
    matrix: np.ndarray, compression: int, shape: tuple[int, int], tmp_path: Path
) -> None:
    part = matrix.reshape(-1)[: shape[0] * shape[1]].reshape(shape)
    with arks.writing(tmp_path / "x.ark") as writer:
        writer.array("utt", part, compression)
    with arks.Archive() as archive:
        ours = archive.array(writer.scp["utt"], "utt")
    np.testing.assert_array_equal(ours, kaldiio.load_mat(writer.scp["utt"]))
    theirs = kaldi_native_io.FloatMatrix.read(writer.scp["utt"]).numpy()
    np.testing.assert_allclose(ours, theirs, atol=1e-5 * np.abs(part).max())
    assert ours.shape == shape


def test_doubles_and_vectors_are_written_as_they_are(tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    vector, double = rng.normal(size=7).astype(np.float32), rng.normal(size=(2, 5))
    with arks.writing(tmp_path / "x.ark") as writer:
        writer.array("vector", vector)
        writer.array("double", double)
        writer.array("turned", double.T)  # not contiguous
    assert (tmp_path / "x.ark").read_bytes().endswith(b"turned " + of_kaldiio(double.T.copy(), 0))
    np.testing.assert_array_equal(kaldi_native_io.FloatVector.read(writer.scp["vector"]).numpy(), vector)
    np.testing.assert_array_equal(kaldi_native_io.DoubleMatrix.read(writer.scp["double"]).numpy(), double)


@pytest.mark.parametrize("marker", [b"CM ", b"CM2 "])
def test_a_damaged_size_asks_for_no_memory(tmp_path: Path, marker: bytes) -> None:
    head = np.asarray([0, 1], "<f4").tobytes() + np.asarray([2_000_000_000, 2000], "<i4").tobytes()
    (tmp_path / "x.ark").write_bytes(b"utt \0B" + marker + head + bytes(100))
    with arks.Archive() as archive, pytest.raises(InputError, match="damaged matrix.*2000000000"):
        archive.array(f"{tmp_path / 'x.ark'}:4", "utt")


def header(kind: str, rows: int, columns: int) -> bytes:
    """What stands before the numbers of a matrix."""
    if kind.startswith("CM"):
        return f"\0B{kind} ".encode() + struct.pack("<ffii", 0, 1, rows, columns)
    return f"\0B{kind} ".encode() + struct.pack("<bibi", 4, rows, 4, columns)


@pytest.mark.parametrize("size", [(2_000_000_000, 2_000_000_000), (100_000, 90_000), (-1, 3), (3, -1)])
@pytest.mark.parametrize("kind", ["FM", "DM", "CM", "CM2", "CM3"])
def test_no_reader_believes_a_damaged_size(tmp_path: Path, kind: str, size: tuple[int, int]) -> None:
    (tmp_path / "x.ark").write_bytes(b"utt " + header(kind, *size) + bytes(600))
    entry = f"{tmp_path / 'x.ark'}:4"
    with arks.Archive() as archive:
        with pytest.raises(InputError, match="utterance utt: damaged matrix"):
            archive.array(entry, "utt")
        with pytest.raises(InputError, match="utterance utt: damaged matrix"):
            archive.rows(entry, "utt", 0, 1)


@pytest.mark.parametrize("kind", ["FM", "DM", "CM", "CM2", "CM3"])
def test_a_cut_matrix_is_said_wherever_it_is_cut(tmp_path: Path, kind: str) -> None:
    method = {"CM": ONE_BYTE, "CM2": arks.TWO_BYTES, "CM3": 5}.get(kind, 0)
    matrix = np.random.default_rng(3).normal(size=(9, 2)).astype("f8" if kind == "DM" else "f4")
    with arks.writing(tmp_path / "whole.ark") as writer:
        writer.array("utt", matrix, method)
    whole, path = (tmp_path / "whole.ark").read_bytes(), tmp_path / "cut.ark"
    for length in range(4, len(whole)):
        path.write_bytes(whole[:length])
        with arks.Archive() as archive:
            with pytest.raises(InputError, match="damaged matrix|no Kaldi matrix"):
                archive.array(f"{path}:4", "utt")
            with pytest.raises(InputError, match="damaged matrix|no Kaldi matrix"):
                archive.rows(f"{path}:4", "utt", 0, 9)


@pytest.mark.parametrize("method", [0, ONE_BYTE, arks.TWO_BYTES, 5])
@pytest.mark.parametrize("span", [(5, 20), (-1, 3), (4, 3), (10, 11)])
def test_rows_that_a_matrix_has_not_are_refused(tmp_path: Path, method: int, span: tuple[int, int]) -> None:
    with arks.writing(tmp_path / "x.ark") as writer:
        writer.array("utt", np.eye(10, 4, dtype=np.float32), method)
    with arks.Archive() as archive:
        assert archive.rows(writer.scp["utt"], "utt", 5, 10).shape == (5, 4)
        with pytest.raises(InputError, match=rf"rows {span[0]}\.\.{span[1]} of 10"):
            archive.rows(writer.scp["utt"], "utt", *span)


@pytest.mark.parametrize("method", [5, 6, 7])
def test_kaldis_one_byte_methods_are_read_as_kaldiio_reads_them(tmp_path: Path, method: int) -> None:
    matrix = np.random.default_rng(4).uniform(0, 1, (20, 3)).astype(np.float32)
    with arks.writing(tmp_path / "x.ark") as writer:
        writer.array("utt", matrix, method)
    with arks.Archive() as archive:
        ours = archive.array(writer.scp["utt"], "utt")
    np.testing.assert_array_equal(ours, kaldiio.load_mat(writer.scp["utt"]))


def test_an_empty_matrix_comes_back(tmp_path: Path) -> None:
    with arks.writing(tmp_path / "x.ark") as writer:
        for method in (0, ONE_BYTE, arks.TWO_BYTES):
            writer.array(str(method), np.zeros((0, 4), np.float32), method)
    with arks.Archive() as archive:
        assert {archive.array(entry, key).shape for key, entry in writer.scp.items()} == {(0, 4)}


def test_an_offset_beyond_any_file_is_said(tmp_path: Path) -> None:
    (tmp_path / "x.ark").write_bytes(b"utt ")
    with arks.Archive() as archive, pytest.raises(InputError, match="utterance utt: damaged entry"):
        archive.array(f"{tmp_path / 'x.ark'}:{10**20}", "utt")


def test_cut_chunks_are_said_wherever_they_are_cut(tmp_path: Path) -> None:
    with arks.writing(tmp_path / "x.ark") as writer:
        for key in ("one", "two"):
            writer.array(key, np.eye(3, 2, dtype=np.float32), arks.TWO_BYTES)
    data = (tmp_path / "x.ark").read_bytes()
    for length in range(len(data)):
        if length == len(data) // 2:  # the first chunk alone is an archive too
            continue
        with pytest.raises(InputError, match="x.ark: "):
            arks.parse_chunks(data[:length], "x.ark")


@pytest.mark.parametrize("rows, columns", [(-5, 2), (-1, -1), (2_000_000_000, 2_000_000_000)])
def test_chunks_of_impossible_size_are_said(rows: int, columns: int) -> None:
    with pytest.raises(InputError, match="x.ark: "):
        arks.parse_chunks(b"one " + header("CM2", rows, columns) + bytes(40), "x.ark")


def test_chunks_of_no_finite_range_are_said() -> None:
    data = b"one \0BCM2 " + struct.pack("<ffii", np.nan, 1, 1, 1) + bytes(2)
    with pytest.raises(InputError, match="x.ark: damaged chunk archive: .* from nan"):
        arks.parse_chunks(data, "x.ark")


@pytest.mark.parametrize("compression", [0, ONE_BYTE, arks.TWO_BYTES])
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_what_is_not_finite_leaves_the_archive_as_it_was(
    tmp_path: Path, compression: int, bad: float
) -> None:
    matrix = np.ones((6, 3), np.float32)
    matrix[4, 1] = bad
    with arks.writing(tmp_path / "x.ark") as writer:
        writer.array("good", np.ones(2, np.float32))
        with pytest.raises(InputError, match="not finite"):
            writer.array("bad", matrix, compression)
    assert list(writer.scp) == ["good"]
    assert [key for key, _ in kaldiio.load_ark(str(tmp_path / "x.ark"))] == ["good"]


def test_a_wav_is_what_pythons_wave_writes(tmp_path: Path) -> None:
    samples = np.arange(-500, 700, dtype=np.int16)
    buffer = io.BytesIO()
    with wave.open(buffer, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(8000)
        file.writeframes(samples.tobytes())
    with arks.writing(tmp_path / "x.ark") as writer:
        assert writer.audio("utt", samples, 8000) == 1200
    assert (tmp_path / "x.ark").read_bytes() == b"utt " + buffer.getvalue()


@settings(max_examples=25, deadline=None)
@given(sizes=st.lists(st.integers(0, 3000), max_size=4), flac=st.booleans(), seed=st.integers(0, 99))
def test_blocks_come_back_as_one(
    tmp_path_factory: pytest.TempPathFactory, sizes: list[int], flac: bool, seed: int
) -> None:
    path = tmp_path_factory.mktemp("arks") / "x.ark"
    rng = np.random.default_rng(seed)
    blocks = [rng.integers(-32768, 32768, size).astype(np.int16) for size in sizes]
    samples = np.concatenate([np.zeros(0, np.int16), *blocks])
    with arks.writing(path) as writer:
        writer.array("before", np.ones(3, np.float32))
        if flac and not len(samples):
            with pytest.raises(InputError, match="no samples"):
                writer.audio("utt", iter(blocks), 16000, flac=True)
            return
        assert writer.audio("utt", iter(blocks), 16000, flac=flac) == len(samples)
        writer.array("after", np.full(3, 2.0, np.float32))
    entries = dict(kaldiio.load_ark(str(path)))
    rate, theirs = entries["utt"]
    assert list(entries) == ["before", "utt", "after"] and rate == 16000
    np.testing.assert_array_equal(entries["after"], 2.0)
    assert len(theirs) == len(samples)
    np.testing.assert_array_equal(theirs * (32768 if flac else 1), samples)


def test_kaldi_reads_the_wavs(tmp_path: Path) -> None:
    samples = np.random.default_rng(2).integers(-9000, 9000, 4000).astype(np.int16)
    with arks.writing(tmp_path / "x.ark") as writer:
        writer.audio("one", samples[:1000], 16000)
        writer.audio("two", iter([samples[:3000], samples[3000:]]), 16000)
    (tmp_path / "wav.scp").write_text("".join(f"{key} {entry}\n" for key, entry in writer.scp.items()))
    with kaldi_native_io.SequentialWaveReader(f"scp:{tmp_path / 'wav.scp'}") as reader:
        found = {key: value.data.numpy().copy() for key, value in reader}
    np.testing.assert_array_equal(found["one"][0], samples[:1000])
    np.testing.assert_array_equal(found["two"][0], samples)


def test_a_flac_entry_is_a_whole_flac_file_behind_its_length(tmp_path: Path) -> None:
    samples = (8000 * np.sin(np.arange(20000) / 9)).astype(np.int16)
    with arks.writing(tmp_path / "x.ark") as writer:
        writer.audio("utt", samples, 16000, flac=True)
    content = (tmp_path / "x.ark").read_bytes()
    assert content[:10] == b"utt AUDIO\x08" and int.from_bytes(content[10:18], "little") == len(content) - 18
    info = soundfile.info(io.BytesIO(content[18:]))
    assert (info.format, info.subtype, info.frames) == ("FLAC", "PCM_16", 20000)
    np.testing.assert_array_equal(soundfile.read(io.BytesIO(content[18:]), dtype="int16")[0], samples)
    assert len(content) < 20000  # half of the wav's 40,000 and less


@pytest.mark.parametrize("flac", [False, True])
def test_an_error_between_blocks_cuts_the_entry_off(tmp_path: Path, flac: bool) -> None:
    def failing() -> Iterator[np.ndarray]:
        yield np.ones(5000, np.int16)
        raise InputError("truncated")

    with arks.writing(tmp_path / "x.ark") as writer:
        writer.audio("first", np.ones(9, np.int16), 8000)
        with pytest.raises(InputError, match="truncated"):
            writer.audio("second", failing(), 8000, flac=flac)
        writer.audio("third", np.full(4, 3, np.int16), 8000)
    entries = {key: value[1].tolist() for key, value in kaldiio.load_ark(str(tmp_path / "x.ark"))}
    assert entries == {"first": [1] * 9, "third": [3] * 4}
    assert list(writer.scp) == ["first", "third"]


MEMORY = """
import sys
import numpy as np
from pysteps.formats import arks, command
matrix = np.zeros((270_000, 80), np.float32)
matrix[:] = np.arange(80, dtype=np.float32)
matrix[::3] += 1
def peak():
    return int(open("/proc/self/status").read().split("VmHWM:")[1].split()[0]) / 1024  # of its own
before = peak()
with arks.writing(sys.argv[1]) as writer:
    writer.array("utt", matrix, int(sys.argv[2]))
print(peak() - before)
"""


@pytest.mark.parametrize("compression", [0, ONE_BYTE, arks.TWO_BYTES])
def test_writing_a_long_matrix_costs_no_second_one(tmp_path: Path, compression: int) -> None:
    # 45 minutes of 80 bins: 86 MB; one more copy in double precision would be 173 MB.
    words = [sys.executable, "-c", MEMORY, str(tmp_path / "x.ark"), str(compression)]
    done = subprocess.run(words, cwd=REPO, capture_output=True, text=True, check=True)
    assert float(done.stdout) < 50


@pytest.mark.parametrize("content", [b'{"a": 1', b"", b"\xff\xfe", b"nonsense"])
def test_a_damaged_json_file_is_said(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "x.json").write_bytes(content)
    with pytest.raises(InputError, match=r"x.json: the plan is damaged: .*\(run stage egs\)"):
        read_json(tmp_path / "x.json", "the plan", "run stage egs")


def test_a_missing_json_file_is_said(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"the plan is missing \(run stage egs\)"):
        read_json(tmp_path / "x.json", "the plan", "run stage egs")


def test_help_lists_the_words_that_a_room_answers_itself(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["room", "--help"])
    with pytest.raises(SystemExit):
        command.main(SimpleNamespace(NAME="room"), {"plot": "draw it", "count": "count it"})
    assert re.search(r"^  plot +draw it\n  count +count it$", capsys.readouterr().out, re.MULTILINE)

"""Reading audio: what a whole file gives and how each broken one is named."""

from __future__ import annotations

import io
import struct
from pathlib import Path

import numpy as np
import pytest
import soundfile

from pysteps.audio.read import duration, open_audio, read_audio, read_stream
from pysteps.formats.errors import InputError

RATE = 16000


def tone(seconds: float = 0.5, rate: int = RATE) -> np.ndarray:
    t = np.arange(int(seconds * rate)) / rate
    return (0.3 * np.sin(2 * np.pi * 440 * t)).astype(np.float32)


def saved(path: Path, samples: np.ndarray, rate: int = RATE, **how: str) -> Path:
    soundfile.write(path, samples, rate, **how)
    return path


@pytest.mark.parametrize("name", ["a.wav", "ü ä.flac"])
def test_sixteen_bits_come_back_exactly(tmp_path: Path, name: str) -> None:
    pcm = np.array([-32768, -1, 0, 1, 32767], np.int16)
    samples, rate = read_audio(saved(tmp_path / name, pcm))
    assert rate == RATE and samples.dtype == np.float32
    np.testing.assert_array_equal(samples * 32768, pcm)


@pytest.mark.parametrize(
    ("name", "subtype"), [("a.ogg", "VORBIS"), ("a.opus", "OPUS"), ("a.mp3", "MPEG_LAYER_III")]
)
def test_lossy_formats_are_read(tmp_path: Path, name: str, subtype: str) -> None:
    how = {"format": "OGG", "subtype": "OPUS"} if subtype == "OPUS" else {"subtype": subtype}
    samples, rate = read_audio(saved(tmp_path / name, tone(1.0), **how))
    assert len(samples) / rate == pytest.approx(1.0, abs=0.1)
    assert np.sqrt(np.mean(samples[2000:14000] ** 2)) == pytest.approx(0.3 / np.sqrt(2), rel=0.05)


def test_a_segment_is_that_part_of_the_whole(tmp_path: Path) -> None:
    path = saved(tmp_path / "a.flac", tone())
    whole, _ = read_audio(path)
    part, _ = read_audio(path, start=0.1, end=0.25)
    np.testing.assert_array_equal(part, whole[1600:4000])
    np.testing.assert_array_equal(read_audio(path, start=0.4, end=0.6)[0], whole[6400:])
    np.testing.assert_array_equal(read_audio(path, start=0.4, end=-1)[0], whole[6400:])


@pytest.mark.parametrize(("start", "end"), [(0.6, 0.7), (0.3, 0.2), (-0.1, 0.2), (0.1, 1.1)])
def test_a_segment_outside_is_refused(tmp_path: Path, start: float, end: float) -> None:
    path = saved(tmp_path / "a.wav", tone())
    with pytest.raises(InputError, match=r"a\.wav: utterance u1: the segment from .* its 0\.5 s"):
        read_audio(path, start=start, end=end, utt="u1")


def test_one_channel_is_chosen(tmp_path: Path) -> None:
    stereo = np.stack([np.full(100, 1000), np.full(100, -2000)], axis=1).astype(np.int16)
    path = saved(tmp_path / "a.wav", stereo)
    assert np.unique(read_audio(path, channel=1)[0] * 32768).tolist() == [-2000]
    with pytest.raises(InputError, match="no channel 2: there are 2"):
        read_audio(path, channel=2)


def test_missing_file(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such file"):
        read_audio(tmp_path / "no.wav")
    with pytest.raises(InputError, match="no such file"):
        duration(tmp_path / "no.wav")


@pytest.mark.parametrize("name", ["a.wav", "a.flac"])
def test_empty_audio(tmp_path: Path, name: str) -> None:
    with pytest.raises(InputError, match="no samples|cannot be read"):
        read_audio(saved(tmp_path / name, np.zeros(0, np.float32)))


@pytest.mark.parametrize("content", [b"", b"this is a text file\n" * 100])
def test_no_audio_at_all(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "text.wav"
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"text\.wav: utterance u1: cannot be read as audio"):
        read_audio(path, utt="u1")


@pytest.mark.parametrize("kept", [0.02, 0.3, 0.6, 0.95])
@pytest.mark.parametrize("name", ["a.wav", "a.flac", "a.ogg", "a.opus"])
def test_truncated(tmp_path: Path, name: str, kept: float) -> None:
    noise = np.random.default_rng(0).standard_normal(3 * RATE) * 0.1
    how = {"format": "OGG", "subtype": "OPUS"} if name == "a.opus" else {}
    path = saved(tmp_path / name, noise, **how)
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * kept)])
    with pytest.raises(InputError, match="truncated|cannot be read"):
        read_audio(path)


def test_a_wav_from_a_pipe_has_no_length(tmp_path: Path) -> None:
    content = bytearray(saved(tmp_path / "a.wav", tone()).read_bytes())
    at = content.index(b"data") + 4
    content[at : at + 4] = struct.pack("<I", 0xFFFFFFFF)
    (tmp_path / "a.wav").write_bytes(content)
    assert len(read_audio(tmp_path / "a.wav")[0]) == 8000


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("subtype", ["FLOAT", "DOUBLE"])
def test_not_finite_is_refused(tmp_path: Path, subtype: str, bad: float) -> None:
    samples = tone()
    samples[77] = bad
    with pytest.raises(InputError, match=r"a\.wav: utterance u1: holds NaN or infinity"):
        read_audio(saved(tmp_path / "a.wav", samples, subtype=subtype), utt="u1")


def test_duration_is_the_headers(tmp_path: Path) -> None:
    assert duration(saved(tmp_path / "a.flac", tone())) == (8000, RATE)


@pytest.mark.parametrize("subtype", ["PCM_16", "PCM_24", "PCM_U8", "FLOAT"])
def test_wavs_in_an_archive_are_read_one_after_the_other(tmp_path: Path, subtype: str) -> None:
    stereo = np.stack([tone(0.1), -tone(0.1)], axis=1)
    content = saved(tmp_path / "a.wav", stereo, subtype=subtype).read_bytes()
    archive = io.BytesIO(b"u1 " + content + b"u2 " + content)
    for _ in range(2):
        archive.read(3)
        samples, rate = read_stream(archive, channel=1)
        assert rate == RATE
        np.testing.assert_array_equal(samples, read_audio(tmp_path / "a.wav", channel=1)[0])
    assert archive.read() == b""


@pytest.mark.parametrize("cut", [0, 5, 12, 30, 44, 1000])
def test_a_cut_archive_is_refused(tmp_path: Path, cut: int) -> None:
    content = saved(tmp_path / "a.wav", tone()).read_bytes()
    with pytest.raises(InputError, match="x.ark:3: utterance u1"):
        read_stream(io.BytesIO(content[:cut]), where="x.ark:3", utt="u1")


def test_a_disk_that_fails_is_said(tmp_path: Path) -> None:
    memory = Path("/proc/self/mem")  # its first byte cannot be read: the system's EIO
    if not memory.is_file():
        pytest.skip("no /proc here")
    with pytest.raises(InputError, match="/proc/self/mem: utterance u1: Input/output error"):
        read_audio(memory, utt="u1")
    with (
        open(memory, "rb", buffering=0) as handle,
        pytest.raises(InputError, match="x.ark:0: utterance u1: Input/output error"),
    ):
        open_audio(handle, where="x.ark:0", utt="u1")


def test_a_disk_that_fails_on_the_way_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Broken(io.BytesIO):
        fine = True

        def read(self, size: int | None = -1) -> bytes:
            if not self.fine:
                raise OSError(5, "Input/output error")
            return super().read(size)

    handle = Broken(saved(tmp_path / "a.wav", tone()).read_bytes())
    with open_audio(handle, where="x.ark:0", utt="u1") as source:
        handle.fine = False
        with pytest.raises(InputError, match="x.ark:0: utterance u1: Input/output error"):
            list(source.blocks())


@pytest.mark.parametrize(("start", "end"), [(0.0, np.inf), (0.0, 1e305), (np.nan, 1.0), (-np.inf, None)])
def test_times_without_end_are_refused(tmp_path: Path, start: float, end: float | None) -> None:
    path = saved(tmp_path / "a.wav", tone())
    with pytest.raises(InputError, match=r"a\.wav: a segment from"):
        read_audio(path, start=start, end=end)


def test_no_room_is_made_for_what_only_a_header_promises(tmp_path: Path) -> None:
    path = saved(tmp_path / "a.flac", tone())
    content = bytearray(path.read_bytes())
    content[21] |= 0x0F  # 36 bits of STREAMINFO: 64 G samples, 256 GB of float32
    content[22:26] = b"\xff" * 4
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"a\.flac: (truncated|cannot be read)"):
        read_audio(path)

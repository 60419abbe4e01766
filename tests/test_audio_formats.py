"""Every kind of audio file and entry: what comes out of a whole one, and that no broken one passes."""

from __future__ import annotations

import io
import struct
from fractions import Fraction
from pathlib import Path

import kaldiio
import numpy as np
import pytest
import soundfile
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from scipy.signal import butter, correlate, sosfilt

from pysteps.audio import decode
from pysteps.audio.read import duration, open_audio, read_audio, read_stream
from pysteps.formats.errors import InputError

av = pytest.importorskip("av")

RATE = 16000
QUICK = settings(
    max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


def noise(count: int, rate: int = RATE, seed: int = 0) -> np.ndarray:
    low = butter(4, 3000, fs=rate, output="sos")
    return (sosfilt(low, np.random.default_rng(seed).standard_normal(count)) * 0.2).astype(np.float32)


def encoded(
    path: Path, samples: np.ndarray, rate: int, container: str, codec: str, **options: str
) -> Path:
    """``samples`` [channels, time] through one of ffmpeg's encoders."""
    samples = np.atleast_2d(samples).astype(np.float32)
    layout = {1: "mono", 2: "stereo"}[len(samples)]
    with av.open(str(path), "w", format=container, container_options=options) as out:
        stream = out.add_stream(codec, rate=rate)
        stream.layout = layout
        if codec == "wmav2":  # no rate of its own
            stream.bit_rate = 64000
        stream.codec_context.open()
        resampler = av.AudioResampler(
            format=stream.codec_context.format.name,
            layout=layout,
            rate=rate,
            frame_size=stream.codec_context.frame_size or 1024,
        )
        frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(samples), format="fltp", layout=layout)
        frame.sample_rate, frame.pts, frame.time_base = rate, 0, Fraction(1, rate)
        for piece in [*resampler.resample(frame), *resampler.resample(None), None]:
            out.mux(stream.encode(piece))
    return path


def lag(found: np.ndarray, original: np.ndarray) -> int:
    """By how many samples ``found`` is late."""
    count = min(len(found), len(original))
    score = correlate(found[:count].astype(float), original[:count].astype(float), method="fft")
    return int(np.argmax(score)) - (count - 1)


# NIST SPHERE


def sphere(path: Path, data: bytes, size: int = 1024, **fields: object) -> Path:
    lines = [f"{name} -{'i' if isinstance(value, int) else 's9'} {value}" for name, value in fields.items()]
    head = f"NIST_1A\n{size:7d}\n" + "\n".join(lines) + "\nend_head\n"
    path.write_bytes(head.encode().ljust(size) + data)
    return path


@pytest.mark.parametrize(("order", "kind"), [("01", "<i2"), ("10", ">i2")])
def test_sphere_in_both_byte_orders_and_two_channels(tmp_path: Path, order: str, kind: str) -> None:
    pcm = np.array([[-32768, 5], [-1, 6], [0, 7], [32767, 8]], np.int16)
    path = sphere(
        tmp_path / "a.sph",
        pcm.astype(kind).tobytes(),
        size=2048,
        channel_count=2,
        sample_count=4,
        sample_rate=8000,
        sample_n_bytes=2,
        sample_byte_format=order,
    )
    for channel in (0, 1):
        samples, rate = read_audio(path, channel=channel)
        assert rate == 8000
        np.testing.assert_array_equal(samples * 32768, pcm[:, channel])
    assert duration(path) == (4, 8000)


@pytest.mark.parametrize(
    ("coding", "codes", "values"),
    # ITU-T G.711's tables 2a/2b and 1a/1b, on a 16-bit scale.
    [("ulaw", [0x00, 0x80, 0xFF, 0x7F], [-32124, 32124, 0, 0]), ("alaw", [0xD5, 0x55, 0xAA], [8, -8, 32256])],
)
def test_sphere_in_eight_bit_laws(tmp_path: Path, coding: str, codes: list[int], values: list[int]) -> None:
    path = sphere(
        tmp_path / "a.sph",
        bytes(codes),
        channel_count=1,
        sample_count=len(codes),
        sample_rate=8000,
        sample_n_bytes=1,
        sample_coding=coding,
    )
    np.testing.assert_array_equal(read_audio(path)[0] * 32768, values)


def test_a_cut_sphere_is_refused(tmp_path: Path) -> None:
    fields = {"channel_count": 1, "sample_count": 100, "sample_rate": 8000, "sample_n_bytes": 2}
    path = sphere(tmp_path / "a.sph", bytes(198), **fields)
    with pytest.raises(InputError, match=r"a\.sph: utterance u1: truncated: 2 bytes"):
        read_audio(path, utt="u1")


@pytest.mark.parametrize("coding", ["pcm", "pcm,embedded-shorten-v2.00"])
@pytest.mark.parametrize(
    ("name", "value"), [("sample_rate", 10**12), ("channel_count", 10**10), ("channel_count", 0)]
)
def test_a_sphere_header_of_nonsense_is_refused(tmp_path: Path, name: str, value: int, coding: str) -> None:
    fields = {"channel_count": 1, "sample_rate": 8000, "sample_coding": coding, name: value}
    with pytest.raises(InputError, match=rf"a\.sph: a SPHERE header of .*{value}"):
        read_audio(sphere(tmp_path / "a.sph", shorten(walk(1, 300), 5), **fields))


def shorten(samples: np.ndarray, kind: int) -> bytes:
    """int16 [channels, time] in shorten 2 (Robinson 1994): first differences (DIFF1) in blocks of 256."""
    bits: list[str] = []

    def rice(value: int, k: int) -> None:
        bits.append("0" * (value >> k) + "1" + (f"{value & ((1 << k) - 1):0{k}b}" if k else ""))

    def number(value: int) -> None:
        k = value.bit_length()
        rice(k, 2)
        rice(value, k)

    for value in (kind, len(samples), 256, 0, 4, 0):  # type, channels, block, predictor, means, skip
        number(value)
    last = [0] * len(samples)
    for start in range(0, samples.shape[1], 256):
        block = samples[:, start : start + 256].astype(int)
        if block.shape[1] < 256:
            rice(5, 2)
            number(block.shape[1])
        for channel, values in enumerate(block.tolist()):
            rice(1, 2)
            rice(7, 3)
            for value in values:
                step = value - last[channel]
                last[channel] = value
                rice(2 * step if step >= 0 else 2 * ~step + 1, 8)
    rice(4, 2)
    text = "".join(bits)
    text += "0" * (-len(text) % 32)
    return b"ajkg\x02" + int(text, 2).to_bytes(len(text) // 8, "big")


def walk(channels: int, count: int) -> np.ndarray:
    steps = np.random.default_rng(0).integers(-300, 301, (channels, count))
    return np.cumsum(steps, axis=1).clip(-32768, 32767).astype(np.int16)


def shortened(path: Path, samples: np.ndarray, kind: int = 5, coding: str = "pcm") -> Path:
    return sphere(
        path,
        shorten(samples, kind),
        channel_count=len(samples),
        sample_count=samples.shape[1],
        sample_rate=RATE,
        sample_n_bytes=2,
        sample_coding=f"{coding},embedded-shorten-v2.00",
    )


@pytest.mark.parametrize("kind", [3, 5])  # 16 bits, high byte first and low byte first
@pytest.mark.parametrize("channels", [1, 2])
def test_shorten_in_sphere_comes_back_exactly(tmp_path: Path, kind: int, channels: int) -> None:
    pcm = walk(channels, 2000)
    path = shortened(tmp_path / "a.wv1", pcm, kind)
    for channel in range(channels):
        samples, rate = read_audio(path, channel=channel)
        assert rate == RATE
        np.testing.assert_array_equal(samples * 32768, pcm[channel])
    part, _ = read_audio(path, start=0.03, end=0.07)
    np.testing.assert_array_equal(part * 32768, pcm[0, 480:1120])


def test_shorten_of_mu_law_names_a_converter(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="sph2pipe"):
        read_audio(shortened(tmp_path / "a.sph", walk(1, 300), 8, "ulaw"))


@pytest.mark.parametrize("cut", [3, 20, 100, 500, 1200])
def test_a_cut_shorten_is_refused(tmp_path: Path, cut: int) -> None:
    path = shortened(tmp_path / "a.sph", walk(1, 1000))
    path.write_bytes(path.read_bytes()[:-cut])
    with pytest.raises(InputError, match=r"a\.sph"):
        read_audio(path)


# ffmpeg's containers


@pytest.mark.parametrize("rate", [16000, 44100])
@pytest.mark.parametrize(("name", "container"), [("a.m4a", "ipod"), ("a.mp4", "mp4"), ("a.mov", "mov")])
def test_aac_has_the_length_and_place_of_the_original(
    tmp_path: Path, rate: int, name: str, container: str
) -> None:
    original = noise(rate + 77, rate)
    path = encoded(tmp_path / name, original, rate, container, "aac")
    samples, found = read_audio(path)
    assert (found, len(samples)) == (rate, len(original)) == duration(path)[::-1]
    assert lag(samples, original) == 0
    assert np.std(samples - original) < 0.1 * np.std(original)


def test_alac_comes_back_exactly(tmp_path: Path) -> None:
    pcm = walk(2, 3000)
    path = encoded(tmp_path / "a.m4a", pcm / np.float32(32768), RATE, "ipod", "alac")
    for channel in (0, 1):
        samples, _ = read_audio(path, channel=channel)
        np.testing.assert_allclose(samples * 32768, pcm[channel], atol=0.01)
    with pytest.raises(InputError, match="no channel 2: there are 2"):
        read_audio(path, channel=2)


def test_a_part_of_a_long_m4a_is_reached_without_decoding_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = encoded(tmp_path / "a.m4a", noise(30 * RATE), RATE, "ipod", "aac")
    whole, _ = read_audio(path)
    decoded = []
    every = decode.AvSource._decoded

    def counted(self, container, stream):  # type: ignore[no-untyped-def]
        for frame in every(self, container, stream):
            decoded.append(frame.samples)
            yield frame

    monkeypatch.setattr(decode.AvSource, "_decoded", counted)
    part, _ = read_audio(path, start=20.123, end=21.5)
    np.testing.assert_array_equal(part, whole[round(20.123 * RATE) : round(21.5 * RATE)])
    assert sum(decoded) < 4 * RATE
    np.testing.assert_array_equal(read_audio(path, start=0.25, end=0.5)[0], whole[4000:8000])
    np.testing.assert_array_equal(read_audio(path, start=29.0)[0], whole[29 * RATE :])


@pytest.mark.parametrize(("lasts", "first"), [(8000, 1024), (5000, 1024), (8000, 2624), (5000, 40000)])
def test_an_edit_list_cuts_both_ends(tmp_path: Path, lasts: int, first: int) -> None:
    path = encoded(tmp_path / "a.m4a", noise(8 * RATE), RATE, "ipod", "aac")
    whole, _ = read_audio(path)
    content = bytearray(path.read_bytes())
    at = content.index(b"elst") + 12  # behind version, flags and the number of entries: one
    assert struct.unpack_from(">Ii", content, at) == (8000, 1024)  # milliseconds; the encoder's priming
    struct.pack_into(">Ii", content, at, lasts, first)
    path.write_bytes(content)
    samples, _ = read_audio(path)
    begin = first - 1024
    assert abs(len(samples) - min(lasts * 16, len(whole) - begin)) <= 1024
    np.testing.assert_allclose(samples[2048:], whole[begin:][2048 : len(samples)], atol=1e-4)
    np.testing.assert_array_equal(read_audio(path, start=2.5, end=3.0)[0], samples[40000:48000])


@pytest.mark.parametrize(
    ("name", "container", "codec", "rate", "late"),
    # ``late``: what the encoder put in front and the container does not tell.
    [
        ("a.mka", "matroska", "aac", 16000, 0),
        ("a.webm", "webm", "libopus", 48000, 0),
        ("a.wv", "wv", "wavpack", 16000, 0),
        ("a.aac", "adts", "aac", 16000, 1024),
        ("a.ts", "mpegts", "aac", 16000, 1024),
        ("a.flv", "flv", "aac", 44100, 1024),
        ("a.wma", "asf", "wmav2", 16000, None),
    ],
)
def test_the_rest_comes_through_pyav(
    tmp_path: Path, name: str, container: str, codec: str, rate: int, late: int | None
) -> None:
    original = noise(rate * 2, rate)
    path = encoded(tmp_path / name, np.stack([original, original]), rate, container, codec)
    samples, found = read_audio(path, channel=1)
    assert found == rate
    assert abs(len(samples) - len(original)) <= 2 * 1024
    if late is not None:
        assert lag(samples, original) == late
    part, _ = read_audio(path, start=0.5, end=1.25, channel=1)
    np.testing.assert_array_equal(part, samples[rate // 2 : rate * 5 // 4])
    assert abs(duration(path)[0] - len(samples)) <= 2 * 1024


def test_amr_is_read(tmp_path: Path) -> None:
    (tmp_path / "a.amr").write_bytes(b"#!AMR\n" + (b"\x3c" + bytes(31)) * 5)  # 12.2 kbit/s, 20 ms each
    samples, rate = read_audio(tmp_path / "a.amr")
    assert (rate, len(samples)) == (8000, 800)


@pytest.mark.parametrize(
    ("name", "container", "codec", "options"),
    [
        ("a.m4a", "ipod", "aac", {"movflags": "faststart"}),
        ("a.m4a", "ipod", "aac", {}),
        ("a.mka", "matroska", "aac", {}),
        ("a.wv", "wv", "wavpack", {}),
        ("a.wma", "asf", "wmav2", {}),
    ],
)
@pytest.mark.parametrize("kept", [0.1, 0.5, 0.8])
def test_cut_containers_are_refused(
    tmp_path: Path, name: str, container: str, codec: str, options: dict[str, str], kept: float
) -> None:
    path = encoded(tmp_path / name, noise(3 * RATE), RATE, container, codec, **options)
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * kept)])
    with pytest.raises(InputError, match=rf"{name}: utterance u1: (truncated|cannot be read)"):
        read_audio(path, utt="u1")


def test_a_matroska_whose_length_leads_beyond_every_file_is_refused(tmp_path: Path) -> None:
    head = b"\x1aE\xdf\xa3" + bytes([0x01]) + b"\xf0" * 7  # a length of 67 PB: no seek gets there
    path = tmp_path / "a.webm"
    path.write_bytes(head + bytes(500))
    with pytest.raises(InputError, match=r"a\.webm: truncated: \d+ bytes are missing"):
        read_audio(path)
    path.write_bytes(head[:5] + b"\xff" * 6 + b"\xfe" + bytes(500))
    with pytest.raises(InputError, match=r"a\.webm: truncated: \d+ bytes are missing"):
        read_audio(path)


@pytest.mark.parametrize("lost", [True, False])
def test_a_ts_with_a_hole_is_refused(tmp_path: Path, lost: bool) -> None:
    path = encoded(tmp_path / "a.ts", noise(RATE), RATE, "mpegts", "aac")
    content = bytearray(path.read_bytes())
    packet = 14 * 188
    assert content[packet] == 0x47
    if lost:
        del content[packet : packet + 188]
    else:
        content[packet + 2] = 1  # the low byte of its stream's number: another stream turns up
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"a\.ts: damaged: samples are missing at 0\.\d\d s"):
        read_audio(path)


@pytest.mark.parametrize(
    "text",
    [
        "#EXTM3U\n#EXT-X-TARGETDURATION:10\n#EXTINF:1,\n{}\n#EXT-X-ENDLIST\n",
        "ffconcat version 1.0\nfile {}\n",
        "#!AMR-playlist {}\n",
        "v=0\no=- 0 0 IN IP4 127.0.0.1\ns={}\nt=0 0\nm=audio 49170 RTP/AVP 0\n",
    ],
)
@pytest.mark.parametrize("name", ["a.m4a", "a.m3u8", "a.mp3", "a.wav"])
def test_no_other_file_is_reached_through_a_playlist(tmp_path: Path, text: str, name: str) -> None:
    secret = tmp_path / "secret.wav"
    soundfile.write(secret, noise(RATE), RATE)
    path = tmp_path / name
    path.write_text(text.format(secret))
    with pytest.raises(InputError, match="cannot be read as audio"):
        read_audio(path)


# libsndfile's less common sides


def test_a_part_in_the_last_page_of_an_ogg_is_that_part(tmp_path: Path) -> None:
    path = tmp_path / "a.ogg"
    tone = 0.1 * np.sin(0.1 * np.arange(20 * RATE + 1234))  # few bits: the last page is 3.5 s long
    soundfile.write(path, tone, RATE)
    whole, _ = read_audio(path)
    for start in (16.0, 18.0, 19.5):
        np.testing.assert_array_equal(read_audio(path, start=start)[0], whole[round(start * RATE) :])


def test_a_part_of_an_mp3_does_not_depend_on_what_was_read_before(tmp_path: Path) -> None:
    path = tmp_path / "a.mp3"
    soundfile.write(path, 0.1 * np.random.default_rng(0).normal(size=10 * RATE), RATE)
    wanted, _ = read_audio(path, start=5.5, end=6.2)
    with open_audio(path) as source:
        for start, end in ((0, 1), (8, 9), (4.2, 4.4)):
            assert list(source.blocks(start, end))
        (block,) = source.blocks(5.5, 6.2)
    np.testing.assert_array_equal(block[:, 0], wanted)


@pytest.mark.parametrize("subtype", ["GSM610", "MS_ADPCM", "IMA_ADPCM"])
def test_parts_of_what_cannot_be_sought(tmp_path: Path, subtype: str) -> None:
    path = tmp_path / "a.wav"
    soundfile.write(path, noise(RATE), RATE, subtype=subtype)
    whole, _ = read_audio(path)
    np.testing.assert_array_equal(read_audio(path, start=0.5, end=0.75)[0], whole[8000:12000])


def unmeasured(path: Path) -> bytes:
    """The flac's bytes with the number of samples taken out, as an encoder into a pipe leaves it."""
    content = bytearray(path.read_bytes())
    content[21] &= 0xF0  # 36 bits in bytes 13.5 to 18 of STREAMINFO, which starts at byte 8
    content[22:26] = bytes(4)
    return bytes(content)


def test_a_flac_from_a_pipe_has_no_length(tmp_path: Path) -> None:
    path = tmp_path / "a.flac"
    soundfile.write(path, noise(RATE + 5), RATE)
    whole, _ = read_audio(path)
    path.write_bytes(unmeasured(path))
    with open_audio(path) as source:
        assert source.frames is None
    np.testing.assert_array_equal(read_audio(path)[0], whole)
    np.testing.assert_array_equal(read_audio(path, start=0.25, end=0.5)[0], whole[4000:8000])
    np.testing.assert_array_equal(read_audio(path, start=0.9, end=1.3)[0], whole[14400:])
    assert duration(path) == (RATE + 5, RATE)
    for start, end in [(2.0, 3.0), (0.5, 1.6)]:
        with pytest.raises(InputError, match="not inside"):
            read_audio(path, start=start, end=end)
    path.write_bytes(path.read_bytes()[:-3000])
    with pytest.raises(InputError, match=r"a\.flac"):
        read_audio(path)


def test_a_matrix_of_another_program_is_no_audio(tmp_path: Path) -> None:
    path = tmp_path / "a.mat"
    soundfile.write(path, noise(100), RATE, format="MAT5")
    with pytest.raises(InputError, match="MAT5 are not read"):
        read_audio(path)


def test_blocks_give_channels_in_the_order_that_is_asked(tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    pcm = np.arange(8 * 1000, dtype=np.int16).reshape(1000, 8)
    soundfile.write(path, pcm, RATE)
    with open_audio(path) as source:
        assert (source.rate, source.channels, source.frames) == (RATE, 8, 1000)
        blocks = list(source.blocks(0.01, 0.05, channels=(5, 0, 7), seconds=0.0125))
        assert [len(block) for block in blocks] == [200, 200, 200, 40]
        np.testing.assert_array_equal(np.concatenate(blocks) * 32768, pcm[160:800][:, [5, 0, 7]])
        again = np.concatenate(list(source.blocks()))
        np.testing.assert_array_equal(again[:, 0] * 32768, pcm[:, 0])


# Archives


def flac_entry(key: str, pcm: np.ndarray, width: int = 8) -> bytes:
    content = io.BytesIO()
    soundfile.write(content, pcm, RATE, format="FLAC", subtype="PCM_16")
    size = len(content.getvalue()).to_bytes(width, "little")
    return key.encode() + b" AUDIO" + bytes([width]) + size + content.getvalue()


def test_flac_entries_lie_as_kaldiio_reads_and_writes_them(tmp_path: Path) -> None:
    pcm = {"u1": walk(1, 900)[0], "u2": walk(1, 500)[0][::-1].copy()}
    ark, scp = tmp_path / "a.ark", tmp_path / "a.scp"
    first = flac_entry("u1", pcm["u1"])
    ark.write_bytes(first + flac_entry("u2", pcm["u2"]))
    scp.write_text(f"u1 {ark}:3\nu2 {ark}:{len(first) + 3}\n")
    for key, (rate, samples) in kaldiio.load_scp(str(scp)).items():
        assert rate == RATE
        np.testing.assert_array_equal(samples * 32768, pcm[key])
    theirs = tmp_path / "k.ark"
    how = {"format": "FLAC", "subtype": "PCM_16"}
    kaldiio.save_ark(
        str(theirs), {k: (v, RATE) for k, v in pcm.items()}, write_function="soundfile", write_kwargs=how
    )
    for path in (ark, theirs):
        with open(path, "rb") as handle:
            for key in ("u1", "u2"):
                assert handle.read(3) == f"{key} ".encode()
                samples, rate = read_stream(handle)
                assert rate == RATE
                np.testing.assert_array_equal(samples * 32768, pcm[key])
            assert handle.read() == b""


def test_wav_and_flac_entries_are_told_apart_and_read_in_part(tmp_path: Path) -> None:
    pcm = walk(2, 3000).T
    soundfile.write(tmp_path / "a.wav", pcm, RATE)
    soundfile.write(tmp_path / "b.wav", pcm, RATE, subtype="PCM_24")
    wav, wide = (tmp_path / name for name in ("a.wav", "b.wav"))
    handle = io.BytesIO(b"u1 " + wav.read_bytes() + flac_entry("u2", pcm) + b"u3 " + wide.read_bytes())
    for _ in range(3):
        handle.read(3)
        at = handle.tell()
        with open_audio(handle, where="x.ark", utt="u1") as source:
            assert (source.rate, source.channels, source.frames) == (RATE, 2, 3000)
            part = np.concatenate(list(source.blocks(0.01, 0.1, channels=(1,), seconds=0.02)))
            np.testing.assert_array_equal(part[:, 0] * 32768, pcm[160:1600, 1])
        handle.seek(at)
        np.testing.assert_array_equal(read_stream(handle, channel=1)[0] * 32768, pcm[:, 1])
    assert handle.read() == b""


@pytest.mark.parametrize("cut", [0, 3, 5, 6, 10, 14, 60, 400])
def test_a_cut_flac_entry_is_refused(cut: int) -> None:
    entry = flac_entry("u1", walk(1, 900)[0])[3:]
    with pytest.raises(InputError, match=r"x\.ark:3: utterance u1: "):
        read_stream(io.BytesIO(entry[:cut]), where="x.ark:3", utt="u1")


def test_an_empty_entry_is_refused() -> None:
    content = io.BytesIO()
    soundfile.write(content, np.zeros(0, np.int16), RATE, format="WAV")
    content.seek(0)
    with pytest.raises(InputError, match="holds no samples"):
        read_stream(content)


# Anything at all: a result or an InputError that names the file and the utterance


def tried(path: Path, **how: object) -> np.ndarray | None:
    try:
        samples, rate = read_audio(path, utt="u1", **how)  # type: ignore[arg-type]
    except InputError as error:
        assert str(path) in str(error) and "utterance u1" in str(error)
        return None
    assert rate > 0 and samples.dtype == np.float32 and samples.ndim == 1
    assert len(samples) and np.isfinite(samples).all()
    return samples


@QUICK
@given(
    count=st.integers(0, 3000),
    rate=st.integers(1000, 96000),
    subtype=st.sampled_from(["PCM_U8", "PCM_16", "PCM_24", "PCM_32", "FLOAT", "DOUBLE", "ULAW", "ALAW"]),
    shape=st.sampled_from(["square", "dc", "noise"]),
)
def test_wavs_of_any_length_rate_and_width(
    tmp_path: Path, count: int, rate: int, subtype: str, shape: str
) -> None:
    signs = np.where(np.arange(count) // 7 % 2, 1.0, -1.0)
    samples = {"square": signs, "dc": np.full(count, 0.5), "noise": np.tanh(noise(3000)[:count])}[shape]
    path = tmp_path / "a.wav"
    soundfile.write(path, samples, rate, subtype=subtype)
    found = tried(path)
    if count == 0:
        assert found is None
        return
    assert found is not None and len(found) == count
    steps = {"PCM_U8": 1 / 128, "PCM_16": 1 / 32768, "ULAW": 1 / 30, "ALAW": 1 / 30}
    np.testing.assert_allclose(found, samples, atol=1.01 * steps.get(subtype, 2**-22))


@QUICK
@given(
    place=st.integers(0, 299),
    bad=st.sampled_from([np.nan, np.inf, -np.inf, 1e300]),
    subtype=st.sampled_from(["FLOAT", "DOUBLE"]),
    name=st.sampled_from(["a.wav", "a.aiff", "a.au", "a.w64", "a.caf"]),
)
def test_not_finite_is_refused_wherever_it_is(
    tmp_path: Path, place: int, bad: float, subtype: str, name: str
) -> None:
    samples = np.zeros(300)
    samples[place] = bad
    with np.errstate(over="ignore"):
        soundfile.write(tmp_path / name, samples, RATE, subtype=subtype)
    assert tried(tmp_path / name) is None


HEADS = [b"", b"RIFF", b"RIFF\x24\0\0\0WAVEfmt ", b"fLaC", b"OggS", b"ID3\x04", b"\xff\xfb\x90", b"FORM"]
HEADS += [b"caff", b".snd", b"RF64", b"riff"]
HEADS += [b"NIST_1A\n   1024\n", b"ajkg\x02", b"AUDIO"] + [bytes(at) + mark for at, mark, _ in decode._MARKS]


@settings(parent=QUICK, max_examples=120)
@given(head=st.sampled_from(HEADS), tail=st.binary(max_size=600), name=st.sampled_from(["a.wav", "a.raw"]))
def test_random_bytes(tmp_path: Path, head: bytes, tail: bytes, name: str) -> None:
    (tmp_path / name).write_bytes(head + tail)
    tried(tmp_path / name)


@pytest.fixture(scope="module")
def samples_of_all(tmp_path_factory: pytest.TempPathFactory) -> list[tuple[str, bytes]]:
    folder = tmp_path_factory.mktemp("all")
    sound = noise(RATE)
    for name in ("a.wav", "a.flac", "a.ogg", "a.mp3", "a.aiff", "a.au", "a.w64", "a.caf"):
        soundfile.write(folder / name, sound, RATE)
    shortened(folder / "a.sph", walk(1, 1000))
    for name, container, codec in [
        ("a.m4a", "ipod", "aac"),
        ("a.mka", "matroska", "aac"),
        ("a.wma", "asf", "wmav2"),
        ("a.aac", "adts", "aac"),
        ("a.wv", "wv", "wavpack"),
    ]:
        encoded(folder / name, sound, RATE, container, codec)
    return [(path.name, path.read_bytes()) for path in sorted(folder.iterdir())]


@settings(parent=QUICK, max_examples=100)
@given(data=st.data())
def test_cut_or_changed_at_random(
    tmp_path: Path, samples_of_all: list[tuple[str, bytes]], data: st.DataObject
) -> None:
    name, content = data.draw(st.sampled_from(samples_of_all))
    damaged = bytearray(content)
    for _ in range(data.draw(st.integers(0, 3))):
        damaged[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    kept = data.draw(st.integers(0, len(content)))
    (tmp_path / name).write_bytes(damaged[:kept])
    found = tried(tmp_path / name)
    # A flac's and a sphere's checks, and the lengths in headers, leave no room for a shorter result.
    if damaged == content and kept < 0.9 * len(content) and name not in ("a.aac",):
        assert found is None


@QUICK
@given(
    start=st.floats(0, 2),
    length=st.floats(0, 2),
    name=st.sampled_from(["a.flac", "a.ogg", "a.m4a", "a.mka"]),
)
def test_any_part_is_that_part_of_the_whole(
    tmp_path: Path, samples_of_all: list[tuple[str, bytes]], start: float, length: float, name: str
) -> None:
    path = tmp_path / name
    path.write_bytes(dict(samples_of_all)[name])
    whole, part = tried(path), tried(path, start=start, end=start + length)
    assert whole is not None
    first, last = round(start * RATE), round((start + length) * RATE)
    if part is None:
        assert first >= min(last, len(whole)) or last > len(whole) + RATE // 2
    else:
        np.testing.assert_array_equal(part, whole[first:last])


def test_a_wav_header_without_a_format_is_refused(tmp_path: Path) -> None:
    body = b"WAVEdata" + struct.pack("<I", 8) + bytes(8)
    (tmp_path / "a.wav").write_bytes(b"RIFF" + struct.pack("<I", len(body)) + body)
    assert tried(tmp_path / "a.wav") is None

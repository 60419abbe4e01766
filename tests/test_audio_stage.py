"""Stage 1: what comes out of every option, every way of keeping audio, and every bad recording."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import kaldiio
import numpy as np
import pytest
import scipy.signal
import soundfile
import soxr
import yaml

from pysteps.audio import convert, process
from pysteps.audio.convert import Converter, Recordings
from pysteps.audio.options import AudioOptions
from pysteps.audio.stage import channels, clipping, convert_shard
from pysteps.formats import arks
from pysteps.formats.datadir import DataSet
from pysteps.formats.errors import InputError
from pysteps.formats.tables import write_table

REPO = Path(__file__).resolve().parent.parent
Tables = dict[str, dict[str, str]]


def speech(seconds: float, rate: int, seed: int = 0) -> np.ndarray:
    """Noise in syllables with an offset, float64 [time], well below full scale."""
    time = np.arange(int(seconds * rate)) / rate
    syllables = np.clip(np.sin(2 * np.pi * 3 * time), 0, None)
    return 0.05 + 0.1 * syllables * np.random.default_rng(seed).normal(size=len(time))


@pytest.fixture
def shard(tmp_path: Path) -> Callable[..., Tables]:
    """Runs stage 1 on {utterance: entry}; a table is written first where one is given."""

    def do(wav: dict[str, str], segments: dict[str, str] | None = None, **options: object) -> Tables:
        folder = tmp_path / "data"
        folder.mkdir(exist_ok=True)
        write_table(folder / "wav.scp", wav)
        if segments:
            write_table(folder / "segments", segments)
        pipes = bool(options.pop("allow_pipes", False))
        path = folder / "audio.1.ark"
        with Converter(AudioOptions(**options), pipes) as converter, arks.writing(path) as writer:
            tables = convert_shard(DataSet(folder), sorted(segments or wav), converter, writer)
        write_table(tmp_path / "out.scp", tables["wav.scp"])
        return {name: dict(table) for name, table in tables.items()}

    return do


def heard(tmp_path: Path, utt: str) -> np.ndarray:
    """What later stages read, as 16-bit numbers."""
    with Recordings(tmp_path / "out.scp") as recordings:
        samples, _ = recordings.samples(utt)
    assert samples.dtype == np.float32
    np.testing.assert_array_equal(samples * 32768, np.rint(samples * 32768))
    return (samples * 32768).astype(np.int32)


# ---- options


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("enhance", "lms"),
        ("level", "loud"),
        ("materialise", "mp3"),
        ("band_high", 8000),
        ("band_low", -1),
        ("preemphasis", 1.5),
        ("level_db", 3),
        ("trim_db", -5),
        ("sample_rate", 0),
        ("band_order", 0),
        ("shard_utterances", 0),
    ],
)
def test_an_option_that_cannot_be_is_refused_by_name(name: str, value: object) -> None:
    with pytest.raises(InputError, match=rf"--audio\.{name} {value}.*\("):
        AudioOptions(**{name: value})


def test_the_canceller_needs_a_reference_of_its_own() -> None:
    with pytest.raises(InputError, match="reference_channel -1"):
        AudioOptions(enhance="cancel")
    with pytest.raises(InputError, match="reference_channel 2"):
        AudioOptions(enhance="cancel", channel=2, reference_channel=2)


def test_every_method_has_a_conf() -> None:
    confs = {path.stem: path.read_text() for path in (REPO / "conf" / "audio").glob("*.yaml")}
    made = [AudioOptions(**yaml.safe_load(text)) for text in confs.values()]
    assert all(text.startswith("# ") for text in confs.values())
    assert {one.enhance for one in made} == {"none", "line", "cancel"}
    assert {one.level for one in made} == {"none", "rms", "peak"}
    assert {one.materialise for one in made} == {"ark", "flac", "changed"}
    assert {(one.filters, one.zero_phase) for one in made} >= {(True, True), (True, False)}
    assert any(one.preemphasis for one in made) and any(one.trim_db for one in made)
    assert any(one.dc for one in made) and {one.sample_rate for one in made} >= {8000, 16000}


# ---- processing


def test_the_steps_are_done_in_their_order(tmp_path: Path) -> None:
    x = speech(3.0, 44100)
    x[:20000] *= 1e-3  # a quiet beginning, to be trimmed
    soundfile.write(tmp_path / "x.wav", x, 44100, subtype="FLOAT")
    options = AudioOptions(
        dc=True,
        band_low=200,
        band_high=3000,
        band_order=3,
        preemphasis=0.9,
        trim_db=25,
        level="rms",
        level_db=-30,
    )
    samples, clipped = Converter(options).convert(str(tmp_path / "x.wav"))
    y = soxr.resample(x - x.mean(), 44100, 16000)
    y = scipy.signal.sosfiltfilt(scipy.signal.butter(3, [200, 3000], "bandpass", fs=16000, output="sos"), y)
    y = np.concatenate([y[:1], y[1:] - 0.9 * y[:-1]])
    power = np.asarray([np.mean(frame**2) for frame in np.split(y[: len(y) // 160 * 160], len(y) // 160)])
    loud = np.flatnonzero(power >= power.max() * 10**-2.5)
    y = y[160 * loud[0] : 160 * loud[-1] + 160]
    y *= 10 ** (-30 / 20) / np.sqrt(np.mean(y**2))
    assert clipped == 0 and len(samples) == len(y) < 3 * 16000 - 6000
    np.testing.assert_allclose(samples, 32768 * y, atol=1.5)


def test_what_needs_no_change_keeps_its_bits(tmp_path: Path) -> None:
    samples = np.random.default_rng(0).integers(-32768, 32768, 50000).astype(np.int16)
    soundfile.write(tmp_path / "x.flac", samples, 16000)
    made, clipped = Converter(AudioOptions()).convert(str(tmp_path / "x.flac"))
    assert clipped == 0 and made.dtype == np.int16
    np.testing.assert_array_equal(made, samples)


STREAMED = {
    "rate": {},
    "dc": {"dc": True},
    "causal": {"band_low": 300.0, "band_high": 3400.0, "zero_phase": False, "preemphasis": 0.97},
}


@pytest.mark.parametrize("options", STREAMED.values(), ids=STREAMED.keys())
def test_blocks_are_seamless(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, options: dict) -> None:
    soundfile.write(tmp_path / "x.wav", speech(4.0, 22050), 22050)
    whole, _ = Converter(AudioOptions(**options)).convert(str(tmp_path / "x.wav"))
    monkeypatch.setattr(process, "SECONDS", 0.37)
    blocks = list(Converter(AudioOptions(**options)).blocks(str(tmp_path / "x.wav")))
    assert len(blocks) > 9
    # The mean is summed in another order: half a step of float32, which may turn a rounding.
    np.testing.assert_allclose(np.concatenate(blocks), whole, atol=1 if "dc" in options else 0)


def test_causal_band_pass_and_pre_emphasis_by_hand(tmp_path: Path) -> None:
    x = speech(2.0, 16000)
    soundfile.write(tmp_path / "x.wav", x, 16000, subtype="DOUBLE")
    options = AudioOptions(band_low=300, zero_phase=False, band_order=2, preemphasis=0.5)
    made, _ = Converter(options).convert(str(tmp_path / "x.wav"))
    b, a = scipy.signal.butter(2, 300, "highpass", fs=16000)
    y = scipy.signal.lfilter(b, a, x)
    np.testing.assert_allclose(made, 32768 * np.concatenate([y[:1], y[1:] - 0.5 * y[:-1]]), atol=1)


def test_the_enhancers_get_their_channels_at_the_runs_rate(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    noise = 0.1 * rng.normal(size=4 * 32000)
    wanted = speech(4.0, 32000, seed=7) - 0.05  # not the noise again
    path = scipy.signal.lfilter([0, 0, 0.5, -0.3, 0.1], [1], noise)
    recording = np.stack([0.01 * rng.normal(size=len(noise)), wanted + path, noise], axis=1)
    soundfile.write(tmp_path / "x.wav", recording, 32000, subtype="FLOAT")
    options = AudioOptions(enhance="cancel", channel=1, reference_channel=2)
    made, _ = Converter(options).convert(str(tmp_path / "x.wav"))
    clean = soxr.resample(wanted, 32000, 16000)
    left = (made / 32768 - clean)[16000:]
    noisy = soxr.resample(path, 32000, 16000)[16000:]
    assert 10 * np.log10(np.mean(noisy**2) / np.mean(left**2)) > 10
    tone = 0.1 * np.sin(2 * np.pi * 440 * np.arange(len(noise)) / 32000)
    soundfile.write(tmp_path / "y.wav", wanted + tone, 32000, subtype="FLOAT")
    line, _ = Converter(AudioOptions(enhance="line")).convert(str(tmp_path / "y.wav"))
    spectrum = np.abs(np.fft.rfft(line[16000:48000] / 32768)) / 16000
    assert spectrum[880] < 0.01  # 440 Hz: its amplitude was 0.1


def test_a_channel_table_cannot_make_the_reference_its_own_noise(
    tmp_path: Path, shard: Callable[..., Tables]
) -> None:
    three_channels(tmp_path / "x.wav")
    (tmp_path / "data").mkdir()
    write_table(tmp_path / "data" / "reco2channel", {"a": "1"})
    tables = shard({"a": str(tmp_path / "x.wav")}, enhance="cancel", reference_channel=1)
    assert "channel 1 is the noise reference too" in tables["dropped"]["a"]


def test_whole_signals_grow_in_place() -> None:
    blocks = [np.full(n, n, np.float32) for n in (5, 0, 700, 3)]
    for expected in (0, 10, 708, 2000):
        np.testing.assert_array_equal(process.joined(iter(blocks), expected), np.concatenate(blocks))


def test_clipping_is_counted_and_said(tmp_path: Path, shard: Callable[..., Tables]) -> None:
    x = np.full(1000, 0.5)
    x[100:130] = 1.5
    x[200] = -1.0  # full scale, not beyond it
    soundfile.write(tmp_path / "loud.wav", x, 16000, subtype="FLOAT")
    soundfile.write(tmp_path / "fine.wav", x / 2, 16000, subtype="FLOAT")
    tables = shard({"loud": str(tmp_path / "loud.wav"), "fine": str(tmp_path / "fine.wav")})
    assert tables["clipped"] == {"loud": "30"}
    made = heard(tmp_path, "loud")
    assert made[100:130].tolist() == [32767] * 30 and made[200] == -32768
    for name in ("clipped", "utt2dur"):
        write_table(tmp_path / name, tables[name])
    assert "30 samples of 1 utterances were clipped; 1 of them lost more than 1%" in clipping(tmp_path, 16000)
    assert "loud (3.0%)" in clipping(tmp_path, 16000)
    write_table(tmp_path / "clipped", {"loud": "9"})
    assert clipping(tmp_path, 16000).startswith("9 samples of 1 utterances were clipped (see")
    write_table(tmp_path / "clipped", {})
    assert clipping(tmp_path, 16000) == ""


# ---- channels, segments, entries


def three_channels(path: Path, rate: int = 16000) -> np.ndarray:
    values = np.random.default_rng(0).integers(-9000, 9000, (2 * rate, 3)).astype(np.int16)
    soundfile.write(path, values, rate)
    return values


def test_a_set_says_the_channel_of_each_recording(tmp_path: Path, shard: Callable[..., Tables]) -> None:
    values = three_channels(tmp_path / "x.wav")
    (tmp_path / "data").mkdir()
    write_table(tmp_path / "data" / "reco2channel", {"b": "2"})
    shard({"a": str(tmp_path / "x.wav"), "b": str(tmp_path / "x.wav")}, channel=1)
    np.testing.assert_array_equal(heard(tmp_path, "a"), values[:, 1])
    np.testing.assert_array_equal(heard(tmp_path, "b"), values[:, 2])


@pytest.mark.parametrize(
    ("table", "said"),
    [
        ("a 0\nb left\n", "reco2channel:2: no channel number: 'left'"),
        ("z 1\n", "reco2channel:1: z is not in"),
    ],
)
def test_a_wrong_channel_table_is_said_with_its_line(tmp_path: Path, table: str, said: str) -> None:
    write_table(tmp_path / "wav.scp", {"a": "a.wav", "b": "b.wav"})
    (tmp_path / "reco2channel").write_text(table)
    with pytest.raises(InputError, match=said):
        channels(DataSet(tmp_path))


def test_a_channel_that_a_recording_lacks_drops_its_utterance(
    tmp_path: Path, shard: Callable[..., Tables]
) -> None:
    three_channels(tmp_path / "x.wav")
    tables = shard({"a": str(tmp_path / "x.wav")}, channel=3)
    assert "no channel 3: there are 3" in tables["dropped"]["a"] and not tables["wav.scp"]


def test_segments_of_a_recording_open_it_once(
    tmp_path: Path, shard: Callable[..., Tables], monkeypatch: pytest.MonkeyPatch
) -> None:
    values = three_channels(tmp_path / "x.wav")
    opened = []
    wanted = convert.open_audio
    monkeypatch.setattr(convert, "open_audio", lambda *a, **k: opened.append(a) or wanted(*a, **k))
    wav = {"one": str(tmp_path / "x.wav"), "two": str(tmp_path / "y.wav")}
    segments = {"a": "one 0.5 1", "b": "two 0 1", "c": "one 1.25 2.3", "d": "one 0 0.25", "e": "one 5 6"}
    tables = shard(wav, segments)
    assert len(opened) == 2  # and y is not there
    np.testing.assert_array_equal(heard(tmp_path, "a"), values[8000:16000, 0])
    np.testing.assert_array_equal(heard(tmp_path, "c"), values[20000:, 0])
    assert tables["utt2dur"] == {"a": "0.5000", "c": "0.7500", "d": "0.2500"}
    assert "not inside" in tables["dropped"]["e"] and "no such file" in tables["dropped"]["b"]


@pytest.mark.parametrize("kind", ["wav", "AUDIO"])
def test_entries_may_be_places_in_archives(tmp_path: Path, shard: Callable[..., Tables], kind: str) -> None:
    values = three_channels(tmp_path / "x.wav")[:, 0]
    path, scp = str(tmp_path / "foreign.ark"), str(tmp_path / "foreign.scp")
    entries = {"one": (16000, values[:9000]), "two": (16000, values)}
    how = {"write_function": "soundfile", "write_kwargs": {"format": "flac"}} if kind == "AUDIO" else {}
    kaldiio.save_ark(path, entries, scp=scp, **how)
    wav = dict(line.split(" ", 1) for line in Path(scp).read_text().splitlines())
    shard(wav, {"a": "two 0.25 0.5", "b": "one 0 0.5"})
    np.testing.assert_array_equal(heard(tmp_path, "a"), values[4000:8000])
    np.testing.assert_array_equal(heard(tmp_path, "b"), values[:8000])


def test_a_command_is_refused_unless_allowed(tmp_path: Path, shard: Callable[..., Tables]) -> None:
    tables = shard({"a": f"touch {tmp_path / 'ran'}; cat x.wav |"})
    assert "--allow-pipes" in tables["dropped"]["a"]
    assert not (tmp_path / "ran").exists()


def test_a_command_runs_once_for_all_its_segments(tmp_path: Path, shard: Callable[..., Tables]) -> None:
    values = three_channels(tmp_path / "x.wav")
    command = f"echo x >> {tmp_path / 'runs'}; cat {tmp_path / 'x.wav'} |"
    shard({"one": command}, {"a": "one 0 1", "b": "one 1 2"}, allow_pipes=True)
    np.testing.assert_array_equal(heard(tmp_path, "b"), values[16000:, 0])
    assert (tmp_path / "runs").read_text() == "x\n"


def test_a_command_that_fails_is_said_with_its_words(tmp_path: Path, shard: Callable[..., Tables]) -> None:
    tables = shard({"a": "echo no such tape >&2; false |"}, allow_pipes=True)
    assert "the command failed: no such tape" in tables["dropped"]["a"]


# ---- materialise


def test_flac_holds_the_same_samples(tmp_path: Path, shard: Callable[..., Tables]) -> None:
    soundfile.write(tmp_path / "x.wav", speech(2.0, 48000), 48000)
    in_ark = shard({"a": str(tmp_path / "x.wav")})
    wanted = heard(tmp_path, "a")
    in_flac = shard({"a": str(tmp_path / "x.wav")}, materialise="flac")
    np.testing.assert_array_equal(heard(tmp_path, "a"), wanted)
    assert in_ark["utt2dur"] == in_flac["utt2dur"] == {"a": "2.0000"}
    assert (tmp_path / "data" / "audio.1.ark").read_bytes().startswith(b"a AUDIO")


def test_only_what_changes_is_written(tmp_path: Path, shard: Callable[..., Tables]) -> None:
    samples = (32768 * speech(1.5, 16000)).astype(np.int16)
    stereo = np.stack([samples, samples // 2], axis=1)
    wav = {name: str(tmp_path / f"{name}.{name.strip('123')}") for name in ("wav1", "wav2", "wav3", "flac")}
    soundfile.write(wav["wav1"], samples, 16000)
    soundfile.write(wav["wav2"], stereo, 16000)
    soundfile.write(wav["wav3"], samples, 8000)
    soundfile.write(wav["flac"], samples, 16000)
    soundfile.write(tmp_path / "deep.flac", samples / 32768, 16000, subtype="PCM_24")
    wav["deep"] = str(tmp_path / "deep.flac")
    with arks.writing(tmp_path / "theirs.ark") as theirs:
        theirs.audio("x", samples, 16000)
    wav["entry"] = theirs.scp["x"]
    tables = shard(wav, materialise="changed")
    kept = {utt for utt, entry in tables["wav.scp"].items() if entry == wav[utt]}
    assert kept == {"wav1", "flac", "entry"} and not tables["dropped"]
    assert tables["utt2dur"] == {**dict.fromkeys(wav, "1.5000"), "wav3": "3.0000"}
    for utt in set(wav) - {"wav3"}:
        np.testing.assert_array_equal(heard(tmp_path, utt), samples)
    tables = shard(wav, materialise="changed", dc=True)
    assert not any(entry == wav[utt] for utt, entry in tables["wav.scp"].items())


def test_a_broken_file_is_dropped_even_if_it_would_be_kept(
    tmp_path: Path, shard: Callable[..., Tables]
) -> None:
    for name in ("good", "bad"):
        soundfile.write(tmp_path / f"{name}.flac", speech(2.0, 16000), 16000)
    content = bytearray((tmp_path / "bad.flac").read_bytes())
    (tmp_path / "bad.flac").write_bytes(content[: len(content) * 2 // 3])  # its header is whole
    wav = {name: str(tmp_path / f"{name}.flac") for name in ("good", "bad")}
    tables = shard(wav, materialise="changed")
    assert list(tables["dropped"]) == ["bad"] and list(tables["wav.scp"]) == ["good"]


def test_a_recording_that_breaks_in_the_middle_leaves_nothing(
    tmp_path: Path, shard: Callable[..., Tables], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(process, "SECONDS", 0.25)
    for name in ("a", "b", "c"):
        soundfile.write(tmp_path / f"{name}.flac", speech(2.0, 16000), 16000)
    content = (tmp_path / "b.flac").read_bytes()
    (tmp_path / "b.flac").write_bytes(content[: len(content) * 2 // 3])
    tables = shard({name: str(tmp_path / f"{name}.flac") for name in ("a", "b", "c")})
    assert list(tables["dropped"]) == ["b"]
    assert [key for key, _ in kaldiio.load_ark(str(tmp_path / "data" / "audio.1.ark"))] == ["a", "c"]

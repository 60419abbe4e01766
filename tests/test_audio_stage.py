"""Stage 1: what comes out of every option, every way of keeping audio, and every bad recording."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import kaldiio
import numpy as np
import pytest
import scipy.signal
import soundfile
import soxr
import yaml

from pysteps.audio import convert, growing, process
from pysteps.audio.adaptive import cancel_noise, enhance_line
from pysteps.audio.convert import Converter, Recordings
from pysteps.audio.filters import to_int16
from pysteps.audio.growing import FRAME, Compact, joined
from pysteps.audio.options import AudioOptions, relevant
from pysteps.audio.stage import Cuts, channels, clipping, convert_shard, units, worker
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
            tables = convert_shard(Cuts.of(DataSet(folder)), sorted(segments or wav), converter, writer)
        write_table(tmp_path / "out.scp", tables["wav.scp"])
        return {name: dict(table) for name, table in tables.items()}

    return do


def converted(options: AudioOptions, path: Path) -> tuple[np.ndarray, int]:
    """All 16-bit samples of a file, and how many were clipped."""
    blocks = Converter(options).blocks(str(path))
    return np.concatenate(list(blocks)), blocks.clipped


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
        ("enhance_delay", 0),
        ("enhance_taps", 0),
        ("enhance_rumble_db", -1),
        ("max_dropped", -1),
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


@pytest.mark.parametrize(("rate", "fine"), [(65535, True), (88200, True), (65537, False), (96001, False)])
def test_a_rate_that_flac_lacks_is_refused(rate: int, fine: bool) -> None:
    AudioOptions(sample_rate=rate)
    if fine:
        AudioOptions(sample_rate=rate, materialise="flac")
        return
    with pytest.raises(InputError, match=rf"--audio\.materialise flac .*no {rate} Hz"):
        AudioOptions(sample_rate=rate, materialise="flac")


BAND, LINE = {"band_order", "zero_phase"}, {"enhance_delay", "enhance_rumble_db"}


@pytest.mark.parametrize(
    ("chosen", "idle"),
    [
        ({}, {*BAND, "level_db", "reference_channel", "enhance_taps", *LINE}),
        ({"enhance": "line"}, {*BAND, "level_db", "reference_channel"}),
        ({"enhance": "cancel"}, {*BAND, "level_db", *LINE}),
        ({"band_high": 3000.0, "level": "rms"}, {"reference_channel", "enhance_taps", *LINE}),
    ],
)
def test_numbers_of_steps_that_are_not_asked_for_decide_nothing(chosen: dict, idle: set[str]) -> None:
    options = {**AudioOptions().__dict__, **chosen}
    assert set(options) - set(relevant(options)) == idle


def test_allowing_pipes_decides_only_where_there_are_some(tmp_path: Path) -> None:
    def says(pipes: bool, entry: str) -> object:
        (tmp_path / "wav.scp").write_text(f"a a.wav\nb {entry} \n")
        run = SimpleNamespace(
            base_sets=[tmp_path.name],
            data=tmp_path.parent,
            allow_pipes=pipes,
            of=lambda stage, name: tmp_path,
            deciding=lambda stage: AudioOptions().__dict__,
        )
        (unit,) = units(run)  # type: ignore[arg-type]
        return unit.options["allow_pipes"]

    assert says(True, "cat b.wav |")
    assert not says(True, "b.wav") and not says(False, "cat b.wav |")


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
    samples, clipped = converted(options, tmp_path / "x.wav")
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
    made, clipped = converted(AudioOptions(), tmp_path / "x.flac")
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
    whole, _ = converted(AudioOptions(**options), tmp_path / "x.wav")
    monkeypatch.setattr(process, "SECONDS", 0.37)
    blocks = list(Converter(AudioOptions(**options)).blocks(str(tmp_path / "x.wav")))
    assert len(blocks) > 9
    # The mean is summed in another order: half a step of float32, which may turn a rounding.
    np.testing.assert_allclose(np.concatenate(blocks), whole, atol=1 if "dc" in options else 0)


def test_causal_band_pass_and_pre_emphasis_by_hand(tmp_path: Path) -> None:
    x = speech(2.0, 16000)
    soundfile.write(tmp_path / "x.wav", x, 16000, subtype="DOUBLE")
    options = AudioOptions(band_low=300, zero_phase=False, band_order=2, preemphasis=0.5)
    made, _ = converted(options, tmp_path / "x.wav")
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
    made, _ = converted(options, tmp_path / "x.wav")
    clean = soxr.resample(wanted, 32000, 16000)
    left = (made / 32768 - clean)[16000:]
    noisy = soxr.resample(path, 32000, 16000)[16000:]
    assert 10 * np.log10(np.mean(noisy**2) / np.mean(left**2)) > 10
    tone = 0.1 * np.sin(2 * np.pi * 440 * np.arange(len(noise)) / 32000)
    soundfile.write(tmp_path / "y.wav", wanted + tone, 32000, subtype="FLOAT")
    line, _ = converted(AudioOptions(enhance="line"), tmp_path / "y.wav")
    spectrum = np.abs(np.fft.rfft(line[16000:48000] / 32768)) / 16000
    assert spectrum[880] < 0.01  # 440 Hz: its amplitude was 0.1


ENHANCE = {"enhance_taps": 0.02, "enhance_delay": 0.03, "enhance_rumble_db": 3.0}


@pytest.mark.parametrize("name", ENHANCE)
def test_every_number_of_the_enhancers_reaches_them(tmp_path: Path, name: str) -> None:
    time = np.arange(4 * 16000) / 16000
    x = (speech(4.0, 16000) + 0.1 * np.sin(2 * np.pi * 440 * time)).astype(np.float32)
    soundfile.write(tmp_path / "x.wav", x, 16000, subtype="FLOAT")
    short = name.removeprefix("enhance_")
    made, _ = converted(AudioOptions(enhance="line", **{name: ENHANCE[name]}), tmp_path / "x.wav")
    wanted = to_int16(enhance_line(x, 16000, **{short: ENHANCE[name]}))[0]
    assert not np.array_equal(wanted, to_int16(enhance_line(x, 16000))[0])
    np.testing.assert_array_equal(made, wanted)


def test_the_cancellers_filter_has_the_length_that_is_asked(tmp_path: Path) -> None:
    noise = 0.1 * np.random.default_rng(1).normal(size=2 * 16000)
    x = np.stack([speech(2.0, 16000) + noise, noise], axis=1).astype(np.float32)
    soundfile.write(tmp_path / "x.wav", x, 16000, subtype="FLOAT")
    options = AudioOptions(enhance="cancel", reference_channel=1, enhance_taps=0.02)
    made, _ = converted(options, tmp_path / "x.wav")
    wanted = to_int16(cancel_noise(x[:, 0], x[:, 1], 16000, taps=0.02))[0]
    np.testing.assert_allclose(made, wanted, atol=2)
    assert np.abs(made - to_int16(cancel_noise(x[:, 0], x[:, 1], 16000))[0].astype(int)).max() > 50


@pytest.mark.parametrize("gain", [1e-6, 20.0])
def test_the_cancellers_reference_may_have_any_scale(tmp_path: Path, gain: float) -> None:
    rng = np.random.default_rng(0)
    noise = 0.1 * rng.normal(size=3 * 16000)
    for scale in (1.0, gain):
        pair = np.stack([speech(3.0, 16000) + noise, scale * noise], axis=1)
        soundfile.write(tmp_path / f"{scale}.wav", pair, 16000, subtype="FLOAT")
    options = AudioOptions(enhance="cancel", reference_channel=1)
    plain, _ = converted(options, tmp_path / "1.0.wav")
    made, _ = converted(options, tmp_path / f"{gain}.wav")
    np.testing.assert_allclose(made, plain, atol=10)


@pytest.mark.parametrize("gain", [1.0, 1e-30, 3e38])
def test_what_is_held_in_16_bits_keeps_its_samples(gain: float) -> None:
    rng = np.random.default_rng(0)
    pcm = (rng.integers(-32767, 32768, 3 * FRAME + 77) / np.float32(32768)).astype(np.float32)
    compact = Compact(100)
    for part in np.split(pcm * np.float32(gain), [5, 5, 5000, 9000]):
        compact.append(part)
    assert len(compact) == len(pcm)
    tolerance = 0 if gain == 1.0 else 2**-14
    for part in (slice(0, 10), slice(4090, 4100), slice(9000, None), slice(12000, 99999), slice(3, 3)):
        found = compact[part]
        assert found.dtype == np.float32
        np.testing.assert_allclose(found / np.float32(gain), pcm[part], atol=tolerance)
    with pytest.raises(InputError, match="NaN or infinity in the noise reference"):
        compact.append(np.full(FRAME, np.nan, np.float32))


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
        np.testing.assert_array_equal(joined(iter(blocks), expected), np.concatenate(blocks))


def test_no_room_is_made_for_what_may_never_come(monkeypatch: pytest.MonkeyPatch) -> None:
    assert len(joined([np.ones(3, np.float32)], 1 << 60)) == 3
    monkeypatch.setattr(growing, "TRUSTED", 100)
    whole = growing.Growing(1000, np.float32)
    for _ in range(10):
        whole.append(np.ones(100, np.float32))
    assert len(whole._whole) == 1000  # and no more than was promised, where that was true


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
    write_table(tmp_path / "clipped", {"loud": "1"})
    write_table(tmp_path / "utt2dur", {"loud": "0.0000"})  # one sample at 48 kHz
    assert "loud (100.0%)" in clipping(tmp_path, 48000)


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
        ("a 1\nb 0\na 0\n", "reco2channel:3: a is there twice"),
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
    tables = shard({"a": "echo no such tape >&2; echo; echo b lonely >&2; false |"}, allow_pipes=True)
    assert tables["dropped"]["a"].endswith("the command failed: no such tape b lonely")
    with Converter(AudioOptions(), True) as converter, pytest.raises(InputError, match="failed: one two$"):
        converter.source("echo one >&2; echo two >&2; false |")


def test_no_reason_takes_more_than_a_line(
    tmp_path: Path, shard: Callable[..., Tables], monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object, **__: object) -> None:
        raise InputError("a decoder\nwith two lines")

    monkeypatch.setattr(convert, "open_audio", broken)
    assert shard({"a": "x.wav"})["dropped"]["a"].endswith("a decoder with two lines")


def test_a_command_that_fails_runs_once_for_all_its_segments(
    tmp_path: Path, shard: Callable[..., Tables]
) -> None:
    command = f"echo x >> {tmp_path / 'runs'}; false |"
    tables = shard({"one": command}, {"a": "one 0 1", "b": "one 1 2"}, allow_pipes=True)
    assert set(tables["dropped"]) == {"a", "b"} and (tmp_path / "runs").read_text() == "x\n"


def test_a_command_reads_nothing_of_ours(tmp_path: Path, shard: Callable[..., Tables]) -> None:
    soundfile.write(tmp_path / "x.wav", speech(0.5, 16000), 16000)
    (tmp_path / "ours").write_text("what a job reads\n")
    kept, ours = os.dup(0), os.open(tmp_path / "ours", os.O_RDONLY)
    try:
        os.dup2(ours, 0)
        shard({"a": f"cat > {tmp_path / 'theirs'}; cat {tmp_path / 'x.wav'} |"}, allow_pipes=True)
        assert os.read(0, 99) == b"what a job reads\n"
    finally:
        os.dup2(kept, 0)
        os.close(kept)
        os.close(ours)
    assert (tmp_path / "theirs").read_text() == "" and len(heard(tmp_path, "a")) == 8000


@pytest.mark.parametrize("piped", [False, True])
def test_a_segment_after_a_dropped_one_is_read(
    tmp_path: Path, shard: Callable[..., Tables], piped: bool
) -> None:
    x = speech(3.0, 16000)
    x[20000] = np.nan
    soundfile.write(tmp_path / "x.wav", x, 16000, subtype="FLOAT")
    entry = f"echo x >> {tmp_path / 'runs'}; cat {tmp_path / 'x.wav'} |" if piped else str(tmp_path / "x.wav")
    segments = {"a": "one 0 1", "b": "one 1 2", "c": "one 2 3", "d": "one 5 6", "e": "one 2.5 -1"}
    tables = shard({"one": entry}, segments, allow_pipes=piped)
    assert set(tables["dropped"]) == {"b", "d"} and "NaN" in tables["dropped"]["b"]
    np.testing.assert_allclose(heard(tmp_path, "c"), 32768 * x[32000:], atol=0.51)
    assert tables["utt2dur"]["e"] == "0.5000"
    if piped:
        assert (tmp_path / "runs").read_text() == "x\n"


def test_a_decoder_that_failed_is_not_gone_on_with(tmp_path: Path, shard: Callable[..., Tables]) -> None:
    path = tmp_path / "x.flac"
    soundfile.write(path, 0.1 * np.random.default_rng(0).normal(size=6 * 16000), 16000)
    whole, _ = soundfile.read(path, dtype="int16")
    content = bytearray(path.read_bytes())
    at = len(content) * 2 // 5
    content[at : at + 40] = bytes(40)
    path.write_bytes(content)
    tables = shard({"one": str(path)}, {"a": "one 0 1", "b": "one 1.5 3.5", "c": "one 4 5"})
    assert list(tables["dropped"]) == ["b"]
    np.testing.assert_array_equal(heard(tmp_path, "c"), whole[4 * 16000 : 5 * 16000])


def test_closing_forgets_the_recording(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "x.wav", speech(0.5, 16000), 16000)
    converter = Converter(AudioOptions())
    for _ in range(2):
        assert sum(map(len, converter.blocks(str(tmp_path / "x.wav")))) == 8000
        converter.close()


@pytest.mark.parametrize("end", ["inf", "1e305", "nan", "-2", "0"])
def test_a_segment_without_an_end_is_said_with_its_line(tmp_path: Path, end: str) -> None:
    (tmp_path / "segments").write_text(f"a one 0 -1\nb one 0 {end}\n")
    with pytest.raises(InputError, match=r"segments:2: utterance b: start 0.0 and end .* are no interval \("):
        DataSet(tmp_path).segments()
    (tmp_path / "segments").write_text("a one inf -1\n")
    with pytest.raises(InputError, match="no interval"):
        DataSet(tmp_path).segments()
    (tmp_path / "segments").write_text("a one 0.5 -1\n")
    assert DataSet(tmp_path).segments() == {"a": ("one", 0.5, -1.0)}


def test_an_archive_that_is_missing_is_said_once(tmp_path: Path, shard: Callable[..., Tables]) -> None:
    entry = f"{tmp_path / 'no.ark'}:5"
    assert shard({"a": entry})["dropped"]["a"] == f"{entry}: No such file or directory"


@pytest.mark.parametrize("stage", ["audio", "vad"])
def test_a_sets_tables_are_read_once_for_all_shards(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stage: str
) -> None:
    from pysteps.vad.options import VadOptions
    from pysteps.vad.stage import worker as decider

    for utt in ("a", "b"):
        soundfile.write(tmp_path / f"{utt}.wav", speech(1.0, 16000), 16000)
    write_table(tmp_path / "wav.scp", {utt: str(tmp_path / f"{utt}.wav") for utt in ("a", "b")})
    run = SimpleNamespace(
        options={"audio": AudioOptions().__dict__, "vad": {**VadOptions().__dict__, "min_voiced": 0}},
        allow_pipes=False,
        set=lambda name: DataSet(tmp_path),
        audio_scp=lambda name: tmp_path / "wav.scp",
    )
    unit = SimpleNamespace(name="x", folder=tmp_path)
    do = (worker if stage == "audio" else decider)(run)  # type: ignore[arg-type]
    first = do(unit, 1, ["a"])  # type: ignore[arg-type]
    (tmp_path / "wav.scp").unlink()
    second = do(unit, 2, ["b"])  # type: ignore[arg-type]
    assert not first["dropped"] and not second["dropped"]


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

"""The picture of an utterance: what lies where in it, and which columns a run gives it."""

from __future__ import annotations

import runpy
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from pysteps.audio import stage as audio_stage
from pysteps.augment import stage as augment_stage
from pysteps.augment.audio import Audio
from pysteps.features import panels as panels_module
from pysteps.features.contract import FeaturesOptions
from pysteps.features.fbank import Fbank, compute
from pysteps.features.panels import Window, detail, find_set, nearest, panels
from pysteps.features.plot import Panel, draw_utterance, excerpt, middles, power, save, voiced_spans
from pysteps.formats import command, tables
from pysteps.formats.errors import InputError
from pysteps.formats.run import Run
from pysteps.recipe.options import parse
from pysteps.recipe.resolve import resolve
from pysteps.vad import stage as vad_stage

RATE = 16000
OPTIONS = FeaturesOptions()


def column(title: str, samples: np.ndarray, options: FeaturesOptions = OPTIONS) -> Panel:
    features = compute(samples.astype(np.float32), Fbank(options.acoustic()), utt=title)
    return Panel(title, samples.astype(np.float32), np.ones(len(features), bool), features)


def tone(hertz: float, seconds: float, level: float = 0.1) -> np.ndarray:
    return level * np.sin(2 * np.pi * hertz * np.arange(int(seconds * RATE)) / RATE)


def test_the_middle_of_a_frame_is_half_a_frame_behind_its_start() -> None:
    assert middles(OPTIONS, 2) == pytest.approx([0.0125, 0.0225])
    assert middles(OPTIONS, 1, first=100) == pytest.approx([1.0125])


def test_frames_that_are_not_snipped_have_their_middles_half_a_shift_in() -> None:
    assert middles(FeaturesOptions(snip_edges=False), 2) == pytest.approx([0.005, 0.015])


def test_a_run_of_voiced_frames_is_shaded_half_a_shift_to_each_side_of_the_middles() -> None:
    voiced = np.array([True, False, True, True])
    spans = voiced_spans(voiced, np.array([0.1, 0.2, 0.3, 0.4]), 0.1)
    assert np.array(spans) == pytest.approx(np.array([[0.05, 0.15], [0.25, 0.45]]))


def test_an_excerpt_has_the_samples_and_the_frames_whose_middles_lie_in_it() -> None:
    whole = column("a", tone(440, 2.0))
    part = excerpt(whole, OPTIONS, 0.5, 0.1)
    # Middles are 0.0125 + 0.01 t: those in [0.5, 0.6) have t = 49 ... 58.
    assert (part.first_sample, len(part.samples), part.first_frame) == (8000, 1600, 49)
    assert np.array_equal(part.features, whole.features[49:59])
    assert len(part.voiced) == 10


def test_the_spectrogram_of_a_tone_is_loudest_at_its_frequency() -> None:
    levels, times = power(column("a", tone(1000, 0.5)), OPTIONS)
    assert (levels.argmax(1) == 1000 * 512 // RATE).all()
    assert times[:2] == pytest.approx([0.0125, 0.0225])


def test_all_columns_share_time_waveform_and_colours() -> None:
    figure = draw_utterance([column("a", tone(440, 1.0)), column("b", tone(440, 1.5, 0.4))], OPTIONS)
    grid = figure.subfigs[0].axes[:6]  # three rows of two columns; colour bars behind them
    assert {axes.get_xlim() for axes in grid} == {(0.0, 1.5)}
    assert grid[0].get_ylim() == grid[1].get_ylim() == pytest.approx((-0.42, 0.42))
    for left, right in (grid[2:4], grid[4:6]):
        assert left.images[0].get_clim() == right.images[0].get_clim()
    low, high = grid[2].images[0].get_clim()
    assert high - low == pytest.approx(80)


def test_the_features_lie_under_the_sound_that_they_are_of() -> None:
    samples = np.zeros(RATE)
    samples[8000] = 0.9  # a click at 0.5 s
    axes = draw_utterance([column("a", samples)], OPTIONS).subfigs[0].axes[2]
    image = axes.images[0]
    begin, end, _, _ = image.get_extent()
    values = np.asarray(image.get_array())
    loud = np.flatnonzero(values.max(0) > values.min() + 1)
    seconds = begin + (loud + 0.5) * (end - begin) / values.shape[1]
    assert (abs(seconds - 0.5) <= 0.0125).all()
    assert seconds.mean() == pytest.approx(0.5, abs=0.005)


def test_voiced_frames_are_shaded_in_the_waveform() -> None:
    panel = column("a", tone(440, 0.1))
    voiced = np.array([False, True, True, False, False, False, False, False])
    axes = draw_utterance([replace(panel, voiced=voiced)], OPTIONS).subfigs[0].axes[0]
    (shade,) = axes.patches
    assert (shade.get_x(), shade.get_width()) == pytest.approx((0.0175, 0.02))


def test_what_does_not_fit_side_by_side_goes_below_at_the_same_width() -> None:
    figure = draw_utterance([column(str(i), tone(440, 0.1)) for i in range(6)], OPTIONS, columns=4)
    assert [sum(axes.get_visible() for axes in part.axes[:12]) for part in figure.subfigs] == [12, 6]
    assert figure.get_size_inches()[0] * figure.dpi == 1600


def test_mel_bins_have_their_frequencies_at_the_right() -> None:
    axes = draw_utterance([column("a", tone(440, 0.1))], OPTIONS).subfigs[0].axes[2]
    right = axes.child_axes[0]
    said = dict(zip([text.get_text() for text in right.get_yticklabels()], right.get_yticks(), strict=True))
    # 1000 Hz is 1000 mel; bins are centred at 31.7 mel + (bin + 1) * (2840 - 31.7) / 81.
    assert said["1000 Hz"] == pytest.approx((999.99 - 31.75) / ((2840.04 - 31.75) / 81) - 1, abs=0.01)


@pytest.mark.parametrize("kind", ["mfcc", "spectrogram", "fbank"])
def test_every_kind_of_feature_and_no_frame_at_all_can_be_drawn(kind: str, tmp_path: Path) -> None:
    options = FeaturesOptions(kind=kind, use_log_fbank=kind != "fbank", delta_order=1)
    short = np.zeros(100)  # no frame
    figure = draw_utterance([column("a", tone(440, 0.2), options), column("b", short, options)], options)
    save(figure, tmp_path / "new" / "a.png")
    assert (tmp_path / "new" / "a.png").read_bytes()[:4] == b"\x89PNG"


def do(module: Any, run: Run) -> None:
    _, todo = command.plan(module, run)
    command.job(module, run, todo, 1, 1)
    command.gather(module, run)


@pytest.fixture(scope="module")
def run(repo: Path, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Two real voices, copies noise and speed0.9, and one silent file that stage vad drops."""
    work = tmp_path_factory.mktemp("plot work")
    speech = repo / "egs" / "mini" / "corpus" / "speech"
    speakers = sorted(path for path in speech.iterdir() if path.is_dir())[::20][:3]
    silent, hiss = work / "silent.wav", work / "hiss.wav"
    soundfile.write(silent, np.zeros(RATE), RATE)
    soundfile.write(hiss, 0.1 * np.random.default_rng(0).standard_normal(RATE), RATE)
    for name, chosen in (("train", speakers[:2]), ("dev", speakers[2:])):
        found = {f"{who.name}-{file.stem}": str(file) for who in chosen for file in sorted(who.iterdir())[:1]}
        if name == "dev":
            found["silent"] = str(silent)
        tables.write_table(work / "data" / name / "wav.scp", dict(sorted(found.items())))
        utt2spk = {utt: Path(file).parent.name for utt, file in sorted(found.items())}
        tables.write_table(work / "data" / name / "utt2spk", utt2spk)
    tables.write_table(work / "data" / "noise" / "wav.scp", {"hiss": str(hiss)})
    words = ["--recipe", "mini", "--work", str(work), "--augment.kinds", "[noise,speed0.9]"]
    words += ["--vad.max_dropped", "1"]
    made = replace(resolve(repo, parse(words)), eval_sets=[])
    for module in (audio_stage, vad_stage, augment_stage):
        do(module, made)
    made.save(made.exp / "run.json")
    return made


def first(run: Run, name: str) -> str:
    return next(iter(tables.read_table(run.data / name / "utt2spk")))


def test_a_run_gives_the_clean_column_and_one_for_each_of_its_kinds(run: Run) -> None:
    utt = first(run, "train")
    clean, noise, speed = panels(run, utt, window=Window(0, 60))
    assert [clean.title, noise.title, speed.title] == ["clean", "noise", "speed0.9"]
    with Audio(run, "train_noise") as audio:
        assert np.array_equal(noise.samples, audio.samples(f"{utt}-noise"))
    assert np.array_equal(noise.voiced, clean.voiced)
    assert len(speed.samples) == pytest.approx(len(clean.samples) / 0.9, abs=2)
    assert "hiss" in noise.detail


def test_a_kind_drawn_on_the_spot_is_what_the_copy_would_be(run: Run) -> None:
    utt, other = first(run, "train"), replace(run, options={**run.options})
    other.options["augment"] = {**run.options["augment"], "kinds": []}  # it knows no copies
    for copied, drawn in zip(panels(run, utt), panels(other, utt, ["noise", "speed0.9"]), strict=True):
        assert np.array_equal(copied.features, drawn.features), copied.title
        assert np.array_equal(copied.voiced, drawn.voiced), copied.title


def test_an_utterance_of_another_set_can_have_babble_of_the_training_voices(run: Run) -> None:
    _, babble = panels(run, first(run, "dev"), ["babble"])
    assert "2 voices" in babble.detail


def test_an_unknown_utterance_gets_the_nearest_names(run: Run) -> None:
    with pytest.raises(InputError, match=f"not in train, dev.*nearest: {first(run, 'train')}"):
        find_set(run, first(run, "train") + "x")


def test_the_nearest_are_found_among_many_names() -> None:
    names = [f"id{number:06d}" for number in range(100_000)]
    assert all(abs(int(name[2:]) - 54325) < 20 for name in nearest("id05432l", names))
    assert nearest("xd054321", names[50_000:60_000])[0] == "id054321"


def test_a_dropped_utterance_says_why(run: Run) -> None:
    with pytest.raises(InputError, match="silent: dropped by stage vad 0 voiced frames"):
        panels(run, "silent")


@pytest.mark.parametrize(
    ("kinds", "window", "message"),
    [
        (["nois"], (0, 8), "did you mean noise"),
        ([], (99, 8), "nothing from 99 on"),
        (["music"], (0, 8), "no such table"),
    ],
)
def test_what_cannot_be_drawn_is_said(
    run: Run, kinds: list[str], window: tuple[float, float], message: str
) -> None:
    with pytest.raises(InputError, match=message):
        panels(run, first(run, "train"), kinds, Window(*window))


def test_a_window_of_no_seconds_is_refused() -> None:
    with pytest.raises(InputError, match="--seconds 8"):
        Window(0.0, 0.0)


def test_the_hours_of_a_recording_are_not_kept(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    (clean,) = panels(run, first(run, "train"), [], Window(0.1, 0.2))
    assert clean.samples.base is None
    assert len(clean.samples) == 3200
    assert panels_module.Window().seconds == 8


def test_a_drawn_chain_in_words() -> None:
    chain = [{"kind": "room", "name": "r" * 40}, {"kind": "babble", "snr_db": 13.04, "voices": [1, 2]}]
    assert detail(chain) == "rrrrrrrrrrrr…rrrrrrrrrrr; SNR 13.0 dB, 2 voices"


def test_the_command_line_draws(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    words = [first(run, "dev"), "--run", str(run.exp / "run.json"), "--kinds", "", "--out"]
    monkeypatch.setattr(sys, "argv", ["x", "plot", *words, str(tmp_path / "a.svg")])
    runpy.run_module("pysteps.features", None, "__main__")
    assert (tmp_path / "a.svg").read_text("utf-8").startswith("<?xml")


def test_a_name_of_no_picture_format_is_refused_in_one_line(
    run: Run, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    words = [first(run, "dev"), "--run", str(run.exp / "run.json"), "--out", "a.jpg"]
    monkeypatch.setattr(sys, "argv", ["x", "plot", *words])
    with pytest.raises(SystemExit):
        runpy.run_module("pysteps.features", None, "__main__")
    assert capsys.readouterr().err == "error: a.jpg: no picture format (end in .png, .svg, .pdf)\n"


def test_the_other_words_do_without_matplotlib(repo: Path, run: Run) -> None:
    code = "import runpy, sys; sys.argv[0] = 'x'; runpy.run_module('pysteps.features', None, '__main__')\n"
    code += "print('matplotlib' in sys.modules, 'torch' in sys.modules)"
    words = [sys.executable, "-c", code, "plan", "--run", str(run.exp / "run.json")]
    done = subprocess.run(words, cwd=repo, capture_output=True, text=True, check=False)
    assert done.stdout.split()[-2:] == ["False", "False"], done.stderr

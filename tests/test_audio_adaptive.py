"""The adaptive noise filters: what they gain on real speech, and that no input upsets them.

SNR and distortion are one measure: the power of the clean speech over that of (output - clean speech),
in dB, over everything after the first second. Nothing is scaled or aligned before the difference.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import signal

from pysteps.audio import adaptive, rumble
from pysteps.audio.adaptive import BlockFilter, cancel_noise, enhance_line
from pysteps.audio.read import read_audio
from pysteps.formats.errors import InputError

RATE = 16000
Cases = list[tuple[str, float, float]]


def measure(clean: np.ndarray, out: np.ndarray, skip: int = RATE) -> float:
    wanted, got = clean[skip:].astype(np.float64), out[skip:].astype(np.float64)
    return float(10 * np.log10(np.sum(wanted**2) / np.sum((got - wanted) ** 2)))


def mixed(clean: np.ndarray, noise: np.ndarray, snr: float = 5.0) -> np.ndarray:
    scale = np.sqrt(np.mean(clean.astype(np.float64) ** 2) / np.mean(noise**2)) * 10 ** (-snr / 20)
    return clean + (scale * noise).astype(np.float32)


def white(length: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(length)


def room(milliseconds: float, seed: int = 0, rate: int = RATE) -> np.ndarray:
    """A response that falls by 60 dB in ``milliseconds``, after a way of 1 ms."""
    length = int(milliseconds * rate / 1000)
    response = white(length, seed) * 10 ** (-3 * np.arange(length) / length)
    response[: rate // 1000] = 0
    response[rate // 1000] = 3
    return response


def heard_in(response: np.ndarray, noise: np.ndarray) -> np.ndarray:
    return signal.oaconvolve(noise, response)[: len(noise)]


def tones(length: int, rate: int = RATE) -> np.ndarray:
    """Mains hum with its harmonics, and two whistles, none of them in the middle of a bin."""
    time = np.arange(length) / rate
    parts = [(50.03, 1.0), (100.06, 0.7), (150.09, 0.5), (250.15, 0.4), (1234.5, 0.5), (2710.3, 0.3)]
    return sum(size * np.sin(2 * np.pi * hertz * time + place) for place, (hertz, size) in enumerate(parts))


def low_passed(length: int, edge: float, seed: int = 0) -> np.ndarray:
    return signal.sosfilt(signal.butter(4, edge, fs=RATE, output="sos"), white(length, seed))


def without_hum(samples: np.ndarray) -> np.ndarray:
    """A recording without what lies below the voice: some hold mains hum, which the enhancer would remove."""
    edges = signal.butter(4, 80, "highpass", fs=RATE, output="sos")
    return signal.sosfiltfilt(edges, samples).astype(np.float32)


def figures(clean: np.ndarray, seed: int) -> dict[str, float]:
    """Gains in dB at an SNR of 5 dB, and the distortion of clean speech."""
    reference = white(len(clean), seed)
    noisy = mixed(clean, heard_in(room(30 + 70 * (seed % 10) / 9, seed), reference))
    found = {
        "canceller": measure(clean, cancel_noise(noisy, reference, RATE)) - measure(clean, noisy),
        "canceller, clean": measure(clean, cancel_noise(clean, reference, RATE)),
        "enhancer, clean": measure(clean, enhance_line(clean, RATE)),
    }
    for name, noise in (
        ("tones", tones(len(clean))),
        ("300 Hz", low_passed(len(clean), 300, seed)),
        ("500 Hz", low_passed(len(clean), 500, seed)),
    ):
        noisy = mixed(clean, noise)
        found[f"enhancer, {name}"] = measure(clean, enhance_line(noisy, RATE)) - measure(clean, noisy)
    return found


def required(name: str) -> float:
    return 15.0 if name.endswith("clean") else 10.0 if name == "canceller" else 3.0


def voices(repo: Path, count: int) -> list[np.ndarray]:
    """Some seconds of speech of ``count`` speakers of the embedded corpus."""
    speakers = sorted(path for path in (repo / "egs/mini/corpus/speech").iterdir() if path.is_dir())
    found = []
    for speaker in speakers[:: len(speakers) // count][:count]:
        parts = [read_audio(path)[0] for path in sorted(speaker.glob("*.opus"))[:3]]
        found.append(without_hum(np.concatenate(parts)))
    return found


def test_every_figure_holds_on_the_embedded_corpus(repo: Path) -> None:
    for seed, clean in enumerate(voices(repo, 3)):
        for name, value in figures(clean, seed).items():
            assert value >= required(name), f"speaker {seed}: {name} {value:.1f} dB"


def test_every_figure_holds_on_librispeech(shared_data: Path) -> None:
    corpus = shared_data / "LibriSpeech" / "test-other"
    speakers = sorted(path for path in corpus.iterdir() if path.is_dir())
    assert len(speakers) >= 10
    for seed, speaker in enumerate(speakers[:10]):
        clean = without_hum(read_audio(min(speaker.rglob("*.flac")))[0])
        for name, value in figures(clean, seed).items():
            assert value >= required(name), f"{speaker.name}: {name} {value:.1f} dB"


def literal_nlms(primary: np.ndarray, reference: np.ndarray, taps: int, step: float) -> np.ndarray:
    """The textbook's NLMS, sample by sample."""
    weights, out = np.zeros(taps), np.zeros(len(primary))
    past = np.concatenate([np.zeros(taps - 1), reference])
    for t in range(len(primary)):
        window = past[t : t + taps][::-1]
        out[t] = primary[t] - weights @ window
        weights = weights + step * out[t] * window / (window @ window + 1e-9)
    return out


def test_the_canceller_beats_the_textbooks_nlms(repo: Path) -> None:
    clean = voices(repo, 1)[0][: 4 * RATE]
    reference = white(len(clean))
    noisy = mixed(clean, heard_in(room(8), reference))
    ours = measure(clean, cancel_noise(noisy, reference, RATE, taps=0.008))
    textbook = max(measure(clean, literal_nlms(noisy, reference, 128, step)) for step in (0.05, 0.01))
    assert textbook > measure(clean, noisy) + 3  # the oracle works, too
    assert ours > textbook + 3


def test_the_filter_is_a_linear_one_of_its_taps() -> None:
    heard, path = white(20000).astype(np.float32), np.array([0.5, -0.25, 0.125])
    wanted = np.convolve(heard, path)[: len(heard)].astype(np.float32)
    block_filter = BlockFilter(3)
    size, block = block_filter.size, block_filter.block
    block_filter.uncertainty[:] = 1
    for start in range(3, len(heard) - block, block):
        weights = np.fft.irfft(block_filter.weights, size)
        np.testing.assert_allclose(weights[3:], 0, atol=1e-6)
        window = heard[start - 3 : start - 3 + size]
        got = block_filter.estimate(window, wanted[start : start + block])
        by_hand = [weights[:3] @ window[3 + t - np.arange(3)] for t in range(block)]
        np.testing.assert_allclose(got, by_hand, atol=1e-5)
    # With no speech in the way, the weights are the path.
    np.testing.assert_allclose(np.fft.irfft(block_filter.weights, size)[:3], path, atol=5e-3)


def test_a_reference_of_silence_or_of_another_scale_or_type() -> None:
    primary, reference = white(RATE).astype(np.float32), white(RATE, 1)
    assert np.array_equal(cancel_noise(primary, np.zeros(RATE), RATE), primary)
    assert np.array_equal(cancel_noise(np.zeros(RATE, np.float32), reference, RATE), np.zeros(RATE))
    pcm = np.rint(1000 * reference).astype(np.int16)
    noisy = (0.1 * reference).astype(np.float32)
    whole = cancel_noise(noisy, pcm, RATE)
    np.testing.assert_allclose(whole, cancel_noise(noisy, pcm / 7e4, RATE), atol=1e-4)
    assert np.mean(whole**2) < 1e-4 * np.mean(noisy**2)  # the recording is its own reference: gone


def test_a_path_that_changes_is_learnt_again(repo: Path) -> None:
    clean = np.concatenate([voices(repo, 1)[0]] * 3)
    reference = white(len(clean))
    half = len(clean) // 2
    noise = heard_in(room(60, 1), reference)
    noise[half:] = heard_in(room(60, 2), reference)[half:]
    noisy = mixed(clean, noise)
    skip = half + 4 * RATE
    gain = measure(clean, cancel_noise(noisy, reference, RATE), skip) - measure(clean, noisy, skip)
    assert gain > 6


def test_a_tone_that_comes_late_is_removed() -> None:
    rate, length = 8000, 8000 * 40
    tone = np.sin(2 * np.pi * 700 * np.arange(length) / rate)
    tone[: 12 * rate] = 0
    noise = 0.1 * white(length) * (np.arange(length) // (rate // 2) % 2)  # comes and goes: not steady
    out = enhance_line((tone + noise).astype(np.float32), rate, rumble_db=0)
    left = out[-3 * rate :] - noise[-3 * rate :]
    assert np.mean(left**2) < 0.05 * 0.5


def test_a_tone_that_comes_and_goes_is_no_disturbance() -> None:
    beeps = np.sin(2 * np.pi * 700 * np.arange(20 * RATE) / RATE)
    beeps *= np.repeat(np.random.default_rng(1).random(80) < 0.4, RATE // 4)
    noisy = (beeps + 1e-4 * white(len(beeps))).astype(np.float32)
    assert measure(noisy, enhance_line(noisy, RATE, rumble_db=0)) > 30


def test_noise_alone_sinks_by_no_more_than_is_allowed() -> None:
    noise = (0.1 * white(4 * RATE)).astype(np.float32)
    sunk = []
    for depth in (0.0, 3.0, 20.0):
        out = enhance_line(noise, RATE, rumble_db=depth)
        sunk.append(10 * np.log10(np.mean(noise[RATE:-RATE] ** 2) / np.mean(out[RATE:-RATE] ** 2)))
    assert sunk == [pytest.approx(0, abs=0.1), pytest.approx(2.8, abs=0.3), pytest.approx(8, abs=1)]


def test_the_floor_of_steady_noise_is_its_power() -> None:
    noise = white(30 * RATE).astype(np.float32)
    window = np.sqrt(np.hanning(1025)[:-1]).astype(np.float32)
    floor = rumble._noise_floor(noise, window, 256, 31)
    assert floor.shape == (61, 513)  # 1,872 frames in pieces of 31
    # E|X|^2 of unit white noise is the sum of the squared window, here 512.
    assert 10 * np.log10(floor[:, 10:-10].mean() / 512) == pytest.approx(0, abs=1)


@settings(max_examples=20, deadline=None)
@given(length=st.integers(0, 9000), rate=st.sampled_from([8000, 11025, 16000]))
def test_frames_at_gain_1_join_to_the_signal(length: int, rate: int) -> None:
    samples = white(length).astype(np.float32)
    kept = samples.copy()
    rumble.reduce_rumble(samples, rate, 1.0)
    np.testing.assert_allclose(samples, kept, atol=2e-6)


def test_less_than_a_second_and_no_rumble_leave_the_bits() -> None:
    samples = white(RATE).astype(np.float32)
    assert np.array_equal(enhance_line(samples[:-1], RATE), samples[:-1])
    assert not np.array_equal(enhance_line(samples, RATE), samples)


@pytest.mark.parametrize(
    "change",
    [
        lambda samples, **where: cancel_noise(samples, white(len(samples), 1), RATE, **where),
        lambda samples, **where: enhance_line(samples, RATE, **where),
    ],
)
def test_in_place_is_the_same_and_otherwise_the_input_is_left(change: Callable[..., np.ndarray]) -> None:
    samples = (0.1 * (white(10 * RATE) + tones(10 * RATE))).astype(np.float32)
    kept = samples.copy()
    out = change(samples)
    assert np.array_equal(samples, kept) and not np.array_equal(out, kept)
    assert change(samples, in_place=True) is samples
    assert np.array_equal(samples, out)


def awkward(kind: str, length: int, seed: int) -> np.ndarray:
    time = np.arange(length)
    found = {
        "silence": lambda: np.zeros(length),
        "dc": lambda: np.ones(length),
        "square": lambda: np.where(time // 40 % 2 == 0, 1.0, -1.0),
        "impulse": lambda: (time == length // 2) * 1.0,
        "bursts": lambda: white(length, seed) * np.where(time // 3000 % 2 == 0, 1e-3, 1.0),
        "gap": lambda: white(length, seed) * (time // 2000 % 2),
        "tone": lambda: np.sin(0.3 * time),
        "tiny": lambda: 1e-9 * white(length, seed),
        "huge": lambda: 1e5 * white(length, seed),
    }
    return found[kind]().astype(np.float32)


KINDS = ["silence", "dc", "square", "impulse", "bursts", "gap", "tone", "tiny", "huge"]


@settings(max_examples=60, deadline=None)
@given(
    first=st.sampled_from(KINDS),
    second=st.sampled_from([*KINDS, "itself"]),
    length=st.one_of(st.integers(0, 600), st.integers(601, 20000)),
    rate=st.sampled_from([1000, 8000, 16000]),
)
def test_any_input_gives_a_bounded_output(first: str, second: str, length: int, rate: int) -> None:
    primary = awkward(first, length, 0)
    reference = primary if second == "itself" else awkward(second, length, 1)
    for out in (cancel_noise(primary, reference, rate), enhance_line(primary, rate)):
        assert out.dtype == np.float32 and out.shape == primary.shape and np.isfinite(out).all()
        energy = np.sum(primary.astype(np.float64) ** 2)
        assert np.sum(out.astype(np.float64) ** 2) <= 2.001 * energy


def test_a_block_that_would_grow_is_passed_as_it_came() -> None:
    length = 20 * RATE
    reference = white(length, 1)
    primary = reference + 1e-3 * white(length)
    primary[12 * RATE :] = 1e-3 * white(length)[12 * RATE :]  # the noise ends here, not in the reference
    primary = primary.astype(np.float32)
    out = cancel_noise(primary, reference, RATE)
    width = BlockFilter(2048).block
    for start in range(0, length, width):
        block = slice(start, start + width)
        assert np.sum(out[block] ** 2) <= 2.01 * np.sum(primary[block] ** 2)


class Foreseen:
    """In the place of a BlockFilter: says what the noise of each block is; two rounds are for learning."""

    block, taps, size = 4, 4, 8

    def __init__(self, noise: list[float]) -> None:
        self.noise, self.calls = noise, 0

    def expect(self, primary: np.ndarray) -> None:
        assert primary.shape == (len(self.noise), 4)

    def estimate(self, window: np.ndarray, wanted: np.ndarray) -> np.ndarray:
        self.calls += 1
        return np.full(4, self.noise[(self.calls - 1) % len(self.noise)], np.float32)


def test_after_a_block_that_is_passed_the_noise_is_subtracted_slowly() -> None:
    out = np.ones(16, np.float32)
    adaptive._subtract(Foreseen([0.5, 5.0, 0.5, 0.5]), out, 16, 1.0, np.ones(16), 1.0)  # type: ignore[arg-type]
    passed, faded = [1, 1, 1, 1], [1 - 0.5 * share for share in (0.25, 0.5, 0.75, 1.0)]
    assert out.tolist() == [0.5] * 4 + passed + faded + [0.5] * 4


def test_a_long_filter_still_looks_for_tones() -> None:
    rate = 2000
    tone = np.sin(2 * np.pi * 440.3 * np.arange(30 * rate) / rate).astype(np.float32)
    out = enhance_line(tone, rate, taps=1.0, rumble_db=0)
    assert np.mean(out[-5 * rate :] ** 2) < 0.1 * np.mean(tone**2)


def test_what_cannot_be_filtered_is_refused() -> None:
    fine, bad = white(RATE).astype(np.float32), white(RATE).astype(np.float32)
    for value in (np.nan, np.inf):
        bad[77] = value
        with pytest.raises(InputError, match="NaN or infinity in the recording"):
            enhance_line(bad, RATE)
        with pytest.raises(InputError, match="NaN or infinity in the noise reference"):
            cancel_noise(fine, bad, RATE)
    with pytest.raises(InputError, match="a level of"):
        enhance_line(fine * np.float32(1e12), RATE)
    with pytest.raises(InputError, match="16000 samples and 15999"):
        cancel_noise(fine, fine[1:], RATE)
    for wrong in ({"taps": 0.0}, {"taps": 100.0}, {"delay": -1.0}, {"delay": 0.0}, {"rumble_db": -1.0}):
        with pytest.raises(InputError):
            enhance_line(fine, RATE, **wrong)
    assert adaptive.LOUD > 32768  # whole numbers of 16 bits are fine as a reference

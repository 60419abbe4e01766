"""Simulated rooms: reflections where geometry puts them, the decay that was drawn, the same every time."""

from __future__ import annotations

import numpy as np
import pytest

from pysteps.augment.mix import direct_path, reverberate
from pysteps.augment.rooms import room_response, sabine, simulate_room
from pysteps.formats.errors import InputError
from pysteps.formats.rng import generator

RATE = 16000


def rooms(count: int, **how: object) -> list[np.ndarray]:
    return [simulate_room(generator(1, f"room{n}", "test"), RATE, **how) for n in range(count)]  # type: ignore[arg-type]


def decay_time(response: np.ndarray) -> float:
    """RT60 by Schroeder's backward integration, a line from -5 to -25 dB (ISO 3382's T20)."""
    left = np.cumsum(response[::-1].astype(float) ** 2)[::-1]
    level = 10 * np.log10(left / left[0] + 1e-12)
    first, last = int(np.argmax(level < -5)), int(np.argmax(level < -25))
    return -60 / float(np.polyfit(np.arange(first, last) / RATE, level[first:last], 1)[0])


def test_the_measured_reverberation_time_is_the_drawn_one() -> None:
    ratios = [decay_time(response) * RATE / len(response) for response in rooms(25)]
    assert max(ratios) < 1.3 and min(ratios) > 0.7
    assert float(np.median(ratios)) == pytest.approx(1, abs=0.07)


def test_times_fill_their_range() -> None:
    seconds = [len(response) / RATE for response in rooms(25)]
    assert 0.2 <= min(seconds) < 0.3 and 0.7 < max(seconds) <= 0.8


def test_the_direct_path_is_one_and_first() -> None:
    for response in rooms(25):
        assert response.dtype == np.float32 and np.isfinite(response).all()
        assert response[0] == pytest.approx(1, abs=0.03)  # with what reflections spill to it
        assert direct_path(response) == 0


def test_reflections_come_when_and_as_loud_as_geometry_says() -> None:
    # 2 m apart and 1.2 m above the floor; the ceiling and the walls are far.
    room, speaker, microphone, seconds = (20.0, 20.0, 10.0), (9.0, 10.0, 1.2), (11.0, 10.0, 1.2), 1.2
    response = room_response(generator(0, "a", "test"), RATE, seconds, room, speaker, microphone)
    floor = float(np.hypot(2.0, 2.4))
    kept = np.sqrt(1 - sabine(room, 1.0) / seconds)  # of the amplitude, by one wall
    at = (floor - 2.0) / 343 * RATE
    assert int(np.argmin(response[20:200])) + 20 == pytest.approx(at, abs=0.6)
    # Between two samples a sinc is lower than its top: the sum of the pulse is its height.
    assert response[int(at) - 6 : int(at) + 8].sum() == pytest.approx(-kept * 2.0 / floor, rel=0.08)
    quiet = np.r_[response[30 : int(at) - 20], response[int(at) + 20 : 250]]
    assert np.abs(quiet).max() < 0.03


def test_a_room_depends_on_its_generator_alone() -> None:
    import pyroomacoustics

    first = rooms(2)
    np.random.seed(3)
    threads = pyroomacoustics.constants.get("num_threads")
    pyroomacoustics.constants.set("num_threads", 5)
    try:
        again = rooms(2)
    finally:
        pyroomacoustics.constants.set("num_threads", threads)
    assert [room.tobytes() for room in first] == [room.tobytes() for room in again]
    assert not np.array_equal(first[0][:1000], first[1][:1000])


def test_ranges_of_one_value_are_that_room() -> None:
    box = (5.0, 4.0, 3.0)
    [response] = rooms(1, rt60=(0.4, 0.4), size=(box, box), wall_distance=1.4)
    assert len(response) == 6400


def test_a_large_room_is_no_deader_than_its_walls_can_be() -> None:
    box = (10.0, 8.0, 4.0)  # 0.161 * 320 m3 / (304 m2 * 0.8)
    [response] = rooms(1, rt60=(0.05, 0.05), size=(box, box))
    assert len(response) / RATE == pytest.approx(0.161 * 320 / (304 * 0.8), rel=0.01)
    with pytest.raises(InputError, match=r"this room has more than 0\.170 s"):
        room_response(generator(0, "a", "test"), RATE, 0.1, box, (1, 1, 1), (2, 2, 2))


@pytest.mark.parametrize(
    "how",
    [{"rt60": (0.5, 0.4)}, {"rt60": (0.0, 0.4)}, {"size": ((3, 3, 3), (2, 4, 4))}, {"wall_distance": 2.0}],
)
def test_ranges_without_a_room_are_refused(how: dict[str, object]) -> None:
    with pytest.raises(InputError, match="no room with"):
        rooms(1, **how)


def test_a_corridor_longer_than_its_reflections_reach() -> None:
    ends = (1.0, 0.7, 0.6), (28.0, 0.8, 0.7)
    response = room_response(generator(0, "a", "test"), RATE, 0.5, (30.0, 1.5, 1.5), *ends)
    assert np.isfinite(response).all() and response[0] != 0 and response[-1000:].any()


def test_two_in_one_place_are_refused() -> None:
    with pytest.raises(InputError, match="in one place"):
        room_response(generator(0, "a", "test"), RATE, 0.4, (5, 4, 3), (1, 1, 1), (1, 1, 1))


def test_speech_in_a_simulated_room_is_as_loud_and_not_delayed() -> None:
    speech = np.random.default_rng(0).standard_normal(RATE).astype(np.float32)
    for response in rooms(5):
        wet = reverberate(speech, response, direct=0)
        assert np.mean(wet.astype(float) ** 2) == pytest.approx(np.mean(speech.astype(float) ** 2), rel=1e-4)
        # Deconvolved again, the first and largest thing heard is at time 0.
        size = 1 << 16
        heard = np.fft.irfft(np.fft.rfft(wet, size) / np.fft.rfft(speech, size), size)
        assert int(np.argmax(np.abs(heard[:100]) > 0.7 * np.abs(heard[:100]).max())) == 0

"""Simulated rooms: impulse responses of random shoeboxes by the image method, with a diffuse tail."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations

import numpy as np

from ..formats.errors import InputError

Place = Sequence[float] | np.ndarray  # metres along length, width and height
SOUND = 343.0  # metres a second
_TAPS = 81  # of the fractional delays, and the steps between two samples that they are tabled for
_TABLED = 20
_MAX_ORDER = 30  # of images behind the direct path: some 40000, 10 ms; what comes later is diffuse
_SETTLED = 0.02  # seconds after the direct path from where on the decay is measured, and the step it is in
_STEP = 0.01
_DEADEST = 0.8  # the largest share of the energy that walls are drawn to absorb


def simulate_room(
    rng: np.random.Generator,
    rate: int,
    rt60: tuple[float, float] = (0.2, 0.8),
    size: tuple[Sequence[float], Sequence[float]] = ((3.0, 3.0, 2.4), (10.0, 8.0, 4.0)),
    wall_distance: float = 0.5,
) -> np.ndarray:
    """Impulse response [time] at ``rate`` Hz, float32, of a drawn room, from its direct path on.

    Drawn evenly: the reverberation time between the two of ``rt60`` (seconds), the room between the two
    sizes (length, width, height in metres), speaker and microphone anywhere at least ``wall_distance``
    metres from its walls. A large room cannot be as dead as a small one: its time is at least the one that
    walls have which absorb 0.8 of the energy. The response ends after that time. Raises InputError for
    ranges that hold no room.
    """
    shortest, largest = np.asarray(size[0], float), np.asarray(size[1], float)
    if not (0 < rt60[0] <= rt60[1] and np.all(shortest <= largest) and np.all(shortest > 2 * wall_distance)):
        raise InputError(
            f"no room with a reverberation time in {tuple(rt60)} s, a size in {tuple(map(tuple, size))} m"
            f" and places {wall_distance:g} m from its walls",
            mend="lower bounds above 0, not above the upper ones, sizes above twice the distance",
        )
    room = rng.uniform(shortest, largest)
    seconds = max(float(rng.uniform(*rt60)), sabine(room, _DEADEST))
    speaker, microphone = (rng.uniform(wall_distance, room - wall_distance) for _ in range(2))
    return room_response(rng, rate, seconds, room, speaker, microphone)


def sabine(room: Place, absorption: float) -> float:
    """Sabine's reverberation time (seconds) of a shoebox of ``room`` metres whose walls absorb this share."""
    surface = 2 * sum(a * b for a, b in combinations(room, 2))
    return float(24 * np.log(10) * np.prod(room) / (SOUND * surface * absorption))


def room_response(
    rng: np.random.Generator,
    rate: int,
    rt60: float,
    room: Place,
    speaker: Place,
    microphone: Place,
) -> np.ndarray:
    """Impulse response [rt60 * rate] float32 of a shoebox ``room`` (metres): a direct path of 1 at sample 0.

    Early reflections are image sources (pyroomacoustics) with the absorption that Sabine's formula gives
    for ``rt60`` seconds and with negative coefficients, which keep the low frequencies down (Lehmann and
    Johansson, JASA 124(1), 2008). Where their order ends, Gaussian noise from ``rng`` goes on at their
    level (Lehmann and Johansson, IEEE TASLP 18(6), 2010). Sabine's formula is not exact: the measured time
    was within 30 % of ``rt60`` from 0.2 s on. A sum of reflections can be larger than the direct path.
    Raises InputError where speaker and microphone share a place, and for a time that no wall is dead
    enough for.
    """
    room = np.asarray(room, float)
    if rt60 <= (least := sabine(room, 1.0)):
        raise InputError(f"a reverberation time of {rt60:g} s", mend=f"this room has more than {least:.3f} s")
    direct = float(np.linalg.norm(np.subtract(speaker, microphone)))
    if direct < 0.01:
        raise InputError("speaker and microphone in one place", mend="at least 1 cm apart")
    # The images of all orders up to ``order`` fill at least a ball of so many times this radius.
    narrowest = min(a * b / np.hypot(a, b) for a, b in combinations(room, 2))
    order = min(_MAX_ORDER + int(direct / narrowest), int((SOUND * rt60 + direct) / narrowest))
    distance, gain = _images(least / rt60, order, room, speaker, microphone)
    direct = float(distance.min())  # as rounded there
    late = (distance - direct) / SOUND
    end = min(rt60, ((order + 1) * narrowest - direct) / SOUND)
    heard = late < end
    late, gain = late[heard], (gain * direct / distance)[heard]
    response = _placed(late, gain, rate, length := max(1, round(rt60 * rate)))
    since = np.arange(length) / rate - end
    tail = since >= 0
    if tail.any():
        level = _level(late, gain, rate, end) - 60 / rt60 * since[tail]
        response[tail] = rng.standard_normal(len(level)) * 10 ** (level / 20)
    return response


def _images(
    absorption: float, order: int, room: np.ndarray, speaker: Place, microphone: Place
) -> tuple[np.ndarray, np.ndarray]:
    # Distances (metres) and signed reflection gains of the image sources up to ``order``.
    import pyroomacoustics

    box = pyroomacoustics.ShoeBox(
        room, fs=16000, materials=pyroomacoustics.Material(absorption), max_order=order, air_absorption=False
    )
    box.add_source(np.asarray(speaker, float))
    box.add_microphone(np.asarray(microphone, float))
    box.image_source_model()
    source = box.sources[0]
    away = source.images.astype(float) - np.asarray(microphone, float)[:, None]
    distance = np.sqrt(np.sum(away**2, axis=0))
    return distance, source.damping[0] * np.where(source.orders % 2, -1.0, 1.0)


def _placed(late: np.ndarray, gain: np.ndarray, rate: int, length: int) -> np.ndarray:
    # Impulses between samples, by the library's windowed sincs; one thread, for the order of its sums.
    from pyroomacoustics import libroom

    before = _TAPS // 2
    response = np.zeros(length + 2 * _TAPS, np.float32)
    kept = late * rate < length
    libroom.rir_builder(
        response,
        (late[kept] + before / rate).astype(np.float32),
        gain[kept].astype(np.float32),
        rate,
        _TAPS,
        _TABLED,
        1,
    )
    return response[before : before + length]


def _level(late: np.ndarray, gain: np.ndarray, rate: int, end: float) -> float:
    # dB a sample at ``end`` seconds: a line through the energies of the reflections before it.
    steps = max(2, int((end - _SETTLED) / _STEP))
    step = np.floor((late - end) / _STEP).astype(int) + steps
    energy = np.bincount(step[step >= 0], gain[step >= 0] ** 2, minlength=steps) / (_STEP * rate)
    there = np.flatnonzero(energy)
    slope, level = np.polyfit(_STEP * (there + 0.5 - steps), 10 * np.log10(energy[there]), 1)
    return float(level)

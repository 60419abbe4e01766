"""Speed perturbation of many equally long chunks at once: what ``speed.change_speed`` does, by transforms.

soxr's filter is measured, not copied: its answers to an impulse in each of its phases are the filter, and a
product of spectra applies it (to 1e-6 of full scale the same samples, measured on white noise). scipy does
transforms four side by side, so that together chunks take half of soxr's time; a GPU does them all at once.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache

import numpy as np

from .speed import change_speed

_PHASES = 40  # a factor of more is left to soxr: as many answers would have to be measured
_MIDDLE = 2048  # samples in which a filter's answer is over; chunks of less than two are done one by one
_HEAD = 16  # samples at the start, where soxr hears less than its filter would
_SILENT = 1e-9  # answers below are the rounding of float32


@dataclass(frozen=True, eq=False)
class Filter:
    """A speed: the spectrum of ``size`` samples times ``response`` [kept bins] is that of ``into`` samples.

    The product of the first samples and ``head`` [first samples, 16] is then added to the result's first 16.
    """

    size: int
    into: int
    response: np.ndarray
    head: np.ndarray


def filter_of(factor: float, time: int) -> Filter | None:
    """That of ``factor`` for chunks of ``time`` samples; None where it must be ``change_speed``."""
    before, after = _ratio(factor)
    if max(before, after) > _PHASES or time < 2 * _MIDDLE:
        return None
    # The silence behind the chunk is wide enough for what reaches over either end.
    return _filter(factor, fast_size(-(-(time + _measured(factor)[1]) // before), 5))


@lru_cache(maxsize=4096)
def length(factor: float, time: int) -> int:
    """How many samples ``change_speed`` makes of ``time``."""
    return len(change_speed(np.zeros(time, np.float32), factor))


def fast_size(least: int, fineness: int = 4) -> int:
    """Points of a fast transform, at least so many.

    Of not more than 8 sizes between doubles (``fineness`` 5: 16), so that chunks of several lengths share
    tables and turns.
    """
    from scipy import fft

    unit = 1 << max(0, least.bit_length() - fineness)
    return fft.next_fast_len(-(-least // unit) * unit, real=True)


@lru_cache(maxsize=128)
def _filter(factor: float, periods: int) -> Filter:
    from scipy import fft

    before, after = _ratio(factor)
    taps, _, head = _measured(factor)
    size, into = periods * before, periods * after
    # The filter works at the rate that both divide; beyond the lower rate's band it lets nothing through.
    whole = np.zeros(size * after)
    np.add.at(whole, np.arange(-(len(taps) // 2), len(taps) // 2 + 1) % len(whole), taps)
    response = fft.rfft(whole)[: min(size, into) // 2 + 1] / before
    return Filter(size, into, response.astype(np.complex64), head)


def _ratio(factor: float) -> tuple[int, int]:
    ratio = Fraction(factor).limit_denominator(1000)
    return ratio.numerator, ratio.denominator


@lru_cache(maxsize=64)
def _measured(factor: float) -> tuple[np.ndarray, int, np.ndarray]:
    """soxr's filter, centred, at the rate that both divide; its reach in samples that go in; the head."""
    before, after = _ratio(factor)
    middle, widest = _MIDDLE // before * before, _MIDDLE * after
    taps, reach = np.zeros(2 * widest + 1), 0
    for phase in range(before):
        answer = change_speed(_impulse(middle + phase), factor)
        places = np.arange(len(answer)) * before - (middle + phase) * after
        heard = (np.abs(answer) > _SILENT) & (np.abs(places) <= widest)
        taps[places[heard] + widest] = answer[heard]
        reach = max(reach, -(-int(np.abs(places[heard]).max()) // after))
    head = np.zeros((reach, _HEAD), np.float32)
    for place in range(reach):
        expected = taps[np.arange(_HEAD) * before - place * after + widest]
        head[place] = change_speed(_impulse(place), factor)[:_HEAD] - expected
    return taps, reach, head


def _impulse(place: int) -> np.ndarray:
    impulse = np.zeros(2 * _MIDDLE, np.float32)
    impulse[place] = 1
    return impulse

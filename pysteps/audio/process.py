"""What stage 1 does to a recording's samples, as blocks for as long as the chosen steps can stream.

Channel, DC, resampling, the causal band-pass and pre-emphasis go block by block. The enhancers, zero-phase
filtering, trimming and the level need the whole signal: one float32 array, worked on in place.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

import numpy as np

from .filters import (
    Resampler,
    StreamingBandpass,
    bandpass,
    normalise_level,
    preemphasis,
    trim_silence,
)
from .growing import Compact, joined
from .options import AudioOptions
from .source import Source

SECONDS = 30.0  # of a block


def processed(
    options: AudioOptions, source: Source, start: float, end: float | None, channel: int
) -> Iterator[np.ndarray]:
    """Float32 blocks [time] of a part of ``source`` at ``options.sample_rate`` with every step done.

    Blocks may be empty. InputError as ``Source.blocks`` and for NaN in what a step looks at.
    """
    channels = [channel] if options.enhance != "cancel" else [channel, options.reference_channel]

    def blocks() -> Iterator[np.ndarray]:
        return source.blocks(start, end, channels, SECONDS)

    wide = _without_mean(blocks) if options.dc else blocks()
    stream = _at_rate(wide, source.rate, options.sample_rate, len(channels))
    if options.streams:
        return _causal(options, stream)
    return _whole(options, stream, _expected(options, source, start, end))


def _without_mean(again: Callable[[], Iterator[np.ndarray]]) -> Iterator[np.ndarray]:
    # A long recording is read twice, first for its mean; what fits one block is read once.
    blocks = again()
    first = next(blocks, None)
    if first is None:
        return
    second = next(blocks, None)
    total, count = first.sum(axis=0, dtype=np.float64), len(first)
    if second is None:
        yield first - (total / count).astype(np.float32)
        return
    total, count = total + second.sum(axis=0, dtype=np.float64), count + len(second)
    del first, second
    for block in blocks:
        total += block.sum(axis=0, dtype=np.float64)
        count += len(block)
    mean = (total / count).astype(np.float32)
    for block in again():
        yield block - mean


def _at_rate(blocks: Iterable[np.ndarray], before: int, after: int, count: int) -> Iterator[np.ndarray]:
    # [time, count] at one rate to [time, count] at the other; [time] for one channel.
    resamplers = [Resampler(before, after) for _ in range(count)]

    def push(block: np.ndarray, last: bool) -> np.ndarray:
        columns = [one.push(block[:, place], last) for place, one in enumerate(resamplers)]
        return columns[0] if count == 1 else np.stack(columns, axis=1)

    for block in blocks:
        yield push(block, False)
    yield push(np.zeros((0, count), np.float32), True)


def _expected(options: AudioOptions, source: Source, start: float, end: float | None) -> int:
    first, last = source.span(start, end)
    return 0 if last is None else -(-(last - first) * options.sample_rate // source.rate) + 1


def _causal(options: AudioOptions, stream: Iterable[np.ndarray]) -> Iterator[np.ndarray]:
    filtering = None
    if options.filters:
        rate, order = options.sample_rate, options.band_order
        filtering = StreamingBandpass(rate, options.band_low, options.band_high, order=order)
    previous: float | None = None
    for block in stream:
        if not len(block):
            continue
        out = block if filtering is None else filtering.push(block)
        if options.preemphasis:
            last = float(out[-1])
            out, previous = preemphasis(out, options.preemphasis, previous=previous), last
        yield out


def _whole(options: AudioOptions, stream: Iterable[np.ndarray], expected: int) -> Iterator[np.ndarray]:
    rate = options.sample_rate
    samples = _enhanced(options, stream, expected)
    if options.filters:
        low, high, order = options.band_low, options.band_high, options.band_order
        bandpass(samples, rate, low, high, order=order, zero_phase=options.zero_phase, in_place=True)
    if options.preemphasis:
        preemphasis(samples, options.preemphasis, in_place=True)
    if options.trim_db:
        begin, end = trim_silence(samples, rate, options.trim_db)
        samples = samples[begin:end]
    if options.level != "none":
        normalise_level(samples, options.level, options.level_db, in_place=True)
    step = int(SECONDS * rate)
    for place in range(0, len(samples), step):
        yield samples[place : place + step]


def _enhanced(options: AudioOptions, stream: Iterable[np.ndarray], expected: int) -> np.ndarray:
    if options.enhance == "none":
        return joined(stream, expected)
    from .adaptive import cancel_noise, enhance_line

    rate, taps = options.sample_rate, options.enhance_taps
    if options.enhance == "line":
        delay, rumble = options.enhance_delay, options.enhance_rumble_db
        samples = joined(stream, expected)
        return enhance_line(samples, rate, taps=taps, delay=delay, rumble_db=rumble, in_place=True)
    reference = Compact(expected)  # half the memory

    def speaker() -> Iterator[np.ndarray]:
        for block in stream:
            reference.append(block[:, 1])
            yield block[:, 0]

    samples = joined(speaker(), expected)
    return cancel_noise(samples, reference, rate, taps=taps, in_place=True)

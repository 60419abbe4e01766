"""Another tempo at the same pitch (waveform-similarity overlap-add: Verhelst and Roelands, ICASSP 1993)."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain

import numpy as np

from ..formats.errors import InputError
from .blocks import Streamed, filled, in_blocks


def change_tempo(samples: np.ndarray | Streamed, rate: int, factor: float) -> np.ndarray:
    """``samples`` [time] at ``rate`` Hz spoken ``factor`` (0.5 to 2) times as fast, at the same pitch.

    Float32 [round(time / factor)], cut or filled with zeros at the end where FFmpeg's filter atempo, which
    does it, gives more or less. Raises InputError for a factor outside of the range.
    """
    if not 0.5 <= factor <= 2.0:
        raise InputError(f"a tempo of {factor:g}", mend="a factor of 0.5 to 2")
    out = np.empty(round(len(samples) / factor), np.float32)
    return filled(out, in_blocks(samples) if factor == 1.0 else _filtered(samples, rate, factor))


def _filtered(samples: np.ndarray | Streamed, rate: int, factor: float) -> Iterator[np.ndarray]:
    import av
    from av.filter import Graph

    graph = Graph()
    source = graph.add_abuffer(sample_rate=rate, format="flt", layout="mono", time_base=None)
    tempo, sink = graph.add("atempo", f"{factor:.6g}"), graph.add("abuffersink")
    source.link_to(tempo)
    tempo.link_to(sink)
    graph.configure()
    start = 0
    for block in chain(in_blocks(samples), [None]):
        frame = None  # the end
        if block is not None:
            row = np.ascontiguousarray(block[None], dtype=np.float32)
            frame = av.AudioFrame.from_ndarray(row, format="flt", layout="mono")
            frame.sample_rate, frame.pts = rate, start
            start += len(block)
        graph.push(frame)
        try:
            while True:
                yield graph.pull().to_ndarray()[0]
        except (av.BlockingIOError, av.EOFError):
            continue  # it wants more, or is at its end

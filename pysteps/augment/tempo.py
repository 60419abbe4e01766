"""Another tempo at the same pitch (waveform-similarity overlap-add: Verhelst and Roelands, ICASSP 1993)."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from ..formats.errors import InputError
from .blocks import joined, spans


def change_tempo(samples: np.ndarray, rate: int, factor: float) -> np.ndarray:
    """``samples`` [time] at ``rate`` Hz spoken ``factor`` (0.5 to 2) times as fast, at the same pitch.

    Float32 [round(time / factor)], cut or filled with zeros at the end where FFmpeg's filter atempo, which
    does it, gives more or less. Raises InputError for a factor outside of the range.
    """
    if not 0.5 <= factor <= 2.0:
        raise InputError(f"a tempo of {factor:g}", mend="a factor of 0.5 to 2")
    samples = np.ascontiguousarray(samples, dtype=np.float32)
    length = round(len(samples) / factor)
    if factor == 1.0:
        return samples.copy()
    return joined(_filtered(samples, rate, factor), length)


def _filtered(samples: np.ndarray, rate: int, factor: float) -> Iterator[np.ndarray]:
    import av
    from av.filter import Graph

    graph = Graph()
    source = graph.add_abuffer(sample_rate=rate, format="flt", layout="mono", time_base=None)
    tempo, sink = graph.add("atempo", f"{factor:.6g}"), graph.add("abuffersink")
    source.link_to(tempo)
    tempo.link_to(sink)
    graph.configure()
    for start, size in [*spans(len(samples)), (len(samples), 0)]:
        frame = None  # the end
        if size:
            block = samples[None, start : start + size]
            frame = av.AudioFrame.from_ndarray(block, format="flt", layout="mono")
            frame.sample_rate, frame.pts = rate, start
        graph.push(frame)
        try:
            while True:
                yield graph.pull().to_ndarray()[0]
        except (av.BlockingIOError, av.EOFError):
            continue  # it wants more, or is at its end

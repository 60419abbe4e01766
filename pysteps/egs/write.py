"""Writing one archive of chunks: of features, or of audio."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ..formats import arks, scratch
from ..formats.run import Run
from ..formats.tables import read_table
from .cut import ChunkGeometry


@dataclass(frozen=True)
class Chunk:
    """``frames`` voiced frames of the utterance ``utt`` of the set ``data``, from frame ``start`` on."""

    key: str
    data: str
    utt: str
    start: int
    frames: int


Cutter = Callable[[Path, Sequence[Chunk]], int]


def read_chunks(path: Path) -> list[Chunk]:
    """The chunks of one archive as stage egs planned them, in order."""
    rows = ((key, value.split()) for key, value in read_table(path).items())
    return [Chunk(key, data, utt, int(start), int(frames)) for key, (data, utt, start, frames) in rows]


class FeatureCutter:
    """Writes chunks of stage 4's features, normalised; returns 0, nothing is clipped.

    An archive's chunks are of utterances anywhere, so as a context manager it reads all features from copies
    on the node's own disk where ./run.sh --scratch names one.
    """

    def __init__(self, run: Run, sets: Sequence[str]) -> None:
        from ..features.voiced import VoicedFeatures

        self._readers = {name: VoicedFeatures(run, name) for name in sets}
        self._disk, self._copies = scratch.chosen(), ExitStack()

    def __enter__(self) -> FeatureCutter:
        with ExitStack() as copies:
            for reader in self._readers.values():
                copies.enter_context(reader.near(self._disk))
            self._copies = copies.pop_all()
        return self

    def __exit__(self, *error: Any) -> None:
        self._copies.__exit__(*error)

    def __call__(self, path: Path, chunks: Sequence[Chunk]) -> int:
        with arks.writing(path) as writer:
            for chunk in chunks:
                features = self._readers[chunk.data].chunk(chunk.utt, chunk.start, chunk.frames)
                writer.array(chunk.key, features, arks.TWO_BYTES)
        return 0


def audio_cutter(
    run: Run, sets: Sequence[str], geometry: ChunkGeometry, contract: Mapping[str, Any]
) -> Cutter:
    """A function that writes chunks of voiced audio and returns how many samples were clipped.

    Held-out chunks (archive valid.N) become features of ``contract`` at once: no epoch changes them. Long
    ones (long.N) are never played at another speed, and are no longer than they have to be.
    """
    from .voiced import VoicedAudio

    voiced, seed = VoicedAudio(run, sets, geometry), run.options["features"]["seed"]

    def cut(path: Path, chunks: Sequence[Chunk]) -> int:
        held_out = path.name.startswith("valid.")
        frames = chunks[0].frames
        length = geometry.stored(frames) if path.name.startswith("train.") else geometry.samples(frames)
        samples, clipped = np.empty((len(chunks), length), np.int16), 0
        # Utterance by utterance, so that each is read once for an archive.
        for row in sorted(range(len(chunks)), key=lambda row: (chunks[row].data, chunks[row].utt)):
            chunk = chunks[row]
            samples[row], over = voiced.chunk(chunk.data, chunk.utt, chunk.start, length)
            clipped += over
        if held_out:
            _write_features(path, chunks, samples, contract, seed)
        else:
            _write_audio(path, chunks, samples, geometry.rate)
        return clipped

    return cut


def _write_audio(path: Path, chunks: Sequence[Chunk], samples: np.ndarray, rate: int) -> None:
    with arks.writing(path) as writer:
        for chunk, row in zip(chunks, samples, strict=True):
            writer.audio(chunk.key, row, rate)


def _write_features(
    path: Path, chunks: Sequence[Chunk], samples: np.ndarray, contract: Mapping[str, Any], seed: int
) -> None:
    import torch

    from .chunks import ChunkFeatures

    torch.set_num_threads(1)
    features = ChunkFeatures(contract, seed)
    with arks.writing(path) as writer:
        for chunk, row in zip(chunks, samples, strict=True):
            matrix = features(row[None].astype(np.float32) / np.float32(32768), [chunk.key])[0]
            writer.array(chunk.key, matrix, arks.TWO_BYTES)

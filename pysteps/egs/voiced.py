"""The voiced audio of the sets that chunks are cut from, copies too."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..audio.filters import to_int16
from ..augment.audio import Audio
from ..augment.pools import Pools
from ..formats.arks import Archive
from ..formats.errors import InputError
from ..formats.lookup import Lookup
from ..formats.run import Run
from .cut import ChunkGeometry, voiced_samples


class VoicedAudio:
    """The voiced audio of several sets by utterance, augmented copies too. Use as a context manager.

    Whatever the number of sets, one recording is held at a time, and one cache of what copies mix in.
    """

    def __init__(self, run: Run, sets: Sequence[str], geometry: ChunkGeometry) -> None:
        self._run, self._geometry, self._archive = run, geometry, Archive(keep=64)
        pools = Pools(run)
        self._audio = {name: Audio(run, name, pools) for name in sets}
        self._vad = {name: Lookup(run.of("vad", name) / "vad.scp") for name in sets}
        self._latest: tuple[tuple[str, str], np.ndarray, np.ndarray] | None = None

    def __enter__(self) -> VoicedAudio:
        return self

    def __exit__(self, *_: object) -> None:
        for audio in self._audio.values():
            audio.__exit__()
        self._archive.__exit__()

    def chunk(self, name: str, utt: str, start: int, count: int) -> tuple[np.ndarray, int]:
        """``count`` samples (int16) of the set ``name``'s ``utt`` from voiced frame ``start`` on.

        Also how many of them were clipped. Ask for all chunks of an utterance in a row: the latest one is
        kept.
        """
        where = self._run.of("vad", name)
        if self._latest is None or self._latest[0] != (name, utt):
            if utt not in self._vad[name]:
                raise InputError("no VAD of it", where=where, utt=utt, mend="redo stage vad")
            voiced = np.flatnonzero(self._archive.array(self._vad[name][utt], utt) > 0.5)
            self._latest = None  # not two long recordings at once
            self._latest = ((name, utt), self._audio[name].samples(utt), voiced)
        _, samples, voiced = self._latest
        shift = self._geometry.frames.shift(self._geometry.rate)
        places = voiced_samples(voiced, start, count, shift)
        if places[-1] >= len(samples):
            raise InputError(
                f"{len(samples)} samples, but the VAD's frames reach to {places[-1] + 1}",
                where=where,
                utt=utt,
                mend="redo stage vad: it was decided on other audio",
            )
        return to_int16(samples[places])

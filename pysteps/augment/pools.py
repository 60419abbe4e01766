"""The recordings that a run's augmentation draws from: noise, music, rooms, other training speakers."""

from __future__ import annotations

import hashlib
import io
import json
from collections import OrderedDict
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from functools import cached_property
from pathlib import Path
from typing import IO

import numpy as np

from ..audio.entry import Pcm16Source, wav_header
from ..audio.filters import bandpass, preemphasis, resample
from ..audio.options import AudioOptions
from ..audio.read import open_audio
from ..audio.source import Source
from ..formats.arks import Archive, split_entry
from ..formats.atomic import replacing
from ..formats.checkout import located
from ..formats.errors import InputError
from ..formats.rng import generator
from ..formats.run import Run
from ..formats.tables import read_table
from .draw import Voices
from .effects import EFFECTS, parse_chain
from .mix import fitted
from .options import AugmentOptions

KEPT_BYTES = 1 << 26  # of recordings in memory
KEPT_OPEN = 128  # files of 16-bit wav that stay open: their samples are read where they lie, a part at a time
WHOLE_SECONDS = 30.0  # longer recordings are read in part, when a part is wanted
LONGEST_SECONDS = 600.0  # of a noise or voice at a time: behind it, it is repeated
ROOMS_VERSION = 1  # of simulate_room: raised when it gives other rooms, together with the stage's VERSION


class Pools:
    """What the kinds of a run draw from: ``names`` by pool, ``voices``, and ``load``, their audio.

    noise, music and rooms are data sets below data/; ``speech`` is the training set as stage audio wrote
    it; ``simulated`` are rooms that are computed when they are first needed and kept in
    data/simulated_rooms. Everything comes at the run's sample rate, first channel. Noise and music get the
    steps of stage audio that shape a sound (``options.shaping``), as what surrounds the speech of the
    recordings did; of a long one that is read in part, the part gets them.
    """

    def __init__(self, run: Run) -> None:
        self.options = AugmentOptions(**run.options["augment"])
        self._audio = AudioOptions(**run.options["audio"])
        self.rate: int = self._audio.sample_rate
        self._run = run
        self._archive = Archive()
        self._kept = _Kept(KEPT_BYTES)
        self._wavs = _Wavs(KEPT_OPEN)
        self._tables: dict[str, dict[str, str]] = {}

    def __reduce__(self) -> tuple[type[Pools], tuple[Run]]:
        return Pools, (self._run,)  # another process opens its own files

    @cached_property
    def names(self) -> dict[str, list[str]]:
        """Sorted names by pool, of the pools that the kinds need."""
        steps = [step for kind in self.options.kinds for step in parse_chain(kind)]
        pools = sorted({EFFECTS[step.effect].pool for step in steps} - {"", "speech"})
        return {pool: self._names(pool) for pool in pools}

    def _names(self, pool: str) -> list[str]:
        if pool == "simulated":
            return [f"room-{number:05d}" for number in range(1, self.options.rooms_simulated + 1)]
        return sorted(self._table(pool))

    @cached_property
    def voices(self) -> Voices | None:
        """The training utterances that have enough speech, by speaker; None where no kind has babble."""
        if not any(step.effect == "babble" for kind in self.options.kinds for step in parse_chain(kind)):
            return None
        kept = read_table(self._run.of("vad", self._run.train_set) / "vad.scp")
        utt2spk = self._run.set(self._run.train_set).utt2spk()
        return Voices({utt: utt2spk[utt] for utt in kept})

    def _table(self, pool: str) -> dict[str, str]:
        if pool not in self._tables:
            self._tables[pool] = read_table(pool_table(self._run, pool))
        return self._tables[pool]

    def close(self) -> None:
        """Close the archives and files that are open."""
        self._archive.__exit__()
        self._wavs.close()

    def load(self, pool: str, name: str, fraction: float = 0.0, length: int | None = None) -> np.ndarray:
        """As ``effects.Load`` says. What comes back is nobody's to change."""
        if pool == "simulated":
            return self._kept.get((pool, name), lambda: self._room(name))
        if length is None:
            return self._whole(pool, name)
        length = min(length, int(LONGEST_SECONDS * self.rate))
        if (pool, name) not in self._kept:
            with self._open(pool, name) as source:
                total = source.length()
                # Speech is many recordings that do not soon come again: not worth keeping. Nor is what lies
                # in a file as it is wanted.
                ready = isinstance(source, Pcm16Source) and self._unchanged(pool, source.rate)
                if ready or pool == "speech" or total > WHOLE_SECONDS * source.rate:
                    return self._part(pool, source, total, fraction, length)
        return _from(self._whole(pool, name), fraction, length)

    def _open(self, pool: str, name: str) -> AbstractContextManager[Source]:
        table = self._table(pool)
        if name not in table:
            raise InputError(f"no recording {name} among {pool}", where=pool_table(self._run, pool))
        where = table[name]
        if where.startswith("|") or where.endswith("|"):
            said = "the entry is a command: it would run whenever the recording is drawn"
            raise InputError(said, where=pool_table(self._run, pool), utt=name, mend="name a file")
        wav = self._wavs.get(where, name)
        if wav is not None:
            return nullcontext(wav)
        return open_entry(where, self._archive, pool_table(self._run, pool), name)

    def _whole(self, pool: str, name: str) -> np.ndarray:
        def read() -> np.ndarray:
            with self._open(pool, name) as source:
                blocks = [block[:, 0] for block in source.blocks()]
                return self._shaped(pool, np.concatenate(blocks), source.rate)

        return self._kept.get((pool, name), read)

    def _unchanged(self, pool: str, rate: int) -> bool:
        audio = self._audio
        changes = pool in ("noise", "music") and (audio.dc or audio.filters or audio.preemphasis)
        return rate == self.rate and not changes

    def _shaped(self, pool: str, samples: np.ndarray, rate: int) -> np.ndarray:
        # At the run's rate. Rooms are no sound, and speech has been through stage audio.
        audio, shaped = self._audio, pool in ("noise", "music")
        if shaped and audio.dc:
            samples = samples - np.float32(samples.mean(dtype=np.float64))
        samples = resample(samples, rate, self.rate)
        if shaped and audio.filters:
            low, high, order = audio.band_low, audio.band_high, audio.band_order
            samples = bandpass(samples, self.rate, low, high, order=order, zero_phase=audio.zero_phase)
        if shaped and audio.preemphasis:
            samples = preemphasis(samples, audio.preemphasis)
        return samples

    def _part(self, pool: str, source: Source, total: int, fraction: float, length: int) -> np.ndarray:
        # Only what is wanted is read, in two pieces where the recording ends and begins again.
        wanted = length if source.rate == self.rate else -(-length * source.rate // self.rate) + 1
        first = int(fraction * total) % total
        pieces = [(first, min(total, first + wanted)), (0, min(first, first + wanted - total))]
        if wanted >= total:
            pieces = [(0, total)]
        spans = [(begin / source.rate, end / source.rate) for begin, end in pieces if end > begin]
        parts = [block[:, 0] for span in spans for block in source.blocks(*span)]
        samples = self._shaped(pool, np.concatenate(parts), source.rate)
        return _from(samples, fraction if wanted >= total else 0.0, length)

    def _room(self, name: str) -> np.ndarray:
        path = rooms_folder(self._run) / f"{name}.npy"
        if path.is_file():
            return np.load(path, allow_pickle=False)
        from .rooms import simulate_room

        rng = generator(self.options.seed, name, "simulated room")
        room = simulate_room(rng, self.rate, rt60=(self.options.room_rt60[0], self.options.room_rt60[1]))
        whole = io.BytesIO()  # numpy would write past the handle, and say of a full disk but a count
        np.save(whole, room, allow_pickle=False)
        with replacing(path, "wb") as handle:
            handle.write(whole.getbuffer())
        return room


def open_entry(entry: str, archive: Archive, table: Path, utt: str) -> Source:
    """The opened recording of an entry of ``table``: a file, or ``file:offset`` through ``archive``."""
    path, offset = split_entry(entry, where=table, utt=utt)
    return open_audio(path if offset is None else archive.at(entry, utt), utt=utt, where=entry)


def pool_table(run: Run, pool: str) -> Path:
    """The table of recordings of a pool: noise, music, rooms or speech."""
    if pool == "speech":
        return run.audio_scp(run.train_set)
    return run.data / run.options["augment"][pool] / "wav.scp"


def rooms_folder(run: Run) -> Path:
    """Where simulated rooms are kept: a folder for each way of simulating them, so that two never mix."""
    options = run.options["augment"]
    rate = run.options["audio"]["sample_rate"]
    decides = [ROOMS_VERSION, options["seed"], list(options["room_rt60"]), rate]
    key = hashlib.sha256(json.dumps(decides).encode()).hexdigest()[:12]
    return run.data / "simulated_rooms" / key


def _from(recording: np.ndarray, fraction: float, length: int) -> np.ndarray:
    # At most once round: ``mix`` repeats what is too short, without a copy of the whole length.
    return fitted(recording, min(length, len(recording)), int(fraction * len(recording)))


class _Kept:
    """Arrays in memory up to a number of bytes; what was asked for longest ago goes first."""

    def __init__(self, limit: int) -> None:
        self._limit, self._bytes = limit, 0
        self._arrays: OrderedDict[tuple[str, str], np.ndarray] = OrderedDict()

    def __contains__(self, key: tuple[str, str]) -> bool:
        return key in self._arrays

    def get(self, key: tuple[str, str], make: Callable[[], np.ndarray]) -> np.ndarray:
        if key in self._arrays:
            self._arrays.move_to_end(key)
            return self._arrays[key]
        array = make()
        self._arrays[key] = array
        self._bytes += array.nbytes
        while self._bytes > self._limit and len(self._arrays) > 1:
            self._bytes -= self._arrays.popitem(last=False)[1].nbytes
        return array


class _Wavs:
    """Files of 16-bit wav that stay open, so many; the one that was asked for longest ago is closed first."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._files: OrderedDict[str, tuple[IO[bytes], Pcm16Source]] = OrderedDict()
        self._others: set[str] = set()

    def get(self, where: str, utt: str) -> Pcm16Source | None:
        """The recording of the table's entry ``where``; None where that is something else."""
        if where in self._files:
            self._files.move_to_end(where)
            return self._files[where][1]
        if where in self._others or not where.endswith((".wav", ".WAV")):
            return None
        handle = None
        try:
            handle = open(located(where), "rb", buffering=0)  # noqa: SIM115 - closed when it is pushed out
            wav = wav_header(handle, where, utt)
            if (wav.coding, wav.bits) != (1, 16):
                raise InputError("another coding", where=where)
            source = Pcm16Source(handle, wav, where, utt)
        except (OSError, InputError):  # whoever opens anything says what is wrong, or reads it all the same
            self._others.add(where)
            if handle is not None:
                handle.close()
            return None
        self._files[where] = handle, source
        if len(self._files) > self._limit:
            self._files.popitem(last=False)[1][0].close()
        return source

    def close(self) -> None:
        """Close all; who is asked for later is opened again."""
        while self._files:
            self._files.popitem()[1][0].close()

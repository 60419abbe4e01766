"""How much a set holds, as far as it can be known: what was measured, else headers and a few recordings."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from ..augment.effects import parse_chain
from ..formats.datadir import DataSet
from ..formats.errors import InputError
from ..formats.frames import FrameGeometry
from ..formats.run import Run
from ..formats.tables import read_table

HEADERS = 200  # recordings of a set that are opened for their length
HEARD = 16  # utterances that are heard for what no header says
LONGEST = 20.0  # seconds of each of them


@dataclass(frozen=True)
class Extent:
    """A set's utterances: ``seconds`` [n] of each, ``voiced`` [n] frames, ``key`` bytes in a name, speakers.

    ``voiced`` is None where no stage vad has decided yet; ``measured`` is False where headers were believed.
    """

    seconds: np.ndarray
    voiced: np.ndarray | None
    key: float
    speakers: int
    measured: bool

    def samples(self, rate: int) -> np.ndarray:
        """Samples [n] at ``rate`` Hz."""
        return np.rint(self.seconds * rate)

    def frames(self, geometry: FrameGeometry, rate: int) -> np.ndarray:
        """Frames [n]."""
        length, shift = geometry.length(rate), geometry.shift(rate)
        samples = self.samples(rate)
        if geometry.snip_edges:
            return np.maximum(0, 1 + (samples - length) // shift)
        return (samples + shift // 2) // shift


def extent(run: Run, name: str) -> Extent | None:
    """What the set ``name`` of ``run`` holds; None before stage prepare, and where no length can be told."""
    if name in run.copies:
        return _copy(run, name)
    data = run.set(name)
    if not (data.has("wav.scp") and data.has("utt2spk")):
        return None
    utt2spk = data.utt2spk()
    durations = run.of("audio", name) / "utt2dur"
    if durations.is_file():
        seconds, measured = np.asarray([float(value) for value in read_table(durations).values()]), True
    else:
        found = _from_headers(data, list(utt2spk))
        if found is None:
            return None
        seconds, measured = found, False
    key = sum(map(len, utt2spk)) / max(1, len(utt2spk))
    return Extent(seconds, _voiced(run, name), key, len(set(utt2spk.values())), measured)


def factor_of(kind: str) -> float:
    """How much longer the recording is than its copy of this kind: 1 but for speeds and tempos."""
    return next((step.factor for step in parse_chain(kind) if step.factor is not None), 1.0)


def _copy(run: Run, name: str) -> Extent | None:
    clean, kind = extent(run, run.train_set), run.copies[name]
    if clean is None:
        return None
    voiced, factor = _voiced(run, name), factor_of(kind)
    if voiced is None and clean.voiced is not None:
        voiced = np.rint(clean.voiced / factor)
    seconds = clean.seconds if clean.voiced is None else clean.seconds[: len(clean.voiced)]
    return replace(clean, seconds=seconds / factor, voiced=voiced, key=clean.key + len(kind) + 1)


def _voiced(run: Run, name: str) -> np.ndarray | None:
    path = run.of("vad", name) / "utt2num_voiced"
    return np.asarray([int(value) for value in read_table(path).values()]) if path.is_file() else None


def spread(items: Sequence[str], count: int) -> list[str]:
    """At most ``count`` of ``items``, evenly from first to last."""
    places = np.linspace(0, len(items) - 1, min(count, len(items)))
    return [items[round(place)] for place in places]


def _from_headers(data: DataSet, utts: list[str]) -> np.ndarray | None:
    # Segments say their lengths; of recordings some are opened, and the others are taken to be like them.
    segments, wav = data.segments(), data.table("wav.scp")
    if segments and all(end >= 0 for _, _, end in segments.values()):
        return np.asarray([end - start for _, start, end in segments.values()])
    lengths = [length for length in map(_seconds, spread(list(wav.values()), HEADERS)) if length is not None]
    if not lengths:
        return None
    if not segments:
        return np.resize(np.asarray(lengths), len(utts))
    known = [end - start for _, start, end in segments.values() if end >= 0]
    open_ends = len(segments) - len(known)
    return np.concatenate([known, np.resize(np.asarray(lengths), open_ends)])


def _seconds(entry: str) -> float | None:
    from ..audio.convert import Converter
    from ..audio.options import AudioOptions

    try:  # commands are not run for an estimate
        with Converter(AudioOptions()) as converter:
            source = converter.source(entry)
            return source.length() / source.rate
    except InputError:
        return None  # stage audio will drop it


@dataclass(frozen=True)
class Heard:
    """What a few recordings tell: ``flac`` bytes a sample, shares ``kept`` as files and ``voiced``."""

    flac: float
    kept: float
    voiced: float


def heard(run: Run, name: str, count: int = HEARD) -> Heard:
    """Bring a few utterances of a recorded set to what stage audio and vad make of them."""
    from ..audio.convert import Converter
    from ..audio.options import AudioOptions
    from ..audio.stage import Cuts
    from ..vad.decide import decider
    from ..vad.options import VadOptions

    options, data = AudioOptions(**run.options["audio"]), run.set(name)
    cuts, decide = Cuts.of(data), decider(VadOptions(**run.options["vad"]))
    pieces, kept, voiced = [], [], []
    with Converter(options) as converter:
        for utt in spread(sorted(data.utt2spk()), count):
            recording, start, end = cuts.segments.get(utt, (utt, 0.0, -1.0))
            entry, channel = cuts.wav[recording], cuts.channel.get(recording)
            last = start + LONGEST if end < 0 else min(end, start + LONGEST)
            try:
                length = converter.source(entry).length() / converter.source(entry).rate
                samples = np.concatenate(list(converter.blocks(entry, start, min(last, length), channel)))
                kept.append(not cuts.segments and converter.unchanged(entry, channel))
            except InputError:
                continue
            pieces.append(samples)
            voiced.append(decide(samples.astype(np.float32) / 32768, options.sample_rate))
    if not pieces:
        return Heard(1.1, 0.0, 0.8)
    share = float(np.concatenate(voiced).mean()) if sum(map(len, voiced)) else 0.8
    return Heard(flac_bytes(pieces, options.sample_rate), float(np.mean(kept)), share)


def flac_bytes(pieces: Sequence[np.ndarray], rate: int) -> float:
    """Bytes a sample of int16 ``pieces`` as flac; 2 where flac does not know the rate."""
    from ..formats.arks import ArchiveWriter

    file = io.BytesIO()
    writer = ArchiveWriter(file, "estimate")
    for number, samples in enumerate(pieces):
        if rate > 65535 and rate % 10:
            return 2.0
        writer.audio(str(number), samples, rate, flac=True)
    return len(file.getvalue()) / max(1, sum(map(len, pieces)))

"""The disk that each stage's products take.

Every file is counted in the blocks that a file system gives it, since a small corpus is mostly small files.
Where a stage's own formula stands here it says which file it is of; what is estimated of what: ``extent``.
"""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import numpy as np

from ..augment import stage as augment
from ..augment.effects import EFFECTS, parse_chain
from ..augment.live import speaker_suffix
from ..augment.options import AugmentOptions
from ..egs.cut import ChunkGeometry
from ..egs.live import highest_speed, own_speed, voices
from ..features.contract import FeaturesOptions
from ..formats.errors import InputError
from ..formats.run import Run
from ..train.options import TrainOptions
from ..train.phases import phases_of
from .extent import Extent, Heard, extent, heard
from .files import BLOCK, STAMP, Files
from .labelled import CLASSIFIER, answers, class_sizes, kept_share

OFFSET = 9  # digits of a place in an archive, and the colon
# Of an effect, by the pool it draws from: characters of what was drawn, in a copy's table; bytes as flac, in
# shares of the clean audio's. Measured on the mini corpus.
DRAWN = {"": 32, "noise": 93, "music": 93, "rooms": 57, "simulated": 57}
FLAC = {"noise": 1.25, "music": 1.25}
NARROW = {"telephone": 0.7, "mulaw": 0.7, "alaw": 0.7, "gsm": 0.7}


class Estimate:
    """The estimates of one run. Sets are looked at once, and heard only where something needs it."""

    def __init__(self, run: Run) -> None:
        self.run = run
        self._extents: dict[str, Extent | None] = {}
        self._heard: dict[str, Heard] = {}
        self._archives = 0
        features = FeaturesOptions(**run.options["features"])
        self.rate, self.geometry, self.dim = features.sample_rate, features.geometry, features.dim

    def extent(self, name: str) -> Extent:
        """A set's; InputError where it is not known yet."""
        if name not in self._extents:
            self._extents[name] = extent(self.run, name)
        found = self._extents[name]
        if found is None:
            raise InputError("known once stage prepare has written the sets", where=self.run.data / name)
        return found

    def heard(self, name: str) -> Heard:
        """What a few of its recordings tell."""
        if name not in self._heard:
            self._heard[name] = heard(self.run, name)
        return self._heard[name]

    def stage(self, stage: str) -> float | None:
        """Bytes that a stage's products take, all sets together; None where nobody can tell yet."""
        try:
            return getattr(self, f"_{stage}")()
        except InputError:
            return None

    def _line(self, folder: Path, name: str, key: float) -> float:
        # A table's line: key, archive:offset.
        return key + 2 + len(str(folder / name).encode()) + 3 + OFFSET

    def _prepare(self) -> float:
        raise InputError("a corpus's own business")

    def _audio(self) -> float:
        options, files = self.run.options["audio"], Files()
        for name in self.run.base_sets:
            of, folder = self.extent(name), self.run.of("audio", name)
            width = self.heard(name).flac if options["materialise"] == "flac" else 2.0
            kept = self.heard(name).kept if options["materialise"] == "changed" else 0.0
            audio = (of.samples(self.rate).sum() * width + len(of.seconds) * (45 + of.key)) * (1 - kept)
            lines = (self._line(folder, "audio.ark", of.key), of.key + 8)
            files.sharded(len(of.seconds), options["shard_utterances"], [audio], lines)
        return files.bytes

    def _vad(self) -> float:
        files = Files()
        for name in self.run.base_sets:
            self._decisions(files, name, self.run.options["vad"]["shard_utterances"])
        return files.bytes

    def _decisions(self, files: Files, name: str, size: int) -> None:
        # vad.N.ark: 4 bytes a frame, a vector's 10 of header.
        of, folder = self.extent(name), self.run.of("vad", name)
        archive = 4 * of.frames(self.geometry, self.rate).sum() + len(of.seconds) * (of.key + 11)
        lines = (self._line(folder, "vad.ark", of.key), of.key + 7, of.key + 6)
        files.sharded(len(of.seconds), size, [archive], lines)

    def _augment(self) -> float:
        options, files = self.run.options["augment"], Files()
        for name, kind in self.run.copies.items():
            of, clean = self.extent(name), self.extent(self.run.train_set)
            count, key = len(of.seconds), of.key
            lines = [key + clean.key + 40 + self._drawn(kind, clean.key), 2 * key, key]
            vad = self._line(self.run.of("vad", self.run.train_set), "vad.ark", key)
            for line in (*lines, vad, key + 7, key + 6, self._line(self.run.data / name, "audio.ark", key)):
                files.add(line * count)
            files.add(STAMP, 5)
            if augment.decides(kind):
                self._decisions(files, name, options["shard_utterances"])
                files.add((vad + 2 * key + 13) * count)  # gathered below shards/ and copied to the VAD
            if options["materialise"] != "none":
                width = self._flac_of_copy(kind) if options["materialise"] == "flac" else 2.0
                audio = of.samples(self.rate).sum() * width + count * (45 + key)
                line = self._line(self.run.data / name, "audio.ark", key)
                files.sharded(count, options["shard_utterances"], [audio], [line])
        return files.bytes

    def _drawn(self, kind: str, key: float) -> float:
        # Characters of a chain; a babble's voices are names.
        babble = float(np.mean(self.run.options["augment"]["babble_voices"])) * (key + 47)
        return sum(DRAWN.get(EFFECTS[step.effect].pool, babble) for step in parse_chain(kind))

    def _flac_of_copy(self, kind: str) -> float:
        steps = parse_chain(kind)
        louder = max(FLAC.get(EFFECTS[step.effect].pool, 1.0) for step in steps)
        narrower = min(NARROW.get(step.effect, 1.0) for step in steps)
        return min(2.0, self.heard(self.run.train_set).flac * louder * narrower)

    def _features(self) -> float:
        options, files, dim = self.run.options["features"], Files(), self.dim
        width = {0: 4, 2: 1, 3: 2}[options["compression"]]
        head = 16 + 8 * dim * (options["compression"] == 2)
        copies = [] if self.run.options["egs"]["kind"] == "audio" else list(self.run.copies)
        for name in [*self.run.base_sets, *copies]:
            of, folder = self.extent(name), self.run.of("features", name)
            count = len(of.seconds if of.voiced is None else of.voiced)
            # feats.N.ark; cmvn.N.ark: 2 x (dim + 1) numbers of 8 bytes.
            feats = of.frames(self.geometry, self.rate).sum() * dim * width + count * (of.key + 8 + head)
            cmvn = count * (16 * (dim + 1) + of.key + 17)
            lines = (*(self._line(folder, part, of.key) for part in ("feats.ark", "cmvn.ark")), of.key + 6)
            files.sharded(count, options["shard_utterances"], [feats, cmvn], lines).add(BLOCK)
        return files.bytes

    def voiced(self, name: str) -> np.ndarray:
        """Voiced frames [n] of a training set or a copy; estimated from a few recordings before stage vad."""
        of = self.extent(name)
        if of.voiced is not None:
            return of.voiced
        return of.frames(self.geometry, self.rate) * self.heard(self.run.train_set).voiced

    def egs_archives(self) -> int:
        """Archives of training chunks, the one of those held out, and the long ones."""
        self._egs()
        return self._archives + 1

    def _egs(self) -> float:
        options, files = self.run.options["egs"], Files()
        shift = self.run.options["features"]["frame_shift_ms"]
        shortest, longest = (round(options[part] * 1000 / shift) for part in ("min_seconds", "max_seconds"))
        geometry = ChunkGeometry(self.geometry, self.rate, highest_speed(self.run))
        names = [self.run.train_set, *self.run.copies]
        frames = np.concatenate([self.voiced(name) for name in names])
        clean = self.extent(self.run.train_set)
        held = max(1, round(options["valid_share"] * len(clean.seconds)))
        held = held if self.run.labels else min(clean.speakers, held)
        frames = frames * (geometry.fitting(10**6) / 10**6 if geometry.factor > 1 else 1)
        frames = frames[frames >= shortest]
        if not len(frames):
            raise InputError("no utterance is long enough for a chunk")
        counts = np.maximum(1, frames * options["repeats"] / ((shortest + longest) / 2))
        counts = counts * (1 - held * (options["valid_share"] > 0) / len(clean.seconds))
        counts = counts * kept_share(self.run)
        chunks = counts.sum()
        archives = self._archives = max(1, round(chunks / options["archive_chunks"]))
        # A chunk moves to an archive that its utterance fits, so lengths are even from the shortest to what
        # fits; the first of the archives is of the shortest (egs.plan).
        reach = np.minimum(frames, longest) - shortest
        lengths = shortest + reach * (0.5 - 0.5 / archives**2)
        key = float(np.mean([self.extent(name).key for name in names])) + 12
        if options["kind"] == "audio":
            hop, tail = geometry.frames.shift(self.rate), geometry.tail
            size = 2 * ((lengths - 1) * hop + tail) * geometry.factor + key + 45
        else:
            size = lengths * self.dim * 2 + key + 24
        files.add((counts * size).sum() / archives, archives)
        for line in (key + 5, 2 * key + 12):  # train.N.lab, plan/train.N
            files.add(line * chunks / archives, archives)
        files.add(shortest * self.dim * 2 * held).add(BLOCK, 12 + 2 * archives)  # valid.1; shards, the rest
        if options["long_seconds"]:
            self._long(files, round(options["long_seconds"] * 1000 / shift), key)
        return files.bytes

    def _long(self, files: Files, length: int, key: float) -> None:
        # long.N.ark, .lab, plan/long.N; held-out utterances are few.
        options, geometry = self.run.options["egs"], ChunkGeometry(self.geometry, self.rate)
        names = [self.run.train_set, *(name for name, kind in self.run.copies.items() if own_speed(kind))]
        frames = np.concatenate([self.voiced(name) for name in names])
        chunks = np.maximum(1, frames[frames >= length] * options["long_repeats"] / length).sum()
        if not chunks:
            raise InputError("no utterance is long enough for a long chunk")
        archives = max(1, round(chunks / options["archive_chunks"]))
        self._archives += archives
        size = length * self.dim * 2 + key + 24
        if options["kind"] == "audio":
            size = 2 * geometry.samples(length) + key + 45
        for line in (size, key + 5, 2 * key + 12):
            files.add(line * chunks / archives, archives)
        files.add(BLOCK, 2 * archives)

    def _train(self) -> float:
        from .network import state_bytes

        chosen = AugmentOptions(**self.run.options["augment"])
        suffixes = {speaker_suffix(parse_chain(kind), chosen) for kind in self.run.copies.values()}
        names = {*suffixes, *voices(self.run)}
        classes = self.extent(self.run.train_set).speakers * len(names)
        if self.run.labels:
            classes = len(class_sizes(self.run))
        model, state = state_bytes(self.run, classes)
        options, files = TrainOptions(**self.run.options["train"]), Files()
        phases = phases_of(options)
        # States to go on from, epochs that a phase's mean is of, those that it began with, and the mean.
        counts = [0, *(min(phase.average, phase.epochs) for phase in phases)]
        files.add(state + 4000, options.keep).add(model + 2000, max(map(sum, pairwise(counts))) + 1)
        return files.add(BLOCK, 8).add(450 * sum(phase.epochs for phase in phases)).bytes

    def _tune(self) -> float:
        # One trial's, and the best one's model; how many are at work at once is not known here.
        return 2 * self._train()

    def _extract(self) -> float:
        options, files = self.run.options["extract"], Files()
        width = self.run.options["models"]["xvector_dim"]
        for name in self.run.utterance_sets:
            of, folder = self.extent(name), self.run.exp / "xvectors" / name
            count = len(of.seconds if of.voiced is None else of.voiced)
            sizes = [width, 2 * self.dim, *([len(class_sizes(self.run))] if self.run.labels else [])]
            vectors = [count * (4 * size + of.key + 11) for size in sizes]
            lines = [self._line(folder, part, of.key) for part in ("xvector.ark", "baseline.ark")]
            files.sharded(count, options["shard_utterances"], vectors, lines)
            files.add(of.speakers * (4 * width + of.key)).add(of.speakers * lines[0])
        return files.bytes

    def _backend(self) -> float:
        files, width = Files(), self.run.options["models"]["xvector_dim"]
        if self.run.labels:
            return files.add(CLASSIFIER, len(self.run.options["backend"]["classifiers"])).bytes
        for line in [*self.run.options["backend"]["backends"].values(), "center | cosine"]:
            files.add(BLOCK, 6)  # the folder, chain, mean, calibration, stamp
            square = 4 * width**2
            files.add(square * any(word in line for word in ("lda", "whiten", "wccn", "coral")))
            files.add(2 * square * ("plda" in line))
            files.add(self.extent(self.run.train_set).speakers * 4 * width * ("as-norm" in line))
        return files.bytes

    def _score(self) -> float:
        files, each = Files(), len(self.run.options["backend"]["backends"]) + 1
        calibrated = self.run.options["backend"]["calibration"] != "none"
        if self.run.labels:
            each = len(self.run.options["backend"]["classifiers"])
            for of in map(self.extent, self.run.eval_sets):
                files.add(answers(self.run, len(of.seconds), of.key), each).add(BLOCK, 6)
            return files.add(200_000 + 100_000 * each * len(self.run.eval_sets)).bytes
        lists = list(self.run.trial_lists())
        if not lists:
            raise InputError("no trials yet")
        for _, _, path in lists:
            size = path.stat().st_size  # a score stands where target or nontarget stood
            files.add(size, each * (2 if calibrated else 1)).add(BLOCK, 6).add(15000 * each)
        # report.html holds a few pictures, and some of every back end on every list.
        return files.add(200_000 + 155_000 * each * len(lists)).add(40_000 + 8 * BLOCK).bytes

    def _diarize(self) -> float:
        options, files = self.run.options["diarize"], Files()
        width, folder = self.run.options["models"]["xvector_dim"], self.run.exp / "diarize"
        for name in self.run.conversation_sets:
            of = self.extent(name)
            speech = 0.8 if of.voiced is None else of.voiced.sum() / of.frames(self.geometry, self.rate).sum()
            windows = of.seconds.sum() * speech / options["shift"]
            each, key = windows / len(of.seconds), of.key + 18  # a window's name: the recording's, two times
            # xvector.N.ark; segments and xvector.scp have a line a window.
            lines = (each * (key + of.key + 16), each * self._line(folder / name, "xvector.1.ark", key))
            vectors = windows * (4 * width + key + 11)
            files.sharded(len(of.seconds), options["shard_recordings"], [vectors], lines)
            files.add(BLOCK, 3).add(windows / 3 * (of.key + 50))  # METHOD/SET: stamp; a turn is a few windows
        return files.add(BLOCK, 5).add(2 * BLOCK).bytes  # stamps, threshold.json, results.json

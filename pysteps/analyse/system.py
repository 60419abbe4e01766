"""A trained system as analyse needs it: the model, its head, features of utterances, targets by name."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from torch import nn

from ..features.contract import FeaturesOptions, contract, refuse_mismatch
from ..features.voiced import VoicedFeatures
from ..formats.arks import Archive
from ..formats.errors import InputError
from ..formats.lookup import Lookup
from ..formats.rng import generator
from ..formats.run import Run
from ..models.model import SpeakerModel, embed, load_model, read_description
from .targets import ClassTarget, CosineTarget, DirectionTarget, NormTarget, class_target, head_of


@dataclass(frozen=True)
class System:
    """``run``'s features of the set ``name`` and a model; at most ``seconds`` of voiced frames of an
    utterance are taken, from its start."""

    run: Run
    folder: Path
    name: str
    seconds: float = 10.0

    @staticmethod
    def load(run: Run, name: str, model: Path | None = None, seconds: float = 10.0) -> System:
        """``model``: a folder in place of exp/TAG/model. InputError where it heard other features."""
        if name not in run.utterance_sets:
            known = ", ".join(run.utterance_sets)
            raise InputError(f"the run has no set {name!r} of utterances", mend=f"--set: one of {known}")
        if not seconds > 0:
            raise InputError(f"{seconds} seconds of an utterance", mend="--seconds 10")
        folder = model or run.exp / "model"
        heard = read_description(folder)["features"]
        refuse_mismatch(heard, contract(run), folder, asks="this run has")
        return System(run, folder, name, seconds)

    @cached_property
    def model(self) -> SpeakerModel:
        """In evaluation mode, its weights fixed, on the CPU."""
        return load_model(self.folder).requires_grad_(False)

    @cached_property
    def options(self) -> FeaturesOptions:
        """Of the run's features."""
        return FeaturesOptions(**self.run.options["features"])

    @cached_property
    def head(self) -> tuple[nn.Module, list[str]]:
        """The training's head and its classes."""
        return head_of(self.folder, self.model.options.xvector_dim, self.run.options["train"])

    @property
    def most(self) -> int:
        """Voiced frames that are taken."""
        return max(1, int(self.seconds * 1000 / self.options.frame_shift_ms))

    def features(self, voiced: VoicedFeatures, utt: str) -> np.ndarray:
        """What the network gets of ``utt``: [time, feature]."""
        matrix = voiced.matrix(utt)[: self.most]
        if len(matrix) < self.model.min_frames:
            said = f"{len(matrix)} voiced frames, the network needs {self.model.min_frames}"
            raise InputError(said, utt=utt)
        return matrix

    def refuse_unknown(self, voiced: VoicedFeatures, utt: str) -> None:
        """InputError for an utterance that has no features in the set."""
        known = voiced.utterances
        if utt in known:
            return
        if utt in self.run.set(self.name).utt2spk():
            mend = "see the dropped files of stages 1 to 4"
            raise InputError(f"has no features in {self.name}: it was dropped", utt=utt, mend=mend)
        close = difflib.get_close_matches(utt, known, 1, 0.5)
        nearest = f"did you mean {close[0]}?" if close else f"one of them is {known[0]}" if known else None
        raise InputError(f"no such utterance in {self.name}", utt=utt, mend=nearest)

    def decided(self, utt: str) -> np.ndarray:
        """Which frames of the recording the network gets: bool [frames], up to the last of them."""
        table = Lookup(self.run.of("vad", self.name) / "vad.scp")
        with Archive() as archive:
            voiced = archive.array(table[utt], utt) > 0.5
        taken = np.flatnonzero(voiced)[: self.most]
        voiced[taken[-1] + 1 :] = False
        return voiced

    def xvectors(self, batch: np.ndarray | Sequence[np.ndarray], at_once: int = 8) -> np.ndarray:
        """X-vectors [N, xvector] of features of one length [N, time, feature]."""
        parts = [batch[first : first + at_once] for first in range(0, len(batch), at_once)]
        return np.concatenate([embed(self.model, list(part)) for part in parts])

    def target(self, words: str, features: np.ndarray, other: np.ndarray | None = None) -> nn.Module:
        """``direction`` of the x-vector of ``features``; its ``norm``; ``cosine`` with the features
        ``other``; ``class`` (the one that the network finds) or ``class:NAME``. InputError for anything
        else."""
        kind, _, name = words.partition(":")
        if kind == "norm" and not name:
            return NormTarget()
        if kind == "direction" and not name:
            return DirectionTarget(torch.from_numpy(self.xvectors([features])[0]))
        if kind == "cosine" and not name:
            if other is None:
                raise InputError("a cosine has two sides", mend="--with UTT")
            return CosineTarget(torch.from_numpy(self.xvectors([other])[0]))
        if kind == "class":
            return class_target(*self.head, name, torch.from_numpy(self.xvectors([features])[0]))
        raise InputError(f"unknown target {words!r}", mend="direction, norm, cosine, class or class:NAME")

    def describe(self, target: nn.Module) -> str:
        """The target in words."""
        if isinstance(target, ClassTarget):
            return f"logit of {self.head[1][target.place]}"
        if isinstance(target, CosineTarget):
            return "cosine"
        return "norm" if isinstance(target, NormTarget) else "x-vector along its direction"

    def chosen(self, voiced: VoicedFeatures, count: int, seed: int = 0) -> dict[str, str]:
        """``count`` utterances of the set that are long enough (0: all), each with its speaker: drawn, of as
        many speakers as can be."""
        utt2spk = self.run.set(self.name).utt2spk()
        drawn: dict[str, list[str]] = {}
        for utt in voiced.utterances:
            drawn.setdefault(utt2spk[utt], []).append(utt)
        random = generator(seed, self.name, "analyse utterances")
        speakers = [sorted(drawn)[place] for place in random.permutation(len(drawn))]
        for speaker in speakers:
            drawn[speaker] = [drawn[speaker][place] for place in random.permutation(len(drawn[speaker]))]
        found: dict[str, str] = {}
        for turn in range(max(map(len, drawn.values()), default=0)):
            for speaker in speakers:
                if turn < len(drawn[speaker]) and (not count or len(found) < count):
                    utt = drawn[speaker][turn]
                    if len(voiced.matrix(utt)) >= self.model.min_frames:
                        found[utt] = speaker
        if not found:
            raise InputError(f"no utterance of {self.name} is long enough for the network")
        return found


def on_time_axis(values: np.ndarray, voiced: np.ndarray) -> np.ndarray:
    """A map [voiced frames, feature] over all frames [frames, feature]: 0 where ``voiced`` [frames] is
    not."""
    out = np.zeros((len(voiced), values.shape[1]), np.float32)
    out[np.flatnonzero(voiced)] = values
    return out

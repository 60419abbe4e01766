"""What to do to whom: a chain of effects drawn for an utterance as plain parameters, carried out later."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from ..formats.errors import InputError
from ..formats.rng import generator
from .blocks import Streamed
from .effects import EFFECTS, Choices, Load, parse_chain
from .mix import fitted
from .options import AugmentOptions

Chain = list[dict[str, Any]]


class Voices:
    """Training utterances by speaker, sorted, to draw babble from."""

    def __init__(self, utt2spk: Mapping[str, str]) -> None:
        spk2utt: dict[str, list[str]] = {}
        for utt in sorted(utt2spk):
            spk2utt.setdefault(utt2spk[utt], []).append(utt)
        self.speakers = sorted(spk2utt)
        self.utterances = [spk2utt[spk] for spk in self.speakers]
        self.speaker = {utt: index for index, utts in enumerate(self.utterances) for utt in utts}


def draw(
    utt: str,
    kind: str,
    options: AugmentOptions,
    pools: Mapping[str, Sequence[str]],
    voices: Voices | None = None,
    *,
    epoch: int = 0,
    copy: int = 0,
    key: str = "",
) -> Chain:
    """The chain that ``kind`` (``noise``, ``reverb+noise``, ``speed0.9``) means for ``utt``, fit for JSON.

    The same for the same arguments, whatever else was drawn before. ``pools`` has the sorted names of the
    recordings to draw from under noise, music, rooms and simulated. A babble's voices are different
    speakers of ``voices``, none of them the speaker of ``utt``, and fewer than drawn where there are
    fewer. ``key`` is what is drawn for when one utterance is drawn for often (its chunks); empty: ``utt``.
    """
    choices = Choices(options, pools, voices)
    chain: Chain = []
    steps = parse_chain(kind)
    for index, step in enumerate(steps):
        # The chain's name is in the purpose: the copies noise and reverb+noise have different noises.
        purpose = f"augment {kind}" + (f" {index}" if len(steps) > 1 else "")
        if step.factor is not None:
            chain.append({"kind": step.effect, "factor": step.factor})
            continue
        effect = EFFECTS[step.effect]
        if effect.draw is None:
            chain.append({"kind": step.effect})
            continue
        rng = generator(options.seed, key or utt, purpose, epoch=epoch, copy=copy)
        chain.append({"kind": step.effect, **effect.draw(rng, utt, choices)})
    return chain


def apply(
    samples: np.ndarray | Streamed, chain: Sequence[Mapping[str, Any]], load: Load, rate: int
) -> np.ndarray:
    """Carry out a drawn ``chain`` on ``samples`` [time] at ``rate`` Hz; float32, not clipped.

    ``samples`` stay as they are. Every effect but speed and tempo gives as many samples as it got, or it is
    an InputError: the VAD of the clean recording would not fit.
    """
    if isinstance(samples, np.ndarray):
        samples = np.array(samples, dtype=np.float32)  # effects write to what they get
    for how in chain:
        effect = EFFECTS.get(how["kind"])
        if effect is None:
            raise InputError(f"unknown augmentation {how['kind']!r}", mend="redo stage augment")
        if isinstance(samples, Streamed) and not effect.streams:
            samples = samples.whole()
        changed = effect.apply(samples, how, load, rate)
        if effect.keeps_length and len(changed) != len(samples):
            raise InputError(
                f"{how['kind']} made {len(changed)} samples of {len(samples)}",
                mend="this is a defect: report it",
            )
        samples = changed
        del changed  # the next effect may make a new array: two are enough
    return samples.whole() if isinstance(samples, Streamed) else samples


def unnoised(chain: Sequence[Mapping[str, Any]]) -> Sequence[Mapping[str, Any]]:
    """The part of a chain that VAD is decided behind: its speed or tempo, or nothing."""
    return [how for how in chain[:1] if not EFFECTS[how["kind"]].keeps_length]


def loader(get: Callable[[str, str], np.ndarray]) -> Load:
    """A Load from a function (pool, name) -> whole recording [time] in memory."""

    def load(pool: str, name: str, fraction: float = 0.0, length: int | None = None) -> np.ndarray:
        recording = get(pool, name)
        if length is None:
            return recording
        return fitted(recording, min(length, len(recording)), int(fraction * len(recording)))

    return load

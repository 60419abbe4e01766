"""Augmentation on the fly: the same description as the copies', drawn anew for every epoch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ..formats.errors import InputError
from ..formats.rng import generator
from ..formats.run import Run
from .draw import Chain, Voices, apply, draw
from .effects import EFFECTS, Load, Step, parse_chain
from .options import AugmentOptions


def _steady(kind: str) -> bool:
    # Whether a kind is nothing but a speed or a tempo.
    return all(step.factor is not None for step in parse_chain(kind))


def speaker_suffix(chain: Sequence[Mapping[str, Any]] | Sequence[Step], options: AugmentOptions) -> str:
    """What a copy's speaker is called behind the speaker's name: ``-speed0.9``, or nothing.

    ``chain`` is a drawn one or the steps of a kind. A voice at another speed is another voice unless
    ``speed_speakers`` says that it is the same; tempo leaves the voice as it is.
    """
    if options.speed_speakers == "same":
        return ""
    for how in chain:
        effect, factor = how if isinstance(how, Step) else (how["kind"], how.get("factor"))
        if effect == "speed":
            return f"-speed{factor:g}"
    return ""


class Live:
    """Draws a chain for an utterance (or a chunk of one) and epoch, and carries it out.

    ``pools`` has the sorted names of what can be drawn from by pool, ``voices`` the training utterances
    (for babble), ``load`` gives their audio at ``rate`` Hz: see ``of`` for a run's.
    """

    def __init__(
        self,
        options: AugmentOptions,
        pools: Mapping[str, Sequence[str]],
        voices: Voices | None,
        load: Load,
        rate: int,
    ) -> None:
        self.options, self.pools, self.load, self.rate = options, pools, load, rate
        self._voices = voices
        self._speeds = [kind for kind in options.kinds if _steady(kind)]
        self._others = [kind for kind in options.kinds if not _steady(kind)]
        for kind in options.kinds:
            for step in parse_chain(kind):
                pool = EFFECTS[step.effect].pool
                if pool not in ("", "speech") and not pools.get(pool):
                    raise InputError(
                        f"no recordings to draw {pool} from for {kind}",
                        mend=f"--augment.{pool} names a data set below data/",
                    )

    @staticmethod
    def of(run: Run) -> Live:
        """That of a run's training set, with its pools."""
        from .pools import Pools

        pools = Pools(run)
        return Live(pools.options, pools.names, pools.voices, pools.load, pools.rate)

    def draw(
        self, utt: str, epoch: int = 0, copy: int = 0, key: str = "", *, own_speed: bool = False
    ) -> Chain:
        """What is done to ``utt`` in ``epoch``: [] is clean. The same for the same arguments.

        Kinds that are only a speed or a tempo are drawn first, each as often as the speed as it is; then
        with the options' ``probability`` one of the other kinds, each as often. Where that brings a speed
        or tempo of its own, that one counts. ``key`` names what is drawn for when one utterance is drawn
        for several times an epoch (its chunks). ``own_speed`` leaves out every speed and tempo, and nothing
        else: the chain keeps the length.
        """
        rng = generator(self.options.seed, key or utt, "augment live", epoch=epoch, copy=copy)
        speed = int(rng.integers(len(self._speeds) + 1))
        noisy = rng.random() < self.options.probability
        kinds = []
        if noisy and self._others:
            kinds = [self._others[int(rng.integers(len(self._others)))]]
        if speed and not (kinds and parse_chain(kinds[0])[0].factor is not None):
            kinds.insert(0, self._speeds[speed - 1])
        chain = [
            how
            for kind in kinds
            for how in draw(
                utt, kind, self.options, self.pools, self._voices, epoch=epoch, copy=copy, key=key
            )
        ]
        return [how for how in chain if EFFECTS[how["kind"]].keeps_length] if own_speed else chain

    def apply(self, samples: np.ndarray, chain: Sequence[Mapping[str, Any]]) -> np.ndarray:
        """Carry out a drawn chain on ``samples`` [time]; float32, as long unless it has a speed or tempo."""
        return apply(samples, chain, self.load, self.rate)

    def suffix(self, chain: Sequence[Mapping[str, Any]]) -> str:
        """What the speaker of a drawn chain's result is called behind the speaker's name."""
        return speaker_suffix(chain, self.options)

    @staticmethod
    def voices(options: AugmentOptions) -> list[str]:
        """Every suffix that a drawn chain can have, "" first: a speaker gives as many classes."""
        return sorted({"", *(speaker_suffix(parse_chain(kind), options) for kind in options.kinds)})

    def longest_factor(self) -> float:
        """Most seconds of audio that a second of result takes: at least 1."""
        return longest_factor(self.options)


def longest_factor(options: AugmentOptions) -> float:
    """Most seconds of audio that a second of a result takes (at speed1.1 it is 1.1): at least 1."""
    factors = (step.factor for kind in options.kinds for step in parse_chain(kind))
    return max([1.0, *(factor or 1.0 for factor in factors)])

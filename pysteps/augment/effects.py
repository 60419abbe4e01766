"""The effects that augmentation is made of, by name: what is drawn for each, and how it is carried out."""

from __future__ import annotations

from bisect import insort
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from functools import lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

import numpy as np

from ..formats.errors import InputError
from .blocks import Streamed
from .mix import add_noise, babble, reverberate
from .speed import change_speed

if TYPE_CHECKING:
    from .draw import Voices
    from .options import AugmentOptions

Parameters = dict[str, Any]


class Load(Protocol):
    """How an effect gets at the recordings that it needs.

    ``load(pool, name)`` is a whole recording, ``load(pool, name, fraction, length)`` at most ``length``
    samples of it: they begin at that fraction of it and go on at its start where it ends, once round at
    most; who needs more repeats them. Float32 [time] at the speech's rate. ``pool`` is noise, music, rooms,
    simulated or speech.
    """

    def __call__(
        self, pool: str, name: str, fraction: float = 0.0, length: int | None = None
    ) -> np.ndarray: ...


@dataclass(frozen=True)
class Choices:
    """What can be drawn from: options, sorted names by pool, and the training voices."""

    options: AugmentOptions
    pools: Mapping[str, Sequence[str]]
    voices: Voices | None = None


Draw = Callable[[np.random.Generator, str, Choices], Parameters]
Apply = Callable[[Any, Mapping[str, Any], Load, int], np.ndarray]  # np.ndarray, or Streamed too: ``streams``


@dataclass(frozen=True)
class Effect:
    """One effect. ``options`` are those that its draw depends on; ``pool`` is what it draws from.

    ``draw(rng, utt, choices)`` gives parameters fit for JSON; None where nothing is drawn.
    ``apply(samples [time] float32, parameters, load, rate)`` gives float32 samples, as many unless
    ``keeps_length`` is False; it may write to the ones it gets. One that ``streams`` takes samples that are
    still to be read (Streamed) as well. A ``factor`` effect is written with a number (speed0.9) and comes
    first in a chain.
    """

    draw: Draw | None
    apply: Apply
    options: tuple[str, ...] = ()
    pool: str = ""
    keeps_length: bool = True
    factor: bool = False
    streams: bool = False


class Step(NamedTuple):
    """One link of a chain: the effect's name and, for speed and tempo, its factor."""

    effect: str
    factor: float | None = None


@lru_cache(maxsize=256)
def parse_chain(kind: str) -> tuple[Step, ...]:
    """The steps of a kind such as ``noise``, ``reverb+noise`` or ``speed0.9+telephone``.

    InputError for an unknown effect, for a factor outside 0.5-2 (or 1) or of more than three decimals, and
    for a speed or tempo that is not the first.
    """
    steps = tuple(_step(word, kind) for word in kind.split("+"))
    for step in steps[1:]:
        if step.factor is not None:
            raise InputError(
                f"{step.effect} is not the first effect of {kind!r}",
                mend="it changes the length: put it first",
            )
    return steps


def _step(word: str, kind: str) -> Step:
    if word in EFFECTS and not EFFECTS[word].factor:
        return Step(word)
    for name, effect in EFFECTS.items():
        if effect.factor and word.startswith(name):
            try:
                factor = float(word.removeprefix(name))
            except ValueError:
                factor = 0.0
            if not 0.5 <= factor <= 2.0 or factor == 1.0 or word != f"{name}{factor:g}":
                raise InputError(
                    f"unknown {name} {word!r}", mend=f"{name}FACTOR with a factor of 0.5 to 2: {name}0.9"
                )
            if factor != round(factor, 3):  # everybody who resamples, cuts or names takes the same number
                raise InputError(f"{name} {factor:g} is too exact", mend="a factor of at most three decimals")
            return Step(name, factor)
    known = [f"{name}FACTOR" if effect.factor else name for name, effect in EFFECTS.items()]
    near = get_close_matches(word, known, 1)
    place = "" if word == kind else f" in {kind!r}"
    raise InputError(
        f"unknown augmentation {word!r}{place}",
        mend=(f"did you mean {near[0]}? " if near else "") + f"known: {', '.join(known)}",
    )


def between(rng: np.random.Generator, bounds: Sequence[float]) -> float:
    """A number drawn evenly from ``bounds``, with five significant digits."""
    low, high = bounds
    return min(max(float(f"{rng.uniform(low, high):.5g}"), low), high)


def fraction(rng: np.random.Generator) -> float:
    """A place in a recording as a fraction of its length, so that drawing reads no audio."""
    return int(rng.integers(1_000_000)) / 1_000_000


def _name(rng: np.random.Generator, utt: str, choices: Choices, pool: str) -> str:
    names = choices.pools.get(pool, ())
    if not names:
        raise InputError(
            f"no recordings to draw {pool} from",
            utt=utt,
            mend=f"--augment.{pool} names a data set below data/, or take out the kinds that need it",
        )
    return names[int(rng.integers(len(names)))]


def _draws_recording(pool: str) -> Draw:
    def draw(rng: np.random.Generator, utt: str, choices: Choices) -> Parameters:
        name = _name(rng, utt, choices, pool)
        snr = between(rng, getattr(choices.options, f"{pool}_snr"))
        return {"name": name, "snr_db": snr, "fraction": fraction(rng)}

    return draw


def _adds(pool: str) -> Apply:
    def apply(samples: np.ndarray, how: Mapping[str, Any], load: Load, rate: int) -> np.ndarray:
        noise = load(pool, how["name"], how["fraction"], len(samples))
        return add_noise(samples, noise, how["snr_db"], in_place=True)

    return apply


def _draw_babble(rng: np.random.Generator, utt: str, choices: Choices) -> Parameters:
    voices = choices.voices
    snr = between(rng, choices.options.babble_snr)
    own = None if voices is None else voices.speaker.get(utt)
    if voices is None or own is None:
        raise InputError("its speaker is not among those that babble is drawn from", utt=utt)
    others = len(voices.speakers) - 1
    if others < 1:
        raise InputError("no other speaker to draw babble from", utt=utt, mend="a set of several speakers")
    low, high = choices.options.babble_voices
    count = min(int(rng.integers(low, high + 1)), others)
    who, which, where = rng.random((3, count)).tolist()  # one call: a million utterances are drawn at once
    chosen = []
    for speaker, utterance, place in zip(_others(who, own, others + 1), which, where, strict=True):
        utts = voices.utterances[speaker]
        chosen.append({"name": utts[int(utterance * len(utts))], "fraction": int(place * 1e6) / 1e6})
    return {"snr_db": snr, "voices": chosen}


def _others(drawn: Sequence[float], own: int, speakers: int) -> list[int]:
    # Different numbers below ``speakers``, never ``own``: each is drawn among those that are left.
    taken, found = [own], []
    for value in drawn:
        number = int(value * (speakers - len(taken)))
        for other in taken:  # sorted: numbers from a taken one on stand for the next
            number += number >= other
        insort(taken, number)
        found.append(number)
    return found


def _apply_babble(samples: np.ndarray, how: Mapping[str, Any], load: Load, rate: int) -> np.ndarray:
    voices = [load("speech", voice["name"], voice["fraction"], len(samples)) for voice in how["voices"]]
    return babble(samples, voices, how["snr_db"], in_place=True)


def _draws_room(pool: str) -> Draw:
    return lambda rng, utt, choices: {"name": _name(rng, utt, choices, pool)}


def _reverberates(pool: str, direct: int | None) -> Apply:
    return lambda samples, how, load, rate: reverberate(
        samples, load(pool, how["name"]), direct, in_place=True
    )


def _draws_number(key: str, option: str) -> Draw:
    return lambda rng, utt, choices: {key: between(rng, getattr(choices.options, option))}


def _draws_rate(option: str) -> Draw:
    def draw(rng: np.random.Generator, utt: str, choices: Choices) -> Parameters:
        rates = getattr(choices.options, option)
        return {"kbps": int(rates[int(rng.integers(len(rates)))])}

    return draw


def _codec(name: str, *keys: str) -> Apply:
    def apply(samples: np.ndarray, how: Mapping[str, Any], load: Load, rate: int) -> np.ndarray:
        from . import codec  # PyAV and scipy take long to import: only those who use codecs pay

        return getattr(codec, name)(samples, rate, *(how[key] for key in keys), in_place=True)

    return apply


def _apply_tempo(samples: np.ndarray | Streamed, how: Mapping[str, Any], load: Load, rate: int) -> np.ndarray:
    from .tempo import change_tempo

    return change_tempo(samples, rate, how["factor"])


def _apply_volume(samples: np.ndarray, how: Mapping[str, Any], load: Load, rate: int) -> np.ndarray:
    from .level import volume

    return volume(samples, how["gain_db"], in_place=True)


def _apply_clip(samples: np.ndarray, how: Mapping[str, Any], load: Load, rate: int) -> np.ndarray:
    from .level import clip

    return clip(samples, how["share"], in_place=True)


EFFECTS: dict[str, Effect] = {
    "noise": Effect(_draws_recording("noise"), _adds("noise"), ("noise", "noise_snr"), "noise"),
    "music": Effect(_draws_recording("music"), _adds("music"), ("music", "music_snr"), "music"),
    "babble": Effect(_draw_babble, _apply_babble, ("babble_snr", "babble_voices"), "speech"),
    "reverb": Effect(_draws_room("rooms"), _reverberates("rooms", None), ("rooms",), "rooms"),
    "room": Effect(
        _draws_room("simulated"), _reverberates("simulated", 0), ("room_rt60", "rooms_simulated"), "simulated"
    ),
    "speed": Effect(
        None,
        lambda samples, how, load, rate: change_speed(samples, how["factor"]),
        ("speed_speakers",),
        keeps_length=False,
        factor=True,
        streams=True,
    ),
    "tempo": Effect(None, _apply_tempo, keeps_length=False, factor=True, streams=True),
    "telephone": Effect(None, _codec("telephone")),
    "mulaw": Effect(None, _codec("mulaw")),
    "alaw": Effect(None, _codec("alaw")),
    "gsm": Effect(None, _codec("gsm")),
    "mp3": Effect(_draws_rate("mp3_kbps"), _codec("mp3", "kbps"), ("mp3_kbps",)),
    "opus": Effect(_draws_rate("opus_kbps"), _codec("opus", "kbps"), ("opus_kbps",)),
    "volume": Effect(_draws_number("gain_db", "volume_db"), _apply_volume, ("volume_db",)),
    "clip": Effect(_draws_number("share", "clip_share"), _apply_clip, ("clip_share",)),
}

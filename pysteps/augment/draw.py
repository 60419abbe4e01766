"""What to do to whom: augmentation drawn per utterance as plain parameters, carried out later."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..formats.errors import InputError
from ..formats.rng import generator
from .mix import add_noise, babble, reverberate
from .speed import change_speed, speed_factor

# What can be drawn, and the pool that it is drawn from.
KINDS = {"noise": "noise", "music": "music", "babble": "speech", "reverb": "rooms"}
Load = Callable[[str, str], np.ndarray]


@dataclass(frozen=True)
class Ranges:
    """From where the numbers are drawn (uniformly): decibels, and voices in a babble. As in Kaldi's sre16."""

    noise_snr: tuple[float, float] = (0.0, 15.0)
    music_snr: tuple[float, float] = (5.0, 15.0)
    babble_snr: tuple[float, float] = (13.0, 20.0)
    babble_voices: tuple[int, int] = (3, 7)


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
    seed: int,
    pools: Mapping[str, Sequence[str]],
    speech: Voices | Mapping[str, str] | None = None,
    *,
    ranges: Ranges | None = None,
    epoch: int = 0,
    copy: int = 0,
) -> dict[str, Any]:
    """Parameters of one augmentation of ``utt``, fit for JSON, the same for the same arguments.

    ``kind`` is noise, music, babble, reverb or speedFACTOR (for which nothing is drawn). ``pools`` has
    the sorted names of the recordings to draw from under noise, music and rooms; ``speech`` the training
    utterances with their speakers (make one Voices of it for many draws). Places in a recording are
    fractions of its length, so that drawing reads no audio. A babble's voices are different training
    speakers, none of them the speaker of ``utt``, and fewer than drawn where the set has fewer.
    """
    ranges = ranges or Ranges()
    factor = speed_factor(kind)
    if factor is not None:
        return {"kind": "speed", "factor": factor}
    if kind not in KINDS:
        raise InputError(f"unknown augmentation {kind!r}", mend=f"one of {', '.join(KINDS)}, speedFACTOR")
    rng = generator(seed, utt, f"augment {kind}", epoch=epoch, copy=copy)
    if kind == "babble":
        voices = speech if isinstance(speech, Voices) else Voices(speech or {})
        snr = _between(rng, ranges.babble_snr)
        return {"kind": kind, "snr_db": snr, "voices": _others(utt, rng, voices, ranges)}
    names = pools.get(KINDS[kind], ())
    if not names:
        raise InputError(f"no recordings to draw {kind} from", utt=utt)
    name = names[int(rng.integers(len(names)))]
    if kind == "reverb":
        return {"kind": kind, "name": name}
    snr = _between(rng, ranges.noise_snr if kind == "noise" else ranges.music_snr)
    return {"kind": kind, "name": name, "snr_db": snr, "fraction": _fraction(rng)}


def _others(utt: str, rng: np.random.Generator, voices: Voices, ranges: Ranges) -> list[dict[str, Any]]:
    own = voices.speaker.get(utt)
    if own is None:
        raise InputError("its speaker is not among those that babble is drawn from", utt=utt)
    others = len(voices.speakers) - 1
    if others < 1:
        raise InputError("no other speaker to draw babble from", utt=utt)
    low, high = ranges.babble_voices
    count = min(int(rng.integers(low, high + 1)), others)
    chosen = []
    for index in rng.choice(others, size=count, replace=False):
        # Numbers from the own speaker on stand for the next one: the own is never met.
        utts = voices.utterances[int(index) + int(index >= own)]
        chosen.append({"name": utts[int(rng.integers(len(utts)))], "fraction": _fraction(rng)})
    return chosen


def _between(rng: np.random.Generator, bounds: tuple[float, float]) -> float:
    return round(float(rng.uniform(*bounds)), 3)


def _fraction(rng: np.random.Generator) -> float:
    return int(rng.integers(1_000_000)) / 1_000_000


def apply(samples: np.ndarray, parameters: Mapping[str, Any], load: Load) -> np.ndarray:
    """Carry out what ``draw`` said on ``samples`` [time]; float32, not clipped; speed changes the length.

    ``load(pool, name)`` gives the samples of a recording at the same rate; ``pool`` is noise, music,
    rooms or speech.
    """
    kind = parameters["kind"]
    if kind == "speed":
        return change_speed(samples, parameters["factor"])
    if kind not in KINDS:
        raise InputError(f"unknown augmentation {kind!r}", mend=f"one of {', '.join(KINDS)}")
    pool = KINDS[kind]
    if kind == "babble":
        voices = [load(pool, voice["name"]) for voice in parameters["voices"]]
        places = [_place(voice, how) for voice, how in zip(voices, parameters["voices"], strict=True)]
        return babble(samples, voices, parameters["snr_db"], places)
    recording = load(pool, parameters["name"])
    if kind == "reverb":
        return reverberate(samples, recording)
    return add_noise(samples, recording, parameters["snr_db"], _place(recording, parameters))


def _place(recording: np.ndarray, how: Mapping[str, Any]) -> int:
    return int(how["fraction"] * len(recording))

"""Draws: the same for the same utterance, inside their ranges, and never one's own voice."""

from __future__ import annotations

import json

import numpy as np
import pytest

from pysteps.augment.draw import Voices, apply, draw
from pysteps.formats.errors import InputError

POOLS = {"noise": ["n1", "n2", "n3"], "music": ["m1"], "rooms": ["r1", "r2"]}
SPEECH = {f"s{s}-u{u}": f"s{s}" for s in range(12) for u in range(3)}


@pytest.mark.parametrize("kind", ["noise", "music", "babble", "reverb"])
def test_a_draw_depends_on_its_arguments_alone(kind: str) -> None:
    first = draw("s1-u1", kind, 3, POOLS, SPEECH)
    assert first == draw("s1-u1", kind, 3, POOLS, Voices(dict(reversed(SPEECH.items()))))
    assert json.loads(json.dumps(first)) == first
    others = [draw("s1-u1", kind, 3, POOLS, SPEECH, epoch=epoch) for epoch in range(1, 9)]
    assert (
        kind == "music" or any(other.get("name") != first.get("name") for other in others) or kind == "babble"
    )
    assert any(other != first for other in others)


@pytest.mark.parametrize(("kind", "low", "high"), [("noise", 0, 15), ("music", 5, 15), ("babble", 13, 20)])
def test_ratios_fill_their_range(kind: str, low: float, high: float) -> None:
    voices = Voices(SPEECH)
    ratios = [draw(utt, kind, seed, POOLS, voices)["snr_db"] for utt in SPEECH for seed in range(10)]
    assert low <= min(ratios) < low + 0.5 and high - 0.5 < max(ratios) <= high


def test_babble_is_three_to_seven_other_speakers() -> None:
    voices, counts = Voices(SPEECH), set()
    for utt, own in SPEECH.items():
        for seed in range(10):
            speakers = [SPEECH[voice["name"]] for voice in draw(utt, "babble", seed, {}, voices)["voices"]]
            assert own not in speakers and len(set(speakers)) == len(speakers)
            counts.add(len(speakers))
    assert counts == {3, 4, 5, 6, 7}


def test_every_other_speaker_is_met() -> None:
    voices, met = Voices(SPEECH), set()
    for seed in range(60):
        met |= {SPEECH[voice["name"]] for voice in draw("s11-u0", "babble", seed, {}, voices)["voices"]}
    assert met == {f"s{s}" for s in range(11)}


def test_few_speakers_give_few_voices_and_one_is_refused() -> None:
    pair = {"a": "x", "b": "y"}
    assert [voice["name"] for voice in draw("a", "babble", 0, {}, pair)["voices"]] == ["b"]
    with pytest.raises(InputError, match="utterance a: no other speaker"):
        draw("a", "babble", 0, {}, {"a": "x"})
    with pytest.raises(InputError, match="utterance z: its speaker"):
        draw("z", "babble", 0, {}, pair)


def test_unknown_kinds_and_empty_pools_are_refused() -> None:
    with pytest.raises(InputError, match="unknown augmentation 'echo'"):
        draw("a", "echo", 0, POOLS)
    with pytest.raises(InputError, match="no recordings to draw music from"):
        draw("a", "music", 0, {"music": []})
    with pytest.raises(InputError, match="unknown augmentation"):
        apply(np.zeros(3), {"kind": "echo"}, lambda pool, name: np.zeros(3))


@pytest.mark.parametrize("kind", ["noise", "music", "babble", "reverb"])
def test_what_was_drawn_is_carried_out(kind: str) -> None:
    rng, asked = np.random.default_rng(0), []
    audio = {
        name: rng.standard_normal(5000).astype(np.float32) for name in [*SPEECH, *sum(POOLS.values(), [])]
    }

    def load(pool: str, name: str) -> np.ndarray:
        asked.append(pool)
        return audio[name]

    speech = audio["s1-u1"]
    parameters = json.loads(json.dumps(draw("s1-u1", kind, 0, POOLS, SPEECH)))
    out = apply(speech, parameters, load)
    assert set(asked) == {{"reverb": "rooms", "babble": "speech"}.get(kind, kind)}
    assert out.shape == speech.shape and out.dtype == np.float32
    assert np.array_equal(out, apply(speech, parameters, load))
    if kind != "reverb":
        added = out.astype(np.float64) - speech
        measured = 10 * np.log10(np.mean(speech.astype(np.float64) ** 2) / np.mean(added**2))
        assert measured == pytest.approx(parameters["snr_db"], abs=0.1)

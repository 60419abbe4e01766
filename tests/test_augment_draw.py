"""Draws: the same for an utterance, inside their ranges, in the chain's order, never one's own voice."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any

import numpy as np
import pytest

from pysteps.augment.draw import Voices, apply, draw, loader, unnoised
from pysteps.augment.effects import EFFECTS, Effect, parse_chain
from pysteps.augment.options import AugmentOptions, relevant
from pysteps.formats.errors import InputError

POOLS = {"noise": ["n1", "n2", "n3"], "music": ["m1"], "rooms": ["r1", "r2"], "simulated": ["s1", "s2"]}
SPEECH = {f"s{s}-u{u}": f"s{s}" for s in range(12) for u in range(3)}
VOICES = Voices(SPEECH)
PLAIN = [name for name, effect in EFFECTS.items() if not effect.factor]


def one(utt: str, kind: str, seed: int = 0, **options: Any) -> dict[str, Any]:
    (step,) = draw(utt, kind, AugmentOptions(seed=seed, **options), POOLS, VOICES)
    return step


def never(pool: str, name: str) -> np.ndarray:
    raise AssertionError(f"{pool} {name} was loaded")


@pytest.mark.parametrize("kind", [*PLAIN, "speed0.9", "reverb+noise", "speed1.1+babble+mp3"])
def test_a_draw_depends_on_its_arguments_alone(kind: str) -> None:
    options = AugmentOptions(seed=3)
    first = draw("s1-u1", kind, options, POOLS, VOICES)
    draw("s2-u0", kind, options, POOLS, VOICES)
    assert first == draw("s1-u1", kind, options, POOLS, Voices(dict(reversed(SPEECH.items()))))
    assert json.loads(json.dumps(first)) == first


@pytest.mark.parametrize("kind", ["noise", "music", "babble", "reverb", "room", "mp3", "volume", "clip"])
@pytest.mark.parametrize("key", ["seed", "epoch", "copy", "key", "utt"])
def test_another_seed_epoch_copy_key_or_utterance_is_another_draw(kind: str, key: str) -> None:
    found = []
    for value in range(12):
        options = AugmentOptions(seed=value if key == "seed" else 0)
        utt = f"s{value}-u0" if key == "utt" else "s1-u1"
        how: dict[str, Any] = {key: f"chunk{value}" if key == "key" else value}
        how = {} if key in ("seed", "utt") else how
        found.append(json.dumps(draw(utt, kind, options, POOLS, VOICES, **how)))
    assert len(set(found)) > 1


def test_effects_of_a_chain_are_independent_and_in_order() -> None:
    options = AugmentOptions()
    chain = draw("s1-u1", "room+noise+volume", options, POOLS, VOICES)
    assert [step["kind"] for step in chain] == ["room", "noise", "volume"]
    # Another first effect leaves the number of the second alone only if neither took from the other's stream.
    twice = draw("s1-u1", "noise+noise", options, POOLS, VOICES)
    assert twice[0] != twice[1]
    longer = draw("s1-u1", "room+noise+volume", options, {**POOLS, "simulated": ["x"] * 9}, VOICES)
    assert longer[1:] == chain[1:]
    noises = [draw(u, "noise", options, POOLS)[0]["snr_db"] for u in SPEECH]
    others = [draw(u, "reverb+noise", options, POOLS)[1]["snr_db"] for u in SPEECH]
    assert abs(np.corrcoef(noises, others)[0, 1]) < 0.6 and noises != others


@pytest.mark.parametrize(
    ("kind", "key", "low", "high"),
    [
        ("noise", "snr_db", 0, 15),
        ("music", "snr_db", 5, 15),
        ("babble", "snr_db", 13, 20),
        ("volume", "gain_db", -18, 6),
        ("clip", "share", 0.001, 0.05),
    ],
)
def test_numbers_fill_their_range(kind: str, key: str, low: float, high: float) -> None:
    found = [one(utt, kind, seed)[key] for utt in SPEECH for seed in range(10)]
    near = (high - low) / 20
    assert low <= min(found) < low + near and high - near < max(found) <= high


def test_a_range_is_an_option() -> None:
    found = [one(utt, "noise", noise_snr=(20.0, 20.5))["snr_db"] for utt in SPEECH]
    assert 20 <= min(found) and max(found) <= 20.5
    assert {one(utt, "opus", opus_kbps=[20])["kbps"] for utt in SPEECH} == {20}


def test_a_range_of_very_small_numbers_is_drawn_from() -> None:
    found = {one(utt, "clip", clip_share=(0.0001, 0.0004))["share"] for utt in SPEECH}
    assert len(found) > 20 and 0.0001 <= min(found) < 0.0002 and 0.0003 < max(found) <= 0.0004


def test_every_bit_rate_and_room_is_met() -> None:
    assert {one(utt, "mp3")["kbps"] for utt in SPEECH} == {16, 24, 32, 48, 64}
    assert {one(utt, "room")["name"] for utt in SPEECH} == {"s1", "s2"}


def test_babble_is_three_to_seven_other_speakers_met_equally_often() -> None:
    counts, met = Counter(), Counter()
    for utt, own in SPEECH.items():
        for seed in range(20):
            names = [voice["name"] for voice in one(utt, "babble", seed)["voices"]]
            speakers = [SPEECH[name] for name in names]
            assert own not in speakers and len(set(speakers)) == len(speakers)
            counts[len(speakers)] += 1
            met.update(names)
    assert set(counts) == {3, 4, 5, 6, 7} and min(counts.values()) > 0.7 * max(counts.values())
    # 720 draws of 5 voices on average from 36 utterances: 100 each; five deviations of a binomial's 10.
    assert len(met) == 36 and all(50 < count < 150 for count in met.values())


def test_few_speakers_give_few_voices_and_one_is_refused() -> None:
    pair, options = Voices({"a": "x", "b": "y"}), AugmentOptions()
    (step,) = draw("a", "babble", options, {}, pair)
    assert [voice["name"] for voice in step["voices"]] == ["b"]
    with pytest.raises(InputError, match="utterance a: no other speaker"):
        draw("a", "babble", options, {}, Voices({"a": "x"}))
    with pytest.raises(InputError, match="utterance z: its speaker"):
        draw("z", "babble", options, {}, pair)


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        ("echo", "unknown augmentation 'echo'.*known: noise, music"),
        ("reverb+noize", "unknown augmentation 'noize' in 'reverb.noize'.*did you mean noise"),
        ("", "unknown augmentation ''"),
        ("noise+", "unknown augmentation '' in"),
        ("speed", "unknown speed 'speed'"),
        ("speed3", "unknown speed"),
        ("speed1.0", "unknown speed"),
        ("speed0.90", "unknown speed"),
        ("speednan", "unknown speed"),
        ("tempoy", "unknown tempo"),
        ("speed1.0004", "speed 1.0004 is too exact .*three decimals"),
        ("speed1.2346+noise", "speed 1.2346 is too exact"),
        ("tempo0.98765", "tempo 0.98765 is too exact"),
        ("noise+speed0.9", "speed is not the first effect of 'noise.speed0.9'"),
        ("speed0.9+tempo1.1", "tempo is not the first"),
    ],
)
def test_what_is_no_chain_is_refused(kind: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        AugmentOptions(kinds=["noise", kind])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"noise_snr": (15.0, 0.0)}, r"noise_snr is \[15.0, 0.0\]"),
        ({"babble_voices": (0, 3)}, "babble_voices is"),
        ({"clip_share": (0.1, 0.9)}, "clip_share is"),
        ({"volume_db": (float("nan"), 1.0)}, "volume_db is"),
        ({"when": "later"}, "copies or training"),
        ({"materialise": "mp3"}, "none or ark or flac"),
        ({"speed_speakers": "old"}, "new or same"),
        ({"probability": 1.5}, "probability is 1.5"),
        ({"opus_kbps": []}, "opus_kbps"),
        ({"rooms_simulated": 0}, "rooms_simulated is 0"),
        ({"kinds": ["noise", "noise"]}, "noise is twice"),
    ],
)
def test_options_out_of_range_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        AugmentOptions(**options)


def test_an_empty_pool_is_refused() -> None:
    with pytest.raises(InputError, match="utterance a: no recordings to draw music from.*--augment.music"):
        draw("a", "music", AugmentOptions(), {"music": []})


def test_a_copy_is_stale_for_its_own_options_only() -> None:
    options = vars(AugmentOptions())
    assert set(relevant(options, "reverb+noise")) == {"seed", "rooms", "noise", "noise_snr"}
    assert set(relevant(options, "room")) == {"seed", "room_rt60", "rooms_simulated"}
    used = {name for effect in EFFECTS.values() for name in effect.options}
    general = {"kinds", "when", "probability", "materialise", "seed", "shard_utterances"}
    assert used | general == set(options)  # every option decides something


@pytest.mark.parametrize("kind", ["noise", "music", "babble", "reverb", "room"])
def test_what_was_drawn_is_carried_out(kind: str) -> None:
    rng, asked = np.random.default_rng(0), set()
    names = [*SPEECH, *(name for pool in POOLS.values() for name in pool)]
    audio = {name: rng.standard_normal(5000).astype(np.float32) for name in names}

    def get(pool: str, name: str) -> np.ndarray:
        asked.add(pool)
        return audio[name]

    chain = json.loads(json.dumps(draw("s1-u1", kind, AugmentOptions(), POOLS, VOICES)))
    speech = audio["s1-u1"]
    out = apply(speech, chain, loader(get), 16000)
    assert asked == {EFFECTS[kind].pool}
    assert out.shape == speech.shape and out.dtype == np.float32 and not np.array_equal(out, speech)
    if "snr_db" in chain[0]:
        added = out.astype(np.float64) - speech
        measured = 10 * np.log10(np.mean(speech.astype(np.float64) ** 2) / np.mean(added**2))
        assert measured == pytest.approx(chain[0]["snr_db"], abs=0.1)


@pytest.mark.parametrize("kind", [kind for kind in PLAIN if not EFFECTS[kind].pool])
def test_effects_without_recordings_keep_the_length_at_both_rates(kind: str) -> None:
    tone = (0.3 * np.sin(np.arange(4001) * 0.3)).astype(np.float32)
    for rate in (8000, 16000):
        out = apply(tone, [one("s1-u1", kind)], never, rate)
        assert out.dtype == np.float32 and out.shape == tone.shape
        assert np.isfinite(out).all() and not np.array_equal(out, tone)


def test_a_chain_is_carried_out_from_left_to_right() -> None:
    noises = {"one": np.ones(4, np.float32), "two": np.asarray([9, -9, 9, 9], np.float32)}
    chain = [{"kind": "noise", "name": name, "snr_db": 0.0, "fraction": 0.25} for name in ("one", "two")]
    out = apply(np.asarray([1, -1, 1, -1]), chain, loader(lambda pool, name: noises[name]), 16000)
    # By hand: 1 -1 1 -1 and 1 1 1 1 are 2 0 2 0, of power 2; so loud is the second, begun at its sample 1.
    root = 2**0.5
    np.testing.assert_allclose(out, [2 - root, root, 2 + root, root], rtol=1e-6)


def test_an_effect_that_loses_samples_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    broken = Effect(None, lambda samples, how, load, rate: samples[1:])
    monkeypatch.setitem(EFFECTS, "gsm", broken)
    with pytest.raises(InputError, match="gsm made 9 samples of 10"):
        apply(np.zeros(10), [{"kind": "gsm"}], never, 16000)


def test_an_unknown_effect_in_a_table_is_refused() -> None:
    with pytest.raises(InputError, match="unknown augmentation 'echo'"):
        apply(np.zeros(3), [{"kind": "echo"}], never, 16000)


def test_vad_is_decided_behind_speed_or_tempo_and_before_the_rest() -> None:
    for kind, kept in (("speed0.9+noise", ["speed"]), ("tempo1.1", ["tempo"]), ("noise+gsm", [])):
        assert [how["kind"] for how in unnoised(draw("s1-u1", kind, AugmentOptions(), POOLS))] == kept


def test_a_chain_is_parsed_into_steps() -> None:
    assert parse_chain("speed0.9+reverb+noise") == (("speed", 0.9), ("reverb", None), ("noise", None))

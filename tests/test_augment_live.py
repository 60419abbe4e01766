"""On the fly: how often what is drawn, when it is drawn again, and whose voice it is then."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from pysteps.augment.draw import Voices, draw, loader
from pysteps.augment.live import Live, longest_factor
from pysteps.augment.options import AugmentOptions
from pysteps.formats.errors import InputError

POOLS = {"noise": ["n1", "n2"], "music": ["m1", "m2"], "rooms": ["r1", "r2"]}
SPEECH = {f"s{s}-u{u}": f"s{s}" for s in range(5) for u in range(3)}
AUDIO = {
    name: np.random.default_rng(number).standard_normal(800).astype(np.float32)
    for number, name in enumerate([*SPEECH, "n1", "n2", "m1", "m2", "r1", "r2"])
}


def live(**options: Any) -> Live:
    load = loader(lambda pool, name: AUDIO[name])
    return Live(AugmentOptions(when="training", **options), POOLS, Voices(SPEECH), load, 16000)


def kinds(chain: list[dict[str, Any]]) -> str:
    return "+".join(f"{how['kind']}{how.get('factor', '')}" for how in chain)


def shares(live: Live, epochs: int = 200) -> dict[str, float]:
    found = Counter(kinds(live.draw(utt, epoch)) for utt in SPEECH for epoch in range(epochs))
    return {kind: count / (epochs * len(SPEECH)) for kind, count in found.items()}


def test_clean_is_what_probability_leaves_and_the_kinds_share_the_rest() -> None:
    found = shares(live(kinds=["noise", "music", "reverb+noise"], probability=0.6))
    expected = {"": 0.4, "noise": 0.2, "music": 0.2, "reverb+noise": 0.2}
    assert found == pytest.approx(expected, abs=0.04)  # 3000 draws: five deviations


def test_speeds_are_drawn_apart_as_often_as_none() -> None:
    found = shares(live(kinds=["speed0.9", "noise", "tempo1.2"], probability=0.5))
    expected = ["", "noise", "speed0.9", "speed0.9+noise", "tempo1.2", "tempo1.2+noise"]
    assert found == pytest.approx(dict.fromkeys(expected, 1 / 6), abs=0.04)


def test_a_chain_with_a_speed_of_its_own_has_no_second_one() -> None:
    found = shares(live(kinds=["speed0.9", "speed1.1+noise"], probability=1.0), epochs=20)
    assert set(found) == {"speed1.1+noise"}


def test_the_ecapa_papers_six_copies_and_the_clean_one_are_as_often(repo: Path) -> None:
    content = yaml.safe_load((repo / "conf" / "augment" / "ecapa.yaml").read_text("utf-8"))
    assert content.pop("when") == "training"
    drawn = live(**content)
    expected = ["", "babble", "noise", "reverb", "tempo0.9+volume", "tempo1.1+volume", "opus"]
    assert shares(drawn) == pytest.approx(dict.fromkeys(expected, 1 / 7), abs=0.032)  # five deviations
    chain = draw("s1-u1", "tempo1.1+volume", drawn.options, POOLS)
    samples = np.random.default_rng(7).standard_normal(8000).astype(np.float32)
    np.testing.assert_array_equal(drawn.apply(samples, chain), drawn.apply(samples, chain[:1]))


def test_probability_of_zero_and_no_kinds_are_clean() -> None:
    assert set(shares(live(kinds=["noise", "music"], probability=0.0), 5)) == {""}
    assert set(shares(live(kinds=[], probability=1.0), 5)) == {""}


def test_a_draw_is_that_of_its_utterance_epoch_copy_and_key_alone() -> None:
    one, two = live(kinds=["noise", "babble"]), live(kinds=["noise", "babble"])
    first = {utt: one.draw(utt, 3, 1, "chunk7") for utt in SPEECH}
    assert first == {utt: two.draw(utt, 3, 1, "chunk7") for utt in reversed(SPEECH)}
    for other in ((4, 1, "chunk7"), (3, 2, "chunk7"), (3, 1, "chunk8")):
        assert first != {utt: one.draw(utt, *other) for utt in SPEECH}


def test_every_epoch_copy_and_chunk_draws_its_own_numbers() -> None:
    drawn = live(kinds=["noise"], probability=1.0)
    for how in ({"epoch": 3}, {"copy": 3}, {"key": "chunk3"}):
        assert drawn.draw("s1-u1", **how)[0]["snr_db"] != drawn.draw("s1-u1")[0]["snr_db"]


def test_babble_of_a_chunk_leaves_out_the_utterances_own_speaker() -> None:
    drawn = live(kinds=["babble"], probability=1.0)
    for epoch in range(20):
        (how,) = drawn.draw("s2-u1", epoch, key=f"chunk{epoch}")
        assert "s2" not in {SPEECH[voice["name"]] for voice in how["voices"]}


def test_a_kind_means_what_it_means_for_a_copy() -> None:
    drawn = live(kinds=["reverb+noise"], probability=1.0)
    for utt in SPEECH:
        assert drawn.draw(utt) == draw(utt, "reverb+noise", drawn.options, POOLS)


def test_a_clean_chain_leaves_the_samples_alone() -> None:
    np.testing.assert_array_equal(live().apply(AUDIO["s1-u1"], []), AUDIO["s1-u1"])


def test_a_voice_at_another_speed_is_another_speaker_unless_it_is_said_not_to_be() -> None:
    names = ["speed0.9", "noise", "speed1.1+noise", "tempo0.8"]
    new = live(kinds=names)
    assert Live.voices(new.options) == ["", "-speed0.9", "-speed1.1"]
    met = {new.suffix(new.draw(utt, epoch)) for utt in SPEECH for epoch in range(20)}
    assert met == set(Live.voices(new.options))
    same = live(kinds=names, speed_speakers="same")
    assert Live.voices(same.options) == [""]
    assert {same.suffix(same.draw(utt, epoch)) for utt in SPEECH for epoch in range(20)} == {""}


@pytest.mark.parametrize(
    ("names", "factor"),
    [(["noise"], 1.0), (["speed0.9"], 1.0), (["speed1.1+noise", "tempo1.3"], 1.3), ([], 1.0)],
)
def test_the_longest_factor_is_the_fastest(names: list[str], factor: float) -> None:
    assert longest_factor(AugmentOptions(kinds=names)) == live(kinds=names).longest_factor() == factor


def test_an_empty_pool_is_refused_before_training_begins() -> None:
    options, load = AugmentOptions(kinds=["reverb+noise"]), loader(lambda pool, name: AUDIO[name])
    with pytest.raises(InputError, match="to draw noise from for reverb.noise.*--augment.noise"):
        Live(options, {"rooms": ["r"]}, None, load, 8000)

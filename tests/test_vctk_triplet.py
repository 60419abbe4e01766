"""egs/vctk_triplet: two ways to mine, and the recipe over a miniature corpus in VCTK's layout."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml

from pysteps.recipe.options import parse
from pysteps.recipe.resolve import resolve
from tests.corpora import Voices
from tests.pipeline import REPO, TINY, run_sh
from tests.test_prepare_vctk import build


def conf(name: str) -> dict[str, object]:
    return yaml.safe_load((REPO / "conf" / "train" / f"{name}.yaml").read_text("utf-8"))


def test_only_mining_differs_between_the_two() -> None:
    hard, drawn = conf("triplet_hard"), conf("triplet_random")
    assert str(drawn["loss"]).replace("random", "hard") == hard["loss"]
    assert "mining=random" in str(drawn["loss"]) and drawn["epochs"] == 20
    assert {key for key in {*hard, *drawn} if hard.get(key) != drawn.get(key)} == {"loss"}


def test_the_recipe_is_a_cnn_on_clean_mel_spectrograms(tmp_path: Path) -> None:
    run = resolve(REPO, parse(["--recipe", "vctk_triplet", "--corpus", "/x", "--work", str(tmp_path)]))
    assert (run.prepare, run.options["models"]["encoder"], run.labels) == ("vctk", "cnn", "")
    features = run.options["features"]
    assert (features["num_mel_bins"], features["use_log_fbank"]) == (128, False)
    assert run.options["augment"]["kinds"] == []


@pytest.mark.long
def test_both_minings_run_from_the_corpus_to_eer_on_the_same_chunks(tmp_path: Path) -> None:
    corpus, work = build(tmp_path / "VCTK", Voices()), tmp_path / "work"
    settings = {key: one for key, one in TINY.items() if not key.startswith(("models.", "augment."))}
    settings |= {"audio.max_dropped": "0.3", "vad.max_dropped": "0.3", "models.network.channels": "[4,8]"}
    settings |= {"train.utterances_per_speaker": "2", "train.batch_size": "8"}
    words = ["--recipe", "vctk_triplet", "--corpus", str(corpus), "--work", str(work), "--ngpu", "0"]
    words += [part for key, value in settings.items() for part in (f"--{key}", value)]
    run_sh(*words, "--tag", "hard", "--nj", "2")
    (egs,) = (work / "exp" / "egs").iterdir()
    before = (egs / "egs.json").stat().st_mtime_ns
    run_sh(*words, "--tag", "random", "--train", "triplet_random")
    assert (egs / "egs.json").stat().st_mtime_ns == before
    losses = []
    for tag in ("hard", "random"):
        lines = [json.loads(line) for line in (work / "exp" / tag / "curves.jsonl").read_text().splitlines()]
        assert len(lines) == int(TINY["train.epochs"])
        assert all(-1 <= line["different_cosine"] <= line["same_cosine"] <= 1 for line in lines)
        found = json.loads((work / "exp" / tag / "results.json").read_text())
        assert 0 <= found["trials"]["eval"]["cosine"]["eer"] <= 50
        losses.append(lines[0]["loss"])
    assert losses[0] > losses[1] > 0  # the same weights and chunks: the hardest triplets cost more

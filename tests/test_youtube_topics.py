"""egs/youtube_topics: the split in numbers, and both networks over a miniature of the owner's layout."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

from local import youtube
from pysteps.formats.run import Run
from pysteps.formats.tables import read_table
from pysteps.recipe.options import parse
from pysteps.recipe.resolve import resolve
from tests.corpora import Voices, prepared
from tests.pipeline import REPO, TINY, run_sh
from tests.test_prepare_youtube import TOPICS, VIDEOS, list_of

WAV2VEC2 = ("--models", "wav2vec2_full", "--features", "samples", "--train", "wav2vec2", "--tag", "wav2vec2")
needs_transformers = pytest.mark.skipif(
    find_spec("transformers") is None, reason="transformers is not installed (requirements/ssl.txt)"
)


def resolved(work: Path, *words: str) -> Run:
    return resolve(REPO, parse(["--recipe", "youtube_topics", "--corpus", "/x", "--work", str(work), *words]))


def listed(root: Path, counts: dict[str, int]) -> None:
    """A list with so many videos of each topic, whose files are empty."""
    (root / "audio").mkdir(parents=True)
    rows = ["link,title,description,category"]
    for topic, count in counts.items():
        for number in range(count):
            video = f"{topic[:4]}{number:07d}"
            rows.append(f"{video},a,b,{topic}")
            (root / "audio" / f"{video}.m4a").touch()
    (root / "youtube.csv").write_text("\n".join(rows) + "\n")


def test_of_109_videos_a_topic_98_teach_and_11_judge(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(youtube, "duration", lambda path: (25 * 16000, 16000))
    listed(tmp_path / "in", dict(zip(TOPICS, (130, 180, 109, 250), strict=True)))
    data = prepared("youtube_topics", tmp_path / "in", tmp_path / "work")
    counts, videos = {}, list[str]()
    for name in ("train", "dev", "eval"):
        topic, video = read_table(data / name / "utt2topic"), read_table(data / name / "utt2spk")
        counts[name] = Counter({video[utt]: topic[utt] for utt in video}.values())
        videos += set(video.values())
    assert counts["eval"] == counts["dev"] == dict.fromkeys(TOPICS, 11)
    assert counts["train"] == dict.fromkeys(TOPICS, 98 - 11)  # of the 98, eleven say when to stop
    assert len(videos) == len(set(videos)) == 4 * 109  # no video, so no window of one, is in two sets


def test_the_recipe_balances_votes_and_stops_early(tmp_path: Path) -> None:
    run = resolved(tmp_path)
    assert run.labels == "utt2topic" and run.options["egs"]["balance"] == "subset"
    assert run.options["score"]["vote"] == "speaker" and run.options["prepare"]["choices"] == {"each": "109"}
    for words in ((), WAV2VEC2):
        train = resolved(tmp_path, *words).options["train"]
        assert train["loss"] == "softmax" and train["average_of"] == "best"
        assert 0 < train["patience"] < train["epochs"]


def miniature(root: Path) -> Path:
    """Four videos of each topic, a voice each: of 9 s, but for one of 25 s, and those of food of 5 s."""
    voices = Voices()
    for number, video in enumerate(video for videos in VIDEOS.values() for video in videos[:4]):
        seconds = 25.0 if video == "ehmsJLZlCZ0" else 5.0 if video in VIDEOS["food"] else 9.0
        kind = ("m4a", "wav")[number % 2]
        voices.write(root / "audio" / f"{video}.{kind}", video, 0, seconds, rate=44100)
    (root / "youtube.csv").write_text(list_of())
    return root


def words_of(folder: Path) -> list[str]:
    """Of ./run.sh for small runs on the miniature in ``folder``."""
    left_out = ("models", "augment", "backend")
    settings = {key: one for key, one in TINY.items() if key.split(".")[0] not in left_out}
    settings |= {"prepare.choices.window": "2", "prepare.choices.most": "4", "train.patience": "1"}
    words = ["--recipe", "youtube_topics", "--corpus", str(folder / "YouTube videos"), "--ngpu", "0"]
    words += ["--work", str(folder / "work")]
    return words + [part for key, value in settings.items() for part in (f"--{key}", value)]


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the miniature and a work folder in which the CNN ran through all stages."""
    folder = tmp_path_factory.mktemp("topics")
    miniature(folder / "YouTube videos")
    run_sh(*words_of(folder), "--models.network.channels", "[4,8]", "--tag", "cnn", "--nj", "2")
    return folder


def check_answers(work: Path, tag: str) -> None:
    """One answer a video, and the accuracy that follows; epochs judged by the dev loss."""
    exp = work / "exp" / tag
    found = json.loads((exp / "results.json").read_text())["classification"]["eval"]
    truth, video = (read_table(work / "data" / "eval" / name) for name in ("utt2topic", "utt2spk"))
    table = read_table(exp / "scores" / "eval" / "network")
    assert table.keys() == set(video.values())
    topic = {video[utt]: label for utt, label in truth.items()}
    right = np.mean([row.split()[0] == topic[name] for name, row in table.items()])
    assert found["network"]["accuracy"] == pytest.approx(100 * right)
    assert "unvoted" in found["network"] and set(found) == {"network", "xvector_logistic"}
    lines = [json.loads(line) for line in (exp / "curves.jsonl").read_text().splitlines()]
    assert all("dev_loss" in line and "dev_eer" not in line for line in lines)


@pytest.mark.long
def test_the_cnn_runs_from_the_corpus_to_a_voted_topic_a_video(ran: Path) -> None:
    check_answers(ran / "work", "cnn")


@pytest.mark.long
def test_a_long_video_gives_windows_from_all_over_it(ran: Path) -> None:
    tables = [read_table(ran / "work" / "data" / name / "segments") for name in ("train", "dev", "eval")]
    spans = [span for table in tables for utt, span in table.items() if utt.startswith("ehms")]
    assert len(spans) == 4
    assert np.allclose(np.diff(sorted(float(span.split()[1]) for span in spans)), 25 / 4, atol=0.05)


@pytest.mark.long
def test_training_has_as_many_windows_of_every_topic(ran: Path) -> None:
    # One video of each topic is in dev or eval, one held out: two are left, of two windows or four.
    left = read_table(ran / "work" / "exp" / "egs" / "topics_logmel128_none" / "filtered")
    topic = read_table(ran / "work" / "data" / "train" / "utt2topic")
    assert Counter(topic[utt] for utt in left) == {"art_music": 4, "history": 4, "travel": 4}


@pytest.mark.long
@needs_transformers
def test_wav2vec2_runs_too_and_is_set_against_the_cnn(ran: Path) -> None:
    from tests.test_models_ssl import saved

    saved(ran / "tiny", "Wav2Vec2")
    folder = ("--models.network.folder", str(ran / "tiny"), "--models.network.channels", "8")
    run_sh(*words_of(ran), *WAV2VEC2, *folder)
    check_answers(ran / "work", "wav2vec2")
    where = [str(ran / "work" / "exp" / tag) for tag in ("cnn", "wav2vec2")]
    compared = [sys.executable, "-m", "pysteps.score", "compare", *where, "--systems", "network"]
    said = subprocess.run(compared, cwd=REPO, capture_output=True, text=True, check=True).stdout
    assert "cnn/network" in said and "wav2vec2/network" in said

"""The page of a classification: what stands on it, its pictures, and its look in a real browser."""

from __future__ import annotations

import io
import json
import shutil
from dataclasses import replace

import numpy as np
import pytest

from pysteps.formats.errors import InputError
from pysteps.report import render_classes, update_class_results, update_results
from pysteps.report.classes import confusions, set_table
from pysteps.report.pictures import training_figures
from pysteps.score.answers import answers
from pysteps.score.class_figures import class_differences, judge_classes
from pysteps.score.pictures import plane
from tests.labelled_run import CLASSES, labelled_run
from tests.test_report_browser import CHROMIUM, WIDTHS, Browser

NAMES = ("network", "logistic-on-averages-of-spectrograms", "forest")


def figures_of(classes: int = 4, lost: int = 2) -> dict:
    """Three classifiers of two sets, names as long as real ones."""
    random, out = np.random.default_rng(5), {}
    labels = [f"a_class_with_a_long_name_{n}" for n in range(classes)]
    for name in ("test-clean", "conversations-of-evaluation-speakers"):
        utts = [f"u{n:03d}" for n in range(120)]
        truth = {utt: labels[n % classes] for n, utt in enumerate(utts)}
        people = {utt: f"s{n // 4}" for n, utt in enumerate(utts)}
        judged = {}
        for place, key in enumerate(NAMES):
            rows = random.dirichlet(np.ones(classes), size=120)
            rows[np.arange(120), np.arange(120) % classes] += 3 - 1.4 * place
            rows /= rows.sum(axis=1, keepdims=True)
            kept = {utt: n for n, utt in enumerate(utts) if n >= lost}
            judged[key] = judge_classes(answers(utts, kept, rows, labels), truth, people, replicates=50)
        part = {key: dict(one.figures) for key, one in judged.items()}
        for key in NAMES[1:]:
            part[key]["against"] = {NAMES[0]: class_differences(judged[key], judged[NAMES[0]])}
        out[name] = part
    return out


CURVES = [
    {"epoch": n, "loss": 2 / n, "dev_loss": 3 / n, "dev_accuracy": 1 - 1 / n}
    | {"dev_balanced_accuracy": 0.9 - 0.8 / n}
    for n in range(1, 5)
]


def page_of(out, **more):
    xy = np.random.default_rng(0).normal(size=(60, 2)).tolist()
    topics = {"topic": [f"class{n % 4}" for n in range(60)], "speaker": [f"s{n % 15}" for n in range(60)]}
    results = {"classification": figures_of(), "labels": "utt2topic", "vote": "utt2video"}
    results |= {"dropped": {"test": {"audio": 2}}, "seconds": {"train": 700.0}, "model": {"tag": "t"}}
    drawn = {"curves": CURVES, "plane": {"xy": xy, "labels": topics, "of": 60}}
    render_classes(results | more, out, title="youtube_topics: wav2vec2", caution="Few videos.", **drawn)
    return out


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    return page_of(tmp_path_factory.mktemp("page") / "report.html")


def test_the_page_says_the_figures_and_their_doubts(page):
    text, found = page.read_text("utf-8"), figures_of()
    for part in found.values():
        for one in part.values():
            assert f"<b>{one['accuracy']:.2f}</b>" in text
            assert "{:.2f} to {:.2f}".format(*one["accuracy_ci"]) in text
    assert "Always answering the most frequent class is right in 25.0 %." in text
    assert f"The accuracy of {NAMES[1]} cannot be told from that of network" in text
    assert "The accuracy of forest is below that of network" in text
    assert "What belongs together (<code>utt2video</code>)" in text
    assert "ROC-AUC" not in text and text.count("<details>") == 4
    assert "Few videos." in text and 'href="#vectors"' in text


def test_what_is_true_of_several_is_said_once():
    part = {key: {**one, "against": {}} for key, one in figures_of()["test-clean"].items()}
    for key, ends in (
        ("logistic", [0.1, 2.0]),
        ("mlp", [0.5, 3.0]),
        ("forest", [-1.0, 1.0]),
        ("boosting", None),
    ):
        gaps = {"accuracy_difference": 1.0, "accuracy_difference_ci": ends}
        part[key] = {**part["network"], "against": {"network": gaps}}
    said = set_table("test", part, dict.fromkeys(part, "red"))["said"]
    assert {one.split(";")[0].split(":")[0] for one in said[2:]} == {
        "The accuracy of logistic, mlp is above that of network",
        "The accuracy of forest cannot be told from that of network",
        "The accuracy of boosting cannot be told from that of network",
    }


def test_of_two_classes_there_is_an_auc(tmp_path):
    results = {"classification": figures_of(2), "labels": "spk2gender"}
    render_classes(results, tmp_path / "page.html")
    text = (tmp_path / "page.html").read_text("utf-8")
    assert text.count("<th>ROC-AUC</th>") == 4 and "Each recording" in text
    with pytest.raises(InputError, match="nothing to report"):
        render_classes({}, tmp_path / "page.html")


def test_those_without_an_answer_have_a_column():
    found = confusions(figures_of())
    one = found["test-clean: network"]
    assert one["labels"][-1] == "no answer" and np.sum(one["counts"]) == 120
    assert np.sum(one["counts"], axis=0)[-1] == 2 and not any(one["counts"][-1])
    assert "no answer" not in confusions(figures_of(lost=0))["test-clean: network"]["labels"]


def test_training_shows_the_development_set():
    figures = training_figures(CURVES)
    assert list(figures) == ["loss", "accuracy, development speakers"]
    drawn = [line.get_label() for line in figures["loss"].axes[0].get_lines()]
    assert drawn == ["training", "development"]
    lines = figures["accuracy, development speakers"].axes[0].get_lines()
    assert lines[1].get_ydata().tolist() == pytest.approx([0.1, 0.5, 0.9 - 0.8 / 3, 0.7])


def test_x_vectors_are_coloured_by_label(tmp_path):
    run = labelled_run(tmp_path)
    found = plane(run, 0)
    assert list(found["labels"]) == ["topic", "speaker", "gender", "set"]
    assert set(found["labels"]["topic"]) == set(CLASSES)
    topics = {name: run.set(name).labels("utt2topic") for name in ("train", "dev", "eval")}
    people = {run.set(name).utt2spk()[utt]: one for name, of in topics.items() for utt, one in of.items()}
    pairs = zip(found["labels"]["speaker"], found["labels"]["topic"], strict=True)
    assert all(people[speaker] == topic for speaker, topic in pairs)


def test_genders_by_utterance_are_the_ones_on_the_plane(tmp_path):
    run = replace(labelled_run(tmp_path), labels="utt2gender")
    for name in ("train", "dev", "eval"):
        shutil.copy(run.data / name / "utt2topic", run.data / name / "utt2gender")
    labels = plane(run, 0)["labels"]
    assert list(labels) == ["gender", "speaker", "set"] and set(labels["gender"]) == set(CLASSES)


def test_both_tables_of_results_live_in_one_file(tmp_path):
    path, found = tmp_path / "RESULTS.md", {"recipe": "r", "model": {"tag": "t"}}
    figures = {"eer": 3.21, "targets": 4, "nontargets": 5, "speakers": 6}
    update_results(path, found | {"trials": {"eval": {"plda": figures}}})
    update_class_results(path, found | {"classification": figures_of(2)})
    update_class_results(path, found | {"classification": figures_of(3)})
    lines = path.read_text("utf-8").splitlines()
    rows = [line for line in lines if line.startswith("| r | t |")]
    assert len(rows) == 1 + 6 and "3.21" in rows[0]
    one = figures_of(3)["test-clean"]["network"]
    assert f"{one['accuracy']:.2f} (" in rows[1] and rows[1].endswith("|  | 120 | 30 |")
    update_results(path, found | {"trials": {"eval": {"plda": figures | {"eer": 1.0}}}})
    lines = path.read_text("utf-8").splitlines()
    assert [line for line in lines if line.startswith("| r | t |")][1:] == rows[1:]


def test_votes_are_told_from_answers(tmp_path):
    path, found = tmp_path / "RESULTS.md", {"recipe": "r", "model": {"tag": "t"}, "vote": "speaker"}
    update_class_results(path, found | {"classification": figures_of(1)})
    assert "| r | t | test-clean, votes by speaker |" in path.read_text("utf-8")
    update_class_results(path, found | {"classification": figures_of(1), "vote": "none"})
    assert "| r | t | test-clean |" in path.read_text("utf-8") and "votes" not in path.read_text("utf-8")


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    if CHROMIUM is None:
        pytest.skip("no chromium here: apt-get install chromium")
    started = Browser(tmp_path_factory.mktemp("chromium"))
    yield started
    started.close()


@pytest.mark.parametrize("width", WIDTHS.values(), ids=list(WIDTHS))
def test_it_can_be_read_at_any_width(browser, page, width):
    from matplotlib.image import imread

    browser.open(page.as_uri(), width)
    browser.ask("document.querySelectorAll('details').forEach(one => one.open = true), 1")
    wide = "[...document.querySelectorAll('body *')]"
    wide += ".filter(e => e.getBoundingClientRect().right > innerWidth + 1)"
    assert browser.ask(f"{wide}.map(e => e.tagName + ' ' + e.textContent.slice(0, 40)).join('; ')") == ""
    assert browser.ask("document.documentElement.scrollWidth") <= width
    text = "[...document.querySelectorAll('p, td, th, li, dd, small, figcaption, summary')]"
    sizes = ".filter(e => e.offsetParent).map(e => parseFloat(getComputedStyle(e).fontSize))"
    assert browser.ask(f"Math.min(...{text}{sizes})") >= 11.5
    sizes = "[...document.images].map(i => [i.naturalWidth, i.width])"
    drawn = json.loads(browser.ask(f"JSON.stringify({sizes})"))
    assert len(drawn) == 6 + 2 + 2 and all(own > 0 and shown >= 300 for own, shown in drawn)
    lost = "[...document.querySelectorAll('a')].filter(a => !document.querySelector(a.getAttribute('href')))"
    assert browser.ask(f"{lost}.length") == 0
    pixels = imread(io.BytesIO(browser.screenshot()))
    assert pixels.shape[1] == width and pixels.shape[0] > 2500
    for part in np.array_split(pixels[..., :3], 10):  # there is ink everywhere, and paper
        assert 0.005 < (part < 0.9).any(axis=-1).mean() < 0.6

"""The report page: what it says, that it holds everything, that it is the same twice."""

from __future__ import annotations

import base64
import re

import numpy as np
import pytest

from pysteps.formats.errors import InputError
from pysteps.report import render
from pysteps.report.tables import seconds_table

FIGURES = {
    "eer": 7.654,
    "eer_ci": [6.01, 9.02],
    "threshold": 0.3131,
    "min_dcf": {"0.01": 0.511, "0.05": 0.311, "0.001": 0.711},
    "min_dcf_ci": {"0.01": [0.4, 0.6], "0.05": [0.2, 0.4], "0.001": [0.6, 1.0]},
    "targets": 1234,
    "nontargets": 56789,
    "speakers": 18,
    "dropped_trials": 17,
}
PAIRED = {
    "eer_difference": -9.87,
    "eer_difference_ci": [-12.5, -6.5],
    "eer_ratio": 0.44,
    "eer_ratio_ci": [0.3, 0.6],
}
RESULTS = {
    "trials": {
        "within <package>": {
            "baseline": {**FIGURES, "eer": 17.5},
            "cosine": {**FIGURES, "against_baseline": PAIRED},
        }
    },
    "dropped": {"eval": {"audio": 2, "vad": 3}},
    "model": {"name": "ecapa", "steps": 400},
    "seconds": {"features": 12.3, "train": 4000.0},
}
POINTS = np.column_stack([np.linspace(1, 0, 20), np.linspace(0, 1, 20) ** 2])
DET = {"within <package>": {"cosine": POINTS.tolist(), "baseline": POINTS}}
CURVES = [{"epoch": number, "loss": 5 / number, "dev_eer": 20 / number, "lr": 1e-3} for number in range(1, 6)]


@pytest.fixture(scope="module")
def page(tmp_path_factory) -> str:
    out = tmp_path_factory.mktemp("report") / "report.html"
    render(RESULTS, DET, CURVES, out, title="egs/mini", caution="One session a speaker: <b>optimistic</b>.")
    return out.read_text()


def test_figures_stand_with_their_intervals(page):
    for text in ("7.65", "6.01 to 9.02", "0.511", "0.400 to 0.600", "17.50", "0.3131", "1,234 same-speaker"):
        assert text in page


def test_paired_difference_stands_beside_the_model(page):
    for text in ("−9.87", "−12.50 to −6.50", "0.30 to 0.60", "EER of cosine is below that of the baseline"):
        assert text in page


def test_baseline_comes_after_the_model(page):
    assert page.index("</span>cosine</td>") < page.index("</span>baseline</td>")


def test_dropped_counts_and_seconds_are_told(page):
    assert re.search(r"eval · vad</td><td>3<", page)
    assert "1 h 06 min" in page and "12.3 s" in page


def test_the_time_of_each_stage_stands_in_the_stages_order():
    found = seconds_table({"backend": 2.0, "zoo": 1.0, "train": 40.0, "prepare": 10.0})
    assert [stage for stage, *_ in found] == ["prepare", "train", "backend", "zoo"]
    assert found[0] == ("prepare", 10.0, 25.0) and found[3] == ("zoo", 1.0, 2.5)


def test_what_the_figure_can_show_is_said(page):
    assert "With 18 speakers even the intervals are rough" in page
    assert "optimistic" in page


def test_foreign_text_is_escaped(page):
    assert "within &lt;package&gt;" in page and "&lt;b&gt;optimistic" in page
    assert "<b>optimistic" not in page


def test_the_page_needs_nothing_else(page):
    assert not re.search(r'(src|href)="(?!data:|#)', page) and "<script" not in page
    pictures = re.findall(r'src="data:image/svg\+xml;base64,([^"]+)"', page)
    assert len(pictures) == 4  # DET, loss, development EER, learning rate: one each, for narrow screens
    for picture in pictures:
        assert b"<dc:date>" not in base64.b64decode(picture)


def test_pictures_are_the_same_twice(tmp_path):
    for name in ("a", "b"):
        render(RESULTS, DET, CURVES, tmp_path / name / "report.html")
    for file in ("report.html", "det.png"):
        assert (tmp_path / "a" / file).read_bytes() == (tmp_path / "b" / file).read_bytes()
    assert (tmp_path / "a/det.png").read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"


def test_little_is_enough(tmp_path):
    bare = {key: FIGURES[key] for key in ("eer", "eer_ci", "min_dcf", "targets", "nontargets")}
    render({"trials": {"x": {"plda": {**bare, "threshold": None}}}}, {}, [], tmp_path / "report.html")
    text = (tmp_path / "report.html").read_text()
    assert "7.65" in text and "<img" not in text and "None." in text
    assert not (tmp_path / "det.png").exists()


def test_a_difference_that_holds_zero_is_said_so(tmp_path):
    figures = {**FIGURES, "against_baseline": {**PAIRED, "eer_difference_ci": [-1.0, 1.0]}}
    render({"trials": {"x": {"cosine": figures}}}, {}, [], tmp_path / "report.html")
    assert "cannot be told from that of the baseline" in (tmp_path / "report.html").read_text()


def test_no_trials_is_refused(tmp_path):
    with pytest.raises(InputError, match="nothing to report"):
        render({"trials": {}}, {}, [], tmp_path / "report.html")

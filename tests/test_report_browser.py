"""The page in a real browser: Debian's chromium without a screen, from a phone's width to a desk's."""

from __future__ import annotations

import base64
import io
import json
import os
import select
import shutil
import subprocess

import numpy as np
import pytest

from pysteps.report import calibration_curve, confusion, render, render_comparison, score_histogram

CHROMIUM = shutil.which("chromium")
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no chromium here: apt-get install chromium")
WIDTHS = {"desk": 1280, "tablet": 800, "small laptop": 965, "phone": 390}


class Browser:
    """Speaks the DevTools protocol over two pipes: JSON messages that end in a zero byte."""

    def __init__(self, folder):
        ours, theirs = os.pipe(), os.pipe()
        options = ["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"]
        options += ["--remote-debugging-pipe", "--no-first-run", f"--user-data-dir={folder}", "about:blank"]
        self.process = subprocess.Popen(
            ["bash", "-c", f'exec "$@" 3<&{ours[0]} 4>&{theirs[1]}', "bash", CHROMIUM, *options],
            pass_fds=(ours[0], theirs[1]),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        os.close(ours[0])
        os.close(theirs[1])
        self.out, self.into = open(ours[1], "wb", buffering=0), open(theirs[0], "rb", buffering=0)
        self.number, self.events, self.session = 0, [], None
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        self.session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Network", "Log"):
            self.call(f"{domain}.enable")

    def _next(self):
        text = b""
        while not text.endswith(b"\0"):
            ready = select.select([self.into], [], [], 60)[0]
            part = self.into.read(1 << 16) if ready else b""
            if not part:
                raise EOFError("chromium went away" if ready else "chromium says nothing")
            text += part
        return [json.loads(one) for one in text.split(b"\0") if one]

    def _read(self, wanted):
        while True:
            for message in self._next():
                self.events.append(message)
            for message in self.events:
                if wanted(message):
                    return message

    def call(self, method, **params):
        self.number += 1
        message = {"id": self.number, "method": method, "params": params}
        if self.session:
            message["sessionId"] = self.session
        self.out.write(json.dumps(message).encode() + b"\0")
        answer = self._read(lambda one, number=self.number: one.get("id") == number)
        assert "error" not in answer, answer
        return answer["result"]

    def open(self, url, width):
        self.events.clear()
        self.call(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=900,
            deviceScaleFactor=1,
            mobile=width < 700,
        )
        self.call("Emulation.setScrollbarsHidden", hidden=True)
        self.call("Page.navigate", url=url)
        if not any(one.get("method") == "Page.loadEventFired" for one in self.events):
            self._read(lambda one: one.get("method") == "Page.loadEventFired")

    def ask(self, expression):
        return self.call("Runtime.evaluate", expression=expression, returnByValue=True)["result"]["value"]

    def screenshot(self):
        return base64.b64decode(self.call("Page.captureScreenshot", captureBeyondViewport=True)["data"])

    def close(self):
        self.out.write(b'{"id":0,"method":"Browser.close"}\0')
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            os.killpg(self.process.pid, 9)
            self.process.wait()
        self.out.close()
        self.into.close()


POINTS = ("0.01", "0.05", "0.001")
DIFFERENCES = {f"{key}_difference": dict.fromkeys(POINTS, -0.123) for key in ("min_dcf", "act_dcf")}
DIFFERENCES |= {f"{key}_difference_ci": dict.fromkeys(POINTS, [-0.2, -0.1]) for key in ("min_dcf", "act_dcf")}
DIFFERENCES |= {f"{key}_difference": -0.234 for key in ("cllr", "min_cllr")}
DIFFERENCES |= {f"{key}_difference_ci": [-0.345, -0.123] for key in ("cllr", "min_cllr")}
DIFFERENCES |= {"eer_difference": -9.8, "eer_difference_ci": [-12.5, -6.5], "eer_ratio": 0.4}


DER = {"der": 16.42, "der_ci": [9.5, 24.1], "missed": 0.0, "false_alarm": 0.3, "confusion": 16.1, "jer": 34.3}
DER |= {"jer_ci": [23.7, 45.4], "speakers_found": 45, "speakers_reference": 48}


def results(rng):
    """Three back ends on two lists, names as long as real ones, and every optional picture."""
    label = np.arange(600) < 200
    figures = {"targets": 200, "nontargets": 400, "speakers": 12, "dropped_trials": 3, "threshold": 0.25}
    figures |= {"eer": 12.3, "eer_ci": [8.1, 17.9], "min_dcf": {"0.01": 0.71, "0.05": 0.5, "0.001": 0.9}}
    figures |= {"min_dcf_ci": {"0.01": [0.6, 0.8], "0.05": [0.4, 0.6], "0.001": [0.8, 1.0]}}
    paired = {"eer_difference": -9.8, "eer_difference_ci": [-12.5, -6.5], "eer_ratio": 0.4}
    llr = {"cllr": 0.5, "min_cllr": 0.4, "act_dcf": {"0.01": 0.8, "0.05": 0.6}}
    part = {
        "plda": {**figures, **llr, "against_baseline": {**paired, "eer_ratio_ci": [0.3, 0.6]}},
        "cosine-as-norm-300-cohort-of-speakers": {
            **figures,
            "conditions": {"gender": {"female": figures}},
            "against": {"plda": DIFFERENCES},
        },
        "baseline": figures,
    }
    scores = rng.normal(np.where(label, 2.0, -2.0), 2.0)
    names = ("eval.all", "voxceleb1-hard-cleaned.same-nationality-and-gender")
    points = np.column_stack([np.linspace(1, 0, 20), np.linspace(0, 1, 20) ** 2])
    speakers = [f"speaker-with-a-long-name-{row // 8:03d}" for row in range(240)]
    genders = ["f" if row % 2 else "m" for row in range(240)]
    labels = {"speaker": speakers, "gender": genders, "set": ["eval"] * 240}
    return {
        "results": {"trials": dict.fromkeys(names, part), "seconds": {"train": 7000.0, "score": 9.0}},
        "det": {name: dict.fromkeys(part, points) for name in names},
        "curves": [{"epoch": n, "loss": 5 / n, "valid_loss": 6 / n, "dev_eer": 9 / n} for n in (1, 2, 3)],
        "title": "voxceleb: ecapa1024_fbank80_voxceleb2_augmented_large_margin",
        "caution": "One session a speaker.",
        "histograms": {names[1]: dict.fromkeys(part, score_histogram(scores, label))},
        "calibration": {names[1]: {"plda": calibration_curve(scores, label)}},
        "plane": {"xy": rng.normal(size=(240, 2)).tolist(), "of": 240, "labels": labels},
        "confusions": {"speakers": confusion(speakers, speakers[1:] + speakers[:1])},
        "diarization": {
            "method": "vbx",
            "sets": {"conversations-of-evaluation-speakers": {"recordings": 24, "rates": {"all": DER}}},
        },
    }


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    started = Browser(tmp_path_factory.mktemp("chromium"))
    yield started
    started.close()


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    out = tmp_path_factory.mktemp("page with spaces é") / "report.html"
    render(out=out, **results(np.random.default_rng(7)))
    return out


@pytest.fixture(params=WIDTHS.values(), ids=WIDTHS)
def opened(request, browser, page):
    browser.open(page.as_uri(), request.param)
    return browser, request.param


def test_nothing_is_wider_than_the_screen(opened):
    browser, width = opened
    _refuse_wide(browser, width)


def _refuse_wide(browser, width):
    wide = "[...document.querySelectorAll('body *')]"
    wide += ".filter(e => e.getBoundingClientRect().right > innerWidth + 1)"
    assert browser.ask("innerWidth") == width
    assert browser.ask("document.documentElement.scrollWidth") <= width
    assert browser.ask(f"{wide}.map(e => e.tagName + ' ' + e.textContent.slice(0, 40)).join('; ')") == ""


def test_a_comparison_is_no_wider_than_the_screen(browser, tmp_path):
    names = ("resnet34-of-another-toolkit.scores", "ecapa1024.calibrated", "fused")
    figures = results(np.random.default_rng(0))["results"]["trials"]["eval.all"]["plda"]
    systems = {name: {"trials": {"voxceleb1-hard-cleaned.txt": {"": figures}}} for name in names}
    pairs = [
        {"trials": "voxceleb1-hard-cleaned.txt", "first": one, "second": names[0], **DIFFERENCES}
        for one in names[1:]
    ]
    render_comparison(systems, tmp_path / "page.html", differences=pairs)
    for width in WIDTHS.values():
        browser.open((tmp_path / "page.html").as_uri(), width)
        _refuse_wide(browser, width)


def test_every_picture_is_drawn_and_large_enough(opened):
    browser, width = opened
    sizes = json.loads(
        browser.ask("JSON.stringify([...document.images].map(i => [i.naturalWidth, i.width, i.alt.length]))")
    )
    # DET, scores, calibration, speaker and gender, confusion, training
    assert len(sizes) == 2 + 3 + 2 + 2 + 1 + 2
    for natural, shown, alternative in sizes:
        assert natural > 0 and alternative > 10
        assert shown >= (300 if width > 700 else 340)


def test_letters_can_be_read(opened):
    browser, _ = opened
    text = "[...document.querySelectorAll('p, td, th, li, dd, small, figcaption')]"
    sizes = ".filter(e => e.offsetParent).map(e => parseFloat(getComputedStyle(e).fontSize))"
    assert browser.ask(f"Math.min(...{text}{sizes})") >= 11.5


def test_the_browser_asks_nobody_and_complains_of_nothing(opened):
    browser, _ = opened
    asked = [
        one["params"]["request"]["url"]
        for one in browser.events
        if one.get("method") == "Network.requestWillBeSent"
    ]
    assert [url for url in asked if not url.startswith(("data:", "file:"))] == []
    assert sum(url.startswith("file:") for url in asked) == 1
    complaints = ("Log.entryAdded", "Runtime.exceptionThrown", "Network.loadingFailed")
    assert [one for one in browser.events if one.get("method") in complaints] == []


def test_the_links_lead_somewhere(opened):
    browser, _ = opened
    lost = "[...document.querySelectorAll('a')].filter(a => !document.querySelector(a.getAttribute('href')))"
    assert browser.ask("document.querySelectorAll('nav a').length") == 11
    assert browser.ask(f"{lost}.length") == 0


def test_a_phone_gets_cards_with_named_figures(browser, page):
    browser.open(page.as_uri(), WIDTHS["phone"])
    cell = "document.querySelector('table.cards td[data-label]')"
    assert browser.ask(f"getComputedStyle({cell}, '::before').content") == '"EER, %"'
    label = browser.ask("document.querySelector('td[data-label^=female]').dataset.label")
    assert label == "female, 200 + 400 trials, 12 speakers"  # a table's head does not show
    browser.open(page.as_uri(), WIDTHS["desk"])
    assert browser.ask(f"getComputedStyle({cell}, '::before').content") == "none"


def test_a_screenshot_shows_the_whole_page(opened):
    from matplotlib.image import imread

    browser, width = opened
    pixels = imread(io.BytesIO(browser.screenshot()))
    assert pixels.shape[1] == width and pixels.shape[0] > 2500
    for part in np.array_split(pixels[..., :3], 10):  # there is ink everywhere, and paper
        assert 0.005 < (part < 0.9).any(axis=-1).mean() < 0.6

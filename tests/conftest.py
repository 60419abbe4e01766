"""Fixtures shared by all tests."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.web import Server

REPO = Path(__file__).resolve().parent.parent


def pytest_configure() -> None:
    """Let Ctrl-C be heard: a background job begins with SIGINT ignored, and so would all that tests start."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def repo() -> Path:
    """The root of the checkout."""
    return REPO


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Real speech and published reference values that live beside the project, not in it."""
    folder = Path(os.environ.get("TIMBRE_SHARED", REPO.parent / "shared" / "data"))
    if not folder.is_dir():
        pytest.skip(f"no reference data at {folder}; set TIMBRE_SHARED to the folder that holds it")
    return folder


@pytest.fixture(scope="session")
def prepared_conversations(repo: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What ``conversations`` copies: made once."""
    from tests.conversing import prepare

    return prepare(repo, tmp_path_factory.mktemp("conversations"))


@pytest.fixture
def conversations(prepared_conversations: Path, tmp_path: Path) -> Path:
    """A work folder as stages 0 to 8 leave it, of recordings of seconds, for stage diarize."""
    from tests.conversing import copied

    return copied(prepared_conversations, tmp_path / "work")


@pytest.fixture
def undrawn(monkeypatch: pytest.MonkeyPatch) -> None:
    """Stage 9 without its pictures, a second a page: they are drawn in tests/test_report_*.py."""
    for room in ("page", "sections"):
        monkeypatch.setattr(f"pysteps.report.{room}.picture", lambda *_: b"")
    for kind in ("det_figure", "histogram_figure", "reliability_figure", "bayes_figure", "confusion_figure"):
        monkeypatch.setattr(f"pysteps.report.sections.{kind}", lambda *_, **__: None)
    monkeypatch.setattr("pysteps.report.page.det_figure", lambda *_, **__: None)
    monkeypatch.setattr("pysteps.report.sections.training_figures", lambda *_: {})
    monkeypatch.setattr("pysteps.score.pictures.plane", lambda *_: None)


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    """A web server on this machine."""
    from tests.web import Server

    monkeypatch.setenv("no_proxy", "127.0.0.1")
    started = Server()
    yield started
    started.close()

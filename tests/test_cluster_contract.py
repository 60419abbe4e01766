"""steps/cmd/contract.py: what every launcher reads and says."""

from __future__ import annotations

import importlib
import io
from pathlib import Path
from types import ModuleType

import pytest


@pytest.fixture
def contract(repo: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(repo / "steps" / "cmd"))
    return importlib.import_module("contract")


def test_the_command_line_of_the_contract(contract: ModuleType) -> None:
    words = ["--mem", "4", "--gpu=2", "--num-threads", "3", "N=2:5", "a/xN.N.log", "echo", "N", "--gpu", "9"]
    request = contract.parse(words)
    assert request.options == {"mem": "4", "gpu": "2", "num-threads": "3"}
    assert list(request.jobs) == [2, 3, 4, 5]
    assert request.log_of(4) == "a/x4.4.log" and request.argv(4) == ["echo", "4", "--gpu", "9"]


@pytest.mark.parametrize(
    ("said", "gigabytes"), [("4", 4.0), ("4G", 4.0), ("512M", 0.5), ("1.5g", 1.5), (None, None)]
)
def test_memory_is_gigabytes_unless_it_says_otherwise(
    contract: ModuleType, said: str | None, gigabytes: float | None
) -> None:
    request = contract.parse([*(["--mem", said] if said else []), "x.log", "true"])
    assert request.gigabytes == gigabytes


@pytest.mark.parametrize(
    ("log", "name"),
    [("a/features.JOB.log", "features"), ("JOB.log", "job"), ("a_JOB_b.log", "a_b"), ("train.log", "train")],
)
def test_a_fan_out_is_called_by_its_log(contract: ModuleType, log: str, name: str) -> None:
    assert contract.parse(["JOB=1:1", log, "true"]).name == name


def test_a_launchers_own_option_is_known_to_it_alone(contract: ModuleType) -> None:
    assert contract.parse(["--nodes", "2", "x.log", "true"], {"nodes": r"\d"}).options == {"nodes": "2"}
    with pytest.raises(contract.Refused, match="unknown option --nodes"):
        contract.parse(["--nodes", "2", "x.log", "true"])


def test_settings_are_keys_and_one_level_of_folders(contract: ModuleType, tmp_path: Path) -> None:
    path = tmp_path / "site.yaml"
    path.write_text(
        "# a site\nretries: 2   # twice\nempty:\n\ncpu:   # the usual\n  queue: 'a b'\n"
        "  extra: -l x=y#z\n  nothing:\ngpu:\n  queue: g.q\npoll: 9\n"
    )
    found = {"retries": "2", "cpu.queue": "a b", "cpu.extra": "-l x=y#z", "gpu.queue": "g.q", "poll": "9"}
    assert contract.read_settings(str(path)) == found


def test_what_is_no_setting_is_refused_with_its_line(contract: ModuleType, tmp_path: Path) -> None:
    (tmp_path / "site.yaml").write_text("retries: 2\n- a list\n")
    with pytest.raises(contract.Refused, match=r"site\.yaml:2: .*- a list"):
        contract.read_settings(str(tmp_path / "site.yaml"))


def test_the_kind_of_a_job(contract: ModuleType) -> None:
    settings = {"io.jobs": "prepare egs"}
    assert contract.kind_of(contract.parse(["JOB=1:2", "log/egs.JOB.log", "true"]), settings) == "io"
    assert contract.kind_of(contract.parse(["--gpu", "1", "log/egs.log", "true"]), settings) == "gpu"
    assert contract.kind_of(contract.parse(["--gpu", "0", "log/egs.log", "true"]), settings) == "io"
    assert contract.kind_of(contract.parse(["log/egs.log", "true"]), {}) == "cpu"


def test_of_a_progress_bar_the_tail_has_the_last_state(contract: ModuleType, tmp_path: Path) -> None:
    log = tmp_path / "a.log"
    log.write_bytes(b"# head\none\n10%\r50%\r90%\r\nend\n")
    assert contract.tail(str(log)) == ["# head", "one", "90%", "end"]
    assert contract.tail(str(log), start=len(b"# head\n"), lines=2) == ["90%", "end"]
    assert contract.tail(str(tmp_path / "none.log")) == []


@pytest.mark.parametrize(
    ("code", "words"),
    [(3, "exit code 3"), (127, "not found"), (137, "SIGKILL (killed, perhaps"), (143, "SIGTERM")],
)
def test_exit_codes_in_words(contract: ModuleType, code: int, words: str) -> None:
    assert words in contract.meaning(code)


def test_progress_off_a_terminal_is_a_line_every_half_minute(
    contract: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a.log").write_text("# head\n7/9 utt\n")
    now = [100.0]
    monkeypatch.setattr(contract.time, "monotonic", lambda: now[0])
    stream = io.StringIO()
    progress = contract.Progress("features", 4, stream)
    for now[0] in (101.0, 129.9, 130.1, 159.0, 161.0):
        progress.show(2, ", 2 running", [str(tmp_path / "a.log")])
    lines = stream.getvalue().splitlines()
    assert lines == [
        "features: 2/4 jobs done, 30 s, 2 running | 7/9 utt",
        "features: 2/4 jobs done, 61 s, 2 running | 7/9 utt",
    ]

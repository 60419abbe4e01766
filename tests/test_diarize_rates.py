"""Stage diarize on recordings of seconds: the tuned threshold, the turns, the error rates."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy.optimize import linear_sum_assignment

from pysteps.diarize import speakers
from pysteps.diarize.methods import summary
from pysteps.diarize.options import DiarizeOptions
from pysteps.diarize.turns import Turn, Turns, read_rttm, write_rttm
from pysteps.diarize.work import Inputs, diarize
from pysteps.diarize.xvectors import method_of
from pysteps.formats.errors import InputError
from pysteps.formats.run import Run
from pysteps.formats.tables import write_table
from tests.conversing import DEV, EVAL, done, resolved


def error_rate(truth: Turns, found: Turns, step: float = 0.001) -> float:
    """DER in percent counted on instants ``step`` apart, speakers mapped so that most instants agree."""
    wrong = speech = 0
    for recording, turns in truth.items():
        ends = [turn.end for turn in (*turns, *found.get(recording, []))]
        at = np.arange(step / 2, max(ends), step)
        said, heard = (_who(part, at) for part in (turns, found.get(recording, [])))
        agree = np.array(
            [[((said == a) & (heard == b)).sum() for b in set(heard) - {""}] for a in set(said) - {""}]
        )
        right = agree[linear_sum_assignment(-agree)].sum()
        speech += (said != "").sum()
        wrong += np.maximum(said != "", heard != "").sum() - right
    return 100 * wrong / speech


def _who(turns: list[Turn], at: np.ndarray) -> np.ndarray:
    names = np.full(len(at), "", object)
    for turn in turns:
        names[(at >= turn.start) & (at < turn.end)] = turn.speaker
    return names


def test_the_threshold_is_dev_s_and_gives_the_turns_and_their_rates(repo: Path, conversations: Path) -> None:
    pytest.importorskip("pyannote.metrics", reason="pip install -r requirements/diarize.txt")
    run = resolved(repo, conversations, "--diarize.threshold", "0.9")  # dev's stands for it
    found = done(run)
    chosen = found["threshold"]
    assert chosen["tuned"] and chosen["set"] == DEV
    assert chosen["der"] == min(error for _, error in chosen["tried"])
    assert chosen["der"] == pytest.approx(found["sets"][DEV]["rates"]["all"]["der"])

    folder, options = run.exp / "diarize" / EVAL, DiarizeOptions(**run.options["diarize"])
    inputs = Inputs.load(
        str(folder / "xvector.scp"),
        str(folder / "segments"),
        str(run.exp / "backend" / "cosine"),
        None,
        options,
    )
    turns = diarize(inputs, replace(options, threshold=chosen["threshold"]))
    write_rttm(conversations / "again", turns)
    assert (conversations / "again").read_bytes() == (method_of(run) / EVAL / "rttm").read_bytes()
    write_rttm(conversations / "conf", diarize(inputs, options))
    assert (conversations / "conf").read_bytes() != (method_of(run) / EVAL / "rttm").read_bytes()

    assert f"threshold {chosen['threshold']:.4g} from {DEV}" in summary(run)


@pytest.mark.parametrize("threshold", ["0.0", "0.9", "-0.9"])
def test_error_rates_are_those_counted_instant_by_instant(
    repo: Path, conversations: Path, threshold: str
) -> None:
    pytest.importorskip("pyannote.metrics", reason="pip install -r requirements/diarize.txt")
    run = resolved(repo, conversations, "--diarize.tune", "false", "--diarize.threshold", threshold)
    found = done(run)["sets"][EVAL]
    truth, said = read_rttm(run.data / EVAL / "rttm"), read_rttm(method_of(run) / EVAL / "rttm")
    total = found["rates"]["all"]
    assert total["der"] == pytest.approx(error_rate(truth, said), abs=0.05)
    assert total["der_ci"][0] <= total["der"] <= total["der_ci"][1]
    assert found["recordings"] == len(found["rates"]["recordings"]) == 5 and found["role"] == "evaluation"
    assert f"{EVAL}: 5 recordings: below 10" in summary(run)


def test_without_pyannote_the_turns_are_there_and_the_way_to_rates_is_said(
    repo: Path, conversations: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pyannote.metrics", None)
    run = resolved(repo, conversations)
    found = done(run)
    assert not found["threshold"]["tuned"] and found["sets"][EVAL]["rates"] is None
    assert len(read_rttm(method_of(run) / EVAL / "rttm")) == 5
    text = summary(run)
    assert "pip install -r requirements/diarize.txt" in text and "not tuned: pyannote" in text
    monkeypatch.undo()
    pytest.importorskip("pyannote.metrics", reason="pip install -r requirements/diarize.txt")
    said = speakers.units(run)[0].stale()
    assert said == "threshold: 0.0 -> None; tuned.pyannote: False -> True"


def test_a_set_without_a_truth_gets_its_turns(repo: Path, conversations: Path) -> None:
    run = resolved(repo, conversations)
    (run.data / EVAL / "rttm").unlink()
    found = done(run)["sets"]
    assert found[EVAL]["rates"] is None and "rttm is missing" in found[EVAL]["why"]
    assert found[DEV]["rates"] is not None
    assert f"{EVAL}: no error rates" in summary(run)


def test_given_numbers_of_speakers(repo: Path, conversations: Path) -> None:
    run = resolved(repo, conversations, "--diarize.given_numbers", "true")
    numbers = {f"{EVAL}-{n}": str(1 + n % 3) for n in range(5)}
    write_table(run.data / EVAL / "reco2num_spk", numbers)
    write_table(run.data / DEV / "reco2num_spk", {f"{DEV}-{n}": "2" for n in range(3)})
    assert done(run)["threshold"]["why"] == "the number of speakers is given"
    turns = read_rttm(method_of(run) / EVAL / "rttm")
    assert {name: str(len({turn.speaker for turn in found})) for name, found in turns.items()} == numbers


def _rename(run: Run, before: str, after: str) -> None:
    path = run.data / EVAL / "rttm"
    path.write_text(path.read_text().replace(before, after))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda run: _rename(run, f" {EVAL}0 ", " heard "),
            "1 speakers of eval-conversations are in train too",
        ),
        (lambda run: _rename(run, f"{EVAL}-3 ", "other "), "1 recordings are not in the set .*: other"),
    ],
)
def test_a_truth_that_does_not_fit_is_refused(
    repo: Path, conversations: Path, change: Callable[[Run], None], message: str
) -> None:
    run = resolved(repo, conversations)
    change(run)
    with pytest.raises(InputError, match=message):
        done(run)

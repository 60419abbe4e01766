"""The line that names a loss: what it says, and what is refused."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from pysteps.formats.errors import InputError
from pysteps.train.line import AamWords, Term, parse_loss
from pysteps.train.options import TrainOptions


def test_a_line_is_terms_with_weights_and_words() -> None:
    line = "aam subcentres=3 top=5 penalty=0.07 + 0.003 center + 1e-2 triplet"
    assert parse_loss(line)[:1] == [Term(1, "aam", AamWords(3, 5, 0.07))]
    assert [(term.weight, term.name) for term in parse_loss(line)[1:]] == [
        (0.003, "center"),
        (0.01, "triplet"),
    ]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("", "a term without a loss"),
        ("aam +", "a term without a loss"),
        ("0.3", "a term without a loss"),
        ("amm", "loss 'amm': unknown loss 'amm'; known: aam, am, .*did you mean am"),
        ("aam+center", "unknown loss 'aam\\+center'"),
        ("aam subcenters=3", "aam has no word subcenters=3 .*its words: subcentres, top, penalty"),
        ("aam top", "aam has no word top"),
        ("softmax x=1", "its words: none"),
        ("aam top=many", "aam: top=many is no int"),
        ("aam top=2 top=3", "aam: top is given twice"),
        ("aam subcentres=0", "aam: subcentres=0: at least 1"),
        ("proto scale=0", "proto: scale=0: at least 1e-06"),
        ("aam penalty=nan", "aam: penalty=nan: at least 0"),
        ("-1 aam", "the weight -1 is not above 0"),
        ("triplet mining=easy", "triplet: unknown mining=easy: known are random, hard, semihard"),
        ("sphereface2 share=1", "sphereface2: share=1: between 0 and 1"),
        ("aam + center rate=0", "center: rate=0: above 0"),
        ("center + aam", "center tells no speakers apart by itself .*softmax \\+ 0.01 center"),
    ],
)
def test_a_line_that_is_no_loss_is_refused(line: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        TrainOptions(loss=line, batch_size=12, utterances_per_speaker=2)


@pytest.mark.parametrize(
    ("rest", "message"),
    [
        (
            {"loss": "triplet"},
            "utterances_per_speaker is 0: triplet needs .*utterances_per_speaker 2 or more",
        ),
        ({"loss": "aam + 0.1 ge2e", "utterances_per_speaker": 1}, "is 1: ge2e needs"),
        ({"utterances_per_speaker": -1}, "is -1: it is below 0"),
        ({"loss": "ge2e", "utterances_per_speaker": 5, "batch_size": 9}, "no two speakers of 5 .*size 10"),
    ],
)
def test_batches_that_do_not_fit_the_loss_are_refused(rest: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        TrainOptions(**rest)


def test_a_line_needs_no_torch(repo: Path) -> None:
    code = "import sys, pysteps.train.line, pysteps.train.options; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=repo, check=False).returncode == 0

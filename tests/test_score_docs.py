"""The commands of docs/scores.md do what the page says, as they stand there."""

from __future__ import annotations

import json
import re
import shlex

import kaldiio
import numpy as np
import pytest

from pysteps.backend import commands as backend
from pysteps.score import commands as score

ROOMS = {"backend": backend, "score": score}


@pytest.fixture
def corpus(tmp_path, monkeypatch):
    """train, dev and eval x-vectors of 6 speakers each, as another toolkit leaves them; new.scores."""
    monkeypatch.chdir(tmp_path)
    draw = np.random.default_rng(0)
    for place, name in enumerate(("train", "dev", "eval")):
        speakers = draw.normal(size=(6, 8))
        vectors = {
            f"s{10 * place + n % 6}-{n}": (speakers[n % 6] + 0.8 * draw.normal(size=8)).astype(np.float32)
            for n in range(30)
        }
        kaldiio.save_ark(f"{name}.ark", vectors, scp=f"{name}.scp")
        who = {one: one[: one.index("-")] for one in sorted(vectors)}
        (tmp_path / f"{name}.utt2spk").write_text("".join(f"{a} {b}\n" for a, b in who.items()))
        (tmp_path / f"{name}.utt2dur").write_text("".join(f"{a} {draw.integers(2, 9)}\n" for a in who))
        pairs = [(a, b) for a in vectors for b in vectors if a < b]
        kind = ["target" if who[a] == who[b] else "nontarget" for a, b in pairs]
        lines = [f"{a} {b} {one}\n" for (a, b), one in zip(pairs, kind, strict=True)]
        (tmp_path / f"{name}.trials").write_text("".join(lines))
    (tmp_path / "new.scores").write_text("caller s1 0.73\ncaller s2 -0.1\n")
    return tmp_path


def test_every_command_of_the_page_runs(repo, corpus, capsys):
    text = (repo / "docs" / "scores.md").read_text("utf-8")
    lines = re.findall(r"^ +python -m pysteps\.(\w+) (.+)$", text, re.MULTILINE)
    words = {shlex.split(line)[0] for _, line in lines}
    assert words >= {"cosine", "plda", "evaluate", "calibrate", "fuse", "compare", "threshold", "fit"}
    for room, line in lines:
        given = shlex.split(line)
        quick = ["--replicates", "20"] if given[0] in ("evaluate", "compare", "threshold") else []
        ROOMS[room].main([*given, *quick])
    assert len((corpus / "eval.fused").read_text().splitlines()) == 435
    new = [float(line.split()[2]) for line in (corpus / "new.llr").read_text().splitlines()]
    assert new[0] > 0 > new[1]  # a high cosine speaks for one speaker, a low one against
    assert json.loads((corpus / "threshold.json").read_text())["threshold"] == pytest.approx(np.log(9.9))
    assert "DET curves of eval.trials" in (corpus / "systems.html").read_text("utf-8")

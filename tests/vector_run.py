"""A run whose x-vectors no network made: sets of a few speakers for the tests of stages 8 and 9."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np

from pysteps.backend import Backend, stage
from pysteps.formats import arks, tables
from pysteps.formats.run import Run
from pysteps.formats.stamps import Unit
from pysteps.score import stage as score

RANDOM = np.random.default_rng(3)


def add_set(run: Run, name: str, speakers: int, utterances: int = 6, shift: float = 0.0) -> None:
    folder, vectors = run.data / name, run.exp / "xvectors" / name
    vectors.mkdir(parents=True)
    names = [f"{name}{s:02d}" for s in range(speakers)]
    utt2spk = {f"{one}-{u}": one for one in names for u in range(utterances)}
    voice = {one: RANDOM.normal(size=5) * 2 for one in names}
    tables.write_table(folder / "utt2spk", utt2spk)
    for table in ("xvector", "baseline"):
        with arks.writing(vectors / f"{table}.ark") as writer:
            for utt, one in utt2spk.items():
                writer.array(utt, (voice[one] + RANDOM.normal(size=5) + shift).astype(np.float32))
        tables.write_table(vectors / f"{table}.scp", writer.scp)


def small_run(tmp_path: Path) -> Run:
    options = {
        "backend": {
            "backends": {"mine": "center | plda"},
            "calibration": "logistic",
            "quality": [],
            "seed": 0,
        },
        "augment": {"kinds": []},
        "score": {"replicates": 20, "seed": 0, "max_dropped": 0.5},
    }
    names = {name: "x" for name in ("audio", "vad", "features")}
    found = Run("r", "c", "p", str(tmp_path), "tag", "egs", "train", "dev", ["eval"], names, options)
    add_set(found, "train", 20)
    add_set(found, "dev", 8)
    add_set(found, "eval", 8)
    utts = list(found.set("eval").utt2spk().items())
    with open(found.data / "eval" / "trials", "w") as handle:
        for n, (one, a) in enumerate(utts):
            for two, b in utts[:n]:
                handle.write(f"{one} {two} {'target' if a == b else 'nontarget'}\n")
    (found.exp / "model").mkdir()
    (found.exp / "model" / "model.json").write_text("{}")
    return found


def with_backends(run: Run, **backends: str) -> Run:
    options = {**run.options, "backend": {**run.options["backend"], "backends": backends}}
    return replace(run, options=options)


def learn(run: Run, name: str = "mine") -> Backend:
    (unit,) = (unit for unit in stage.units(run) if unit.name == name)
    stage.do(run, unit)
    return Backend.load(unit.folder)


def staged(run: Run) -> list[Unit]:
    """Do and stamp every stale unit of stages 8 and 9; what was done."""
    done = []
    for module in (stage, score):
        for unit in module.units(run):
            if unit.stale() is not None:
                module.do(run, unit)
                unit.done()
                done.append(unit)
    return done


def figures_of(run: Run, back: str = "mine") -> dict:
    return json.loads((run.exp / "results.json").read_text())["trials"]["eval"][back]


def with_model(run: Run) -> Run:
    (run.exp / "model" / "model.json").write_text(json.dumps({"model": {"name": "none"}}))
    return run

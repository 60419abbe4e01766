"""A run with labels whose x-vectors no network made, for the tests of stages 8 and 9 as classification."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from pysteps.formats import arks, tables
from pysteps.formats.run import Run

CLASSES = ("art", "food", "travel")
_NAMES = {name: "x" for name in ("audio", "vad", "features")}


def add_labelled(run: Run, name: str, speakers: int, classes: tuple[str, ...], seed: int) -> None:
    """A set of ``speakers`` with four utterances each; a speaker's class is his number's remainder."""
    random = np.random.default_rng(seed)
    vectors = run.exp / "xvectors" / name
    vectors.mkdir(parents=True)
    people = [f"{name}{number:02d}" for number in range(speakers)]
    utt2spk = {f"{one}-{number}": one for one in people for number in range(4)}
    topic = {utt: classes[int(one[-2:]) % len(classes)] for utt, one in utt2spk.items()}
    tables.write_table(run.data / name / "utt2spk", utt2spk)
    tables.write_table(run.data / name / "utt2topic", topic)
    centre = {label: np.eye(6)[place] * 3 for place, label in enumerate(classes)}
    for table, spread in (("xvector", 1.0), ("baseline", 2.0), ("posterior", 1.0)):
        with arks.writing(vectors / f"{table}.ark") as writer:
            for utt in sorted(utt2spk):
                row = centre[topic[utt]] + random.normal(size=6) * spread
                if table == "posterior":
                    row = np.exp(row[: len(classes)])[::-1]  # in the order of model/speakers
                    row = row / row.sum()
                writer.array(utt, row.astype(np.float32))
        tables.write_table(vectors / f"{table}.scp", writer.scp)


def labelled_run(tmp_path: Path, classes: tuple[str, ...] = CLASSES, **classifiers: str) -> Run:
    """Training, development and one evaluation set, ``classifiers`` (default: the network and logistic)."""
    lines = classifiers or {"network": "network", "logistic": "xvectors | center | length-norm | logistic"}
    options = {
        "backend": {"backends": {}, "classifiers": lines, "calibration": "none", "quality": [], "seed": 0},
        "augment": {"kinds": []},
        "score": {"replicates": 50, "seed": 0, "max_dropped": 0.5, "vote": "none"},
    }
    sets = ("train", "dev", ["eval"])
    run = Run("r", "c", "p", str(tmp_path), "tag", "egs", *sets, _NAMES, options, labels="utt2topic")
    for seed, (name, speakers) in enumerate((("train", 18), ("dev", 6), ("eval", 12))):
        add_labelled(run, name, speakers, classes, seed)
    model = run.exp / "model"
    model.mkdir()
    (model / "model.json").write_text(json.dumps({"model": {"name": "none"}}))
    (model / "speakers").write_text("".join(f"{one}\n" for one in classes[::-1]))
    return run

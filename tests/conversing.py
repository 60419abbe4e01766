"""A work folder as stages 0 to 8 leave it, for stage diarize's tests: seconds, random weights."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np

from pysteps.backend import Backend
from pysteps.diarize import speakers, stage, xvectors
from pysteps.diarize.turns import Turn, write_rttm
from pysteps.diarize.xvectors import method_of
from pysteps.features.contract import contract
from pysteps.formats import command
from pysteps.formats.arks import writing
from pysteps.formats.run import Run
from pysteps.formats.tables import write_table
from pysteps.recipe.options import parse
from pysteps.recipe.resolve import resolve
from tests.pipeline import TINY

DEV, EVAL = "dev-conversations", "eval-conversations"
WORDS = [word for key, value in TINY.items() if "models" in key for word in (f"--{key}", value)]
WORDS += ["--diarize.window", "0.8", "--diarize.shift", "0.4", "--diarize.shard_recordings", "2"]
WORDS += ["--diarize.least_gap", "0.2", "--diarize.max_dropped", "0.2", "--diarize.collar", "0"]


def resolved(repo: Path, work: Path, *words: str) -> Run:
    return resolve(repo, parse(["--recipe", "conversations", "--work", str(work), *WORDS, *words]))


def _recordings(run: Run, name: str, count: int) -> None:
    # Three turns of 2 to 3 s of two of four voices, 0.4 s apart: a voice is a mean of its features.
    random = np.random.default_rng(len(name))
    voices, truth, tables = np.random.default_rng(0).normal(size=(4, 64)) * 2, {}, {}
    features, vad = run.of("features", name), run.of("vad", name)
    with (
        writing(features / "feats.1.ark") as feats,
        writing(features / "cmvn.1.ark") as cmvn,
        writing(vad / "vad.1.ark") as decisions,
    ):
        for number in range(count):
            recording, (one, two) = f"{name}-{number}", random.choice(4, 2, replace=False)
            frames, voiced, turns = [], [], []
            for who in (one, two, one):
                length = int(random.integers(200, 300))
                turns.append(Turn(len(voiced) / 100, (len(voiced) + length) / 100, f"{name}{who}"))
                frames.append(voices[who] + random.normal(size=(length + 40, 64)))
                voiced += [1] * length + [0] * 40
            matrix, mask = np.concatenate(frames).astype(np.float32), np.array(voiced, np.float32)
            kept, stats = matrix[mask > 0], np.zeros((2, 65))
            stats[0, :64], stats[1, :64], stats[0, 64] = kept.sum(0), (kept**2).sum(0), len(kept)
            feats.array(recording, matrix)
            cmvn.array(recording, stats)
            decisions.array(recording, mask)
            truth[recording], tables[recording] = turns, recording
    for folder, table, writer in (
        (features, "feats", feats),
        (features, "cmvn", cmvn),
        (vad, "vad", decisions),
    ):
        write_table(folder / f"{table}.scp", writer.scp)
    (features / "contract.json").write_text(json.dumps(contract(run)))
    write_table(run.data / name / "utt2spk", tables)
    write_rttm(run.data / name / "rttm", truth)


def prepare(repo: Path, work: Path) -> Path:
    """Fill ``work``: three and five recordings, a model of random weights, two back ends; returns it."""
    import torch

    from pysteps.models.model import SpeakerModel, save_model
    from pysteps.models.options import ModelOptions

    run = resolved(repo, work)
    _recordings(run, DEV, 3)
    _recordings(run, EVAL, 5)
    write_table(run.data / "train" / "utt2spk", {f"heard-{n}": "heard" for n in range(3)})
    with torch.random.fork_rng():
        torch.manual_seed(0)
        save_model(SpeakerModel(ModelOptions(**run.options["models"])), run.exp / "model", contract(run))
    random = np.random.default_rng(0)
    vectors = random.normal(size=(40, 32))
    for name, line in (("cosine", "length-norm | cosine"), ("plda", "length-norm | plda")):
        labels = [f"s{n % 8}" for n in range(40)]
        Backend.fit(line, vectors, labels).save(run.exp / "backend" / name)
    return work


def copied(prepared: Path, copy: Path) -> Path:
    """A copy of ``prepared``, its archives named anew."""
    shutil.copytree(prepared, copy)
    for table in copy.rglob("*.scp"):
        table.write_text(table.read_text().replace(str(prepared), str(copy)))
    return copy


def sharded(run: Run, jobs: int = 1) -> None:
    _, todo = command.plan(xvectors, run)
    for number in range(1, jobs + 1):
        command.job(xvectors, run, todo, number, jobs)
    command.gather(xvectors, run)


def done(run: Run, jobs: int = 1) -> dict:
    """The whole stage; what results.json says."""
    sharded(run, jobs)
    command.single(speakers, run)
    assert [unit.stale() for unit in stage.units(run)] == [None] * 6
    return json.loads((method_of(run) / "results.json").read_text())


def products(run: Run) -> dict[str, bytes]:
    """What the stage wrote, by path, without stamps and marks, and without the work folder's name."""
    folder = run.exp / "diarize"
    paths = [path for path in folder.rglob("*") if path.is_file() and "shards" not in path.parts]
    return {
        str(path.relative_to(folder)): path.read_bytes().replace(run.work.encode(), b"WORK")
        for path in paths
        if not path.name.startswith(".")
    }

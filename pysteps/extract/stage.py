"""Stage 7, extract: x-vectors of whole utterances and of speakers, and the baseline's vectors beside them.

In a run with labels also what the network's own loss says of each x-vector: the classes' posteriors.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from ..features.contract import contract, read, refuse_mismatch
from ..formats import arks, scratch
from ..formats.drops import conclude_drops
from ..formats.run import Run
from ..formats.shards import Tables
from ..formats.stamps import Unit
from ..formats.tables import invert, read_table, write_table
from ..formats.vectors import read_rows
from ..train.options import TrainOptions
from ..train.phases import phases_of
from ..train.stage import LOSS

NAME = "extract"
VERSION = 1
TABLES = ("xvector.scp", "baseline.scp", "dropped")
POSTERIORS = "posterior.scp"  # with labels: each x-vector's, classes in the order of model/speakers
ARCHIVES = ("xvector.*.ark", "baseline.*.ark")


def folder_of(run: Run, name: str) -> Path:
    """exp/TAG/xvectors/SET."""
    return run.exp / "xvectors" / name


def units(run: Run) -> list[Unit]:
    """One unit a set of utterances."""
    found = []
    for name in run.utterance_sets:
        features, folder = run.of("features", name), folder_of(run, name)
        found.append(
            Unit(
                name=name,
                stage=NAME,
                folder=folder,
                version=VERSION,
                options={
                    **run.deciding(NAME),
                    "contract": contract(run),
                    **({"labels": run.labels, "loss": _loss(run)} if run.labels else {}),
                },
                inputs=(
                    run.exp / "model" / "model.safetensors",
                    run.exp / "model" / "model.json",
                    features / "feats.scp",
                    features / "contract.json",
                    *((run.exp / "model" / name for name in LOSS) if run.labels else ()),
                ),
                upstream=(features / ".features.done.json",),
                outputs=tuple(folder / table for table in (*TABLES[:2], "spk_xvector.scp", *_more(run))),
            )
        )
    return found


def _more(run: Run) -> list[str]:
    return [POSTERIORS] if run.labels else []


def _loss(run: Run) -> list[Any]:
    # What says how the weights of the loss are computed with.
    options = phases_of(TrainOptions(**run.options["train"]))[-1]
    return [options.loss, options.scale, options.hidden_dim]


def items(run: Run, unit: Unit) -> list[str]:
    """What stage features kept; a set whose features are not the model's is refused, and with labels a model
    that tells others."""
    from ..models.model import read_description

    if run.labels:
        from .posteriors import refuse_classes

        refuse_classes(run)
    folder = run.of("features", unit.name)
    refuse_mismatch(read_description(run.exp / "model")["features"], read(folder), folder)
    return sorted(read_table(folder / "feats.scp"))


def shard_size(run: Run) -> int:
    """Utterances a shard."""
    return run.options[NAME]["shard_utterances"]


def worker(run: Run) -> Callable[[Unit, int, list[str]], Tables]:
    """Embed a shard's utterances."""
    import torch

    from ..features.voiced import VoicedFeatures
    from ..models.model import embed, load_model
    from .vectors import embed_all, mean_and_deviation

    torch.set_num_threads(1)
    model = load_model(run.exp / "model").to("cuda" if torch.cuda.is_available() else "cpu")
    options, disk = run.options[NAME], scratch.chosen()

    def do(unit: Unit, number: int, utts: list[str]) -> Tables:
        features, baseline, dropped = {}, {}, {}
        with VoicedFeatures(run, unit.name) as voiced, voiced.near(disk, utts):
            for utt in utts:
                matrix = voiced.matrix(utt)
                if len(matrix) < model.min_frames:
                    dropped[utt] = f"{len(matrix)} voiced frames, the network needs {model.min_frames}"
                    continue
                features[utt], baseline[utt] = matrix, mean_and_deviation(voiced.raw(utt))
        vectors = embed_all(
            features, lambda batch: embed(model, batch), options["batch_size"], options["max_frames"]
        )
        scps = {}
        for name, table in (("xvector", vectors), ("baseline", baseline)):
            with arks.writing(unit.folder / f"{name}.{number}.ark") as writer:
                for utt in sorted(table):
                    writer.array(utt, table[utt])
            scps[f"{name}.scp"] = writer.scp
        return {**scps, "dropped": dropped}

    return do


def _groups(speakers: dict[str, list[str]], most: int = 20_000) -> Iterator[dict[str, list[str]]]:
    # Speakers in order, of some ``most`` utterances together: their vectors fit in memory.
    some: dict[str, list[str]] = {}
    count = 0
    for speaker, utts in speakers.items():
        some[speaker] = utts
        count += len(utts)
        if count >= most:
            yield some
            some, count = {}, 0
    if some:
        yield some


def conclude(run: Run, unit: Unit) -> None:
    """Average each speaker's x-vectors and count what was dropped; with labels also the posteriors."""
    table = read_table(unit.folder / "xvector.scp")
    utt2spk = run.set(unit.name).utt2spk()
    speakers = invert({utt: utt2spk[utt] for utt in table})
    with arks.writing(unit.folder / "spk_xvector.ark") as writer:
        for some in _groups({speaker: utts.split() for speaker, utts in speakers.items()}):
            rows = read_rows({utt: table[utt] for utts in some.values() for utt in utts}, unit.folder)
            at = 0
            for speaker, utts in some.items():
                writer.array(speaker, np.mean(rows[at : at + len(utts)], axis=0))
                at += len(utts)
    write_table(unit.folder / "spk_xvector.scp", writer.scp)
    if run.labels:
        from .posteriors import write_posteriors

        write_posteriors(run, unit.folder)
    conclude_drops(run, NAME, unit.name, unit.folder / "dropped")

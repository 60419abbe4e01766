"""Stage 8, backend: what is learned from the training set's x-vectors before any trial is seen."""

from __future__ import annotations

from pathlib import Path

from ..formats.run import Run
from ..formats.stamps import Unit

NAME = "backend"
VERSION = 1
VECTORS = {"cosine": "xvector.scp", "plda": "xvector.scp", "baseline": "baseline.scp"}


def folder_of(run: Run, name: str) -> Path:
    """exp/TAG/backend/NAME."""
    return run.exp / "backend" / name


def units(run: Run) -> list[Unit]:
    """One unit a back end: cosine, plda, and the baseline."""
    source = run.exp / "xvectors" / run.train_set
    chains = {"cosine": run.options[NAME]["cosine"], "plda": run.options[NAME]["plda"], "baseline": "center"}
    return [
        Unit(
            name=name,
            stage=NAME,
            folder=folder_of(run, name),
            version=VERSION,
            options={
                "chain": chain,
                "iterations": run.options[NAME]["plda_iterations"] if name == "plda" else 0,
            },
            inputs=(source / VECTORS[name], run.data / run.train_set / "utt2spk"),
            upstream=(source / ".extract.done.json",),
            outputs=(folder_of(run, name) / "chain.json",),
        )
        for name, chain in chains.items()
    ]


def do(run: Run, unit: Unit) -> None:
    """Fit one back end's chain, and PLDA where it is one."""
    from .chain import fit
    from .plda import fit_plda
    from .vectors import read_vectors

    utts, vectors = read_vectors(unit.inputs[0])
    utt2spk = run.set(run.train_set).utt2spk()
    speakers = [utt2spk[utt] for utt in utts]
    chain = fit(unit.options["chain"], vectors, speakers)
    if unit.name == "plda":
        plda = fit_plda(chain.apply(vectors), speakers, iterations=unit.options["iterations"])
        plda.save(unit.folder / "plda")
    chain.save(unit.folder)

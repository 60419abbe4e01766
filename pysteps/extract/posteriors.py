"""What a classifier's own loss makes of x-vectors: the posteriors of its classes."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ..formats import arks
from ..formats.errors import InputError
from ..formats.run import Run
from ..formats.tables import read_table, write_table
from ..formats.vectors import read_rows
from ..train.options import TrainOptions

TOGETHER = 20_000  # x-vectors that are in memory


def refuse_classes(run: Run) -> None:
    """InputError where none of the labels of the training set is a class of the model: it tells others."""
    path = run.exp / "model" / "speakers"
    if not path.is_file():
        raise InputError(
            "no such file", where=path, mend="run stage train: it writes the classes of the loss"
        )
    names = path.read_text("utf-8").split("\n")[:-1]
    if not set(names) & set(run.classes(run.train_set).values()):
        said = f"the model tells {', '.join(names[:5])}, none of them a label of {run.labels}"
        raise InputError(said, where=path, mend="train a model on these labels")


def posteriors(run: Run, vectors: np.ndarray) -> np.ndarray:
    """Posteriors float32 [N, class] of ``vectors`` [N, xvector] by the run's loss, without margin.

    Classes are in the order of exp/TAG/model/speakers. InputError where the loss is not there, or another.
    """
    from ..train.judge import log_posteriors
    from ..train.start import load_head

    head, _ = load_head(run.exp / "model", TrainOptions(**run.options["train"]), vectors.shape[1])
    return np.exp(log_posteriors(head, vectors)).astype(np.float32)


def write_posteriors(run: Run, folder: Path) -> None:
    """Write ``folder``/posterior.{ark,scp}: of the x-vectors of ``folder``/xvector.scp.

    On a CPU: it is cheap, and the bits are the same wherever the x-vectors were made.
    """
    import torch

    torch.set_num_threads(1)
    table = read_table(folder / "xvector.scp")
    utts = sorted(table)
    with arks.writing(folder / "posterior.ark") as writer:
        for begin in range(0, len(utts), TOGETHER):
            some = utts[begin : begin + TOGETHER]
            rows = read_rows({utt: table[utt] for utt in some}, folder)
            for utt, row in zip(some, posteriors(run, rows), strict=True):
                writer.array(utt, row)
    write_table(folder / "posterior.scp", writer.scp)

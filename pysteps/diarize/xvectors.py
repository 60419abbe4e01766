"""The sharded half of stage diarize: windows of whole recordings and their x-vectors."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

from ..features.contract import contract, read, refuse_mismatch
from ..formats.errors import InputError
from ..formats.records import read_json
from ..formats.run import Run
from ..formats.shards import Tables
from ..formats.stamps import Unit
from ..formats.tables import is_sorted, read_table, write_table
from .options import CUTTING, DiarizeOptions
from .spoken import truth_of
from .turns import read_rttm

NAME = "diarize"
VERSION = 1
TABLES = ("segments", "xvector.scp", "dropped")
ARCHIVES = ("xvector.*.ark",)


def method_of(run: Run) -> Path:
    """Where the turns and error rates of the conf in use lie: methods stand side by side."""
    return run.exp / NAME / run.names[NAME]


def options_of(run: Run) -> DiarizeOptions:
    """The run's options of diarization."""
    return DiarizeOptions(**run.options[NAME])


def units(run: Run) -> list[Unit]:
    """One unit a set of whole recordings."""
    found = []
    chosen = {key: value for key, value in run.deciding(NAME).items() if key in CUTTING}
    chosen |= {key: run.options["extract"][key] for key in ("batch_size", "max_frames")}
    for name in run.conversation_sets:
        features, vad, folder = run.of("features", name), run.of("vad", name), run.windows(name)
        model, truth = run.exp / "model", run.data / name / "rttm"
        cut_by_truth = chosen["speech"] == "reference" and truth.is_file()  # else ``items`` says what to do
        found.append(
            Unit(
                name=name,
                stage=NAME,
                folder=folder,
                version=VERSION,
                options={**chosen, "contract": contract(run)},
                inputs=(
                    *(model / file for file in ("model.safetensors", "model.json")),
                    *(features / file for file in ("feats.scp", "contract.json")),
                    vad / "vad.scp",
                    *([truth] if cut_by_truth else []),
                ),
                upstream=(features / ".features.done.json", vad / ".vad.done.json"),
                outputs=tuple(folder / table for table in TABLES),
            )
        )
    return found


def items(run: Run, unit: Unit) -> list[str]:
    """The recordings that have features; features that are not the model's are refused."""
    folder, path = run.of("features", unit.name), run.exp / "model" / "model.json"
    description = read_json(path, "the model's description", mend="run stage train")  # without torch
    if not isinstance(description, dict) or not isinstance(description.get("features"), dict):
        raise InputError("not the description of a model", where=path, mend="run stage train")
    refuse_mismatch(description["features"], read(folder), folder)
    if options_of(run).speech == "reference":
        truth_of(run, unit.name)
    _refuse_heard(run, unit.name)
    return sorted(read_table(folder / "feats.scp"))


def _refuse_heard(run: Run, name: str) -> None:
    # data/SET/utt2spk of whole recordings says nothing of who speaks: the truth does.
    path = run.data / name / "rttm"
    if path.is_file() and run.set(run.train_set).has("utt2spk"):
        speaking = {turn.speaker for turns in read_rttm(path).values() for turn in turns}
        heard = sorted(speaking & set(run.set(run.train_set).utt2spk().values()))
        if heard:
            raise InputError(
                f"{len(heard)} speakers of {name} are in {run.train_set} too: {' '.join(heard[:5])} ...",
                where=path,
                mend="take them out of the training set",
            )


def shard_size(run: Run) -> int:
    """Recordings a shard."""
    return run.options[NAME]["shard_recordings"]


def worker(run: Run) -> Callable[[Unit, int, list[str]], Tables]:
    """Cut a shard's recordings into windows and embed them."""
    from .extract import WindowEmbedder

    embedder = WindowEmbedder(run, (), options_of(run))  # plan has looked at the features

    def do(unit: Unit, number: int, recordings: list[str]) -> Tables:
        return embedder.write(unit.name, recordings, unit.folder / f"xvector.{number}.ark")

    return do


def conclude(run: Run, unit: Unit) -> None:
    """Bring the tables into order and count what was dropped; too large a share stops the stage."""
    tables = {name: read_table(unit.folder / name) for name in TABLES}
    for name, table in tables.items():
        if not is_sorted(table):  # a recording's name may begin with another's
            write_table(unit.folder / name, table)
    windows, dropped = len(tables["segments"]), tables["dropped"]
    if not windows:
        raise InputError("no window of speech in any recording", where=unit.folder, mend="look at the VAD")
    if not dropped:
        return
    share, limit = len(dropped) / (windows + len(dropped)), run.options[NAME]["max_dropped"]
    first, reason = next(iter(dropped.items()))
    said = f"dropped {len(dropped)} of {windows + len(dropped)} windows, first {first}: {reason}"
    print(f"{NAME} {unit.name}: {said}", file=sys.stderr)
    if share > limit:
        raise InputError(
            f"{said} ({share:.1%}, allowed {limit:.1%})",
            where=unit.folder / "dropped",
            mend=f"raise --{NAME}.least_window or --{NAME}.max_dropped",
        )

"""Stage 4, features: fbank or MFCC of every utterance and copy, their CMVN statistics and contract."""

from __future__ import annotations

import json
from collections.abc import Callable

from ..formats import arks
from ..formats.atomic import write_text
from ..formats.drops import conclude_drops
from ..formats.run import Run
from ..formats.shards import Tables
from ..formats.stamps import Unit
from ..formats.tables import read_table
from .contract import FeaturesOptions, contract

NAME = "features"
VERSION = 1
TABLES = ("feats.scp", "cmvn.scp", "utt2num_frames", "dropped")
ARCHIVES = ("feats.*.ark", "cmvn.*.ark")


def units(run: Run) -> list[Unit]:
    """One unit a set, copies too."""
    found = []
    for name in [*run.base_sets, *run.copies]:
        folder, vad = run.of(NAME, name), run.of("vad", name)
        copy = name in run.copies
        upstream = (
            (run.data / name / ".augment.done.json",)
            if copy
            else (run.of("audio", name) / ".audio.done.json", vad / ".vad.done.json")
        )
        found.append(
            Unit(
                name=name,
                stage=NAME,
                folder=folder,
                version=VERSION,
                options={**run.deciding(NAME), "contract": contract(run)},
                inputs=(
                    run.audio_scp(name),
                    vad / "vad.scp",
                    *((run.data / name / "augment",) if copy else ()),
                ),
                upstream=upstream,
                outputs=tuple(folder / table for table in (*TABLES[:3], "contract.json")),
            )
        )
    return found


def items(run: Run, unit: Unit) -> list[str]:
    """What stage vad kept."""
    return sorted(read_table(run.of("vad", unit.name) / "vad.scp"))


def shard_size(run: Run) -> int:
    """Utterances a shard."""
    return run.options[NAME]["shard_utterances"]


def worker(run: Run) -> Callable[[Unit, int, list[str]], Tables]:
    """Compute a shard's features; frames must agree with the VAD's."""
    import torch

    from ..augment.audio import Audio
    from ..formats.errors import InputError
    from .cmvn import cmvn_stats
    from .fbank import Fbank, compute

    torch.set_num_threads(1)
    options = FeaturesOptions(**run.options[NAME])
    fbank = Fbank(options.acoustic())

    def do(unit: Unit, number: int, utts: list[str]) -> Tables:
        vad = read_table(run.of("vad", unit.name) / "vad.scp")
        frames, statistics, dropped = {}, {}, {}
        with (
            Audio(run, unit.name) as audio,
            arks.Archive() as archive,
            arks.writing(unit.folder / f"feats.{number}.ark") as writer,
        ):
            for utt in utts:
                voiced = archive.array(vad[utt], utt) > 0.5
                try:
                    matrix = compute(audio.samples(utt), fbank, utt=utt, seed=options.seed)
                except InputError as error:
                    dropped[utt] = str(error)
                    continue
                if len(matrix) != len(voiced):
                    raise InputError(
                        f"{len(matrix)} frames of features, {len(voiced)} of VAD",
                        where=unit.folder,
                        utt=utt,
                        mend="redo stage vad: its frame geometry differs",
                    )
                writer.array(utt, matrix, options.compression)
                frames[utt] = str(len(matrix))
                statistics[utt] = cmvn_stats(matrix, voiced)
        with arks.writing(unit.folder / f"cmvn.{number}.ark") as cmvn:
            for utt, stats in statistics.items():
                cmvn.array(utt, stats)
        return {"feats.scp": writer.scp, "cmvn.scp": cmvn.scp, "utt2num_frames": frames, "dropped": dropped}

    return do


def conclude(run: Run, unit: Unit) -> None:
    """Write the contract beside the features and count what was dropped."""
    write_text(unit.folder / "contract.json", json.dumps(contract(run), indent=1, sort_keys=True) + "\n")
    conclude_drops(run, NAME, unit.name, unit.folder / "dropped")

"""Stage 4, features: those of every utterance and copy, their CMVN statistics and contract."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from ..formats import arks
from ..formats.atomic import write_text
from ..formats.drops import conclude_drops
from ..formats.errors import InputError
from ..formats.lookup import Lookup
from ..formats.run import Run
from ..formats.shards import Tables
from ..formats.stamps import Unit
from ..formats.tables import read_table
from .contract import GLOBAL_ARCHIVE, GLOBAL_KEY, FeaturesOptions, contract, relevant

if TYPE_CHECKING:
    import numpy as np

NAME = "features"
VERSION = 3
TABLES = ("feats.scp", "cmvn.scp", "utt2num_frames", "dropped")
ARCHIVES = ("feats.*.ark", "cmvn.*.ark", GLOBAL_ARCHIVE)


def units(run: Run) -> list[Unit]:
    """One unit a set; copies too, if egs are made of features: nothing else reads those of copies."""
    found = []
    copies = [] if run.options["egs"]["kind"] == "audio" else list(run.copies)
    for name in [*run.base_sets, *copies]:
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
                options={**relevant(run.deciding(NAME)), "contract": contract(run)},
                inputs=(
                    run.audio_scp(name),
                    vad / "vad.scp",
                    *((run.data / name / "augment",) if copy else ()),
                ),
                upstream=upstream,
                outputs=tuple(folder / file for file in (*TABLES[:3], "contract.json", *_global(run, name))),
            )
        )
    return found


def _global(run: Run, name: str) -> tuple[str, ...]:
    wanted = run.options[NAME]["cmvn"] == "global" and name == run.train_set
    return (GLOBAL_ARCHIVE,) if wanted else ()


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
    from .cmvn import cmvn_stats
    from .fbank import Fbank, compute
    from .pitch import library, with_pitch

    torch.set_num_threads(1)
    options = FeaturesOptions(**run.options[NAME])
    if options.pitch:
        library()  # missing is no fault of an utterance
    fbank = Fbank(options.acoustic())

    def features(audio: Audio, utt: str) -> np.ndarray | InputError:
        # The samples are let go of on return: hours of them, before hours of features are written.
        samples = audio.samples(utt)  # what fails here (a pool, a rate) is no fault of the utterance
        try:
            matrix = compute(samples, fbank, utt=utt, seed=options.seed)
            return with_pitch(matrix, samples, options) if options.pitch else matrix
        except InputError as error:
            return error

    def do(unit: Unit, number: int, utts: list[str]) -> Tables:
        vad = Lookup(run.of("vad", unit.name) / "vad.scp")
        frames, statistics, dropped = {}, {}, {}
        with (
            Audio(run, unit.name) as audio,
            arks.Archive() as archive,
            arks.writing(unit.folder / f"feats.{number}.ark") as writer,
        ):
            for utt in utts:
                voiced = archive.array(vad[utt], utt) > 0.5
                matrix = features(audio, utt)
                if isinstance(matrix, InputError):
                    dropped[utt] = str(matrix)
                    continue
                refuse_geometry(len(matrix), len(voiced), unit.folder, utt)
                if not voiced.any():  # nor has it any where it is shorter than a frame
                    dropped[utt] = f"no voiced frame among {len(voiced)}"
                    continue
                writer.array(utt, matrix, options.compression)
                frames[utt] = str(len(matrix))
                statistics[utt] = cmvn_stats(matrix, voiced if options.voiced_only else None)
        with arks.writing(unit.folder / f"cmvn.{number}.ark") as cmvn:
            for utt, stats in statistics.items():
                cmvn.array(utt, stats)
        return {"feats.scp": writer.scp, "cmvn.scp": cmvn.scp, "utt2num_frames": frames, "dropped": dropped}

    return do


def refuse_geometry(frames: int, decisions: int, where: Path, utt: str) -> None:
    """InputError unless there is one VAD decision a frame."""
    if frames != decisions:
        raise InputError(
            f"{frames} frames of features, {decisions} of VAD",
            where=where,
            utt=utt,
            mend="redo stage vad: its frame geometry differs",
        )


def conclude(run: Run, unit: Unit) -> None:
    """Write the contract beside the features, the global statistics, and count what was dropped."""
    if _global(run, unit.name):
        write_global(unit.folder)
    write_text(unit.folder / "contract.json", json.dumps(contract(run), indent=1, sort_keys=True) + "\n")
    conclude_drops(run, NAME, unit.name, unit.folder / "dropped")


def write_global(folder: Path) -> None:
    """Sum the utterances' CMVN statistics into one of all (Kaldi's binary matrix, one entry)."""
    import numpy as np

    with arks.Archive() as archive:
        table = read_table(folder / "cmvn.scp")
        total = np.zeros(())
        for utt, entry in table.items():
            total = total + archive.array(entry, utt)
    with arks.writing(folder / GLOBAL_ARCHIVE) as writer:
        writer.array(GLOBAL_KEY, total)

"""Stage 3, augment: copies of the training set as tables of what to do to whom; no audio is copied.

A copy holds wav.scp (the clean audio), ``augment`` (JSON a line: the drawn parameters, carried out when
the audio is read) and the clean recording's VAD under the copy's utterance names.
"""

from __future__ import annotations

import json

from ..formats import tables
from ..formats.errors import InputError
from ..formats.run import Run
from ..formats.stamps import Unit

NAME = "augment"
VERSION = 1
VAD_TABLES = ("vad.scp", "utt2voiced", "utt2num_voiced")


def _pools(run: Run, kind: str) -> dict[str, str]:
    # Which sets a kind draws from: pool name -> data set.
    options = run.options[NAME]
    known = {
        "noise": {"noise": options["noise"]},
        "music": {"music": options["music"]},
        "reverb": {"rooms": options["rooms"]},
        "babble": {},
    }
    if kind not in known:
        raise InputError(f"unknown augmentation {kind}", mend=f"one of {', '.join(known)}")
    return known[kind]


def units(run: Run) -> list[Unit]:
    """One unit a copy."""
    source, found = run.train_set, []
    for name, kind in run.copies.items():
        folder = run.data / name
        pools = tuple(run.data / pool / "wav.scp" for pool in _pools(run, kind).values())
        clean = tuple(run.of("vad", source) / table for table in VAD_TABLES)
        found.append(
            Unit(
                name=name,
                stage=NAME,
                folder=folder,
                version=VERSION,
                options={"kind": kind, **run.options[NAME]},
                inputs=(run.audio_scp(source), run.data / source / "utt2spk", *clean, *pools),
                upstream=(
                    run.of("audio", source) / ".audio.done.json",
                    run.of("vad", source) / ".vad.done.json",
                ),
                outputs=(folder / "wav.scp", folder / "augment", run.of("vad", name) / "vad.scp"),
            )
        )
    return found


def do(run: Run, unit: Unit) -> None:
    """Write one copy's tables."""
    from .draw import Voices, draw

    source, kind = run.train_set, unit.options["kind"]
    suffix, seed = f"-{kind}", run.options[NAME]["seed"]
    clean = {name: tables.read_table(run.of("vad", source) / name) for name in VAD_TABLES}
    utts = sorted(clean["vad.scp"])
    wav, utt2spk = tables.read_table(run.audio_scp(source)), run.set(source).utt2spk()
    pools = {
        pool: sorted(tables.read_table(run.data / name / "wav.scp"))
        for pool, name in _pools(run, kind).items()
    }
    voices = Voices({utt: utt2spk[utt] for utt in utts})
    drawn = {
        utt + suffix: json.dumps({"of": utt, **draw(utt, kind, seed, pools, voices)}, sort_keys=True)
        for utt in utts
    }
    speakers = {utt + suffix: utt2spk[utt] for utt in utts}
    for name, table in clean.items():
        tables.write_table(run.of("vad", unit.name) / name, {utt + suffix: table[utt] for utt in utts})
    tables.write_table(unit.folder / "augment", drawn)
    tables.write_table(unit.folder / "utt2spk", speakers)
    tables.write_table(unit.folder / "spk2utt", tables.invert(speakers))
    tables.write_table(unit.folder / "wav.scp", {utt + suffix: wav[utt] for utt in utts})

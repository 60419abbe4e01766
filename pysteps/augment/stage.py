"""Stage 3, augment: copies of the training set as tables of what to do to whom; no audio is copied.

A copy holds wav.scp (the clean audio), ``augment`` (JSON a line: the drawn parameters, carried out when
the audio is read) and the clean recording's VAD under the copy's utterance names.
"""

from __future__ import annotations

import json

from ..formats import tables
from ..formats.drops import conclude_drops
from ..formats.errors import InputError
from ..formats.run import Run
from ..formats.stamps import Unit
from .speed import speed_factor

NAME = "augment"
VERSION = 1
VAD_TABLES = ("vad.scp", "utt2voiced", "utt2num_voiced")


def _pools(run: Run, kind: str) -> dict[str, str]:
    # Which sets a kind draws from: pool name -> data set.
    options = run.options[NAME]
    known = {"noise": "noise", "music": "music", "reverb": "rooms", "babble": ""}
    if speed_factor(kind) is not None:
        return {}
    if kind not in known:
        raise InputError(f"unknown augmentation {kind}", mend=f"one of {', '.join(known)}, speedFACTOR")
    pool = known[kind]
    return {pool: options[pool]} if pool else {}


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
                options={
                    "kind": kind,
                    **{key: value for key, value in run.options[NAME].items() if key != "kinds"},
                    **({"vad": run.deciding("vad")} if speed_factor(kind) is not None else {}),
                },
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
    seed, changed = run.options[NAME]["seed"], speed_factor(kind) is not None
    utts = sorted(tables.read_table(run.of("vad", source) / "vad.scp"))
    wav, utt2spk = tables.read_table(run.audio_scp(source)), run.set(source).utt2spk()
    pools = {
        pool: sorted(tables.read_table(run.data / name / "wav.scp"))
        for pool, name in _pools(run, kind).items()
    }
    voices = Voices({utt: utt2spk[utt] for utt in utts})
    drawn = {
        f"{utt}-{kind}": json.dumps({"of": utt, **draw(utt, kind, seed, pools, voices)}, sort_keys=True)
        for utt in utts
    }
    # At another speed a voice is another voice: a speaker of its own.
    speakers = {f"{utt}-{kind}": f"{utt2spk[utt]}-{kind}" if changed else utt2spk[utt] for utt in utts}
    tables.write_table(unit.folder / "augment", drawn)
    tables.write_table(unit.folder / "utt2spk", speakers)
    tables.write_table(unit.folder / "spk2utt", tables.invert(speakers))
    tables.write_table(unit.folder / "wav.scp", {f"{utt}-{kind}": wav[utt] for utt in utts})
    (_decide_vad if changed else _inherit_vad)(run, unit, utts)


def _inherit_vad(run: Run, unit: Unit, utts: list[str]) -> None:
    # Length and alignment are the recording's, to the sample: so are the decisions.
    for name in VAD_TABLES:
        clean = tables.read_table(run.of("vad", run.train_set) / name)
        copies = {f"{utt}-{unit.options['kind']}": clean[utt] for utt in utts}
        tables.write_table(run.of("vad", unit.name) / name, copies)


def _decide_vad(run: Run, unit: Unit, utts: list[str]) -> None:
    from ..vad.decide import decide_set
    from .audio import Audio

    with Audio(run, unit.name) as audio:
        found = decide_set(
            run.of("vad", unit.name) / "vad.1.ark",
            [f"{utt}-{unit.options['kind']}" for utt in utts],
            lambda utt: (audio.samples(utt), run.options["audio"]["sample_rate"]),
            run.options["vad"],
        )
    for name, table in found.items():
        tables.write_table(run.of("vad", unit.name) / name, table)
    conclude_drops(run, "vad", unit.name, run.of("vad", unit.name) / "dropped")

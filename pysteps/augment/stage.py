"""Stage 3, augment: copies of the training set as tables of what to do to whom.

A copy holds wav.scp, utt2spk, ``augment`` (JSON a line: of which utterance, and the drawn chain of effects)
and a VAD. Where nothing asks for audio, wav.scp names the clean audio, the chain is carried out whenever the
copy is read, and the VAD is the clean recording's: only tables are written. Shards do what needs audio:
decisions for copies at another speed or tempo, and the audio itself with ``augment.materialise``.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from typing import Any

from ..formats import tables
from ..formats.drops import conclude_drops
from ..formats.errors import InputError
from ..formats.run import Run
from ..formats.shards import Tables
from ..formats.stamps import Unit
from ..vad.options import relevant as vad_relevant
from .effects import EFFECTS, parse_chain
from .options import relevant, shaping

NAME = "augment"
VERSION = 2
VAD_TABLES = ("vad.scp", "utt2voiced", "utt2num_voiced")
# What the shards say, joined beside them: ``conclude`` puts each where it belongs.
TABLES = tuple(f"shards/{name}" for name in (*VAD_TABLES, "dropped", "wav.scp", "clipped"))
ARCHIVES = ("audio.*.ark",)


def decides(kind: str) -> bool:
    """Whether copies of this kind need a VAD of their own: their length is not the recording's."""
    return any(not EFFECTS[step.effect].keeps_length for step in parse_chain(kind))


def units(run: Run) -> list[Unit]:
    """One unit a copy."""
    return [_unit(run, name, kind) for name, kind in run.copies.items()]


def _unit(run: Run, name: str, kind: str) -> Unit:
    source, folder, options = run.train_set, run.data / name, run.options[NAME]
    pools = sorted({EFFECTS[step.effect].pool for step in parse_chain(kind)} - {"", "speech", "simulated"})
    written = options["materialise"] != "none"
    return Unit(
        name=name,
        stage=NAME,
        folder=folder,
        version=VERSION,
        options={
            "kind": kind,
            "materialise": options["materialise"],
            **relevant(options, kind),
            **shaping(run.options["audio"], kind),
            **({"vad": vad_relevant(run.deciding("vad"))} if decides(kind) else {}),
            **({"shard_utterances": options["shard_utterances"]} if written or decides(kind) else {}),
        },
        inputs=(
            run.audio_scp(source),
            run.data / source / "utt2spk",
            *(run.of("vad", source) / table for table in VAD_TABLES),
            *(run.data / options[pool] / "wav.scp" for pool in pools),
        ),
        upstream=(run.of("audio", source) / ".audio.done.json", run.of("vad", source) / ".vad.done.json"),
        outputs=(
            *(folder / table for table in ("wav.scp", "augment", "utt2spk", "spk2utt")),
            *((folder / "clipped",) if written else ()),
            *(run.of("vad", name) / table for table in VAD_TABLES),
            *((run.of("vad", name) / "dropped",) if decides(kind) else ()),
        ),
    )


def _sources(run: Run) -> list[str]:
    return sorted(tables.read_table(run.of("vad", run.train_set) / "vad.scp"))


def items(run: Run, unit: Unit) -> list[str]:
    """The copy's utterances if their audio must be touched, else none: then tables are all there is to do."""
    kind = unit.options["kind"]
    _speakers(run, kind)
    if run.options[NAME]["materialise"] == "none" and not decides(kind):
        return []
    return [f"{utt}-{kind}" for utt in _sources(run)]


def shard_size(run: Run) -> int:
    """Utterances a shard."""
    return run.options[NAME]["shard_utterances"]


def worker(run: Run) -> Callable[[Unit, int, list[str]], Tables]:
    """Decide a shard's VAD, write its audio, or both."""
    from ..vad.decide import decide_set
    from .audio import Audio
    from .draw import draw, unnoised
    from .pools import Pools
    from .write import write_audio

    pools = Pools(run)
    rate, written = pools.rate, pools.options.materialise

    def do(unit: Unit, number: int, utts: list[str]) -> Tables:
        kind, chains = unit.options["kind"], {}
        for utt in utts:
            of = utt.removesuffix(f"-{kind}")
            chains[utt] = of, draw(of, kind, pools.options, pools.names, pools.voices)
        found: dict[str, dict[str, str]] = {name: {} for name in TABLES}
        with Audio(run, run.train_set) as audio:

            def samples(utt: str, whole: bool = True) -> Any:
                of, chain = chains[utt]
                return audio.augmented(of, chain if whole else unnoised(chain), pools.load)

            if decides(kind):
                path = run.of("vad", unit.name) / f"vad.{number}.ark"
                made = decide_set(path, utts, lambda utt: (samples(utt, False), rate), run.options["vad"])
                found |= {f"shards/{name}": table for name, table in made.items()}
            if written != "none":
                path = unit.folder / f"audio.{number}.ark"
                wav, clipped = write_audio(path, utts, samples, rate, flac=written == "flac")
                found |= {"shards/wav.scp": wav, "shards/clipped": clipped}
        return found

    return do


def conclude(run: Run, unit: Unit) -> None:
    """Write the copy's tables, from the shards' where there are any."""
    kind, shards = unit.options["kind"], unit.folder / "shards"
    utts, speaker = _sources(run), _speakers(run, kind)
    speakers = {f"{utt}-{kind}": speaker[utt] for utt in utts}
    if run.options[NAME]["materialise"] == "none":
        clean = tables.read_table(run.audio_scp(run.train_set))
        wav = {f"{utt}-{kind}": clean[utt] for utt in utts}
        (unit.folder / "clipped").unlink(missing_ok=True)  # of audio that was written before
    else:
        wav = tables.read_table(shards / "wav.scp")
        _say_clipped(unit, tables.read_table(shards / "clipped"), len(utts))
    tables.write_table(unit.folder / "augment", dict(_described(run, kind, utts)))
    tables.write_table(unit.folder / "utt2spk", speakers)
    tables.write_table(unit.folder / "spk2utt", tables.invert(speakers))
    tables.write_table(unit.folder / "wav.scp", wav)
    (_keep_vad if decides(kind) else _inherit_vad)(run, unit, utts)
    print(f"{NAME} {unit.name}: {len(utts)} utterances", file=sys.stderr)


def _speakers(run: Run, kind: str) -> dict[str, str]:
    # The copy's speaker of each training utterance.
    from .live import speaker_suffix
    from .options import AugmentOptions

    utt2spk = run.set(run.train_set).utt2spk()
    suffix = speaker_suffix(parse_chain(kind), AugmentOptions(**run.options[NAME]))
    if not suffix:
        return utt2spk
    known = set(utt2spk.values())
    for speaker in sorted(known):
        if f"{speaker}{suffix}" in known:
            raise InputError(
                f"speaker {speaker} at another speed would be called as speaker {speaker}{suffix} is",
                where=run.data / run.train_set / "utt2spk",
                mend="rename the speaker, or set --augment.speed_speakers same",
            )
    return {utt: f"{speaker}{suffix}" for utt, speaker in utt2spk.items()}


def _described(run: Run, kind: str, utts: list[str]) -> Iterator[tuple[str, str]]:
    from .draw import draw
    from .pools import Pools

    pools = Pools(run)
    written = pools.options.materialise != "none"
    names, voices, text = pools.names, pools.voices, json.JSONEncoder(sort_keys=True).encode
    for utt in utts:
        chain = draw(utt, kind, pools.options, names, voices)
        yield f"{utt}-{kind}", text({"of": utt, "chain": chain, "written": written})


def _say_clipped(unit: Unit, clipped: dict[str, str], total: int) -> None:
    tables.write_table(unit.folder / "clipped", clipped)
    if clipped:
        samples = sum(map(int, clipped.values()))
        print(f"{NAME} {unit.name}: {len(clipped)} of {total} clipped, {samples} samples", file=sys.stderr)


def _inherit_vad(run: Run, unit: Unit, utts: list[str]) -> None:
    # Length and alignment are the recording's, to the sample: so are the decisions.
    for name in VAD_TABLES:
        clean = tables.read_table(run.of("vad", run.train_set) / name)
        copies = {f"{utt}-{unit.options['kind']}": clean[utt] for utt in utts}
        tables.write_table(run.of("vad", unit.name) / name, copies)


def _keep_vad(run: Run, unit: Unit, utts: list[str]) -> None:
    folder = run.of("vad", unit.name)
    for name in (*VAD_TABLES, "dropped"):
        tables.write_table(folder / name, tables.read_table(unit.folder / "shards" / name))
    wanted = {entry.rpartition(":")[0] for entry in tables.read_table(folder / "vad.scp").values()}
    for path in folder.glob("vad.*.ark"):  # of an earlier plan with more shards
        if str(path) not in wanted:
            path.unlink()
    conclude_drops(run, "vad", unit.name, folder / "dropped")

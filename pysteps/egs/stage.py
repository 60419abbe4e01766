"""Stage 5, egs: training chunks of random length, one length an archive, globally shuffled."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..features import contract as contracts
from ..features import stage as features
from ..formats.atomic import write_text
from ..formats.errors import InputError
from ..formats.lookup import Lookup
from ..formats.run import Run
from ..formats.shards import Tables
from ..formats.stamps import Unit
from ..formats.tables import invert, read_table, write_table
from .live import augments_live, highest_speed, voices
from .options import relevant

if TYPE_CHECKING:
    import numpy as np

    from .cut import ChunkGeometry
    from .plan import ArchivePlan, Source

NAME = "egs"
VERSION = 3
TABLES = ("archives",)
ARCHIVES = ("train.*", "valid.*", "long.*")


def _sets(run: Run) -> list[str]:
    return [run.train_set, *run.copies]


def _audio(run: Run) -> bool:
    return run.options[NAME]["kind"] == "audio"


def _read(run: Run, name: str) -> tuple[list[Path], Path]:
    """What the chunks of a set are made of, and the stamp of the stage that made it."""
    voiced = run.of("vad", name) / "utt2num_voiced"
    if not _audio(run):
        folder = run.of("features", name)
        return [folder / "feats.scp", voiced], folder / ".features.done.json"
    vad = run.of("vad", name)
    if name in run.copies:
        copy = run.data / name
        return [run.audio_scp(name), copy / "augment", vad / "vad.scp", voiced], copy / ".augment.done.json"
    return [run.audio_scp(name), vad / "vad.scp", voiced], vad / ".vad.done.json"


def units(run: Run) -> list[Unit]:
    """One unit: all archives of the training set and its copies."""
    inputs, upstream = [run.data / run.train_set / "utt2spk"], []
    for name in _sets(run):
        read, stamp = _read(run, name)
        inputs += read
        upstream.append(stamp)
    if _audio(run) and run.options["features"]["cmvn"] == "global":
        folder = run.of("features", run.train_set)
        inputs.append(folder / contracts.GLOBAL_ARCHIVE)
        upstream.append(folder / ".features.done.json")
    options = {**relevant(run.options[NAME]), "sets": _sets(run), "contract": contracts.contract(run)}
    if options.get("min_speaker_utterances"):
        options["counted"] = "with the clean utterance"  # earlier, copies at other speeds were left out
    if run.labels:
        options["labels"] = run.labels
        inputs.append(run.data / run.train_set / run.labels)
    if _audio(run):
        # Held-out chunks become features here and the others in training: stage 4's stamps say nothing
        # of them.
        options["features_version"] = features.VERSION
        options["features_seed"] = contracts.relevant(run.options["features"]).get("seed")
    if augments_live(run):
        options |= {"factor": highest_speed(run), "voices": voices(run)}
    return [
        Unit(
            name=run.egs_tag,
            stage=NAME,
            folder=run.egs,
            version=VERSION,
            options=options,
            inputs=tuple(inputs),
            upstream=tuple(upstream),
            outputs=(run.egs / "egs.json", run.egs / "contract.json"),
        )
    ]


def _geometry(run: Run) -> ChunkGeometry:
    from .cut import ChunkGeometry

    options = contracts.FeaturesOptions(**run.options["features"])
    return ChunkGeometry(options.geometry, options.sample_rate, highest_speed(run))


def items(run: Run, unit: Unit) -> list[str]:
    """Plan the archives, write each one's list under plan/, and return their names."""
    from .choose import choose, sources
    from .long import plan_long
    from .plan import plan_training, plan_validation

    _refuse_sets(run)
    options, geometry = run.options[NAME], _geometry(run)
    shift = run.options["features"]["frame_shift_ms"]
    shortest, longest = (round(options[key] * 1000 / shift) for key in ("min_seconds", "max_seconds"))
    if not 0 < shortest <= longest:
        raise InputError(f"chunks of {shortest} to {longest} frames", mend="raise --egs.min_seconds")
    found = sources(run, _sets(run), "vad" if _audio(run) else "features")
    training, clean = choose(run, found, unit.folder, geometry.needed(shortest))
    valid = [source for source in clean if source.frames >= shortest]
    # Held-out chunks are cut at the speed as it is: fewer frames do.
    _say_short(unit, [(training, geometry.needed(shortest)), (clean, shortest)])
    # Planned in frames as the network gets them, which at the highest speed are fewer than there are.
    usable = _fitting([source.frames for source in training], geometry)
    plans = plan_training(
        training, shortest, longest, options["repeats"], options["archive_chunks"], options["seed"], usable
    )
    fit, long = plan_long(run, training)
    shutil.rmtree(unit.folder / "plan", ignore_errors=True)  # of a plan with more archives
    for plan in plans:
        moved = replace(plan, start=geometry.place(plan.start))
        write_text(unit.folder / "plan" / plan.name, "".join(_lines(moved, training)))
    for plan in long:
        write_text(unit.folder / "plan" / plan.name, "".join(_lines(plan, fit)))
    held_out = plan_validation(valid, shortest)
    if held_out is not None:
        write_text(unit.folder / "plan" / held_out.name, "".join(_lines(held_out, valid)))
    write_text(unit.folder / "speakers", "".join(_speakers(run, {source.class_name for source in training})))
    return [plan.name for plan in plans] + (["valid.1"] if valid else []) + [plan.name for plan in long]


def _refuse_sets(run: Run) -> None:
    from ..formats.datadir import check_classes, refuse_overlap

    there = [run.set(name) for name in run.base_sets[1:] if run.set(name).has("utt2spk")]
    refuse_overlap(run.set(run.train_set), there)
    if run.labels:
        labelled = [data for data in there if data.name in run.labelled_sets]
        check_classes(run.set(run.train_set), labelled, run.labels)


def _fitting(frames: list[int], geometry: ChunkGeometry) -> np.ndarray:
    import numpy as np

    numbers, which = np.unique(np.asarray(frames, np.int64), return_inverse=True)
    return np.asarray([geometry.fitting(number) for number in numbers.tolist()], np.int64)[which]


def _say_short(unit: Unit, wanted: list[tuple[list[Source], int]]) -> None:
    # ``wanted``: sources with the fewest frames that they need.
    short, fewest = {}, 0
    for sources, least in wanted:
        found = {source.utt: str(source.frames) for source in sources if source.frames < least}
        fewest = max(fewest, least) if found else fewest
        short.update(found)
    write_table(unit.folder / "short", short)
    if short:
        total = sum(len(sources) for sources, _ in wanted)
        print(
            f"egs: {len(short)} of {total} utterances have fewer than {fewest} voiced frames "
            f"and give no chunk; {unit.folder / 'short'} lists them",
            file=sys.stderr,
        )


def _lines(plan: ArchivePlan, pool: list[Source]) -> Iterator[str]:
    for number, (index, start) in enumerate(zip(plan.source.tolist(), plan.start.tolist(), strict=True)):
        data, utt = pool[index].data, pool[index].utt
        yield f"{number:06d}-{utt}@{start} {data} {utt} {start} {plan.frames}\n"


def _speakers(run: Run, speakers: set[str]) -> Iterator[str]:
    # The classes: labels, or speakers. At another speed a voice is another speaker's, of the same label.
    suffixes = voices(run)
    names = sorted({f"{speaker}{suffix}" for speaker in speakers for suffix in suffixes})
    if len(names) < len(speakers) * len(suffixes):
        raise InputError(
            f"a speaker's name ends like a voice at another speed ({', '.join(filter(None, suffixes))})",
            where=run.data / run.train_set / "utt2spk",
            mend="rename the speaker, or set --augment.speed_speakers same",
        )
    yield from (f"{name} {label}\n" for label, name in enumerate(names))


def shard_size(run: Run) -> int:
    """One archive a shard."""
    return 1


class _Worker:
    """Cuts the chunks of an archive and writes them with their labels."""

    def __init__(self, run: Run) -> None:
        from . import write

        sets = _sets(run)
        self._cut: write.Cutter
        if _audio(run):
            self._cut = write.audio_cutter(run, sets, _geometry(run), _contract(run))
        else:
            self._cut = write.FeatureCutter(run, sets)
        self._classes: dict[str, Mapping[str, str]] = {
            name: run.classes(name) if run.labels else Lookup(run.data / name / "utt2spk") for name in sets
        }

    def __enter__(self) -> _Worker:
        if isinstance(self._cut, AbstractContextManager):
            self._cut.__enter__()
        return self

    def __exit__(self, *error: Any) -> None:
        if isinstance(self._cut, AbstractContextManager):
            self._cut.__exit__(*error)

    def __call__(self, unit: Unit, number: int, names: list[str]) -> Tables:
        from . import write

        (archive,) = names
        labels = read_table(unit.folder / "speakers")
        chunks = write.read_chunks(unit.folder / "plan" / archive)
        clipped = self._cut(unit.folder / f"{archive}.ark", chunks)
        lines = (f"{chunk.key} {labels[self._classes[chunk.data][chunk.utt]]}\n" for chunk in chunks)
        write_text(unit.folder / f"{archive}.lab", "".join(lines))
        return {"archives": {archive: f"{len(chunks)} {chunks[0].frames} {clipped}"}}


def worker(run: Run) -> Callable[[Unit, int, list[str]], Tables]:
    """What cuts a job's archives; entered, it may read features from the node's own disk."""
    return _Worker(run)


def conclude(run: Run, unit: Unit) -> None:
    """Write egs.json, what training reads first, and hand the feature contract on."""
    archives: dict[str, dict[str, int]] = {}
    clipped = 0
    for name, value in read_table(unit.folder / "archives").items():
        chunks, frames, over = map(int, value.split())
        archives[name] = {"chunks": chunks, "frames": frames}
        clipped += over
    if clipped:
        print(f"egs: {clipped} samples of copies were clipped to 16 bits", file=sys.stderr)
    contract = _contract(run)
    speakers = list(invert(read_table(unit.folder / "speakers")))

    def of(kind: str) -> dict[str, dict[str, int]]:
        return {name: info for name, info in archives.items() if name.startswith(f"{kind}.")}

    content: dict[str, Any] = {
        "kind": run.options[NAME]["kind"],
        "feature_dim": contract["dim"],
        "num_speakers": len(speakers),
        "archives": of("train"),
        "valid": of("valid"),
        **({"labels": run.labels} if run.labels else {}),
        **({"long": of("long")} if run.options[NAME]["long_seconds"] else {}),
    }
    write_text(unit.folder / "contract.json", json.dumps(contract, indent=1, sort_keys=True) + "\n")
    write_text(unit.folder / "egs.json", json.dumps(content, indent=1, sort_keys=True) + "\n")


def _contract(run: Run) -> dict[str, Any]:
    """The contract of all sets' features; of audio, of the features that training will make of it."""
    home = run.of("features", run.train_set)
    if _audio(run):
        wanted = contracts.contract(run)
        if run.options["features"]["cmvn"] != "global":
            return wanted
        contracts.refuse_mismatch(wanted, contracts.stored(home), home, asks="this run asks for")
        return contracts.read(home)
    contract = contracts.read(home)
    for name in run.copies:
        folder = run.of("features", name)
        contracts.refuse_mismatch(contract, contracts.read(folder), folder)
    return contract

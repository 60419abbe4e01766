"""Stage 5, egs: training chunks of random length, one length an archive, globally shuffled."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Callable
from typing import Any

from ..features import contract as contracts
from ..formats.atomic import write_text
from ..formats.errors import InputError
from ..formats.run import Run
from ..formats.shards import Tables
from ..formats.stamps import Unit
from ..formats.tables import invert, read_table, write_table

NAME = "egs"
VERSION = 1
TABLES = ("archives",)
ARCHIVES = ("train.*", "valid.*")


def _sets(run: Run) -> list[str]:
    return [run.train_set, *run.copies]


def units(run: Run) -> list[Unit]:
    """One unit: all archives of the training set and its copies."""
    inputs, upstream = [run.data / run.train_set / "utt2spk"], []
    for name in _sets(run):
        folder = run.of("features", name)
        inputs += [folder / "feats.scp", run.of("vad", name) / "utt2num_voiced"]
        upstream.append(folder / ".features.done.json")
    return [
        Unit(
            name=run.egs_tag,
            stage=NAME,
            folder=run.egs,
            version=VERSION,
            options={**run.options[NAME], "sets": _sets(run), "contract": contracts.contract(run)},
            inputs=tuple(inputs),
            upstream=tuple(upstream),
            outputs=(run.egs / "egs.json", run.egs / "contract.json"),
        )
    ]


def _sources(run: Run) -> list[Any]:
    from .plan import Source

    found = []
    for name in _sets(run):
        voiced = read_table(run.of("vad", name) / "utt2num_voiced")
        utt2spk = run.set(name).utt2spk()
        drawn = read_table(run.data / name / "augment") if name in run.copies else {}
        for utt in sorted(read_table(run.of("features", name) / "feats.scp")):
            of = json.loads(drawn[utt])["of"] if utt in drawn else utt
            found.append(Source(name, utt, of, utt2spk[utt], int(voiced[utt])))
    return found


def items(run: Run, unit: Unit) -> list[str]:
    """Plan the archives, write each one's list under plan/, and return their names."""
    from ..formats.datadir import refuse_overlap
    from .plan import hold_out, plan_training, plan_validation

    refuse_overlap(
        run.set(run.train_set), [run.set(name) for name in run.base_sets[1:] if run.set(name).has("utt2spk")]
    )
    options = run.options[NAME]
    shift = run.options["features"]["frame_shift_ms"]
    shortest, longest = (round(options[key] * 1000 / shift) for key in ("min_seconds", "max_seconds"))
    if not 0 < shortest <= longest:
        raise InputError("min_seconds must be positive and not above max_seconds", mend="--egs.min_seconds")
    sources = _sources(run)
    held = hold_out(sources, options["valid_share"], options["seed"])
    training = [source for source in sources if source.of not in held]
    valid = [source for source in sources if source.utt in held and source.frames >= shortest]
    short = {source.utt: str(source.frames) for source in sources if source.frames < shortest}
    write_table(unit.folder / "short", short)
    if short:
        print(
            f"egs: {len(short)} of {len(sources)} utterances have fewer than {shortest} voiced frames "
            f"and give no chunk; {unit.folder / 'short'} lists them",
            file=sys.stderr,
        )
    shutil.rmtree(unit.folder / "plan", ignore_errors=True)  # of a plan with more archives
    plans = plan_training(
        training, shortest, longest, options["repeats"], options["archive_chunks"], options["seed"]
    )
    for plan, pool in [*((plan, training) for plan in plans), (plan_validation(valid, shortest), valid)]:
        if plan is not None:
            lines = (
                f"{number:06d}-{utt}@{start} {data} {utt} {start} {plan.frames}\n"
                for number, (index, start) in enumerate(zip(plan.source, plan.start, strict=True))
                for data, utt in [(pool[index].data, pool[index].utt)]
            )
            write_text(unit.folder / "plan" / plan.name, "".join(lines))
    speakers = sorted({source.speaker for source in training})
    write_text(unit.folder / "speakers", "".join(f"{name} {label}\n" for label, name in enumerate(speakers)))
    return [plan.name for plan in plans] + (["valid.1"] if valid else [])


def shard_size(run: Run) -> int:
    """One archive a shard."""
    return 1


def worker(run: Run) -> Callable[[Unit, int, list[str]], Tables]:
    """Cut the chunks of an archive and write them with their labels."""
    from ..features.voiced import VoicedFeatures
    from ..formats.arks import TWO_BYTES, writing

    readers = {name: VoicedFeatures(run, name) for name in _sets(run)}
    utt2spk = {name: run.set(name).utt2spk() for name in _sets(run)}

    def do(unit: Unit, number: int, names: list[str]) -> Tables:
        (archive,) = names
        labels = read_table(unit.folder / "speakers")
        plan = read_table(unit.folder / "plan" / archive)
        targets, length = {}, "0"
        with writing(unit.folder / f"{archive}.ark") as writer:
            for key, value in plan.items():
                name, utt, start, length = value.split()
                writer.array(key, readers[name].chunk(utt, int(start), int(length)), TWO_BYTES)
                targets[key] = labels[utt2spk[name][utt]]
        write_text(unit.folder / f"{archive}.lab", "".join(f"{key} {targets[key]}\n" for key in plan))
        return {"archives": {archive: f"{len(plan)} {length}"}}

    return do


def conclude(run: Run, unit: Unit) -> None:
    """Write egs.json, what training reads first, and hand the feature contract on."""
    contract = contracts.read(run.of("features", run.train_set))
    for name in run.copies:
        contracts.refuse_mismatch(
            contract, contracts.read(run.of("features", name)), run.of("features", name)
        )
    archives = {
        name: dict(zip(("chunks", "frames"), map(int, value.split()), strict=True))
        for name, value in read_table(unit.folder / "archives").items()
    }
    speakers = list(invert(read_table(unit.folder / "speakers")))
    content = {
        "feature_dim": contract["dim"],
        "num_speakers": len(speakers),
        "archives": {name: info for name, info in archives.items() if name.startswith("train.")},
        "valid": {name: info for name, info in archives.items() if name.startswith("valid.")},
    }
    write_text(unit.folder / "contract.json", json.dumps(contract, indent=1, sort_keys=True) + "\n")
    write_text(unit.folder / "egs.json", json.dumps(content, indent=1, sort_keys=True) + "\n")

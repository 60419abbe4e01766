"""``python -m pysteps.prepare validate|fix|combine|subset|filter|split``: sets as folders, tables by name."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..formats.datadir import DataSet
from ..formats.errors import InputError
from ..formats.tables import read_table
from . import choose
from .commands import WORDS
from .fix import fix
from .sets import combine, copy, validate


def command(words: list[str]) -> None:
    """Do what the command line ``words`` say."""
    parser = argparse.ArgumentParser(
        prog=f"python -m pysteps.prepare {words[0]}", description=WORDS[words[0]]
    )
    options, work = {
        "validate": (_validate_options, _validate),
        "fix": (_fix_options, _fix),
        "combine": (_combine_options, _combine),
        "subset": (_subset_options, _subset),
        "filter": (_filter_options, _filter),
        "split": (_split_options, _split),
    }[words[0]]
    options(parser.add_argument)
    work(parser.parse_args(words[1:]))


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def _source(folder: Path) -> DataSet:
    if not (folder / "utt2spk").is_file():
        raise InputError("no utt2spk here: this is no data directory", where=folder)
    return DataSet(folder)


def _fresh(folder: Path) -> Path:
    # What is there may be somebody's only copy.
    if folder.is_dir() and any(folder.iterdir()):
        raise InputError("is there already", where=folder, mend="remove it, or name another folder")
    return folder


def _written(folder: Path, copied: Mapping[str, tuple[int, int]] | None = None) -> None:
    for name, (kept, total) in (copied or {}).items():
        if name.startswith("trials"):
            _say(
                f"{folder / name}: {kept:,} of {total:,} trials"
                if kept
                else f"{folder / name}: no use, left out"
            )
    counts = validate(DataSet(folder))
    _say(f"{folder}: {', '.join(f'{count:,} {what}' for what, count in counts.items())}")


def _validate_options(add: Any) -> None:
    add("set", type=Path, nargs="+", help="data directories")
    add("--apart", type=Path, nargs="+", default=[], help="sets that must share no speaker with these")
    add("--files", action="store_true", help="look whether every recording is there")


def _validate(options: argparse.Namespace) -> None:
    for folder in options.set:
        counts = validate(_source(folder), [_source(one) for one in options.apart], options.files)
        print(f"{folder}: good: {', '.join(f'{count:,} {what}' for what, count in counts.items())}")


def _fix_options(add: Any) -> None:
    add("set", type=Path, nargs="+", help="data directories, changed in place")


def _fix(options: argparse.Namespace) -> None:
    for folder in options.set:
        said = fix(DataSet(folder))
        for sentence in said or [f"{folder}: nothing to fix"]:
            _say(sentence)
        if said:
            _written(folder)


def _combine_options(add: Any) -> None:
    add("to", type=Path, help="the new data directory")
    add("set", type=Path, nargs="+", help="data directories")


def _combine(options: argparse.Namespace) -> None:
    _fresh(options.to)
    for sentence in combine([_source(folder) for folder in options.set], options.to):
        _say(f"note: {sentence}")
    _written(options.to)


def _subset_options(add: Any) -> None:
    add("set", type=Path, help="a data directory")
    add("to", type=Path, help="the new data directory")
    add("--speaker-list", type=Path, metavar="FILE", help="these speakers, one in front of each line")
    add("--utterance-list", type=Path, metavar="FILE", help="these utterances")
    add("--speakers", type=int, metavar="N", help="so many speakers, drawn")
    add("--per-speaker", type=int, metavar="N", help="at most so many utterances of each speaker, drawn")
    add("--utterances", type=int, metavar="N", help="so many utterances, drawn")
    add("--share", type=float, metavar="S", help="utterances that last this share of what is left, drawn")
    add("--hours", type=float, metavar="H", help="utterances that last so many hours, drawn")
    _durations(add)
    _seed(add)


def _subset(options: argparse.Namespace) -> None:
    source, _ = _source(options.set), _fresh(options.to)
    utt2spk: choose.Utterances = source.utt2spk()
    before = utt2spk
    for what in ("speaker", "utterance"):
        if path := getattr(options, f"{what}_list"):
            utt2spk = choose.by_list(utt2spk, path, f"{what}s")
    if options.speakers is not None:
        utt2spk = choose.speakers(utt2spk, options.speakers, options.seed)
    if options.per_speaker is not None:
        utt2spk = choose.per_speaker(utt2spk, options.per_speaker, options.seed)
    if options.utterances is not None:
        utt2spk = choose.utterances(utt2spk, options.utterances, options.seed)
    if options.share is not None or options.hours is not None:
        durations = choose.durations_of(source, options.durations)
        all_of_them = sum(durations[utt] for utt in utt2spk)
        seconds = options.hours * 3600 if options.share is None else options.share * all_of_them
        utt2spk = choose.seconds_of(utt2spk, durations, seconds, options.seed)
    if utt2spk is before:
        raise InputError("nothing says which utterances", mend="see --help: --speakers N, --share 0.1 ...")
    _written(options.to, copy(source, options.to, utt2spk.keys()))


def _filter_options(add: Any) -> None:
    add("set", type=Path, help="a data directory")
    add("to", type=Path, help="the new data directory")
    add("--min-seconds", type=float, metavar="S", help="utterances of at least S seconds")
    add("--max-seconds", type=float, metavar="S", help="utterances of at most S seconds")
    add("--min-utterances", type=int, metavar="N", help="then speakers with at least N utterances left")
    _durations(add)


def _filter(options: argparse.Namespace) -> None:
    source, _ = _source(options.set), _fresh(options.to)
    before = utt2spk = source.utt2spk()
    shortest, longest = options.min_seconds or 0.0, options.max_seconds or float("inf")
    if options.min_seconds is not None or options.max_seconds is not None:
        durations = choose.durations_of(source, options.durations)
        utt2spk = choose.by_length(utt2spk, durations, shortest, longest)
        _say(f"{len(before) - len(utt2spk):,} of {len(before):,} utterances are of another length")
    if options.min_utterances is not None:
        left = choose.by_count(utt2spk, options.min_utterances)
        few = len(set(utt2spk.values())) - len(set(left.values()))
        _say(f"{few:,} speakers have fewer than {options.min_utterances} utterances")
        utt2spk = left
    _written(options.to, copy(source, options.to, utt2spk.keys()))


def _split_options(add: Any) -> None:
    add("set", type=Path, help="a data directory; the parts lie beside it: SET_NAME")
    add("--shares", nargs="+", metavar="NAME=SHARE", help="train=80 dev=10 eval=10: shares of the speakers")
    add("--parts", type=int, metavar="N", help="N equal parts, called 1 to N")
    _seed(add)


def _split(options: argparse.Namespace) -> None:
    source = _source(options.set)
    shares = _shares(options)
    first, *others = shares
    total = sum(shares.values())
    genders = read_table(options.set / "spk2gender") if source.has("spk2gender") else None
    utt2spk = source.utt2spk()
    wanted = {name: shares[name] / total for name in others}
    part = choose.split_speakers(utt2spk, wanted, options.seed, genders, first)
    for name in shares:
        folder = _fresh(options.set.with_name(f"{options.set.name}_{name}"))
        chosen = {utt for utt, speaker in utt2spk.items() if part[speaker] == name}
        _written(folder, copy(source, folder, chosen))


def _shares(options: argparse.Namespace) -> dict[str, float]:
    if (options.parts is None) == (options.shares is None):
        raise InputError("either --shares or --parts says how to split")
    if options.parts is not None:
        return {str(number): 1.0 for number in range(1, options.parts + 1)}
    found = {}
    for text in options.shares:
        name, _, share = text.partition("=")
        try:
            found[name] = float(share)
        except ValueError:
            found[name] = 0.0
        if not name or not 0 < found[name] < float("inf"):
            raise InputError(f"--shares {text} is no NAME=SHARE", mend="train=80 dev=10 eval=10")
    return found


def _durations(add: Any) -> None:
    add("--durations", type=Path, metavar="FILE", help="utt2dur, where the set has none: stage audio's")


def _seed(add: Any) -> None:
    add("--seed", type=int, default=0, help="of the draw (0)")

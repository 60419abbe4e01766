"""``python -m pysteps.prepare trials``: a list of another format (--from), or made by rule (--by)."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from ..formats.datadir import DataSet
from ..formats.errors import InputError
from ..formats.tables import write_lines
from .commands import WORDS
from .convert import convert, labels_of
from .lists import FORMATS
from .sets import trial_lines
from .trials import RULES, by_rule


def command(words: list[str]) -> None:
    """Do what the command line ``words`` say."""
    options = _parser().parse_args(words[1:])
    if (options.kind is None) == (options.by is None):
        raise InputError("either --from FORMAT FILE or --by RULE data/SET says what to do")
    if options.kind is not None:
        _convert(options)
    else:
        _rule(options)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m pysteps.prepare trials", description=WORDS["trials"])
    add = parser.add_argument
    add("path", type=Path, help="with --from the list to read, with --by the data directory")
    add("--to", type=Path, help="data/SET/trials or data/SET/trials.NAME (with --by: data/SET/trials)")
    add("--from", dest="kind", choices=FORMATS, help="the format of the list")
    add("--enrol", type=Path, metavar="FILE", help="the list of the models' recordings, in the same format")
    add("--key", type=Path, metavar="FILE", help="who is who, where the list does not say it (nist)")
    for name in ("enrol", "test", "label"):
        add(f"--{name}-column", metavar="NAME", help=f"the column of a CSV that is the {name}")
    add("--by", choices=RULES, help="pairs of all; as many target as nontarget; within a gender; of sessions")
    add("--each", type=int, metavar="N", help="at most N target and N nontarget trials a speaker (50)")
    add("--most", type=int, metavar="N", default=1000, help="all pairs of at most N utterances (1000)")
    add("--seed", type=int, default=0, help="of the draws (0)")
    return parser


def _convert(options: argparse.Namespace) -> None:
    if options.to is None or options.to.name.partition(".")[0] != "trials":
        raise InputError("--to names the list: data/SET/trials or data/SET/trials.NAME", where=options.to)
    data = DataSet(options.to.parent)
    if not data.has("utt2spk") or not data.has("wav.scp"):
        mend = "prepare the set first: the list's words are looked for in it"
        raise InputError("no utt2spk and wav.scp here", where=data.folder, mend=mend)
    named = ("enrol", "test", "label")
    given = {name: value for name in named if (value := getattr(options, f"{name}_column")) is not None}
    count = convert(
        options.kind, options.path, data, options.to, enrol=options.enrol, key=options.key, columns=given
    )
    print(f"{options.to}: {count:,} trials", file=sys.stderr)


def _rule(options: argparse.Namespace) -> None:
    data = DataSet(options.path)
    utt2spk = data.utt2spk()
    labels = labels_of(data, options.by) if options.by in ("gender", "session") else None
    trials = by_rule(utt2spk, options.by, labels, options.each, options.most, options.seed)
    to = options.to or options.path / "trials"
    write_lines(to, trial_lines(trials))
    targets = sum(target for *_, target in trials)
    print(f"{to}: {targets:,} target and {len(trials) - targets:,} nontarget trials", file=sys.stderr)

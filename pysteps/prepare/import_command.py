"""``python -m pysteps.prepare import SOURCE --name NAME``: egs/NAME, a recipe that runs at once."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from ..formats.checkout import CHECKOUT
from ..formats.errors import InputError
from . import import_checks, import_files, importing
from .commands import WORDS
from .corpus import warn
from .import_recipe import check_name, copy_lists, write_recipe
from .rows import USUAL, Bad, Row
from .sources import KNOWN, Source
from .trials import RULES


def command(words: list[str]) -> None:
    """Do what the command line ``words`` say."""
    options = _parser().parse_args(words[1:])
    folder = options.egs / options.name
    check_name(folder, options.force)
    bad = Bad(options.skip_bad)
    source = Source(options.source, _columns(options), _sets(options), bad)
    kind, found = source.rows(options.kind or "")
    import_checks.refuse_columns(kind, source.columns, folder)
    rows = list(found)
    for sentence in source.said:
        _say(f"columns of {sentence}")
    rows, root = _named(rows, kind, options, bad)
    shares = {"dev": options.dev_share, "eval": options.eval_share}
    least = 4 if options.trials == "gender" else 2  # two of each gender
    import_checks.refuse_shares(rows, shares, least, kind)
    rows = importing.assign_sets(rows, shares, options.seed, bad, least)
    import_checks.refuse_lone(rows, kind)
    if bad.count:
        warn(f"{bad.count:,} bad rows are left out, the first of them:")
        for sentence in bad.first:
            _say(f"  {sentence}")
    lists = copy_lists(options.source if kind == "kaldi" else None, folder, rows)
    chosen = {name: [row for row in rows if row.set == name] for name in sorted({"dev", "eval"} - lists)}
    import_checks.check_trials(chosen, options, kind)
    importing.write_list(folder, rows)
    write_recipe(folder, rows, root, options)
    _tell(rows, options)


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def _named(
    rows: list[Row], kind: str, options: argparse.Namespace, bad: Bad
) -> tuple[list[Row], Path | None]:
    if not rows:
        raise InputError("no rows are left", where=options.source, mend="see the messages above")
    importing.name_speakers(rows)
    near = options.source if options.source.is_dir() else options.source.parent
    root = near.absolute() if kind == "folder" else import_files.audio_root(rows, options.audio_root, near)
    rows = import_files.place(rows, root, not options.no_check, bad)
    rows = import_files.once(rows, root, not options.no_check, bad)
    rows = importing.name_utterances(rows, kind == "kaldi", bad)
    if not rows:
        raise InputError(
            "no rows are left", where=options.source, mend=f"bad were {bad.count}: {bad.first[:1]}"
        )
    return rows, root


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m pysteps.prepare import", description=WORDS["import"])
    add = parser.add_argument
    kinds = (
        "a folder a speaker; a .csv, .tsv or .jsonl; a Kaldi data directory, or a folder of them; a folder "
    )
    add(
        "source", type=Path, help=f"{kinds}with lhotse's manifests, or with metadata.csv (docs/own-corpus.md)"
    )
    add("--name", required=True, help="of the recipe: egs/NAME")
    add("--as", dest="kind", choices=KNOWN, help="what the source is, where it is not found out")
    for what in USUAL:
        add(f"--{what}-column", metavar="COLUMN", help=f"the {what}'s column, or none")
    add("--label", action="append", default=[], metavar="COLUMN", help="a column to keep, as utt2COLUMN")
    add(
        "--set", action="append", default=[], metavar="WORD=SET", help="what a set of the list is: fold5=eval"
    )
    add("--audio-root", type=Path, metavar="FOLDER", help="what the paths of the list count from")
    add("--no-check", action="store_true", help="do not look at the files: is each there, is one empty")
    add("--skip-bad", action="store_true", help="leave bad rows out and count them")
    add("--dev-share", type=float, default=0.1, metavar="S", help="of the speakers (0.1)")
    add("--eval-share", type=float, default=0.1, metavar="S", help="of the speakers (0.1)")
    add("--seed", type=int, default=0, help="of the split (0)")
    add("--trials", choices=RULES, default="all", help="how trials are made at stage 0 (all)")
    add("--each", type=int, metavar="N", help="of balanced trials, N of each kind a speaker (50)")
    add("--most", type=int, default=1000, metavar="N", help="all pairs of at most N utterances (1000)")
    add("--licence", default="yours", help="for the table of recipes")
    add("--force", action="store_true", help="write an imported recipe again; its data and models stay")
    add("--egs", type=Path, default=CHECKOUT / "egs", metavar="FOLDER", help="where recipes lie")
    return parser


def _columns(options: argparse.Namespace) -> dict[str, str]:
    given = {what: getattr(options, f"{what}_column") for what in USUAL}
    named = {what: column for what, column in given.items() if column is not None}
    return named | {importing.whole_name(column): column for column in options.label}


def _sets(options: argparse.Namespace) -> dict[str, str]:
    found = {}
    for text in options.set:
        word, _, name = text.rpartition("=")
        if not word or name not in ("train", "dev", "eval"):
            raise InputError(f"--set {text} is no WORD=train, WORD=dev or WORD=eval")
        found[word] = name
    return found


def _tell(rows: Sequence[Row], options: argparse.Namespace) -> None:
    folder = options.egs / options.name
    for name in ("train", "dev", "eval"):
        chosen = [row for row in rows if row.set == name]
        genders = {row.speaker: row.gender for row in chosen if row.gender}
        women = sum(gender == "f" for gender in genders.values())
        more = f" ({women:,} f, {len(genders) - women:,} m)" if genders else ""
        _say(f"{name}: {len(chosen):,} utterances of {len({row.speaker for row in chosen}):,} speakers{more}")
    _say(f"{folder}: a recipe. Look at it, then: ./run.sh --recipe {options.name}")

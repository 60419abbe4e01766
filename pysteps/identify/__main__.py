"""The command line of identify: enrol, search, evaluate. Start with --help."""

from __future__ import annotations

import argparse
from pathlib import Path

from ..formats.errors import guarded
from ..formats.tables import write_lines
from . import commands, rates


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m pysteps.identify", description="Who is it?")
    tasks = parser.add_subparsers(dest="task", required=True)
    shared = argparse.ArgumentParser(add_help=False)
    shared.add_argument("--gallery", type=Path, required=True, help="folder of the enrolled people")
    shared.add_argument("--xvectors", type=Path, required=True, help="xvector.scp")
    dropped = argparse.ArgumentParser(add_help=False)
    dropped.add_argument("--dropped", type=Path, help="table of utterances that have no x-vector")
    enrol = tasks.add_parser("enrol", parents=[shared, dropped], help="add people")
    enrol.add_argument("--backend", type=Path, help="exp/TAG/backend/NAME, for a new gallery")
    enrol.add_argument("--spk2utt", type=Path, help="people and their utterances (else a key is a person)")
    search = tasks.add_parser("search", parents=[shared], help="print the best people for each x-vector")
    search.add_argument("--top", type=int, default=5, help="how many (5)")
    search.add_argument("--threshold", type=float, help="nobody is named below this score (from evaluate)")
    search.add_argument("--index", action="store_true", help="candidates through faiss (approximate)")
    search.add_argument("--out", type=Path, help="a file instead of the terminal (.gz: gzipped)")
    judge = tasks.add_parser("evaluate", parents=[shared, dropped], help="top-k accuracy, DIR at a FAR")
    judge.add_argument("--utt2spk", type=Path, required=True, help="the probes and who speaks in them")
    judge.add_argument("--top", type=int, nargs="+", default=[1, 5, 10])
    judge.add_argument("--far", type=float, nargs="+", default=[0.01, 0.1], help="false-alarm rates")
    judge.add_argument("--replicates", type=int, default=1000, help="of the bootstrap over speakers")
    judge.add_argument("--seed", type=int, default=0)
    judge.add_argument("--json", action="store_true", help="print JSON instead of a table")
    return parser.parse_args()


def main() -> None:
    """Do what the command line says."""
    options = _options()
    if options.task == "enrol":
        new, people, left_out = commands.enrol(
            options.gallery, options.xvectors, options.backend, options.spk2utt, options.dropped
        )
        lost = f", {len(left_out)} left out (all dropped): {' '.join(left_out[:5])}" if left_out else ""
        print(f"{new} people enrolled, {people} in {options.gallery}{lost}")
    elif options.task == "search":
        lines = commands.search(
            options.gallery,
            options.xvectors,
            top=options.top,
            threshold=options.threshold,
            indexed=options.index,
        )
        if options.out:
            write_lines(options.out, (f"{line}\n" for line in lines))
        else:
            for line in lines:
                print(line)
    else:
        probes = commands.probe(options.gallery, options.xvectors, options.utt2spk, options.dropped)
        figures = rates.judge(
            probes,
            tops=options.top,
            fars=options.far,
            replicates=options.replicates,
            seed=options.seed,
        )
        print(rates.as_json(figures) if options.json else rates.as_text(figures))


if __name__ == "__main__":
    guarded(main)

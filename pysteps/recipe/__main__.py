"""What ./run.sh asks first: check the options, resolve the run, say what is fresh.

Text for people goes to standard output; shell assignments for run.sh go to file descriptor 3.
"""

from __future__ import annotations

import os
import shlex
import shutil
import socket
import subprocess
import sys
from pathlib import Path

from ..formats.errors import InputError, guarded
from ..formats.names import BESIDE, MORE, STAGES
from ..formats.run import Run
from .options import Chosen, as_called, help_text, parse, stage_number


def _gpus(wanted: str, cmd: str) -> int:
    if wanted != "auto":
        return _whole("ngpu", wanted, 0)
    count = 0
    if shutil.which("nvidia-smi") is not None:
        listed = subprocess.run(["nvidia-smi", "-L"], capture_output=True, text=True, check=False)
        lines = listed.stdout.splitlines() if listed.returncode == 0 else []
        count = sum(line.startswith("GPU ") for line in lines)
    if cmd != "local":
        who = f"{count} GPUs" if count else "no GPU, so training will run on CPUs"
        mend = "--ngpu N says how many a node shall have, 0 for CPUs"
        print(f"note: --ngpu auto looks at this machine, not at the cluster: {who}; {mend}", file=sys.stderr)
    return count


def _whole(name: str, text: str, least: int) -> int:
    if not text.isdigit() or int(text) < least:
        raise InputError(f"--{name} {text} is no whole number from {least}")
    return int(text)


def _nodes(chosen: Chosen) -> int:
    nodes, cmd = _whole("nodes", chosen.values.get("nodes", "1"), 1), chosen.values.get("cmd", "local")
    if nodes > 1 and cmd != "slurm":
        raise InputError(f"--nodes {nodes} needs a scheduler that gives nodes", mend="add --cmd slurm")
    return nodes


def _recipes(root: Path) -> None:
    from .listing import read_rows, table

    rows, wrong = read_rows(root)
    print(table(rows, shutil.get_terminal_size((120, 24)).columns))
    for line in wrong:
        print(f"warning: {line}", file=sys.stderr)


def _download(chosen: Chosen) -> None:
    from ..prepare.download_command import for_recipe

    if not chosen.values.get("corpus"):
        parts = "python -m pysteps.prepare download NAME --to FOLDER --only A,B"
        mend = f"say --corpus FOLDER; {parts} gets some of it"
        raise InputError("--download needs a folder", mend=mend)
    folder = Path(chosen.values["corpus"])
    for_recipe(chosen.values.get("recipe", "mini"), folder, dry="dry-run" in chosen.flags)


def _settings(run: Run, chosen: Chosen, stages: list[str]) -> dict[str, str]:
    from .checks import writable
    from .clean import parse as cleanable
    from .status import fresh_stages

    cleaning = cleanable(chosen.values.get("clean", ""))
    # Only whoever holds the work folder's lock may change what running jobs read: run.sh moves it there.
    path = run_file(run)
    driver = os.environ.get("TIMBRE_DRIVER_PID", os.getppid())
    resolved = path.with_name(f".{path.name}.part.{socket.gethostname()}.{driver}.0")
    how = _how(run, chosen)
    fresh, again = ([], []) if cleaning else fresh_stages(run, stages, "force" in chosen.flags)
    stale = [] if cleaning else [stage for stage in stages if stage not in fresh]
    if stale:
        from .plan import refuse_launcher, refuse_speakers

        refuse_speakers(run, stale)
        refuse_launcher(stale, how, path)
    writable(run)
    run.save(resolved)
    if stale:
        from .plan import note_ahead

        note_ahead(run, stale)
    return {
        "run": str(path),
        "resolved": str(resolved),
        "work": run.work,
        **how,
        "first": stages[0],
        "last": stages[-1],
        "fresh": " ".join(fresh),
        "next": next((stage for stage in stages if stage not in fresh), ""),
        "clean": ",".join(cleaning),
        "restore": "\n".join(f"{unit.stage}:{unit.name}" for unit in again),
    }


def run_file(run: Run) -> Path:
    """Where the resolved run lies: a search leaves the run of its tag as it was."""
    return run.exp / ("tune.json" if "tune" in run.options else "run.json")


def _how(run: Run, chosen: Chosen) -> dict[str, str]:
    # What changes no result.
    jobs = os.cpu_count() or 1
    if "tune" in run.options and chosen.values.get("cmd", "local") == "local":
        jobs = max(1, jobs // run.options["train"]["threads"])  # each of them is a training
    return {
        "cmd": chosen.values.get("cmd", "local"),
        "nj": str(_whole("nj", chosen.values.get("nj", str(jobs)), 1)),
        "ngpu": str(_gpus(chosen.values.get("ngpu", "auto"), chosen.values.get("cmd", "local"))),
        "nodes": str(_nodes(chosen)),
        "force": "1" if "force" in chosen.flags else "",
        "ignore": "1" if "ignore-disk" in chosen.flags else "",
        "scratch": chosen.values.get("scratch", ""),
    }


def _dry_run(run: Run, chosen: Chosen, stages: list[str]) -> None:
    from .plan import refuse_full, refuse_launcher, refuse_speakers, refuse_unbuildable, rows, text

    refuse_unbuildable(run)
    found, how = rows(run, stages, "force" in chosen.flags), _how(run, chosen)
    print(text(run, found, how, run_file(run)), flush=True)
    if stale := [row.stage for row in found if row.why]:
        refuse_speakers(run, stale)
        refuse_launcher(stale, how, run_file(run))
    if "ignore-disk" not in chosen.flags:
        refuse_full(run, found)


def _chosen_stages(chosen: Chosen, known: list[str]) -> list[str]:
    first = stage_number(chosen.values.get("stage", known[0]), known)
    last = stage_number(chosen.values.get("stop-stage", known[-1]), known)
    if first > last:
        raise InputError("--stage is behind --stop-stage: nothing would run")
    return known[first : last + 1]


def _named(run: Run, chosen: Chosen) -> tuple[Run, list[str]]:
    # The stages in question; of a search the run, too, is another one.
    from .tuned import refuse_idle, searched

    if chosen.values.get("stage") in BESIDE:
        return searched(run, chosen), [chosen.values["stage"]]
    refuse_idle(chosen)
    return run, _chosen_stages(chosen, [*STAGES, *(stage for stage in MORE if stage in run.options)])


def main() -> None:
    """Parse, then print help, status, plan or recipes, or hand the settings to run.sh."""
    root = Path.cwd()
    chosen = parse(sys.argv[1:])
    as_called(chosen, root)
    if "help" in chosen.flags:
        print(help_text())
        return
    if "recipes" in chosen.flags:
        _recipes(root)
        return
    if "download" in chosen.flags:
        _download(chosen)
        return
    from .checks import refuse_unknown_tag
    from .resolve import resolve

    run = resolve(root, chosen)
    run, stages = _named(run, chosen)
    if "status" in chosen.flags:
        from .holder import at_work
        from .status import table

        print(table(run, stages))
        for line in at_work(run):
            print(line)
        return
    if "clean" not in chosen.values:
        refuse_unknown_tag(run, stages[0])
    if "dry-run" in chosen.flags:
        _dry_run(run, chosen, stages)
        return
    with open(3, "w", encoding="utf-8") as settings:
        for name, value in _settings(run, chosen, stages).items():
            print(f"{name}={shlex.quote(value)}", file=settings)


guarded(main)

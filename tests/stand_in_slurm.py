"""A stand-in for Slurm: sbatch, squeue, scancel and scontrol as one program, told apart by its name.

Nothing runs: an array is a file in $SLURM_STAND_IN/jobs with the states of its tasks, and the test ends tasks
by writing their exit codes. Files beside it make trouble: `down` (no command gets an answer), `deaf` (so many
looks of squeue fail), `swallow` (so many submissions are accepted without an answer), `refuse` (sbatch's
words), `drained` (sinfo names a node). What was asked is kept in submitted.N; in tested.N what was only tried
(--test-only).
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

HERE = Path(os.environ.get("SLURM_STAND_IN", "/nonexistent"))


def install(folder: Path) -> Path:
    """Programs of those names; the folder for PATH."""
    (folder / "bin").mkdir(parents=True)
    (folder / "jobs").mkdir()
    for name in ("sbatch", "squeue", "scancel", "scontrol", "sinfo"):
        program = folder / "bin" / name
        program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -S "{__file__}" {name} "$@"\n')
        program.chmod(0o755)
    return folder / "bin"


def put(file: Path, text: str) -> None:
    """Whole or not at all: the test and other programs look at any moment."""
    new = HERE / f"new.{os.getpid()}"
    new.write_text(text)
    new.replace(file)


def once(name: str) -> bool:
    """Whether this trouble is still to be had; then once less."""
    file = HERE / name
    left = int(file.read_text()) if file.exists() else 0
    if left:
        put(file, str(left - 1))
    return left > 0


def value(words: list[str], option: str) -> str:
    if option in words:
        return words[words.index(option) + 1]
    return next((word.partition("=")[2] for word in words if word.startswith(option + "=")), "")


def sbatch(words: list[str]) -> int:
    if (HERE / "refuse").exists():
        print("sbatch: error: " + (HERE / "refuse").read_text(), file=sys.stderr)
        return 1
    if "--test-only" in words:
        put(HERE / f"tested.{len(list(HERE.glob('tested.*'))) + 1}", json.dumps(words))
        print("sbatch: Job 1 to start at 2026-01-01T00:00:00", file=sys.stderr)
        return 0
    name, last = value(words, "--job-name"), value(words, "--array").partition("%")[0].partition("-")[2]
    number = len(list(HERE.glob("submitted.*"))) + 1
    put(HERE / f"submitted.{number}", json.dumps(words))
    tasks = {str(index): "RUNNING None" for index in range(int(last) + 1)}
    put(HERE / "jobs" / f"{number}.json", json.dumps({"name": name, "tasks": tasks}))
    if once("swallow"):
        print("sbatch: error: Socket timed out on send/recv operation", file=sys.stderr)
        return 1
    print(number)
    return 0


def squeue(words: list[str]) -> int:
    if once("deaf"):
        print("slurm_load_jobs error: Socket timed out on send/recv operation", file=sys.stderr)
        return 1
    for file in sorted((HERE / "jobs").iterdir()):
        job = json.loads(file.read_text())
        if job["name"] in value(words, "--name").split(","):
            for index, state in job["tasks"].items():
                print(job["name"], index, state)
    return 0


def scancel(words: list[str]) -> int:
    for file in (HERE / "jobs").iterdir():
        if json.loads(file.read_text())["name"] == value(words, "--name") or file.stem == words[-1]:
            file.unlink()
    return 0


def main(words: list[str]) -> int:
    if (HERE / "down").exists():
        print(f"{words[0]}: error: Unable to contact slurm controller (connect failure)", file=sys.stderr)
        return 1
    if words[0] == "sinfo":
        print("node1" if (HERE / "drained").exists() else "")
        return 0
    programs = {"sbatch": sbatch, "squeue": squeue, "scancel": scancel, "scontrol": lambda words: 1}
    return programs[words[0]](words[1:])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

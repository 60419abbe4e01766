"""A stand-in for Grid Engine: qsub, qstat and qdel as one program, told apart by the name it is called by.

Tasks really run, in the background, each in a session of its own and with an almost empty environment, and
qdel kills them. Everything lies in $GRID; three files there make trouble: `down` (no command gets an
answer), `eqw` (lines "INDEX TIMES": that task of an array cannot start, so many times) and `refuse` (qsub's
words of refusal). Options that Grid Engine does not have are refused. What was asked is kept in `asked`.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

GRID = Path(os.environ.get("GRID", "/nonexistent"))
FLAGS = ("-terse", "-cwd", "-V")
VALUED = ("-N", "-t", "-tc", "-wd", "-o", "-e", "-j", "-r", "-S", "-l", "-q", "-P", "-p", "-v")


def install(folder: Path) -> Path:
    """Programs of those names; the folder for PATH."""
    (folder / "bin").mkdir(parents=True)
    (folder / "jobs").mkdir()
    for name in ("qsub", "qstat", "qdel"):
        program = folder / "bin" / name
        program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -S "{__file__}" {name} "$@"\n')
        program.chmod(0o755)
    return folder / "bin"


def qsub(words: list[str]) -> int:
    if (GRID / "refuse").exists():
        print("Unable to run job: " + (GRID / "refuse").read_text(), file=sys.stderr)
        return 1
    options: dict[str, str] = {}
    while words[0].startswith("-"):
        name = words.pop(0)
        if name in FLAGS:
            options[name] = "y"
        elif name == "-pe":
            options[name] = words.pop(0) + " " + words.pop(0)
        elif name in VALUED:
            options[name] = words.pop(0)
        else:
            print(f'qsub: Unknown option "{name}"', file=sys.stderr)
            return 7
    name = options.get("-N", os.path.basename(words[0]))
    number, folder = _job(
        words[0], {"name": name, "options": options, "cwd": options.get("-wd", os.getcwd())}
    )
    executor = [sys.executable, "-S", __file__, "execute", str(number)]
    with (folder / "executor.err").open("w") as err:
        subprocess.Popen(
            executor, start_new_session=True, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=err
        )
    if "-terse" in options:
        print(f"{number}.{options['-t'].replace(':', '-')}:1" if "-t" in options else number)
    elif "-t" in options:
        print(f'Your job-array {number}.{options["-t"].replace(":", "-")}:1 ("{name}") has been submitted')
    else:
        print(f'Your job {number} ("{name}") has been submitted')
    return 0


def _job(script: str, job: dict) -> tuple[int, Path]:
    """Its number and folder, which appears with all that it holds."""
    new = GRID / f"new.{os.getpid()}"
    new.mkdir()
    shutil.copy(script, new / "script")  # Grid Engine runs a copy
    (new / "job.json").write_text(json.dumps({**job, "environ": dict(os.environ)}))
    with (GRID / "asked").open("a") as asked:
        asked.write(json.dumps(job["options"]) + "\n")
    for index in _indices(job["options"]):
        (new / f"{index}.state").write_text("qw")
    number = 1
    while True:
        try:
            return number, new.rename(GRID / "jobs" / str(number))
        except OSError:  # that number is taken
            number += 1


def _indices(options: dict[str, str]) -> range:
    first, _, last = options.get("-t", "1").replace(":", "-").partition("-")
    return range(int(first), int(last or first) + 1)


def execute(number: str) -> int:
    """Run the tasks of one job, as many at once as -tc says."""
    folder = GRID / "jobs" / number
    job = json.loads((folder / "job.json").read_text())
    waiting, running = list(_indices(job["options"])), {}
    width = int(job["options"].get("-tc", "1000"))
    while waiting or running:
        while waiting and len(running) < width:
            index = waiting.pop(0)
            if (folder / f"{index}.state").exists() and not _troubled(index):
                running[index] = _start(folder, job, index)
            elif (folder / f"{index}.state").exists():
                _put(folder / f"{index}.state", "Eqw")
        for index, process in list(running.items()):
            if process.poll() is not None:
                del running[index]
                _remove(folder / f"{index}.state")
        time.sleep(0.02)
    return 0


def _put(file: Path, text: str) -> None:
    """Whole or not at all: qstat, qdel and the test look at any moment."""
    new = file.parent / f"new.{os.getpid()}"
    new.write_text(text)
    new.replace(file)


def _troubled(index: int) -> bool:
    trouble = GRID / "eqw"
    lines = [line.split() for line in trouble.read_text().splitlines()] if trouble.exists() else []
    for line in lines:
        if int(line[0]) == index and int(line[1]) > 0:
            line[1] = str(int(line[1]) - 1)
            trouble.write_text("".join(" ".join(kept) + "\n" for kept in lines))
            return True
    return False


def _start(folder: Path, job: dict, index: int) -> subprocess.Popen[bytes]:
    options = job["options"]
    wanted = list(job["environ"]) if "-V" in options else options.get("-v", "").split(",")
    environment = {"HOME": "/", "PATH": "/usr/bin:/bin", "JOB_ID": folder.name}
    environment |= {name: job["environ"][name] for name in wanted if name in job["environ"]}
    environment["SGE_TASK_ID"] = str(index) if "-t" in options else "undefined"
    line = [options.get("-S", "/bin/bash"), str(folder / "script")]
    with open(options["-o"], "ab") as out:
        streams = {"stdin": subprocess.DEVNULL, "stdout": out, "stderr": subprocess.STDOUT}
        process = subprocess.Popen(line, cwd=job["cwd"], env=environment, start_new_session=True, **streams)
    _put(folder / f"{index}.pid", str(process.pid))
    _put(folder / f"{index}.state", "r")
    return process


def qstat(words: list[str]) -> int:
    if words[0] == "-j":
        tasks = _tasks(GRID / "jobs" / words[1])
        if not tasks:
            print(f"Following jobs do not exist: \n{words[1]}", file=sys.stderr)
            return 1
        print(f"job_number:                 {words[1]}")
        for index, state in tasks:
            if state == "Eqw":
                print(f"error reason    {index}:          can't chdir to /gone: No such file or directory")
        return 0
    print("<?xml version='1.0'?>\n<job_info  xmlns:xsd=\"http://example.org/qstat.xsd\">\n<queue_info>")
    for folder in (GRID / "jobs").iterdir():
        name, tasks = json.loads((folder / "job.json").read_text())["name"], _tasks(folder)
        waiting = [str(index) for index, state in tasks if state == "qw"]
        lines = [(str(index), state) for index, state in tasks if state != "qw"]
        for span, state in [*lines, *([(",".join(waiting), "qw")] if waiting else [])]:
            print(f"<job_list><JB_job_number>{folder.name}</JB_job_number><JB_name>{name}</JB_name>")
            print(f"<state>{state}</state><tasks>{span}</tasks></job_list>")
    print("</queue_info></job_info>")
    return 0


def _tasks(folder: Path) -> list[tuple[int, str]]:
    found = []
    for path in folder.glob("*.state"):
        try:
            found.append((int(path.stem), path.read_text()))
        except FileNotFoundError:
            continue
    return sorted(found)


def qdel(words: list[str]) -> int:
    for folder in (GRID / "jobs").iterdir():
        if words[0] not in (folder.name, json.loads((folder / "job.json").read_text())["name"]):
            continue
        for index, _ in _tasks(folder):
            if words[1:] in ([], ["-t", str(index)]):
                _remove(folder / f"{index}.state")
                _kill(folder / f"{index}.pid")
    return 0


def _kill(path: Path) -> None:
    """The task's whole session: its own process groups too."""
    if not path.exists():
        return
    session = path.read_text()
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            if stat.read_text().rpartition(")")[2].split()[3] == session:
                os.kill(int(stat.parent.name), signal.SIGKILL)
        except OSError:
            continue


def _remove(path: Path) -> None:
    path.unlink(missing_ok=True)


def main(words: list[str]) -> int:
    if (GRID / "down").exists() and words[0] != "execute":
        print("error: commlib error: got select error (Connection refused)", file=sys.stderr)
        return 1
    if words[0] == "execute":
        return execute(words[1])
    return {"qsub": qsub, "qstat": qstat, "qdel": qdel}[words[0]](words[1:])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

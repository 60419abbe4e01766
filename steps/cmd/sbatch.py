"""What sbatch is told about one array: its options from the request and conf/cluster/slurm.yaml, its script.

Standard library only.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import sys
from typing import Any

from contract import OPTIONS, Refused, Request, at_once, kind_of

HERE = os.path.dirname(os.path.abspath(__file__))
# What a task must have as this process has it, whatever the site does with environments.
MEANINGFUL = ("VIRTUAL_ENV", "PYTHON", "OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")
SHARED = (*MEANINGFUL, "PATH", "PYTHONPATH", "LD_LIBRARY_PATH", "LC_ALL", "PYTHONUTF8")
PREFIXES = ("TIMBRE_", "NCCL_", "GLOO_", "TORCH_")
# What belongs to this machine alone.
PRIVATE = ("TIMBRE_LOCK_FD", "TIMBRE_DRIVER_PID", "TIMBRE_SHOW", "TIMBRE_LAUNCH")
CONF = "conf/cluster/slurm.yaml"
OWN = {"nodes": "--nodes", "gpu": "--ngpu"}  # what ./run.sh calls these
KINDS = ("cpu", "io", "gpu")
OF_A_KIND = ("partition", "account", "qos", "constraint", "time", "mem", "threads", "extra")
GENERAL = ("retries", "max_jobs_run", "poll", "grace", "enforce_mem", "io.jobs", "gpu.gres")
NUMBERS = ("retries", "max_jobs_run", "poll", "grace")
# What the steps call their fan-outs: their logs' names.
FAN_OUTS = ("prepare", "audio", "vad", "augment", "features", "egs", "train", "extract", "backend", "score")
FAN_OUTS += ("diarize", "report")


def check(settings: dict[str, str], name: str = "") -> None:
    """Refused if a key of the settings is unknown or its value cannot be.

    ``name``: of the fan-out that asks, if it may be none of the steps'.
    """
    known = {*GENERAL, *(f"{kind}.{key}" for kind in KINDS for key in OF_A_KIND)}
    for key, value in settings.items():
        if key not in known and not key.startswith("mem."):
            raise Refused(f"slurm.yaml: unknown key {key}; known: {' '.join(sorted(known))} mem.NAME")
        pattern = OPTIONS["mem"] if key.startswith("mem.") or key.endswith(".mem") else r".*"
        pattern = r"\d+(\.\d+)?" if key in NUMBERS else r"[1-9]\d*" if key.endswith(".threads") else pattern
        pattern = "yes|no|true|false" if key == "enforce_mem" else pattern
        pattern = r"[1-9]\d*" if key == "max_jobs_run" else pattern
        if not re.fullmatch(pattern, value):
            raise Refused(f"slurm.yaml: {key} cannot be {value!r}")
        check_names("slurm.yaml", key, value, name)


def check_names(where: str, key: str, value: str, name: str = "") -> None:
    """Refused if a line of ``mem:`` or ``io.jobs`` names what is no fan-out."""
    said = [key.removeprefix("mem.")] if key.startswith("mem.") else value.split() if key == "io.jobs" else []
    for word in said:
        if word not in (*FAN_OUTS, name):
            raise Refused(f"{where}: {key}: there is no fan-out {word}; known: {' '.join(FAN_OUTS)}")


def megabytes(request: Request, settings: dict[str, str]) -> int | None:
    """Memory to ask for: what the site sets for this fan-out, what the step asks, what the site sets."""
    text = settings.get(f"mem.{request.name}") or request.options.get("mem")
    text = text or settings.get(f"{kind_of(request, settings)}.mem")
    if not text:
        return None
    return max(1, round(float(text.rstrip("GgMm")) * (1 if text[-1] in "Mm" else 1024)))


def threads(request: Request, settings: dict[str, str]) -> int:
    """Cores of one task (of one node of it)."""
    return request.number("num-threads", int(settings.get(f"{kind_of(request, settings)}.threads", 1)))


def options_of(request: Request, settings: dict[str, str], name: str, folder: str, tasks: int) -> list[str]:
    """sbatch's options for an array of ``tasks`` tasks called ``name`` whose files lie in ``folder``."""
    width = at_once(request, settings)
    # A task that Slurm puts back (preemption, a dead node, scontrol requeue) stays the same task.
    options = ["--parsable", "--requeue", f"--job-name={name}", f"--chdir={os.getcwd()}"]
    options += [f"--array=0-{tasks - 1}" + (f"%{width}" if width else "")]
    options += [f"--output={folder.replace('%', '%%')}/%a.out"]
    return options + asked_for(request, settings)


def asked_for(request: Request, settings: dict[str, str]) -> list[str]:
    """sbatch's options for what a task needs: nodes, cores, memory, GPUs, and what the site adds."""
    kind, nodes = kind_of(request, settings), request.number("nodes", 1)
    options = [f"--nodes={nodes}", f"--ntasks={nodes}", "--ntasks-per-node=1"]
    options += [f"--cpus-per-task={threads(request, settings)}"]
    if memory := megabytes(request, settings):
        options += [f"--mem={memory}M"]
    if kind == "gpu":
        options += [f"--gres={settings.get('gpu.gres', 'gpu')}:{request.number('gpu', 0)}"]
    for key in ("partition", "account", "qos", "constraint", "time"):
        value = request.options.get(key) or settings.get(f"{kind}.{key}")
        options += [f"--{key}={value}"] if value else []
    return options + shlex.split(settings.get(f"{kind}.extra", ""))


def in_words(request: Request, settings: dict[str, str]) -> str:
    """What was asked, and where that stands: behind the words of a Slurm that refuses."""
    asked, conf = shlex.join(asked_for(request, settings)), request.options.get("conf", CONF)
    kind = kind_of(request, settings)
    own = " or ".join(word for name, word in OWN.items() if name in request.options)
    own = f", or give ./run.sh another {own}" if own else ""
    return f"asked for: {asked}; to change it, edit {conf}, section {kind}: (memory: mem:){own}"


def write_script(request: Request, settings: dict[str, str], folder: str, jobs: list[int]) -> str:
    """The array's script, and beside it what task.py needs to know; the script's path."""
    spec = task_spec(request, jobs, threads(request, settings))
    if settings.get("enforce_mem") in ("yes", "true"):
        spec["megabytes"] = megabytes(request, settings)
    command = task_command(folder, spec)
    script = os.path.join(folder, "task.sh")
    write_whole(script, f'#!/bin/bash\nexec {command} "$SLURM_ARRAY_TASK_ID"\n')
    return script


def task_spec(request: Request, jobs: list[int], cores: int) -> dict[str, Any]:
    """What task.py needs to know of each of ``jobs``."""
    environment = {name: os.environ[name] for name in SHARED if name in os.environ}
    environment |= {name: value for name, value in os.environ.items() if name.startswith(PREFIXES)}
    return {
        "name": request.name,
        "argv": [request.argv(job) for job in jobs],
        "logs": [os.path.abspath(request.log_of(job)) for job in jobs],
        "jobs": jobs,
        "last": request.jobs[-1],
        "threads": cores,
        "cwd": os.getcwd(),
        "environment": {name: value for name, value in environment.items() if name not in PRIVATE},
        "unset": list(PRIVATE),
    }


def task_command(folder: str, spec: dict[str, Any]) -> str:
    """Write ``spec`` to ``folder``; the shell's words that start a task of it, all but its place there."""
    path = os.path.join(folder, "spec.json")
    write_whole(path, json.dumps(spec))
    return shlex.join([sys.executable, "-S", os.path.join(HERE, "task.py"), path])


def write_whole(path: str, text: str) -> None:
    """Whole or not at all."""
    with open(f"{path}.{os.getpid()}", "w", encoding="utf-8", errors="surrogateescape") as handle:
        handle.write(text)
        handle.flush()
        os.fsync(handle.fileno())
    os.replace(handle.name, path)

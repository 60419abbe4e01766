"""Runs a run's stages again and again in forked children, on a disk that fails or until killed.

    python drive.py SPEC      SPEC: a JSON file, the fields of ``Spec``; the verdict goes to standard output

Everything heavy is imported once, here; an attempt is a fork. Both runs, the undisturbed one and the other,
lie in the same place one after the other, so that even stamps and plans must be the same bytes.
"""

from __future__ import annotations

import ctypes
import hashlib
import importlib
import json
import os
import random
import shutil
import signal
import sys
import time
import zipfile
from dataclasses import asdict, dataclass, field
from pathlib import Path

from pysteps.formats import command
from pysteps.formats.errors import guarded
from pysteps.formats.run import Run
from pysteps.recipe.status import MODULES

# Hold times, or the places of checkpoints that are gone when a training ends: read, not compared.
FREE = ("curves.jsonl", "step-", "events.out")


@dataclass
class Spec:
    """What to do: ``kind`` is faults (calls fail by chance), quota (so many bytes, then ENOSPC) or kills."""

    run: str
    stages: list[str]
    kind: str = "faults"
    seed: int = 0
    mille: int = 50
    short: int = 100
    quotas: list[int] = field(default_factory=list)
    attempts: int = 200  # most of them before the run must have ended well; of kills: how many
    first: str = ""  # stages up to here are done once and kept


@dataclass
class Verdict:
    """What became of the attempts: each failed one's last line, and whatever must not be."""

    attempts: int = 0
    landed: int = 0  # kills that met a run which had not ended
    said: list[str] = field(default_factory=list)
    tracebacks: list[str] = field(default_factory=list)
    partial: list[str] = field(default_factory=list)
    different: list[str] = field(default_factory=list)
    left: list[str] = field(default_factory=list)


def chain(path: str, stages: list[str], jobs: int = 1) -> None:
    """What ./run.sh does, without a process for each step; with ``jobs`` above 1 those are forked."""
    for name in stages:
        stage, run = MODULES[name], Run.load(path)
        if all(unit.stale() is None for unit in stage.units(run)):
            continue
        if not hasattr(stage, "worker"):
            command.single(stage, run)
            continue
        waiting, todo = command.plan(stage, run)
        share(stage, run, todo, min(jobs, waiting))
        command.gather(stage, run)


def share(stage: object, run: Run, todo: str, jobs: int) -> None:
    """The jobs of one fan-out."""
    if jobs == 1:
        command.job(stage, run, todo, 1, 1)  # type: ignore[arg-type]
    children = []
    for number in range(1, jobs + 1 if jobs > 1 else 1):
        child = os.fork()
        if not child:
            command.job(stage, run, todo, number, jobs)  # type: ignore[arg-type]
            os._exit(0)
        children.append(child)
    if any(os.waitpid(child, 0)[1] for child in children):
        raise SystemExit(1)


def start(path: str, stages: list[str], log: Path, arm: tuple[int, int, int, int] | None, jobs: int) -> int:
    """Fork a child that runs the chain with its words in ``log``; its process id, that of its group too."""
    child = os.fork()
    if child:
        return child
    code = 1
    try:
        os.setpgid(0, 0)
        handle = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(handle, 1), os.dup2(handle, 2)
        if arm is not None:
            faulty(Run.load(path).work, *arm)
        guarded(lambda: chain(path, stages, jobs))
        code = 0
    except SystemExit as error:
        code = int(error.code or 0)
    except BaseException:
        import traceback

        traceback.print_exc()
    finally:
        sys.stdout.flush()
        os._exit(code)


def faulty(work: str, seed: int, mille: int, short: int, quota: int) -> None:
    """Make the disk below ``work`` fail, for this process and those it starts."""
    names = ("SEED", "MILLE", "SHORT", "QUOTA")
    for name, value in zip(names, (seed, mille, short, quota), strict=True):
        os.environ[f"TIMBRE_FAULTS_{name}"] = str(value)
    os.environ["TIMBRE_FAULTS_BELOW"] = work
    arguments = [ctypes.c_long(value) for value in (seed, mille, short, quota, 0)]
    ctypes.CDLL(None).faults_arm(os.fsencode(work), *arguments)


def digests(work: Path) -> dict[str, str]:
    """Every file under its final name: relative path to a hash."""
    found = {}
    for path in sorted(work.rglob("*")):
        parts = path.relative_to(work).parts
        if path.is_file() and not any(".part." in part for part in parts):
            found["/".join(parts)] = hashlib.sha256(path.read_bytes()).hexdigest()
    return found


def partial(work: Path, whole: dict[str, str]) -> list[str]:
    """Files under a final name that are neither what the undisturbed run has nor whole of their kind."""
    wrong = []
    for name, digest in digests(work).items():
        path = work / name
        if whole.get(name) == digest:
            continue
        try:
            if path.name.startswith("step-"):
                assert zipfile.ZipFile(path).testzip() is None
            elif path.name == "curves.jsonl":
                assert all("epoch" in json.loads(line) for line in path.read_text().splitlines())
            elif "/todo/" in name:  # a cut list is no JSON
                assert isinstance(json.loads(path.read_text()), list)
            else:
                assert path.name.startswith(FREE)
        except (AssertionError, ValueError, zipfile.BadZipFile) as error:
            wrong.append(f"{name}: {type(error).__name__}")
    return wrong


def compare(verdict: Verdict, work: Path, whole: dict[str, str]) -> None:
    """The finished run against the undisturbed one."""
    found = digests(work)
    verdict.different += sorted(
        name
        for name in {*found, *whole}
        if found.get(name) != whole.get(name)
        and not (name.split("/")[-1].startswith(FREE) or "/todo/" in name)
    )
    verdict.left += [str(path) for path in work.rglob(".*.part.*")]


def judge(verdict: Verdict, log: Path, code: int) -> None:
    """Take in the end of an attempt."""
    text = log.read_text("utf-8", "replace")
    verdict.attempts += 1
    if "Traceback" in text:
        verdict.tracebacks.append(text[-2000:])
    with open(log.with_name("attempts.log"), "a", encoding="utf-8") as handle:  # for whoever watches
        handle.write(f"--- attempt {verdict.attempts}: code {code}\n{text}")
    if code:
        verdict.said.append(text.strip().splitlines()[-1] if text.strip() else "")


def sweep(work: Path) -> None:
    """As steps/lock.sh does when the next run begins."""
    for path in sorted(work.rglob(".*.part.*")):
        shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)


def disturb(spec: Spec, work: Path, log: Path, whole: dict[str, str]) -> Verdict:
    """Attempts on a failing disk until one ends well."""
    verdict = Verdict()
    for number in range(spec.attempts):
        quota = spec.quotas[number] if number < len(spec.quotas) else -1
        last = spec.kind == "quota" and quota < 0
        arm = (spec.seed + number, 0 if spec.kind == "quota" else spec.mille, spec.short, quota)
        child = start(spec.run, spec.stages, log, None if last else arm, 1)
        code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        judge(verdict, log, code)
        verdict.partial += partial(work, whole)
        sweep(work)
        if not code:
            break
    else:
        verdict.different.append("no attempt ended well")
    compare(verdict, work, whole)
    return verdict


def kill(spec: Spec, work: Path, log: Path, whole: dict[str, str], seconds: float) -> Verdict:
    """``attempts`` runs, each killed with all its processes at a moment of its own and started again."""
    verdict, chance = Verdict(), random.Random(spec.seed)
    for _ in range(spec.attempts):
        restore(work)
        child = start(spec.run, spec.stages, log, None, 1 + chance.randrange(3))
        time.sleep(seconds * chance.random())
        try:
            os.killpg(child, signal.SIGKILL)
        except ProcessLookupError:  # it has ended, or has no group of its own yet
            os.kill(child, signal.SIGKILL)
        landed = os.WIFSIGNALED(os.waitpid(child, 0)[1])
        verdict.landed += landed
        seconds *= 1.0 if landed else 0.6  # it had ended: the first run took longer
        wait_for(child)
        verdict.partial += partial(work, whole)
        sweep(work)
        child = start(spec.run, spec.stages, log, None, 1 + chance.randrange(3))
        judge(verdict, log, os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
        compare(verdict, work, whole)
    return verdict


def wait_for(group: int, seconds: float = 5.0) -> None:
    """Until no process of the killed group is left (or only dead ones that nobody collects)."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        try:
            os.killpg(group, 0)
        except ProcessLookupError:
            return
        time.sleep(0.005)


def restore(work: Path) -> None:
    """What lay in the work folder before the first attempt."""
    shutil.rmtree(work, ignore_errors=True)
    shutil.copytree(work.with_name("before"), work)


def main() -> None:
    """The undisturbed run, then the others; one line of JSON."""
    spec = Spec(**json.loads(Path(sys.argv[1]).read_text()))
    light = {"prepare", "audio", "vad"}
    for heavy in ("soundfile", "scipy.signal", *(() if {*spec.stages} <= light else ("pysteps.train.loop",))):
        importlib.import_module(heavy)
    work = Path(Run.load(spec.run).work)
    log = Path(sys.argv[1]).with_name("attempt.log")
    if spec.first:
        names = list(MODULES)
        child = start(spec.run, names[: names.index(spec.first) + 1], log, None, 1)
        assert os.waitpid(child, 0)[1] == 0, log.read_text()
    shutil.copytree(work, work.with_name("before"))
    began = time.monotonic()
    child = start(spec.run, spec.stages, log, None, 1)
    assert os.waitpid(child, 0)[1] == 0, log.read_text()
    seconds, whole = time.monotonic() - began, digests(work)
    if spec.kind == "kills":
        verdict = kill(spec, work, log, whole, seconds)
    else:
        restore(work)
        verdict = disturb(spec, work, log, whole)
    print(json.dumps({"files": len(whole), "seconds": seconds, **asdict(verdict)}))


if __name__ == "__main__":
    main()

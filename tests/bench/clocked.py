"""A command in its own process: what it took. Used by corpus.py and scale.py."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

# A process begins with the peak of the one that starts it, which after some thousand tests is gigabytes:
# so a small process starts the command and tells of it.
_BETWEEN = """
import json, resource, subprocess, sys
code = subprocess.call(sys.argv[2:])
used = resource.getrusage(resource.RUSAGE_CHILDREN)
with open(sys.argv[1], "w") as told:
    json.dump([code, used.ru_utime + used.ru_stime, used.ru_maxrss / 1024], told)
"""


class Figure(NamedTuple):
    """A step's seconds, CPU seconds and peak memory in MB."""

    step: str
    seconds: float
    cpu: float
    peak: float


def clocked(step: str, words: Sequence[str], cwd: Path) -> Figure:
    """Run ``words`` in ``cwd``; RuntimeError with what they said if they fail.

    CPU and peak memory are those of the process and of those that it waited for (the larger of both peaks).
    """
    with tempfile.TemporaryDirectory() as folder:
        told, said = os.path.join(folder, "told"), os.path.join(folder, "said")
        with open(said, "wb") as out:
            begin = time.perf_counter()
            line = [sys.executable, "-IS", "-c", _BETWEEN, told, *words]
            subprocess.run(line, cwd=cwd, stdout=out, stderr=subprocess.STDOUT, check=True)
            seconds = time.perf_counter() - begin
        code, cpu, peak = json.loads(Path(told).read_text())
        if code:
            raise RuntimeError(f"{step}: {Path(said).read_text(errors='replace')[-4000:]}")
    return Figure(step, seconds, cpu, peak)

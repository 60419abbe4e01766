"""Before a run begins: what it will ask a launcher for, looked at by that launcher (``--check``).

Standard input has the command lines that are to follow, as steps/*.sh --dry-run says them: the words of each
ended by NUL, an empty word before each line. Standard library only.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import IO

from arrays import PASSING
from contract import QueueError, Refused, Request, parse
from jobs import ask
from sbatch import asked_for, in_words

CHECK = "--check"
# Free nodes come back: no reason to refuse a run.
FOR_NOW = ("busy", "down, drained", "available now", "Job violates accounting/QOS policy")
PERHAPS = "node configuration is not available"  # also said while the nodes that have it are down or drained


def requests(stream: IO[str], launcher: str, more: Mapping[str, str] | None = None) -> list[Request]:
    """The command lines on ``stream`` that go through steps/cmd/``launcher``."""
    found = []
    for line in stream.read().strip("\0").split("\0\0"):
        program, *words = line.split("\0")
        if program == f"steps/cmd/{launcher}":
            found.append(parse(words[launcher == "foreign" :], more))  # there the site's program comes first
    return found


def _nodes_away() -> bool:
    # Whether a node is out of use now.
    states = "down,drained,draining,fail,maint,no_respond,unknown"
    return bool(ask(None, "sinfo", "-h", "-N", "-t", states, "-o", "%N").stdout.strip())


def try_sbatch(asked: list[Request], settings: dict[str, str]) -> None:
    """Ask Slurm, once for all that ask the same, whether it would take such a job.

    Refused with its words, the ask and where that stands; QueueError if it cannot be reached.
    """
    lines = {tuple(asked_for(request, settings)): request for request in reversed(asked)}
    for options, request in reversed(lines.items()):
        said = ask(None, "sbatch", "--test-only", f"--job-name={request.name}", *options, "--wrap=true")
        words = " ".join(said.stderr.split())
        if said.returncode == 0:
            continue
        if any(word in words for word in PASSING):
            raise QueueError(f"sbatch cannot be reached: {words}")
        if any(word in words for word in FOR_NOW) or (PERHAPS in words and _nodes_away()):
            sys.stderr.write(f"note: slurm: {request.name} would have to wait (see sinfo -R): {words}\n")
            continue
        raise Refused(f"sbatch would refuse {request.name}: {words}; {in_words(request, settings)}")

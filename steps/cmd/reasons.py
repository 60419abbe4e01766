"""Why Slurm lets a job wait, where waiting alone may not help: in a sentence. Standard library only."""

from __future__ import annotations

import re

# Slurm's own words (squeue's %r) for what somebody must look at; all others pass by themselves.
REASONS = {
    r"Partition(Config|NodeLimit|TimeLimit)|MaxMemPerLimit": "its partition does not give what was asked",
    r"Partition(Down|Inactive)": "its partition is closed: see sinfo",
    r"BadConstraints": "no node has what was asked (constraint, cores, memory, gres)",
    r"(Assoc|QOS)(Max|Grp|Min)\w*": "a limit of your account or QOS: too much asked, or other jobs first",
    r"(Account|QOS)NotAllowed|Invalid(Account|QOS)": "this account or QOS may not use that partition",
    r"ReqNodeNotAvail.*|Nodes.required.for.job.are.*": "its nodes are down or reserved: see sinfo -R",
    r"DependencyNeverSatisfied": "what it depends on has failed: scancel it",
    r"JobHeldUser": "somebody holds it: scontrol release it",
    r"JobHeldAdmin": "an administrator holds it: ask there",
}


def sentence(reason: str) -> str:
    """What ``reason`` means; empty for what passes by itself."""
    word = reason.strip("()")
    return next((words for pattern, words in REASONS.items() if re.fullmatch(pattern, word)), "")

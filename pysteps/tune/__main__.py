"""The command line of stage tune: plan, job and gather (of steps/tune.sh), forget."""

from __future__ import annotations

import argparse

from ..formats.errors import guarded
from ..formats.run import Run


def main(arguments: list[str] | None = None) -> None:
    """``python -m pysteps.tune VERB --run exp/TAG/tune.json``."""
    parser = argparse.ArgumentParser(prog="python -m pysteps.tune", description=__doc__)
    parser.add_argument("verb", choices=("plan", "job", "gather", "forget"))
    parser.add_argument("--run", required=True, help="the resolved run: exp/TAG/tune.json")
    parser.add_argument("--job", type=int, default=1, help="job: which one this is, from 1")
    parser.add_argument("--jobs", type=int, default=1, help="job: how many there are")
    words = parser.parse_args(arguments)
    from . import stage

    run = Run.load(words.run)
    if words.verb == "job":
        stage.job(run, words.job, words.jobs)
    elif words.verb == "plan":
        print(stage.plan(run))
    elif words.verb == "gather":
        stage.gather(run)
    else:
        stage.forget(run)


guarded(main)

"""The command line of stage score: run, and summary (the figures as a table)."""

import sys

from ..formats.command import main
from ..formats.errors import guarded
from ..formats.run import Run
from . import stage


def _summary() -> None:
    print(stage.summary(Run.load(sys.argv[sys.argv.index("--run") + 1])))


if sys.argv[1:2] == ["summary"]:
    guarded(_summary)
else:
    main(stage)

"""The command line of stage prepare: run (see pysteps.formats.command), and the words of commands.py."""

import sys

from ..formats.errors import guarded
from . import commands

if sys.argv[1:2] and sys.argv[1] in commands.WORDS:
    guarded(lambda: commands.main(sys.argv[1:]))
else:
    from ..formats.command import main
    from . import stage

    main(stage, commands.WORDS)

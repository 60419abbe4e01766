"""The command line of stage prepare: see pysteps.formats.command."""

from ..formats.command import main
from . import stage

main(stage)

"""The words of ``python -m pysteps.prepare`` beside the stage itself. Start one with --help."""

from __future__ import annotations

from importlib import import_module

WORDS = {
    "download": "get an openly licensed corpus: checked, begun again where it broke off, unpacked",
    "import": "make a recipe of your own corpus: a folder, a table, a Kaldi directory, manifests",
    "trials": "make a trial list by rule, or from another format",
    "validate": "check data directories",
    "fix": "sort a data directory's tables and take out what does not belong together",
    "combine": "make one data directory of several",
    "subset": "choose speakers, utterances or hours of a data directory",
    "filter": "leave out short utterances, and speakers with few of them",
    "split": "split a data directory by speakers",
}
# The module of this room that has the word's options and does it: command(words).
MODULES = {"download": "download_command", "import": "import_command", "trials": "trials_command"}


def main(words: list[str]) -> None:
    """Do what the command line ``words`` say; the first is one of WORDS."""
    module = import_module(f".{MODULES.get(words[0], 'sets_command')}", __package__)
    module.command(words)

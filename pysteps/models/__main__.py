"""The command line of the models: ``python -m pysteps.models WORD ...``, a word a row of WORDS."""

import argparse
import sys

from ..formats.errors import guarded

# word: (module of this room with main(arguments), what it does)
WORDS = {
    "import": ("importer_command", "weights of WeSpeaker, 3D-Speaker, SpeechBrain or ReDimNet's authors"),
    "list": ("list_command", "every network of conf/models: parameters, MACs, sizes, paper"),
}


def main() -> None:
    """Hand the arguments behind the word to its module."""
    from importlib import import_module

    words = "\n".join(f"  {word:8} {about}" for word, (_, about) in WORDS.items())
    parser = argparse.ArgumentParser(
        prog="python -m pysteps.models",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog=f"words:\n{words}\n\nWORD --help says what it takes.",
    )
    parser.add_argument("word", choices=list(WORDS), metavar="WORD")
    word = parser.parse_args(sys.argv[1:2]).word
    import_module(f".{WORDS[word][0]}", __package__).main(sys.argv[2:])


if __name__ == "__main__":
    guarded(main)

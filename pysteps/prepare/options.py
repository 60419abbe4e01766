"""Options of stage 0."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass
class PrepareOptions:
    """seed: of whatever local/NAME.py draws (simulated rooms, generated trials). roots: where corpora
    lie that are not below --corpus, as in ``--prepare.roots.musan /disk2/musan``. choices: of what a
    corpus's script offers (egs/NAME/README.md), as in ``--prepare.choices.languages cy,de``.
    """

    seed: int = 0
    roots: dict[str, str] = field(default_factory=dict)
    choices: dict[str, str] = field(default_factory=dict)

"""./run.sh --recipes: a table of the recipes, facts in columns and sentences below them."""

from __future__ import annotations

from pathlib import Path
from textwrap import wrap

from ..formats.errors import InputError

FACTS = ("recipe", "hours", "speakers", "size", "licence")
SENTENCES = {"description": "", "expected": "expected: "}
_GAP, _INDENT = "  ", "    "
_WIDEST = 20  # letters; a longer cell pushes its own line only


def read_rows(root: Path) -> tuple[list[dict[str, str]], list[str]]:
    """What each egs/NAME/recipe.sh says of itself, by name; and what is wrong with those that say nothing."""
    from .resolve import VARIABLES, read_recipe

    rows, wrong = [], []
    for script in sorted(root.glob("egs/*/recipe.sh"), key=lambda path: path.parent.name):
        try:
            said = {**VARIABLES, **read_recipe(script.parent)}
        except InputError as error:  # one broken recipe hides no other
            wrong.append(str(error))
            continue
        said["recipe"] = script.parent.name
        rows.append({name: said[name] for name in (*FACTS, *SENTENCES)})
    return rows, wrong


def table(rows: list[dict[str, str]], width: int) -> str:
    """The rows as text: a line of facts each, in columns, and below it sentences of ``width`` letters a line.

    A column in which nothing stands is left out.
    """
    names = [name for name in FACTS if any(row[name] for row in rows)]
    wide = {name: max(len(name), *(min(len(row[name]), _WIDEST) for row in rows)) for name in names}
    lines = []
    for row in [dict(zip(names, names, strict=True)), *rows]:
        lines.append(_GAP.join(f"{row[name]:{wide[name]}s}" for name in names).rstrip())
        for name, lead in SENTENCES.items():
            if row.get(name):
                lines += wrap(lead + row[name], width, initial_indent=_INDENT, subsequent_indent=_INDENT)
    return "\n".join(lines)

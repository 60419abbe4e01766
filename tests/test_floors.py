"""Inside pysteps an import points only to an earlier room (docs/design.md)."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest


def floors(repo: Path) -> dict[str, int]:
    """Room -> its place in the order of docs/design.md; rooms of one line without arrows share it."""
    text = (repo / "docs" / "design.md").read_text("utf-8").partition("points only to an earlier room:")[2]
    lines = [line for line in text.splitlines()[1:8] if line.startswith("    ")]
    order = [re.findall(r"[a-z]+", part) for line in lines for part in line.partition("(")[0].split("->")]
    return {room: place for place, rooms in enumerate(order) for room in rooms}


def imports(path: Path) -> Iterator[tuple[int, str]]:
    """Line and room of every import of another room, those inside functions too."""
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.level == 2:
            for name in [node.module.split(".")[0]] if node.module else [alias.name for alias in node.names]:
                yield node.lineno, name
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            assert not (node.module or "").startswith("pysteps"), f"{path}:{node.lineno}: absolute"


def test_every_room_has_its_place(repo: Path) -> None:
    rooms = {path.parent.name for path in (repo / "pysteps").glob("*/__init__.py")}
    assert rooms <= floors(repo).keys()


@pytest.mark.parametrize("room", ["augment", "egs", "score", "recipe"])
def test_the_order_is_read_right(repo: Path, room: str) -> None:
    place = floors(repo)
    assert place["formats"] == place["metrics"] < place["audio"] < place[room] <= place["recipe"]


def test_imports_point_to_earlier_rooms(repo: Path) -> None:
    place = floors(repo)
    late = [
        f"{path.relative_to(repo)}:{line} -> {room}"
        for path in sorted((repo / "pysteps").rglob("*.py"))
        for line, room in imports(path)
        if place[room] > place[path.relative_to(repo / "pysteps").parts[0]]
    ]
    assert late == []

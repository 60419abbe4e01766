"""A line of a long table is found without reading the others, and the same as by reading them all."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pysteps.formats import lookup
from pysteps.formats.errors import InputError
from pysteps.formats.lookup import Lookup
from pysteps.formats.tables import columns, keys_rise, read_table, write_table

KEYS = st.text("abzü-09", min_size=1, max_size=12)


@pytest.fixture
def always(monkeypatch: pytest.MonkeyPatch) -> None:
    """Small tables are searched too."""
    monkeypatch.setattr(lookup, "SMALL", 0)
    monkeypatch.setattr(lookup, "BLOCK", 64)


@settings(max_examples=40, deadline=None)
@given(
    table=st.dictionaries(KEYS, st.integers(1, 400), min_size=1, max_size=80),
    others=st.lists(KEYS, max_size=9),
)
def test_every_key_is_found_and_no_other(
    tmp_path_factory: pytest.TempPathFactory, table: dict[str, int], others: list[str]
) -> None:
    path = tmp_path_factory.mktemp("lookup") / "table"
    write_table(path, {key: f"{key} {'v' * size}" for key, size in table.items()})
    expected = read_table(path)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(lookup, "SMALL", 0)
        patch.setattr(lookup, "BLOCK", 64)
        found = Lookup(path)
        assert {key: found[key] for key in table} == expected
        assert [found.get(key) for key in others] == [expected.get(key) for key in others]


def test_the_last_line_may_lack_its_newline(tmp_path: Path, always: None) -> None:
    path = tmp_path / "table"
    path.write_text("".join(f"u{n:03d} {n}\n" for n in range(50)).rstrip("\n"))
    assert Lookup(path)["u049"] == "49"


def test_an_unsorted_table_is_read_whole(tmp_path: Path, always: None) -> None:
    path = tmp_path / "table"
    path.write_text("".join(f"u{(n * 7) % 50:03d} {n}\n" for n in range(50)))
    assert dict(Lookup(path).items()) == read_table(path)


def test_a_missing_table_and_a_key_without_value_are_said(tmp_path: Path, always: None) -> None:
    with pytest.raises(InputError, match="no such table"):
        Lookup(tmp_path / "none")
    (tmp_path / "table").write_text("a 1\nb\nc 2\n")
    with pytest.raises(InputError, match="b has no value"):
        Lookup(tmp_path / "table")["b"]


def test_a_table_that_is_replaced_answers_as_it_was(tmp_path: Path, always: None) -> None:
    path = tmp_path / "table"
    write_table(path, {f"u{n:03d}": str(n) for n in range(99)})
    found = Lookup(path)
    write_table(path, {"u007": "new"})
    assert found["u007"] == "7"


def test_a_key_is_found_in_few_reads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # 100,000 lines are 3.7 MB: 10 halvings down to 4 kB, and no read of more than a few of those.
    path = tmp_path / "table"
    path.write_text("".join(f"utterance-{n:06d} archive.ark:{n:07d}\n" for n in range(100_000)))
    found, read = Lookup(path), []
    real = os.pread

    def counting(handle: int, count: int, begin: int) -> bytes:
        read.append(count)
        return real(handle, count, begin)

    monkeypatch.setattr(lookup.os, "pread", counting)
    assert found["utterance-077777"] == "archive.ark:0077777"
    assert len(read) <= 13
    assert sum(read) < 20_000


@pytest.mark.parametrize(
    "block",
    [b"a b c\nd\n", b"a b\n\nd e\n", b"a \nd e\n", b" a\nd e\n", b"a b \n", b"a\tb\n", "ü b\n".encode()],
)
def test_lines_that_are_not_plain_are_left_to_a_closer_look(block: bytes) -> None:
    assert columns(block, 2) is None


def test_plain_lines_become_columns() -> None:
    assert columns(b"a b\nc d", 2) == [["a", "c"], ["b", "d"]]


@pytest.mark.parametrize(
    ("lines", "rises"),
    [
        ("a 1\nb 2\n", True),
        ("b 1\na 2\n", False),
        ("a 1\na 2\n", False),
        ("a 1 x\nb 2\n", True),
        ("b 1 x\na 2\n", False),
    ],
)
def test_rising_keys_are_sorted_and_none_comes_twice(tmp_path: Path, lines: str, rises: bool) -> None:
    (tmp_path / "table").write_text(lines)
    assert keys_rise(tmp_path / "table") is rises

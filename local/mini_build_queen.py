"""Read the speech of Flight of the Amazon Queen out of its one data file, queen.1c (talkie release).

The file starts with "QTBL", a version and, at byte 13, a big-endian u16 count of 21-byte entries:
name[12], bundle byte, u32 offset, u32 size. The .SB entries are MP3 at 11.025 kHz. A dialogue's speech is
named KKIIIIxN: KK is the dialogue's talk key, x is P for the character spoken to and J for the hero. The
talk key is the third int16 at byte 20 of the character's .DOG entry; the entry's name is the character's,
with a number for each of his dialogues.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable
from pathlib import Path

HERO = "JOE"


class Queen:
    """The directory of queen.1c and the speech in it."""

    def __init__(self, path: Path) -> None:
        self.data = path.read_bytes()
        if self.data[:4] != b"QTBL":
            raise ValueError(f"{path}: not a queen.1c with its table (no QTBL at its start)")
        (count,) = struct.unpack_from(">H", self.data, 13)
        self.entries: dict[str, tuple[int, int]] = {}
        for at in range(15, 15 + 21 * count, 21):
            name, _, offset, size = struct.unpack_from(">12sBII", self.data, at)
            self.entries[name.split(b"\0")[0].decode("ascii").strip()] = (offset, size)

    def read(self, name: str) -> bytes:
        """One entry's bytes."""
        offset, size = self.entries[name]
        return self.data[offset : offset + size]

    def talk_keys(self) -> dict[str, str]:
        """Talk key ("07") to character ("BOB"): the .DOG entry's name without its number."""
        keys = {}
        for name in self.entries:
            if name.endswith(".DOG"):
                (key,) = struct.unpack_from(">h", self.read(name), 24)
                keys[f"{key:02d}"] = name.removesuffix(".DOG").rstrip("0123456789")
        return keys

    def speech(self, characters: Iterable[str]) -> list[str]:
        """The .SB entries that the given characters speak, in the C locale's order."""
        wanted, keys = set(characters), self.talk_keys()
        found = []
        for name in sorted(self.entries):
            if not name.endswith(".SB") or len(name) != 11 or name[:2] not in keys or not name[2:6].isdigit():
                continue
            speaker = {"J": HERO, "P": keys[name[:2]]}.get(name[6])
            if speaker in wanted:
                found.append(name)
        return found

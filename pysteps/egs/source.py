"""An egs folder as training sees it."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ..formats.tables import read_table
from .reader import ArchiveInfo, EgsPlan, read_archive, read_plan


class EgsFolder:
    """The plan of a folder and its archives."""

    def __init__(self, folder: Path) -> None:
        self.folder = Path(folder)

    def plan(self) -> EgsPlan:
        """What the folder holds."""
        return read_plan(self.folder)

    def archive(self, info: ArchiveInfo) -> tuple[np.ndarray, np.ndarray]:
        """Features [chunks, frames, feature] and labels [chunks] of one archive."""
        return read_archive(self.folder, info)

    def keys(self, archive: str) -> list[str]:
        """The chunks' keys (NUMBER-UTTERANCE@START) in order, for messages."""
        return list(read_table(self.folder / f"{archive}.lab"))

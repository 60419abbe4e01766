"""Which files of a folder are a back end's, so that a new one replaces them and nobody else's."""

from __future__ import annotations

from pathlib import Path

from ..formats.errors import InputError
from .chain import old_arrays
from .cohort import FILES

DESCRIPTION = "chain.json"  # written last: it says that all is there


def files_of(folder: str | Path) -> list[Path]:
    """What lies in ``folder`` under the names that Backend.save gives, chain.json the first."""
    folder = Path(folder)
    named = [folder / name for name in (DESCRIPTION, "plda", "calibration.json", *FILES)]
    return [*(path for path in named if path.is_file()), *sorted(old_arrays(folder))]


def refuse_others(folder: str | Path) -> None:
    """InputError where ``folder`` is no back end (it has no chain.json), but has files of such names.

    Kaldi's folders have: mean.vec, transform.mat and plda there are somebody's work.
    """
    folder = Path(folder)
    if folder.exists() and not folder.is_dir():
        raise InputError("is no folder", where=folder, mend="name another one")
    found = files_of(folder)
    if found and found[0].name != DESCRIPTION:
        names = ", ".join(path.name for path in found)
        said = f"is no back end, but has files of the names that one has: {names}"
        raise InputError(said, where=folder, mend="name another folder, or move them away")

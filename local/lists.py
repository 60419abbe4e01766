"""Trial lists by one rule for corpora whose owners have none: trials, and trials.gender within a gender."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from pysteps.formats.errors import InputError
from pysteps.prepare.build import write_trials
from pysteps.prepare.corpus import warn
from pysteps.prepare.trials import balanced


def write_drawn(
    folder: Path,
    utt2spk: Mapping[str, str],
    genders: Mapping[str, str],
    each: int,
    seed: int,
    apart: Callable[[str], object] | None = None,
) -> None:
    """``folder``/trials: ``each`` target and ``each`` non-target trials for every speaker, drawn from all
    pairs of ``utt2spk`` (of target trials: those that differ in ``apart``). ``folder``/trials.gender: the
    same among speakers whose gender is known, all pairs within a gender; left out with a warning where
    there are none.
    """
    write_trials(folder / "trials", balanced(utt2spk, each, seed, apart=apart))
    known = {utt: speaker for utt, speaker in utt2spk.items() if speaker in genders}
    try:
        within = balanced(known, each, seed, group=lambda utt: genders[known[utt]], apart=apart)
    except InputError as error:
        warn(f"{folder}: no trials.gender: {error}")
        return
    write_trials(folder / "trials.gender", within)

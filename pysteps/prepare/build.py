"""The tables of one data directory, gathered utterance by utterance and written at once."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from ..formats.errors import InputError
from ..formats.tables import invert, write_lines, write_table

GENDERS = {"m": "m", "f": "f", "male": "m", "female": "f", "man": "m", "woman": "f"}


class SetBuilder:
    """One set of a corpus: ``add`` every utterance, then ``write``.

    Names of utterances begin with their speaker's, so that tables sorted by one are sorted by the other.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = Path(folder)
        self._wav: dict[str, str] = {}
        self._spk: dict[str, str] = {}
        self._segments: dict[str, str] = {}
        self._labels: dict[str, dict[str, str]] = {}
        self._genders: dict[str, str] = {}

    def __len__(self) -> int:
        return len(self._spk)

    @property
    def utt2spk(self) -> dict[str, str]:
        """Utterance to speaker, as far as they were added."""
        return self._spk

    @property
    def speakers(self) -> set[str]:
        """Who speaks."""
        return set(self._spk.values())

    def add(
        self,
        utt: str,
        speaker: str,
        path: Path | str,
        *,
        recording: str = "",
        span: tuple[float, float] | None = None,
        gender: str = "",
        **labels: str,
    ) -> None:
        """An utterance: the whole recording at ``path``, or the ``span`` (start, end) in seconds of it.

        ``recording``: its name where several utterances share it. ``gender``: m or f in any spelling of
        GENDERS, "" where unknown. ``labels`` become utt2LABEL (lang, session, channel ...); "" is left out.
        InputError for a name that comes twice or holds white space, and a speaker of two genders.
        """
        name = recording or utt
        if utt in self._spk:
            raise InputError("the utterance comes twice", where=path, utt=utt, mend="see the corpus's layout")
        for one in (utt, speaker, name):
            if len(one.split()) != 1:
                raise InputError(f"{one!r} cannot be a name: it is empty or holds white space", where=path)
        if self._wav.setdefault(name, str(path)) != str(path):
            raise InputError(f"recording {name} is also {self._wav[name]}", where=path, utt=utt)
        self._spk[utt] = speaker
        if span is not None:
            self._segments[utt] = f"{name} {span[0]:.3f} {span[1]:.3f}"
        if gender:
            self._gender(speaker, gender, path)
        for label, value in labels.items():
            if value:
                self._labels.setdefault(label, {})[utt] = value

    def _gender(self, speaker: str, gender: str, path: Path | str) -> None:
        short = GENDERS.get(gender.strip().lower())
        if short is None:
            mend = f"one of {', '.join(GENDERS)}, or nothing"
            raise InputError(f"gender {gender!r} of {speaker}", where=path, mend=mend)
        if self._genders.setdefault(speaker, short) != short:
            raise InputError(f"{speaker} is m here and f there", where=path, mend="see the corpus's metadata")

    def write(self) -> None:
        """Write wav.scp, utt2spk, spk2utt and whatever else is known; says how many of each.

        Where some utterances have a span, those without one get their whole recording (end -1).
        """
        if not self._spk:
            raise InputError("no utterances", where=self.folder, mend="see the messages above")
        write_table(self.folder / "wav.scp", self._wav)
        write_table(self.folder / "utt2spk", self._spk)
        write_table(self.folder / "spk2utt", invert(self._spk))
        if self._segments:
            whole = {utt: f"{utt} 0.000 -1" for utt in self._spk if utt not in self._segments}
            write_table(self.folder / "segments", self._segments | whole)
        if self._genders:
            write_table(self.folder / "spk2gender", self._genders)
        for label, table in self._labels.items():
            write_table(self.folder / f"utt2{label}", table)
        said = f"{self.folder}: {len(self):,} utterances of {len(self.speakers):,} speakers"
        print(f"{said} in {len(self._wav):,} recordings", file=sys.stderr, flush=True)


def write_enrolment(folder: Path, models: Mapping[str, Iterable[str]]) -> None:
    """``folder``/enrol: a line a model, its utterances behind it."""
    write_table(folder / "enrol", {model: " ".join(utts) for model, utts in models.items()})


def write_trials(
    path: Path,
    trials: Iterable[tuple[str, str, bool]],
    known: Callable[[str], bool] | None = None,
) -> int:
    """Write (enrol, test, is target) in their order; returns how many. With ``known``, trials of what the
    set does not have are left out and counted in a warning: half a corpus has half its trials."""
    kept = lost = 0
    missing = ""

    def lines() -> Iterable[str]:
        nonlocal kept, lost, missing
        for enrol, test, target in trials:
            if known is not None and not (known(enrol) and known(test)):
                lost, missing = lost + 1, missing or (test if known(enrol) else enrol)
                continue
            kept += 1
            yield f"{enrol} {test} {'target' if target else 'nontarget'}\n"

    write_lines(path, lines())
    if lost:
        said = f"{path}: {lost:,} of {lost + kept:,} trials name what is not there (the first: {missing})"
        print(f"warning: {said}", file=sys.stderr, flush=True)
    if lost and not kept:
        raise InputError("no trials are left", where=path, mend="get the rest of the corpus")
    return kept

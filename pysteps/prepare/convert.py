"""A trial list of another format made one of a set: words become its utterances, models are enrolled."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from ..formats.datadir import DataSet
from ..formats.errors import InputError
from ..formats.tables import read_table, write_table
from .build import write_trials
from .corpus import warn
from .lists import Listed, Names, read_list, read_models


def convert(
    kind: str,
    source: Path,
    data: DataSet,
    to: Path,
    *,
    enrol: Path | None = None,
    key: Path | None = None,
    columns: Mapping[str, str] | None = None,
) -> int:
    """Write the list ``source`` of the format ``kind`` as ``to``, a list of ``data``; returns its length.

    ``enrol``: the list of what enrols each model, added to data/SET/enrol. ``key``: what says target of each
    trial, where ``source`` does not. Trials of what the set does not have are left out and counted.
    """
    names = Names(data)
    models = data.table("enrol") if data.has("enrol") else {}
    if enrol is not None:
        models = _enrolled(kind, enrol, names, models)
        write_table(data.folder / "enrol", models)
    listed = read_list(kind, source, columns)
    if key is not None:
        listed = _keyed(listed, read_list(kind, key, columns), source)
    trials = _found(listed, names, models, source)
    return write_trials(to, trials, known=lambda name: name in names or name in models)


def _found(
    listed: Iterable[Listed], names: Names, models: Mapping[str, str], source: Path
) -> Iterator[tuple[str, str, bool]]:
    seen: dict[str, str] = {}  # a word is looked for once: lists name each many times

    def name(word: str) -> str:
        if word not in seen:
            plain, _, side = word.partition("\t")
            seen[word] = names.find(plain, side) or plain
        return seen[word]

    for trial in listed:
        if trial.target is None:
            mend = "--key FILE, which says it"
            raise InputError("does not say target or nontarget", where=source, line=trial.line, mend=mend)
        yield trial.enrol if trial.enrol in models else name(trial.enrol), name(trial.test), trial.target


def _keyed(listed: Iterable[Listed], key: Iterable[Listed], source: Path) -> Iterator[Listed]:
    said = {(one.enrol, one.test): one.target for one in key}
    lost = 0
    for trial in listed:
        target = said.get(trial[:2])
        if target is None:
            lost += 1
        else:
            yield trial._replace(target=target)
    if lost:
        warn(f"{source}: {lost:,} trials are not in the key and are left out")


def _enrolled(kind: str, path: Path, names: Names, before: Mapping[str, str]) -> dict[str, str]:
    found, lost = dict(before), 0
    for model, recordings in read_models(kind, path).items():
        utts = [names.find(word, side, span) for word, side, span in recordings]
        if None in utts:
            lost += 1
            continue
        value = " ".join(dict.fromkeys(utt for utt in utts if utt is not None))
        if found.setdefault(model, value) != value:
            said = f"model {model} is {value} here and {found[model]} in the set's enrol"
            raise InputError(said, where=path, mend="remove data/SET/enrol, or rename the models")
    if lost:
        warn(f"{path}: {lost:,} models have recordings that the set does not have, and are left out")
    if not found:
        mend = "are they of this set? Words are utterances' names, or ends of the paths in wav.scp"
        raise InputError("no model can be enrolled", where=path, mend=mend)
    return found


def labels_of(data: DataSet, name: str) -> dict[str, str]:
    """Utterance to its ``gender`` or another label (utt2NAME); InputError where the set does not say it."""
    if name == "gender":
        path, by_speaker = data.folder / "spk2gender", True
    else:
        path, by_speaker = data.folder / f"utt2{name}", False
    if not path.is_file():
        raise InputError(
            f"does not say each utterance's {name}", where=path, mend="write it, or use --by all"
        )
    said, utt2spk = read_table(path), data.utt2spk()
    found = {utt: said.get(speaker if by_speaker else utt, "") for utt, speaker in utt2spk.items()}
    unknown = [utt for utt, value in found.items() if not value]
    if unknown:
        raise InputError(
            f"{len(unknown)} utterances have none", where=path, utt=unknown[0], mend="complete it"
        )
    return found

"""Whole data sets: what belongs to chosen utterances, several made one, checked, put right.

As Kaldi's utils/{subset,combine,validate,fix}_data_dir.sh do it. Tables follow by what their keys are; what
stages 1 and later keep in folders of their own (audio/, vad/, feats/) stays behind: they make it anew.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from ..formats.datadir import DataSet, check, ordered, refuse_overlap
from ..formats.errors import InputError
from ..formats.tables import invert, keys_rise, read_lines, read_table, read_words, write_lines, write_table

_BY_UTTERANCE = ("segments", "text", "feats.scp", "vad.scp")
_RECORDING_AT = {"rttm": 1, "uem": 0}  # lists by recording: which word names it


def key_of(name: str) -> str:
    """What the keys of the table ``name`` are: utterance, recording, speaker, or "" for no table of a set."""
    for start, kind in (("utt2", "utterance"), ("reco2", "recording"), ("spk2", "speaker")):
        if name.startswith(start):
            return kind
    if name == "wav.scp":
        return "recording"
    return "utterance" if name in _BY_UTTERANCE else ""


def tables_of(data: DataSet) -> list[str]:
    """Names of the set's tables by key, spk2utt left out: it follows from utt2spk."""
    found = (path.name for path in data.folder.iterdir() if path.is_file() and key_of(path.name))
    return sorted(name for name in found if name != "spk2utt")


def read_list(path: Path) -> Iterator[tuple[str, str, bool]]:
    """(enrol, test, whether target) of a trial list in Kaldi's or VoxCeleb's order."""
    for line, words in read_words(path, 3):
        if words[2] in ("target", "nontarget"):
            yield words[0], words[1], words[2] == "target"
        elif words[0] in ("0", "1"):
            yield words[1], words[2], words[0] == "1"
        else:
            raise InputError("neither target nor nontarget", where=path, line=line)


def trial_lines(trials: Iterable[tuple[str, str, bool]]) -> Iterator[str]:
    """Lines of a list in Kaldi's order."""
    return (f"{enrol} {test} {'target' if target else 'nontarget'}\n" for enrol, test, target in trials)


def copy(source: DataSet, folder: Path, keep: Collection[str]) -> dict[str, tuple[int, int]]:
    """Write ``folder``, the set of those of ``source``'s utterances that are in ``keep`` (which may be the
    source's own folder); returns how many entries of each table are kept, and of how many.

    Trials and models stay where all of theirs does; a list that is left with one kind of trials, of which
    no error rate can be made, is not written.
    """
    utt2spk = {utt: speaker for utt, speaker in source.utt2spk().items() if utt in keep}
    if not utt2spk:
        raise InputError("no utterance is left", where=folder, mend="choose less strictly")
    recordings: Collection[str] = utt2spk
    if source.has("segments"):
        lines = read_lines(source.folder / "segments")
        recordings = {value.split()[0] for _, utt, value in lines if utt in utt2spk}
    kept = {"utterance": utt2spk, "recording": recordings, "speaker": set(utt2spk.values())}
    counts = {}
    models: Mapping[str, str] = {}
    if source.has("enrol"):
        before = read_table(source.folder / "enrol")
        left = {model: [utt for utt in utts.split() if utt in utt2spk] for model, utts in before.items()}
        models = {model: " ".join(utts) for model, utts in left.items() if utts}
        counts["enrol"] = (len(models), len(before))
        write_table(folder / "enrol", models)
    for path in source.trial_lists().values():
        counts[path.name] = _copy_trials(path, folder / path.name, utt2spk, models)
    for name in tables_of(source):
        counts[name] = _copy_table(source.folder / name, folder / name, kept[key_of(name)])  # type: ignore[index]
    for name in _RECORDING_AT:
        if source.has(name):
            counts[name] = _copy_turns(source.folder / name, folder / name, recordings)
    write_table(folder / "spk2utt", invert(utt2spk))
    return counts


def _copy_table(source: Path, target: Path, keep: Collection[str]) -> tuple[int, int]:
    kept = total = 0

    def lines() -> Iterator[str]:
        nonlocal kept, total
        for _, key, value in read_lines(source):
            total += 1
            if key in keep:
                kept += 1
                yield f"{key} {value}\n" if value else f"{key}\n"

    write_lines(target, lines())
    return kept, total


def _copy_trials(
    source: Path, target: Path, utts: Collection[str], models: Collection[str]
) -> tuple[int, int]:
    total = 0
    kept = []
    for enrol, test, is_target in read_list(source):
        total += 1
        if (enrol in utts or enrol in models) and test in utts:
            kept.append((enrol, test, is_target))
    if len({is_target for *_, is_target in kept}) < 2:
        target.unlink(missing_ok=True)
        return 0, total
    write_lines(target, trial_lines(kept))
    return len(kept), total


def _copy_turns(source: Path, target: Path, recordings: Collection[str]) -> tuple[int, int]:
    at = _RECORDING_AT[source.name]
    with open(source, encoding="utf-8") as handle:
        lines = [line for line in handle if line.split()]
    kept = [line for line in lines if len(words := line.split()) > at and words[at] in recordings]
    write_lines(target, kept)
    return len(kept), len(lines)


def combine(sources: Sequence[DataSet], folder: Path) -> list[str]:
    """Write ``folder`` with everything in ``sources``; returns a sentence for each table that some lack.

    The same line in two sets is one line. InputError for an utterance, recording, speaker or model that means
    one thing here and another there. Where some sets have segments, the others' utterances get their whole
    recordings. Trial lists of one name are joined.
    """
    said = []
    names = sorted({name for source in sources for name in tables_of(source)})
    for name in names:
        merged: dict[str, str] = {}
        for source in sources:
            _merge(merged, _entries(source, name), name, source)
        write_table(folder / name, merged)
        if name == "utt2spk":
            write_table(folder / "spk2utt", invert(merged))
        lacking = [source.name for source in sources if not source.has(name)]
        if lacking and name != "segments":
            said.append(f"{folder / name}: not of {', '.join(lacking)}, which has none")
    enrols: dict[str, str] = {}
    for source in sources:
        _merge(enrols, source.table("enrol") if source.has("enrol") else {}, "enrol", source)
    if enrols:
        write_table(folder / "enrol", enrols)
    for name in sorted({path.name for source in sources for path in source.trial_lists().values()}):
        paths = [source.folder / name for source in sources if source.has(name)]
        write_lines(folder / name, (line for path in paths for line in trial_lines(read_list(path))))
    return said


def _entries(source: DataSet, name: str) -> Mapping[str, str]:
    if name == "segments" and not source.has(name):
        return {utt: f"{utt} 0.000 -1" for utt in source.utt2spk()}
    return source.table(name) if source.has(name) else {}


def _merge(merged: dict[str, str], more: Mapping[str, str], name: str, source: DataSet) -> None:
    for key, value in more.items():
        if merged.setdefault(key, value) != value:
            raise InputError(
                f"{key} is {value!r} here and {merged[key]!r} in another set",
                where=source.folder / name,
                mend="rename it in one of the sets: names must tell the corpora apart",
            )


def validate(data: DataSet, apart: Iterable[DataSet] = (), files: bool = False) -> dict[str, int]:
    """Refuse a set that is not as the stages want it, without changing it; returns its counts.

    ``apart``: sets that must share no speaker with it. ``files``: look whether every recording is there.
    """
    for path in ordered(data):
        if not keys_rise(path):
            read_table(path, values=False)  # a key that comes twice is said with its line
            mend = f"python -m pysteps.prepare fix {data.folder}"
            raise InputError("not sorted in the C locale", where=path, mend=mend)
    check(data)
    utt2spk = data.utt2spk()
    if data.has("spk2utt") and read_table(data.folder / "spk2utt") != invert(utt2spk):
        mend = f"remove it, or python -m pysteps.prepare fix {data.folder}"
        raise InputError("is not utt2spk the other way round", where=data.folder / "spk2utt", mend=mend)
    refuse_overlap(data, apart)
    wav = data.table("wav.scp")
    if files:
        _refuse_missing(data.folder / "wav.scp", wav)
    lists = {label: sum(1 for _ in read_list(path)) for label, path in data.trial_lists().items()}
    counts = {"utterances": len(utt2spk), "speakers": len(set(utt2spk.values())), "recordings": len(wav)}
    return counts | {f"trials of {label}": count for label, count in lists.items()}


def _refuse_missing(path: Path, wav: Mapping[str, str]) -> None:
    missing = [name for name, entry in wav.items() if "|" not in (entry[0], entry[-1]) and not _there(entry)]
    if missing:
        said = f"{len(missing)} of {len(wav)} recordings are not there, the first: {wav[missing[0]]}"
        raise InputError(said, where=path, utt=missing[0], mend="mend the path, or leave the utterance out")


def _there(entry: str) -> bool:
    archive, _, offset = entry.rpartition(":")
    return os.path.exists(entry) or (offset.isdigit() and os.path.exists(archive))

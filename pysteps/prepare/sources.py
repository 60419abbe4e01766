"""Where rows come from: a folder a speaker, a table, a Kaldi directory, lhotse's manifests, metadata.csv.

Layouts: Kaldi's data directories (kaldi-asr.org, "Data preparation"); lhotse's manifests (docs/corpus.rst of
lhotse-speech/lhotse); Hugging Face's metadata.csv or .jsonl with file_name (its hub's docs, "Audio dataset").
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from ..formats.datadir import DataSet
from ..formats.errors import InputError
from ..formats.tables import opened
from .corpus import files, inside
from .rows import KINDS, LABELS, USUAL, Bad, Row, columns_of, row_of, set_of

TABLES = tuple(f"{kind}{packed}" for packed in ("", ".gz") for kind in (".csv", ".tsv", ".jsonl", ".json"))
KNOWN = ("folder", "table", "kaldi", "lhotse", "metadata")


class Source:
    """What is imported. ``columns``: names of columns by what they are (rows.USUAL, or a label's name);
    ``sets``: what sets are by their names there (rows.set_of)."""

    def __init__(self, path: Path, columns: Mapping[str, str], sets: Mapping[str, str], bad: Bad) -> None:
        self.path, self.columns, self.sets, self.bad = path, columns, sets, bad
        self.said: list[str] = []  # what was guessed

    def rows(self, kind: str = "") -> tuple[str, Iterator[Row]]:
        """The kind of the source, found out where it is not said, and its rows."""
        kind = kind or self._kind()
        readers: dict[str, Callable[[], Iterator[Row]]] = {
            "folder": self._folder,
            "table": lambda: self._table(self.path, "", ""),
            "kaldi": self._kaldi,
            "lhotse": self._lhotse,
            "metadata": self._metadata,
        }
        return kind, readers[kind]()

    def _kind(self) -> str:
        if self.path.is_file():
            if self.path.name.lower().endswith(TABLES):
                return "table"
            mend = f"a table ends in {', '.join(TABLES)}; or name a folder"
            raise InputError("what is this? No table by its name", where=self.path, mend=mend)
        if not self.path.is_dir():
            raise InputError("no such file or folder", where=self.path)
        if (self.path / "wav.scp").is_file() or any(self.path.glob("*/wav.scp")):
            return "kaldi"
        if any(self.path.glob("*recordings*.jsonl*")):
            return "lhotse"
        return "metadata" if any(_metadata_files(self.path)) else "folder"

    def _folder(self) -> Iterator[Row]:
        found = files(self.path, KINDS)
        split = {path.name for path in self.path.iterdir() if path.is_dir()}
        by_set = "train" in {name.lower() for name in split} and all(_is_set(name) for name in split)
        depth = 2 if by_set else 1
        if not found:
            raise InputError(
                f"no recordings; {inside(self.path)}", where=self.path, mend=f"{' '.join(KINDS)}"
            )
        for path in found:
            below = path.relative_to(self.path)
            row = Row(str(below), "", str(path))
            try:
                if len(below.parts) <= depth:
                    raise row.error("lies in no speaker's folder", "SOURCE/SPEAKER/FILE")
                row.speaker = below.parts[depth - 1]
                row.set = set_of(below.parts[0], row, self.sets) if by_set else ""
            except InputError as error:
                self.bad(error)
                continue
            yield row

    def _metadata(self) -> Iterator[Row]:
        for path in _metadata_files(self.path):
            below = path.parent.relative_to(self.path)
            prefix = "" if below == Path(".") else f"{below}/"
            yield from self._table(path, prefix, below.name)

    def _table(self, path: Path, prefix: str, set_name: str) -> Iterator[Row]:
        columns: dict[str, str] | None = None
        where = str(path)
        for line, fields in _fields(path, self.bad):
            if columns is None:
                columns = columns_of(list(fields), self.columns, where)
                guessed = ", ".join(f"{what}: {name}" for what, name in columns.items())
                self.said.append(f"{path}: {guessed}")
            named = {what: fields.get(name, "") for what, name in columns.items()}
            if set_name and not named.get("set"):
                named["set"] = set_name
            try:
                row = row_of(named, where, line, self.sets)
            except InputError as error:
                self.bad(error)
                continue
            if prefix and not row.path.startswith("/"):
                row.path = prefix + row.path
            yield row

    def _kaldi(self) -> Iterator[Row]:
        if (self.path / "wav.scp").is_file():
            yield from self._data(DataSet(self.path), "")
            return
        for path in sorted(self.path.glob("*/wav.scp")):
            if (path.parent / "utt2spk").is_file():
                row = Row("", "", str(path.parent))
                yield from self._data(DataSet(path.parent), set_of(path.parent.name, row, self.sets))

    def _data(self, data: DataSet, set_name: str) -> Iterator[Row]:
        if not data.has("utt2spk"):
            raise InputError("wav.scp but no utt2spk", where=data.folder, mend="say who speaks")
        try:
            wav, segments = data.table("wav.scp"), data.segments()
        except InputError as wrong:  # a line of a table is no row: --skip-bad does not help
            raise InputError(str(wrong), mend=f"python -m pysteps.prepare fix {data.folder}") from wrong
        genders = data.table("spk2gender") if data.has("spk2gender") else {}
        channels = data.table("reco2channel") if data.has("reco2channel") else {}
        seconds = data.table("utt2dur") if data.has("utt2dur") else {}
        names = {"lang": "language"}
        tables = {
            names.get(label, label): data.table(f"utt2{label}")
            for label in (
                "lang",
                *(name for name in (*LABELS, *self.columns) if name not in USUAL.keys() - LABELS),
            )
            if data.has(f"utt2{label}")
        }
        for utt, speaker in data.utt2spk().items():
            recording, start, end = segments.get(utt, (utt, None, -1.0))
            if recording not in wav:
                mend = f"python -m pysteps.prepare fix {data.folder}"
                error = InputError("has no recording", where=data.folder / "utt2spk", utt=utt, mend=mend)
                self.bad(error)
                continue
            fields = {
                "path": wav[recording],
                "speaker": speaker,
                "utt": utt,
                "gender": genders.get(speaker, ""),
            }
            fields |= {"channel": channels.get(recording, ""), "duration": seconds.get(utt, "")}
            try:
                row = row_of(fields, str(data.folder), 0, self.sets)
            except InputError as wrong:
                self.bad(wrong)
                continue
            row.start, row.end, row.set = start, None if end == -1 else end, set_name
            row.seconds = end - (start or 0.0) if end != -1 else row.seconds
            row.labels = {label: table[utt] for label, table in tables.items() if utt in table}
            yield row

    def _lhotse(self) -> Iterator[Row]:
        pairs = sorted(self.path.glob("*recordings*.jsonl*"))
        if not pairs:
            raise InputError(f"no *recordings*.jsonl[.gz]; {inside(self.path)}", where=self.path)
        for path in pairs:
            other = path.with_name("supervisions".join(path.name.rsplit("recordings", 1)))
            if not other.is_file():
                raise InputError(f"no {other.name} beside it: it says who speaks", where=path)
            recordings = {one["id"]: one for _, one in _objects(path, self.bad)}
            rest = path.name.rsplit("recordings", 1)[1].partition(".jsonl")[0].strip("-_")
            set_name = rest if rest in self.sets or _is_set(rest) else ""
            for line, said in _objects(other, self.bad):
                try:
                    yield self._supervised(said, recordings, str(other), line, set_name)
                except InputError as error:
                    self.bad(error)

    def _supervised(
        self, said: dict[str, Any], recordings: dict[str, Any], where: str, line: int, set_name: str
    ) -> Row:
        recording = recordings.get(said.get("recording_id", ""))
        if recording is None:
            raise InputError(f"no recording {said.get('recording_id')}", where=where, line=line)
        channel = said.get("channel", 0)
        channel = channel[0] if isinstance(channel, list) else channel
        sources = recording.get("sources", [])
        source = next((one for one in sources if channel in one.get("channels", [])), None)
        if source is None or source.get("type") not in ("file", "command"):
            kind = "missing" if source is None else source.get("type")
            raise InputError(f"the source of {recording['id']} is {kind}, not a file", where=where, line=line)
        fields = {name: str(said.get(name) or "") for name in ("speaker", "gender", "language")}
        path = f"{source['source']} |" if source["type"] == "command" else source["source"]
        fields |= {"path": path, "utt": str(said.get("id", "")), "set": set_name}
        custom = said.get("custom") or {}
        fields |= {name: str(custom[name]) for name in self.columns if name in custom}
        row = row_of(fields, where, line, self.sets)
        start, seconds = float(said.get("start", 0.0)), float(said.get("duration", 0.0))
        if not (start == 0 and abs(seconds - float(recording.get("duration", seconds))) < 0.01):
            row.start, row.end = start, start + seconds
        row.seconds = seconds
        several = len(source["channels"]) > 1
        row.channel = str(source["channels"].index(channel)) if several else ""
        return row


def _is_set(name: str) -> bool:
    try:
        return bool(set_of(name, Row("", "", ""), {}))
    except InputError:
        return False


def _metadata_files(folder: Path) -> list[Path]:
    names = ("metadata.csv", "metadata.jsonl")
    folders = [folder, *sorted(path for path in folder.iterdir() if path.is_dir() and _is_set(path.name))]
    return [path / name for path in folders for name in names if (path / name).is_file()]


def _objects(path: Path, bad: Bad) -> Iterator[tuple[int, dict[str, Any]]]:
    with opened(path) as handle:
        for line, raw in enumerate(handle, 1):
            if not raw.strip():
                continue
            try:
                found = json.loads(raw)
                if not isinstance(found, dict):
                    raise ValueError("no object")
            except ValueError as error:  # UnicodeDecodeError is one
                bad(InputError(f"not a line of JSON: {error}", where=path, line=line, mend="mend the line"))
                continue
            yield line, found


def _fields(path: Path, bad: Bad) -> Iterator[tuple[int, dict[str, str]]]:
    """(line, text by column) of a table; a cell that is missing is ""."""
    if ".json" in path.name.lower():  # NeMo's manifests are .json of a line an utterance
        for line, found in _objects(path, bad):
            yield line, {name: "" if value is None else str(value) for name, value in found.items()}
        return
    with opened(path) as raw, io.TextIOWrapper(raw, "utf-8", newline="") as text:
        try:
            start = text.readline()
            mark = "\t" if ".tsv" in path.name.lower() else max(",;\t", key=start.count)
            header = next(csv.reader([start], delimiter=mark), [])
            # Quotes mean something between commas; between tabs they are part of a text (Common Voice).
            plain = {"quoting": csv.QUOTE_NONE} if mark == "\t" else {}
            rows = csv.reader(text, delimiter=mark, strict=True, **plain)  # type: ignore[arg-type]
            for row in rows:
                line = rows.line_num + 1
                if len(row) > len(header) or (len(row) < len(header) and row):
                    said = f"{len(row)} fields, the header has {len(header)}"
                    bad(InputError(said, where=path, line=line, mend="quote what holds a comma"))
                elif row:
                    yield line, dict(zip(header, row, strict=True))
        except UnicodeDecodeError as error:
            raise InputError("not UTF-8", where=path, mend="convert the file, e.g. with iconv") from error
        except csv.Error as error:
            raise InputError(f"no table: {error}", where=path, line=rows.line_num + 1) from error

"""Lists of a corpus of any size with products that are lists only, for tests/bench/scale.py.

VoxCeleb2's training list and VoxCeleb1's trials in names, lengths and numbers; two utterances are real, so
that a job of each stage can do a shard of them. What a job would write for the others is made up here.
"""

from __future__ import annotations

import json
import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pysteps.formats import arks, shards
from pysteps.formats.atomic import write_text
from pysteps.formats.run import Run
from pysteps.formats.stamps import Unit
from pysteps.recipe.options import parse
from pysteps.recipe.resolve import resolve

REPO = Path(__file__).resolve().parents[2]
SPEECH = REPO / "egs" / "mini" / "corpus" / "speech"
XVECTOR, BASELINE = 192, 160
Tables = dict[str, dict[str, str]]


@dataclass(frozen=True)
class Size:
    """How many of everything: VoxCeleb2's development set and VoxCeleb1's lists E and H by default."""

    utterances: int = 1_100_000
    speakers: int = 6_000
    dev: int = 5_000
    evaluated: int = 150_000
    trials: int = 3_500_000


def command_line(work: Path, kind: str) -> list[str]:
    """run.sh's words. ``kind``: live (egs of audio, no copies) or copy (egs of features, one copy)."""
    words = ["--recipe", "folder", "--work", str(work), "--corpus", str(SPEECH), "--tag", kind]
    words += ["--vad", "energy", "--models", "ecapa512", "--egs.archive_chunks", "2048"]
    if kind == "live":
        return [*words, "--egs", "audio", "--augment", "live"]
    return [*words, "--egs", "default", "--augment", "none", "--augment.kinds", "[noise]"]


def load(work: Path, kind: str) -> Run:
    """The resolved run, saved where run.sh would save it."""
    run = resolve(REPO, parse(command_line(work, kind)))
    run.save(run.exp / "run.json")
    return run


def build(work: Path, size: Size) -> None:
    """Stage 0's lists."""
    counts = {"train": (size.utterances, size.speakers), "dev": (size.dev, max(2, size.dev // 100))}
    counts["eval"] = (size.evaluated, max(2, size.evaluated // 120))
    for prefix, (name, (total, speakers)) in enumerate(counts.items()):
        names = _names(total, speakers, prefix)
        entries = {utt: f"/corpora/voxceleb/{name}/aac/{utt.replace('-', '/')}.m4a" for utt in names}
        files = sorted(SPEECH.glob("*/*"))[:2]
        for utt, file in zip(sorted(names)[:2], files, strict=True):
            entries[utt] = str(file)
        _write(work / "data" / name, {"wav.scp": entries, "utt2spk": names})
        if name == "eval":
            _trials(work / "data" / name / "trials", sorted(names), size.trials)
    noise = {f"noise-{number:05d}": str(files[0]) for number in range(2000)}
    _write(work / "data" / "noise", {"wav.scp": noise})
    _write(work / "data" / "music", {"wav.scp": noise})
    _write(work / "data" / "rirs", {"wav.scp": noise})


def _names(total: int, speakers: int, prefix: int) -> dict[str, str]:
    # VoxCeleb's: id, video of 11 characters, number; about seven utterances a video.
    found = {}
    for number in range(total):
        who, rest = number % speakers, number // speakers
        video = f"{(who * 7919 + rest // 7 * 104729 + 1) * 2654435761 % 2**44:011x}"
        found[f"id{prefix}{who:04d}-{video}-{rest:05d}"] = f"id{prefix}{who:04d}"
    return found


def _write(folder: Path, tables: Tables) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name, table in tables.items():
        lines = (f"{key} {table[key]}\n" if table[key] else f"{key}\n" for key in sorted(table))
        (folder / name).write_text("".join(lines), "utf-8")


def _trials(path: Path, utts: list[str], total: int) -> None:
    draw = np.random.default_rng(0)
    with open(path, "w") as handle:
        for begin in range(0, total, 100_000):
            rows = draw.integers(0, len(utts), (min(100_000, total - begin), 2)).tolist()
            speaker = [(utts[a].partition("-")[0], utts[b].partition("-")[0]) for a, b in rows]
            kinds = ("target" if one == two else "nontarget" for one, two in speaker)
            handle.writelines(f"{utts[a]} {utts[b]} {k}\n" for (a, b), k in zip(rows, kinds, strict=True))
        handle.write(f"{utts[0]} {utts[1]} target\n")


def done_shards(run: Run, stage: str, unit: Unit) -> None:
    """What the jobs of ``stage`` would leave of ``unit``: every planned shard's tables, as its done mark."""
    marks, planned = shards._planned(unit)
    for number, items in enumerate(planned, 1):
        _write(marks / str(number), _tables(run, stage, unit, number, items))
    real = _kept(run, stage, unit)
    if real.is_file():  # the two real utterances' entries
        for name, table in json.loads(real.read_text("utf-8")).items():
            path = marks / "1" / name
            lines = dict(line.split(" ", 1) for line in path.read_text("utf-8").splitlines())
            _write(marks / "1", {name: {**lines, **table}})


def _kept(run: Run, stage: str, unit: Unit) -> Path:
    return run.data / "real" / f"{stage}.{unit.name}.json"


def keep_real(run: Run, stage: str, unit: Unit, tables: shards.Tables) -> None:
    """Remember what a job really wrote for the two real utterances."""
    write_text(_kept(run, stage, unit), json.dumps({name: dict(table) for name, table in tables.items()}))


def _tables(run: Run, stage: str, unit: Unit, number: int, items: list[str]) -> Tables:
    folder = unit.folder
    seconds = {utt: 4 + zlib.crc32(utt.encode()) % 7600 / 1000 for utt in items}  # 7.8 s on average
    frames = {utt: int(value * 100) - 2 for utt, value in seconds.items()}

    def scp(name: str) -> dict[str, str]:
        return {utt: f"{folder}/{name}.{number}.ark:{row * 100_003 + 27}" for row, utt in enumerate(items)}

    if stage == "audio":
        durations = {utt: f"{value:.4f}" for utt, value in seconds.items()}
        return {"wav.scp": scp("audio"), "utt2dur": durations, "clipped": {}, "dropped": {}}
    if stage in ("vad", "augment"):
        voiced = {utt: str(int(0.9 * count)) for utt, count in frames.items()}
        spoken = {utt: f"{int(count) / 100:.2f}" for utt, count in voiced.items()}
        return {"vad.scp": scp("vad"), "utt2voiced": spoken, "utt2num_voiced": voiced, "dropped": {}}
    if stage == "features":
        there = {utt: str(count) for utt, count in frames.items()}
        return {"feats.scp": scp("feats"), "cmvn.scp": scp("cmvn"), "utt2num_frames": there, "dropped": {}}
    if stage == "egs":
        return {"archives": {name: "2048 300 0" for name in items}}
    return _vectors(unit, number, items)


def _vectors(unit: Unit, number: int, items: list[str]) -> Tables:
    # Real ones: stage extract averages them, stages 8 and 9 read them.
    draw, tables = np.random.default_rng(number), {}
    for name, size in (("xvector", XVECTOR), ("baseline", BASELINE)):
        unit.folder.mkdir(parents=True, exist_ok=True)
        with open(unit.folder / f"{name}.{number}.ark", "wb") as handle:
            writer = arks.ArchiveWriter(handle, str(unit.folder / f"{name}.{number}.ark"))
            for utt, row in zip(items, draw.standard_normal((len(items), size), np.float32), strict=True):
                writer.array(utt, row)
        tables[f"{name}.scp"] = writer.scp
    return {**tables, "dropped": {}}

"""The tables in egs/mini/corpus/README.md, written from the corpus's own tables (local/mini_build.py)."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path


def _read(path: Path) -> list[dict[str, str]]:
    with open(path, encoding="utf-8", newline="") as handle:
        return list(csv.DictReader(handle, delimiter="\t", quoting=csv.QUOTE_NONE))


def _table(header: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    lines = [header, ["---"] * len(header), *rows]
    return "".join(f"| {' | '.join(str(cell) for cell in line)} |\n" for line in lines)


def sources(corpus: Path) -> str:
    """A line a package: licence, people, files, seconds and share of all seconds."""
    used = _read(corpus / "utterances.tsv") + _read(corpus / "musan.tsv")
    whole = sum(float(row["seconds"]) for row in used)
    lines = []
    for package in _read(corpus / "packages.tsv"):
        mine = [row for row in used if row["package"] == package["package"]]
        people = len({row["utterance"].rpartition("-")[0] for row in mine if "utterance" in row})
        seconds = sum(float(row["seconds"]) for row in mine)
        share = f"{100 * seconds / whole:.1f} %"
        name = f"{package['package']} {package['version']}"
        lines.append((name, package["licence"], people or "-", len(mine), f"{seconds:.0f}", share))
    return _table(("package", "licence of the sounds", "voices", "files", "seconds", "share"), lines)


def people(corpus: Path) -> str:
    """A line a voice, with its utterances and seconds."""
    used = _read(corpus / "utterances.tsv")
    lines = []
    for who in _read(corpus / "speakers.tsv"):
        mine = [row for row in used if row["utterance"].rpartition("-")[0] == who["speaker"]]
        seconds = f"{sum(float(row['seconds']) for row in mine):.0f}"
        cells = [who[key] for key in ("speaker", "split", "gender", "language")]
        lines.append((*cells, len(mine), seconds, who["note"]))
    return _table(("voice", "set", "gender", "language", "utterances", "seconds", "note"), lines)


def counts(corpus: Path) -> str:
    """Women and men a package and set."""
    speakers = _read(corpus / "speakers.tsv")
    lines = []
    for package in sorted({who["package"] for who in speakers}):
        mine = [who for who in speakers if who["package"] == package]
        cells = [
            f"{sum(w['split'] == name and w['gender'] == 'f' for w in mine)}"
            f" + {sum(w['split'] == name and w['gender'] == 'm' for w in mine)}"
            for name in ("train", "dev", "eval")
        ]
        lines.append((package, *cells))
    return _table(("package (women + men)", "train", "dev", "eval"), lines)


def update(corpus: Path, decisions: Mapping[str, str]) -> None:
    """Replace what stands between `<!-- NAME -->` and `<!-- end -->` in README.md, if there is one."""
    path = corpus / "README.md"
    if not path.is_file():
        return
    text = path.read_text("utf-8")
    decided = _table(("voice", "decision"), sorted(decisions.items()))
    tables = {
        "sources": sources(corpus),
        "people": people(corpus),
        "counts": counts(corpus),
        "decisions": decided,
    }
    for name, table in tables.items():
        before, _, rest = text.partition(f"<!-- {name} -->\n")
        _, _, after = rest.partition("<!-- end -->\n")
        text = f"{before}<!-- {name} -->\n{table}<!-- end -->\n{after}"
    path.write_text(text, encoding="utf-8")

"""The tables and licence texts beside the audio of egs/mini/corpus (used by local/mini_build.py)."""

from __future__ import annotations

import gzip
import hashlib
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path

import mini_build_voices as voices
from mini_build_audio import Clip

QUEEN_PACKAGE = "flight-of-the-amazon-queen"
MODIFIED = """THIS IS A MODIFIED VERSION.

The recordings below this folder are taken from "Flight of the Amazon Queen" (talkie version), (C) 1995
John Passfield and Steve Stamatiadis, and they are not as its authors published them: single lines of
speech were extracted from the game's data file, selected, trimmed, cut or joined into utterances of two to
five seconds, brought to one level, resampled from 11.025 to 16 kHz and encoded anew (Ogg Opus). The game
itself is not here. The authors of the game had no part in this.

These modified recordings are distributed under the licence of the game, readme.txt in this folder (its
last section), for free and without any warranty. The part of local/mini_build.py that made them says
which line each utterance comes from: utterances.tsv, column sources.
"""


def write_tsv(path: Path, rows: Sequence[Mapping[str, str]]) -> None:
    """A table with a header; all rows have the keys of the first."""
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = ["\t".join(rows[0]), *("\t".join(row.values()) for row in rows)]
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")


def speaker_row(name: str, voice: voices.Voice) -> dict[str, str]:
    """One line of speakers.tsv."""
    return {
        "speaker": name,
        "gender": voices.gender(name),
        "language": voice.language,
        "package": voice.package,
        "source": voice.where,
        "split": voices.split(name),
        "note": voices.NOTES.get(name, "-"),
    }


def utterance_row(utterance: str, file: str, clip: Clip, voice: voices.Voice) -> dict[str, str]:
    """One line of utterances.tsv; sources are joined by " + "."""
    return {
        "utterance": utterance,
        "file": file,
        "seconds": f"{clip.seconds:.2f}",
        "package": voice.package,
        "sources": clip.source.replace("+", " + "),
    }


def _notice(folder: Path, package: str, name: str) -> bytes:
    path = folder / "usr" / "share" / "doc" / package / name
    return gzip.decompress(path.read_bytes()) if name.endswith(".gz") else path.read_bytes()


def write_licences(corpus: Path, unpacked: Mapping[str, Path], cache: Path) -> None:
    """licences/ as the packages state them, the notice beside the Amazon Queen, and packages.tsv."""
    licences = corpus / "licences"
    licences.mkdir(parents=True, exist_ok=True)
    rows = []
    for package, folder in unpacked.items():
        (licences / f"{package}.copyright").write_bytes(_notice(folder, package, "copyright"))
        deb = sorted(cache.glob(f"{package}_*.deb"))[-1]
        digest = hashlib.sha256(deb.read_bytes()).hexdigest()
        version = deb.stem.split("_")[1].replace("%3a", ":")
        rows.append({"package": package, "version": version, "sha256": digest})
    write_tsv(corpus / "packages.tsv", rows)
    # The packages name the GPL by its place on a Debian system; who unpacks this corpus may have none.
    shutil.copyfile("/usr/share/common-licenses/GPL-2", licences / "GPL-2")
    (licences / "asterisk-prompt-es-co.LEEME").write_bytes(
        _notice(unpacked["asterisk-prompt-es-co"], "asterisk-prompt-es-co", "LEEME")
    )
    queen = corpus / "speech-queen"
    (queen / "readme.txt").write_bytes(_notice(unpacked[QUEEN_PACKAGE], QUEEN_PACKAGE, "readme.txt.gz"))
    (queen / "MODIFIED.txt").write_text(MODIFIED, encoding="utf-8")

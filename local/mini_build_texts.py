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
last section), for free and without any warranty. ../utterances.tsv says which lines of the
game each utterance is made of (column sources); local/mini_build.py of the repository made them.
"""


# What each package says of its sounds; the texts are in licences/.
LICENCES = {
    "asterisk-core-sounds-en-g722": "CC-BY-SA-3.0",
    "asterisk-core-sounds-fr-g722": "CC-BY-SA-3.0",
    "asterisk-core-sounds-it-g722": "CC-BY-3.0",
    "asterisk-core-sounds-ru-g722": "CC-BY-3.0",
    "asterisk-moh-opsound-g722": "CC-BY-SA-3.0",
    "asterisk-prompt-es-co": "GPL-2",
    "asterisk-prompt-fr-armelle": "BSD-style",
    "asterisk-prompt-it-menardi-wav": "CC-BY-SA-3.0 (Italy)",
    "fillets-ng-data-cs": "GPL-2",
    "fillets-ng-data-nl": "GPL-2",
    QUEEN_PACKAGE: "Flight of the Amazon Queen licence",
    "klettres-data": "GPL-2+",
    "ktuberling-data": "GPL-2+",
    "tuxpaint-stamps-default": "GPL-2",
    "ufoai-sound": "GPL-2+, GPL-2, CC-BY-3.0, CC-BY-SA-3.0 (musan.tsv says which)",
}


def ufoai_licences(text: str) -> dict[str, str]:
    """File (below base/) to licence, from the package's copyright file in Debian's format 1.0."""
    found: dict[str, str] = {}
    for stanza in text.split("\n\n"):
        fields: dict[str, str] = {}
        name = ""
        for line in stanza.splitlines():
            if line[:1].isalpha() and ":" in line:
                name, _, line = line.partition(":")
            fields[name] = fields.get(name, "") + " " + line.strip()
        for file in fields.get("Files", "").split():
            found[file.removeprefix("base/")] = fields.get("License", "").split()[0]
    return found


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
        licence = LICENCES[package]
        rows.append({"package": package, "version": version, "licence": licence, "sha256": digest})
    write_tsv(corpus / "packages.tsv", rows)
    # The packages name the GPL by its place on a Debian system; who unpacks this corpus may have none.
    shutil.copyfile("/usr/share/common-licenses/GPL-2", licences / "GPL-2")
    (licences / "asterisk-prompt-es-co.LEEME").write_bytes(
        _notice(unpacked["asterisk-prompt-es-co"], "asterisk-prompt-es-co", "LEEME")
    )
    queen = corpus / "speech-queen"
    (queen / "readme.txt").write_bytes(_notice(unpacked[QUEEN_PACKAGE], QUEEN_PACKAGE, "readme.txt.gz"))
    (queen / "MODIFIED.txt").write_text(MODIFIED, encoding="utf-8")

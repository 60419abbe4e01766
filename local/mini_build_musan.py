"""The small MUSAN-shaped noise and music set of egs/mini/corpus (used by local/mini_build.py)."""

from __future__ import annotations

import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
from mini_build_audio import RATE, decode, encode, levelled
from mini_build_texts import LICENCES, ufoai_licences, write_tsv

NOISE_PACKAGE, MUSIC_PACKAGE = "ufoai-sound", "asterisk-moh-opsound-g722"
# Speech and music among the ambience: a noise must hold neither.
NOT_NOISE = {"aliencom", "disco", "jingle", "jingle2", "radiomessage", "tv_newswav", "creak", "sparks_short"}
NOISE_SECONDS, MUSIC_SECONDS, MUSIC_PIECES = 8.0, 12.0, 12


def _middle(audio: np.ndarray, seconds: float) -> np.ndarray:
    length = int(seconds * RATE)
    first = max((len(audio) - length) // 2, 0)
    return audio[first : first + length]


def _noises(package: Path) -> list[tuple[str, str, np.ndarray]]:
    found = []
    with zipfile.ZipFile(package / "usr" / "share" / "games" / "ufoai" / "base" / "0snd.pk3") as pack:
        for name in sorted(pack.namelist()):
            stem = Path(name).stem
            if not name.startswith("sound/ambience/") or not name.endswith(".ogg") or stem in NOT_NOISE:
                continue
            audio = _middle(decode(pack.read(name), ".ogg"), NOISE_SECONDS)
            if len(audio) >= RATE:
                found.append((f"musan/noise/ufoai/{stem}.opus", name, audio))
    return found


def _music(package: Path) -> list[tuple[str, str, np.ndarray]]:
    found = []
    files = sorted((package / "usr" / "share" / "asterisk" / "moh").glob("*.g722"))
    for number, path in enumerate(files):
        audio = decode(path.read_bytes(), ".g722")
        # twelve pieces over five files: three from the first two, two from the others
        count = MUSIC_PIECES // len(files) + (number < MUSIC_PIECES % len(files))
        length = int(MUSIC_SECONDS * RATE)
        # evenly spread, the fades at both ends left out
        for piece, start in enumerate(
            np.linspace(10 * RATE, len(audio) - length - 10 * RATE, count).astype(int)
        ):
            name = f"musan/music/opsound/{path.stem}-{piece}.opus"
            source = f"asterisk/moh/{path.name} from {start / RATE:.1f} s"
            found.append((name, source, audio[start : start + length]))
    return found


def build_musan(corpus: Path, cache: Path, unpack: Callable[[str, Path], Path], level: float) -> None:
    """Write musan/noise, musan/music and musan.tsv."""
    rows = []
    for package, pick in ((MUSIC_PACKAGE, _music), (NOISE_PACKAGE, _noises)):
        folder = unpack(package, cache)
        text = (folder / "usr" / "share" / "doc" / package / "copyright").read_text("utf-8")
        licences = ufoai_licences(text) if package == NOISE_PACKAGE else {"*": LICENCES[package]}
        for file, source, audio in pick(folder):
            encode(corpus / file, levelled(audio), level)
            row = {"file": file, "seconds": f"{len(audio) / RATE:.2f}", "package": package}
            rows.append(row | {"licence": licences.get(source, licences["*"]), "source": source})
    write_tsv(corpus / "musan.tsv", sorted(rows, key=lambda row: row["file"]))

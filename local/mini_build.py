#!/usr/bin/env python3
"""Build egs/mini/corpus from Debian packages: real recorded speech, noise and music, each under its licence.

    python local/mini_build.py --cache DIR             fetch, unpack, build into egs/mini/corpus
    python local/mini_build.py --cache DIR --check     build aside and compare with what is shipped

Needs apt-get and dpkg (Debian or Ubuntu). Packages land in the
cache (apt-get download NAME) and are unpacked there (dpkg -x); what lies there is not fetched again. Which
voice lies where is in mini_build_voices.py; how clips become utterances is in mini_build_audio.py.

Opus encoders differ from build to build, so --check compares decoded samples: the lists must be equal, and
in each file the power of the difference must stay below TOLERANCE of the power of the shipped one.
"""

from __future__ import annotations

import argparse
import hashlib
import re
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))  # run from anywhere, with pysteps found

import mini_build_audio as audio  # noqa: E402
import mini_build_musan as musan  # noqa: E402
import mini_build_readme as readme  # noqa: E402
import mini_build_texts as texts  # noqa: E402
import mini_build_voices as voices  # noqa: E402
from mini_build_queen import Queen  # noqa: E402

from pysteps.formats.rng import generator  # noqa: E402

# One person, one name. A merged voice's utterances go under the name it is merged into.
MERGES: dict[str, tuple[str, str]] = {}
# Voices left out, with the reason.
EXCLUDE: dict[str, str] = {
    "tux-lt": "letters only, 22 different files; may be the speaker of klt-lt",
    **{
        f"ktb-{lang}": "too little speech for 6 utterances"
        for lang in ("es", "fi", "ga", "it", "nds", "nl", "pt", "ro", "sr", "sv")
    },
}
# Files left out of a voice, by a pattern searched in their path.
SKIP = {
    r"silence/|beep|[0-9]tone|tt-monkeys|confbridge-(join|leave)\.": "silences, tones and effects",
    r"ktuberling/.*/(say|tux)-(angry|huh|idea|laugh|love|sick|stare|what|wow|zzz)\.": "laughs, snores",
    r"tuxpaint/.*/money/.*_desc_ro\.": "another voice (F0 189 Hz against 230 Hz)",
}
SEED = 1
MOST, FEWEST = 14, 6  # utterances of a voice
FILES = 160  # of a voice that are read; those with more are thinned evenly
OPUS = 0.92  # libsndfile's compression level, about 27 kbit/s
TOLERANCE = 0.01
QUEEN_DATA = "scummvm/flight-of-the-amazon-queen/queen.1c"
QUEEN_PACKAGE = "flight-of-the-amazon-queen"


@dataclass
class Source:
    """A file of a voice: its name inside the package, its bytes and its kind."""

    name: str
    data: bytes = field(repr=False)
    kind: str


def unpack(package: str, cache: Path) -> Path:
    """The folder that holds the package's files; fetched and unpacked when the cache has it not."""
    folder = cache / "x" / package
    if not folder.is_dir():
        cache.mkdir(parents=True, exist_ok=True)
        if not list(cache.glob(f"{package}_*.deb")):
            subprocess.run(["apt-get", "download", package], cwd=cache, check=True)
        deb = sorted(cache.glob(f"{package}_*.deb"))[-1]
        part = folder.with_name(f".{package}.part")
        shutil.rmtree(part, ignore_errors=True)
        part.mkdir(parents=True)
        subprocess.run(["dpkg", "-x", str(deb), str(part)], check=True)
        part.rename(folder)
    return folder


def sources(voice: voices.Voice, cache: Path) -> list[Source]:
    """The voice's files in the C locale's order: no file twice, none that SKIP names, thinned to FILES."""
    share = unpack(voice.package, cache) / "usr" / "share"
    if voice.package == QUEEN_PACKAGE:
        queen = Queen(share / QUEEN_DATA)
        found = [Source(name, queen.read(name), ".mp3") for name in queen.speech(voice.patterns)]
    else:
        paths = sorted({path for pattern in voice.patterns for path in share.glob(pattern)})
        names = [(path, path.relative_to(share).as_posix()) for path in paths]
        kept = [(path, name) for path, name in names if not any(re.search(skip, name) for skip in SKIP)]
        found = [Source(name, path.read_bytes(), path.suffix) for path, name in kept]
    seen: set[str] = set()
    unique = []
    for source in found:
        digest = hashlib.sha256(source.data).hexdigest()
        if digest not in seen:
            unique.append(source)
        seen.add(digest)
    return unique[:: max(1, len(unique) // FILES)]


def utterances(voice: voices.Voice, cache: Path) -> list[audio.Clip]:
    """The voice's utterances of 2-5 s, or an empty list when there are fewer than FEWEST."""
    clips = [c for s in sources(voice, cache) for c in audio.clips(s.data, s.kind, s.name)]
    made = audio.choose(clips, MOST, generator(SEED, voice.name, "mini-choose"))
    made = [clip for clip in made if audio.SHORTEST <= clip.seconds <= audio.LONGEST]
    return made if len(made) >= FEWEST else []


def build_speech(corpus: Path, cache: Path) -> None:
    """Write speech/ and speech-queen/ with speakers.tsv and utterances.tsv."""
    speakers: dict[str, dict[str, str]] = {}
    rows: list[dict[str, str]] = []
    counts: dict[str, int] = {}
    for voice in voices.voices():
        if voice.name in EXCLUDE:
            continue
        made = utterances(voice, cache)
        print(f"{voice.name:16s} {len(made):3d} utterances {sum(c.seconds for c in made):6.1f} s", flush=True)
        if not made:
            print(f"warning: {voice.name} is left out: it fills fewer than {FEWEST} utterances", flush=True)
            continue
        name, _ = MERGES.get(voice.name, (voice.name, ""))
        folder = "speech-queen" if voice.package == QUEEN_PACKAGE else "speech"
        speakers.setdefault(name, texts.speaker_row(name, voice))
        for clip in made:
            counts[name] = counts.get(name, 0) + 1
            utterance = f"{name}-{counts[name]:03d}"
            file = f"{folder}/{name}/{utterance}.opus"
            audio.encode(corpus / file, clip.audio, OPUS)
            rows.append(texts.utterance_row(utterance, file, clip, voice))
    texts.write_tsv(corpus / "speakers.tsv", [speakers[name] for name in sorted(speakers)])
    texts.write_tsv(corpus / "utterances.tsv", sorted(rows, key=lambda row: row["utterance"]))


def build(corpus: Path, cache: Path) -> None:
    """Build the whole corpus into ``corpus``, which must not hold an older one."""
    build_speech(corpus, cache)
    musan.build_musan(corpus, cache, unpack, OPUS)
    packages = sorted(
        {voice.package for voice in voices.voices()} | {"ufoai-sound", "asterisk-moh-opsound-g722"}
    )
    texts.write_licences(corpus, {package: unpack(package, cache) for package in packages}, cache)


def check(shipped: Path, cache: Path) -> int:
    """Build aside and compare; the number of files that differ, each named."""
    bad = 0
    with tempfile.TemporaryDirectory(prefix="mini-check-") as folder:
        ours = Path(folder) / "corpus"
        build(ours, cache)
        for name in ("speakers.tsv", "utterances.tsv", "musan.tsv"):
            if (ours / name).read_bytes() != (shipped / name).read_bytes():
                print(f"differs: {name}")
                bad += 1
        names = {
            path.relative_to(base).as_posix() for base in (ours, shipped) for path in base.rglob("*.opus")
        }
        worst = 0.0
        for name in sorted(names):
            whole = (ours / name).is_file() and (shipped / name).is_file()
            ratio = audio.difference(ours / name, shipped / name) if whole else float("inf")
            worst = max(worst, ratio)
            if ratio > TOLERANCE:
                print(f"differs: {name} (power of the difference {ratio:.3g} of the signal's)")
                bad += 1
    print(f"{len(names)} sound files compared, largest difference {worst:.3g} (allowed {TOLERANCE})")
    return bad


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--cache", type=Path, required=True, help="folder for the packages")
    parser.add_argument("--corpus", type=Path, default=ROOT / "egs" / "mini" / "corpus")
    parser.add_argument(
        "--check", action="store_true", help="compare a rebuild with --corpus, change nothing"
    )
    args = parser.parse_args()
    if args.check:
        raise SystemExit(1 if check(args.corpus, args.cache.resolve()) else 0)
    for folder in ("speech", "speech-queen", "musan", "licences"):
        shutil.rmtree(args.corpus / folder, ignore_errors=True)
    build(args.corpus, args.cache.resolve())
    merged = {name: f"merged into {into}: {reason}" for name, (into, reason) in MERGES.items()}
    readme.update(args.corpus, {**merged, **{name: f"left out: {why}" for name, why in EXCLUDE.items()}})


if __name__ == "__main__":
    main()

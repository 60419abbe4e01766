"""Time and memory of stage 0 on a tree of VoxCeleb's size: lists only, every recording an empty file.

Run from the repository: python tests/bench/corpus.py [--share 1.0] [--work FOLDER]. It makes VoxCeleb2's dev
(5,994 speakers, 1,092,009 recordings), VoxCeleb1 (1,251 speakers, 153,516) and the six trial lists (2.3
million trials) in the owners' layout, then runs stage 0 of the recipe voxceleb, and the commands for sets,
each in its own process: seconds, CPU seconds, peak memory. The tree takes 180,000 folders, an inode and a
block of the disk each (files are links to a few): 0.8 GB.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

REPO = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(REPO / "tests" / "bench")]

from clocked import Figure, clocked  # noqa: E402

LINKS = 60_000  # of one file; ext4 allows 65,000
A_VIDEO = 7  # recordings; VoxCeleb2's dev has 7.5


@dataclass(frozen=True)
class Size:
    """How much of the published numbers."""

    share: float = 1.0

    def of(self, count: int, least: int = 1) -> int:
        """The share of a published number."""
        return max(least, round(count * self.share))


LISTS = {
    "veri_test2.txt": (37611, True),
    "veri_test.txt": (37720, True),
    "list_test_all2.txt": (579818, False),
    "list_test_all.txt": (581480, False),
    "list_test_hard2.txt": (550894, False),
    "list_test_hard.txt": (552536, False),
}


def build(root: Path, size: Size) -> None:
    """VoxCeleb1/wav and VoxCeleb2/dev/aac with metadata and lists."""
    links = _links(root)
    vox2 = [f"id{number:05d}" for number in range(12, 12 + size.of(5994, 60))]
    _recordings(root / "VoxCeleb2" / "dev" / "aac", vox2, size.of(1_092_009), ".m4a", links)
    rows = [f"{name} ,n{name} ,{'mf'[at % 2]} ,dev" for at, name in enumerate(vox2)]
    (root / "VoxCeleb2" / "vox2_meta.csv").write_text(
        "\n".join(["VoxCeleb2 ID ,VGGFace2 ID ,Gender ,Set", *rows])
    )
    test = [f"id{number}" for number in range(10270, 10310)]
    rest = [f"id{number}" for number in (*range(10001, 10270), *range(10310, 11252))][: size.of(1211, 20)]
    files = _recordings(root / "VoxCeleb1" / "wav", test, size.of(4874, 400), ".wav", links)
    files += _recordings(root / "VoxCeleb1" / "wav", rest, size.of(148_642), ".wav", links)
    head = "VoxCeleb1 ID\tVGGFace1 ID\tGender\tNationality\tSet"
    rows = [
        f"{name}\tN_{name}\t{'mf'[at % 2]}\tUSA\t{'test' if name in test else 'dev'}"
        for at, name in enumerate([*test, *rest])
    ]
    (root / "VoxCeleb1" / "vox1_meta.csv").write_text("\n".join([head, *rows]))
    tested = [name for name in files if name.partition("/")[0] in test]
    for number, (name, (count, only_test)) in enumerate(LISTS.items()):
        lines = _trials(tested if only_test else files, size.of(count, 200), number)
        (root / "VoxCeleb1" / name).write_text("".join(lines))


def _links(root: Path) -> Iterator[Path]:
    # Files to link to: as many as links there can be of one.
    number = 0
    while True:
        path = root / ".files" / str(number)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
        for _ in range(LINKS):
            yield path
        number += 1


def _recordings(
    folder: Path, speakers: list[str], count: int, suffix: str, links: Iterator[Path]
) -> list[str]:
    found = []
    each = np.diff(np.linspace(0, count, len(speakers) + 1).astype(int))
    for at, (speaker, recordings) in enumerate(zip(speakers, each.tolist(), strict=True)):
        for number in range(recordings):
            video, part = divmod(number, A_VIDEO)
            letters = f"{(at * 7919 + video * 104729 + 1) * 2654435761 % 2**44:011x}"  # YouTube's are 11 too
            name = f"{speaker}/{letters}/{part + 1:05d}{suffix}"
            if part == 0:
                (folder / name).parent.mkdir(parents=True)
            os.link(next(links), folder / name)
            found.append(name)
    return found


def _trials(files: list[str], count: int, seed: int) -> Iterator[str]:
    # Half of them of one speaker: files lie speaker by speaker, so the next one is mostly the same one's.
    rng = np.random.default_rng(seed)
    one, two = rng.integers(len(files) - 1, size=(2, count)).tolist()
    for number, (first, second) in enumerate(zip(one, two, strict=True)):
        second = first + 1 if number % 2 else second
        same = files[first].partition("/")[0] == files[second].partition("/")[0]
        yield f"{int(same)} {files[first]} {files[second]}\n"


def resolved(root: Path, work: Path) -> Path:
    """The run of the recipe voxceleb over the tree, as ./run.sh would save it."""
    sys.path[:0] = [str(REPO)]
    from pysteps.recipe.options import parse
    from pysteps.recipe.resolve import resolve

    words = ["--recipe", "voxceleb", "--corpus", str(root), "--work", str(work), "--train", "aam"]
    run = resolve(REPO, parse(words))
    run.save(run.exp / "run.json")
    return run.exp / "run.json"


def measured(step: str, *words: str) -> Figure:
    """``python -m pysteps.prepare WORDS`` in its own process; see ``clocked``."""
    return clocked(step, [sys.executable, "-m", "pysteps.prepare", *words], REPO)


def simulate(folder: Path, size: Size) -> list[Figure]:
    """Build the tree in ``folder`` and measure; each figure is printed as it comes."""
    begin = time.perf_counter()
    build(folder / "corpora", size)
    print(f"{'tree':24s} {time.perf_counter() - begin:6.1f} s", flush=True)
    run, data = resolved(folder / "corpora", folder / "work"), folder / "work" / "data"
    sets = [str(data / name) for name in ("dev", "vox1")]
    figures = []
    for step, words in {
        "prepare and validate": ["run", "--run", str(run)],
        "validate train": ["validate", str(data / "train"), "--apart", *sets],
        "split train": ["split", str(data / "train"), "--shares", "a=90", "b=10"],
        "combine": ["combine", str(data / "both"), str(data / "train_a"), str(data / "train_b")],
    }.items():
        figures.append(measured(step, *words))
        print("{:24s} {:6.1f} s {:6.1f} s of CPU {:6.0f} MB".format(*figures[-1]), flush=True)
    return figures


def main() -> None:
    """As the docstring says."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--share", type=float, default=1.0, help="of VoxCeleb's size (1)")
    parser.add_argument("--work", type=Path, help="where the tree goes, and is left (a temporary folder)")
    options = parser.parse_args()
    if options.work is not None:
        simulate(options.work, Size(options.share))
        return
    with tempfile.TemporaryDirectory() as folder:
        simulate(Path(folder), Size(options.share))


if __name__ == "__main__":
    main()

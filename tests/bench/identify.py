"""A gallery of a million people: enrolment, one more person, exact search, search through the index.

Run from the repository, alone on the machine, perhaps with the number of people and cosine or plda:
OMP_NUM_THREADS=2 python tests/bench/identify.py [PEOPLE [BACKEND]]. Needs 3 GB of memory and 2 GB in TMPDIR;
the index is left out where faiss (requirements/identify.txt) is not installed.

People are random unit vectors of 256 numbers, a query has cosine 0.6 with its person: no cluster
helps an index here, as none helps with real voices that are far apart. Prints medians and worst of 100.
"""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path

import numpy as np

REPO = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(REPO))

from pysteps.backend import Chain, Plda  # noqa: E402
from pysteps.formats.errors import InputError  # noqa: E402
from pysteps.formats.rng import generator  # noqa: E402
from pysteps.identify import Gallery, Search, Space  # noqa: E402

DIM, QUERIES, COSINE = 256, 100, 0.6
PEOPLE = int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000


def unit(count: int, purpose: str) -> np.ndarray:
    """Random directions, float32 [count, DIM]."""
    rows = generator(0, "identify", purpose).standard_normal((count, DIM), dtype=np.float32)
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    return rows


def timed(search: Search, queries: np.ndarray, top: int) -> tuple[np.ndarray, list[float]]:
    """People found for each query alone [M, top], and milliseconds each took."""
    people, spent = [], []
    for query in queries:
        begin = time.perf_counter()
        people.append(search.find(query[None], top).people[0])
        spent.append(1e3 * (time.perf_counter() - begin))
    return np.stack(people), spent


def run(name: str, space: Space, x: np.ndarray, queries: np.ndarray, wanted: np.ndarray) -> None:
    """Everything for one back end."""
    with tempfile.TemporaryDirectory() as folder:
        gallery = Gallery.create(folder, space)
        names = [f"p{number:07d}" for number in range(len(x))]
        begin = time.perf_counter()
        gallery.enrol({one: [one] for one in names[:-1]}, names, x)
        print(f"{name}: {len(x) - 1} people enrolled in {time.perf_counter() - begin:.1f} s")
        begin = time.perf_counter()
        gallery.enrol({names[-1]: [names[-1]]}, names[-1:], x[-1:])
        print(f"{name}: one more in {time.perf_counter() - begin:.2f} s")
        begin = time.perf_counter()
        exact = Search(Gallery(folder))
        print(f"{name}: opened and read in {time.perf_counter() - begin:.1f} s")
        best, spent = timed(exact, queries, 10)
        tell(name, "exact", spent, best, wanted, best)
        begin = time.perf_counter()
        exact.find(queries, 10)
        each = 1e3 * (time.perf_counter() - begin) / len(queries)
        print(f"{name}: exact, {len(queries)} together: {each:.1f} ms each")
        del exact
        try:
            begin = time.perf_counter()
            indexed = Search(gallery, indexed=True)
        except InputError as error:
            print(f"{name}: no index: {error}")
            return
        print(f"{name}: read and index built in {time.perf_counter() - begin:.1f} s")
        found, spent = timed(indexed, queries, 10)
        tell(name, "index", spent, found, wanted, best)


def tell(
    name: str, how: str, spent: list[float], found: np.ndarray, wanted: np.ndarray, best: np.ndarray
) -> None:
    """A line of figures: times, how often the right person came first, overlap with the exact ten best."""
    right = np.mean(found[:, 0] == wanted)
    overlap = np.mean([len(set(one) & set(two)) / len(two) for one, two in zip(found, best, strict=True)])
    print(
        f"{name}: {how}: median {np.median(spent):.1f} ms, worst {max(spent):.1f} ms a query; right person "
        f"first {100 * right:.0f} %, of the exact ten best {100 * overlap:.1f} %",
        flush=True,
    )


def main() -> None:
    """Cosine over a million, then PLDA over a quarter as many (its rows are twice as long)."""
    x = unit(PEOPLE, "people")
    wanted = generator(0, "identify", "wanted").integers(PEOPLE // 4, size=QUERIES)
    queries = COSINE * x[wanted] + np.sqrt(1 - COSINE**2) * unit(QUERIES, "noise")
    if "plda" not in sys.argv:
        run("cosine", Space(Chain([])), x, queries, wanted)
    psi = np.geomspace(2, 0.05, DIM)
    plda = Plda(np.zeros(DIM), np.eye(DIM) * np.sqrt(DIM), psi)
    if "cosine" not in sys.argv:
        run("plda", Space(Chain([]), plda), x[: PEOPLE // 4], queries, wanted)


if __name__ == "__main__":
    main()

"""How fast egs of features reach the steps of a training: python tests/bench/loader.py PART [ARCHIVES].

features   chunks a second of CPU, and the share of the time that a step of 5 ms waits for its batch; beside
           them a plain torch DataLoader that reads chunk by chunk with kaldiio, as peers do
ranks      two processes of one training: what each reads, and the share that it waits
workers    the same batches made by two processes (--train.workers 2): what they cost the one that trains

Chunks are of 200 frames of 80 numbers, two bytes each, 512 an archive, as stage egs writes them. The page
cache is warm. Medians of five rounds, in each of which the contenders take turns. The goals of issue 8: at
least 10,000 chunks a second and core, and less than 5 % waiting. Waiting tells of other work on the machine
too: the load is printed. ARCHIVES are 4 unless said.
"""

from __future__ import annotations

import json
import os
import statistics
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterable
from multiprocessing import get_context
from pathlib import Path
from typing import Any

REPO = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(REPO)]

import numpy as np  # noqa: E402

from pysteps.egs.source import EgsFolder  # noqa: E402
from pysteps.formats import arks  # noqa: E402
from pysteps.train.crew import crew  # noqa: E402
from pysteps.train.data import batches  # noqa: E402
from pysteps.train.options import TrainOptions  # noqa: E402
from pysteps.train.world import keep_memory  # noqa: E402

FRAMES, BINS, ROUNDS, STEP, TIMES = 200, 80, 5, 0.005, 12


def make_egs(folder: Path, archives: int, chunks: int = 512) -> Path:
    """An egs folder of random numbers."""
    rng, infos = np.random.default_rng(0), {}
    for number in range(1, archives + 1):
        keys = [f"{row:06d}-id{row % 97:05d}-abcdefghijk-{row:05d}@{row % 300}" for row in range(chunks)]
        with arks.writing(folder / f"train.{number}.ark") as writer:
            for key in keys:
                writer.array(key, rng.standard_normal((FRAMES, BINS), dtype=np.float32), arks.TWO_BYTES)
        (folder / f"train.{number}.scp").write_text("".join(f"{k} {v}\n" for k, v in writer.scp.items()))
        lines = (f"{key} {row % 97}\n" for row, key in enumerate(keys))
        (folder / f"train.{number}.lab").write_text("".join(lines))
        infos[f"train.{number}"] = {"chunks": chunks, "frames": FRAMES}
    (folder / "speakers").write_text("".join(f"s{number} {number}\n" for number in range(97)))
    content = {"kind": "features", "feature_dim": BINS, "num_speakers": 97, "archives": infos, "valid": {}}
    (folder / "egs.json").write_text(json.dumps(content))
    return folder


def ours(source: EgsFolder, size: int, epoch: int, **rest: int) -> Iterable[tuple[np.ndarray, np.ndarray]]:
    """The features and labels of an epoch's batches, in which every archive comes so many times."""
    archives = TIMES * source.plan().archives
    for batch in batches(source, archives, epoch, TrainOptions(batch_size=size), **rest):
        yield batch.features, batch.labels


def theirs(folder: Path, size: int, epoch: int, workers: int = 0) -> Iterable[Any]:
    """The same from torch's loader over chunks that are shuffled, each read by itself."""
    import kaldiio
    import torch
    from torch.utils.data import DataLoader, Dataset

    class Chunks(Dataset):
        def __init__(self) -> None:
            tables = sorted(folder.glob("train.*.scp"))
            lines = [line for path in tables for line in path.read_text().splitlines()]
            self.entries = TIMES * [line.split()[1] for line in lines]

        def __len__(self) -> int:
            return len(self.entries)

        def __getitem__(self, row: int) -> tuple[torch.Tensor, int]:
            return torch.from_numpy(kaldiio.load_mat(self.entries[row]).copy()), row % 97

    order = torch.Generator().manual_seed(epoch)
    return DataLoader(Chunks(), size, shuffle=True, generator=order, num_workers=workers)


def spent(feed: Iterable[Any]) -> tuple[float, int]:
    """Seconds of CPU of all threads, and how many chunks came."""
    begin, chunks = time.process_time(), 0
    for features, _ in feed:
        chunks += len(features)
    return time.process_time() - begin, chunks


def waiting(feed: Iterable[Any], step: float = STEP) -> float:
    """The share of the time in which a step of so many seconds waits for its batch, the first left out."""
    batches = iter(feed)
    next(batches)
    begin, waited = time.perf_counter(), 0.0
    while True:
        time.sleep(step)
        before = time.perf_counter()
        if next(batches, None) is None:
            return waited / (before - begin)
        waited += time.perf_counter() - before


def first(feed: Iterable[Any]) -> float:
    """Milliseconds until an epoch's first batch is there."""
    begin = time.perf_counter()
    next(iter(feed))
    return 1000 * (time.perf_counter() - begin)


def medians(contenders: dict[str, Callable[[int], float]]) -> dict[str, float]:
    """Of five rounds each; one round before them warms the caches."""
    found: dict[str, list[float]] = defaultdict(list)
    for lap in range(ROUNDS + 1):
        for name, run in contenders.items():
            value = run(lap)
            if lap:
                found[name].append(value)
    return {name: statistics.median(values) for name, values in found.items()}


def features(folder: Path) -> None:
    """Of one process."""
    source = EgsFolder(folder)

    def rate(feed: Iterable[Any]) -> float:
        seconds, chunks = spent(feed)
        return chunks / seconds

    rates = medians(
        {
            "ours": lambda lap: rate(ours(source, 64, lap)),
            "DataLoader, kaldiio": lambda lap: rate(theirs(folder, 64, lap)),
        }
    )
    for name, value in rates.items():
        print(f"{name:24s} {value:9,.0f} chunks a second of CPU")
    print(f"{'':24s} {rates['ours'] / rates['DataLoader, kaldiio']:9.1f} times as many")
    begin = medians({"first": lambda lap: first(ours(source, 256, lap))})["first"]
    # One after the other: a DataLoader's processes are forked, and their parent pays for that afterwards.
    shares = {}
    for name, feed in (
        ("ours", lambda size, lap: ours(source, size, lap)),
        ("DataLoader, one worker", lambda size, lap: theirs(folder, size, lap, 1)),
    ):
        for size in (64, 256):
            case = f"{name}, batch of {size}"
            shares |= medians({case: lambda lap, feed=feed, size=size: waiting(feed(size, lap))})  # type: ignore[misc]
    for name, value in shares.items():
        print(f"{name + ':':38s} {100 * value:5.1f} % waiting for a step of {1000 * STEP:g} ms")
    print(f"the first batch of 256 of an epoch comes after {begin:.1f} ms")


def _rank(folder: Path, rank: int, results: Any) -> None:
    keep_memory()
    source = EgsFolder(folder)
    for lap in range(ROUNDS + 1):
        before = _read_bytes()
        seconds, chunks = spent(ours(source, 128, lap, rank=rank, width=2))
        read = _read_bytes() - before
        share = waiting(ours(source, 128, lap, rank=rank, width=2))
        results.put((lap, chunks, chunks / seconds, read, share))


def _read_bytes() -> int:
    return int(Path("/proc/self/io").read_text().split()[1])


def ranks(folder: Path) -> None:
    """Of two processes that share every batch."""
    context = get_context("spawn")
    results = context.Queue()
    processes = [context.Process(target=_rank, args=(folder, rank, results)) for rank in (0, 1)]
    for process in processes:
        process.start()
    found = [results.get(timeout=300) for _ in range(2 * (ROUNDS + 1))]
    for process in processes:
        process.join()
    size = sum(path.stat().st_size for path in folder.glob("train.*.ark"))
    _, chunks, rate, read, share = (
        statistics.median(values) for values in zip(*(row for row in found if row[0]), strict=True)
    )
    print(f"each of two processes: {chunks:,.0f} chunks, {rate:,.0f} a second of CPU")
    part = read / TIMES / size
    print(f"  waits {100 * share:.1f} % of the time, reads {100 * part:.1f} % of the archives' bytes")


def workers(folder: Path) -> None:
    """What is left to the process that trains when others make its batches."""
    source = EgsFolder(folder)
    with crew(source, 2) as processes:
        seconds = medians(
            {
                "made by a thread": lambda lap: spent(ours(source, 64, lap))[0],
                "made by two processes": lambda lap: spent(ours(processes, 64, lap))[0],
            }
        )
        chunks = TIMES * sum(info.chunks for info in source.plan().archives)
        for name, value in seconds.items():
            print(f"{name:24s} {1e6 * value / chunks:6.1f} us of the trainer's CPU a chunk")


PARTS = {"features": features, "ranks": ranks, "workers": workers}


def main(part: str, archives: int = 4) -> None:
    os.environ["OMP_NUM_THREADS"] = "1"
    keep_memory()
    with tempfile.TemporaryDirectory() as work:
        PARTS[part](make_egs(Path(work), archives))
        print(f"load of the last minute: {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores")


if __name__ == "__main__":
    if len(sys.argv) < 2 or sys.argv[1] not in PARTS:
        raise SystemExit(__doc__)
    main(sys.argv[1], *map(int, sys.argv[2:]))

"""Scoring and judging at size, from text files to text files, start-up included.

Run from the repository: OMP_NUM_THREADS=2 python tests/bench/scores.py [PART ...], parts: small big plda
metrics memory sklearn (default: all). VoxCeleb1-O's trials come from shared/data where it is; the x-vectors
are made up, which costs what real ones cost. Files lie in a temporary folder (2 GB with the part memory).
"""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

REPO = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(REPO))

from pysteps.backend import Backend, Chain, Plda  # noqa: E402
from pysteps.metrics import act_dcf, cllr, sweep_trials  # noqa: E402
from pysteps.score import read_trials  # noqa: E402

DIM = 256
VOXCELEB = REPO.parent / "shared/data/reference/trials/vox1_o_cleaned.txt.gz"
COMMAND = """import resource, runpy, sys
try:
    runpy.run_module("pysteps.score", run_name="__main__", alter_sys=True)
finally:
    used = resource.getrusage(resource.RUSAGE_SELF)
    print(used.ru_utime + used.ru_stime, used.ru_maxrss, file=sys.stderr)
"""


def say(what: str, seconds: float, more: str = "") -> None:
    """Print one figure."""
    print(f"{what:64s} {seconds:7.2f} s  {more}", flush=True)


def command(what: str, *words: object) -> None:
    """Time one command line, and its peak memory."""
    begin = time.perf_counter()
    started = [sys.executable, "-c", COMMAND, *(str(word) for word in words)]
    done = subprocess.run(started, cwd=REPO, capture_output=True, text=True)
    seconds = time.perf_counter() - begin
    if done.returncode:
        sys.exit(done.stderr)
    busy, peak = done.stderr.split()[-2:]
    say(what, seconds, f"({float(busy):.2f} s of CPU), peak {int(peak) / 1024:.0f} MB")


def write_vectors(folder: Path, ids: list[str], name: str) -> Path:
    """Made-up x-vectors of ``ids`` as an ark and an scp."""
    draw, lines, place = np.random.default_rng(0), [], 0
    head = b"\0BFV \4" + DIM.to_bytes(4, "little")
    with open(folder / f"{name}.ark", "wb") as handle:
        for one in sorted(ids):
            key = one.encode() + b" "
            handle.write(key + head + draw.standard_normal(DIM, dtype=np.float32).tobytes())
            lines.append(f"{one} {folder / name}.ark:{place + len(key)}\n")
            place += len(key) + len(head) + 4 * DIM
    (folder / f"{name}.scp").write_text("".join(lines))
    return folder / f"{name}.scp"


def write_list(path: Path, ids: list[str], count: int) -> Path:
    """``count`` random trials in VoxCeleb's format."""
    draw = np.random.default_rng(1)
    with open(path, "w") as handle:
        for begin in range(0, count, 100_000):
            pairs = draw.integers(0, len(ids), (min(100_000, count - begin), 2)).tolist()
            handle.write("".join([f"{(a + b) % 2} {ids[a]} {ids[b]}\n" for a, b in pairs]))
    return path


def names(count: int) -> list[str]:
    """Ids of VoxCeleb's length."""
    return [f"id{10000 + n % 6000:05d}/{n * 2654435761 % 2**44:011x}/{n % 300:05d}.wav" for n in range(count)]


def small(folder: Path) -> None:
    """VoxCeleb1-O, by cosine and PLDA, and judged."""
    if not VOXCELEB.is_file():
        print(f"small: left out, {VOXCELEB} is not here")
        return
    trials = read_trials(VOXCELEB)
    scp = write_vectors(folder, list({*trials.enrol_ids, *trials.test_ids}), "vox")
    files = ("--trials", VOXCELEB, "--enrol", scp, "--test", scp, "--out", folder / "vox.scores")
    command(f"cosine, {len(trials)} trials of VoxCeleb1-O", "cosine", *files)
    command(f"plda, {len(trials)} trials of VoxCeleb1-O", "plda", *files, "--backend", _plda(folder))
    judged = ("--trials", VOXCELEB, "--scores", folder / "vox.scores", "--json")
    command(f"evaluate, {len(trials)} trials of VoxCeleb1-O", "evaluate", *judged)


def _plda(folder: Path) -> Path:
    Backend(Chain([]), Plda(np.zeros(DIM), np.eye(DIM), np.linspace(4, 0.01, DIM))).save(folder / "plda")
    return folder / "plda"


def _big(folder: Path, count: int) -> tuple[object, ...]:
    ids, path, scp = names(150_000), folder / f"trials.{count}", folder / "big.scp"
    if not path.is_file():
        write_list(path, ids, count)
    if not scp.is_file():
        write_vectors(folder, ids, "big")
    return ("--trials", path, "--enrol", scp, "--test", scp, "--out", folder / f"scores.{count}")


def big(folder: Path) -> None:
    """3.5 million trials over 150,000 x-vectors, by cosine, and judged."""
    files = _big(folder, 3_500_000)
    command("cosine, 3,500,000 trials over 150,000 x-vectors", "cosine", *files)
    judged = ("--trials", files[1], "--scores", files[7], "--llr", "yes", "--json")
    command("evaluate, 3,500,000 trials, no intervals", "evaluate", *judged)


def plda(folder: Path) -> None:
    """The same by PLDA."""
    files = _big(folder, 3_500_000)
    command("plda, 3,500,000 trials over 150,000 x-vectors", "plda", *files, "--backend", _plda(folder))


def metrics(folder: Path) -> None:
    """EER, minDCF, actDCF and Cllr of 3.5 million scores in memory."""
    draw = np.random.default_rng(2)
    label = draw.random(3_500_000) < 0.01
    scores = draw.normal(size=len(label)) * 3 - 5 + 8 * label
    begin = time.perf_counter()
    curve = sweep_trials(scores, label)
    found = [100 * curve.eer().rate, curve.min_dcf(0.01)]
    tar, non = scores[label], scores[~label]
    found += [act_dcf(tar, non, 0.01), cllr(tar, non)]
    say("EER, minDCF, actDCF, Cllr of 3,500,000 scores", time.perf_counter() - begin, str(np.round(found, 3)))
    begin = time.perf_counter()
    found = [100 * curve.eer_hull(), curve.min_cllr()]
    say("  and the hull's EER and minCllr", time.perf_counter() - begin, str(np.round(found, 3)))


def memory(folder: Path) -> None:
    """Peak memory of ten million trials."""
    files = _big(folder, 10_000_000)
    command("cosine, 10,000,000 trials over 150,000 x-vectors", "cosine", *files)
    command("plda, 10,000,000 trials over 150,000 x-vectors", "plda", *files, "--backend", _plda(folder))
    command("evaluate, 10,000,000 trials", "evaluate", "--trials", files[1], "--scores", files[7], "--json")


def sklearn(folder: Path) -> None:
    """One per-trial cosine call of scikit-learn, and ours in memory, for the ratio."""
    from sklearn.metrics.pairwise import cosine_similarity

    from pysteps.score import cosine_scores

    draw = np.random.default_rng(3)
    x, pairs = draw.normal(size=(5000, DIM)), draw.integers(0, 5000, (200_000, 2))
    begin = time.perf_counter()
    for one, two in pairs[:2000]:
        cosine_similarity(x[one : one + 1], x[two : two + 1])
    theirs = (time.perf_counter() - begin) / 2000
    begin = time.perf_counter()
    cosine_scores(x, x, pairs)
    ours = (time.perf_counter() - begin) / len(pairs)
    say("scikit-learn, one call a trial: a million trials", 1e6 * theirs)
    say("cosine_scores in memory: a million trials", 1e6 * ours, f"{theirs / ours:.0f} times as fast")


PARTS = {one.__name__: one for one in (small, big, plda, metrics, memory, sklearn)}


def main() -> None:
    """Do the parts that the command line names."""
    print(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}")
    with tempfile.TemporaryDirectory() as name:
        for part in sys.argv[1:] or PARTS:
            PARTS[part](Path(name))
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
    print(f"peak memory of all commands {peak:.0f} MB")


if __name__ == "__main__":
    main()

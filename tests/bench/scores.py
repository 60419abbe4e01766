"""Scoring and judging at size, from text files to text files, start-up included.

Run from the repository: OMP_NUM_THREADS=2 python tests/bench/scores.py [PART ...], parts: small big plda
general intervals metrics memory products sklearn (default: all). VoxCeleb1-O's trials come from shared/data
where it is; the x-vectors are made up, which costs what real ones cost. Files lie in a temporary folder (2 GB
with the part memory).
"""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import numpy as np

REPO = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(REPO))

from pysteps.backend import Backend, Chain, Plda  # noqa: E402
from pysteps.backend.scorenorm import Cohort, ScoreNorm  # noqa: E402
from pysteps.backend.vectors import sides  # noqa: E402
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


def general(folder: Path) -> None:
    """What stage 9 does with 3.5 million trials over 150,000 x-vectors in memory: PLDA, and as-norm."""
    for scorer in ("cosine", "plda"):
        for norm in ("", "as-norm"):
            words = [sys.executable, __file__, "stage9", scorer, norm]
            done = subprocess.run(words, cwd=REPO, capture_output=True, text=True, check=True)
            print(done.stdout, end="", flush=True)


def stage9(scorer: str, norm: str) -> None:
    """One back end's share of ``general``, in a process of its own."""
    draw = np.random.default_rng(4)
    count, cohort = 150_000, int(os.environ.get("COHORT", 6000))
    x = draw.standard_normal((count, DIM), dtype=np.float32)
    keys = [f"u{n:06d}" for n in range(count)]
    found = sides(keys, x, {key: f"s{n % 6000}" for n, key in enumerate(keys)}, {})
    del x
    pairs = (draw.integers(0, count, 3_500_000, np.int32), draw.integers(0, count, 3_500_000, np.int32))
    model = Plda(np.zeros(DIM), np.eye(DIM), np.linspace(4, 0.01, DIM)) if scorer == "plda" else None
    back = Backend(Chain([]), model)
    if norm:
        others = Cohort(keys[:cohort], draw.standard_normal((cohort, DIM)), np.ones(cohort, np.int64))
        back = replace(back, norm=ScoreNorm.parse([norm, "300"]), cohort=others)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    begin = time.perf_counter()
    rows = back.transform(found.vectors, found.population)
    back.score_transformed(rows, rows, pairs, found.examples, names=keys)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    more = f"peak {peak:.0f} MB, of which x-vectors {found.vectors.nbytes / 2**20:.0f} (before: {before:.0f})"
    say(f"stage 9's scoring, {scorer} {norm}: 3,500,000 trials", time.perf_counter() - begin, more)


def intervals(folder: Path) -> None:
    """evaluate with 1,000 replicates over 6,000 speakers, 3.5 million trials."""
    ids, count, draw = names(150_000), 3_500_000, np.random.default_rng(5)
    one, two = draw.integers(0, len(ids), (2, count))
    own = draw.random(count) < 0.1
    two[own] = (one[own] + 6000 * draw.integers(1, 25, own.sum())) % len(ids)
    same = one % 6000 == two % 6000
    scores = draw.normal(size=count) * 3 - 5 + 8 * same
    with open(folder / "own.trials", "w") as trials, open(folder / "own.scores", "w") as given:
        for a, b, yes, score in zip(one.tolist(), two.tolist(), same.tolist(), scores.tolist(), strict=True):
            trials.write(f"{int(yes)} {ids[a]} {ids[b]}\n")
            given.write(f"{ids[a]} {ids[b]} {score:.6f}\n")
    (folder / "own.utt2spk").write_text("".join(f"{one} {one[:7]}\n" for one in sorted(ids)))
    files = ("--trials", folder / "own.trials", "--scores", folder / "own.scores", "--json")
    for replicates in os.environ.get("REPLICATES", "20 1000").split():
        more = ("--utt2spk", folder / "own.utt2spk", "--replicates", replicates)
        command(f"evaluate, 3,500,000 trials, {replicates} replicates", "evaluate", *files, *more)


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


def products(folder: Path) -> None:
    """The arithmetic alone: 3.5 million cosines of 150,000 vectors in memory, the median of five."""
    from pysteps.score import cosine_scores

    draw = np.random.default_rng(6)
    x, pairs = draw.standard_normal((150_000, DIM)), draw.integers(0, 150_000, (2, 3_500_000), np.int32)
    times = []
    for _ in range(5):
        begin = time.perf_counter()
        cosine_scores(x, x, (pairs[0], pairs[1]))
        times.append(time.perf_counter() - begin)
    middle = sorted(times)[2]
    say("cosine_scores, 3,500,000 trials of 150,000 x-vectors", middle, f"{3.5 / middle:.2f} M a second")


PARTS = {
    one.__name__: one
    for one in (small, big, plda, general, intervals, metrics, memory, products, sklearn)
}


def main() -> None:
    """Do the parts that the command line names."""
    if sys.argv[1:2] == ["stage9"]:
        stage9(*sys.argv[2:])
        return
    print(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}")
    with tempfile.TemporaryDirectory() as name:
        for part in sys.argv[1:] or PARTS:
            PARTS[part](Path(name))
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
    print(f"peak memory of all commands {peak:.0f} MB")


if __name__ == "__main__":
    main()

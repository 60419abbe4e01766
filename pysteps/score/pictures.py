"""What the report's pictures need of x-vectors: a t-SNE plane over all sets, and who is taken for whom.

Both depend on x-vectors alone, not on a back end, and are small plain values for a JSON file.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..formats.run import Run
from ..formats.tables import read_table
from ..formats.vectors import read_rows

if TYPE_CHECKING:
    import numpy as np

PLANE, CONFUSIONS = "tsne.json", "confusions.json"  # files beside a list's scores
FEWEST = 30  # utterances: of fewer a plane shows chance
MOST_SPEAKERS = 2000  # of a confusion matrix
_UNKNOWN = "unknown"  # the gender of a speaker whom spk2gender leaves out

Triples = list[tuple[str, str, int]]


def shown_sets(run: Run) -> list[str]:
    """The sets on the plane: training without copies, development, evaluation."""
    return list(dict.fromkeys([run.train_set, run.dev_set, *run.eval_sets]))


def sources(run: Run, names: list[str]) -> list[Path]:
    """The files that ``plane`` or ``confusions`` reads of the sets ``names``."""
    genders = [run.data / name / "spk2gender" for name in names]
    tables = [(run.exp / "xvectors" / name / "xvector.scp", run.data / name / "utt2spk") for name in names]
    return [*(path for pair in tables for path in pair), *(path for path in genders if path.is_file())]


def plane(run: Run, seed: int) -> dict[str, Any] | None:
    """What report.tsne returns, of speakers drawn from every set in turn; None of too few utterances.

    Only the vectors of the drawn utterances are read.
    """
    import sklearn.manifold  # noqa: F401  # its pools must be there before they can be limited

    from ..report import choose_points, tsne

    entries: list[tuple[str, str]] = []
    kind = run.labels.partition("2")[2]  # with labels their colours come first
    labels: dict[str, list[str]] = {**({kind: []} if kind else {}), "speaker": [], "gender": [], "set": []}
    for name in shown_sets(run):
        classes = run.set(name).labels(run.labels) if kind else {}
        utt2spk, genders = run.set(name).utt2spk(), _genders(run, name)
        for utt, entry in _table(run, name).items():
            entries.append((utt, entry))
            labels["speaker"].append(utt2spk[utt])
            known = genders.get(utt2spk[utt], _UNKNOWN)
            labels["gender"].append(classes[utt] if kind == "gender" else known)  # utt2gender may be all
            if kind not in ("", "gender", "speaker", "set"):
                labels[kind].append(classes[utt])
            labels["set"].append(name)
    if len(entries) < FEWEST:
        return None
    rows = choose_points(labels["speaker"], labels["set"], seed=seed).tolist()
    chosen = {key: [values[row] for row in rows] for key, values in labels.items()}
    with _one_thread():
        return tsne(_read(run, [entries[row] for row in rows]), chosen, seed=seed, of=len(entries))


def confusions(run: Run, name: str) -> dict[str, Triples]:
    """{"speakers", "genders": [(true, taken for, how often)]} of the evaluation set ``name``.

    Each utterance goes to the speaker of the nearest mean (report.nearest_speaker); its gender is that
    speaker's, with a spk2gender alone. Speakers of one utterance are left out. Fewer than two speakers or
    more than 2000: nothing.
    """
    from ..report import nearest_speaker

    utt2spk, genders, table = run.set(name).utt2spk(), _genders(run, name), _table(run, name)
    count = Counter(utt2spk[utt] for utt in table)
    kept = {utt: entry for utt, entry in table.items() if count[utt2spk[utt]] > 1}
    truth = [utt2spk[utt] for utt in kept]
    if not 2 <= len(set(truth)) <= MOST_SPEAKERS:
        return {}
    with _one_thread():
        said = nearest_speaker(_read(run, list(kept.items())), truth)
    found = {"speakers": _counted(truth, said)}
    if genders:
        found["genders"] = _counted(*([genders.get(one, _UNKNOWN) for one in side] for side in (truth, said)))
    return found


def matrices(found: dict[str, dict[str, Triples]]) -> dict[str, dict[str, Any]]:
    """{title: what report.confusion returns} of {set: what ``confusions`` returned}."""
    from ..report import confusion

    out = {}
    for name, kinds in found.items():
        for kind, triples in kinds.items():
            truth = [one for one, _, count in triples for _ in range(count)]
            said = [other for _, other, count in triples for _ in range(count)]
            out[f"{name}: {kind}"] = confusion(truth, said)
    return out


def _counted(truth: list[str], said: list[str]) -> Triples:
    return [(*pair, count) for pair, count in sorted(Counter(zip(truth, said, strict=True)).items())]


def _table(run: Run, name: str) -> dict[str, str]:
    return read_table(run.exp / "xvectors" / name / "xvector.scp")


def _genders(run: Run, name: str) -> dict[str, str]:
    data = run.set(name)
    return data.table("spk2gender") if data.has("spk2gender") else {}


def _read(run: Run, entries: list[tuple[str, str]]) -> np.ndarray:
    # Of several sets, which may share the names of utterances.
    table = {f"{number} {utt}": entry for number, (utt, entry) in enumerate(entries)}
    return read_rows(table, run.exp / "xvectors")


@contextmanager
def _one_thread() -> Iterator[None]:
    # Sums over threads come in no fixed order, and t-SNE makes another picture of the last bit.
    from threadpoolctl import threadpool_limits

    with threadpool_limits(1):
        yield

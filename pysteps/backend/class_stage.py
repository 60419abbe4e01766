"""Stage 8 of a recipe with ``labels``: classifiers, learned from the training set's vectors and labels."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..formats.errors import InputError
from ..formats.run import Run
from ..formats.stamps import Unit
from .classline import NETWORK, VECTORS, ClassLine, parse_class_line

if TYPE_CHECKING:
    from .classifier import Classifier
    from .stats import Floats

VERSION = 1
POSTERIOR = "posterior.scp"


def classifiers(run: Run) -> dict[str, str]:
    """Name -> line of every classifier of a run: the network, of x-vectors, of averages; each by name."""
    kinds = [NETWORK, *VECTORS]

    def place(item: tuple[str, str]) -> tuple[int, str]:
        return kinds.index(parse_class_line(item[1]).vectors), item[0]

    return dict(sorted(run.options["backend"]["classifiers"].items(), key=place))


def vectors_of(run: Run, line: ClassLine, name: str) -> Path:
    """The table of the set ``name`` that a classifier reads: vectors, or the network's posteriors."""
    return run.exp / "xvectors" / name / VECTORS.get(line.vectors, POSTERIOR)


def label_tables(run: Run, name: str) -> tuple[Path, Path]:
    """The tables that say the labels of the set ``name``, and whose utterances they are."""
    return run.data / name / run.labels, run.data / name / "utt2spk"


def units(run: Run, stage: str) -> list[Unit]:
    """One unit a classifier."""
    return [_unit(run, stage, name, line) for name, line in classifiers(run).items()]


def _unit(run: Run, stage: str, name: str, line: str) -> Unit:
    from .stage import folder_of

    found, folder = parse_class_line(line), folder_of(run, name)
    outputs = (folder / "chain.json",)
    if found.vectors == NETWORK:
        inputs: tuple[Path, ...] = (run.exp / "model" / "speakers",)
        return Unit(name, stage, folder, VERSION, {"line": line}, inputs, outputs=outputs)
    known = [run.dev_set, *run.adapt_sets]
    for other in found.sets:
        if other not in known:
            said = f"classifier {name} adapts to {other}: possible are {', '.join(known)}"
            raise InputError(said, mend="name it in adapt_sets of the recipe")
    sources = [vectors_of(run, found, one) for one in (run.train_set, *found.sets)]
    return Unit(
        name=name,
        stage=stage,
        folder=folder,
        version=VERSION,
        options={"line": line, "labels": run.labels, "seed": run.options["backend"]["seed"]},
        inputs=(*sources, *label_tables(run, run.train_set)),
        upstream=tuple(source.parent / ".extract.done.json" for source in sources),
        outputs=(*outputs, folder / "classifier.safetensors"),
    )


def do(run: Run, unit: Unit) -> None:
    """Learn one classifier; of the network only its classes are written down."""
    from .classifier import Classifier
    from .vectors import read_vectors

    line = parse_class_line(unit.options["line"])
    if line.vectors == NETWORK:
        Classifier(line, network_classes(run)).save(unit.folder)
        return
    utts, rows = read_vectors(vectors_of(run, line, run.train_set))
    labels = run.set(run.train_set).labels(run.labels)
    sets = {name: read_vectors(vectors_of(run, line, name))[1] for name in line.sets}
    try:
        said = [labels[utt] for utt in utts]
    except KeyError as lost:
        where = run.data / run.train_set / "utt2spk"
        mend = "redo stage extract"
        raise InputError(
            "a vector of no utterance of the set", where=where, utt=lost.args[0], mend=mend
        ) from None
    Classifier.fit(line, rows, said, sets=sets, seed=unit.options["seed"]).save(unit.folder)


def network_classes(run: Run) -> list[str]:
    """What model/speakers says, a name a line: the classes in the order of the network's posteriors."""
    path = run.exp / "model" / "speakers"
    if not path.is_file():
        raise InputError("the network's classes are missing", where=path, mend="redo stage train")
    names = path.read_text("utf-8").split("\n")[:-1]
    if len(set(names)) < len(names) or len(names) < 2 or any(len(name.split()) != 1 for name in names):
        raise InputError("not a list of classes, a word a line", where=path, mend="redo stage train")
    return names


def posteriors_of(run: Run, name: str, classifier: Classifier) -> tuple[list[str], Floats]:
    """Utterances of the set ``name`` that have a vector, and their posteriors [N, classes]."""
    import numpy as np

    from .vectors import read_vectors

    scp = vectors_of(run, classifier.line, name)
    utts, rows = read_vectors(scp)
    if classifier.line.vectors != NETWORK:
        return utts, classifier.posteriors(rows)
    found: Any = rows.astype(np.float64)
    if (
        found.shape[1] != len(classifier.classes)
        or found.min() < 0
        or abs(found.sum(axis=1) - 1).max() > 1e-3
    ):
        said = f"{found.shape[1]} numbers an utterance are no posteriors of {len(classifier.classes)} classes"
        raise InputError(said, where=scp, mend="redo stage extract")
    return utts, found / found.sum(axis=1, keepdims=True)

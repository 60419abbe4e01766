"""What must be right about a run as a whole, before anything of it is done."""

from __future__ import annotations

import os
import shlex
import sys
from pathlib import Path
from typing import Any

from ..augment.options import check_mp3
from ..backend.line import parse_line
from ..backend.speakers import fitting, shortened
from ..diarize.options import DiarizeOptions, refuse_backend
from ..formats.datadir import check_labels_name
from ..formats.errors import InputError
from ..formats.run import Run
from ..prepare.corpus import inside
from ..train.line import judges_alone
from ..train.options import TrainOptions, check_init
from ..train.phases import phases_of
from .options import nearest

# What the first stage of a run reads in exp/TAG.
_READS = {"extract": "model", "backend": "xvectors", "score": "xvectors", "diarize": "model"}


def refuse_unknown_tag(run: Run, first: str) -> None:
    """InputError where exp/TAG has nothing for the stage ``first`` to start from, and other tags have it."""
    wanted = _READS.get(first, "")
    if not wanted or (run.exp / wanted).is_dir():
        return
    known = sorted(path.parent.name for path in run.exp.parent.glob(f"*/{wanted}") if path.is_dir())
    known = [name for name in known if name != "egs"]
    if known:
        mend = f"{nearest(run.tag, known)} Say --tag NAME" if len(known) > 1 else f"--tag {known[0]}"
        said = f"no {wanted}/ here, and stage {first} begins with it; there are {', '.join(known)}"
        raise InputError(said, where=run.exp, mend=mend)


def writable(run: Run) -> None:
    """InputError where the work folder's run cannot be written."""
    try:
        run.exp.mkdir(parents=True, exist_ok=True)
        if os.access(run.exp, os.W_OK):
            return
        why = "no permission, or a file system that can only be read"
    except OSError as error:
        why = str(error.strerror)
    raise InputError(f"cannot be written: {why}", where=run.work, mend="name another folder with --work")


def check_prepare(root: Path, name: str, where: Path) -> None:
    """InputError unless local/NAME.py is there to prepare the corpus."""
    if not (root / "local" / f"{name}.py").is_file():
        known = sorted(path.stem for path in (root / "local").glob("*.py") if path.stem != "__init__")
        raise InputError(f"no local/{name}.py to prepare the corpus", where=where, mend=nearest(name, known))


def check_start(train: TrainOptions) -> None:
    """InputError unless the model that training begins with, or that stands in its place, is there."""
    check_init(train)
    for name, folder in (("init", train.init), ("model", train.model)):
        if folder and not (Path(folder) / "model.safetensors").is_file():
            raise InputError(
                f"no model.safetensors here; {inside(Path(folder))}",
                where=folder,
                mend=f"--train.{name} is the folder of a model, such as exp/TAG/model",
            )


def check_together(options: dict[str, dict[str, Any]]) -> None:
    """InputError for options of several stages that contradict each other."""
    augment = options["augment"]
    check_mp3(augment, options["audio"]["sample_rate"])
    if augment["when"] == "training" and augment["materialise"] != "none":
        raise InputError(
            "training augments on the fly, and there are no copies to write out",
            where=f"augment.when training, augment.materialise {augment['materialise']}",
            mend="--augment.materialise none, or --augment.when copies",
        )
    if augment["when"] == "training" and options["egs"]["kind"] != "audio":
        raise InputError(
            "training can augment audio only, and these egs are of features",
            where="augment.when training, egs.kind features",
            mend="--egs.kind audio, or --augment.when copies",
        )
    train = TrainOptions(**options["train"])
    if train.features_on == "device" and options["egs"]["kind"] != "audio":
        raise InputError(
            "these egs are of features, nothing is left to do for the device",
            where="train.features_on device, egs.kind features",
            mend="--egs.kind audio, or --train.features_on cpu",
        )
    check_start(train)
    wanted = [number for number, phase in enumerate(phases_of(train), 1) if phase.chunks == "long"]
    if wanted and not train.model and not options["egs"]["long_seconds"]:
        raise InputError(
            f"phase {wanted[0]} of training wants long chunks, and these egs are to have none",
            where="train.chunks long, egs.long_seconds 0",
            mend="--egs.long_seconds 6",
        )


def check_sets(run: Run) -> None:
    """InputError for a set named twice, and for back ends that want what the run does not have."""
    if run.labels:
        check_labels(run)
    if "diarize" in run.options:
        refuse_backend(DiarizeOptions(**run.options["diarize"]), run.options["backend"]["backends"])
    names = run.base_sets
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise InputError(f"the set {twice[0]} is named twice", where=f"egs/{run.recipe}/recipe.sh")
    known = [run.dev_set, *run.adapt_sets]
    for back, line in {} if run.labels else run.options["backend"]["backends"].items():
        for name in parse_line(line).sets:
            if name not in known:
                said = f"back end {back} adapts to {name}: possible are {', '.join(known)}"
                mend = "name it in adapt_sets of the recipe; a back end never sees an evaluation set"
                raise InputError(said, where=f"egs/{run.recipe}/recipe.sh", mend=mend)


def check_labels(run: Run) -> None:
    """InputError for what a recipe with ``labels`` cannot be: it has no trials, and needs posteriors."""
    where = f"egs/{run.recipe}/recipe.sh"
    try:
        check_labels_name(run.labels)
    except InputError as error:
        raise InputError(str(error), where=where) from None
    if run.conversation_sets:
        mend = "a recipe of its own for each: leave out labels, or diarize_sets"
        raise InputError("who speaks when is asked of speakers, not of labels", where=where, mend=mend)
    train = TrainOptions(**run.options["train"])
    if train.model and not (Path(train.model) / "head.safetensors").is_file():
        said = f"the model has no loss beside it, so nothing says how likely each of {run.labels} is"
        raise InputError(said, where=train.model, mend="--train.init begins a training with its weights")
    for number, phase in enumerate([] if train.model else phases_of(train), 1):
        if not judges_alone(phase.loss):
            said = f"phase {number} of training: " if train.phases else ""
            raise InputError(
                f"{said}the loss {phase.loss!r} compares chunks and gives no class its posterior",
                where=f"{where}: labels={run.labels}",
                mend=f'--train.loss "softmax + 0.1 {phase.loss}", or softmax, am or aam alone',
            )


def check_speakers(run: Run) -> None:
    """InputError for back ends that want more training speakers than there are: before training, not behind.

    Nothing is known before stage prepare. What stages drop later may still leave too few for stage backend.
    """
    if run.labels or not run.set(run.train_set).has("utt2spk"):
        return
    lines = run.options["backend"]["backends"]
    count = len(run.set(run.train_set).speakers())
    if count < 2:  # there is no line for them; training and stage backend say so
        return
    found = {name: fitting(line, count) for name, line in lines.items()}
    wrong = {name: (links, line) for name, (links, line) in found.items() if links}
    if wrong:
        which = ", ".join(f"{name} ({', '.join(links)})" for name, (links, _) in wrong.items())
        mends = (f"--backend.backends.{name} {shlex.quote(line)}" for name, (_, line) in wrong.items())
        said = f"{count} training speakers are too few for back end {which}"
        raise InputError(said, where=run.data / run.train_set, mend=f"add {' '.join(mends)}")
    for name, line in lines.items():
        if link := shortened(line, count):
            what = (
                f"leave {link} {count - 1} dimensions"
                if count > 2
                else f"are too few for {link}: it is left out"
            )
            print(f"note: back end {name}: {count} training speakers {what}", file=sys.stderr)

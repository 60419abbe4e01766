"""The command ``timbre``: a trained model from the command line. ``timbre --help`` says how."""

from __future__ import annotations

import argparse
import io
import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ..formats import arks
from ..formats.atomic import replacing
from ..formats.errors import InputError, guarded
from ..formats.tables import write_table
from .classes import Posteriors
from .engines import Vector
from .speaker import SpeakerModel

VARIABLE = "TIMBRE_MODEL"
ENDINGS = (".ark", ".npy", ".json")


def parser() -> argparse.ArgumentParser:
    """What can be asked."""
    found = argparse.ArgumentParser(prog="timbre", description="Who speaks? A trained model, used.")
    tasks = found.add_subparsers(dest="task", required=True)
    shared = argparse.ArgumentParser(add_help=False)
    shared.add_argument(
        "--model",
        default=os.environ.get(VARIABLE),
        help=f"exp/TAG, a model's folder or a .onnx (${VARIABLE})",
    )
    shared.add_argument("--precision", help="fp32 (default) or bf16: faster, docs/export.md; not of a .onnx")
    some = argparse.ArgumentParser(add_help=False)
    some.add_argument("files", nargs="+", type=Path, metavar="FILE")
    scored = argparse.ArgumentParser(add_help=False)
    scored.add_argument("--backend", help="its name, none for the cosine; with a .onnx: its folder")
    embed = tasks.add_parser("embed", parents=[shared, some], help="x-vectors of recordings")
    embed.add_argument("--out", type=Path, help="NAME.ark (and NAME.scp), NAME.npy or NAME.json")
    about = "which class recordings are of, and how likely each is: of a run with labels"
    classify = tasks.add_parser("classify", parents=[shared, some], help=about)
    classify.add_argument(
        "--out", type=Path, help="a table: name answer posterior ..., as stage score writes"
    )
    alike = tasks.add_parser("similarity", parents=[shared, scored], help="do two recordings have one voice?")
    alike.add_argument("first", type=Path)
    alike.add_argument("second", type=Path)
    told = tasks.add_parser("info", parents=[scored], help="what a model is")
    told.add_argument("model", metavar="MODEL", nargs="?", default=os.environ.get(VARIABLE))
    tasks.add_parser("identify", help="galleries of people: see timbre identify --help", add_help=False)
    return found


def work(words: Sequence[str]) -> None:
    """Do what ``words`` say."""
    if words[:1] == ["identify"]:
        from ..identify.__main__ import main as identify

        sys.argv = ["timbre identify", *words[1:]]
        identify()
        return
    options = parser().parse_args(words)
    if not options.model:
        raise InputError("which model?", mend=f"--model exp/TAG, or set {VARIABLE}")
    if options.task in ("embed", "classify"):
        _of_several(options)
        return
    precision = None if options.task == "info" else options.precision
    model = SpeakerModel.load(options.model, backend=options.backend, precision=precision)
    if options.task == "similarity":
        print(f"{model.similarity(options.first, options.second):.4f}  ({model.scorer})")
        return
    for name, fact in model.facts.items():
        print(f"{name:12s} {fact}")


def _of_several(options: argparse.Namespace) -> None:
    # What can be read is written though others cannot; then the exit status is 1.
    names = keys(options.files)
    classes = options.task == "classify"
    if not classes:
        refuse_ending(options.out)
    model = SpeakerModel.load(options.model, backend="none", precision=options.precision)
    for note in model.notes:
        print(f"note: {note}", file=sys.stderr)
    if classes and not model.classifies:
        model.posteriors(options.files[0])  # says why
    found: dict[str, Any] = {}
    failed: list[InputError] = []
    for name, file in zip(names, options.files, strict=True):
        try:
            found[name] = model.posteriors(file) if classes else model.embed(file)
        except InputError as error:
            failed.append(error)
    if not found and len(failed) == 1:
        raise failed[0]
    for one in failed:
        print(f"error: {one}", file=sys.stderr)
    if found:
        (answered if classes else written)(found, options.out)
    if failed:
        rest = "the others are written" if found else "nothing was written"
        raise InputError(f"{len(failed)} of {len(names)} recordings failed: {rest}")


def answered(found: dict[str, Posteriors], out: Path | None) -> None:
    """JSON lines to the terminal, or a table ``name answer posterior ...`` that ``score classes`` reads."""
    best = {name: max(row, key=lambda one: row[one]) for name, row in found.items()}
    if out is None:
        for name, row in found.items():
            rounded = {label: round(value, 6) for label, value in row.items()}
            print(json.dumps({"name": name, "answer": best[name], "posteriors": rounded}, ensure_ascii=False))
        return
    lines = {name: " ".join([best[name], *(f"{one:.9g}" for one in found[name].values())]) for name in found}
    write_table(out, lines)


def keys(files: Sequence[Path]) -> list[str]:
    """A name for each file: without folder and ending. InputError where two are the same."""
    names = ["_".join(file.stem.split()) for file in files]
    double = sorted({name for name in names if names.count(name) > 1})
    if double:
        raise InputError(
            f"several files are called {double[0]}", mend="rename them, or embed them one by one"
        )
    return names


def refuse_ending(out: Path | None) -> None:
    """InputError for a file of no kind that ``written`` writes."""
    if out is not None and out.suffix not in ENDINGS:
        raise InputError(f"unknown ending {out.suffix!r}", where=out, mend=f"one of {', '.join(ENDINGS)}")


def written(vectors: dict[str, Vector], out: Path | None) -> None:
    """JSON lines to the terminal, or a file of the kind that its ending says."""
    refuse_ending(out)
    if out is None:
        for name, vector in vectors.items():
            print(json.dumps({"name": name, "xvector": [round(float(x), 7) for x in vector]}))
        return
    if out.suffix == ".npy":
        buffer = io.BytesIO()
        np.save(buffer, np.stack(list(vectors.values())))
        with replacing(out, "wb") as handle:
            handle.write(buffer.getvalue())
    elif out.suffix == ".json":
        with replacing(out) as handle:
            handle.write(json.dumps({name: vector.tolist() for name, vector in vectors.items()}) + "\n")
    else:
        with arks.writing(out) as writer:
            for name in sorted(vectors):
                writer.array(name, vectors[name])
        write_table(out.with_suffix(".scp"), writer.scp)


def main() -> None:
    """The entry point ``timbre``."""
    guarded(lambda: work(sys.argv[1:]))

"""Stage 0, prepare: local/NAME.py turns the corpus into data/SET; every set is then mended and checked."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..formats.datadir import DataSet, check, check_classes, mend, refuse_overlap
from ..formats.errors import InputError
from ..formats.run import Run
from ..formats.stamps import Unit
from ..formats.tables import read_lines, read_table

NAME = "prepare"
VERSION = 1
LOCAL = Path("local")
LIST = "corpus.tsv"  # of an imported corpus, see importing.py


def units(run: Run) -> list[Unit]:
    """One unit: all sets come from one corpus."""
    return [
        Unit(
            name=run.recipe,
            stage=NAME,
            folder=run.data,
            version=VERSION,
            options={
                "corpus": run.corpus,
                **_said(run.options[NAME]),
                **({"labels": run.labels} if run.labels else {}),
            },
            inputs=(*scripts(LOCAL / f"{run.prepare}.py"), *_lists(Path(run.corpus))),
            outputs=tuple(run.data / name / "wav.scp" for name in run.base_sets),
        )
    ]


def _said(options: Mapping[str, Any]) -> dict[str, Any]:
    # Tables in which nothing is said are no change: what was prepared before there were any stays fresh.
    return {name: value for name, value in options.items() if value != {}}


def _lists(corpus: Path) -> list[Path]:
    # Of an imported corpus the list and what stands beside it: whoever edits them wants them read again.
    there = [corpus / LIST, *sorted(corpus.glob("lists/*/*"))] if (corpus / LIST).is_file() else []
    return [path for path in there if path.is_file()]


def scripts(script: Path) -> list[Path]:
    """``script`` and whatever of its folder (``local``) it imports, by itself or through another."""
    found, waiting = [script], [script]
    while waiting:
        try:
            tree = ast.parse(waiting.pop().read_bytes())
        except (OSError, SyntaxError):
            continue  # missing or broken: the stage says so when it runs it
        for node in ast.walk(tree):
            if isinstance(node, ast.ImportFrom) and node.module:
                names = [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
            elif isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            else:
                continue
            for name in names:
                package, _, module = name.partition(".")
                path = script.parent / f"{module}.py"
                if package == script.parent.name and module and path not in found and path.is_file():
                    found.append(path)
                    waiting.append(path)
    return [script, *sorted(found[1:])]


def do(run: Run, unit: Unit) -> None:
    """Run local/NAME.py, then validate what it wrote."""
    if not run.corpus or not Path(run.corpus).is_dir():
        raise InputError(
            "no such folder", where=run.corpus or "--corpus", mend="name the corpus: ./run.sh --corpus FOLDER"
        )
    _clear(run)
    command = [sys.executable, str(unit.inputs[0]), "--corpus", run.corpus, "--data", str(run.data)]
    command += ["--seed", str(run.options[NAME]["seed"])]
    command += [f"--root={name}={folder}" for name, folder in run.options[NAME]["roots"].items()]
    command += [f"--choice={name}={value}" for name, value in run.options[NAME]["choices"].items()]
    if subprocess.run(command, check=False).returncode != 0:
        raise InputError("could not prepare the corpus", where=unit.inputs[0], mend="see the message above")
    validate(run)


def _clear(run: Run) -> None:
    # What an earlier corpus had and this one has not must not be taken for this one's.
    for folder in (run.data / name for name in run.base_sets if (run.data / name).is_dir()):
        tables = (folder / name for name in ("segments", "enrol", "rttm", "uem", "reco2num_spk"))
        for path in [*tables, *folder.glob("trials*"), *folder.glob("utt2*"), *folder.glob("spk2*")]:
            path.unlink(missing_ok=True)


def validate(run: Run) -> None:
    """Mend and check every set; refuse an evaluation speaker in training."""
    for name in run.base_sets:
        data = run.set(name)
        for sentence in mend(data):
            print(sentence, file=sys.stderr)
        check(data)
        utts = sum(1 for _ in read_lines(data.folder / "utt2spk"))
        speakers = data.speakers()
        print(f"{data.folder}: {utts} utterances of {len(speakers)} speakers", file=sys.stderr)
        if name == run.train_set and len(speakers) < 2 and not run.labels:
            raise InputError(
                f"all are of speaker {' '.join(speakers)}: nothing can be told apart",
                where=data.folder / "utt2spk",
                mend="two are the least; is --corpus one folder too high?",
            )
    refuse_overlap(run.set(run.train_set), [run.set(name) for name in run.base_sets[1:]])
    if run.labels:
        train, *others = (run.set(name) for name in run.labelled_sets)
        check_classes(train, others, run.labels)


def report_counts(data: DataSet) -> dict[str, int]:
    """Utterances, speakers and recordings of a set."""
    utt2spk = data.utt2spk()
    return {
        "utterances": len(utt2spk),
        "speakers": len(set(utt2spk.values())),
        "recordings": len(read_table(data.folder / "wav.scp")),
    }

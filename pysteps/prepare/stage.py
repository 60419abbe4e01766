"""Stage 0, prepare: local/NAME.py turns the corpus into data/SET; every set is then mended and checked."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from ..formats.datadir import DataSet, check, mend, refuse_overlap
from ..formats.errors import InputError
from ..formats.run import Run
from ..formats.stamps import Unit
from ..formats.tables import read_table

NAME = "prepare"
VERSION = 1
POOLS = Path("local") / "augmentation.py"


def units(run: Run) -> list[Unit]:
    """One unit: all sets come from one corpus."""
    script = Path("local") / f"{run.prepare}.py"
    return [
        Unit(
            name=run.recipe,
            stage=NAME,
            folder=run.data,
            version=VERSION,
            options={"corpus": run.corpus, **run.options[NAME]},
            inputs=(script, *((POOLS,) if POOLS.is_file() else ())),
            outputs=tuple(run.data / name / "wav.scp" for name in run.base_sets),
        )
    ]


def do(run: Run, unit: Unit) -> None:
    """Run local/NAME.py, then validate what it wrote."""
    if not run.corpus or not Path(run.corpus).is_dir():
        raise InputError(
            "no such folder", where=run.corpus or "--corpus", mend="name the corpus: ./run.sh --corpus FOLDER"
        )
    _clear(run)
    command = [sys.executable, str(unit.inputs[0]), "--corpus", run.corpus, "--data", str(run.data)]
    command += ["--seed", str(run.options[NAME]["seed"])]
    if subprocess.run(command, check=False).returncode != 0:
        raise InputError("could not prepare the corpus", where=unit.inputs[0], mend="see the message above")
    validate(run)


def _clear(run: Run) -> None:
    # What an earlier corpus had and this one has not must not be taken for this one's.
    for folder in (run.data / name for name in run.base_sets if (run.data / name).is_dir()):
        for path in [folder / "segments", folder / "enrol", *folder.glob("trials*"), *folder.glob("utt2*")]:
            path.unlink(missing_ok=True)


def validate(run: Run) -> None:
    """Mend and check every set; refuse an evaluation speaker in training."""
    for name in run.base_sets:
        data = run.set(name)
        for sentence in mend(data):
            print(sentence, file=sys.stderr)
        check(data)
        speakers = len(set(data.utt2spk().values()))
        print(f"{data.folder}: {len(data.utt2spk())} utterances of {speakers} speakers", file=sys.stderr)
    refuse_overlap(run.set(run.train_set), [run.set(name) for name in run.base_sets[1:]])


def report_counts(data: DataSet) -> dict[str, int]:
    """Utterances, speakers and recordings of a set."""
    utt2spk = data.utt2spk()
    return {
        "utterances": len(utt2spk),
        "speakers": len(set(utt2spk.values())),
        "recordings": len(read_table(data.folder / "wav.scp")),
    }

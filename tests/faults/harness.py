"""What the fault tests share: the shim compiled, a tiny run resolved, drive.py started."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from pysteps.formats.run import Run
from pysteps.recipe.options import parse
from pysteps.recipe.resolve import resolve
from tests.pipeline import REPO, SPEECH, arguments, small_corpus

HERE = Path(__file__).resolve().parent
TINY = {
    "train__epochs": "2",
    "augment__kinds": "[noise]",
    "backend__backends__plda": "center | lda 2 | length-norm | plda",
}


def compile_shim(folder: Path) -> Path:
    """shim.c as a library in ``folder``; skips the test where nothing compiles C or preloads it."""
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None or not sys.platform.startswith("linux"):
        pytest.skip("a failing disk is played by a preloaded C library: that needs Linux and a C compiler")
    library = folder / "shim.so"
    command = [compiler, "-O1", "-Wall", "-fPIC", "-shared", "-D_FORTIFY_SOURCE=0"]
    subprocess.run([*command, "-o", str(library), str(HERE / "shim.c"), "-ldl"], check=True)
    return library


def resolved(folder: Path, **settings: str) -> Run:
    """A run in ``folder``/work over a few voices in ``folder``/corpus, its run.json written."""
    corpus = folder / "corpus"
    if not corpus.exists():
        small_corpus(corpus, speakers=11, utterances=3)
    run = resolve(REPO, parse(arguments(corpus, folder / "work", **{**TINY, **settings})))
    run.save(run.exp / "run.json")
    return run


def tables_only(folder: Path, **settings: str) -> Run:
    """As ``resolved``, with the sets' tables written as they are, so that stage prepare need not run."""
    run = resolved(folder, **settings)
    speakers = sorted(path for path in SPEECH.iterdir() if path.is_dir())[:6]
    for number, name in enumerate(("train", "dev", "eval")):
        pair = speakers[2 * number : 2 * number + 2]
        files = [file for speaker in pair for file in sorted(speaker.iterdir())[:3]]
        (run.data / name).mkdir(parents=True, exist_ok=True)
        rows = {f"{file.parent.name}-{file.stem}": file for file in files}
        wav = "".join(f"{utt} {rows[utt]}\n" for utt in sorted(rows))
        (run.data / name / "wav.scp").write_text(wav)
        utt2spk = "".join(f"{utt} {rows[utt].parent.name}\n" for utt in sorted(rows))
        (run.data / name / "utt2spk").write_text(utt2spk)
    return run


def drive(run: Run, shim: Path | None, timeout: float = 600, **spec: Any) -> dict[str, Any]:
    """drive.py's verdict on ``run``; ``spec`` are fields of its Spec."""
    path = Path(run.work).parent / "spec.json"
    path.write_text(json.dumps({"run": str(run.exp / "run.json"), **spec}))
    environment = {**os.environ, "PYTHONPATH": str(REPO), "OMP_NUM_THREADS": "1"}
    if shim is not None:
        environment["LD_PRELOAD"] = str(shim)
    done = subprocess.run(
        [sys.executable, str(HERE / "drive.py"), str(path)],
        capture_output=True,
        text=True,
        timeout=timeout,
        env=environment,
        cwd=REPO,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout.splitlines()[-1])


def clean(verdict: dict[str, Any]) -> dict[str, Any]:
    """Of a verdict what must be empty and is not."""
    wrong = ("tracebacks", "partial", "different", "left")
    return {name: verdict[name] for name in wrong if verdict[name]}

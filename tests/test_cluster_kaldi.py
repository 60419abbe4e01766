"""steps/cmd/foreign: run.pl, queue.pl, slurm.pl and programs that behave as they do.

Kaldi's own are used where TIMBRE_KALDI_UTILS names the folder that holds them (utils/parallel); the
stand-in below, written for these tests, is as literal as they are.
"""

from __future__ import annotations

import json
import os
import shlex
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from importlib.machinery import SourceFileLoader
from importlib.util import module_from_spec, spec_from_loader
from pathlib import Path
from types import ModuleType

import pytest

from tests import pipeline, stand_in_grid

# Joins the words by blanks, replaces every JOB, runs that by bash with PATH as the whole environment after
# path.sh, knows no option but the four and wants a unit with the memory; keeps what it was given.
LITERAL = """
import json, os, re, subprocess, sys
words, options = sys.argv[1:], {}
with open(__file__ + ".asked", "a") as asked:
    asked.write(json.dumps(words) + "\\n")
while words[0].startswith("-"):
    option = words.pop(0)
    options[option] = words.pop(0)
assert options.keys() <= {"--mem", "--gpu", "--num-threads", "--max-jobs-run"}, options
assert re.fullmatch("[0-9]+[GM]", options.get("--mem", "1G")), options
name, first, last = "JOB", 1, 1
if found := re.fullmatch(r"(\\w+)=(\\d+):(\\d+)", words[0]):
    name, first, last = found[1], int(found[2]), int(found[3])
    words.pop(0)
failed = 0
for job in range(first, last + 1):
    log, *command = [word.replace(name, str(job)) for word in words]
    os.makedirs(os.path.dirname(log), exist_ok=True)
    line = f"cd {os.getcwd()}; . ./path.sh; ( {' '.join(command)} ) >{log} 2>&1"
    failed += subprocess.run(["bash", "-c", line], env={"PATH": os.environ["PATH"]}).returncode != 0
sys.exit(failed > 0)
"""


def program(folder: Path, name: str, body: str) -> Path:
    """An executable Python program."""
    path = folder / name
    path.write_text(f"#!{sys.executable} -S\n{body}")
    path.chmod(0o755)
    return path


@pytest.fixture
def literal(tmp_path: Path) -> Path:
    return program(tmp_path, "literal.pl", LITERAL)


def call(repo: Path, *words: object, **more: str) -> subprocess.CompletedProcess[str]:
    line = [sys.executable, "-S", str(repo / "steps" / "cmd" / "foreign"), *map(str, words)]
    environment = {**os.environ, "PYTHON": sys.executable, **more}
    return subprocess.run(line, capture_output=True, text=True, cwd=repo, env=environment, timeout=60)


@pytest.fixture
def foreign(repo: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The launcher as a module."""
    monkeypatch.syspath_prepend(str(repo / "steps" / "cmd"))
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    loader = SourceFileLoader("foreign", str(repo / "steps" / "cmd" / "foreign"))
    module = module_from_spec(spec_from_loader("foreign", loader))  # type: ignore[arg-type]
    loader.exec_module(module)
    return module


def asked(literal: Path) -> list[list[str]]:
    return [json.loads(line) for line in Path(f"{literal}.asked").read_text().splitlines()]


def test_the_contract_in_the_words_that_kaldi_knows(repo: Path, literal: Path, tmp_path: Path) -> None:
    ours = ["--mem", "4", "--gpu", "0", "--max-jobs-run", "8", "--retries", "2", "--time", "1:0"]
    done = call(repo, literal, *ours, "J=3:3", tmp_path / "log/x.J.log", "true", "a=J", "--b", "J.J/é")
    assert done.returncode == 0, done.stderr
    (words,) = asked(literal)
    assert words[:7] == ["--mem", "4G", "--gpu", "0", "--max-jobs-run", "8", "J=3:3"]
    assert words[-3:] == ["a=J", "--b", "J.J/é"]


@pytest.mark.parametrize(("said", "handed"), [("4", "4G"), ("4G", "4G"), ("0.5", "512M"), ("300M", "300M")])
def test_memory_has_a_unit(foreign: ModuleType, said: str, handed: str) -> None:
    assert foreign.line(["run.pl"], foreign.parse(["--mem", said, "x.log", "true"]))[1:3] == ["--mem", handed]


def test_thread_counts_and_the_interpreter_travel_on_the_command(
    repo: Path, literal: Path, tmp_path: Path
) -> None:
    show = tmp_path / "show"
    show.write_text('echo "$OMP_NUM_THREADS|$LC_ALL|${CUDA_VISIBLE_DEVICES-unset}|${OTHER-unset}"')
    mine = {"OMP_NUM_THREADS": "3", "LC_ALL": "C", "CUDA_VISIBLE_DEVICES": "", "OTHER": "1"}
    done = call(repo, literal, tmp_path / "e.log", "bash", show, **mine)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "e.log").read_text() == "3|C||unset\n"
    assert shutil.which("bash") in asked(literal)[0]


def test_a_failing_job_is_a_failure(repo: Path, literal: Path, tmp_path: Path) -> None:
    assert call(repo, literal, "J=1:2", tmp_path / "f.J.log", "test", "J", "=", "1").returncode == 1


@pytest.mark.parametrize("word", ["a b", "a$b", "it's", "a(1)", "a*", "a&b", "a#b", "~a", "a\\b", 'a"b', ""])
def test_what_a_shell_would_change_is_refused(foreign: ModuleType, word: str) -> None:
    with pytest.raises(foreign.Refused) as refused:
        foreign.line(["utils/run.pl", "--config", "x"], foreign.parse(["x.log", "echo", word]))
    assert f"run.pl reads the command with a shell, which would not leave {word!r}" in str(refused.value)
    assert "--work" in str(refused.value)


def test_a_refused_command_never_reaches_kaldi(repo: Path, literal: Path, tmp_path: Path) -> None:
    done = call(repo, literal, tmp_path / "a b.log", "true")
    assert done.returncode == 1 and "foreign: literal.pl reads" in done.stderr
    assert not Path(f"{literal}.asked").exists()


def test_a_program_that_is_not_kaldis_gets_every_word_as_it_is(repo: Path, tmp_path: Path) -> None:
    mine = program(tmp_path, "mine", "import sys; print(sys.argv[-2:])")
    done = call(repo, f"{mine} --site x", tmp_path / "a b.log", "echo", "a b", "$HOME")
    assert done.stdout == "['a b', '$HOME']\n"


def test_a_program_that_is_not_there_is_named(repo: Path, tmp_path: Path) -> None:
    done = call(repo, "utils/no.pl --config x", tmp_path / "x.log", "true")
    assert done.returncode == 1
    assert "'utils/no.pl --config x': there is no such program" in done.stderr


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="prctl is Linux's")
def test_the_program_is_told_to_end_when_the_step_is_killed(repo: Path, tmp_path: Path) -> None:
    told = "signal.signal(15, lambda *_: (open(sys.argv[1] + '.told', 'w'), sys.exit()))"
    body = f"import signal, sys, time\n{told}\nopen(sys.argv[1], 'w')\ntime.sleep(60)\n"
    waits = program(tmp_path, "waits", body)
    log, told = tmp_path / "x.log", tmp_path / "x.log.told"
    line = shlex.join([sys.executable, "-S", str(repo / "steps/cmd/foreign"), str(waits), str(log), "true"])
    step = subprocess.Popen(["bash", "-c", f"{line}; true"])
    deadline = time.monotonic() + 20
    while not log.exists() and time.monotonic() < deadline:
        time.sleep(0.02)
    step.send_signal(signal.SIGKILL)
    step.wait()
    while not told.exists() and time.monotonic() < deadline:
        time.sleep(0.02)
    assert told.exists()


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return pipeline.small_corpus(tmp_path_factory.mktemp("kaldi") / "corpus", speakers=10, utterances=3)


@pytest.fixture(scope="module")
def here(corpus: Path) -> dict[str, bytes]:
    """The products of a small run on this machine, training included."""
    return small_run(corpus, "local")


def small_run(corpus: Path, cmd: str) -> dict[str, bytes]:
    work = corpus.parent / f"work{len(list(corpus.parent.iterdir()))}"
    options = ["--cmd", cmd, "--nj", "2", "--ngpu", "0", "--stop-stage", "train"]
    pipeline.run_sh(*pipeline.arguments(corpus, work, *options))
    found = pipeline.products(work)
    return {name: content for name, content in found.items() if "/q/" not in name}  # queue.pl's notes


@pytest.mark.long
def test_a_recipe_through_the_literal_stand_in_gives_the_same_bytes(
    corpus: Path, here: dict[str, bytes], literal: Path
) -> None:
    assert pipeline.differing(here, small_run(corpus, str(literal))) == []
    stages = [word for words in asked(literal) for word in words if word.startswith("pysteps.")]
    fanned = ["prepare", "audio", "vad", "augment", "features", "egs", "train"]
    assert stages == [f"pysteps.{stage}" for stage in fanned]


@pytest.fixture
def grid(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A stand-in for Grid Engine in PATH."""
    monkeypatch.setenv("PATH", f"{stand_in_grid.install(tmp_path / 'grid')}:{os.environ['PATH']}")
    monkeypatch.setenv("GRID", str(tmp_path / "grid"))


@pytest.mark.long
def test_a_recipe_through_sge_gives_the_same_bytes(corpus: Path, here: dict[str, bytes], grid: None) -> None:
    assert pipeline.differing(here, small_run(corpus, "sge")) == []


@pytest.fixture
def kaldi() -> Path:
    """The folder with Kaldi's own launchers."""
    folder = os.environ.get("TIMBRE_KALDI_UTILS")
    if not folder or not shutil.which("perl"):
        pytest.skip(
            "TIMBRE_KALDI_UTILS does not name a folder with run.pl, queue.pl and slurm.pl, or no perl"
        )
    return Path(folder)


@pytest.mark.long
def test_kaldis_run_pl_gives_the_same_bytes(kaldi: Path, corpus: Path, here: dict[str, bytes]) -> None:
    assert pipeline.differing(here, small_run(corpus, str(kaldi / "run.pl"))) == []


@pytest.mark.long
def test_kaldis_queue_pl_gives_the_same_bytes(
    kaldi: Path, grid: None, corpus: Path, here: dict[str, bytes], tmp_path: Path
) -> None:
    (tmp_path / "queue.conf").write_text(
        "command qsub -v PATH -cwd -S /bin/bash -j y\noption mem=* -l mem_free=$0\n"
        "option num_threads=* -pe smp $0\noption max_jobs_run=* -tc $0\ndefault gpu=0\noption gpu=0\n"
    )
    line = f"{kaldi / 'queue.pl'} --config {tmp_path / 'queue.conf'}"
    assert pipeline.differing(here, small_run(corpus, line)) == []


@pytest.fixture
def slurm(repo: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A Slurm of this test's own, with a partition `main`."""
    node = str(repo / "tests" / "slurm_node.sh")
    with open(tmp_path / "said", "w+") as said:  # a pipe would be held open by its daemons
        code = subprocess.run(
            [node, "start", tmp_path / "node"], stdout=said, stderr=said, timeout=300
        ).returncode
    words = (tmp_path / "said").read_text()
    if code == 77:
        pytest.skip(words.strip())
    assert code == 0, words
    monkeypatch.setenv("SLURM_CONF", shlex.split(words)[-1].removeprefix("SLURM_CONF="))
    yield
    subprocess.run([node, "stop", tmp_path / "node"], timeout=60, check=True)


@pytest.mark.long
def test_kaldis_slurm_pl_gives_the_same_bytes(
    kaldi: Path, slurm: None, corpus: Path, here: dict[str, bytes], tmp_path: Path
) -> None:
    (tmp_path / "slurm.conf").write_text(
        "command sbatch --export=PATH\noption mem=* --mem $0\noption num_threads=* --cpus-per-task $0\n"
        "default gpu=0\noption gpu=0 -p main\n"
    )
    line = f"{kaldi / 'slurm.pl'} --config {tmp_path / 'slurm.conf'}"
    assert pipeline.differing(here, small_run(corpus, line)) == []

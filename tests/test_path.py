"""path.sh: the environment is found or made once, and costs nothing afterwards."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

# Stands for python3: says what it is asked, makes "virtual environments" that hold a copy of itself.
STUB = """#!/bin/sh
case "$*" in
  *version_info\\ \\<*) [ -z "$STUB_OLD" ] ;;
  *platform*) echo 3.9.2 ;;
  *ensurepip*) [ -z "$STUB_NO_VENV" ] ;;
  *version_info\\[*) echo 3.11 ;;
  "-m venv "*) echo venv >>"$STUB_LOG"; mkdir -p "$3/bin"; cp "$0" "$3/bin/python" ;;
  "-m pip "*) echo pip >>"$STUB_LOG"; sleep 0.3; [ -z "$STUB_PIP_FAILS" ] ;;
  *) echo "other: $*" >>"$STUB_LOG" ;;
esac
"""


class Tree:
    """A checkout that holds path.sh and requirements.txt, and a PATH whose only python3 is the stub."""

    def __init__(self, repo: Path, folder: Path) -> None:
        self.root = folder / "mes données été"
        self.root.mkdir()
        shutil.copy(repo / "path.sh", self.root)
        (self.root / "requirements.txt").write_text("# none\n")
        self.log = folder / "stub.log"
        programs = folder / "bin"
        programs.mkdir()
        for name in ("python3", "python3.11", "python3.12", "python3.13", "python3.14"):
            (programs / name).write_text(STUB)
            (programs / name).chmod(0o755)
        keep = ("HOME", "TMPDIR", "LANG")
        self.environment = {name: os.environ[name] for name in keep if name in os.environ}
        self.environment |= {"PATH": f"{programs}:/usr/bin:/bin", "STUB_LOG": str(self.log)}

    def source(self, script: str = "", **environment: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["bash", "-euo", "pipefail", "-c", f'. "$0/path.sh"; {script}', str(self.root)],
            env={**self.environment, **environment},
            capture_output=True,
            text=True,
            timeout=60,
        )

    def calls(self) -> list[str]:
        """What the stub was asked to do since the last look."""
        said = self.log.read_text().split() if self.log.exists() else []
        self.log.unlink(missing_ok=True)
        return said


@pytest.fixture
def tree(repo: Path, tmp_path: Path) -> Tree:
    return Tree(repo, tmp_path)


def test_the_environment_is_made_once_and_said(tree: Tree) -> None:
    first = tree.source("command -v python")
    assert first.returncode == 0, first.stderr
    assert first.stdout.strip() == str(tree.root / ".venv" / "bin" / "python")
    assert "making" in first.stderr and "installing" in first.stderr
    assert tree.calls() == ["venv", "pip"]
    second = tree.source()
    assert (second.returncode, second.stderr, tree.calls()) == (0, "", [])


def test_changed_requirements_are_installed_into_the_same_environment(tree: Tree) -> None:
    tree.source()
    tree.calls()
    (tree.root / "requirements.txt").write_text("# another\n")
    assert tree.source().returncode == 0
    assert tree.calls() == ["pip"]
    tree.source()
    assert tree.calls() == []


def test_a_failed_installation_is_begun_anew(tree: Tree) -> None:
    assert tree.source("echo on", STUB_PIP_FAILS="1").returncode == 1
    assert tree.calls() == ["venv", "pip"]
    assert tree.source().returncode == 0
    assert tree.calls() == ["venv", "pip"]


def test_a_killed_installation_is_begun_anew(tree: Tree) -> None:
    line = ["bash", "-c", '. "$0/path.sh"', str(tree.root)]
    killed = subprocess.Popen(line, env=tree.environment, stderr=subprocess.DEVNULL, start_new_session=True)
    while "pip" not in (tree.log.read_text() if tree.log.exists() else ""):
        time.sleep(0.01)
    os.killpg(killed.pid, 9)
    killed.wait()
    tree.calls()
    assert tree.source().returncode == 0
    assert tree.calls() == ["venv", "pip"]


def test_a_moved_environment_is_made_again(tree: Tree) -> None:
    tree.source()
    tree.calls()
    tree.root = tree.root.rename(tree.root.parent / "moved")
    assert tree.source().returncode == 0
    assert tree.calls() == ["venv", "pip"]


def test_two_runs_at_once_install_once(tree: Tree) -> None:
    line = ["bash", "-c", '. "$0/path.sh"', str(tree.root)]
    both = [subprocess.Popen(line, env=tree.environment, stderr=subprocess.PIPE, text=True) for _ in range(2)]
    said = [process.communicate()[1] for process in both]
    assert [process.returncode for process in both] == [0, 0], said
    assert sorted(tree.calls()) == ["pip", "venv"]


def test_an_active_environment_is_used_and_provided(tree: Tree, tmp_path: Path) -> None:
    active = tmp_path / "active"
    (active / "bin").mkdir(parents=True)
    shutil.copy(tmp_path / "bin" / "python3", active / "bin" / "python")
    done = tree.source("command -v python", VIRTUAL_ENV=str(active))
    assert done.stdout.strip() == str(active / "bin" / "python")
    assert tree.calls() == ["pip"]
    assert not (tree.root / ".venv").exists()
    tree.source(VIRTUAL_ENV=str(active))
    assert tree.calls() == []


def test_an_environment_lent_by_a_link_is_used_and_never_made_anew(tree: Tree, tmp_path: Path) -> None:
    tree.source()
    lender = tmp_path / "lender"
    (tree.root / ".venv").rename(lender)
    (lender / ".timbre").write_text(f"{lender}\n# none\n")
    (tree.root / ".venv").symlink_to(lender)
    tree.calls()
    lent = tree.source("command -v python")
    assert (lent.stderr, lent.stdout.strip(), tree.calls()) == ("", str(lender / "bin" / "python"), [])
    (lender / ".timbre").unlink()  # an interrupted installation of somebody else's is not swept away
    assert tree.source().returncode == 0 and tree.calls() == ["pip"]


def test_an_old_python_is_refused_with_the_packages_to_install(tree: Tree) -> None:
    done = tree.source("echo on", STUB_OLD="1")
    assert done.returncode != 0 and done.stdout == ""
    assert "3.11" in done.stderr and "3.9.2" in done.stderr and "apt-get install python3" in done.stderr


def test_a_missing_venv_module_names_the_debian_package(tree: Tree) -> None:
    done = tree.source("echo on", STUB_NO_VENV="1")
    assert done.returncode != 0 and done.stdout == ""
    assert "apt-get install python3-venv (or python3.11-venv)" in done.stderr


def test_a_named_python_is_used_as_it_is(tree: Tree) -> None:
    script = "python -c 'import sys; print(sys.executable)'; command -v python3"
    done = tree.source(script, PYTHON=sys.executable)
    assert done.returncode == 0, done.stderr
    assert [Path(line).parent for line in done.stdout.split()] == [Path(sys.executable).parent] * 2
    assert tree.calls() == [] and not (tree.root / ".venv").exists()


def test_a_named_python_without_the_name_python_beside_it(tree: Tree, tmp_path: Path) -> None:
    alone = tmp_path / "mon python" / "python3.99"
    alone.parent.mkdir()
    alone.symlink_to(sys.executable)
    environment = {"PYTHON": str(alone), "XDG_CACHE_HOME": str(tmp_path / "mon cache")}
    done = tree.source("python -c 'print(1)'; python3 -c 'print(2)'", **environment)
    assert done.stdout.split() == ["1", "2"], done.stderr


def test_a_named_python_that_lacks_packages_is_refused(tree: Tree) -> None:
    wanted = "numpy>=1\nno-such-thing==1\n# tests and lint\nno-such-test\n"
    (tree.root / "requirements.txt").write_text(wanted)
    done = tree.source("echo on", PYTHON=sys.executable)
    assert done.returncode != 0 and done.stdout == ""
    assert "lacks no-such-thing;" in done.stderr


def test_what_every_process_shares_is_set_once(tree: Tree) -> None:
    names = "$PYTHONPATH|$LC_ALL|$PYTHONUTF8|$OMP_NUM_THREADS|$MKL_NUM_THREADS|$OPENBLAS_NUM_THREADS"
    script = f'. "$0/path.sh"; echo "{names}"; echo "$PATH" | grep -o "/.venv/bin" | wc -l'
    done = tree.source(script, PYTHONPATH="/mine", OMP_NUM_THREADS="16")
    assert done.stdout.splitlines() == [f"{tree.root}:/mine|C|1|1|1|1", "1"], done.stderr
    assert tree.source("echo $OMP_NUM_THREADS", TIMBRE_THREADS="2").stdout == "2\n"


def test_a_fresh_environment_costs_less_than_50_ms(tree: Tree) -> None:
    tree.source()
    tree.calls()
    script = 'a=$EPOCHREALTIME; . "$0/path.sh"; b=$EPOCHREALTIME; echo $((${b/./} - ${a/./}))'
    assert min(int(tree.source(script).stdout) for _ in range(5)) < 50_000
    assert tree.calls() == [], "no Python is started"


def test_from_a_folder_with_blanks_a_job_runs_through_the_launcher(repo: Path, tree: Tree) -> None:
    """The real environment, in a copy of the tree under a name that shells and Python 2 disliked."""
    shutil.copytree(repo / "steps" / "cmd", tree.root / "steps" / "cmd")
    shutil.copytree(repo / "conf" / "cluster", tree.root / "conf" / "cluster")
    show = """python -c 'import os; print(os.environ["PYTHONPATH"])'"""
    script = f'cd "$0"; steps/cmd/local JOB=1:2 "log é/a.JOB.log" {show}'
    done = tree.source(script, PYTHON=sys.executable)
    assert done.returncode == 0, done.stderr
    assert f"\n{tree.root}\n" in (tree.root / "log é" / "a.2.log").read_text(encoding="utf-8")


def test_a_real_environment_is_made_from_the_systems_python(repo: Path, tree: Tree) -> None:
    """Needs no network: there is nothing to install."""
    real = {"PATH": "/usr/local/bin:/usr/bin:/bin"}
    done = tree.source("python -c 'import sys; print(sys.prefix)'", **real)
    if "apt-get install" in done.stderr:
        pytest.skip(f"no Python here to make an environment from: {done.stderr}")
    assert done.stdout.strip() == str(tree.root / ".venv"), done.stderr
    assert tree.source("python -m pip --version", **real).stdout.startswith("pip ")

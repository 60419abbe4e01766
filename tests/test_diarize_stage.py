"""Stage diarize on recordings of seconds: its products at any width, the tuned threshold, the error rates."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy.optimize import linear_sum_assignment

from pysteps.backend import Backend
from pysteps.diarize import speakers, stage, xvectors
from pysteps.diarize.options import DiarizeOptions
from pysteps.diarize.results import summary
from pysteps.diarize.turns import Turn, Turns, read_rttm, write_rttm
from pysteps.diarize.work import Inputs, diarize
from pysteps.diarize.xvectors import method_of
from pysteps.features.contract import contract
from pysteps.formats import command
from pysteps.formats.arks import writing
from pysteps.formats.errors import InputError
from pysteps.formats.run import Run
from pysteps.formats.stamps import Unit
from pysteps.formats.tables import read_table, write_table
from pysteps.recipe.options import parse
from pysteps.recipe.resolve import resolve
from tests.pipeline import TINY

DEV, EVAL = "dev-conversations", "eval-conversations"
WORDS = [word for key, value in TINY.items() if "models" in key for word in (f"--{key}", value)]
WORDS += ["--diarize.window", "0.8", "--diarize.shift", "0.4", "--diarize.shard_recordings", "2"]
WORDS += ["--diarize.least_gap", "0.2", "--diarize.max_dropped", "0.2", "--diarize.collar", "0"]


def resolved(repo: Path, work: Path, *words: str) -> Run:
    return resolve(repo, parse(["--recipe", "conversations", "--work", str(work), *WORDS, *words]))


def _recordings(run: Run, name: str, count: int) -> None:
    # Three turns of 2 to 3 s of two of four voices, 0.4 s apart: a voice is a mean of its features.
    random = np.random.default_rng(len(name))
    voices, truth, tables = np.random.default_rng(0).normal(size=(4, 64)) * 2, {}, {}
    features, vad = run.of("features", name), run.of("vad", name)
    with (
        writing(features / "feats.1.ark") as feats,
        writing(features / "cmvn.1.ark") as cmvn,
        writing(vad / "vad.1.ark") as decisions,
    ):
        for number in range(count):
            recording, (one, two) = f"{name}-{number}", random.choice(4, 2, replace=False)
            frames, voiced, turns = [], [], []
            for who in (one, two, one):
                length = int(random.integers(200, 300))
                turns.append(Turn(len(voiced) / 100, (len(voiced) + length) / 100, f"{name}{who}"))
                frames.append(voices[who] + random.normal(size=(length + 40, 64)))
                voiced += [1] * length + [0] * 40
            matrix, mask = np.concatenate(frames).astype(np.float32), np.array(voiced, np.float32)
            kept, stats = matrix[mask > 0], np.zeros((2, 65))
            stats[0, :64], stats[1, :64], stats[0, 64] = kept.sum(0), (kept**2).sum(0), len(kept)
            feats.array(recording, matrix)
            cmvn.array(recording, stats)
            decisions.array(recording, mask)
            truth[recording], tables[recording] = turns, recording
    for folder, table, writer in (
        (features, "feats", feats),
        (features, "cmvn", cmvn),
        (vad, "vad", decisions),
    ):
        write_table(folder / f"{table}.scp", writer.scp)
    (features / "contract.json").write_text(json.dumps(contract(run)))
    write_table(run.data / name / "utt2spk", tables)
    write_rttm(run.data / name / "rttm", truth)


@pytest.fixture(scope="module")
def prepared(repo: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A work folder as stages 0 to 8 leave it: five and three recordings, a model of random weights."""
    import torch

    from pysteps.models.model import SpeakerModel, save_model
    from pysteps.models.options import ModelOptions

    work = tmp_path_factory.mktemp("work")
    run = resolved(repo, work)
    _recordings(run, DEV, 3)
    _recordings(run, EVAL, 5)
    write_table(run.data / "train" / "utt2spk", {f"heard-{n}": "heard" for n in range(3)})
    with torch.random.fork_rng():
        torch.manual_seed(0)
        save_model(SpeakerModel(ModelOptions(**run.options["models"])), run.exp / "model", contract(run))
    random = np.random.default_rng(0)
    vectors = random.normal(size=(40, 32))
    for name, line in (("cosine", "length-norm | cosine"), ("plda", "length-norm | plda")):
        labels = [f"s{n % 8}" for n in range(40)]
        Backend.fit(line, vectors, labels).save(run.exp / "backend" / name)
    return work


@pytest.fixture
def work(prepared: Path, tmp_path: Path) -> Path:
    """A copy of ``prepared``, its archives named anew."""
    copy = tmp_path / "work"
    shutil.copytree(prepared, copy)
    for table in copy.rglob("*.scp"):
        table.write_text(table.read_text().replace(str(prepared), str(copy)))
    return copy


def sharded(run: Run, jobs: int = 1) -> None:
    _, todo = command.plan(xvectors, run)
    for number in range(1, jobs + 1):
        command.job(xvectors, run, todo, number, jobs)
    command.gather(xvectors, run)


def done(run: Run, jobs: int = 1) -> dict:
    """The whole stage; what results.json says."""
    sharded(run, jobs)
    command.single(speakers, run)
    assert [unit.stale() for unit in stage.units(run)] == [None] * 6
    return json.loads((method_of(run) / "results.json").read_text())


def products(run: Run) -> dict[str, bytes]:
    """What the stage wrote, by path, without stamps and marks, and without the work folder's name."""
    folder = run.exp / "diarize"
    paths = [path for path in folder.rglob("*") if path.is_file() and "shards" not in path.parts]
    return {
        str(path.relative_to(folder)): path.read_bytes().replace(run.work.encode(), b"WORK")
        for path in paths
        if not path.name.startswith(".")
    }


def error_rate(truth: Turns, found: Turns, step: float = 0.001) -> float:
    """DER in percent counted on instants ``step`` apart, speakers mapped so that most instants agree."""
    wrong = speech = 0
    for recording, turns in truth.items():
        ends = [turn.end for turn in (*turns, *found.get(recording, []))]
        at = np.arange(step / 2, max(ends), step)
        said, heard = (_who(part, at) for part in (turns, found.get(recording, [])))
        agree = np.array(
            [[((said == a) & (heard == b)).sum() for b in set(heard) - {""}] for a in set(said) - {""}]
        )
        right = agree[linear_sum_assignment(-agree)].sum()
        speech += (said != "").sum()
        wrong += np.maximum(said != "", heard != "").sum() - right
    return 100 * wrong / speech


def _who(turns: list[Turn], at: np.ndarray) -> np.ndarray:
    names = np.full(len(at), "", object)
    for turn in turns:
        names[(at >= turn.start) & (at < turn.end)] = turn.speaker
    return names


def test_the_threshold_is_dev_s_and_gives_the_turns_and_their_rates(repo: Path, work: Path) -> None:
    pytest.importorskip("pyannote.metrics", reason="pip install -r requirements/diarize.txt")
    run = resolved(repo, work, "--diarize.threshold", "0.9")  # dev's stands for it
    found = done(run)
    chosen = found["threshold"]
    assert chosen["tuned"] and chosen["set"] == DEV
    assert chosen["der"] == min(error for _, error in chosen["tried"])
    assert chosen["der"] == pytest.approx(found["sets"][DEV]["rates"]["all"]["der"])

    folder, options = run.exp / "diarize" / EVAL, DiarizeOptions(**run.options["diarize"])
    inputs = Inputs.load(
        str(folder / "xvector.scp"),
        str(folder / "segments"),
        str(run.exp / "backend" / "cosine"),
        None,
        options,
    )
    turns = diarize(inputs, replace(options, threshold=chosen["threshold"]))
    write_rttm(work / "again", turns)
    assert (work / "again").read_bytes() == (method_of(run) / EVAL / "rttm").read_bytes()
    write_rttm(work / "conf", diarize(inputs, options))
    assert (work / "conf").read_bytes() != (method_of(run) / EVAL / "rttm").read_bytes()

    assert f"threshold {chosen['threshold']:.4g} from {DEV}" in summary(run)


@pytest.mark.parametrize("threshold", ["0.0", "0.9", "-0.9"])
def test_error_rates_are_those_counted_instant_by_instant(repo: Path, work: Path, threshold: str) -> None:
    pytest.importorskip("pyannote.metrics", reason="pip install -r requirements/diarize.txt")
    run = resolved(repo, work, "--diarize.tune", "false", "--diarize.threshold", threshold)
    found = done(run)["sets"][EVAL]
    truth, said = read_rttm(run.data / EVAL / "rttm"), read_rttm(method_of(run) / EVAL / "rttm")
    total = found["rates"]["all"]
    assert total["der"] == pytest.approx(error_rate(truth, said), abs=0.05)
    assert total["der_ci"][0] <= total["der"] <= total["der_ci"][1]
    assert found["recordings"] == len(found["rates"]["recordings"]) == 5 and found["role"] == "evaluation"
    assert f"{EVAL}: 5 recordings: below 10" in summary(run)


def test_the_same_bytes_at_any_width_and_after_an_interruption(repo: Path, work: Path) -> None:
    run = resolved(repo, work)
    done(run)
    first = products(run)
    expected = {f"ahc/{EVAL}/rttm", "ahc/threshold.json", f"{EVAL}/xvector.3.ark", f"{DEV}/segments"}
    assert expected <= first.keys()
    shutil.rmtree(run.exp / "diarize")
    _, todo = command.plan(xvectors, run)
    command.job(xvectors, run, todo, 2, 3)  # of five shards: the second and the last
    waiting, _ = command.plan(xvectors, run)
    assert waiting == 3
    with pytest.raises(InputError, match="shards are not done"):
        command.gather(xvectors, run)
    done(run, jobs=2)
    assert products(run) == first


def test_only_what_changed_is_redone(repo: Path, work: Path) -> None:
    done(resolved(repo, work))

    def reasons(*words: str) -> dict[str, str]:
        run = resolved(repo, work, *words)
        found = {unit.name: unit.stale() for unit in stage.units(run)}
        return {name: why for name, why in found.items() if why}

    assert reasons("--diarize.threshold", "0.3") == {}  # the tuned one stands for it
    assert set(reasons("--diarize.fa", "0.3", "--diarize.max_dropped", "0.5")) == set()
    assert reasons("--diarize.collar", "0.25").keys() == {"threshold", "results"}
    assert reasons("--diarize.window", "0.9")[EVAL] == "window: 0.8 -> 0.9"
    # Another method on the same windows, beside the first.
    assert reasons("--diarize", "spectral").keys() == {"threshold", f"{DEV}.rttm", f"{EVAL}.rttm", "results"}
    spectral = done(resolved(repo, work, "--diarize", "spectral"))
    assert spectral["threshold"]["why"] == "spectral clustering has none"
    assert reasons() == {} and (work / "exp").is_dir()


def test_without_pyannote_the_turns_are_there_and_the_way_to_rates_is_said(
    repo: Path, work: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pyannote.metrics", None)
    run = resolved(repo, work)
    found = done(run)
    assert not found["threshold"]["tuned"] and found["sets"][EVAL]["rates"] is None
    assert len(read_rttm(method_of(run) / EVAL / "rttm")) == 5
    text = summary(run)
    assert "pip install -r requirements/diarize.txt" in text and "not tuned: pyannote" in text
    monkeypatch.undo()
    pytest.importorskip("pyannote.metrics", reason="pip install -r requirements/diarize.txt")
    assert speakers.units(run)[0].stale() == "threshold: 0.0 -> None"


def test_a_set_without_a_truth_gets_its_turns(repo: Path, work: Path) -> None:
    run = resolved(repo, work)
    (run.data / EVAL / "rttm").unlink()
    found = done(run)["sets"]
    assert found[EVAL]["rates"] is None and "rttm is missing" in found[EVAL]["why"]
    assert found[DEV]["rates"] is not None
    assert f"{EVAL}: no error rates" in summary(run)


def test_given_numbers_of_speakers(repo: Path, work: Path) -> None:
    run = resolved(repo, work, "--diarize.given_numbers", "true")
    numbers = {f"{EVAL}-{n}": str(1 + n % 3) for n in range(5)}
    write_table(run.data / EVAL / "reco2num_spk", numbers)
    write_table(run.data / DEV / "reco2num_spk", {f"{DEV}-{n}": "2" for n in range(3)})
    assert done(run)["threshold"]["why"] == "the number of speakers is given"
    turns = read_rttm(method_of(run) / EVAL / "rttm")
    assert {name: str(len({turn.speaker for turn in found})) for name, found in turns.items()} == numbers


def test_vbx_takes_the_back_end_with_a_plda(repo: Path, work: Path) -> None:
    run = resolved(repo, work, "--diarize", "vbx", "--diarize.tune", "false")
    found = done(run)
    assert found["backend"] == "plda" and found["threshold"]["why"] == "--diarize.tune false"
    (run.exp / "backend" / "plda" / "plda").unlink()
    assert "plda is missing" in next(why for why in (unit.stale() for unit in speakers.units(run)) if why)


def test_too_many_windows_too_short_stop_the_stage(repo: Path, work: Path) -> None:
    words = ("--diarize.least_window", "0.01", "--diarize.window", "0.3", "--diarize.shift", "0.3")
    run = resolved(repo, work, *words, "--diarize.max_dropped", "0")
    with pytest.raises(InputError, match=r"dropped \d+ of \d+ windows.*allowed 0.0%.*--diarize.max_dropped"):
        sharded(run)


def _rename(run: Run, before: str, after: str) -> None:
    path = run.data / EVAL / "rttm"
    path.write_text(path.read_text().replace(before, after))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda run: _rename(run, f" {EVAL}0 ", " heard "),
            "1 speakers of eval-conversations are in train too",
        ),
        (lambda run: _rename(run, f"{EVAL}-3 ", "other "), "1 recordings are not in the set .*: other"),
    ],
)
def test_a_truth_that_does_not_fit_is_refused(
    repo: Path, work: Path, change: Callable[[Run], None], message: str
) -> None:
    run = resolved(repo, work)
    change(run)
    with pytest.raises(InputError, match=message):
        done(run)


def test_windows_are_in_order_whatever_recordings_are_called(repo: Path, tmp_path: Path) -> None:
    # "a" and "a-0": a window of the second sorts before those of the first.
    run = resolved(repo, tmp_path)
    (tmp_path / "out").mkdir()
    lines = {name: f"{name[:-18]} 1.000 2.000" for name in ("a-00001000-00002000", "a-0-00001000-00002000")}
    for table in ("segments", "xvector.scp"):
        (tmp_path / "out" / table).write_text("".join(f"{key} {value}\n" for key, value in lines.items()))
    (tmp_path / "out" / "dropped").write_text("")
    xvectors.conclude(run, Unit("x", "diarize", tmp_path / "out", 1, {}))
    assert list(read_table(tmp_path / "out" / "segments")) == sorted(lines) != list(lines)


def test_only_jobs_import_torch(repo: Path, work: Path) -> None:
    run = resolved(repo, work)
    run.save(work / "run.json")
    code = (
        "import sys\nfrom pathlib import Path\nfrom pysteps.formats import command\n"
        "from pysteps.formats.run import Run\nfrom pysteps.diarize import speakers, stage, xvectors\n"
        f"run = Run.load(Path({str(work / 'run.json')!r}))\n"
        "stage.units(run)\ncommand.plan(xvectors, run)\nprint('torch' in sys.modules)\n"
    )
    said = subprocess.run([sys.executable, "-c", code], cwd=repo, capture_output=True, text=True, check=True)
    assert said.stdout == "False\n"


def test_turns_follow_the_threshold_the_back_end_and_the_windows(repo: Path, work: Path) -> None:
    run = resolved(repo, work)
    done(run)
    turns = f"{EVAL}.rttm"

    def stale(one: str) -> str | None:
        return next(unit for unit in stage.units(run) if unit.name == one).stale()

    for path in (method_of(run) / "threshold.json", run.exp / "backend" / "cosine" / "chain.json"):
        text = path.read_text()
        path.write_text(text + "\n")
        assert stale(turns) == f"{path} changed"
        path.write_text(text)
    assert stale(turns) is None
    (run.exp / "diarize" / EVAL / ".diarize.done.json").write_text("{}")  # windows made anew
    assert "done.json changed" in (stale(turns) or "")

"""./run.sh from real audio to EER on a few seconds of speech: results, freshness, widths, options."""

from __future__ import annotations

import json
import re
import resource
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file

from tests.pipeline import arguments, differing, products, run_sh, small_corpus


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A corpus and the work folder (with a space and an umlaut in its name) of a finished run."""
    folder = tmp_path_factory.mktemp("wörk place")
    corpus = small_corpus(folder / "corpus")
    run_sh(*arguments(corpus, folder / "one", "--nj", "1"))
    return corpus, folder / "one"


def model(work: Path) -> Path:
    return next(path.parent for path in work.glob("exp/*/results.json"))


def test_results_have_the_promised_shape(finished: tuple[Path, Path]) -> None:
    results = json.loads((model(finished[1]) / "results.json").read_text())
    assert set(results["trials"]) == {"eval"}
    for figures in (results["trials"]["eval"][name] for name in ("cosine", "plda", "baseline")):
        # 4 speakers of 5 utterances: C(20, 2) = 190 pairs, 4 C(5, 2) = 40 of them of one speaker.
        assert figures["targets"] == 40 and figures["nontargets"] == 150
        assert figures["eer_ci"][0] <= figures["eer"] <= figures["eer_ci"][1]
        assert set(figures["min_dcf"]) == {"0.01", "0.05", "0.001"}
        assert 0 <= figures["eer"] <= 100 and isinstance(figures["threshold"], float)
    assert set(results["seconds"]) >= {"prepare", "train", "extract"}
    assert len(results["dropped"]) == 9 and not any(results["dropped"].values())
    assert (model(finished[1]) / "report.html").read_text().count("EER") > 2


def test_a_second_start_finds_everything_fresh_and_is_quick(finished: tuple[Path, Path]) -> None:
    corpus, work = finished
    before = products(work)
    began = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = run_sh(*arguments(corpus, work))
    took = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = took.ru_utime + took.ru_stime - began.ru_utime - began.ru_stime
    assert cpu < 6  # 3 s where nothing else runs; the clock would tell of other work
    assert done.stdout.count(": fresh") == 10
    assert differing(before, products(work)) == []


def test_four_jobs_give_the_same_bytes_as_one(finished: tuple[Path, Path]) -> None:
    corpus, work = finished
    other = work.parent / "four"
    run_sh(*arguments(corpus, other, "--nj", "4"))
    first, second = products(work), products(other)
    assert len(first) > 60
    assert differing(first, second) == []


def test_status_and_dry_run_say_what_is_stale_and_why(finished: tuple[Path, Path]) -> None:
    corpus, work = finished
    status = run_sh(*arguments(corpus, work, "--status", vad__mode="1")).stdout
    assert re.search(r"vad +train +to do: mode: 2 -> 1", status)
    assert re.search(r"audio +train +done", status)
    dry = run_sh(*arguments(corpus, work, "--dry-run", vad__mode="1")).stdout
    assert re.search(r"audio .*skip: fresh", dry) and re.search(r"vad .*run: train mode: 2 -> 1", dry)
    assert re.search(r"train .*run: an earlier stage will", dry)
    # What stage features is said to need is within a fifth of what it took.
    said = float(re.search(r"features +([\d.]+) MB", dry).group(1)) * 1e6
    took = sum(path.stat().st_size for path in (work / "data").rglob("feats.*.ark"))
    assert abs(said - took) < 0.2 * took


def test_starting_at_a_stage_needs_no_stamp_before_it(finished: tuple[Path, Path]) -> None:
    corpus, work = finished
    for stamp in [*work.glob("data/.prepare.done.json"), *work.glob("data/*/audio/*/.audio.done.json")]:
        stamp.rename(stamp.with_suffix(".away"))
    done = run_sh(*arguments(corpus, work, "--stage", "backend"))
    assert "prepare" not in done.stdout and "score:" in done.stdout
    for away in work.rglob("*.away"):
        away.rename(away.with_suffix(".json"))


def test_a_locked_work_folder_is_refused_with_its_holder(finished: tuple[Path, Path]) -> None:
    import fcntl
    import os
    import platform

    corpus, work = finished
    with open(work / ".lock", "a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        holder = (work / ".lock.holder").read_text()
        (work / ".lock.holder").write_text(f"{platform.node()} {os.getpid()}\n")
        done = run_sh(*arguments(corpus, work, "--force", "--stage", "score"), check=False)
        (work / ".lock.holder").write_text(holder)
    assert done.returncode == 1 and f"is in use by process {os.getpid()}" in done.stderr


def test_features_of_another_kind_are_refused_at_extraction(finished: tuple[Path, Path]) -> None:
    corpus, work = finished
    contract = next((work / "data" / "eval" / "feats").rglob("contract.json"))
    text = contract.read_text()
    contract.write_text(text.replace('"povey"', '"hamming"'))
    done = run_sh(*arguments(corpus, work, "--stage", "extract", "--stop-stage", "extract"), check=False)
    contract.write_text(text)
    assert done.returncode != 0
    assert "window_type = povey, these features have hamming" in done.stderr + done.stdout


def test_another_cmvn_than_the_features_were_made_for_is_refused(finished: tuple[Path, Path]) -> None:
    corpus, work = finished
    words = arguments(corpus, work, "--stage", "extract", "--stop-stage", "extract", features__cmvn="none")
    done = run_sh(*words, check=False)
    assert done.returncode != 0 and "features.cmvn = none" in done.stderr


def test_a_model_takes_the_place_of_training_or_begins_it(finished: tuple[Path, Path]) -> None:
    corpus, work = finished
    folder, from_train = model(work), ("--stage", "train")
    taken = dict(train__model=str(folder / "model"))
    run_sh(*arguments(corpus, work, *from_train, "--tag", "taken", **taken))
    results = [json.loads((path / "results.json").read_text()) for path in (folder, work / "exp" / "taken")]
    assert results[0]["trials"] == results[1]["trials"]
    assert not (work / "exp" / "taken" / "curves.jsonl").exists()
    # At a rate of nothing it stays what it began with; only batch norm's means go on.
    still = dict(train__lr="1e-12", train__final_lr="1e-12", train__epochs="1", train__average="1")
    still |= dict(train__margin_start_epoch="0", train__margin_end_epoch="0", train__warmup_epochs="0")
    words = ["--stop-stage", "train", "--tag", "tuned"]
    run_sh(*arguments(corpus, work, *from_train, *words, train__init=str(folder / "model"), **still))
    before, after = (load_file(path / "model" / "model.safetensors") for path in (folder, work / "exp/tuned"))
    moved = {name for name in before if not np.allclose(before[name], after[name], rtol=1e-6, atol=1e-8)}
    assert moved and all(".running_" in name or ".num_batches_" in name for name in moved)


def test_two_processes_under_torchrun_train_on_the_same_chunks(finished: tuple[Path, Path]) -> None:
    corpus, work = finished
    words = ["--stage", "train", "--stop-stage", "train", "--ngpu", "2", "--tag", "two"]
    done = run_sh(*arguments(corpus, work, *words, train__epochs="1", train__average="1"))
    assert (work / "exp" / "two" / "model" / "model.safetensors").is_file(), done.stderr
    (line,) = (work / "exp" / "two" / "curves.jsonl").read_text().splitlines()
    alone = (model(work) / "curves.jsonl").read_text().splitlines()[0]
    assert json.loads(line)["chunks"] == json.loads(alone)["chunks"]
    log = (work / "exp" / "two" / "log" / "train.log").read_text()
    assert "torchrun" in log and "epoch 1/1" in log


def test_help_lists_the_stages() -> None:
    text = run_sh("--help").stdout
    assert "0  prepare" in text and "9  score" in text and "--stop-stage" in text


def test_an_unknown_option_stops_before_anything(tmp_path: Path) -> None:
    done = run_sh("--corpuss", "x", "--work", str(tmp_path / "w"), check=False)
    assert done.returncode == 1 and "did you mean --corpus?" in done.stderr and not (tmp_path / "w").exists()

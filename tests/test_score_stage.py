"""Stage 9 on vectors that were not made by a network: scores, figures, freshness, the report's inputs."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from pysteps.backend import Backend, cosine_scores, stage
from pysteps.backend.vectors import read_vectors
from pysteps.formats import tables
from pysteps.formats.run import Run
from pysteps.formats.stamps import Unit
from pysteps.metrics import cllr, eer
from pysteps.score import read_scores, read_trials
from pysteps.score import stage as score
from pysteps.score.enrol import Enrolment
from tests.literal import check_differences
from tests.vector_run import RANDOM, learn, small_run, staged, with_backends, with_model

pytestmark = pytest.mark.usefixtures("undrawn")


@pytest.fixture
def run(tmp_path: Path) -> Run:
    return small_run(tmp_path)


def test_scores_are_judged_as_they_are_and_ratios_calibrated(run: Run) -> None:
    run = with_backends(run, mine="center | cosine", normed="center | plda | as-norm 10")
    for unit in stage.units(run):
        stage.do(run, unit)
        unit.done()
    (unit, report) = score.units(run)
    score.do(run, unit)
    figures = json.loads((unit.folder / "result.json").read_text())
    assert set(figures) == {"mine", "normed", "baseline"} and report.name == "report"
    target = read_trials(unit.inputs[0]).is_target
    for back in ("mine", "normed"):
        assert figures[back]["calibrated"] and 0 < figures[back]["cllr"] < 1
        assert "eer_difference" in figures[back]["against_baseline"]
        assert "cllr_difference" in figures[back]["against_baseline"]
        raw, llr = (
            np.array([float(line.split()[2]) for line in (unit.folder / name).read_text().splitlines()])
            for name in (back, f"{back}.calibrated")
        )
        learned = Backend.load(run.exp / "backend" / back).calibration
        np.testing.assert_allclose(llr, learned.offset + learned.weights[back] * raw, rtol=1e-5, atol=1e-6)
        # The threshold is of the scores, not of the ratios.
        assert figures[back]["threshold"] == pytest.approx(eer(raw[target], raw[~target])[1], abs=1e-5)
        assert figures[back]["cllr"] == pytest.approx(cllr(llr[target], llr[~target]), abs=1e-5)


def test_any_two_back_ends_have_a_paired_difference(run: Run) -> None:
    run = with_backends(run, mine="center | cosine", other="center | plda", third="cosine")
    for unit in stage.units(run):
        stage.do(run, unit)
        unit.done()
    (unit, _) = score.units(run)
    score.do(run, unit)
    figures = json.loads((unit.folder / "result.json").read_text())
    assert [list(figures[back].get("against", [])) for back in ("mine", "other", "third")] == [
        [],
        ["mine"],
        ["mine", "other"],
    ]
    pair = figures["third"]["against"]["other"]
    trials = read_trials(unit.inputs[0])
    scores = [read_scores(unit.folder / back, trials) for back in ("third", "other")]
    speakers = run.set("eval").utt2spk()
    own = {key: value for key, value in pair.items() if "cllr" not in key} | {"cllr_difference": None}
    check_differences(own, trials, *scores, speakers, 20)
    # minDCF and EER of a rising calibration are those of the scores: Cllr alone is of the ratios.
    ratios = [read_scores(unit.folder / f"{back}.calibrated", trials) for back in ("third", "other")]
    check_differences(pair, trials, *ratios, speakers, 20, ratios=True)


def test_models_do_not_count_in_the_mean_of_a_set(run: Run) -> None:
    run = with_backends(run, mine="center set | cosine")
    tables.write_table(run.data / "eval" / "enrol", {"M": "eval00-0 eval00-1"})
    (run.data / "eval" / "trials").write_text("M eval00-2 target\n")
    learn(run)
    enrolment = Enrolment(run, run.set("eval"), "mine")
    _, vectors = read_vectors(run.exp / "xvectors" / "eval" / "xvector.scp")
    moved = vectors.astype(np.float64) - vectors.mean(axis=0, dtype=np.float64)
    expected = cosine_scores(moved[:2].mean(axis=0)[None], moved[2:3], np.array([[0, 0]]))
    got = enrolment.score(read_trials(run.data / "eval" / "trials"))
    np.testing.assert_allclose(got, expected, atol=1e-12)


def test_quality_measures_are_of_both_sides(run: Run) -> None:
    # Enrolled models: seconds are the sum of their utterances'.
    run.options["backend"]["quality"] = ["duration", "magnitude", "cohort"]
    run = with_backends(run, mine="center | cosine | s-norm")
    seconds = {}
    for name in ("dev", "eval"):
        utts = run.set(name).utt2spk()
        seconds.update({utt: RANDOM.uniform(1, 9) for utt in utts})
        (run.data / name / "vad" / "x").mkdir(parents=True)
        tables.write_table(run.data / name / "vad" / "x" / "utt2voiced", {u: str(seconds[u]) for u in utts})
    tables.write_table(run.data / "eval" / "enrol", {"M": "eval00-0 eval00-1"})
    with open(run.data / "eval" / "trials", "w") as handle:
        handle.write("M eval00-2 target\nM eval01-2 nontarget\n")
    units = stage.units(run)
    assert run.data / "dev" / "vad" / "x" / "utt2voiced" in units[0].inputs
    assert units[1].options["quality"] == ["duration", "magnitude"]
    learned = learn(run).calibration
    ends = [f"{kind}.{end}" for kind in ("duration", "magnitude", "cohort") for end in ("min", "max")]
    assert sorted(learned.quality) == sorted(ends)
    enrolment = Enrolment(run, run.set("eval"), "mine")
    trials = read_trials(run.data / "eval" / "trials")
    raw = enrolment.score(trials)
    keys, vectors = read_vectors(run.exp / "xvectors" / "eval" / "xvector.scp")
    at = dict(zip(keys, vectors.astype(np.float64), strict=True))
    backend = Backend.load(run.exp / "backend" / "mine")
    expected = []
    for test, score_of in zip(("eval00-2", "eval01-2"), raw, strict=True):
        model = (at["eval00-0"] + at["eval00-1"]) / 2
        sides = []
        for vector, utts in ((model, ["eval00-0", "eval00-1"]), (at[test], [test])):
            moved = backend.transform(vector[None])
            cohort = [[0, n] for n in range(len(backend.cohort.keys))]
            mean = cosine_scores(moved, backend.cohort.vectors, np.array(cohort)).mean()
            length, spoken = np.log(np.linalg.norm(vector)), np.log(sum(seconds[u] for u in utts))
            sides.append({"duration": spoken, "magnitude": length, "cohort": mean})
        ratio = learned.offset + learned.weights["mine"] * score_of
        for kind in ("duration", "magnitude", "cohort"):
            both = sorted(side[kind] for side in sides)
            ratio += learned.quality[f"{kind}.min"] * both[0] + learned.quality[f"{kind}.max"] * both[1]
        expected.append(ratio)
    np.testing.assert_allclose(enrolment.calibrate(trials, raw), expected, rtol=1e-4, atol=1e-4)


def test_what_changed_and_what_is_missing_is_made_again(run: Run) -> None:
    genders = {f"eval{s:02d}": "f" if s < 3 else "m" for s in range(8)}
    tables.write_table(run.data / "eval" / "spk2gender", genders)
    run = with_backends(with_model(run), mine="center | plda | s-norm")
    assert [unit.name for unit in staged(run)] == ["mine", "baseline", "eval", "report"]
    assert staged(run) == []
    tables.write_table(run.data / "eval" / "spk2gender", genders | {"eval02": "m"})
    assert [unit.name for unit in staged(run)] == ["eval", "report"]
    lost = [run.exp / "scores" / "eval" / "mine.calibrated", run.exp / "scores" / "eval" / "baseline"]
    for path in lost:
        path.unlink()
        assert [unit.name for unit in staged(run)] == ["eval"] and path.is_file()
    folder = run.exp / "backend" / "mine"
    for name in ("plda", "calibration.json", "cohort.ark", "cohort2num_utts", "mean.vec"):
        (folder / name).unlink()
        assert [unit.name for unit in staged(run)] == ["mine"] and (folder / name).is_file()


def test_leftovers_of_other_back_ends_are_removed(run: Run) -> None:
    staged(with_backends(with_model(run), mine="cosine", old="center | plda"))
    folder = run.exp / "scores" / "eval"
    (folder / "note.txt").write_text("somebody's own")
    assert (folder / "old.calibrated").is_file()
    run = with_backends(run, mine="cosine")
    run.options["backend"]["calibration"] = "none"
    staged(run)
    assert {path.name for path in folder.iterdir()} - {".score.done.json"} == {
        *("mine", "baseline", "note.txt"),
        *("result.json", "det.json", "pictures.json", "tsne.json", "confusions.json"),
    }


def test_a_development_set_that_teaches_no_calibration_is_done_once(run: Run) -> None:
    tables.write_table(run.data / "dev" / "utt2spk", {utt: utt for utt in run.set("dev").utt2spk()})
    staged(with_model(run))
    assert staged(run) == []


@pytest.mark.parametrize("what", ["caution", "curves", "dropped"])
def test_the_report_is_made_again_for_all_that_it_shows(run: Run, what: str) -> None:
    (run.exp / "curves.jsonl").write_text('{"epoch": 1, "loss": 2.0}\n')
    staged(with_model(run))
    if what == "caution":
        run = replace(run, caution="One session a speaker.")
    elif what == "curves":
        (run.exp / "curves.jsonl").write_text('{"epoch": 1, "loss": 1.0}\n')
    else:
        tables.write_table(run.exp / "xvectors" / "train" / "dropped", {"train00-0": "too short"})
    assert [unit.name for unit in staged(run)] == ["report"]


def test_seconds_that_cannot_be_read_are_left_out(run: Run, capsys) -> None:
    (run.exp / "seconds").mkdir()
    for name, text in (("audio", "1.5\n"), ("train", "12.3.4\n"), ("vad", "nan"), ("egs", "")):
        (run.exp / "seconds" / name).write_text(text)
    staged(with_model(run))
    assert json.loads((run.exp / "results.json").read_text())["seconds"] == {"audio": 1.5}
    said = capsys.readouterr().err
    assert all(f"seconds/{name} holds no seconds" in said for name in ("train", "vad", "egs"))


@pytest.mark.parametrize(("speech", "place"), [("vad", "talks"), ("reference", "talks.reference")])
def test_the_report_tells_of_diarization_until_it_is_out_of_date(run: Run, speech: str, place: str) -> None:
    names, sets = {**run.names, "diarize": "ahc"}, ["talks"]
    run = replace(with_model(run), names=names, diarize_sets=sets)
    run.options["diarize"] = {"speech": speech}
    staged(run)
    assert not score.refresh_report(run)
    method, windows = run.exp / "diarize" / "ahc", run.exp / "diarize" / place
    heard = run.exp / "model" / "model.safetensors"
    heard.write_bytes(b"weights")
    rates = {"all": {"der": 12.34, "der_ci": [10.0, 15.0], "jer": 20.5}, "collar": 0.25, "skip_overlap": True}
    found = {"method": "ahc", "threshold": {}, "sets": {"talks": {"recordings": 3, "rates": rates}}}
    for folder, name, inputs in (
        (windows, "diarize", (heard,)),
        (method / "talks", "turns", ()),
        (method, "diarize", ()),
    ):
        Unit("one", name, folder, 1, {}, inputs).done()
    (method / "results.json").write_text(json.dumps(found))
    assert score.refresh_report(run) and not score.refresh_report(run)
    page = (run.exp / "report.html").read_text()
    assert "12.34" in page and "10.00 to 15.00" in page and 'href="#diarization"' in page
    assert staged(run) == []
    heard.unlink()  # given back: nothing changed
    assert staged(run) == []
    heard.write_bytes(b"other weights")
    assert [unit.name for unit in staged(run)] == ["report"]
    assert "12.34" not in (run.exp / "report.html").read_text()

"""Stage 8 and 9 on vectors that were not made by a network: sets, development trials, calibration."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from pysteps.backend import Backend, cosine_scores, stage
from pysteps.backend.calibration import fit_logistic
from pysteps.backend.develop import _pairs
from pysteps.backend.vectors import read_vectors
from pysteps.formats import arks, tables
from pysteps.formats.errors import InputError
from pysteps.formats.run import Run
from pysteps.metrics import cllr, eer
from pysteps.recipe.options import parse
from pysteps.recipe.resolve import resolve
from pysteps.score import compare, read_scores, read_trials
from pysteps.score import stage as score
from pysteps.score.enrol import Enrolment

RANDOM = np.random.default_rng(3)


def _set(run: Run, name: str, speakers: int, utterances: int = 6, shift: float = 0.0) -> None:
    folder, vectors = run.data / name, run.exp / "xvectors" / name
    vectors.mkdir(parents=True)
    names = [f"{name}{s:02d}" for s in range(speakers)]
    utt2spk = {f"{one}-{u}": one for one in names for u in range(utterances)}
    voice = {one: RANDOM.normal(size=5) * 2 for one in names}
    tables.write_table(folder / "utt2spk", utt2spk)
    for table in ("xvector", "baseline"):
        with arks.writing(vectors / f"{table}.ark") as writer:
            for utt, one in utt2spk.items():
                writer.array(utt, (voice[one] + RANDOM.normal(size=5) + shift).astype(np.float32))
        tables.write_table(vectors / f"{table}.scp", writer.scp)


@pytest.fixture
def run(tmp_path: Path) -> Run:
    options = {
        "backend": {
            "backends": {"mine": "center | plda"},
            "calibration": "logistic",
            "quality": [],
            "seed": 0,
        },
        "score": {"replicates": 20, "seed": 0, "max_dropped": 0.5},
    }
    names = {name: "x" for name in ("audio", "vad", "features")}
    found = Run("r", "c", "p", str(tmp_path), "tag", "egs", "train", "dev", ["eval"], names, options)
    _set(found, "train", 20)
    _set(found, "dev", 8)
    _set(found, "eval", 8)
    utts = list(found.set("eval").utt2spk().items())
    with open(found.data / "eval" / "trials", "w") as handle:
        for n, (one, a) in enumerate(utts):
            for two, b in utts[:n]:
                handle.write(f"{one} {two} {'target' if a == b else 'nontarget'}\n")
    (found.exp / "model").mkdir()
    (found.exp / "model" / "model.json").write_text("{}")
    return found


def _with(run: Run, **backends: str) -> Run:
    options = {**run.options, "backend": {**run.options["backend"], "backends": backends}}
    return replace(run, options=options)


def _do(run: Run, name: str = "mine") -> Backend:
    (unit,) = (unit for unit in stage.units(run) if unit.name == name)
    stage.do(run, unit)
    return Backend.load(unit.folder)


def test_every_back_end_of_the_table_is_a_unit_and_the_baseline_too(run: Run) -> None:
    run = _with(run, mine="cosine", other="center | plda")
    assert [unit.name for unit in stage.units(run)] == ["mine", "other", "baseline"]
    _do(run, "baseline")
    assert {path.name for path in (run.exp / "backend" / "baseline").iterdir()} == {
        "chain.json",
        "mean.vec",
        "calibration.json",
    }


def test_calibration_is_learned_on_all_pairs_of_the_development_set(run: Run) -> None:
    learned = _do(run).calibration
    assert (learned.targets, learned.nontargets) == (8 * 15, 48 * 47 // 2 - 8 * 15)
    assert list(learned.weights) == ["mine"] and learned.weights["mine"] > 0


def test_a_development_list_and_its_models_go_before_pairs(run: Run) -> None:
    folder = run.data / "dev"
    tables.write_table(folder / "enrol", {"M": "dev00-0 dev00-1 dev00-9"})
    tables.write_table(folder / "utt2spk", {**run.set("dev").utt2spk(), "dev00-9": "dev00"})
    dropped = run.exp / "xvectors" / "dev" / "dropped"
    dropped.write_text("dev00-9 short\n")
    lines = [f"M dev{s:02d}-{u} {'target' if s == 0 else 'nontarget'}" for s in range(8) for u in range(2, 6)]
    (folder / "trials").write_text("\n".join([*lines, "M dev00-9 target"]))
    backend = _do(run)
    learned = backend.calibration
    assert (learned.targets, learned.nontargets) == (4, 28)
    # The model is the mean of its two utterances that have vectors, and scored as such.
    keys, vectors = read_vectors(run.exp / "xvectors" / "dev" / "xvector.scp")
    wanted = [keys.index(line.split()[1]) for line in lines]
    model, pairs = vectors[:2].mean(axis=0, dtype=np.float64), [[0, row] for row in wanted]
    scores = backend.score(model[None], vectors, np.array(pairs), 2)
    again = fit_logistic(scores, ["nontarget" not in line for line in lines], systems=["mine"])
    assert learned.offset == pytest.approx(again.offset) and learned.weights == pytest.approx(again.weights)
    (unit, _) = stage.units(run)
    assert folder / "trials" in unit.inputs and folder / "enrol" in unit.inputs


def test_a_development_set_without_pairs_of_one_speaker_gives_no_calibration(run: Run, capsys) -> None:
    tables.write_table(run.data / "dev" / "utt2spk", {utt: utt for utt in run.set("dev").utt2spk()})
    assert _do(run).calibration is None
    assert "no calibration, dev has no pairs of one speaker" in capsys.readouterr().err


def test_without_calibration_the_development_set_is_not_read(run: Run) -> None:
    run.options["backend"]["calibration"] = "none"
    (unit, _) = stage.units(run)
    assert not [path for path in unit.inputs if "dev" in path.parts]
    assert _do(run).calibration is None


def test_adaptation_reads_its_set(run: Run) -> None:
    _set(run, "new", 9, shift=7.0)
    run = _with(run, mine="center | plda adapt=new")
    (unit, _) = stage.units(run)
    assert run.exp / "xvectors" / "new" / "xvector.scp" in unit.inputs
    backend = _do(run)
    assert abs(backend.plda.mean - 7).max() < 3 and abs(backend.chain.steps[0].array).max() < 3


def test_a_cohort_of_an_evaluated_speaker_is_refused(run: Run) -> None:
    run = _with(run, mine="cosine | s-norm")
    (unit, _) = stage.units(run)
    assert run.data / "eval" / "utt2spk" in unit.inputs
    assert len(_do(run).cohort.keys) == 20
    tables.write_table(run.data / "eval" / "utt2spk", {"u": "train03"})
    with pytest.raises(InputError, match="evaluated in eval, the first is train03"):
        _do(run)


def test_scores_are_judged_as_they_are_and_ratios_calibrated(run: Run) -> None:
    run = _with(run, mine="center | cosine", normed="center | plda | as-norm 10")
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
    run = _with(run, mine="center | cosine", other="center | plda", third="cosine")
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
    alone = compare(trials, *scores, (), speakers, 0, replicates=20)
    assert pair["eer_difference_ci"] == pytest.approx(alone["eer_difference_ci"], abs=1e-6)
    for cost, ends in alone["min_dcf_difference_ci"].items():
        assert pair["min_dcf_difference_ci"][cost] == pytest.approx(ends, abs=1e-6)
    ratios = [read_scores(unit.folder / f"{back}.calibrated", trials) for back in ("third", "other")]
    alone = compare(trials, *ratios, (), speakers, 0, replicates=20, likelihood_ratios=True)
    assert pair["cllr_difference_ci"] == pytest.approx(alone["cllr_difference_ci"], abs=1e-5)


def test_models_do_not_count_in_the_mean_of_a_set(run: Run) -> None:
    run = _with(run, mine="center set | cosine")
    tables.write_table(run.data / "eval" / "enrol", {"M": "eval00-0 eval00-1"})
    (run.data / "eval" / "trials").write_text("M eval00-2 target\n")
    _do(run)
    enrolment = Enrolment(run, run.set("eval"), "mine")
    _, vectors = read_vectors(run.exp / "xvectors" / "eval" / "xvector.scp")
    moved = vectors.astype(np.float64) - vectors.mean(axis=0, dtype=np.float64)
    expected = cosine_scores(moved[:2].mean(axis=0)[None], moved[2:3], np.array([[0, 0]]))
    got = enrolment.score(read_trials(run.data / "eval" / "trials"))
    np.testing.assert_allclose(got, expected, atol=1e-12)


def test_quality_measures_are_of_both_sides(run: Run) -> None:
    # Enrolled models: seconds are the sum of their utterances'.
    run.options["backend"]["quality"] = ["duration", "magnitude", "cohort"]
    run = _with(run, mine="center | cosine | s-norm")
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
    learned = _do(run).calibration
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


def test_pairs_of_a_large_set_are_drawn(monkeypatch) -> None:
    monkeypatch.setattr("pysteps.backend.develop.MOST", 50)
    speakers = [f"s{number % 5}" for number in range(60)]
    pairs, is_target = _pairs(speakers, 0)
    assert is_target.sum() == 50 and 20 < (~is_target).sum() <= 50
    assert [speakers[a] == speakers[b] for a, b in pairs] == is_target.tolist()
    assert (pairs[:, 0] < pairs[:, 1]).all() and len(np.unique(pairs, axis=0)) == len(pairs)


def _recipe(root: Path, text: str) -> Path:
    for folder, name in (("audio", "16k"), ("augment", "musan"), ("models", "ecapa512"), ("train", "aam")):
        (root / "conf" / folder).mkdir(parents=True)
        (root / "conf" / folder / f"{name}.yaml").write_text("")
    for folder, name in (("vad", "webrtc"), ("features", "fbank80")):
        (root / "conf" / folder).mkdir(parents=True)
        (root / "conf" / folder / f"{name}.yaml").write_text("")
    (root / "egs" / "tiny").mkdir(parents=True)
    (root / "egs" / "tiny" / "recipe.sh").write_text(text)
    (root / "local").mkdir()
    (root / "local" / "tiny.py").write_text("")
    return root


def test_adaptation_sets_are_sets_of_the_run(tmp_path: Path) -> None:
    root = _recipe(tmp_path, 'adapt_sets="new other"\n')
    words = ["--recipe", "tiny", "--backend.backends.mine", "center | plda adapt=new"]
    found = resolve(root, parse(words))
    assert found.base_sets == ["train", "dev", "eval", "new", "other"]
    assert set(found.options["backend"]["backends"]) == {"cosine", "plda", "mine"}
    found.save(root / "run.json")
    assert Run.load(root / "run.json").adapt_sets == ["new", "other"]


@pytest.mark.parametrize(
    ("text", "line", "said"),
    [
        ("", "plda adapt=new", "adapts to new: possible are dev .*adapt_sets"),
        ("", "plda adapt=eval", "adapts to eval: possible are dev .*never sees an evaluation set"),
        ("adapt_sets=dev\n", "plda", "the set dev is named twice"),
        ("", "plda adapt=", "unknown option|no such"),
        ("", "center | plda | as-norm", "as-norm: no number of cohort scores"),
    ],
)
def test_a_line_is_checked_before_anything_runs(tmp_path: Path, text: str, line: str, said: str) -> None:
    root = _recipe(tmp_path, text)
    with pytest.raises(InputError, match=said):
        resolve(root, parse(["--recipe", "tiny", "--backend.backends.mine", line]))

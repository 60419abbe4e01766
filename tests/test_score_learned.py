"""calibrate and fuse: score files made log likelihood ratios, learned on a development list or loaded."""

from __future__ import annotations

import json

import numpy as np
import pytest

from pysteps.backend.calibration import fit_logistic, fit_pav
from pysteps.formats.errors import InputError
from pysteps.score import commands, read_scores, read_trials

KIND = {True: "target", False: "nontarget"}


@pytest.fixture
def files(tmp_path, monkeypatch):
    """In the working folder dev.trials, dev.a, dev.b, eval.a, eval.b; the b files stand in another order."""
    monkeypatch.chdir(tmp_path)
    draw = np.random.default_rng(0)
    for place, name in enumerate(("dev", "eval")):
        ids = [f"s{10 * place + n % 6}-{n}" for n in range(18)]
        pairs = [(a, b) for a in ids for b in ids if a < b]
        same = np.array([a[: a.index("-")] == b[: b.index("-")] for a, b in pairs])
        lines = [f"{a} {b} {KIND[bool(one)]}\n" for (a, b), one in zip(pairs, same, strict=True)]
        (tmp_path / f"{name}.trials").write_text("".join(lines))
        for system, order in (("a", 1), ("b", -1)):
            values = np.round(draw.normal(size=len(pairs)) + 2 * same, 6)
            rows = [f"{a} {b} {value}\n" for (a, b), value in zip(pairs, values, strict=True)]
            (tmp_path / f"{name}.{system}").write_text("".join(rows[::order]))
    return tmp_path


def _do(text: str) -> None:
    commands.main(text.split())


def _known(name, *systems):
    trials = read_trials(f"{name}.trials")
    return trials, [read_scores(f"{name}.{system}", trials) for system in systems]


def test_calibrated_scores_are_those_of_the_fit_in_the_files_order(files, capsys):
    _do("calibrate --trials dev.trials --scores dev.b --apply eval.b --out eval.llr --p-target 0.1")
    dev, (learned,) = _known("dev", "b")
    trials, (scores,) = _known("eval", "b")
    expected = fit_logistic(learned, dev.is_target, p_target=0.1).apply(scores)
    assert read_scores("eval.llr", trials) == pytest.approx(expected, rel=1e-7)
    orders = [[line.split()[:2] for line in open(name)] for name in ("eval.llr", "eval.b")]
    assert orders[0] == orders[1]


def test_pav_is_the_library_s(files, capsys):
    _do("calibrate --trials dev.trials --scores dev.a --kind pav --apply eval.a --out eval.llr")
    dev, (learned,) = _known("dev", "a")
    trials, (scores,) = _known("eval", "a")
    expected = fit_pav(learned, dev.is_target).apply(scores)
    assert read_scores("eval.llr", trials) == pytest.approx(expected, rel=1e-7)


@pytest.mark.parametrize("kind", ["logistic", "pav"])
def test_a_stored_calibration_gives_the_same_bytes_without_a_list(files, kind, capsys):
    learn = f"calibrate --kind {kind} --trials dev.trials --scores dev.a"
    _do(f"{learn} --apply eval.a --out one --save stored.json")
    _do("calibrate --load stored.json --apply eval.a --out two")
    assert (files / "one").read_bytes() == (files / "two").read_bytes()


def test_fusion_matches_rows_by_ids_and_stores_a_weight_a_system(files, capsys):
    learn = "fuse --trials dev.trials --scores dev.a dev.b --names first second"
    _do(f"{learn} --apply eval.a eval.b --out fused --save fused.json")
    dev, learned = _known("dev", "a", "b")
    trials, scores = _known("eval", "a", "b")
    model = fit_logistic(np.stack(learned, axis=1), dev.is_target, systems=["first", "second"])
    assert json.loads((files / "fused.json").read_text())["weights"] == pytest.approx(model.weights)
    expected = model.apply(np.stack(scores, axis=1))
    assert read_scores("fused", trials) == pytest.approx(expected, rel=1e-6)
    _do("fuse --load fused.json --apply eval.a eval.b --out again")
    assert (files / "again").read_bytes() == (files / "fused").read_bytes()


def test_quality_measures_come_from_tables_of_ids(files, capsys):
    draw, seconds = np.random.default_rng(1), {}
    for name in ("dev", "eval"):
        trials = read_trials(f"{name}.trials")
        ids = sorted({*trials.enrol_ids, *trials.test_ids})
        seconds |= {one: float(value) for one, value in zip(ids, draw.integers(1, 9, len(ids)), strict=True)}
        (files / f"{name}.dur").write_text("".join(f"{one} {seconds[one]}\n" for one in ids))
    both = "--quality duration=dev.dur --quality duration=eval.dur"
    _do(f"calibrate --trials dev.trials --scores dev.a {both} --apply eval.a --out llr --save q.json")
    dev, (learned,) = _known("dev", "a")
    trials, (scores,) = _known("eval", "a")

    def measures(of):
        logs = np.log([[seconds[one] for one in of.pair(n)] for n in range(len(of))])
        return {"duration.min": logs.min(axis=1), "duration.max": logs.max(axis=1)}

    model = fit_logistic(learned, dev.is_target, quality=measures(dev))
    assert read_scores("llr", trials) == pytest.approx(model.apply(scores, measures(trials)), rel=1e-6)
    with pytest.raises(InputError, match="needs duration"):
        _do("calibrate --load q.json --apply eval.a --out llr")
    with pytest.raises(InputError, match="17 ids of the trials have no duration, the first: s10-0"):
        _do("calibrate --load q.json --apply eval.a --out llr --quality duration=dev.dur")


def test_dropped_trials_are_left_out_of_learning_and_stay(files, capsys):
    rows = (files / "dev.a").read_text().splitlines(keepends=True)
    trials, (scores,) = _known("dev", "a")
    lost = [0, 5]
    for row in lost:
        words = rows[row].split()
        rows[row] = f"{words[0]} {words[1]} {'-inf' if trials.is_target[row] else 'inf'}\n"
    (files / "gone").write_text("".join(rows))
    _do("calibrate --trials dev.trials --scores gone --apply gone --out llr --save c.json")
    kept = np.setdiff1d(np.arange(len(trials)), lost)
    model = fit_logistic(scores[kept], trials.is_target[kept])
    stored = json.loads((files / "c.json").read_text())
    assert stored["offset"] == pytest.approx(model.offset)
    assert stored["notes"][-1].startswith("2 trials of dropped")
    assert np.flatnonzero(np.isinf(read_scores("llr", trials))).tolist() == lost
    assert "learned on these very scores" in capsys.readouterr().err


def test_an_utterance_without_scores_needs_no_quality(files, capsys):
    trials, _ = _known("dev", "a")
    gone = trials.test_ids[-1]
    rows = []
    for number, row in enumerate((files / "dev.a").read_text().splitlines(keepends=True)):
        one, two, _ = row.split()
        wrong = "-inf" if trials.is_target[number] else "inf"
        rows.append(f"{one} {two} {wrong}\n" if gone in (one, two) else row)
    (files / "gone").write_text("".join(rows))
    ids = sorted({*trials.enrol_ids, *trials.test_ids} - {gone})
    (files / "dur").write_text("".join(f"{one} {n + 1}\n" for n, one in enumerate(ids)))
    _do("calibrate --trials dev.trials --scores gone --quality duration=dur --apply gone --out llr")
    assert np.isinf(read_scores("llr", trials)).tolist() == trials.touches({gone}).tolist()


def test_numbers_as_ids_need_the_list(files, capsys):
    (files / "numbers").write_text("1 2 0.5\n1 3 -0.5\n")
    (files / "list").write_text("1 2 target\n1 3 nontarget\n")
    _do("calibrate --trials dev.trials --scores dev.a --save c.json")
    with pytest.raises(InputError, match="both ends of the line are numbers .*--apply-trials"):
        _do("calibrate --load c.json --apply numbers --out llr")
    _do("calibrate --load c.json --apply numbers --apply-trials list --out llr")
    assert len((files / "llr").read_text().splitlines()) == 2


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("calibrate --apply eval.a --out x", "nothing to learn from, or too much"),
        ("calibrate --trials dev.trials --apply eval.a --out x", "nothing to learn from, or too much"),
        ("calibrate --trials dev.trials --scores dev.a", "nothing to write"),
        ("calibrate --trials dev.trials --scores dev.a --apply eval.a", "--apply and --out"),
        ("calibrate --load c.json --kind pav --apply eval.a --out x", "--kind does nothing with --load"),
        (
            "calibrate --trials dev.trials --scores dev.a --save c --kind pav --p-target 0.1",
            "pav takes neither",
        ),
        ("calibrate --trials dev.trials --scores short --save c", "have no score"),
        ("calibrate --trials dev.trials --scores twice --save c", "a pair that has one already"),
        ("fuse --trials dev.trials --scores dev.a --save c", "a fusion needs two"),
        (
            "fuse --trials dev.trials --scores dev.a dev.b --apply eval.a --out x",
            "2 score files .* 1 to apply",
        ),
        ("fuse --trials dev.trials --scores dev.a dev.a --save c", "named twice"),
        ("fuse --trials dev.trials --scores dev.a short --save c", "have no score"),
        (
            "calibrate --trials dev.trials --scores dev.a --quality pitch=x --save c",
            "duration, magnitude, cohort",
        ),
        ("calibrate --trials dev.trials --scores dev.a --quality duration=zero --save c", "a number above 0"),
        ("calibrate --trials dev.trials --scores dev.a --apply eval.a --out x --save x", "the file of --out"),
    ],
)
def test_what_cannot_be_meant_is_refused_and_nothing_written(files, words, said):
    rows = (files / "dev.a").read_text().splitlines(keepends=True)
    (files / "short").write_text("".join(rows[1:]))
    (files / "twice").write_text("".join([*rows, rows[0]]))
    (files / "zero").write_text("s0-0 0\n")
    with pytest.raises(InputError, match=said):
        _do(words)
    assert not (files / "x").exists() and not (files / "c").exists()


def test_a_stored_fusion_is_not_one_system_s_calibration(files, capsys):
    _do("fuse --trials dev.trials --scores dev.a dev.b --save f.json")
    with pytest.raises(InputError, match="of 2 systems .say fuse"):
        _do("calibrate --load f.json --apply eval.a --out x")
    with pytest.raises(InputError, match="1 systems' scores for a calibration of 2: dev.a, dev.b"):
        _do("fuse --load f.json --apply eval.a --out x")


def test_a_pair_that_comes_twice_in_what_is_applied_to_is_refused(files, capsys):
    rows = (files / "eval.a").read_text().splitlines(keepends=True)
    (files / "twice").write_text("".join([*rows, rows[3]]))
    pair = " ".join(rows[3].split()[:2])
    with pytest.raises(InputError, match=f"twice:{len(rows) + 1}: 1 scores are of a pair .*first: {pair}"):
        _do("calibrate --trials dev.trials --scores dev.a --apply twice --out llr")
    assert not (files / "llr").exists()


@pytest.mark.parametrize(
    ("words", "kept"),
    [
        ("calibrate --trials dev.trials --scores dev.a --apply eval.a --out dev.a", "dev.a"),
        ("calibrate --trials dev.trials --scores dev.a --apply eval.a --out ./eval.a", "eval.a"),
        ("calibrate --trials dev.trials --scores dev.a --save dev.trials", "dev.trials"),
        ("calibrate --trials dev.trials --scores dev.a --save dur --quality duration=dur", "dur"),
        ("fuse --trials dev.trials --scores dev.a dev.b --save dev.b", "dev.b"),
    ],
)
def test_what_is_read_is_not_written_over(files, words, kept):
    (files / "dur").write_text("s0-0 1\n")
    before = (files / kept).read_bytes()
    with pytest.raises(InputError, match=f"{kept}: .* would be written over"):
        _do(words)
    assert (files / kept).read_bytes() == before


@pytest.mark.parametrize("words", ["--load f.json", "LEARN", "LEARN --names first second"])
def test_files_of_the_systems_names_in_another_order_are_refused(files, words, capsys):
    for name in ("dev", "eval"):
        (files / name).mkdir()
        for system in "ab":
            (files / name / system).write_bytes((files / f"{name}.{system}").read_bytes())
    learn = "--trials dev.trials --scores dev/a dev/b"
    _do(f"fuse {learn} --save f.json")
    words = words.replace("LEARN", learn)
    _do(f"fuse {words} --apply eval/a eval/b --out right")
    with pytest.raises(InputError, match="b stands where the scores of a are read .*order: a b"):
        _do(f"fuse {words} --apply eval/b eval/a --out wrong")
    assert not (files / "wrong").exists()


def test_a_fusion_says_which_file_is_read_as_which_system_s(files, capsys):
    _do("fuse --trials dev.trials --scores dev.a dev.b --names one two --save f.json")
    capsys.readouterr()
    _do("fuse --load f.json --apply eval.a eval.b --out llr")
    assert "one <- eval.a\ntwo <- eval.b\n" in capsys.readouterr().err


def test_a_damaged_calibration_of_the_user_s_own_names_no_stage(files, capsys):
    for text in ("{", "{}"):
        (files / "c.json").write_text(text)
        with pytest.raises(InputError, match="learn it again with --save"):
            _do("calibrate --load c.json --apply eval.a --out llr")


def test_a_measure_of_an_unknown_kind_is_named(files, capsys):
    _do("calibrate --trials dev.trials --scores dev.a --save c.json")
    stored = json.loads((files / "c.json").read_text())
    (files / "c.json").write_text(json.dumps({**stored, "quality": {"pitch": 0.5}}))
    with pytest.raises(InputError, match="this calibration needs pitch"):
        _do("calibrate --load c.json --apply eval.a --out llr")

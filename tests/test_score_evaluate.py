"""One command judges any score file: formats, figures, intervals, conditions, thresholds."""

from __future__ import annotations

import gzip
import json
import subprocess
import sys

import numpy as np
import pytest

from pysteps.formats.errors import InputError
from pysteps.metrics import replicate
from pysteps.score import commands, read_scores, read_trials
from pysteps.score.conditions import condition_values
from pysteps.score.evaluate import cost_of, evaluate


def _run(capsys, *words: object) -> dict:
    commands.main([str(word) for word in words])
    return json.loads(capsys.readouterr().out)


def _write(path, text: str):
    path.write_text(text, "utf-8")
    return path


def test_ru2009_as_files_gives_the_published_costs(shared_data, tmp_path, capsys):
    with gzip.open(shared_data / "reference/scores/ru.2009.table.gz", "rt") as handle:
        head, *rows = (line.rstrip("\n").replace('"', "").split("\t") for line in handle)
    score, target = head.index("score"), head.index("target")
    kind = {"TRUE": "target", "FALSE": "nontarget"}
    trials = "".join(f"m{n % 7} t{n} {kind[row[target]]}\n" for n, row in enumerate(rows))
    scores = "".join(f"{row[score]} m{n % 7} t{n}\n" for n, row in enumerate(rows))
    words = ("evaluate", "--json", "--raw", "--cost", "0.01,10,1", "--cost", "0.5,10,1")
    files = ("--trials", _write(tmp_path / "t", trials), "--scores", _write(tmp_path / "s", scores))
    found = _run(capsys, *words, *files)
    published = {
        "min_dcf": (0.034593062385260914, 0.21843024685287174),
        "act_dcf": (0.035877871754524004, 0.23094942466561763),
    }
    for key, (first, second) in published.items():
        assert found[key]["0.01,10,1"] == pytest.approx(first, rel=2e-15)
        assert found[key]["0.5,10,1"] == pytest.approx(second, rel=2e-15)
    assert found["min_cllr"] < found["cllr"]


def test_voxsrc2021_as_files_gives_the_published_figures(shared_data, capsys):
    folder = shared_data / "reference/scores"
    files = ("--trials", folder / "voxsrc2021_trials.txt.gz", "--scores", folder / "voxsrc2021_scores.txt.gz")
    found = _run(capsys, "evaluate", *files, "--cost", "0.05", "--json")
    assert (f"{found['eer']:.3f}", f"{found['eer_hull']:.3f}") == ("5.177", "5.161")
    assert f"{found['min_dcf']['0.05']:.4f}" == "0.2928"
    assert found["cllr"] is None and found["act_dcf"] is None  # they look like cosines
    split = _run(capsys, "evaluate", *files, "--cost", "0.05", "--json", "--ties", "split")
    assert f"{split['min_dcf']['0.05']:.4f}" == "0.2919"


@pytest.fixture
def small(tmp_path):
    """40 utterances of 8 speakers, all pairs, scores of no kind: (trials file, scores file, utt2spk)."""
    draw = np.random.default_rng(0)
    ids = [f"s{n % 8}-{n}" for n in range(40)]
    pairs = [(a, b) for a in range(40) for b in range(a)]
    kind = [("nontarget", "target")[a % 8 == b % 8] for a, b in pairs]
    values = [draw.normal() + 3 * (word == "target") for word in kind]
    lines = [f"{ids[a]} {ids[b]}" for a, b in pairs]
    return (
        _write(tmp_path / "t", "".join(f"{p} {k}\n" for p, k in zip(lines, kind, strict=True))),
        _write(tmp_path / "s", "".join(f"{p} {v}\n" for p, v in zip(lines, values, strict=True))),
        _write(tmp_path / "u", "".join(f"{one} {one[:2]}\n" for one in sorted(ids))),
    )


def test_every_figure_has_its_interval_where_speakers_are_known(small, capsys):
    trials, scores, utt2spk = small
    words = ("evaluate", "--trials", trials, "--scores", scores, "--cost", "0.05", "--json")
    alone = _run(capsys, *words)
    found = _run(capsys, *words, "--utt2spk", utt2spk, "--replicates", "200")
    for key in ("eer", "eer_hull", "cllr", "min_cllr"):
        assert alone[f"{key}_ci"] is None and alone[key] == found[key]
        low, high = found[f"{key}_ci"]
        assert low <= found[key] <= high and low < high
    for key in ("min_dcf", "act_dcf"):
        low, high = found[f"{key}_ci"]["0.05"]
        assert low <= found[key]["0.05"] <= high
    assert any("8 speakers: below 30" in note for note in found["notes"])


def test_raw_costs_and_their_intervals_are_the_others_times_the_norm(small, capsys):
    trials, scores, utt2spk = small
    words = ("evaluate", "--trials", trials, "--scores", scores, "--cost", "0.1,2,1", "--json")
    words += ("--utt2spk", utt2spk, "--replicates", "50")
    one, raw = _run(capsys, *words), _run(capsys, *words, "--raw")
    for key in ("min_dcf", "act_dcf"):
        assert raw[key]["0.1,2,1"] == pytest.approx(0.2 * one[key]["0.1,2,1"])
        assert raw[f"{key}_ci"]["0.1,2,1"] == pytest.approx(
            [0.2 * end for end in one[f"{key}_ci"]["0.1,2,1"]]
        )


def test_scores_are_likelihood_ratios_on_request_or_when_beyond_one(small, tmp_path):
    trials = read_trials(small[0])
    scores = read_scores(small[1], trials)
    squeezed = np.tanh(scores)
    assert evaluate(trials, scores)["cllr"] > 0
    assert evaluate(trials, scores, likelihood_ratios=False)["cllr"] is None
    assert evaluate(trials, squeezed)["cllr"] is None
    assert evaluate(trials, squeezed, likelihood_ratios=True)["cllr"] > 0


def test_dropped_trials_are_wrong_and_infinite_right_ones_are_refused(small):
    trials = read_trials(small[0])
    scores = np.where(trials.is_target, 2.0, -2.0)
    scores[:10] = np.where(trials.is_target[:10], -np.inf, np.inf)
    found = evaluate(trials, scores)
    assert found["dropped_trials"] == 10 and found["min_dcf"]["0.01"] > 0
    with pytest.raises(InputError, match="infinite and right"):
        evaluate(trials, -scores)


def test_a_speaker_may_be_enrolled_under_its_own_name(tmp_path):
    trials = read_trials(_write(tmp_path / "t", "s1 a target\ns1 b nontarget\ns2 b target\n"))
    found = evaluate(trials, np.array([1.0, 0, 2]), utt2spk={"a": "s1", "b": "s2"}, replicates=50)
    assert found["speakers"] == 2


def test_conditions_name_both_sides_and_count_their_trials(small, tmp_path):
    trials = read_trials(small[0])
    speaker_of = {one: one[:2] for one in (*trials.enrol_ids, *trials.test_ids)}
    genders = _write(tmp_path / "g", "".join(f"s{n} {'fm'[n % 2]}\n" for n in range(8)))
    values = condition_values(trials, genders, speaker_of)
    expected = []
    for number in range(len(trials)):
        one, two = ("fm"[int(name[1]) % 2] for name in trials.pair(number))
        expected.append(one if one == two else "f-m")
    assert values.tolist() == expected
    scores = read_scores(small[1], trials)
    found = evaluate(trials, scores, conditions={"gender": values})["conditions"]["gender"]
    rows = values == "f"
    assert found["f"]["targets"] == trials.is_target[rows].sum()
    one = evaluate(trials, np.where(rows, scores, np.where(trials.is_target, 99.0, -99.0)))
    assert found["f"]["eer"] > one["eer"]  # of these trials alone
    assert found["f-m"]["eer"] is None and "one kind" in found["f-m"]["note"]


def test_many_labels_are_same_or_different_and_numbers_are_thirds(small, tmp_path):
    trials = read_trials(small[0])
    ids = sorted({*trials.enrol_ids, *trials.test_ids})
    sessions = _write(tmp_path / "s2", "".join(f"{one} x{n % 20}\n" for n, one in enumerate(ids)))
    seconds = _write(tmp_path / "d", "".join(f"{one} {n / 4}\n" for n, one in enumerate(ids)))
    values = condition_values(trials, sessions, None)
    place = {one: n for n, one in enumerate(ids)}
    pairs = zip(*map(trials.pair, range(780)), strict=True)
    first, second = (np.array([place[name] for name in names]) for names in pairs)
    assert values.tolist() == np.where(first % 20 == second % 20, "same", "different").tolist()
    lesser = np.minimum(first, second) / 4
    thirds = condition_values(trials, seconds, None)
    assert [value[0] for value in thirds] == [
        "123"[int(x >= np.quantile(lesser, 1 / 3)) + int(x >= np.quantile(lesser, 2 / 3))] for x in lesser
    ]


def test_an_id_without_a_condition_is_refused(small, tmp_path):
    with pytest.raises(InputError, match="ids have no line, the first"):
        condition_values(read_trials(small[0]), _write(tmp_path / "g", "s0 f\n"), None)


@pytest.mark.parametrize("text", ["", "a", "0.1,2", "0,1,1", "0.1,2,3,4", "1.5"])
def test_costs_that_are_none_are_refused(text):
    with pytest.raises(InputError, match="cost"):
        cost_of(text)


def test_threshold_is_printed_with_its_rates(small, capsys):
    trials, scores, utt2spk = small
    words = ("threshold", "--trials", trials, "--scores", scores, "--json")
    found = _run(capsys, *words, "--p-fa", "0.1", "--utt2spk", utt2spk, "--replicates", "50")
    known = read_trials(trials)
    accepted = read_scores(scores, known) >= found["threshold"]
    assert found["p_fa"] == accepted[~known.is_target].mean() <= 0.1
    assert found["p_miss"] == (~accepted)[known.is_target].mean() and found["speakers"] == 8
    ratio = _run(capsys, *words, "--cost", "0.1,1,1", "--llr")
    assert ratio["threshold"] == pytest.approx(np.log(9))
    assert _run(capsys, *words, "--cost", "0.1,1,1")["cost"] <= ratio["cost"]


def test_a_class_of_two_speakers_has_no_intervals(small):
    trials = read_trials(small[0])
    people = {one: one[:2] for one in (*trials.enrol_ids, *trials.test_ids)}
    pairs = [trials.pair(number) for number in range(len(trials))]
    parts = {"part": np.array(["few" if max(a[1], b[1]) < "2" else "rest" for a, b in pairs])}
    scores = read_scores(small[1], trials)
    found = evaluate(trials, scores, utt2spk=people, conditions=parts, replicates=60)
    few = found["conditions"]["part"]["few"]
    assert few["eer"] is not None and few["eer_ci"] is few["min_dcf_ci"] is few["min_cllr_ci"] is None
    assert few["note"] == "2 speakers are too few for intervals"


def test_what_a_table_calls_unknown_and_names_with_hyphens_stay_apart(small, tmp_path):
    trials = read_trials(small[0])
    ids = sorted({*trials.enrol_ids, *trials.test_ids})
    words = {one: ("a", "b", "a-b", "unknown")[n % 4] for n, one in enumerate(ids)}
    table = _write(tmp_path / "g", "".join(f"{one} {word}\n" for one, word in words.items()))
    values = condition_values(trials, table, None)
    expected = []
    for number in range(len(trials)):
        one, two = sorted(words[name] for name in trials.pair(number))
        expected.append("unknown" if "unknown" in (one, two) else one if one == two else f"{one} - {two}")
    assert values.tolist() == expected


def test_intervals_of_a_condition_are_of_its_own_trials(small):
    trials = read_trials(small[0])
    scores = read_scores(small[1], trials)
    half = np.array([int(trials.pair(n)[0][1]) < 4 and int(trials.pair(n)[1][1]) < 4 for n in range(780)])
    people = {one: one[:2] for one in (*trials.enrol_ids, *trials.test_ids)}
    values = np.where(half, "low", "rest")
    found = evaluate(trials, scores, utt2spk=people, conditions={"half": values}, replicates=60)
    numbers = [np.array([int(trials.pair(n)[side][1]) for n in range(780)])[half] for side in (0, 1)]
    drawn = replicate(scores[half], trials.is_target[half], *numbers, replicates=60).eer
    low = found["conditions"]["half"]["low"]
    assert low["speakers"] == 4
    assert 100 * np.nanmin(drawn) <= low["eer_ci"][0] < low["eer_ci"][1] <= 100 * np.nanmax(drawn)


@pytest.mark.long
def test_ten_million_trials_are_judged_in_less_than_a_gigabyte(tmp_path, repo):
    # Every pair of 5,000 enrolment and 2,000 test ids once, scores in another order than the trials.
    draw, width = np.random.default_rng(0), 5
    numbers = draw.permutation(10_000_000)
    digits = 48 + (np.arange(10_000)[:, None] // 10 ** np.arange(3, -1, -1) % 10).astype(np.uint8)
    ids = np.concatenate([np.full((10_000, 1), ord("s"), np.uint8), digits], axis=1)
    with open(tmp_path / "trials", "wb") as trials, open(tmp_path / "scores", "wb") as scores:
        for handle, order in ((trials, np.arange(len(numbers))), (scores, numbers)):
            for part in np.array_split(order, 40):
                one, two = part // 2000, part % 2000
                last = ids[part * 7919 % 10_000, 1:] if handle is scores else 48 + (part[:, None] % 3 == 0)
                columns = [ids[one], ids[two], last.astype(np.uint8)]
                blank = np.full((len(part), 1), 32, np.uint8)
                rows = [columns[2], blank, columns[0], blank, columns[1], blank + 10 - 32]
                handle.write(np.concatenate(rows, axis=1).tobytes())
    assert (tmp_path / "trials").stat().st_size == 10_000_000 * (1 + 3 + 2 * width)
    code = "import sys\nfrom pysteps.score import commands\ncommands.main(sys.argv[1:])\n"
    # Not ru_maxrss, which begins at what the parent held.
    code += "kilobytes = open('/proc/self/status').read().split('VmHWM:')[1].split()[0]\n"
    code += "print(1024 * int(kilobytes), file=sys.stderr)"
    words = ["evaluate", "--trials", tmp_path / "trials", "--scores", tmp_path / "scores", "--json"]
    done = subprocess.run([sys.executable, "-c", code, *words], cwd=repo, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["trials"] == 10_000_000
    assert int(done.stderr.split()[-1]) < 10**9

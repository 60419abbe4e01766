"""Score files and experiments side by side."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pytest

from pysteps.formats.errors import InputError
from pysteps.score import commands, judge, read_scores, read_trials, write_scores
from tests.literal import check_differences

IDS = [f"s{n % 6}-{n}" for n in range(24)]
PEOPLE = {one: one[:2] for one in IDS}
KIND = {True: "target", False: "nontarget"}


@pytest.fixture
def files(tmp_path, monkeypatch):
    """In the working folder trials, utt2spk, and the score files one/x, two/x, llr (beyond 1), backwards."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "utt2spk").write_text("".join(f"{one} {PEOPLE[one]}\n" for one in sorted(IDS)))
    pairs = [(a, b) for a in IDS for b in IDS if a < b]
    (tmp_path / "trials").write_text("".join(f"{a} {b} {KIND[a[:2] == b[:2]]}\n" for a, b in pairs))
    trials, draw = read_trials("trials"), np.random.default_rng(0)
    for name, gain, size in (("one/x", 1.0, 9), ("two/x", 2.0, 9), ("llr", 3.0, 1)):
        write_scores(name, trials, (draw.normal(size=len(trials)) + gain * trials.is_target) / size)
    rows = (tmp_path / "llr").read_text().splitlines(keepends=True)
    (tmp_path / "llr").write_text("".join(reversed(rows)))
    return trials


def _compared(capsys, text: str) -> dict:
    draws = [] if "--scores" in text and "--utt2spk" not in text else ["--replicates", "30"]
    commands.main(["compare", *text.split(), "--json", *draws])
    return json.loads(capsys.readouterr().out)


def test_score_files_have_the_paired_differences_of_the_library(files, capsys):
    found = _compared(capsys, "--trials trials --scores two/x llr --utt2spk utt2spk")
    assert found["against"] == {"trials": "x"} and list(found["trials"]["trials"]) == ["x", "llr"]
    two, llr = (read_scores(name, files) for name in ("two/x", "llr"))
    assert list(found["differences"]["trials"]) == ["llr"]
    check_differences(found["differences"]["trials"]["llr"], files, llr, two, PEOPLE, 30)
    assert found["trials"]["trials"]["llr"]["cllr"] > 0  # beyond [-1, 1]
    assert found["trials"]["trials"]["x"]["cllr"] is None


def test_what_is_to_be_doubted_of_a_file_is_said_of_it(files, capsys):
    scores = 9 * np.random.default_rng(3).normal(size=len(files))
    write_scores("wild", files, scores)
    scores[:56] = np.where(files.is_target[:56], -np.inf, np.inf)
    write_scores("lost", files, scores)
    words = "--trials trials --scores one/x wild lost --utt2spk utt2spk"
    said: dict = {}
    for note in _compared(capsys, words)["notes"]:
        said.setdefault(note.split(":")[0], []).append(note)
    assert "no actDCF and Cllr" in said["x"][0] and "6 speakers: below 30" in said["trials"][0]
    assert len(said["wild"]) == 1 and "worse than no system. Raw PLDA" in said["wild"][0]
    assert "Dropped trials count as wrong in it" in said["lost"][0] and "Raw" not in said["lost"][0]
    assert said["lost"][1] == "lost: 56 trials of dropped utterances, counted as wrong"


def test_two_speakers_are_too_few_for_intervals(files, tmp_path, capsys):
    lines = (tmp_path / "trials").read_text().splitlines()
    rows = [line for line in lines if line.count("s0-") + line.count("s1-") == 2]
    (tmp_path / "trials").write_text("\n".join(rows) + "\n")
    few = read_trials("trials")
    for name in ("a", "b"):
        write_scores(name, few, np.random.default_rng(ord(name)).normal(size=len(few)) + 2 * few.is_target)
    words = "--trials trials --scores a b --utt2spk utt2spk"
    found = _compared(capsys, f"{words} --out page.html")
    assert found["trials"]["trials"]["a"]["eer_ci"] is None
    assert found["differences"]["trials"]["b"]["eer_difference_ci"] is None
    assert "trials: 2 speakers are too few for intervals" in found["notes"]
    assert "too few speakers for an interval" in (tmp_path / "page.html").read_text("utf-8")
    commands.main(["compare", *words.split(), "--replicates", "30"])
    assert "()" not in capsys.readouterr().out


def test_files_of_one_name_are_told_by_their_folders(files, capsys):
    words = "--trials trials --scores one/x two/x --utt2spk utt2spk --against two/x"
    found = _compared(capsys, words)
    assert found["against"] == {"trials": "two/x"} and list(found["differences"]["trials"]) == ["one/x"]
    named = _compared(capsys, f"{words} --names a b")
    assert list(named["trials"]["trials"]) == ["a", "b"] and named["against"] == {"trials": "b"}


def test_without_speakers_there_are_figures_alone(files, capsys):
    words = "--trials trials --scores two/x llr --cost 0.1,2,1"
    found = _compared(capsys, words)
    assert found["differences"] == {"trials": {}} and found["trials"]["trials"]["x"]["eer_ci"] is None
    assert any("no speakers given" in note for note in found["notes"])
    commands.main(["compare", *words.split()])
    assert "minDCF(0.1,2,1)" in capsys.readouterr().out
    commands.main(["compare", *words.split(), "--row"])
    assert "None" not in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("--trials trials --scores llr", "a comparison needs two"),
        ("--trials trials --scores llr ./llr", "named twice"),
        ("--scores llr one/x", "--scores without --trials"),
        ("exp --trials trials --scores llr one/x", "experiments and --scores"),
        ("--trials trials --scores llr short", "1 of 276 trials have no score"),
        ("--trials trials --scores llr one/x --against two/x", "none of the --scores"),
        ("--trials trials --scores llr one/x --names a a", "2 different names"),
        ("--trials trials --scores llr one/x --list a", "--list is for experiments"),
        ("exp --utt2spk utt2spk", "--utt2spk is for --scores"),
        ("--json", "nothing to compare"),
    ],
)
def test_what_cannot_be_compared_is_refused(files, tmp_path, capsys, words, said):
    rows = (tmp_path / "llr").read_text().splitlines(keepends=True)
    (tmp_path / "short").write_text("".join(rows[1:]))
    with pytest.raises(InputError, match=said):
        _compared(capsys, words)


@pytest.fixture
def experiments(files, tmp_path):
    """a/exp/tag and b/exp/tag as stage 9 leaves them, each with the back ends cosine and plda."""
    draw = np.random.default_rng(1)
    for place in ("a", "b"):
        data, folder = tmp_path / place / "data/eval", tmp_path / place / "exp/tag"
        data.mkdir(parents=True)
        for name in ("utt2spk", "trials"):
            shutil.copy(tmp_path / name, data)
        figures = {}
        for back in ("cosine", "plda"):
            scores = np.round(draw.normal(size=len(files)) + 2 * files.is_target, 6)
            write_scores(folder / "scores/eval" / back, files, scores)
            figures[back] = judge(files, scores, (), PEOPLE, 0, replicates=20).figures
        curves = {back: [[0.1, 0.2], [0.2, 0.1]] for back in figures}
        (folder / "scores/eval/det.json").write_text(json.dumps(curves))
        (folder / "results.json").write_text(json.dumps({"trials": {"eval": figures}}))
        run = {key: "x" for key in ("recipe", "corpus", "prepare", "egs_tag", "train_set", "dev_set")}
        run |= {
            "work": str(tmp_path / place),
            "tag": "tag",
            "eval_sets": ["eval"],
            "names": {},
            "options": {},
        }
        (folder / "run.json").write_text(json.dumps(run))
    return tmp_path


def test_experiments_of_one_tag_are_told_by_their_folders(experiments, capsys):
    found = _compared(capsys, "b/exp/tag a/exp/tag")
    names = [f"{place}/exp/tag/{back}" for place in "ba" for back in ("cosine", "plda")]
    assert list(found["trials"]["eval"]) == names
    for name in names:
        folder, back = name.rsplit("/", 1)
        figures = json.loads((experiments / folder / "results.json").read_text())["trials"]["eval"][back]
        assert found["trials"]["eval"][name] == figures
    assert set(found["differences"]["eval"]) == set(names) - {found["against"]["eval"]}


def test_an_experiment_that_is_named_twice_is_refused(experiments, capsys):
    with pytest.raises(InputError, match="a/exp/../exp/tag: named twice"):
        _compared(capsys, "a/exp/tag a/exp/../exp/tag")


@pytest.mark.parametrize(
    ("words", "shown"),
    [
        ("a/exp/tag b/exp/tag", "a/exp/tag · plda"),
        ("a/exp/tag --systems cosine plda", "plda · tag"),
        ("--trials trials --scores one/x llr --utt2spk utt2spk", "</span>llr − x"),
        ("--trials trials --scores one/x llr", "</span>llr<"),
    ],
)
def test_the_page_shows_each_system_with_its_curve(experiments, capsys, words, shown):
    _compared(capsys, f"{words} --out page.html")
    page = (experiments / "page.html").read_text("utf-8")
    assert shown in page and "DET curves of" in page and (experiments / "page.png").is_file()
    assert "· scores" not in page
    assert ("Differences" in page) == ("utt2spk" in words or "exp" in words)

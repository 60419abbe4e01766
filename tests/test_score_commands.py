"""The words of the command line: what they refuse, what they warn of, which files they read."""

from __future__ import annotations

import gzip
import json
import subprocess
import sys

import kaldiio
import numpy as np
import pytest

from pysteps.backend import Backend, Chain, fit, fit_plda
from pysteps.backend.scorenorm import ScoreNorm
from pysteps.formats.errors import InputError
from pysteps.formats.tables import read_table
from pysteps.score import commands, read_scores, read_trials
from pysteps.score.options import ScoreOptions

IDS = [f"s{n % 4}-{n}" for n in range(16)]


@pytest.fixture
def files(tmp_path, monkeypatch):
    """In the working folder: trials, scores (beyond 1), cosines, utt2spk, x.scp; trials over two tables."""
    monkeypatch.chdir(tmp_path)
    draw = np.random.default_rng(0)
    pairs = [(a, b) for a in IDS for b in IDS if a < b]
    kind = [("nontarget", "target")[a[:2] == b[:2]] for a, b in pairs]
    values = [3 * draw.normal() + 4 * (one == "target") for one in kind]
    lines = [f"{a} {b} {one}\n" for (a, b), one in zip(pairs, kind, strict=True)]
    (tmp_path / "trials").write_text("".join(lines))
    for name, size in (("scores", 1.0), ("cosines", 40.0)):
        rows = [f"{a} {b} {value / size}\n" for (a, b), value in zip(pairs, values, strict=True)]
        (tmp_path / name).write_text("".join(rows))
    (tmp_path / "utt2spk").write_text("".join(f"{one} {one[:2]}\n" for one in sorted(IDS)))
    for name in "xy":
        vectors = {f"{one}{name}": draw.normal(size=6).astype(np.float32) for one in IDS}
        kaldiio.save_ark(f"{name}.ark", vectors, scp=f"{name}.scp")
    both = [f"{a}x {b}y {one}\n" for (a, b), one in zip(pairs, kind, strict=True)]
    (tmp_path / "two").write_text("".join(both))
    return tmp_path


def _do(text: str) -> None:
    commands.main(text.split())


def _found(capsys, text: str) -> dict:
    _do(f"{text} --json")
    return json.loads(capsys.readouterr().out)


def test_an_unknown_word_is_answered_with_all_words(repo):
    words = [sys.executable, "-m", "pysteps.score", "bogus"]
    done = subprocess.run(words, cwd=repo, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert all(word in done.stderr for word in ("run", *commands.WORDS))


@pytest.mark.parametrize("word", ["evaluate", "compare", "threshold"])
@pytest.mark.parametrize("odd", ["--replicates 0", "--replicates -1", "--replicates 1", "--seed -1"])
def test_a_bootstrap_that_cannot_be_drawn_is_refused(files, word, odd):
    more = {"evaluate": "scores", "compare": "scores cosines", "threshold": "scores --p-fa 0.1"}[word]
    with pytest.raises(InputError, match="two at least|0 or above"):
        _do(f"{word} --trials trials --utt2spk utt2spk {odd} --scores {more}")


@pytest.mark.parametrize("word", ["evaluate", "compare", "threshold"])
@pytest.mark.parametrize("idle", ["--replicates 200", "--seed 1"])
def test_a_bootstrap_without_speakers_is_refused(files, word, idle):
    more = {"evaluate": "scores", "compare": "scores cosines", "threshold": "scores --p-fa 0.1"}[word]
    with pytest.raises(InputError, match=f"{idle.split()[0]} does nothing without --utt2spk"):
        _do(f"{word} --trials trials {idle} --scores {more}")


@pytest.mark.parametrize("out", ["page.png", "page", "page.html.gz"])
def test_a_comparison_s_page_is_html(files, out):
    with pytest.raises(InputError, match=f"{out}: the page is an .html file"):
        _do(f"compare --trials trials --scores scores cosines --out {out}")
    assert not (files / out).exists()


@pytest.mark.parametrize(
    ("words", "kept"),
    [
        ("cosine --trials two --enrol x.scp --test y.scp --out two", "two"),
        ("threshold --trials trials --scores scores --p-fa 0.1 --out scores", "scores"),
    ],
)
def test_no_command_writes_over_what_it_reads(files, words, kept):
    before = (files / kept).read_bytes()
    with pytest.raises(InputError, match=f"{kept}: --out is the file of"):
        _do(words)
    assert (files / kept).read_bytes() == before


@pytest.mark.parametrize("odd", [{"replicates": 1}, {"seed": -1}, {"max_dropped": 1.5}])
def test_the_stage_s_options_are_refused_before_it_runs(odd):
    with pytest.raises(InputError, match=f"score.{next(iter(odd))}"):
        ScoreOptions(**odd)


def test_figures_worse_than_no_system_are_said_to_be(files, capsys):
    said = [note for note in _found(capsys, "evaluate --trials trials --scores scores")["notes"]]
    assert any("actDCF" in note and "worse than no system" in note for note in said)
    found = _found(capsys, "evaluate --trials trials --scores scores --llr no")
    assert not any("worse" in note for note in found["notes"])


def test_cosines_taken_as_ratios_are_warned_of(files, capsys):
    for words in ("evaluate --llr yes", "threshold --llr --cost 0.1"):
        warned = _found(capsys, f"{words} --trials trials --scores cosines")["notes"]
        silent = _found(capsys, f"{words} --trials trials --scores scores")["notes"]
        assert any("[-1, 1]" in note for note in warned) and not any("[-1, 1]" in note for note in silent)


def test_a_false_alarm_rate_takes_no_llr(files):
    with pytest.raises(InputError, match="--llr does nothing with --p-fa"):
        _do("threshold --trials trials --scores scores --p-fa 0.1 --llr")


@pytest.mark.parametrize("word", ["nan", "inf"])
def test_numbers_of_a_condition_must_be_finite(files, word):
    rows = [f"{one} {word if n == 3 else n}\n" for n, one in enumerate(sorted(IDS))]
    (files / "dur").write_text("".join(rows))
    with pytest.raises(InputError, match=f"dur: '{word}' among the numbers"):
        _do("evaluate --trials trials --scores scores --condition dur=dur")


def test_a_language_called_nan_is_a_label(files, capsys):
    rows = [f"{one} {'nan' if n % 2 else 'yue'}\n" for n, one in enumerate(sorted(IDS))]
    (files / "lang").write_text("".join(rows))
    found = _found(capsys, "evaluate --trials trials --scores scores --condition lang=lang")
    assert set(found["conditions"]["lang"]) == {"nan", "nan-yue", "yue"}


def test_a_short_utt2spk_names_its_file_and_the_utterances(files):
    (files / "short").write_text("".join(f"{one} {one[:2]}\n" for one in sorted(IDS)[:-2]))
    lost = " ".join(sorted(IDS)[-2:])
    for word in ("evaluate", "threshold --p-fa 0.1"):
        with pytest.raises(InputError, match=f"^short: 2 of the 16 ids of trials have no speaker .*{lost}"):
            _do(f"{word} --trials trials --scores scores --utt2spk short")


def test_every_file_may_be_gzipped_or_begin_with_a_mark(files, capsys):
    (files / "gender").write_text("".join(f"s{n} {'fm'[n % 2]}\n" for n in range(4)))
    words = "evaluate --replicates 20 --trials trials --scores scores --utt2spk utt2spk --condition g=gender"
    plain = _found(capsys, words)
    for change in (gzip.compress, lambda data: b"\xef\xbb\xbf" + data):
        for name in ("trials", "scores", "utt2spk", "gender"):
            (files / f"{name}2").write_bytes(change((files / name).read_bytes()))
        other = words.replace("trials trials", "trials trials2").replace("scores scores", "scores scores2")
        other = other.replace("utt2spk utt2spk", "utt2spk utt2spk2").replace("g=gender", "g=gender2")
        assert _found(capsys, other) == plain


def test_a_gzipped_table_is_read_and_a_broken_one_refused(files):
    packed = gzip.compress((files / "utt2spk").read_bytes() * 1)
    (files / "whole").write_bytes(packed)
    assert read_table("whole") == read_table("utt2spk")
    (files / "broken").write_bytes(packed[:-12])
    with pytest.raises(InputError, match="broken: broken gzip"):
        read_table("broken")


def test_scores_of_swapped_pairs_are_said_to_be(files):
    rows = [line.split() for line in (files / "scores").read_text().splitlines()]
    (files / "swapped").write_text("".join(f"{b} {a} {value}\n" for a, b, value in rows))
    with pytest.raises(InputError, match="enrolment and test stand the other way round"):
        _do("evaluate --trials trials --scores swapped")
    (files / "others").write_text("".join(f"{a} {b}0 {value}\n" for a, b, value in rows))
    with pytest.raises(InputError, match="are of no trial") as caught:
        _do("evaluate --trials trials --scores others")
    assert "the other way round" not in str(caught.value)


def test_swapped_tables_are_said_to_be(files):
    _do("cosine --trials two --enrol x.scp --test y.scp --out out")
    with pytest.raises(InputError, match="all are in x.scp: enrolment and test are swapped"):
        _do("cosine --trials two --enrol y.scp --test x.scp --out out")
    with pytest.raises(InputError, match="no vector here") as caught:
        _do("cosine --trials trials --enrol x.scp --test y.scp --out out")
    assert "swapped" not in str(caught.value)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda folder: "x.ark", "x.ark: an archive .*give the .scp"),
        (lambda folder: _text(folder), "a text archive, not its table"),
        (lambda folder: _moved(folder), "there is no archive gone/x.ark .a relative path counts from"),
        (lambda folder: _nan(folder), "utterance s1-5x: 1 vectors have numbers that are not finite"),
    ],
)
def test_vectors_that_cannot_be_read_are_named_with_a_remedy(files, change, said):
    with pytest.raises(InputError, match=said):
        _do(f"cosine --trials two --enrol {change(files)} --test y.scp --out out")


def _text(folder) -> str:
    vectors = dict(kaldiio.load_scp("x.scp"))
    kaldiio.save_ark("text.ark", vectors, text=True)
    return "text.ark"


def _moved(folder) -> str:
    (folder / "moved.scp").write_text((folder / "x.scp").read_text().replace("x.ark", "gone/x.ark"))
    return "moved.scp"


def _nan(folder) -> str:
    vectors = {key: np.array(vector) for key, vector in kaldiio.load_scp("x.scp").items()}
    vectors["s1-5x"][2] = np.nan
    kaldiio.save_ark("nan.ark", vectors, scp="nan.scp")
    return "nan.scp"


def test_sides_of_two_sizes_are_refused(files):
    vectors = {f"{one}y": np.ones(5, np.float32) for one in IDS}
    kaldiio.save_ark("five.ark", vectors, scp="five.scp")
    with pytest.raises(InputError, match="x.scp: vectors of 6 dimensions, those of five.scp have 5"):
        _do("cosine --trials two --enrol x.scp --test five.scp --out out")


@pytest.mark.parametrize("norm", ["s-norm", "as-norm 4"])
def test_the_cosine_of_a_normalised_plda_is_not_normalised(files, norm):
    rows = np.stack([np.array(one) for one in kaldiio.load_scp("x.scp").values()])
    speakers = [one[:2] for one in IDS]
    kinds = f"center | plda | {norm} cohort=utterances"
    Backend.fit(kinds, rows, speakers).save("back")
    assert Backend.load("back").norm == ScoreNorm.parse(f"{norm} cohort=utterances".split())
    Backend(Chain(fit("center", rows, speakers).steps), fit_plda(rows, speakers)).save("bare")
    for name in ("back", "bare"):
        _do(f"cosine --trials two --enrol x.scp --test y.scp --out {name}.scores --backend {name}")
    trials = read_trials("two")
    found = [read_scores(f"{name}.scores", trials).tolist() for name in ("back", "bare")]
    assert found[0] == found[1]


def test_calibrated_needs_a_calibration_and_says_where_to_get_one(files):
    with pytest.raises(InputError, match="no calibration .*score calibrate"):
        _do("cosine --trials two --enrol x.scp --test y.scp --out out --calibrated")

"""Files that are not what the score commands want: what they say of them, and how to mend it."""

from __future__ import annotations

import bz2
import gzip
import json
import os
import threading
from types import SimpleNamespace

import numpy as np
import pytest

from pysteps.formats.errors import InputError
from pysteps.score import columns, commands, contrary, read_scores, read_trials
from pysteps.score.results import summary
from pysteps.score.summary import side_by_side
from pysteps.score.trials import Trials

IDS = [f"id{n % 4}/v/{n:05d}.wav" for n in range(12)]


@pytest.fixture
def files(tmp_path, monkeypatch):
    """In the working folder: trials (Kaldi's), vox (VoxCeleb's), scores, other, utt2spk."""
    monkeypatch.chdir(tmp_path)
    draw = np.random.default_rng(0)
    pairs = [(a, b) for n, a in enumerate(IDS) for b in IDS[:n] if (n + len(b)) % 5]
    same = [a[:3] == b[:3] for a, b in pairs]
    three = list(zip(pairs, same, strict=True))
    _write("trials", [f"{a} {b} {'target' if one else 'nontarget'}" for (a, b), one in three])
    _write("vox", [f"{one:d} {a} {b}" for (a, b), one in three])
    for name in ("scores", "other"):
        _write(name, [f"{a} {b} {draw.normal() + 3 * one:.6g}" for (a, b), one in three])
    _write("utt2spk", [f"{one} {one[:3]}" for one in sorted(IDS)])
    return tmp_path


def _write(name: str, lines: list[str]) -> None:
    with open(name, "w") as handle:
        handle.writelines(f"{line}\n" for line in lines)


def _lines(name: str) -> list[list[str]]:
    return [line.split() for line in open(name)]


def _do(text: str) -> None:
    commands.main(text.split())


def _refused(text: str) -> str:
    with pytest.raises(InputError) as caught:
        _do(text)
    return str(caught.value)


@pytest.mark.parametrize(
    "words",
    [
        "evaluate --trials vox --scores vox",
        "threshold --trials trials --p-fa 0.1 --scores vox",
        "calibrate --trials vox --scores scores --apply vox --out out",
        "calibrate --trials vox --scores vox --save out",
    ],
)
def test_a_list_of_trials_is_no_score_file(files, words):
    assert "vox: nothing but 1 and 0 in front: a list of trials" in _refused(words)
    assert not (files / "out").exists()


def test_hard_decisions_behind_the_ids_are_scores(files):
    _write("hard", [f"{a} {b} {one}" for one, a, b in _lines("vox")])
    trials = read_trials("vox")
    assert read_scores("hard", trials).tolist() == trials.is_target.tolist()


def test_a_kaldi_list_of_trials_is_no_score_file(files):
    assert "this is a list of trials" in _refused("evaluate --trials trials --scores trials")


def test_a_pair_of_both_kinds_is_refused_with_both_lines(files):
    rows = [f"{a} {b} {kind}" for a, b, kind in _lines("trials")]
    a, b, kind = rows[4].split()
    _write("odd", [*rows, rows[7], f"{a} {b} {'nontarget' if kind == 'target' else 'target'}", rows[4]])
    said = _refused("evaluate --trials odd --scores scores")
    assert said.startswith(f"odd:5: 1 pairs are listed as target and as nontarget, the first: {a} {b}")
    assert f"line {len(rows) + 2} says the other" in said
    _write("twice", [*rows, *rows])
    assert len(read_trials("twice")) == 2 * len(rows)


def test_contradictions_are_found_as_a_dictionary_finds_them():
    names = [str(n) for n in range(60)]
    for seed in range(40):
        draw = np.random.default_rng(seed)
        enrol, test = draw.integers(0, 60, (2, 90)).astype(np.int32)
        trials = Trials(names, names, enrol, test, draw.random(90) < 0.5)
        kinds: dict[tuple[str, str], set[bool]] = {}
        for row in range(90):
            kinds.setdefault(trials.pair(row), set()).add(bool(trials.is_target[row]))
        both = [pair for pair, seen in kinds.items() if len(seen) == 2]
        if not both:
            contrary.refuse_contrary(trials)
            continue
        with pytest.raises(InputError, match=f": {len(both)} pairs .* first: {both[0][0]} {both[0][1]} "):
            contrary.refuse_contrary(trials)


def test_pairs_the_other_way_round_are_seen_where_some_are_trials_both_ways(files):
    rows = _lines("trials")
    own = [f"{one} {one} target" for one in IDS[:3]]  # the same when swapped
    _write("trials2", [*own, *(" ".join(row) for row in rows)])
    swapped = [f"{b} {a} 1.5" for a, b, _ in rows]
    _write("swapped", [*(f"{one} {one} 2.5" for one in IDS[:3]), *swapped])
    assert "enrolment and test stand the other way round" in _refused(
        "evaluate --trials trials2 --scores swapped"
    )
    half = [f"{a} {b} 1.5" for a, b, _ in rows[:9]]
    _write("half", [*half, *swapped[9:]])
    assert "the other way round" in _refused("evaluate --trials trials --scores half")


def test_strangers_at_the_end_are_no_pairs_the_other_way_round(files, monkeypatch):
    monkeypatch.setattr(columns, "_BLOCK", 200)  # bytes: the first lines are all of trials
    _write("more", [*(" ".join(row) for row in _lines("scores")), f"x {IDS[0]} 1"])
    said = _refused("evaluate --trials trials --scores more")
    assert "1 scores are of no trial" in said and "(the trials are those of trials)" in said


@pytest.mark.parametrize("change", [lambda one: one[:-4], lambda one: one[:-4].replace("/", "-")])
def test_ids_that_are_written_in_another_way_are_said_to_be(files, change):
    _write("short", [f"{change(a)} {change(b)} {value}" for a, b, value in _lines("scores")])
    said = _refused("evaluate --trials trials --scores short")
    first = _lines("scores")[0][0]
    assert f"there {first} is what {change(first)} is here: write both in one way" in said
    assert said.count("in one way") == 1


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("{a},{b},{v}", "1: 1 words where 3 should stand .*not by commas: tr ',' ' '"),
        ("{a} {b} {v} target", "1: 4 words .*keep enrol test score .WeSpeaker"),
        ("{a} {b}", "1: 2 words where 3 should stand$"),
    ],
)
def test_other_columns_are_told_how_to_be_mended(files, line, said):
    _write("odd", [line.format(a=a, b=b, v=value) for a, b, value in _lines("scores")])
    with pytest.raises(InputError, match=f"odd:{said}"):
        _do("evaluate --trials trials --scores odd")


@pytest.mark.parametrize("name", ["trials", "vox", "scores"])
def test_a_header_line_is_named(files, name):
    _write("headed", ["enrol test what", *(" ".join(row) for row in _lines(name))])
    words = {"trials": "headed", "scores": "scores"} | {name.replace("vox", "trials"): "headed"}
    words = words if name != "scores" else {"trials": "trials", "scores": "headed"}
    said = _refused(f"evaluate --trials {words['trials']} --scores {words['scores']}")
    assert said.startswith("headed:1: ") and "a header line has no place here: remove it" in said


def test_a_file_of_another_packer_is_named(files):
    (files / "packed").write_bytes(bz2.compress((files / "scores").read_bytes()))
    said = _refused("evaluate --trials trials --scores packed")
    assert said.startswith("packed: a bzip2 file") and "<(bzcat FILE)" in said


def test_a_table_of_speakers_asks_for_utt2spk(files):
    _write("gender", [f"id{n} {'fm'[n % 2]}" for n in range(4)])
    words = "evaluate --trials trials --scores scores --condition g=gender"
    assert "give --utt2spk too" in _refused(words)
    _write("gender", [f"id{n} f" for n in range(3)])
    assert "give --utt2spk" not in _refused(f"{words} --utt2spk utt2spk")


def test_a_percentage_is_no_rate(files):
    assert "(1 % is 0.01)" in _refused("threshold --trials trials --scores scores --p-fa 1")


def test_the_reference_may_be_named_as_the_system_is(files, capsys):
    words = (
        "compare --trials trials --utt2spk utt2spk --replicates 20 --scores scores other --names a b --json"
    )
    found = []
    for against in ("b", "other"):
        _do(f"{words} --against {against}")
        found.append(json.loads(capsys.readouterr().out))
    assert found[0] == found[1] and found[0]["against"] == {"trials": "b"}
    assert "name its file, or one of a, b" in _refused(f"{words} --against c")


def test_score_files_are_no_experiments(files):
    assert "scores: is a file, where the folder of an experiment" in _refused("compare scores other")


def test_the_text_says_the_threshold(files, capsys):
    _do("evaluate --trials trials --scores scores --json")
    found = json.loads(capsys.readouterr().out)
    _do("evaluate --trials trials --scores scores")
    assert f"threshold at the EER   {found['threshold']:9.4g}" in capsys.readouterr().out


def test_a_long_name_shifts_no_column(files, capsys):
    words = "compare --trials trials --scores scores other --utt2spk utt2spk --replicates 20 --json"
    _do(f"{words} --names {'n' * 50} b")
    lines = side_by_side(json.loads(capsys.readouterr().out)).splitlines()
    head = lines[1]
    end = head.index("EER %") + len("EER %")
    assert all(line[:end].rsplit(maxsplit=1)[1].count(".") == 1 for line in lines[2:4])


def test_a_long_back_end_shifts_no_column_of_the_summary(files):
    one = {"eer": 1.0, "eer_ci": [0.5, 1.5], "min_dcf": {"0.01": 0.1}}
    found = {"trials": {"eval": {"cosine": one, "plda-coralplus": one}}}
    (files / "results.json").write_text(json.dumps(found))
    lines = summary(SimpleNamespace(exp=files)).splitlines()[:3]
    assert lines[1].index("1.00") == lines[2].index("1.00")
    assert len({len(line) for line in lines}) == 1


@pytest.mark.parametrize(
    ("words", "out"),
    [
        ("calibrate --trials trials --scores scores --apply other --out {}", "llr"),
        ("fuse --trials trials --scores scores other --apply scores other --names a b --out {}", "fused"),
        ("calibrate --trials trials --scores scores --save {}", "saved.json"),
        ("threshold --trials trials --scores scores --p-fa 0.1 --out {}", "threshold.json"),
    ],
)
def test_a_name_in_gz_is_gzipped(files, words, out):
    for name in (out, f"{out}.gz", f"{out}.2.gz"):
        _do(words.format(name))
    packed = (files / f"{out}.gz").read_bytes()
    assert gzip.decompress(packed) == (files / out).read_bytes()
    assert packed[4:8] == bytes(4) and packed == (files / f"{out}.2.gz").read_bytes()


def test_a_gzipped_calibration_is_loaded(files):
    for name in ("saved.json", "saved.json.gz"):
        _do(f"calibrate --trials trials --scores scores --save {name}")
        _do(f"calibrate --load {name} --apply other --out {name}.llr")
    assert (files / "saved.json.llr").read_bytes() == (files / "saved.json.gz.llr").read_bytes()
    (files / "saved.json.gz").write_bytes((files / "saved.json.gz").read_bytes()[:-9])
    assert "saved.json.gz: " in _refused("calibrate --load saved.json.gz --apply other --out out")


@pytest.mark.parametrize("change", [bytes, gzip.compress])
def test_speakers_may_come_from_a_pipe(files, capsys, change):
    words = "evaluate --trials trials --scores scores --replicates 20 --json --utt2spk"
    _do(f"{words} utt2spk")
    expected = capsys.readouterr().out
    os.mkfifo("pipe")
    data = change((files / "utt2spk").read_bytes())
    writer = threading.Thread(target=(files / "pipe").write_bytes, args=(data,))
    writer.start()
    _do(f"{words} pipe")
    writer.join()
    assert capsys.readouterr().out == expected

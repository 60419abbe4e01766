"""``python -m pysteps.backend fit``: a back end from x-vectors of anybody, and the commands of its page."""

from __future__ import annotations

import json
import os
import re
import shlex
import threading

import kaldiio
import numpy as np
import pytest

from pysteps.backend import Backend, commands
from pysteps.formats.errors import InputError
from pysteps.score import commands as score_commands

LINE = "center | lda 8 | length-norm | plda"


def _set(folder, name: str, speakers: int, utterances: int = 6) -> None:
    # Vectors written by kaldiio, as another toolkit would.
    draw = np.random.default_rng(len(name) + speakers)
    people = np.repeat([f"{name}-s{n:02d}" for n in range(speakers)], utterances).tolist()
    voices = np.repeat(draw.normal(size=(speakers, 16)) * 2, utterances, axis=0)
    utts = [f"{who}-{n % utterances}" for n, who in enumerate(people)]
    x = (voices + draw.normal(size=voices.shape) + len(name)).astype(np.float32)
    (folder / name).mkdir()
    place = str(folder / name / "xvector")
    kaldiio.save_ark(f"{place}.ark", dict(zip(utts, x, strict=True)), scp=f"{place}.scp")
    (folder / name / "utt2spk").write_text("".join(f"{u} {s}\n" for u, s in zip(utts, people, strict=True)))
    pairs = [(a, b) for a in range(len(utts)) for b in range(a)]
    said = [f"{utts[a]} {utts[b]} {'' if people[a] == people[b] else 'non'}target\n" for a, b in pairs]
    (folder / name / "trials").write_text("".join(said))


@pytest.fixture
def world(tmp_path, monkeypatch):
    """A working folder with the sets that the page's commands name."""
    monkeypatch.chdir(tmp_path)
    for name, speakers in (("train", 30), ("target", 20), ("cohort", 15), ("dev", 10), ("eval", 8)):
        _set(tmp_path, name, speakers)
    return tmp_path


def _fit(*more: str, line: str = LINE, out: str = "back") -> Backend:
    words = ["fit", "--line", line, "--xvectors", "train/xvector.scp", "--utt2spk", "train/utt2spk"]
    commands.main([*words, "--out", out, *more])
    return Backend.load(out)


def _vectors(name: str) -> tuple[np.ndarray, list[str], list[str]]:
    table = dict(line.split() for line in open(f"{name}/utt2spk"))
    found = kaldiio.load_scp(f"{name}/xvector.scp")
    return np.array([found[utt] for utt in table]), list(table), list(table.values())


def test_the_commands_of_the_page_run(world, repo, capsys):
    page = (repo / "docs/backend.md").read_text().partition("## Anybody's x-vectors")[2]
    lines = re.sub(r"\\\n\s*", "", page.partition("## Files")[0]).splitlines()
    found = [shlex.split(line)[2:] for line in lines if line.startswith("    python -m pysteps.")]
    assert [(module, words[0]) for module, *words in found] == [
        ("pysteps.backend", "fit"),
        ("pysteps.score", "plda"),
        ("pysteps.score", "evaluate"),
        ("pysteps.backend", "fit"),
        ("pysteps.score", "plda"),
    ]
    for module, *words in found:
        (commands if module == "pysteps.backend" else score_commands).main(words)
    said = "180 x-vectors of 30 speakers, a cohort of 15, calibrated on 150 target and 1620 non-target"
    assert said in capsys.readouterr().err
    adapted = Backend.load("adapted")
    assert adapted.cohort.keys == sorted({f"cohort-s{n:02d}" for n in range(15)})
    ratios = np.array([float(line.split()[2]) for line in open("adapted.scores")])
    labels = np.array([line.split()[2] == "target" for line in open("eval/trials")])
    assert ((ratios > 0) == labels).mean() > 0.9


def test_the_chain_json_of_the_page_is_what_is_written(world, repo):
    page = (repo / "docs/backend.md").read_text().partition("chain.json of `")[2]
    line, _, rest = page.partition("`:\n\n")
    _fit(line=line)
    shown = json.loads(rest.partition("\n\n`options`")[0])
    assert json.loads((world / "back/chain.json").read_text()) == shown


def test_it_learns_what_stage_8_learns(world):
    mine = _fit(line=f"{LINE} | as-norm 10 size=20", out="mine")
    x, utts, speakers = _vectors("train")
    theirs = Backend.fit(f"{LINE} | as-norm 10 size=20", x, speakers, utterances=utts)
    test = _vectors("eval")[0]
    pairs = np.array([[a, b] for a in range(20) for b in range(a)])
    assert mine.score(test, test, pairs).tobytes() == theirs.score(test, test, pairs).tobytes()


def test_a_given_cohort_is_transformed_as_scored_vectors_are(world):
    more = ("--cohort", "cohort/xvector.scp", "--cohort-utt2spk", "cohort/utt2spk")
    back = _fit(*more, "--adapt", "t=target/xvector.scp", line="coral adapt=t | center set | cosine | s-norm")
    x = _vectors("cohort")[0]
    means = (x - x.mean(axis=0)).reshape(15, 6, 16).mean(axis=1)
    np.testing.assert_allclose(back.cohort.vectors, means, atol=1e-5)
    assert back.cohort.examples.tolist() == [6] * 15


def test_a_calibration_of_a_list_is_that_of_all_its_pairs(world):
    one = _fit("--dev", "dev/xvector.scp", "--dev-trials", "dev/trials", line="cosine").calibration
    two = _fit("--dev", "dev/xvector.scp", "--dev-utt2spk", "dev/utt2spk", line="cosine").calibration
    assert (one.targets, one.nontargets) == (two.targets, two.nontargets) == (150, 1620)
    assert one.weights["back"] == pytest.approx(two.weights["back"], rel=1e-6)
    pav = ("--calibration", "pav", "--dev", "dev/xvector.scp", "--dev-utt2spk", "dev/utt2spk")
    assert _fit(*pav, line="cosine").calibration.kind == "pav"


def test_utterances_without_an_x_vector_are_counted(world, capsys):
    with open("train/utt2spk", "a") as handle:
        handle.write("zz train-s00\n")
    _fit()
    assert "30 speakers, 1 utterances of train/utt2spk have no x-vector" in capsys.readouterr().err


def test_a_calibration_on_training_speakers_is_warned_of(world, capsys):
    _fit("--dev", "dev/xvector.scp", "--dev-utt2spk", "dev/utt2spk")
    assert "too sure" not in capsys.readouterr().err
    _fit("--dev", "train/xvector.scp", "--dev-utt2spk", "train/utt2spk")
    assert "30 speakers or utterances of train/xvector.scp were trained on" in capsys.readouterr().err


def test_that_nobody_looked_at_the_cohort_is_said(world, capsys):
    _fit(line="cosine | s-norm")
    assert "nobody has looked whether an evaluation speaker is in the cohort" in capsys.readouterr().err
    _fit("--evaluated", "eval/utt2spk", line="cosine | s-norm")
    assert "nobody" not in capsys.readouterr().err


@pytest.mark.parametrize(
    ("line", "more", "said"),
    [
        (LINE, "--evaluated train/utt2spk", "train/utt2spk: 30 speakers of it are in --xvectors too"),
        ("cosine | s-norm", "--cohort eval/xvector.scp --cohort-utt2spk eval/utt2spk", "are in --cohort too"),
        ("cosine", "--dev eval/xvector.scp --dev-utt2spk eval/utt2spk", "8 speakers of it are in --dev too"),
        ("cosine", "--dev eval/xvector.scp --dev-trials eval/trials", "nobody says whose .*--dev-utt2spk"),
        ("center adapt=t | cosine", "--adapt t=eval/xvector.scp", "48 utterances of it are in --adapt t too"),
    ],
)
def test_what_is_evaluated_is_not_learned_from(world, line, more, said):
    with pytest.raises(InputError, match=said):
        _fit(*more.split(), "--evaluated", "eval/utt2spk", line=line)
    assert not (world / "back").exists()


@pytest.mark.parametrize(
    ("line", "more", "said"),
    [
        ("plda adapt=t", "", "the line adapts to t .give --adapt t=SCP"),
        ("plda", "--adapt t=target/xvector.scp", "the line says nothing of adapt=t"),
        ("plda adapt=t", "--adapt target/xvector.scp", "give SET=SCP"),
        ("plda", "--cohort cohort/xvector.scp", "no score normalisation"),
        ("plda | s-norm", "--cohort-utt2spk cohort/utt2spk", "without --cohort"),
        ("plda | s-norm", "--cohort cohort/xvector.scp", "train/utt2spk: 90 of 90 x-vectors of cohort"),
        ("plda", "--dev-trials dev/trials", "without --dev"),
        ("plda", "--dev dev/xvector.scp", "give --dev-trials, or --dev-utt2spk"),
        ("plda", "--calibration logistic", "--calibration without --dev"),
        ("plda", "--dev dev/xvector.scp --dev-utt2spk eval/utt2spk", "eval/utt2spk: 60 of 60 x-vectors"),
        ("plda", "--dev dev/xvector.scp --dev-trials eval/trials", "eval/trials:1: eval-s00-1 has no vector"),
        ("plda", "--seed -1", "must not be below 0"),
        ("lda x | plda", "", "'x' is not a number of dimensions"),
        ("lda 50 | plda", "", "allow 1 to 16"),
    ],
)
def test_what_does_not_go_together_is_refused(world, line, more, said):
    with pytest.raises(InputError, match=said):
        _fit(*more.split(), line=line)


def test_x_vectors_without_a_speaker_are_refused_by_name(world):
    with open("train/utt2spk") as handle:
        lines = handle.readlines()
    (world / "train/utt2spk").write_text("".join(lines[:-2]))
    first = lines[-2].split()[0]
    with pytest.raises(InputError, match=f"train/utt2spk: 2 of 180 .* no speaker here, the first: {first}"):
        _fit()


@pytest.mark.parametrize(
    ("line", "more"),
    [
        ("center adapt=t | cosine", "--adapt t=five/xvector.scp"),
        ("coral adapt=t | cosine", "--adapt t=five/xvector.scp"),
        ("length-norm | plda adapt=t", "--adapt t=five/xvector.scp"),
        ("length-norm | cosine | s-norm", "--cohort five/xvector.scp --cohort-utt2spk five/utt2spk"),
        ("length-norm | cosine", "--dev five/xvector.scp --dev-utt2spk five/utt2spk"),
    ],
)
def test_vectors_of_another_size_are_refused(world, line, more):
    (world / "five").mkdir()
    draw, utts = np.random.default_rng(0), [f"q{n % 3}-{n}" for n in range(9)]
    vectors = {utt: draw.normal(size=5).astype(np.float32) for utt in utts}
    kaldiio.save_ark("five/xvector.ark", vectors, scp="five/xvector.scp")
    (world / "five/utt2spk").write_text("".join(f"{utt} {utt[:2]}\n" for utt in utts))
    with pytest.raises(InputError, match="vectors of 5 dimensions, where the training vectors have 16"):
        _fit(*more.split(), line=line)
    assert not (world / "back").exists()


@pytest.mark.parametrize(
    ("rows", "said"), [("", "dev.list: .* no pairs"), ("dev-s00-0 dev-s00-1 target\n", "nothing but pairs")]
)
def test_a_calibration_that_was_asked_for_is_learned_or_refused(world, rows, said):
    (world / "dev.list").write_text(rows)
    with pytest.raises(InputError, match=said):
        _fit("--dev", "dev/xvector.scp", "--dev-trials", "dev.list")
    assert not (world / "back").exists()


def test_a_folder_of_somebody_s_kaldi_files_is_refused_before_the_work(world):
    (world / "back").mkdir()
    (world / "back/mean.vec").write_text("mine")
    with pytest.raises(InputError, match="back: is no back end, but has files .*: mean.vec"):
        _fit("--adapt", "t=nowhere.scp", line="center adapt=t | plda")
    assert (world / "back/mean.vec").read_text() == "mine"


def test_swapped_tables_are_said_to_be(world):
    words = ["fit", "--line", LINE, "--xvectors", "train/utt2spk", "--utt2spk", "train/xvector.scp"]
    with pytest.raises(InputError, match="train/xvector.scp: a table of x-vectors, where utt2spk .*change"):
        commands.main([*words, "--out", "back"])


def test_a_spk2utt_is_no_utt2spk(world):
    groups: dict[str, list[str]] = {}
    for utt, speaker in (line.split() for line in open("train/utt2spk")):
        groups.setdefault(speaker, []).append(utt)
    rows = [f"{speaker} {' '.join(utts)}\n" for speaker, utts in groups.items()]
    (world / "train/utt2spk").write_text("".join(rows))
    with pytest.raises(InputError, match="train/utt2spk: 180 of 180 .*this is a spk2utt"):
        _fit()


def test_a_back_end_that_is_replaced_is_mentioned(world, capsys):
    _fit()
    assert "replaced" not in capsys.readouterr().err
    _fit(line="cosine")
    assert "back: a back end was here and is replaced" in capsys.readouterr().err


def test_speakers_from_a_pipe_serve_the_cohort_too(world, capsys):
    (world / "zz").write_text((world / "train/utt2spk").read_text() + "zz train-s00\n")
    more = ("--cohort", "train/xvector.scp")
    expected = _fit(*more, line="cosine | s-norm", out="one").cohort
    os.mkfifo("pipe")
    writer = threading.Thread(target=(world / "pipe").write_bytes, args=((world / "zz").read_bytes(),))
    writer.start()
    words = ["fit", "--line", "cosine | s-norm", "--xvectors", "train/xvector.scp", "--utt2spk", "pipe"]
    commands.main([*words, *more, "--out", "two"])
    writer.join()
    assert Backend.load("two").cohort.vectors.tobytes() == expected.vectors.tobytes()
    assert "30 speakers, 1 utterances of pipe have no x-vector" in capsys.readouterr().err

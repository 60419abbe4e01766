"""egs/librispeech, and egs/conformer_aam on the same corpus: a miniature in the owners' layout."""

from __future__ import annotations

import json
from itertools import combinations
from pathlib import Path

import pytest

from local.librispeech import pieces
from pysteps.formats.errors import InputError
from pysteps.formats.tables import read_table
from tests.corpora import Voices, prepared, results_of
from tests.pipeline import run_sh

# Lines of LibriSpeech's SPEAKERS.TXT.
SPEAKERS = """\
; reader_id | gender | subset | duration | name
19   | F | train-clean-100  | 25.19 | Kara Shallenberg
26   | M | train-clean-100  | 25.08 | Denny Sayers
27   | M | train-clean-100  | 20.14 | Sean McKinley
32   | F | train-clean-100  | 24.01 | Betsie Bush
39   | F | train-clean-100  | 25.05 | Sherry Crowther
40   | F | train-clean-100  | 25.04 | Vicki Barbour
60   | M | train-clean-100  | 20.18 | |CBW|Simon
78   | M | train-clean-100  | 25.05 | Hugh McGuire
83   | F | train-clean-100  | 25.04 | Catharine Eastman
87   | F | train-clean-100  | 25.10 | Rosalind Wills
89   | F | train-clean-100  | 25.08 | Kristen McQuillin
118  | M | train-clean-100  | 25.05 | Alex Buie
1688 | M | test-other       | 9.83  | winam
1998 | F | test-other       | 10.02 | Sonja
"""
CHAPTERS = {
    "train-clean-100": {
        **{"19": "198", "26": "495", "27": "123349", "32": "21625", "39": "121914", "40": "121026"},
        **{"60": "121082", "78": "368", "83": "11691", "87": "121553", "89": "218", "118": "121721"},
    },
    "test-other": {"1688": "142285", "1998": "15444"},
}


def build(root: Path, voices: Voices, seconds: float = 7.0) -> Path:
    """Two utterances of every speaker, each of two pieces."""
    for subset, speakers in CHAPTERS.items():
        for speaker, chapter in speakers.items():
            for number in (0, 1):
                name = f"{speaker}-{chapter}-{number:04d}.flac"
                voices.write(root / subset / speaker / chapter / name, speaker, number, seconds)
    (root / "SPEAKERS.TXT").write_text(SPEAKERS)
    return root


def test_utterances_are_cut_into_pieces_of_three_to_four_seconds() -> None:
    assert pieces(7.0) == [(0.0, 3.5), (3.5, 7.0)]
    assert pieces(4.0) == [(0.0, 4.0)] and pieces(1.4) == []
    assert [round(end - start, 3) for start, end in pieces(10.0)] == [4.0, 4.0]  # the rest is left out


def test_speakers_are_drawn_into_sets_that_share_none(tmp_path: Path) -> None:
    data = prepared("librispeech", build(tmp_path / "LibriSpeech", Voices(), 7.0), tmp_path / "work")
    sets = {name: set(read_table(data / name / "spk2utt")) for name in ("train", "dev", "eval", "test-other")}
    # of 12 speakers dev and eval get 20 and 50 of 251: 1 (two at least) and 2
    assert {name: len(who) for name, who in sets.items()} == {
        "train": 8, "dev": 2, "eval": 2, "test-other": 2,
    }  # fmt: skip
    assert all(not one & other for one, other in combinations(sets.values(), 2))
    genders = [read_table(data / name / "spk2gender") for name in ("dev", "eval")]
    assert [sorted(found.values()) for found in genders] == [["f", "m"], ["f", "m"]]
    trials = [line.split() for line in (data / "test-other" / "trials").read_text().splitlines()]
    # 2 speakers of 4 pieces: 28 pairs, 2 x 6 of them of one speaker
    assert len(trials) == 28 and sum(kind == "target" for *_, kind in trials) == 12


def test_a_speaker_without_a_line_is_named(tmp_path: Path) -> None:
    root = build(tmp_path / "LibriSpeech", Voices(real=False))
    kept = [line for line in SPEAKERS.splitlines() if not line.startswith("83")]
    (root / "SPEAKERS.TXT").write_text("\n".join(kept) + "\n")
    with pytest.raises(InputError, match="speaker 83 is not listed"):
        prepared("librispeech", root, tmp_path / "work")


@pytest.mark.long
def test_the_recipe_runs_from_the_corpus_to_eer(tmp_path: Path) -> None:
    results = results_of("librispeech", build(tmp_path / "LibriSpeech", Voices()), tmp_path / "work")
    for name in ("eval", "test-other"):
        found = results["trials"][name]["cosine"]
        assert (found["targets"], found["nontargets"]) == (12, 16) and 0 <= found["eer"] <= 50


@pytest.mark.long
def test_the_conformer_is_trained_judged_and_tuned(tmp_path: Path) -> None:
    pytest.importorskip("optuna", reason="requirements/tune.txt is not installed")
    root, work = build(tmp_path / "LibriSpeech", Voices()), tmp_path / "work"
    sizes = {"channels": 16, "blocks": 1, "hidden_channels": 32}
    small = [part for key, size in sizes.items() for part in (f"--models.network.{key}", str(size))]
    few = ["--models.xvector_dim", "16", "--train.epochs", "2", "--train.batch_size", "8"]
    few += ["--train.threads", "1", "--train.average", "1", "--train.precision", "fp32", "--augment", "none"]
    few += ["--egs.min_seconds", "1", "--egs.max_seconds", "1.5", "--score.replicates", "20", "--ngpu", "0"]
    few += ["--audio.max_dropped", "0.3", "--vad.max_dropped", "0.3"]
    few += ["--backend.backends.plda", "center | lda 2 | length-norm | plda"]
    words = ["--recipe", "conformer_aam", "--corpus", str(root), "--work", str(work), *small, *few]
    run_sh(*words)
    (exp,) = (path.parent for path in (work / "exp").glob("*/results.json"))
    assert 0 <= json.loads((exp / "results.json").read_text())["trials"]["eval"]["cosine"]["eer"] <= 50
    space = tmp_path / "space.yaml"
    space.write_text("train.lr: {float: [1e-4, 1e-2], log: true}\n")
    run_sh(*words, "--stage", "tune", "--space", str(space), "--trials", "2")
    found = json.loads((exp / "tune" / "space" / "results.json").read_text())
    assert len(found["trials"]) == 2 and (exp / "tune" / "space" / "best" / "train.yaml").is_file()

"""What is wrong with anybody's answers and labels, said in words."""

from __future__ import annotations

from pathlib import Path

import pytest

from pysteps.backend.classline import parse_class_line
from pysteps.formats import tables
from pysteps.formats.errors import InputError
from pysteps.score.arguments import parser
from pysteps.score.class_commands import judged_file
from tests.labelled_run import labelled_run
from tests.vector_run import staged

pytestmark = pytest.mark.usefixtures("undrawn")


def judged(folder: Path, answers: str, *words: str, labels: str = "a1 f\na2 f\nb1 m\n") -> dict:
    """What score classes finds of ``answers``."""
    (folder / "utt2label").write_text(labels)
    (folder / "said").write_text(answers)
    (folder / "utt2spk").write_text("a1 a\na2 a\nb1 b\n")
    given = ["--labels", str(folder / "utt2label"), "--answers", str(folder / "said"), *words]
    given = [str(folder / word) if word == "utt2spk" else word for word in given]
    return judged_file(parser("classes").parse_args(given), {"replicates": 20, "seed": 0})


def test_answers_against_their_own_posteriors_are_noted(tmp_path: Path) -> None:
    said = "1 of 2 answers are not the class of the highest posterior: are posteriors in the order f m?"
    assert said in judged(tmp_path, "a1 f 0.9 0.1\na2 f 0.4 0.6\nb1 -\n")["notes"]
    notes = judged(tmp_path, "a1 f 0.9 0.1\na2 f 0.5 0.5\nb1 m 0 1\n")["notes"]
    assert not any("highest" in note for note in notes)


def test_the_word_speaker_votes_by_the_table_of_speakers(tmp_path: Path) -> None:
    answers = "a1 f 0.9 0.1\na2 m 0.4 0.6\nb1 m 0 1\n"
    found = judged(tmp_path, answers, "--utt2spk", "utt2spk", "--vote", "speaker")
    assert found["utterances"] == 2 and found["accuracy"] == pytest.approx(100)
    with pytest.raises(InputError, match="--vote speaker needs the speakers .--utt2spk FILE"):
        judged(tmp_path, answers, "--vote", "speaker")


def test_numbers_that_are_no_posteriors_and_no_labels_are_said(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no posteriors: they do not add up to one"):
        judged(tmp_path, "a1 f 0.9 0.2\na2 m 0.4 0.6\nb1 m 0 1\n")
    with pytest.raises(InputError, match="utt2label: no labels: the file is empty"):
        judged(tmp_path, "a1 f\n", labels="")


def test_a_label_that_nobody_learned_names_its_file(tmp_path: Path) -> None:
    run = labelled_run(tmp_path)
    topic = run.set("eval").labels("utt2topic") | {"eval03-2": "sport"}
    tables.write_table(run.data / "eval" / "utt2topic", topic)
    said = r"eval/utt2topic: utterance eval03-2: 'sport' is none of the classes .*art, food, travel.*mend the"
    with pytest.raises(InputError, match=said):
        staged(run)


def test_a_classifier_with_an_unknown_word_is_named() -> None:
    with pytest.raises(InputError, match=r"^forest: unknown option 'tres=10': known are trees=NUMBER"):
        parse_class_line("averages | forest tres=10")

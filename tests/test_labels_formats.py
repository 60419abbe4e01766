"""Labels of data directories and runs: whose they are, and what is refused before anything is trained."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from pysteps.formats.datadir import DataSet, check_classes, mend
from pysteps.formats.errors import InputError
from pysteps.formats.run import Run
from pysteps.formats.tables import read_table, write_table
from pysteps.prepare import stage as prepare
from pysteps.recipe.checks import check_sets
from pysteps.recipe.options import parse
from pysteps.recipe.resolve import read_recipe, resolve
from tests.pipeline import REPO

UTT2SPK = {"a-1": "a", "a-2": "a", "b-1": "b"}
WORDS = ["--recipe", "librispeech_gender", "--corpus", "/nowhere"]


def dataset(folder: Path, utt2spk: dict[str, str] = UTT2SPK, **tables: dict[str, str]) -> DataSet:
    write_table(folder / "utt2spk", utt2spk)
    for name, table in tables.items():
        write_table(folder / name, table)
    return DataSet(folder)


def test_labels_by_speaker_and_by_utterance(tmp_path: Path) -> None:
    topics = {"a-1": "food", "a-2": "travel", "b-1": "food"}
    data = dataset(tmp_path, spk2gender={"a": "f", "b": "m"}, utt2topic=topics)
    assert data.labels("spk2gender") == {"a-1": "f", "a-2": "f", "b-1": "m"}
    assert data.labels("utt2topic") == topics


@pytest.mark.parametrize(
    ("name", "table", "message"),
    [
        ("spk2gender", None, r"spk2gender.*no such labels.*there are utt2topic"),
        ("spk2gender", {"a": "f"}, r"spk2gender.*b-1.*no label of speaker b.*add b"),
        ("utt2lang", {"a-1": "en", "b-1": "de"}, r"utt2lang.*a-2.*no label of this utterance"),
        ("spk2gender", {"a": "f", "b": "not said"}, r"spk2gender:2.*'not said' is no label.*not_said"),
        ("spk2gender", {"a": "f", "b": "-"}, r"spk2gender:2.*'-' says nothing"),
        ("utt2spk", None, r"'utt2spk' names no labels.*spk2gender"),
        ("gender", None, r"'gender' names no labels"),
    ],
)
def test_what_is_no_label_is_refused(
    tmp_path: Path, name: str, table: dict[str, str] | None, message: str
) -> None:
    data = dataset(tmp_path, utt2topic=dict.fromkeys(UTT2SPK, "x"))
    if table is not None:
        write_table(tmp_path / name, table)
    with pytest.raises(InputError, match=message):
        data.labels(name)


def test_one_class_and_a_class_that_training_has_not_are_refused(tmp_path: Path) -> None:
    train = dataset(tmp_path / "train", spk2gender={"a": "f", "b": "m"})
    alone = dataset(tmp_path / "alone", spk2gender={"a": "f", "b": "f"})
    dev = dataset(tmp_path / "dev", {"c-1": "c"}, spk2gender={"c": "x"})
    check_classes(train, [alone], "spk2gender")
    with pytest.raises(InputError, match=r"alone/spk2gender.*all utterances are f"):
        check_classes(alone, [train], "spk2gender")
    with pytest.raises(InputError, match=r"dev/spk2gender.*c-1.*x is no class of train, which has f, m"):
        check_classes(train, [dev], "spk2gender")


def test_tables_of_speakers_are_sorted_and_checked_whatever_they_are_called(tmp_path: Path) -> None:
    data = dataset(tmp_path)
    (tmp_path / "spk2age").write_text("b 40\na 20\n")
    assert any("spk2age: was not sorted" in said for said in mend(data))
    assert list(read_table(tmp_path / "spk2age")) == ["a", "b"]


def test_a_copy_has_the_label_of_its_clean_utterance(tmp_path: Path) -> None:
    run = resolve(REPO, parse([*WORDS, "--work", str(tmp_path), "--augment.kinds", "noise,speed0.9"]))
    assert run.labels == "spk2gender" and run.labelled_sets == ["train", "dev", "eval", "test-other"]
    dataset(run.data / "train", spk2gender={"a": "f", "b": "m"})
    copies = {f"{utt}-speed0.9": json.dumps({"of": utt, "chain": []}) for utt in UTT2SPK}
    dataset(run.data / "train_speed0.9", {utt: "x-speed0.9" for utt in copies}, augment=copies)
    assert run.classes("train_speed0.9") == {"a-1-speed0.9": "f", "a-2-speed0.9": "f", "b-1-speed0.9": "m"}
    assert replace(run, labels="").classes("train") == UTT2SPK
    write_table(run.data / "train" / "utt2spk", {"a-1": "a", "b-1": "b"})
    with pytest.raises(InputError, match=r"a-2-speed0.9: a copy of a-2, which train has not.*stage augment"):
        run.classes("train_speed0.9")


def test_a_run_of_a_version_without_labels_is_read(tmp_path: Path) -> None:
    run = resolve(REPO, parse(["--recipe", "mini", "--work", str(tmp_path)]))
    content = asdict(run)
    del content["labels"]
    (tmp_path / "run.json").write_text(json.dumps(content))
    assert Run.load(tmp_path / "run.json").labels == ""


def test_the_label_file_of_every_set_is_asked_for_in_stage_prepare(tmp_path: Path) -> None:
    run = resolve(REPO, parse([*WORDS, "--work", str(tmp_path)]))
    for name in run.labelled_sets:
        utts = {f"{name}-{speaker}-1": f"{name}-{speaker}" for speaker in "ab"}
        genders = {f"{name}-a": "f", f"{name}-b": "m"}
        dataset(run.data / name, utts, spk2gender=genders)
        write_table(run.data / name / "wav.scp", {utt: f"{utt}.wav" for utt in utts})
    prepare.validate(run)  # without any trials
    (run.data / "test-other" / "spk2gender").unlink()
    with pytest.raises(InputError, match=r"test-other/spk2gender.*no such labels.*write it"):
        prepare.validate(run)
    prepare.validate(replace(run, labels=""))


def test_labels_are_in_the_stamp_of_stage_prepare_only_where_there_are_any(tmp_path: Path) -> None:
    run = resolve(REPO, parse([*WORDS, "--work", str(tmp_path)]))
    (unit,), (plain,) = prepare.units(run), prepare.units(replace(run, labels=""))
    assert unit.options["labels"] == "spk2gender" and "labels" not in plain.options


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--train", "triplet"], r"labels=spk2gender: the loss 'triplet.*no class its posterior.*softmax"),
        (
            ["--train.phases", "[{loss: ge2e, utterances_per_speaker: 4}]"],
            r"phase 2 of training: the loss 'ge2e'",
        ),
        (["--egs.balance", "half"], r"unknown balance of egs 'half'.*none, subset"),
        (["--train.class_weights", "1"], r"unknown class_weights '1'.*none, balanced"),
    ],
)
def test_what_cannot_tell_labels_is_refused_before_stage_prepare(words: list[str], message: str) -> None:
    with pytest.raises(InputError, match=message):
        resolve(REPO, parse([*WORDS, *words]))


def test_a_recipe_with_labels_has_no_conversations(tmp_path: Path) -> None:
    run = resolve(REPO, parse(WORDS))
    with pytest.raises(InputError, match=r"who speaks when is asked of speakers"):
        check_sets(replace(run, diarize_sets=["talks"]))
    with pytest.raises(InputError, match=r"librispeech_gender/recipe.sh.*'gender' names no labels"):
        check_sets(replace(run, labels="gender"))


@pytest.mark.parametrize("name", ["libritts_gender", "librispeech_gender"])
@pytest.mark.parametrize(
    "words", [[], ["--models", "meancnn", "--features", "logmel128_mean", "--train", "meancnn"]]
)
def test_both_recipes_of_gender_and_their_baseline_resolve(name: str, words: list[str]) -> None:
    assert read_recipe(REPO / "egs" / name)["labels"] == "spk2gender"
    run = resolve(REPO, parse(["--recipe", name, "--corpus", "/nowhere", *words]))
    assert run.options["train"]["class_weights"] == "balanced"
    assert run.options["models"]["feature_dim"] == (128 if words else 80)

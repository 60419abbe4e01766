"""posterior.scp: what the network's own loss says of each x-vector, against the head worked out by hand."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from pysteps.extract import stage
from pysteps.extract.posteriors import refuse_classes, write_posteriors
from pysteps.formats import arks
from pysteps.formats.errors import InputError
from pysteps.formats.run import Run
from pysteps.formats.tables import read_table, write_table
from pysteps.formats.vectors import read_rows
from pysteps.recipe.options import parse
from pysteps.recipe.resolve import resolve
from pysteps.train.losses import build_head
from pysteps.train.options import TrainOptions
from pysteps.train.start import load_head, save_head
from tests.corpora import Voices
from tests.pipeline import REPO, TINY, run_sh

CLASSES = ["f", "m"]


def small_run(work: Path, *words: str) -> Run:
    run = resolve(
        REPO, parse(["--recipe", "librispeech_gender", "--corpus", "/x", "--work", str(work), *words])
    )
    options = TrainOptions(**run.options["train"])
    save_head(build_head(options.loss, 4, 2, options), CLASSES, run.exp / "model")
    write_table(run.data / "train" / "utt2spk", {f"u{n}": f"s{n % 2}" for n in range(7)})
    write_table(run.data / "train" / "spk2gender", {"s0": "f", "s1": "m"})
    folder, rng = stage.folder_of(run, "train"), np.random.default_rng(0)
    with arks.writing(folder / "xvector.1.ark") as writer:
        for n in range(7):
            writer.array(f"u{n}", rng.normal(size=4).astype(np.float32))
    write_table(folder / "xvector.scp", writer.scp)
    return run


def rows(folder: Path, name: str) -> np.ndarray:
    return read_rows(read_table(folder / f"{name}.scp"), folder)


def test_posteriors_are_the_heads_softmax(tmp_path: Path) -> None:
    run = small_run(tmp_path)
    folder = stage.folder_of(run, "train")
    write_posteriors(run, folder)
    head, names = load_head(run.exp / "model", TrainOptions(**run.options["train"]), 4)
    weight, bias = (value.double().numpy() for value in head.state_dict().values())
    logits = rows(folder, "xvector") @ weight.T + bias
    found = rows(folder, "posterior")
    assert names == CLASSES and list(read_table(folder / "posterior.scp")) == [f"u{n}" for n in range(7)]
    assert np.allclose(found, np.exp(logits) / np.exp(logits).sum(1, keepdims=True), atol=1e-6)
    assert np.allclose(found.sum(1), 1, atol=1e-6) and found.dtype == np.float32


def test_only_runs_with_labels_have_posteriors(tmp_path: Path) -> None:
    run = small_run(tmp_path)
    unit, plain = stage.units(run)[0], stage.units(replace(run, labels=""))[0]
    assert unit.folder / "posterior.scp" in unit.outputs and run.exp / "model" / "speakers" in unit.inputs
    assert [path.name for path in plain.outputs] == ["xvector.scp", "baseline.scp", "spk_xvector.scp"]
    assert "labels" not in plain.options and "loss" not in plain.options


def test_weights_of_another_loss_are_refused(tmp_path: Path) -> None:
    run = small_run(tmp_path)
    with pytest.raises(InputError, match=r"head.safetensors.*no weights of the loss 'am'"):
        load_head(run.exp / "model", TrainOptions(loss="am"), 4)
    (run.exp / "model" / "head.safetensors").unlink()
    with pytest.raises(InputError, match=r"no head.safetensors beside the model"):
        load_head(run.exp / "model", TrainOptions(loss="am"), 4)


def test_of_several_phases_the_last_ones_loss_is_read(tmp_path: Path) -> None:
    run = small_run(tmp_path)
    first = TrainOptions(loss="aam", phases=[{"loss": "softmax", "epochs": 1}])
    assert "output.weight" in load_head(run.exp / "model", first, 4)[0].state_dict()


def test_a_model_that_tells_others_is_refused(tmp_path: Path) -> None:
    run = small_run(tmp_path)
    refuse_classes(run)
    (run.exp / "model" / "speakers").write_text("19\n26\n")
    with pytest.raises(InputError, match=r"model/speakers.*tells 19, 26, none of them a label of spk2gender"):
        refuse_classes(run)
    (run.exp / "model" / "speakers").unlink()
    with pytest.raises(InputError, match=r"model/speakers.*run stage train"):
        refuse_classes(run)


@pytest.mark.long
@pytest.mark.parametrize(
    "words", [[], ["--models", "meancnn", "--features", "logmel128_mean", "--train", "meancnn"]]
)
def test_gender_on_the_corpus_in_its_layout_from_audio_to_posteriors(
    tmp_path: Path, words: list[str]
) -> None:
    from tests.test_prepare_libri import build

    root = build(tmp_path / "corpus", "libritts", Voices())
    work = tmp_path / "work"
    own = ("models.", "augment.", "backend.") if words else ("augment.", "backend.")
    settings = {key: value for key, value in TINY.items() if not key.startswith(own)}
    settings |= {"audio.max_dropped": "0.3", "vad.max_dropped": "0.3", "train.epoch_parts": "1"}
    options = [part for key, value in settings.items() for part in (f"--{key}", value)]
    where = ["--recipe", "libritts_gender", "--corpus", str(root), "--work", str(work)]
    run_sh(*where, *options, *words, "--stop-stage", "extract", "--nj", "2", "--ngpu", "0")
    (egs,) = (work / "exp" / "egs").iterdir()
    (exp,) = (path for path in (work / "exp").iterdir() if (path / "model").is_dir())
    assert read_table(egs / "speakers") == {"f": "0", "m": "1"}
    speakers = read_table(work / "data" / "train" / "utt2spk")
    genders = read_table(work / "data" / "train" / "spk2gender")
    held = {speakers[key.split("-", 1)[1].split("@")[0]] for key in read_table(egs / "valid.1.lab")}
    assert sorted(genders[speaker] for speaker in held) == ["f", "m"]
    assert (exp / "model" / "speakers").read_text() == "f\nm\n"
    assert '"dev_balanced_accuracy"' in (exp / "curves.jsonl").read_text()
    for name in ("train", "dev", "test-clean", "test-other"):
        folder = exp / "xvectors" / name
        found = rows(folder, "posterior")
        assert read_table(folder / "posterior.scp").keys() == read_table(folder / "xvector.scp").keys()
        assert found.shape[1] == 2 and np.allclose(found.sum(1), 1, atol=1e-5)
    again = run_sh(*where, *options, *words, "--stop-stage", "extract", "--nj", "1", "--ngpu", "0")
    assert "posterior" not in again.stderr

"""Stages 8 and 9 of a run with labels, on vectors that no network made; comparisons and the command line."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from pysteps.backend import stage as backend
from pysteps.backend.classifier import Classifier
from pysteps.backend.vectors import read_vectors
from pysteps.formats import tables
from pysteps.formats.errors import InputError
from pysteps.formats.run import Run
from pysteps.score import commands
from pysteps.score import stage as score
from pysteps.score.class_experiments import compare_classes
from pysteps.score.options import ScoreOptions
from tests.labelled_run import CLASSES, labelled_run
from tests.vector_run import small_run, staged

pytestmark = pytest.mark.usefixtures("undrawn")


def with_options(run: Run, room: str, **changes: object) -> Run:
    return replace(run, options={**run.options, room: {**run.options[room], **changes}})


def found_of(run: Run, name: str = "eval") -> dict:
    return json.loads((run.exp / "results.json").read_text())["classification"][name]


def answers_of(run: Run, name: str) -> dict[str, str]:
    return tables.read_table(run.exp / "scores" / "eval" / name)


def test_from_vectors_to_figures(tmp_path: Path) -> None:
    run = labelled_run(tmp_path)
    assert [unit.name for unit in staged(run)] == ["network", "logistic", "eval", "report"]
    assert staged(run) == []
    found, labels = found_of(run), run.set("eval").labels("utt2topic")
    assert list(found) == ["network", "logistic"]
    keys, rows = read_vectors(run.exp / "xvectors" / "eval" / "posterior.scp")
    said = {key: CLASSES[::-1][row.argmax()] for key, row in zip(keys, rows, strict=True)}
    assert {key: line.split()[0] for key, line in answers_of(run, "network").items()} == said
    assert found["network"]["accuracy"] == pytest.approx(
        100 * np.mean([said[utt] == label for utt, label in labels.items()])
    )
    assert found["network"]["confusion"]["labels"] == sorted(CLASSES)
    # The posteriors of a file stand in the classes' C-locale order.
    first = [float(word) for word in answers_of(run, "network")[keys[0]].split()[1:]]
    assert first == pytest.approx(rows[0][::-1].tolist(), abs=1e-6)
    pair = found["logistic"]["against"]["network"]
    gap = found["logistic"]["accuracy"] - found["network"]["accuracy"]
    assert pair["accuracy_difference"] == pytest.approx(gap)
    assert "accuracy %" in score.summary(run)
    assert f"| r | tag | eval | network | {found['network']['accuracy']:.2f} (" in (
        run.exp.parent / "RESULTS.md"
    ).read_text("utf-8")


def test_the_network_comes_first_whatever_it_is_called(tmp_path: Path) -> None:
    # run.json keeps no order. The first is what the others are compared with.
    lines = {
        "b": "averages | logistic",
        "a": "averages | logistic",
        "c": "xvectors | logistic",
        "z": "network",
    }
    run = labelled_run(tmp_path, **lines)
    run.save(tmp_path / "run.json")
    assert [unit.name for unit in backend.units(Run.load(tmp_path / "run.json"))] == ["z", "c", "a", "b"]


def test_a_classifier_is_what_it_was_learned_to_be(tmp_path: Path) -> None:
    run = labelled_run(tmp_path, trees="averages | standardise | forest trees=12")
    (unit,) = backend.units(run)
    backend.do(run, unit)
    utts, rows = read_vectors(run.exp / "xvectors" / "train" / "baseline.scp")
    topic = run.set("train").labels("utt2topic")
    wanted = Classifier.fit(unit.options["line"], rows, [topic[utt] for utt in utts])
    got = Classifier.load(unit.folder)
    assert (got.posteriors(rows) == wanted.posteriors(rows)).all()


def test_stages_8_and_9_never_import_torch(tmp_path: Path, repo: Path) -> None:
    code = (
        "import sys, pathlib\n"
        "from tests.labelled_run import labelled_run\n"
        "from tests.vector_run import staged\n"
        "staged(labelled_run(pathlib.Path(sys.argv[1]), a='averages | logistic', b='averages | boosting'))\n"
        "assert 'torch' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=True, cwd=repo)


def test_what_changed_is_made_again(tmp_path: Path) -> None:
    run = labelled_run(tmp_path)
    staged(run)
    (run.exp / "backend" / "logistic" / "classifier.safetensors").unlink()
    assert [unit.name for unit in staged(run)] == ["logistic"]
    topic = run.set("eval").labels("utt2topic")
    changed = topic | dict.fromkeys([utt for utt in topic if utt.startswith("eval00")], "travel")
    tables.write_table(run.data / "eval" / "utt2topic", changed)
    assert [unit.name for unit in staged(run)] == ["eval", "report"]
    run = with_options(run, "score", vote="speaker")
    assert [unit.name for unit in staged(run)] == ["eval", "report"]
    run = with_options(run, "backend", classifiers={"network": "network"})
    assert [unit.name for unit in staged(run)] == ["eval", "report"]
    assert not (run.exp / "scores" / "eval" / "logistic").exists()  # nobody shall read it
    (run.exp / "curves.jsonl").write_text('{"epoch": 1, "dev_accuracy": 0.5}\n')
    assert [unit.name for unit in staged(run)] == ["report"]


def test_runs_without_labels_keep_their_stamps(tmp_path: Path) -> None:
    run = small_run(tmp_path)
    new = with_options(with_options(run, "score", vote="none"), "backend", classifiers={"a": "network"})
    for stage in (backend, score):
        for one, two in zip(stage.units(run), stage.units(new), strict=True):
            assert one == two


@pytest.mark.parametrize("vote", ["speaker", "utt2video"])
def test_votes_are_by_speaker_or_by_a_table(tmp_path: Path, vote: str) -> None:
    run = with_options(labelled_run(tmp_path), "score", vote=vote)
    groups = run.set("eval").utt2spk()
    if vote == "utt2video":
        groups = {utt: f"{one}v{utt[-1] in '01'}" for utt, one in groups.items()}
        tables.write_table(run.data / "eval" / "utt2video", groups)
    staged(run)
    found = found_of(run)["network"]
    assert found["utterances"] == len(set(groups.values())) == (12 if vote == "speaker" else 24)
    assert found["unvoted"]["utterances"] == 48 and found["speakers"] == 12
    keys, rows = read_vectors(run.exp / "xvectors" / "eval" / "posterior.scp")
    labels = run.set("eval").labels("utt2topic")
    right = []
    for group in sorted(set(groups.values())):
        own = [row for key, row in zip(keys, rows, strict=True) if groups[key] == group]
        said = CLASSES[::-1][np.log(own).sum(axis=0).argmax()]
        right.append(said == next(labels[utt] for utt, one in groups.items() if one == group))
        assert answers_of(run, "network")[group].split()[0] == said
    assert found["accuracy"] == pytest.approx(100 * np.mean(right))
    assert found["accuracy"] >= found["unvoted"]["accuracy"]


def test_what_cannot_be_voted_on_is_said(tmp_path: Path) -> None:
    run = with_options(labelled_run(tmp_path), "score", vote="utt2video")
    tables.write_table(run.data / "eval" / "utt2video", dict.fromkeys(run.set("eval").utt2spk(), "one"))
    with pytest.raises(InputError, match="one is art and food: what is voted on has one label"):
        staged(run)
    tables.write_table(run.data / "eval" / "utt2video", {"eval00-0": "one"})
    with pytest.raises(InputError, match="utterance eval00-1: is in no group"):
        staged(run)
    with pytest.raises(InputError, match="nothing to vote by"):
        ScoreOptions(vote="video")


def test_dropped_utterances_are_wrong_and_counted(tmp_path: Path) -> None:
    run = labelled_run(tmp_path)
    folder = run.exp / "xvectors" / "eval"
    for name in ("xvector.scp", "posterior.scp"):
        table = tables.read_table(folder / name)
        del table["eval03-2"]
        tables.write_table(folder / name, table)
    with pytest.raises(InputError, match="utterance eval03-2: neither answered nor dropped"):
        staged(run)
    tables.write_table(folder / "dropped", {"eval03-2": "too short"})
    staged(run)
    assert answers_of(run, "logistic")["eval03-2"] == "-"
    found = found_of(run)["network"]
    assert found["dropped"] == 1 and found["utterances"] == 48 and sum(found["confusion"]["unanswered"]) == 1
    with pytest.raises(InputError, match=r"1 of 48 utterances were dropped, above 1.00%"):
        staged(with_options(run, "score", max_dropped=0.01))


def test_what_is_no_posterior_is_refused(tmp_path: Path) -> None:
    run = labelled_run(tmp_path, network="network")
    (run.exp / "model" / "speakers").write_text("art\nfood\n")
    with pytest.raises(InputError, match="3 numbers an utterance are no posteriors of 2 classes"):
        staged(run)
    (run.exp / "model" / "speakers").write_text("art 0\nfood 1\n")
    with pytest.raises(InputError, match="not a list of classes, a word a line"):
        staged(run)


def test_adaptation_is_to_unlabelled_sets_alone(tmp_path: Path) -> None:
    run = labelled_run(tmp_path, shifted="xvectors | center adapt=dev | logistic")
    assert [unit.name for unit in staged(run)] == ["shifted", "eval", "report"]
    _, dev = read_vectors(run.exp / "xvectors" / "dev" / "xvector.scp")
    learned = Classifier.load(run.exp / "backend" / "shifted")
    np.testing.assert_allclose(learned.chain.steps[0].array, dev.mean(axis=0), atol=1e-6)
    bad = with_options(run, "backend", classifiers={"shifted": "xvectors | center adapt=eval | logistic"})
    with pytest.raises(InputError, match="adapts to eval: possible are dev"):
        backend.units(bad)


@pytest.mark.long
def test_from_audio_to_the_report(tmp_path: Path) -> None:
    from tests.pipeline import TINY, run_sh
    from tests.test_labels_extract import Voices
    from tests.test_prepare_libri import build

    corpus, work = build(tmp_path / "corpus", "libritts", Voices()), tmp_path / "work"
    settings = {key: one for key, one in TINY.items() if not key.startswith(("augment.", "backend."))}
    settings |= {f"{stage}.max_dropped": "0.5" for stage in ("audio", "vad", "extract", "score")}
    words = ["--recipe", "libritts_gender", "--corpus", str(corpus), "--work", str(work)]
    words += [part for key, value in settings.items() for part in (f"--{key}", value)]
    words += ["--train.epoch_parts", "1", "--train", "softmax", "--backend", "classes", "--ngpu", "0"]
    said = run_sh(*words, "--nj", "2").stdout
    assert "ROC-AUC" in said and "logistic-xvectors" in said
    (exp,) = (path for path in (work / "exp").iterdir() if (path / "model").is_dir())
    found = json.loads((exp / "results.json").read_text())
    assert found["labels"] == "spk2gender" and list(found["classification"]) == ["test-clean", "test-other"]
    for name, part in found["classification"].items():
        assert list(part)[:2] == ["network", "logistic-xvectors"] and len(part) == 7
        rows = tables.read_table(exp / "scores" / name / "network")
        truth = Run.load(exp).set(name).labels("spk2gender")
        right = np.mean([row.split()[0] == truth[utt] for utt, row in rows.items()])
        assert part["network"]["accuracy"] == pytest.approx(100 * right)
    assert (exp / "report.html").read_text("utf-8").count("<details>") == 12
    again = run_sh(*words, "--nj", "1").stdout
    assert "backend: fresh" in again and "score: fresh" in again


@pytest.fixture
def experiments(tmp_path: Path) -> list[Path]:
    """Two experiments on one set: exp/tag, and exp/other with the network alone."""
    run = labelled_run(tmp_path)
    other = replace(run, tag="other")
    other = with_options(other, "backend", classifiers={"network": "network"})
    (run.exp.parent / "other").mkdir()
    for part in ("model", "xvectors"):
        subprocess.run(["cp", "-r", run.exp / part, other.exp / part], check=True)
    table = tables.read_table(other.exp / "xvectors" / "eval" / "posterior.scp")
    turned = dict(zip(table, reversed(table.values()), strict=True))  # answers for somebody else
    tables.write_table(other.exp / "xvectors" / "eval" / "posterior.scp", turned)
    for one in (run, other):
        one.save(one.exp / "run.json")
        staged(one)
    return [run.exp, other.exp]


def test_experiments_are_compared_by_paired_differences(experiments: list[Path]) -> None:
    found = compare_classes(experiments, systems=["tag/network", "network"], replicates=50)
    assert list(found["sets"]["eval"]) == ["tag/network", "other/network"]
    one, two = (
        json.loads((folder / "results.json").read_text())["classification"]["eval"]["network"]
        for folder in experiments
    )
    pair = found["differences"]["eval"]["other/network"]
    assert found["against"] == {"eval": "tag/network"}
    assert pair["accuracy_difference"] == pytest.approx(two["accuracy"] - one["accuracy"])
    assert pair["accuracy_difference_ci"][1] < 0
    assert found["sets"]["eval"]["tag/network"]["accuracy_ci"] == one["accuracy_ci"]
    with pytest.raises(InputError, match="no set test that all have: known are eval"):
        compare_classes(experiments, lists=["test"])


def test_compare_finds_out_what_kind_they_are(experiments: list[Path], tmp_path: Path, capsys) -> None:
    words = ["compare", *map(str, experiments), "--replicates", "20"]
    commands.main([*words, "--out", str(tmp_path / "page.html")])
    said = capsys.readouterr().out
    assert "eval: against tag/" in said and "other/network" in said
    page = (tmp_path / "page.html").read_text("utf-8")
    assert "other/network − tag/" in page
    commands.main([*words, "--row"])
    assert "| eval | other/network |" in capsys.readouterr().out
    commands.main([*words, "--json"])
    assert json.loads(capsys.readouterr().out)["labels"] == "utt2topic"
    with pytest.raises(InputError, match="these experiments have labels"):
        commands.main([*words, "--llr", "yes"])
    with pytest.raises(InputError, match="page is an .html file"):
        commands.main([*words, "--out", "page.txt"])


def test_experiments_of_other_labels_are_not_compared(experiments: list[Path]) -> None:
    path = experiments[1] / "results.json"
    found = json.loads(path.read_text())
    path.write_text(json.dumps({**found, "labels": "utt2lang"}))
    with pytest.raises(InputError, match="labels utt2lang, where .* has utt2topic"):
        compare_classes(experiments)
    path.write_text(json.dumps({"trials": {}}))
    with pytest.raises(InputError, match="verifies speakers, where others have labels"):
        compare_classes(experiments)


def test_anybodys_answers_are_judged(tmp_path: Path, capsys) -> None:
    (tmp_path / "utt2label").write_text("a1 f\na2 f\nb1 m\nb2 m\nc1 f\n")
    (tmp_path / "utt2spk").write_text("a1 a\na2 a\nb1 b\nb2 b\nc1 c\n")
    (tmp_path / "said").write_text("a1 f 0.9 0.1\na2 m 0.3 0.7\nb1 m 0.2 0.8\nb2 m 0.4 0.6\nc1 -\n")
    words = ["classes", "--labels", str(tmp_path / "utt2label"), "--answers", str(tmp_path / "said")]
    commands.main([*words, "--utt2spk", str(tmp_path / "utt2spk"), "--json"])
    found = json.loads(capsys.readouterr().out)
    assert found["accuracy"] == pytest.approx(60) and found["dropped"] == 1
    assert found["roc_auc"] == pytest.approx(3 / 6)  # b1 beats a1 and a2, b2 beats a1, nobody beats c1
    commands.main(words)
    said = capsys.readouterr().out
    assert "accuracy %" in said and "f 1, m 1, no answer 1" in said
    commands.main([*words, "--vote", str(tmp_path / "utt2spk")])
    assert "3 answers" in capsys.readouterr().out
    commands.main([*words[:3], "--answers", str(tmp_path / "utt2label"), "--classes", "f", "m"])
    assert "100.00" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"said": "a1 f\nz9 m\n"}, "utterance z9: has an answer, but no label"),
        ({"utt2label": "a1 f\na2 f\n"}, "two different ones at least"),
        ({"said": "a1 f\n"}, "utterance b1: no answer"),
        ({"utt2spk": "a1 a\n"}, "utterance b1: has no speaker"),
        ({"utt2label": "a1 f\nb1 -\n"}, "a class '-': among answers it is none"),
    ],
)
def test_what_does_not_belong_together_is_said(tmp_path: Path, change: dict, said: str) -> None:
    files = {"utt2label": "a1 f\nb1 m\n", "said": "a1 f\nb1 m\n", "utt2spk": "a1 a\nb1 b\n"} | change
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    words = ["--labels", "utt2label", "--answers", "said", "--utt2spk", "utt2spk"]
    with pytest.raises(InputError, match=said):
        commands.main(["classes", *(str(tmp_path / word) if word in files else word for word in words)])

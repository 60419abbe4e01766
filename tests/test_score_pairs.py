"""One command scores anybody's x-vectors."""

from __future__ import annotations

import json

import kaldiio
import numpy as np
import pytest

from pysteps.backend import Backend, Chain, fit_plda
from pysteps.backend.products import pair_products
from pysteps.backend.scorers import plda_scores
from pysteps.formats.errors import InputError
from pysteps.formats.vectors import read_rows
from pysteps.score import commands, read_scores, read_trials
from tests.literal import plda_ratio


@pytest.fixture
def files(tmp_path):
    """(vectors {id: [6]}, x-vectors written by kaldiio, trials of all pairs)."""
    draw = np.random.default_rng(0)
    vectors = {f"u{n}": draw.normal(size=6).astype(np.float32) for n in range(12)}
    kaldiio.save_ark(str(tmp_path / "x.ark"), vectors, scp=str(tmp_path / "x.scp"))
    lines = [
        f"u{a} u{b} {'target' if a % 3 == b % 3 else 'nontarget'}\n" for a in range(12) for b in range(12)
    ]
    (tmp_path / "trials").write_text("".join(lines))
    return vectors, tmp_path / "x.scp", tmp_path / "trials"


def _scores(word, files, tmp_path, *more):
    _, scp, trials = files
    out = tmp_path / "scores"
    words = (word, "--trials", trials, "--enrol", scp, "--test", scp, "--out", out, *more)
    commands.main([str(one) for one in words])
    return read_trials(trials), read_scores(out, read_trials(trials))


def test_cosine_is_the_definition(files, tmp_path, capsys):
    trials, scores = _scores("cosine", files, tmp_path)
    for number, score in enumerate(scores):
        one, two = (files[0][name].astype(float) for name in trials.pair(number))
        assert score == pytest.approx(one @ two / np.linalg.norm(one) / np.linalg.norm(two), abs=1e-7)


def test_two_tables_give_what_one_gives(files, tmp_path, capsys):
    vectors, scp, _ = files
    whole = _scores("cosine", files, tmp_path)[1]
    (tmp_path / "other.scp").write_text("".join(reversed(scp.read_text().splitlines(keepends=True))))
    parted = _scores("cosine", files, tmp_path, "--test", tmp_path / "other.scp")[1]
    assert whole.tolist() == parted.tolist()


def test_plda_with_a_back_end_is_the_ratio_of_each_pair(files, tmp_path, capsys):
    vectors = np.array(list(files[0].values()))
    plda = fit_plda(vectors, [f"s{n % 3}" for n in range(12)])
    Backend(Chain([]), plda).save(tmp_path / "back")
    (tmp_path / "num").write_text("".join(f"u{n} {n % 4 + 1}\n" for n in range(12)))
    more = ("--backend", tmp_path / "back", "--num-utts", tmp_path / "num")
    trials, scores = _scores("plda", files, tmp_path, *more)
    for number in range(0, 144, 7):
        one, two = trials.pair(number)
        count = int(one[1:]) % 4 + 1
        given = plda.project(files[0][one][None], count), plda.project(files[0][two][None])
        assert scores[number] == pytest.approx(plda_ratio(plda.psi, given[0], count, given[1])[0], rel=1e-6)


def test_cosine_of_a_plda_back_end_goes_through_its_transforms(files, tmp_path, capsys):
    vectors = np.array(list(files[0].values()))
    from pysteps.backend import fit

    back = Backend(fit("center", vectors, ["s"] * 12), fit_plda(vectors, [f"s{n % 3}" for n in range(12)]))
    back.save(tmp_path / "back")
    trials, scores = _scores("cosine", files, tmp_path, "--backend", tmp_path / "back")
    one, two = (files[0][name] - vectors.mean(0) for name in trials.pair(5))
    assert scores[5] == pytest.approx(one @ two / np.linalg.norm(one) / np.linalg.norm(two), abs=1e-6)


def test_an_id_without_a_vector_is_refused_or_wrong_where_dropped(files, tmp_path, capsys):
    scp = files[1]
    lines = scp.read_text().splitlines(keepends=True)
    scp.write_text("".join(lines[1:]))
    gone = lines[0].split()[0]
    with pytest.raises(InputError, match=f"1 of 12 ids .* first: {gone}"):
        _scores("cosine", files, tmp_path)
    (tmp_path / "dropped").write_text(f"{gone} extract too-short\n")
    trials, scores = _scores("cosine", files, tmp_path, "--dropped", tmp_path / "dropped")
    assert np.isinf(scores).tolist() == trials.touches({gone}).tolist()


def test_plda_needs_a_plda(files, tmp_path):
    Backend(Chain([])).save(tmp_path / "back")
    with pytest.raises(InputError, match="no plda in this back end"):
        _scores("plda", files, tmp_path, "--backend", tmp_path / "back")
    with pytest.raises(InputError, match="no calibration"):
        _scores("cosine", files, tmp_path, "--backend", tmp_path / "back", "--calibrated")


def test_rows_are_read_as_kaldiio_reads_them(tmp_path):
    draw = np.random.default_rng(1)
    vectors = {f"k{n}": draw.normal(size=5) for n in range(9)}
    table = {}
    for name, kind in (("single", np.float32), ("double", np.float64)):
        some = {f"{key}-{name}": vector.astype(kind) for key, vector in vectors.items()}
        kaldiio.save_ark(str(tmp_path / f"{name}.ark"), some, scp=str(tmp_path / f"{name}.scp"))
        table |= dict(line.split() for line in (tmp_path / f"{name}.scp").read_text().splitlines())
    got = read_rows(table, "table")
    expected = [vectors[key.split("-")[0]].astype(np.float32) for key in table]
    assert got.dtype == np.float32 and got.tolist() == np.array(expected).tolist()


def test_vectors_of_another_size_and_entries_beyond_the_file_are_refused(tmp_path):
    vectors = {"a": np.zeros(5, np.float32), "b": np.zeros(4, np.float32)}
    kaldiio.save_ark(str(tmp_path / "x.ark"), vectors, scp=str(tmp_path / "x.scp"))
    table = dict(line.split() for line in (tmp_path / "x.scp").read_text().splitlines())
    with pytest.raises(InputError, match="b: a vector of shape .4,. among those of 5"):
        read_rows(table, "table")
    with pytest.raises(InputError, match="no Kaldi matrix"):
        read_rows({"a": table["a"], "c": f"{tmp_path}/x.ark:99999"}, "table")
    with pytest.raises(InputError, match="command"):
        read_rows({"a": table["a"], "c": "rm -rf x |"}, "table")


@pytest.mark.parametrize("threads", ["1", "3"])
def test_products_of_many_tiles_are_einsum_row_by_row(monkeypatch, threads):
    monkeypatch.setenv("OMP_NUM_THREADS", threads)
    monkeypatch.setattr("pysteps.backend.products._SHARE", 100)
    monkeypatch.setattr("pysteps.backend.products._TILE", 8)
    monkeypatch.setattr("pysteps.backend.products._MANY", 1000)
    draw = np.random.default_rng(2)
    one, two = draw.normal(size=(70, 9)), draw.normal(size=(50, 9))
    enrol, test = draw.integers(0, 70, 3500), draw.integers(0, 50, 3500)
    expected = np.array(
        [np.einsum("nd,nd->n", one[a : a + 1], two[b : b + 1])[0] for a, b in zip(enrol, test, strict=True)]
    )
    assert pair_products(one, two, enrol, test).tobytes() == expected.tobytes()


def test_compare_pairs_the_systems_of_finished_experiments(tmp_path, capsys):
    from pysteps.score import judge
    from tests.literal import check_differences

    draw = np.random.default_rng(3)
    data = tmp_path / "data" / "eval"
    data.mkdir(parents=True)
    ids = [f"s{n % 8}-{n}" for n in range(32)]
    (data / "utt2spk").write_text("".join(f"{one} {one[:2]}\n" for one in sorted(ids)))
    pairs = [(a, b) for a in ids for b in ids if a < b]
    kind = {True: "target", False: "nontarget"}
    (data / "trials").write_text("".join(f"{a} {b} {kind[a[:2] == b[:2]]}\n" for a, b in pairs))
    trials = read_trials(data / "trials")
    people, found = {one: one[:2] for one in ids}, {}
    for tag, gain in (("good", 3.0), ("poor", 1.0)):
        values = draw.normal(size=len(trials)) + gain * trials.is_target
        folder = tmp_path / "exp" / tag
        commands_scores = folder / "scores" / "eval" / "cosine"
        commands_scores.parent.mkdir(parents=True)
        from pysteps.score import write_scores

        write_scores(commands_scores, trials, values)
        found[tag] = np.array(read_scores(commands_scores, trials))
        figures = judge(trials, found[tag], (), people, 0, replicates=50).figures
        (folder / "results.json").write_text(json.dumps({"trials": {"eval": {"cosine": figures}}}))
        run = {key: "x" for key in ("recipe", "corpus", "prepare", "egs_tag", "train_set", "dev_set")}
        run |= {"work": str(tmp_path), "tag": tag, "eval_sets": ["eval"], "names": {}, "options": {}}
        (folder / "run.json").write_text(json.dumps(run))
    words = [
        "compare",
        str(tmp_path / "exp/poor"),
        str(tmp_path / "exp/good"),
        "--json",
        "--replicates",
        "60",
    ]
    commands.main([*words, "--against", str(tmp_path / "exp/good")])
    got = json.loads(capsys.readouterr().out)
    assert got["against"] == {"eval": "good/cosine"}
    (pair,) = got["differences"]["eval"].items()
    assert pair[0] == "poor/cosine"
    check_differences(pair[1], trials, found["poor"], found["good"], people, 60)
    commands.main([*words[:3], "--row", "--replicates", "10"])
    assert capsys.readouterr().out.count("\n| ") == 2


@pytest.mark.parametrize("examples", [1, 2, [1, 3, 1, 2, 7, 1, 4, 4, 2, 1]])
@pytest.mark.parametrize("columns", [False, True])
@pytest.mark.parametrize("overwrite", [False, True])
def test_plda_scores_are_those_of_each_pair_whatever_is_written_over(examples, columns, overwrite):
    draw = np.random.default_rng(4)
    x = draw.normal(size=(10, 5))
    plda = fit_plda(
        draw.normal(size=(60, 5)) + np.repeat(draw.normal(size=(15, 5)), 4, 0), list("abcdefghijklmno" * 4)
    )
    pairs = draw.integers(0, 10, (30, 2))
    pairs[:, 0] += pairs[:, 0] == 5  # a row that no trial enrols
    given = tuple(pairs.T) if columns else pairs
    counts, mine = np.broadcast_to(examples, 10), x.copy()
    got = plda_scores(plda, mine, mine, given, examples=examples, overwrite=overwrite)
    assert overwrite or mine.tobytes() == x.tobytes()
    for (one, two), score in zip(pairs, got, strict=True):
        sides = (plda.project(x[[one]], counts[one]), counts[one], plda.project(x[[two]]))
        assert score == pytest.approx(plda_ratio(plda.psi, *sides)[0], rel=1e-9, abs=1e-10)

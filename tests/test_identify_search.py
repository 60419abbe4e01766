"""Search against the scores of single trials and against sorting everything; the index; the commands."""

from __future__ import annotations

import gzip
import json
import subprocess
import sys

import numpy as np
import pytest

from pysteps.backend import fit, fit_plda
from pysteps.formats.arks import writing
from pysteps.formats.errors import InputError
from pysteps.formats.tables import write_table
from pysteps.identify import Gallery, Search, Space, commands, judge
from pysteps.identify.search import exact
from pysteps.score import cosine_scores, plda_scores

RANDOM = np.random.default_rng(1)
SPEAKERS = [f"s{number:02d}" for number in range(40)]
VOICES = RANDOM.normal(size=(40, 6)) * [3, 2, 2, 1, 1, 1] + 1
TRAIN = np.repeat(VOICES, 3, axis=0) + RANDOM.normal(size=(120, 6))
ENROL = np.repeat(VOICES, 3, axis=0) + RANDOM.normal(size=(120, 6))
PROBES = VOICES + RANDOM.normal(size=(40, 6))
UTTS = [f"{name}-{number}" for name in SPEAKERS for number in range(3)]


def _space(kind: str) -> Space:
    names = np.repeat(SPEAKERS, 3).tolist()
    chain = fit("center | lda 4 | length-norm", TRAIN, names)
    return Space(chain, fit_plda(chain.apply(TRAIN), names) if kind == "plda" else None)


def _people() -> dict[str, list[str]]:
    # One, two or three utterances each: PLDA must tell them apart.
    return {name: [f"{name}-{utt}" for utt in range(1 + n % 3)] for n, name in enumerate(SPEAKERS)}


@pytest.fixture(scope="module", params=["cosine", "plda"])
def gallery(request, tmp_path_factory) -> Gallery:
    made = Gallery.create(tmp_path_factory.mktemp("gallery"), _space(request.param))
    made.enrol(_people(), UTTS, ENROL)
    return made


def _trials(gallery: Gallery) -> np.ndarray:
    # All scores as stage 9 computes them, [probes, people].
    means = np.stack([ENROL[3 * n : 3 * n + 1 + n % 3].mean(axis=0) for n in range(40)])
    enrol, test = gallery.space.chain.apply(means), gallery.space.chain.apply(PROBES)
    pairs = np.array([(person, probe) for probe in range(40) for person in range(40)])
    if gallery.space.plda is None:
        return cosine_scores(enrol, test, pairs).reshape(40, 40)
    counts = [1 + n % 3 for n in range(40)]
    return plda_scores(gallery.space.plda, enrol, test, pairs, examples=counts).reshape(40, 40)


def test_found_are_the_best_trials_with_their_scores(gallery):
    trials = _trials(gallery)
    found = Search(gallery).find(PROBES, 5)
    np.testing.assert_array_equal(found.people, np.argsort(-trials, axis=1)[:, :5])
    np.testing.assert_allclose(found.scores, -np.sort(-trials, axis=1)[:, :5], rtol=1e-5, atol=1e-5)


def test_all_scores_are_the_trials(gallery):
    found = np.concatenate([scores for _, scores in Search(gallery).scores(PROBES)])
    np.testing.assert_allclose(found, _trials(gallery), rtol=1e-4, atol=1e-4)


def test_a_score_does_not_depend_on_the_other_queries(gallery):
    search = Search(gallery)
    together = search.find(PROBES, 3)
    alone = [search.find(probe[None], 3) for probe in PROBES]
    np.testing.assert_allclose(together.scores, np.concatenate([one.scores for one in alone]), rtol=1e-12)


def test_a_search_takes_in_new_people(gallery, tmp_path):
    grown = Gallery.create(tmp_path, gallery.space)
    people = _people()
    grown.enrol({name: people[name] for name in SPEAKERS[:30]}, UTTS, ENROL)
    search = Search(grown)
    rest = {name: people[name] for name in SPEAKERS[30:]}
    Gallery(tmp_path).enrol(rest, UTTS, ENROL)  # by somebody else
    assert search.refresh() == 10
    np.testing.assert_array_equal(search.find(PROBES, 4).scores, Search(gallery).find(PROBES, 4).scores)


def test_more_people_asked_for_than_there_are(gallery):
    assert Search(gallery).find(PROBES, 100).people.shape == (40, 40)


def test_blocks_and_pieces_change_nothing(gallery, monkeypatch):
    whole = Search(gallery).find(PROBES, 6)
    monkeypatch.setattr("pysteps.identify.gallery._AT_ONCE", 5)
    monkeypatch.setattr("pysteps.identify.search._BLOCK", 12)
    monkeypatch.setattr("pysteps.identify.search._TOGETHER", 3)
    monkeypatch.setattr("pysteps.identify.search._SCORES", 100)
    cut = Search(gallery)
    np.testing.assert_array_equal(cut.find(PROBES, 6).people, whole.people)
    found = np.concatenate([scores for _, scores in cut.scores(PROBES)])
    np.testing.assert_allclose(found, _trials(gallery), rtol=1e-4, atol=1e-4)


def test_equal_people_come_in_order_of_enrolment(tmp_path):
    gallery = Gallery.create(tmp_path, Space(fit("", [[1.0]], ["a"])))
    names = [f"p{number}" for number in range(31)]
    gallery.enrol({name: [name] for name in names}, names, np.array([[0.0, 1], *[[1.0, 0]] * 30]))
    assert Search(gallery).find([[1.0, 0]], 31).people.tolist() == [[*range(1, 31), 0]]


def test_nobody_enrolled_is_said(tmp_path):
    with pytest.raises(InputError, match="nobody is enrolled"):
        Search(Gallery.create(tmp_path, _space("cosine"))).find(PROBES)


def test_exact_over_blocks_is_a_sort_of_everything():
    rows = RANDOM.normal(size=(1000, 8)).astype(np.float32)
    queries = RANDOM.normal(size=(7, 8)).astype(np.float32)
    found = exact([rows[:300], rows[300:305], rows[305:]], queries, 20)
    np.testing.assert_array_equal(np.sort(found), np.sort(np.argsort(-queries @ rows.T, axis=1)[:, :20]))


@pytest.mark.parametrize("kind", ["cosine", "plda"])
def test_the_index_finds_whom_exact_search_finds_and_scores_them_the_same(tmp_path, kind):
    pytest.importorskip("faiss", reason="an extra: requirements/identify.txt")
    gallery = Gallery.create(tmp_path, _space(kind))
    names = [f"p{number}" for number in range(2001)]
    random = np.random.default_rng(2)
    x = random.normal(size=(2001, 6)) * 3
    gallery.enrol({name: [name] for name in names[:2000]}, names, x)
    indexed = Search(gallery, indexed=True)
    gallery.enrol({"p2000": ["p2000"]}, names, x)
    indexed.refresh()
    probes = x[1900:] + 0.01 * random.normal(size=(101, 6))
    one, two = Search(gallery).find(probes, 3), indexed.find(probes, 3)
    assert np.mean(one.people == two.people) > 0.99
    assert 2000 in two.people[-1]
    same = one.people == two.people
    np.testing.assert_array_equal(one.scores[same], two.scores[same])


def test_a_rank_has_the_score_that_search_gives_to_the_last_bit(gallery):
    search = Search(gallery)
    found = search.find(PROBES, 40)
    own, rank = search.rank(PROBES, np.arange(40))
    for probe in range(40):
        place = found.people[probe].tolist().index(probe)
        assert own[probe] == found.scores[probe, place]
        assert rank[probe] == (found.scores[probe] >= own[probe]).sum()


def test_a_person_closer_than_single_precision_tells_apart_is_counted_by_double(tmp_path):
    people, names = Gallery.create(tmp_path, Space(fit("", [[1.0]], ["a"]))), [f"p{n}" for n in range(300)]
    near = VOICES[0] + 1e-4 * np.random.default_rng(2).normal(size=(300, 6))
    people.enrol({name: [name] for name in names}, names, near)
    rows, queries = people.space.people(near.astype(np.float32), 1), people.space.queries(near)
    exactly = queries @ rows.T.astype(np.float64)
    _, rank = Search(people).rank(near, np.arange(300))
    assert rank.tolist() == (exactly >= np.diag(exactly)[:, None]).sum(axis=1).tolist()
    single = queries.astype(np.float32) @ rows.T
    assert rank.tolist() != (single >= np.diag(single)[:, None]).sum(axis=1).tolist()


def test_an_index_of_a_few_people_is_refused(gallery):
    pytest.importorskip("faiss", reason="an extra: requirements/identify.txt")
    with pytest.raises(InputError, match="too few for an index"):
        Search(gallery, indexed=True)


def test_without_faiss_the_mending_command_is_named(gallery, monkeypatch):
    monkeypatch.setitem(sys.modules, "faiss", None)
    with pytest.raises(InputError, match="pip install -r requirements/identify.txt"):
        Search(gallery, indexed=True)


def _archive(folder, name: str, utts: list[str], x: np.ndarray):
    with writing(folder / f"{name}.ark") as archive:
        for utt, vector in zip(utts, x, strict=True):
            archive.array(utt, vector.astype(np.float32))
    write_table(folder / f"{name}.scp", archive.scp)
    return folder / f"{name}.scp"


@pytest.fixture
def corpus(tmp_path):
    """Two enrolled people at right angles, a stranger between them; no transforms."""
    Space(fit("", [[1.0]], ["a"])).save(tmp_path / "backend")
    _archive(tmp_path, "enrol", ["a1", "a2", "b1"], np.array([[2.0, 1], [2, -1], [0, 3]]))
    write_table(tmp_path / "spk2utt", {"a": "a1 a2", "b": "b1"})
    probes = np.array([[1.0, 0], [3, 4], [0, 5], [1, 1]])
    _archive(tmp_path, "probe", ["a8", "a9", "b9", "z9"], probes)
    write_table(tmp_path / "utt2spk", {"a8": "a", "a9": "a", "b9": "b", "z9": "z"})
    people = commands.enrol(
        tmp_path / "gallery", tmp_path / "enrol.scp", tmp_path / "backend", tmp_path / "spk2utt", None
    )
    assert people == (2, 2, [])
    return tmp_path


def test_probes_by_hand(corpus):
    probes = commands.probe(corpus / "gallery", corpus / "probe.scp", corpus / "utt2spk")
    np.testing.assert_allclose(probes.own, [1, 0.6, 1], atol=1e-6)
    assert probes.rank.tolist() == [1, 2, 1]  # a9 is nearer to b: 0.8
    np.testing.assert_allclose(probes.best, [np.sqrt(0.5)], atol=1e-6)
    assert (probes.speakers, probes.strangers) == (["a", "a", "b"], ["z"])


def test_a_probe_that_was_enrolled_is_refused(corpus):
    write_table(corpus / "utt2spk", {"a1": "a"})
    with pytest.raises(InputError, match="a1: was enrolled, for a"):
        commands.probe(corpus / "gallery", corpus / "enrol.scp", corpus / "utt2spk")


def test_a_probe_without_x_vector_is_refused_unless_it_was_dropped(corpus):
    write_table(corpus / "utt2spk", {"a8": "a", "b9": "b", "b7": "b", "y7": "y"})
    with pytest.raises(InputError, match="b7: no x-vector"):
        commands.probe(corpus / "gallery", corpus / "probe.scp", corpus / "utt2spk")
    write_table(corpus / "dropped", {"b7": "vad no voiced frame", "y7": "vad no voiced frame"})
    probes = commands.probe(corpus / "gallery", corpus / "probe.scp", corpus / "utt2spk", corpus / "dropped")
    assert probes.own.tolist()[2:] == [-np.inf] and probes.best.tolist() == [np.inf]


def test_people_of_dropped_utterances_alone_are_left_out_and_named(corpus):
    write_table(corpus / "more", {"c": "c1", "d": "d1 d2"})
    write_table(corpus / "dropped", {"c1": "audio unreadable", "d2": "audio unreadable"})
    scp = _archive(corpus, "more", ["d1"], np.ones((1, 2)))
    found = commands.enrol(corpus / "gallery", scp, None, corpus / "more", corpus / "dropped")
    assert found == (1, 3, ["c"])
    assert Gallery(corpus / "gallery").examples.tolist() == [2, 1, 1]


def test_a_refused_first_enrolment_leaves_no_gallery_that_refuses_another_back_end(corpus):
    fit("center", [[1.0, 2], [3, 4]], ["a", "b"]).save(corpus / "other")
    words = (corpus / "new", corpus / "enrol.scp")
    write_table(corpus / "wrong", {"a": "a1 nobody"})
    with pytest.raises(InputError, match="nobody: no x-vector"):
        commands.enrol(*words, corpus / "other", corpus / "wrong", None)
    assert commands.enrol(*words, corpus / "backend", corpus / "spk2utt", None) == (2, 2, [])


def test_another_back_end_is_refused(corpus):
    fit("center", [[1.0, 2], [3, 4]], ["a", "b"]).save(corpus / "other")
    with pytest.raises(InputError, match="another back end"):
        commands.enrol(corpus / "gallery", corpus / "probe.scp", corpus / "other", None, None)


def test_tables_the_wrong_way_round_are_named(corpus):
    write_table(corpus / "turned", {"a1": "a", "a2": "a", "b1": "b"})
    words = (corpus / "new", corpus / "enrol.scp", corpus / "backend")
    with pytest.raises(InputError, match=r"turned: an utt2spk where a spk2utt should stand: a1 .*enrol.scp"):
        commands.enrol(*words, corpus / "turned", None)
    write_table(corpus / "turned", {"a": "a8 a9", "b": "b9"})
    with pytest.raises(InputError, match=r"turned: a spk2utt where an utt2spk should stand: a is a person"):
        commands.probe(corpus / "gallery", corpus / "probe.scp", corpus / "turned")


def test_an_enrolled_utterance_without_x_vector_is_named_with_both_files(corpus):
    write_table(corpus / "people", {"c": "a8 c7"})
    with pytest.raises(InputError, match=r"people: utterance c7: no x-vector in .*probe.scp, for c \("):
        commands.enrol(corpus / "gallery", corpus / "probe.scp", None, corpus / "people", None)


@pytest.mark.parametrize("line", ["", "center | length-norm"])
def test_x_vectors_of_another_extractor_are_named_with_their_file(corpus, line):
    fit(line, [[1.0, 2], [3, 5]], ["a", "b"]).save(corpus / "fitted")
    gallery = corpus / "fitted-gallery"
    commands.enrol(gallery, corpus / "enrol.scp", corpus / "fitted", corpus / "spk2utt", None)
    scp = _archive(corpus, "large", ["l1"], np.ones((1, 5)))
    write_table(corpus / "large2spk", {"l1": "l"})
    said = rf"large.scp: x-vectors of 5 dimensions .*take x-vectors of the extractor that {gallery}"
    with pytest.raises(InputError, match=said):
        list(commands.search(gallery, scp))
    with pytest.raises(InputError, match=said):
        commands.probe(gallery, scp, corpus / "large2spk")
    with pytest.raises(InputError, match=said):
        commands.enrol(gallery, scp, None, None, None)


def test_search_names_nobody_below_the_threshold(corpus):
    lines = list(commands.search(corpus / "gallery", corpus / "probe.scp", top=2, threshold=0.79))
    assert [line.rsplit(" ", 1)[0] for line in lines] == ["a8 a", "a9 b", "b9 b", "z9 <unknown>"]
    assert float(lines[3].split()[2]) == pytest.approx(np.sqrt(0.5))


def test_the_printed_threshold_given_to_search_gives_the_stated_rates(gallery, tmp_path):
    strangers = RANDOM.normal(size=(60, 6)) * [3, 2, 2, 1, 1, 1] + 1
    names = [f"p{number:03d}" for number in range(100)]
    scp = _archive(tmp_path, "probe", names, np.concatenate([PROBES, strangers]))
    speakers = dict(zip(names, [*SPEAKERS, *(f"x{number}" for number in range(60))], strict=True))
    write_table(tmp_path / "utt2spk", speakers)
    probes = commands.probe(gallery.folder, scp, tmp_path / "utt2spk")
    said = judge(probes, fars=(0.1,), replicates=20)["dir_at_far"]["0.1"]
    lines = commands.search(gallery.folder, scp, top=1, threshold=said["threshold"])
    words = [line.split() for line in lines]
    named = {utt: person for utt, person, _ in words if person != commands.UNKNOWN}
    assert sum(utt >= "p040" for utt in named) / 60 == pytest.approx(said["far"]) == 0.1
    assert sum(named.get(utt) == speakers[utt] for utt in names[:40]) / 40 == said["dir"]


def test_the_command_line(corpus, repo):
    def run(*words: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "pysteps.identify", *words]
        return subprocess.run(command, cwd=repo, capture_output=True, text=True)

    gallery, probes = ("--gallery", str(corpus / "gallery")), ("--xvectors", str(corpus / "probe.scp"))
    judged = run("evaluate", *gallery, *probes, "--utt2spk", str(corpus / "utt2spk"), "--top", "1", "--json")
    assert json.loads(judged.stdout)["top_k"]["1"]["rate"] == pytest.approx(2 / 3)
    table = run("evaluate", *gallery, *probes, "--utt2spk", str(corpus / "utt2spk"), "--far", "0")
    assert "DIR at FAR 0 %" in table.stdout and "66.67" in table.stdout
    out = corpus / "found"
    assert run("search", *gallery, *probes, "--top", "1", "--out", str(out)).returncode == 0
    named = [line.rsplit(" ", 1)[0] for line in out.read_text().splitlines()]
    assert named == ["a8 a", "a9 b", "b9 b", "z9 a"]  # z9 is as near to b: a was enrolled first
    packed = corpus / "found.gz"
    assert run("search", *gallery, *probes, "--top", "1", "--out", str(packed)).returncode == 0
    assert gzip.decompress(packed.read_bytes()) == out.read_bytes()
    wrong = run("search", "--gallery", str(corpus), *probes)
    assert wrong.returncode == 1 and wrong.stderr.startswith("error: ") and "Traceback" not in wrong.stderr

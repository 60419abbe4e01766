"""Tables, data directories, archives, stamps and shards: the ground."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from threading import Thread

import kaldiio
import numpy as np
import pytest

from pysteps.formats import arks, shards, tables
from pysteps.formats.atomic import replacing
from pysteps.formats.datadir import DataSet, check, mend, refuse_overlap
from pysteps.formats.errors import InputError
from pysteps.formats.rng import generator
from pysteps.formats.stamps import Unit


def make_set(folder: Path, **texts: str) -> DataSet:
    """A two-speaker set; keyword arguments replace or add tables (dots written as __)."""
    base = {
        "wav.scp": "a-1 x/1.wav\na-2 x/2.wav\nb-1 x/3.wav\n",
        "utt2spk": "a-1 a\na-2 a\nb-1 b\n",
        "spk2utt": "a a-1 a-2\nb b-1\n",
    }
    base.update({name.replace("__", "."): text for name, text in texts.items()})
    folder.mkdir(parents=True)
    for name, text in base.items():
        (folder / name).write_text(text)
    return DataSet(folder)


def test_duplicate_key_is_named_with_its_line(tmp_path: Path) -> None:
    (tmp_path / "t").write_text("a 1\nb 2\na 3\n")
    with pytest.raises(InputError, match=r"t:3: a is there twice"):
        tables.read_table(tmp_path / "t")


def test_tables_are_written_in_c_order(tmp_path: Path) -> None:
    tables.write_table(tmp_path / "t", {"b": "1", "Z": "2", "é": "3", "a": "4"})
    assert (tmp_path / "t").read_text() == "Z 2\na 4\nb 1\né 3\n"


def test_a_name_in_gz_is_gzipped_and_always_the_same_bytes(tmp_path: Path) -> None:
    for name in ("one.gz", "two.gz"):
        tables.write_table(tmp_path / name, {"b": "é", "a": "4"})
    data = (tmp_path / "one.gz").read_bytes()
    assert gzip.decompress(data).decode() == "a 4\nb é\n"
    assert data == (tmp_path / "two.gz").read_bytes() and data[4:8] == bytes(4)  # no time in its header


def test_a_failed_write_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "t"
    path.write_text("old")
    with pytest.raises(RuntimeError), replacing(path) as handle:
        handle.write("new")
        raise RuntimeError
    assert path.read_text() == "old" and list(tmp_path.iterdir()) == [path]


def test_unsorted_is_mended_and_said(tmp_path: Path) -> None:
    data = make_set(tmp_path / "s", utt2spk="b-1 b\na-2 a\na-1 a\n")
    said = mend(data)
    assert any("utt2spk: was not sorted" in sentence for sentence in said)
    assert (data.folder / "utt2spk").read_text() == "a-1 a\na-2 a\nb-1 b\n"
    check(data)
    assert mend(data) == []


@pytest.mark.parametrize(
    ("texts", "message"),
    [
        ({"utt2spk": "a-1 a\na-1 b\na-2 a\nb-1 b\n"}, r"utt2spk:2: a-1 is there twice"),
        ({"utt2spk": "a-1 a\na-2 a\nb-1 b\nc-1 c\n"}, r"utt2spk:4: c-1 is not in wav.scp"),
        ({"utt2spk": "a-1 a\nb-1 b\n"}, r"wav.scp:2: a-2 is not in utt2spk"),
        ({"trials": "a-1 a-2 target\na-1 zz nontarget\n"}, r"trials:2: the trial names zz"),
        ({"trials__x": "a-1 a-2\n"}, r"trials.x:1: 2 words where 3 should stand"),
        ({"segments": "a-1 r 2.0 1.0\n"}, r"segments:1: utterance a-1: start 2.0 and end 1.0"),
        ({"segments": "a-1 r 0 1\na-2 r 1 2\nb-1 r 2 3\n"}, r"recording r is not in wav.scp"),
        ({"spk2gender": "a f\nx m\n"}, r"spk2gender:2: x is not in spk2utt"),
        ({"utt2lang": "q en\n"}, r"utt2lang:1: q is not in utt2spk"),
        ({"utt2spk": "a-1\n"}, r"utt2spk:1: a-1 has no value"),
    ],
)
def test_check_names_file_line_and_id(tmp_path: Path, texts: dict[str, str], message: str) -> None:
    data = make_set(tmp_path / "s", **texts)
    with pytest.raises(InputError, match=message):
        mend(data)
        check(data)


def test_an_evaluation_speaker_in_training_is_refused(tmp_path: Path) -> None:
    train, other = make_set(tmp_path / "train"), make_set(tmp_path / "eval", utt2spk="b-9 b\n")
    with pytest.raises(InputError, match="1 speakers are in train and in eval: b"):
        refuse_overlap(train, [other])


def test_trials_in_voxcelebs_form_gzipped_and_with_a_model_called_1(tmp_path: Path) -> None:
    import gzip

    data = make_set(tmp_path / "s", enrol="1 a-1 a-2\n", trials="1 b-1 nontarget\n1 a-2 target\n")
    with gzip.open(data.folder / "trials.vox", "wt") as handle:
        handle.write("1 a-1 a-2\n0 a-1 zz")
    with pytest.raises(InputError, match=r"trials.vox:2: the trial names zz"):
        check(data)


def test_archives_are_read_by_kaldiio_and_back(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    matrix = rng.normal(size=(7, 5)).astype(np.float32)
    constant = np.full((2, 3), 4.0, np.float32)
    with arks.writing(tmp_path / "x.ark") as writer:
        writer.array("float", matrix)
        writer.array("two", matrix, arks.TWO_BYTES)
        writer.array("flat", constant, arks.TWO_BYTES)
        writer.array("vector", matrix[0].astype(np.float64))
    theirs = dict(kaldiio.load_ark(str(tmp_path / "x.ark")))
    with arks.Archive() as archive:
        ours = {key: archive.array(entry, key) for key, entry in writer.scp.items()}
        rows = archive.rows(writer.scp["two"], "two", 2, 5)
        plain = archive.rows(writer.scp["float"], "float", 2, 5)
    for key in ours:
        np.testing.assert_array_equal(ours[key], theirs[key])
    step = (matrix.max() - matrix.min()) / 65535
    assert abs(ours["two"] - matrix).max() <= 0.51 * step
    np.testing.assert_allclose(ours["flat"], constant)
    np.testing.assert_allclose(rows, ours["two"][2:5], atol=1e-6)
    np.testing.assert_array_equal(plain, matrix[2:5])


def test_chunks_are_parsed_whole(tmp_path: Path) -> None:
    chunks = np.random.default_rng(1).normal(size=(3, 4, 2)).astype(np.float32)
    with arks.writing(tmp_path / "c.ark") as writer:
        for number, chunk in enumerate(chunks):
            writer.array(f"k{number}", chunk, arks.TWO_BYTES)
    data = (tmp_path / "c.ark").read_bytes()
    keys, parsed = arks.parse_chunks(data, "c.ark")
    assert keys == ["k0", "k1", "k2"]
    np.testing.assert_allclose(parsed, chunks, atol=2e-4)
    with pytest.raises(InputError, match="uneven or cut chunk"):
        arks.parse_chunks(data[:-1], "c.ark")


@pytest.mark.parametrize("entry", ["| cat x", "sox x -t wav - |"])
def test_pipes_are_refused(entry: str) -> None:
    with pytest.raises(InputError, match="--allow-pipes"):
        arks.split_entry(entry)


def test_pickles_are_not_read(tmp_path: Path) -> None:
    import pickle

    (tmp_path / "x.ark").write_bytes(b"k " + pickle.dumps(np.ones(3)))
    with arks.Archive() as archive, pytest.raises(InputError, match="no Kaldi matrix"):
        archive.array(f"{tmp_path / 'x.ark'}:2", "k")


def test_nan_never_reaches_an_archive(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="not finite"), arks.writing(tmp_path / "x.ark") as writer:
        writer.array("k", np.asarray([1.0, np.nan], np.float32))
    assert not (tmp_path / "x.ark").exists()


def test_generator_depends_on_its_key_alone() -> None:
    first = generator(1, "utt", "noise", epoch=2).random(3)
    generator(1, "other", "noise").random(100)
    np.testing.assert_array_equal(first, generator(1, "utt", "noise", epoch=2).random(3))
    for other in (
        generator(2, "utt", "noise", epoch=2),
        generator(1, "utt", "noise"),
        generator(1, "utt", "rir", epoch=2),
    ):
        assert not np.array_equal(first, other.random(3))


def unit_of(folder: Path, **options: object) -> Unit:
    (folder / "in").write_text("x\n") if not (folder / "in").exists() else None
    return Unit(
        "u", "vad", folder / "out", 1, dict(options), (folder / "in",), (), (folder / "out" / "table",)
    )


def test_stamp_says_why_it_is_stale(tmp_path: Path) -> None:
    unit = unit_of(tmp_path, mode=1)
    assert unit.stale() == "not done yet"
    tables.write_table(tmp_path / "out" / "table", {"a": "1"})
    unit.done()
    assert unit.stale() is None
    assert unit_of(tmp_path, mode=2).stale() == "mode: 1 -> 2"
    (tmp_path / "in").write_text("y\n")
    assert unit.stale().endswith("/in changed")
    unit.done()
    (tmp_path / "out" / "table").unlink()
    assert unit.stale().endswith("table is missing")


def test_of_nested_options_the_one_that_changed_is_named(tmp_path: Path) -> None:
    unit = unit_of(tmp_path, contract={"vad": {"mode": 1, "smooth": 5}}, egs={"factor": 1})
    tables.write_table(tmp_path / "out" / "table", {"a": "1"})
    unit.done()
    other = unit_of(tmp_path, contract={"vad": {"mode": 2, "smooth": 5}}, egs={"factor": 1})
    assert other.stale() == "contract.vad.mode: 1 -> 2"
    assert unit_of(tmp_path, contract={"vad": {"mode": 1, "smooth": 5}}).stale() == "egs changed"
    other = unit_of(tmp_path, contract={"vad": {"mode": 1}}, egs={"factor": 2})
    assert other.stale() == "contract.vad.smooth: 5 -> None; egs.factor: 1 -> 2"
    assert other.differs({"version": 1, "options": "none", "inputs": {}}) == "its stamp is damaged"
    other = unit_of(tmp_path, a=1, b=2, contract={"vad": {"mode": 3, "smooth": 4}}, egs={"factor": 1})
    assert other.stale() == "a: None -> 1; b: None -> 2; contract.vad.mode: 1 -> 3 and 1 more"


def both(unit: Unit) -> list[tuple[Unit, int]]:
    return [(unit, number) for number in shards.pending(unit)]


@pytest.mark.parametrize("first", [1, 3])
def test_shards_are_gathered_in_order_whoever_did_them(tmp_path: Path, first: int) -> None:
    items = [f"u{number:02d}" for number in range(10)]

    def work(unit: Unit, number: int, utts: list[str]) -> dict[str, dict[str, str]]:
        return {"table": {utt: str(number) for utt in utts}}

    unit = unit_of(tmp_path)
    assert shards.plan(unit, items, 3) == [1, 2, 3, 4]
    shards.run([(unit, number) for number in range(4, first, -1)], work, "some, the last first")
    assert shards.plan(unit, items, 3) == list(range(1, first + 1))  # a restart plans what is left
    shards.run(both(unit), work, "the others")
    shards.gather(unit, ["table"])
    text = (tmp_path / "out" / "table").read_text()
    assert text == "".join(f"{utt} {index // 3 + 1}\n" for index, utt in enumerate(items))


def test_changed_options_reuse_no_shard_and_leave_no_archive(tmp_path: Path) -> None:
    def work(unit: Unit, number: int, utts: list[str]) -> dict[str, dict[str, str]]:
        (unit.folder / f"x.{unit.options['mode']}.ark").write_text("")
        return {"table": {utt: json.dumps(unit.options["mode"]) for utt in utts}}

    for mode in (1, 2):
        unit = unit_of(tmp_path, mode=mode)
        assert shards.plan(unit, ["a", "b"], 1, ["x.*.ark"]) == [1, 2]
        shards.run(both(unit), work, "all")
        shards.gather(unit, ["table"])
        unit.done()
        assert (tmp_path / "out" / "table").read_text() == f"a {mode}\nb {mode}\n"
    assert [path.name for path in (tmp_path / "out").glob("*.ark")] == ["x.2.ark"]


def test_a_job_of_an_older_plan_adds_nothing_to_a_newer_one(tmp_path: Path) -> None:
    old, new = unit_of(tmp_path, mode=1), unit_of(tmp_path, mode=2)
    shards.plan(old, ["a"], 1)

    def work(unit: Unit, number: int, utts: list[str]) -> dict[str, dict[str, str]]:
        restart = Thread(target=shards.plan, args=(new, ["a"], 1))  # plans something else meanwhile
        restart.start()
        restart.join()
        return {"table": {"a": "old"}}

    with pytest.raises(InputError, match="planned anew while this job did it"):
        shards.run([(old, 1)], work, "old")
    assert shards.pending(new) == [1]
    with pytest.raises(InputError, match="planned for other options"):
        shards.gather(old, ["table"])


def test_a_done_shard_that_lost_its_tables_is_not_passed_over(tmp_path: Path) -> None:
    unit = unit_of(tmp_path)
    shards.plan(unit, ["a"], 1)
    shards.run(both(unit), lambda *_: {"table": {"a": "1"}}, "all")
    next((tmp_path / "out" / "shards").glob("*/1/table")).unlink()
    with pytest.raises(InputError, match="1/table: no such table"):
        shards.gather(unit, ["table"])


def test_gather_refuses_missing_shards(tmp_path: Path) -> None:
    unit = unit_of(tmp_path)
    shards.plan(unit, ["a", "b"], 1)
    with pytest.raises(InputError, match="2 shards are not done"):
        shards.gather(unit, ["table"])

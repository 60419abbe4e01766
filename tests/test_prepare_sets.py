"""Sets validated, fixed, combined, chosen from, filtered and split: all tables follow, numbers by hand."""

from __future__ import annotations

from pathlib import Path

import pytest

from pysteps.formats.datadir import DataSet, check
from pysteps.formats.errors import InputError
from pysteps.formats.tables import read_table
from pysteps.prepare import choose
from pysteps.prepare.fix import fix
from pysteps.prepare.sets import combine, copy, validate
from pysteps.prepare.sets_command import command

TABLES = {
    "wav.scp": "r1 /x/1.wav\nr2 /x/2.wav\nr3 /x/3.wav\n",
    "segments": "a-1 r1 0.0 2.0\na-2 r1 2.0 5.0\na-3 r2 0.0 1.0\nb-1 r2 1.0 5.0\nb-2 r3 0.0 -1\n",
    "reco2dur": "r1 5.0\nr2 5.0\nr3 8.0\n",
    "utt2spk": "a-1 a\na-2 a\na-3 a\nb-1 b\nb-2 b\n",
    "utt2lang": "a-1 en\nb-2 de\n",
    "spk2gender": "a f\nb m\n",
    "enrol": "a-model a-1 a-2\nb-model b-1\n",
    "trials": "a-model a-3 target\na-model b-2 nontarget\nb-model b-2 target\nb-model a-3 nontarget\n",
    "trials.old": "1 a-1 a-2\n0 a-1 b-1\n1 b-1 b-2\n",
    "rttm": "SPEAKER r1 1 0.0 2.0 <NA> <NA> a <NA> <NA>\nSPEAKER r3 1 0.0 8.0 <NA> <NA> b <NA> <NA>\n",
    "notes": "not a table\n",
}


@pytest.fixture
def data(tmp_path: Path) -> DataSet:
    """A set with every kind of table."""
    return made(tmp_path / "set", TABLES)


def made(folder: Path, tables: dict[str, str]) -> DataSet:
    folder.mkdir(parents=True)
    for name, text in tables.items():
        (folder / name).write_text(text)
    return DataSet(folder)


def texts(folder: Path) -> dict[str, str]:
    return {path.name: path.read_text() for path in folder.iterdir() if path.is_file()}


def test_every_table_follows_the_utterances(data: DataSet, tmp_path: Path) -> None:
    counts = copy(data, tmp_path / "new", {"a-1", "a-3", "b-1", "elsewhere"})
    assert texts(tmp_path / "new") == {
        "wav.scp": "r1 /x/1.wav\nr2 /x/2.wav\n",
        "segments": "a-1 r1 0.0 2.0\na-3 r2 0.0 1.0\nb-1 r2 1.0 5.0\n",
        "reco2dur": "r1 5.0\nr2 5.0\n",
        "utt2spk": "a-1 a\na-3 a\nb-1 b\n",
        "spk2utt": "a a-1 a-3\nb b-1\n",
        "utt2lang": "a-1 en\n",
        "spk2gender": "a f\nb m\n",
        "enrol": "a-model a-1\nb-model b-1\n",
        "trials": "a-model a-3 target\nb-model a-3 nontarget\n",
        "rttm": "SPEAKER r1 1 0.0 2.0 <NA> <NA> a <NA> <NA>\n",
    }
    assert counts["wav.scp"] == (2, 3) and counts["trials.old"] == (0, 3) and counts["enrol"] == (2, 2)


def test_what_has_nothing_left_is_refused_and_a_list_of_one_kind_is_not_written(
    data: DataSet, tmp_path: Path
) -> None:
    with pytest.raises(InputError, match="no utterance is left"):
        copy(data, tmp_path / "none", {"c-1"})
    copy(data, tmp_path / "one", {"a-1"})
    assert "trials" not in texts(tmp_path / "one")


def test_sets_are_combined(data: DataSet, tmp_path: Path) -> None:
    other = made(
        tmp_path / "other",
        {
            "wav.scp": "c-1 /x/4.wav\nr1 /x/1.wav\n",
            "utt2spk": "c-1 c\nr1 a\n",
            "trials": "c-1 c-1 target\nc-1 r1 nontarget\n",
        },
    )
    said = combine([data, other], tmp_path / "both")
    found = DataSet(tmp_path / "both")
    check(found)
    assert read_table(found.folder / "segments")["c-1"] == "c-1 0.000 -1"
    assert read_table(found.folder / "utt2spk").keys() == {"a-1", "a-2", "a-3", "b-1", "b-2", "c-1", "r1"}
    assert len((found.folder / "trials").read_text().splitlines()) == 6
    assert [sentence.split("/")[-1] for sentence in said] == [
        f"{name}: not of other, which has none" for name in ("reco2dur", "spk2gender", "utt2lang")
    ]


def test_a_name_that_means_two_things_is_refused(data: DataSet, tmp_path: Path) -> None:
    other = made(tmp_path / "other", {"wav.scp": "r1 /y/1.wav\n", "utt2spk": "r1 z\n"})
    with pytest.raises(InputError, match="other/wav.scp: r1 is '/y/1.wav' here and '/x/1.wav' in another"):
        combine([data, other], tmp_path / "both")


def test_a_good_set_is_counted(data: DataSet) -> None:
    assert validate(data) == {
        "utterances": 5,
        "speakers": 2,
        "recordings": 3,
        "trials of set": 4,
        "trials of set.old": 3,
    }


@pytest.mark.parametrize(
    ("table", "text", "said"),
    [
        ("utt2spk", "a-2 a\na-1 a\na-3 a\nb-1 b\nb-2 b\n", "utt2spk: not sorted in the C locale .*fix"),
        ("utt2spk", "a-1 a\na-1 a\n", "utt2spk:2: a-1 is there twice"),
        ("utt2spk", "a-1 a\na-2 a\na-3 a\nb-1 b\n", "segments:5: b-2 is not in utt2spk"),
        ("spk2utt", "a a-1 a-2 a-3\nb b-1\n", "not utt2spk the other way round"),
        ("spk2gender", "a f\nz m\n", "spk2gender:2: z is not in spk2utt"),
        ("segments", "a-1 r1 2.0 1.0\n", "are no interval"),
    ],
)
def test_what_is_wrong_is_said_and_nothing_is_changed(
    data: DataSet, table: str, text: str, said: str
) -> None:
    (data.folder / table).write_text(text)
    before = texts(data.folder)
    with pytest.raises(InputError, match=said):
        validate(data)
    assert texts(data.folder) == before


def test_missing_recordings_and_shared_speakers_are_refused(data: DataSet, tmp_path: Path) -> None:
    (tmp_path / "there.wav").touch()
    entries = f"r1 sox x |\nr2 {tmp_path}/there.wav:123\nr3 {tmp_path}/gone.wav\n"
    (data.folder / "wav.scp").write_text(entries)
    with pytest.raises(InputError, match=r"utterance r3: 1 of 3 recordings are not there.*gone\.wav"):
        validate(data, files=True)
    other = made(tmp_path / "train", {"utt2spk": "b-9 b\n"})
    with pytest.raises(InputError, match="1 speakers are in set and in train: b"):
        validate(data, apart=[other])


def test_a_set_is_put_right(data: DataSet) -> None:
    broken = {
        "wav.scp": "r3 /x/3.wav\nr1 /x/1.wav\n\nr1 /x/1.wav\nunused /x/9.wav\nempty\n",
        "segments": "b-2 r3 0.0 -1\na-1 r1 0.0 2.0\na-2 r1 5.0 2.0\na-3 r2 0.0 1.0\n",
        "utt2spk": "b-2 b\na-1 a\na-2 a\na-3 a\nc-1 c\n",
        "trials": "a-1 b-2 nontarget\na-1 b-2 nontarget\na-1 a-1 target\na-1 zz target\n",
    }
    for name, text in broken.items():
        (data.folder / name).write_text(text)
    said = fix(data)
    assert validate(data)["utterances"] == 2
    found = texts(data.folder)
    assert found["wav.scp"] == "r1 /x/1.wav\nr3 /x/3.wav\n"
    assert found["utt2spk"] == "a-1 a\nb-2 b\n"
    assert found["segments"] == "a-1 r1 0.0 2.0\nb-2 r3 0.0 -1\n"
    assert found["trials"] == "a-1 b-2 nontarget\na-1 a-1 target\n"
    assert found["enrol"] == "a-model a-1\n"
    assert texts(data.folder / ".backup")["wav.scp"] == broken["wav.scp"]
    heard = [sentence.split("/")[-1] for sentence in said]
    assert "wav.scp: sorted" in heard and "enrol: sorted" not in heard
    assert "wav.scp: 1 empty lines went" in heard and "wav.scp: 1 keys without a value went" in heard
    assert "segments: 1 segments that are no `recording start end` went" in heard
    assert "trials: 1 trials that were there twice went" in heard
    assert "utt2spk: 3 of 5 entries belong to nothing and went" in heard
    assert fix(data) == [] and not (data.folder / ".backup.2").exists()


def test_two_values_of_one_key_are_nobodys_to_choose(data: DataSet) -> None:
    (data.folder / "utt2spk").write_text("a-1 a\na-1 b\n")
    with pytest.raises(InputError, match="utt2spk:2: a-1 is 'a' and 'b'"):
        fix(data)


UTT2SPK = {f"{speaker}-{n}": speaker for speaker in "abcdef" for n in range(5)}


def test_speakers_and_utterances_are_drawn_by_seed() -> None:
    first = choose.speakers(UTT2SPK, 2, seed=0)
    assert len(set(first.values())) == 2 and len(first) == 10
    assert any(choose.speakers(UTT2SPK, 2, seed=seed) != first for seed in (1, 2, 3))
    assert len(choose.utterances(UTT2SPK, 7, seed=0)) == 7
    each = choose.per_speaker({**UTT2SPK, "z-0": "z"}, 3, seed=0)
    assert sorted(each.values()) == sorted("abcdef" * 3 + "z")
    with pytest.raises(InputError, match="7 of 6 speakers cannot be chosen"):
        choose.speakers(UTT2SPK, 7, seed=0)


def test_seconds_lengths_and_counts() -> None:
    durations = {utt: 2.0 + int(utt[2]) for utt in UTT2SPK}
    chosen = choose.seconds_of(UTT2SPK, durations, 30.0, seed=0)
    assert 30.0 <= sum(durations[utt] for utt in chosen) < 36.0
    assert choose.by_length(UTT2SPK, durations, 3.0, 4.0).keys() == {
        f"{who}-{n}" for who in "abcdef" for n in (1, 2)
    }
    assert choose.by_count({"a-1": "a", "b-1": "b", "b-2": "b"}, 2) == {"b-1": "b", "b-2": "b"}


def test_durations_come_from_segments_and_recordings(data: DataSet, tmp_path: Path) -> None:
    assert choose.durations_of(data) == {"a-1": 2.0, "a-2": 3.0, "a-3": 1.0, "b-1": 4.0, "b-2": 8.0}
    (data.folder / "reco2dur").unlink()
    with pytest.raises(InputError, match="1 of 5 utterances are is not known, the first: b-2.*--durations"):
        choose.durations_of(data)
    (tmp_path / "utt2dur").write_text("".join(f"{utt} 9\n" for utt in data.utt2spk()))
    assert set(choose.durations_of(data, tmp_path / "utt2dur").values()) == {9.0}


def test_a_split_keeps_genders_and_leaves_speakers_of_one_utterance_for_training() -> None:
    utt2spk = {f"{who:02d}-{n}": f"{who:02d}" for who in range(40) for n in range(2)}
    utt2spk |= {f"x{n}-0": f"x{n}" for n in range(10)}
    genders = {f"{who:02d}": "f" if who < 10 else "m" for who in range(40)}
    part = choose.split_speakers(utt2spk, {"dev": 0.2, "eval": 0.2}, 0, genders)
    sizes = {name: [who for who in part if part[who] == name] for name in ("train", "dev", "eval")}
    assert [len(sizes[name]) for name in ("dev", "eval", "train")] == [10, 10, 30]
    assert not any(who.startswith("x") for name in ("dev", "eval") for who in sizes[name])
    for name in ("dev", "eval"):
        assert sum(genders[who] == "f" for who in sizes[name]) in (2, 3)


def test_the_commands_write_valid_sets(
    data: DataSet, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    made(tmp_path / "many", _many())
    many, small = str(tmp_path / "many"), str(tmp_path / "small")
    command(["subset", many, small, "--speakers", "6", "--per-speaker", "2"])
    assert validate(DataSet(tmp_path / "small"))["utterances"] == 12
    with pytest.raises(InputError, match="small: is there already"):
        command(["subset", many, small, "--speakers", "6"])
    with pytest.raises(InputError, match="nothing says which utterances"):
        command(["subset", many, str(tmp_path / "no")])
    command(["split", many, "--shares", "train=60", "dev=20", "eval=20"])
    sets = [DataSet(tmp_path / f"many_{name}") for name in ("train", "dev", "eval")]
    assert [len(one.speakers()) for one in sets] == [6, 2, 2]
    command(["validate", f"{many}_train", "--apart", f"{many}_dev", f"{many}_eval"])
    assert "many_train: good: 18 utterances, 6 speakers, 18 recordings" in capsys.readouterr().out
    command(["combine", str(tmp_path / "all"), *(f"{many}_{name}" for name in ("train", "dev", "eval"))])
    assert texts(tmp_path / "all") == {**_many(), "spk2utt": texts(tmp_path / "all")["spk2utt"]}
    command(
        ["filter", str(data.folder), str(tmp_path / "long"), "--min-seconds", "2", "--min-utterances", "2"]
    )
    assert DataSet(tmp_path / "long").utt2spk().keys() == {"a-1", "a-2", "b-1", "b-2"}
    command(["filter", str(data.folder), str(tmp_path / "rich"), "--min-utterances", "3"])
    assert DataSet(tmp_path / "rich").speakers() == {"a"}
    command(["subset", str(data.folder), str(tmp_path / "half"), "--share", "0.5"])
    assert sum(choose.durations_of(DataSet(tmp_path / "half")).values()) >= 9.0
    (tmp_path / "who").write_text("b\n")
    command(["subset", str(data.folder), str(tmp_path / "b"), "--speaker-list", str(tmp_path / "who")])
    assert DataSet(tmp_path / "b").speakers() == {"b"}


def _many() -> dict[str, str]:
    utts = [f"s{who}-{n}" for who in range(10) for n in range(3)]
    wav = "".join(f"{utt} /x/{utt}.wav\n" for utt in utts)
    return {"wav.scp": wav, "utt2spk": "".join(f"{utt} {utt[:2]}\n" for utt in utts)}

"""What all scripts of local/ share: finding a corpus, gathering a set, trials by rule."""

from __future__ import annotations

import os
from itertools import combinations
from pathlib import Path

import pytest

from pysteps.formats.errors import InputError
from pysteps.formats.tables import read_table
from pysteps.prepare import script, trials
from pysteps.prepare.build import SetBuilder, write_trials
from pysteps.prepare.corpus import Corpus, compare, files, inside, need


def test_a_part_is_where_it_was_named_or_below_the_root(tmp_path: Path) -> None:
    (tmp_path / "VoxCeleb2").mkdir()
    (tmp_path / "elsewhere").mkdir()
    assert Corpus(tmp_path).part("voxceleb2", "vox2", "VoxCeleb2") == tmp_path / "VoxCeleb2"
    named = Corpus(tmp_path, {"voxceleb2": tmp_path / "elsewhere"})
    assert named.part("voxceleb2", "VoxCeleb2") == tmp_path / "elsewhere"
    assert Corpus(tmp_path).optional("musan") is None
    said = r"no musan here: looked for musan/, MUSAN/; found VoxCeleb2/, elsewhere/.*roots.musan FOLDER"
    with pytest.raises(InputError, match=said):
        Corpus(tmp_path).part("musan", "musan", "MUSAN")
    with pytest.raises(InputError, match=r"gone: no such folder"):
        Corpus(tmp_path, {"musan": tmp_path / "gone"}).optional("musan")


def test_what_a_folder_lacks_is_said_with_what_it_has(tmp_path: Path) -> None:
    for name in "abcdefghij":
        (tmp_path / name).touch()
    assert inside(tmp_path) == "found a, b, c, d, e, f, g, h and 2 more"
    with pytest.raises(InputError, match="no dev and no test here; found a,.*get it"):
        need(tmp_path, "a", "dev", "test", mend="get it")
    assert need(tmp_path, "a", "b", mend="get it") == [tmp_path / "a", tmp_path / "b"]


def test_files_are_found_at_a_depth_or_any(tmp_path: Path) -> None:
    for name in ("x.wav", "a/y.WAV", "a/b/z.flac", "a/b/z.txt", ".hidden/h.wav", "a/.z.wav"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    names = [str(path.relative_to(tmp_path)) for path in files(tmp_path, (".wav", ".flac"))]
    assert names == ["a/b/z.flac", "a/y.WAV", "x.wav"]
    assert files(tmp_path, (".wav",), 1) == [tmp_path / "a/y.WAV"]
    assert files(tmp_path, (".wav",), 0) == [tmp_path / "x.wav"]


def test_counts_that_differ_are_said_with_both_numbers(capsys: pytest.CaptureFixture[str]) -> None:
    compare(
        "VoxCeleb2 dev",
        {"speakers": 5994, "utterances": 3},
        {"speakers": 5994, "utterances": 1092009},
        "its page",
    )
    assert capsys.readouterr().err == "warning: VoxCeleb2 dev: 3 utterances, its page has 1,092,009\n"


def test_a_set_is_gathered_and_written(tmp_path: Path) -> None:
    found = SetBuilder(tmp_path / "train")
    found.add("a-1", "a", "/x/1.wav", gender="Male", lang="en", session="s1")
    found.add("a-2", "a", "/x/2.wav", recording="two", span=(0.5, 2.25), gender="m")
    found.add("b-1", "b", "/x/2.wav", recording="two", span=(3.0, 4.0), gender="f", lang="")
    found.write()
    tables = {path.name: read_table(path) for path in (tmp_path / "train").iterdir()}
    assert tables == {
        "wav.scp": {"a-1": "/x/1.wav", "two": "/x/2.wav"},
        "utt2spk": {"a-1": "a", "a-2": "a", "b-1": "b"},
        "spk2utt": {"a": "a-1 a-2", "b": "b-1"},
        "segments": {"a-1": "a-1 0.000 -1", "a-2": "two 0.500 2.250", "b-1": "two 3.000 4.000"},
        "spk2gender": {"a": "m", "b": "f"},
        "utt2lang": {"a-1": "en"},
        "utt2session": {"a-1": "s1"},
    }


@pytest.mark.parametrize(
    ("utt", "speaker", "recording", "gender", "said"),
    [
        ("a-1", "a", "", "m", "comes twice"),
        ("a 2", "a", "", "m", "white space"),
        ("a-2", "", "", "m", "empty"),
        ("a-2", "a", "a-1", "m", "is also /x/1.wav"),
        ("a-2", "a", "", "x", "gender 'x' of a"),
        ("a-2", "a", "", "f", "m here and f there"),
    ],
)
def test_contradictions_are_refused(
    tmp_path: Path, utt: str, speaker: str, recording: str, gender: str, said: str
) -> None:
    found = SetBuilder(tmp_path)
    found.add("a-1", "a", "/x/1.wav", gender="m")
    with pytest.raises(InputError, match=said):
        found.add(utt, speaker, "/x/2.wav", recording=recording, gender=gender)


def test_an_empty_set_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no utterances"):
        SetBuilder(tmp_path).write()


def test_trials_of_what_is_not_there_are_left_out_and_counted(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = [("a", "b", True), ("a", "c", False), ("d", "b", False)]
    assert write_trials(tmp_path / "trials", rows, known={"a", "b"}.__contains__) == 1
    assert (tmp_path / "trials").read_text() == "a b target\n"
    assert "2 of 3 trials name what is not there (the first: c)" in capsys.readouterr().err
    with pytest.raises(InputError, match="no trials are left"):
        write_trials(tmp_path / "trials", rows, known=set().__contains__)


UTT2SPK = {f"{speaker}-{number}": speaker for speaker in "abcd" for number in range(6)}


def test_all_pairs_within_a_group() -> None:
    found = list(trials.all_pairs(UTT2SPK, group=lambda utt: utt[0] in "ab"))
    assert len(found) == 2 * (12 * 11 // 2)
    assert sum(target for _, _, target in found) == 4 * 15
    assert len(list(trials.all_pairs(UTT2SPK))) == 24 * 23 // 2


def test_drawn_utterances_are_shared_evenly() -> None:
    drawn = trials.drawn_utterances({**UTT2SPK, "e-0": "e"}, 9, seed=1)
    counts = [list(drawn.values()).count(speaker) for speaker in "abcde"]
    assert sorted(counts) == [1, 2, 2, 2, 2]
    assert counts[4] == 1
    assert drawn != trials.drawn_utterances({**UTT2SPK, "e-0": "e"}, 9, seed=2)


def test_balanced_trials_keep_their_rules() -> None:
    found = trials.balanced(
        UTT2SPK, 5, seed=0, group=lambda utt: utt[0] in "ab", apart=lambda utt: int(utt[2]) // 3
    )
    pairs = [(one, two) for one, two, _ in found]
    assert len(set(map(frozenset, pairs))) == len(pairs)
    assert all((UTT2SPK[one] == UTT2SPK[two]) is target for one, two, target in found)
    assert all((one[0] in "ab") == (two[0] in "ab") for one, two in pairs)
    possible = sum(int(one) // 3 != int(two) // 3 for one, two in combinations("012345", 2))
    assert possible == 9  # of which five a speaker are drawn
    assert sum(target for *_, target in found) == 4 * 5
    assert sum(not target for *_, target in found) == 4 * 5
    assert all(int(one[2]) // 3 != int(two[2]) // 3 for one, two, target in found if target)
    with pytest.raises(InputError, match="no nontarget"):
        trials.balanced({utt: "a" for utt in UTT2SPK if utt[0] == "a"}, 5, seed=0)


def test_names_that_no_table_can_hold_are_passed_over(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "a b").mkdir()
    (tmp_path / "a b" / "\u4e2d.WAV").touch()
    for name in (b"x\xff.wav", b"y\xff"):
        Path(os.fsdecode(bytes(tmp_path / "a b") + b"/" + name)).touch()
    assert files(tmp_path, (".wav",)) == [tmp_path / "a b" / "\u4e2d.WAV"]
    assert "2 names are not UTF-8 and passed over (the first: " in capsys.readouterr().err


def test_a_link_to_a_folder_above_is_not_walked_again(tmp_path: Path) -> None:
    (tmp_path / "corpus" / "one").mkdir(parents=True)
    (tmp_path / "other").mkdir()
    for path in (tmp_path / "corpus/one/a.wav", tmp_path / "other/b.wav"):
        path.touch()
    (tmp_path / "corpus/one/up").symlink_to("..")
    (tmp_path / "corpus/one/self").symlink_to(".")
    (tmp_path / "corpus/two").symlink_to("../other")
    found = files(tmp_path / "corpus", (".wav",))
    assert found == [tmp_path / "corpus/one/a.wav", tmp_path / "corpus/two/b.wav"]


def test_a_table_in_another_encoding_is_quoted(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "info").write_bytes("id10001 M\u00fcller m".encode("latin-1"))
    monkeypatch.setattr("sys.argv", ["x", "--corpus", str(tmp_path), "--data", str(tmp_path / "data")])
    with pytest.raises(SystemExit):
        script.main(lambda corpus, *_: None if (corpus.root / "info").read_text("utf-8") else None, "")
    said = capsys.readouterr().err
    assert "a table of the corpus is not UTF-8: 'id10001 M" in said and "iconv" in said


def test_a_root_that_nothing_asks_for_is_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    words = ["--corpus", str(tmp_path), "--data", str(tmp_path), f"--root=muson={tmp_path}"]
    monkeypatch.setattr("sys.argv", ["x", *words, f"--root=musan={tmp_path}"])
    script.main(lambda corpus, *_: None if corpus.optional("musan") else None, "")
    assert capsys.readouterr().err == (
        "warning: --prepare.roots.muson was not looked for; these were: musan\n"
    )

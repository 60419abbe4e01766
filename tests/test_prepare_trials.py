"""Trial lists of other formats become lists of a set; lists made by rule. Lines as the owners write them."""

from __future__ import annotations

from itertools import combinations
from pathlib import Path

import pytest

from pysteps.formats.datadir import DataSet, check
from pysteps.formats.errors import InputError
from pysteps.formats.tables import read_table
from pysteps.prepare.lists import Names
from pysteps.prepare.trials import balanced, by_rule
from pysteps.prepare.trials_command import command


def made(folder: Path, wav: dict[str, str], utt2spk: dict[str, str], **more: str) -> DataSet:
    folder.mkdir(parents=True)
    (folder / "wav.scp").write_text("".join(f"{key} {wav[key]}\n" for key in sorted(wav)))
    (folder / "utt2spk").write_text("".join(f"{key} {utt2spk[key]}\n" for key in sorted(utt2spk)))
    for name, text in more.items():
        (folder / name).write_text(text)
    return DataSet(folder)


@pytest.fixture
def voxceleb(tmp_path: Path) -> DataSet:
    """Four utterances of VoxCeleb1's test speakers, under the names that local/voxceleb1.py could give."""
    paths = ("id10270/5r0dWxy17C8/00001", "id10270/GWXujl-xAVM/00017", "id10300/ize_eiCFEg0/00003")
    wav = {path.replace("/", "-"): f"/corpora/VoxCeleb1/wav/{path}.wav" for path in paths}
    return made(tmp_path / "eval", wav, {utt: utt.split("-")[0] for utt in wav})


def lines(data: DataSet, name: str = "trials") -> list[str]:
    return (data.folder / name).read_text().splitlines()


def test_voxcelebs_list_finds_utterances_by_the_ends_of_their_paths(
    voxceleb: DataSet, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "veri_test2.txt").write_text(
        "1 id10270/5r0dWxy17C8/00001.wav id10270/GWXujl-xAVM/00017.wav\n"
        "0 id10270/5r0dWxy17C8/00001.wav id10300/ize_eiCFEg0/00003.wav\n"
        "1 id10270/5r0dWxy17C8/00001.wav id10270/8jEAjG6SegY/00008.wav\n"
    )
    to = str(voxceleb.folder / "trials.O")
    command(["trials", "--from", "voxceleb", str(tmp_path / "veri_test2.txt"), "--to", to])
    assert lines(voxceleb, "trials.O") == [
        "id10270-5r0dWxy17C8-00001 id10270-GWXujl-xAVM-00017 target",
        "id10270-5r0dWxy17C8-00001 id10300-ize_eiCFEg0-00003 nontarget",
    ]
    said = capsys.readouterr().err
    assert "1 of 3 trials name what is not there (the first: id10270/8jEAjG6SegY/00008.wav)" in said
    assert "trials.O: 2 trials" in said
    check(voxceleb)


def test_sitws_models_are_enrolled_and_its_keys_read(tmp_path: Path) -> None:
    wav = {name: f"/corpora/sitw/dev/audio/{name}.flac" for name in ("pwmlt", "igjml", "yapuz", "ovmrn")}
    spans = "".join(f"{name} {name} 0 -1\n" for name in ("igjml", "ovmrn", "pwmlt"))
    spans += "yapuz-1 yapuz 10.0 24.5\nyapuz-2 yapuz 60.0 71.0\n"
    utts = dict.fromkeys(("igjml", "ovmrn", "pwmlt", "yapuz-1", "yapuz-2"), "x")
    data = made(tmp_path / "dev", wav, utts, segments=spans)
    (tmp_path / "enroll-assist.lst").write_text(
        "12013 audio/pwmlt.flac\n12020 audio/yapuz.flac 60.0 71.0\n12030 audio/gone.flac\n"
    )
    (tmp_path / "core-core.lst").write_text(
        "12013 audio/igjml.flac tgt\n12020 audio/igjml.flac imp\n12030 audio/igjml.flac imp\n"
    )
    words = ["trials", "--from", "sitw", str(tmp_path / "core-core.lst"), "--to", str(data.folder / "trials")]
    command([*words, "--enrol", str(tmp_path / "enroll-assist.lst")])
    assert read_table(data.folder / "enrol") == {"12013": "pwmlt", "12020": "yapuz-2"}
    assert lines(data) == ["12013 igjml target", "12020 igjml nontarget"]
    check(data)


@pytest.fixture
def sre(tmp_path: Path) -> DataSet:
    """Segments of SRE16, and both sides of a call as older evaluations name them."""
    wav = {name: f"/sre/{name}.sph" for name in ("enrollment_0001", "test_0002", "tabcd_A", "tabcd_B")}
    return made(tmp_path / "sre", wav, {name: name for name in wav})


def test_nists_key_and_enrolments(sre: DataSet, tmp_path: Path) -> None:
    (tmp_path / "enrollment.tsv").write_text("modelid\tsegment\tside\n1001_sre16\tenrollment_0001.sph\ta\n")
    (tmp_path / "key.tsv").write_text(
        "modelid\tsegment\tside\ttargettype\tpartition\n"
        "1001_sre16\ttest_0002.sph\ta\ttarget\t1\n"
        "1001_sre16\ttabcd.sph\tb\tnontarget\t1\n"
    )
    words = ["trials", "--from", "nist", str(tmp_path / "key.tsv"), "--to", str(sre.folder / "trials")]
    command([*words, "--enrol", str(tmp_path / "enrollment.tsv")])
    assert lines(sre) == ["1001_sre16 test_0002 target", "1001_sre16 tabcd_B nontarget"]
    assert read_table(sre.folder / "enrol") == {"1001_sre16": "enrollment_0001"}


def test_nists_trials_need_their_key_and_what_is_not_scored_is_left_out(
    sre: DataSet, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (sre.folder / "enrol").write_text("m1 enrollment_0001\n")
    trials, key, to = tmp_path / "trials.tsv", tmp_path / "key.csv", str(sre.folder / "trials")
    trials.write_text("m1\ttabcd.sph\ta\nm1\ttabcd.sph\tb\nm1\ttest_0002.sph\ta\n")
    key.write_text(
        "m1,tabcd.sph,a,target,Y,N,N\nm1,tabcd.sph,b,nontarget,Y,N,N\nm1,test_0002.sph,a,target,N,N,N\n"
    )
    with pytest.raises(InputError, match="trials.tsv:1: does not say target or nontarget.*--key"):
        command(["trials", "--from", "nist", str(trials), "--to", to])
    command(["trials", "--from", "nist", str(trials), "--to", to, "--key", str(key)])
    assert lines(sre) == ["m1 tabcd_A target", "m1 tabcd_B nontarget"]
    assert "1 trials are not in the key" in capsys.readouterr().err


def test_a_csv_by_usual_names_of_columns_or_named_ones(voxceleb: DataSet, tmp_path: Path) -> None:
    path, to = tmp_path / "pairs.csv", str(voxceleb.folder / "trials")
    path.write_text(
        "n,utt1,utt2,same\n1,id10270/5r0dWxy17C8/00001.wav,id10270/GWXujl-xAVM/00017.wav,True\n"
        '2,"id10270-5r0dWxy17C8-00001",id10300/ize_eiCFEg0/00003,False\n'
    )
    command(["trials", "--from", "csv", str(path), "--to", to])
    assert [line.split()[2] for line in lines(voxceleb)] == ["target", "nontarget"]
    path.write_text(path.read_text().replace("utt1", "left"))
    with pytest.raises(InputError, match="which columns are what.*n, left, utt2, same.*--enrol-column NAME"):
        command(["trials", "--from", "csv", str(path), "--to", to])
    command(["trials", "--from", "csv", str(path), "--to", to, "--enrol-column", "left"])
    with pytest.raises(InputError, match="no column lft: there are n, left"):
        command(["trials", "--from", "csv", str(path), "--to", to, "--enrol-column", "lft"])


@pytest.mark.parametrize(
    ("kind", "text", "said"),
    [
        ("kaldi", "a b target\na b\n", "list:2: 2 words where 3 should stand"),
        ("kaldi", "1 a b\n", "list:1: 'b' is neither target nor nontarget .*--from"),
        ("csv", "enrol,test,label\na,b\n", "list:2: 2 fields, the header has 3"),
        ("voxceleb", "1 x y\n", "no trials are left"),
    ],
)
def test_bad_lists_are_refused_with_their_line(
    voxceleb: DataSet, tmp_path: Path, kind: str, text: str, said: str
) -> None:
    (tmp_path / "list").write_text(text)
    with pytest.raises(InputError, match=said):
        command(["trials", "--from", kind, str(tmp_path / "list"), "--to", str(voxceleb.folder / "trials")])


def test_words_of_which_a_set_has_two_or_none_are_not_guessed(tmp_path: Path) -> None:
    wav = {"a-1": "/x/a/1.wav", "b-1": "/x/b/1.wav", "c": "sph2pipe -f wav -p -c 1 /y/call.sph |"}
    names = Names(made(tmp_path / "set", wav, {"a-1": "a", "b-1": "b", "c": "c"}))
    assert names.find("a/1.flac") == "a-1" and names.find("x/b/1") == "b-1"
    assert names.find("1.wav") is None and names.find("call") == "c"


UTT2SPK = {f"{speaker}-{number}": speaker for speaker in "abcd" for number in range(4)}
GENDER = {utt: "f" if utt[0] in "ab" else "m" for utt in UTT2SPK}
SESSION = {utt: "01"[int(utt[2]) // 2] for utt in UTT2SPK}  # each with everybody in it


def test_trials_by_rule() -> None:
    assert len(by_rule(UTT2SPK, "all")) == 16 * 15 // 2
    within = by_rule(UTT2SPK, "gender", GENDER)
    assert len(within) == 2 * (8 * 7 // 2) and all(GENDER[one] == GENDER[two] for one, two, _ in within)
    crossing = by_rule(UTT2SPK, "session", SESSION)
    targets = [(one, two) for one, two, target in crossing if target]
    assert len(targets) == 4 * 4 and all(SESSION[one] != SESSION[two] for one, two in targets)
    assert len(crossing) - len(targets) == 6 * 16
    few = by_rule(UTT2SPK, "gender", GENDER, each=2, seed=3)
    assert [target for *_, target in few].count(True) == 8
    with pytest.raises(InputError, match="no target trials can be made of 4 speakers"):
        by_rule({f"{speaker}-0": speaker for speaker in "abcd"}, "all")


def test_a_speaker_of_thousands_of_utterances_is_paired_in_a_moment() -> None:
    utt2spk = {f"a-{number:05d}": "a" for number in range(20_000)} | {"b-0": "b", "b-1": "b"}
    found = balanced(utt2spk, 20, seed=0)
    assert sum(target for *_, target in found) == 21


def test_the_command_writes_lists_by_rule(voxceleb: DataSet) -> None:
    folder = voxceleb.folder
    command(["trials", "--by", "all", str(folder)])
    utts = sorted(voxceleb.utt2spk())
    assert [tuple(line.split()[:2]) for line in lines(voxceleb)] == list(combinations(utts, 2))
    with pytest.raises(InputError, match="spk2gender: does not say each utterance's gender"):
        command(["trials", "--by", "gender", str(folder)])
    (folder / "spk2gender").write_text("id10270 m\n")
    with pytest.raises(InputError, match="utterance id10300-ize_eiCFEg0-00003: 1 utterances have none"):
        command(["trials", "--by", "gender", str(folder)])
    with pytest.raises(InputError, match="either --from FORMAT FILE or --by RULE"):
        command(["trials", str(folder)])
    with pytest.raises(InputError, match="--to names the list"):
        command(["trials", "--from", "kaldi", str(folder / "trials"), "--to", str(folder / "list")])

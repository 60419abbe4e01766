"""egs/aishell2: a miniature corpus in AISHELL-2's own layout."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from pysteps.formats.errors import InputError
from pysteps.formats.tables import read_table
from tests.corpora import Voices, prepared, results_of
from tests.voxceleb_corpus import write

TRAINING = [f"C{number:04d}" for number in (1, 2, 3, 4, 5, 6, 7, 896)]
JUDGED = {"dev": ["D0003", "D0007"], "test": ["T0011", "T0012"]}
DEVICES = {"iOS": "I", "Android": "A", "Mic": "M"}


def build(root: Path, voices: Voices | None = None) -> Path:
    """AISHELL-2 and AISHELL-DEV-TEST-SET, side by side."""
    own = root / "AISHELL-2" / "iOS" / "data"
    info = ""
    for rank, who in enumerate(TRAINING):
        for number in range(4):
            write(own / "wav" / who / f"I{who}W{number + 1:04d}.wav", who, number, voices)
        info += f"{who}\tB\t{'男' if rank < 4 else '女'}\tNorth\n"
    (own / "spk_info.txt").write_text(info)
    for device, letter in DEVICES.items():
        for name, speakers in JUDGED.items():
            for who in speakers:
                for number in range(3):
                    folder = root / "AISHELL-DEV-TEST-SET" / device / name / "wav" / who
                    write(folder / f"{letter}{who}W{number + 1:04d}.wav", who, number, voices)
    return root


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The corpus, of empty files; not to be changed."""
    return build(tmp_path_factory.mktemp("aishell2") / "a corpus")


@pytest.fixture
def own(tree: Path, tmp_path: Path) -> Path:
    """A copy to change."""
    return Path(shutil.copytree(tree, tmp_path / "corpus"))


@pytest.fixture(scope="module")
def data(tree: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """data/ of the miniature corpus."""
    return prepared("aishell2", tree, tmp_path_factory.mktemp("work"))


def people(data: Path, name: str) -> set[str]:
    return set(read_table(data / name / "spk2utt"))


def trials(path: Path) -> list[list[str]]:
    return [line.split() for line in path.read_text().splitlines()]


def test_the_owners_fifteen_are_judged_and_dev_is_cut_from_training(data: Path) -> None:
    assert people(data, "eval") == {"D0003", "D0007", "T0011", "T0012"}
    assert len(people(data, "dev")) == 2
    assert people(data, "train") | people(data, "dev") == set(TRAINING)
    assert not people(data, "train") & people(data, "dev")
    assert sorted(read_table(data / "dev" / "spk2gender").values()) == ["f", "m"]


def test_an_utterance_has_its_device_and_file(tree: Path, data: Path) -> None:
    path = tree / "AISHELL-DEV-TEST-SET" / "Android" / "test" / "wav" / "T0011" / "AT0011W0001.wav"
    assert read_table(data / "eval" / "wav.scp")["T0011-android-AT0011W0001"] == str(path)
    assert read_table(data / "eval" / "utt2channel")["T0011-android-AT0011W0001"] == "Android"
    both = read_table(data / "train" / "wav.scp") | read_table(data / "dev" / "wav.scp")
    assert both["C0896-IC0896W0001"].endswith("AISHELL-2/iOS/data/wav/C0896/IC0896W0001.wav")


def test_trials_are_all_pairs_on_ios(data: Path) -> None:
    lines = trials(data / "eval" / "trials")
    # 12 utterances: 66 pairs, of which 4 speakers have 3 each
    assert len(lines) == 66 and sum(kind == "target" for *_, kind in lines) == 12
    assert all("-ios-" in one and "-ios-" in two for one, two, _ in lines)


def test_trials_across_devices_hold_no_sentence_twice_by_its_speaker(data: Path) -> None:
    lines = trials(data / "eval" / "trials.device")
    # 12 on iOS against 12 on Android and 12 on Mic, but for the 24 that are one reading
    assert len(lines) == 12 * 24 - 24
    assert all("-ios-" in one and "-ios-" not in two for one, two, _ in lines)
    targets = [(one, two) for one, two, kind in lines if kind == "target"]
    assert len(targets) == 4 * (3 * 6 - 6) and all(one[-5:] != two[-5:] for one, two in targets)


def test_trials_within_a_gender_need_the_owners_word(own: Path, data: Path, tmp_path: Path) -> None:
    assert not (data / "eval" / "trials.gender").exists()
    info = "D0003 B 女 North\nD0007 C 男 South\nT0011 B 女 South\nT0012 A 男 North\n"
    (own / "AISHELL-DEV-TEST-SET" / "iOS" / "test" / "spk_info.txt").write_text(info)
    folder = prepared("aishell2", own, tmp_path) / "eval"
    assert read_table(folder / "spk2gender") == {"D0003": "f", "D0007": "m", "T0011": "f", "T0012": "m"}
    assert len(trials(folder / "trials.gender")) == 12 + 2 * 9


def test_dev_and_test_may_lie_in_the_corpus_on_ios_alone(own: Path, tmp_path: Path) -> None:
    for name in JUDGED:
        (own / "AISHELL-DEV-TEST-SET" / "iOS" / name).rename(own / "AISHELL-2" / "iOS" / name)
    shutil.rmtree(own / "AISHELL-DEV-TEST-SET")
    data = prepared("aishell2", own / "AISHELL-2", tmp_path)
    assert len(read_table(data / "eval" / "utt2spk")) == 12
    assert not (data / "eval" / "trials.device").exists()


def test_dev_and_test_may_be_named(own: Path, tmp_path: Path) -> None:
    (own / "AISHELL-DEV-TEST-SET").rename(tmp_path / "judged")
    with pytest.raises(
        InputError, match=r"no iOS/dev/wav/SPEAKER with iOS/test/wav/SPEAKER.*AISHELL2-2018A-EVAL"
    ):
        prepared("aishell2", own, tmp_path)
    data = prepared("aishell2", own, tmp_path, aishell2_eval=tmp_path / "judged")
    assert len(people(data, "eval")) == 4


def test_counts_that_are_not_the_published_ones_are_said(
    tree: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    prepared("aishell2", tree, tmp_path)
    said = capsys.readouterr().err
    for line in (
        "AISHELL-2: 8 speakers, Kaldi's egs/aishell2/README.md has 1,991",
        "AISHELL-2 test, Mic: 6 utterances, Kaldi's egs/aishell2/README.md has 5,000",
        "AISHELL-2 dev, iOS: 2 speakers, Kaldi's egs/aishell2/README.md has 5",
    ):
        assert f"warning: {line}\n" in said


@pytest.mark.parametrize(
    ("there", "said"),
    [
        (("readme",), r"no AISHELL-2/iOS/data/wav/SPEAKER and no iOS/data/wav/SPEAKER here; found readme"),
        (("iOS/data/wav/C0001.tar.gz",), r"1 archives \(C0001.tar.gz ...\) and no recordings.*tar xzf"),
        (
            ("AISHELL-2/iOS/data/wav/C0001/IC0001W0001.wav", "AISHELL-DEV-TEST-SET/iOS/test.tar.gz"),
            r"no iOS/dev/wav/SPEAKER.*unpack .*iOS/test.tar.gz there",
        ),
    ],
)
def test_a_wrong_or_packed_folder_is_refused(tmp_path: Path, there: tuple[str, ...], said: str) -> None:
    for name in there:
        write(tmp_path / "corpus" / name, "", 0, None)
    with pytest.raises(InputError, match=f"(?s){said}"):
        prepared("aishell2", tmp_path / "corpus", tmp_path)


@pytest.mark.long
def test_the_recipe_runs_to_eer(tmp_path: Path) -> None:
    root = build(tmp_path / "corpus", Voices())
    results = results_of("aishell2", root, tmp_path / "work")
    assert set(results["trials"]) == {"eval", "eval.device"}

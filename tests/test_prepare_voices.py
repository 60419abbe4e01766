"""egs/voices and egs/voxceleb_to_voices: miniatures of the devkit and of the challenge."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from local import voices, voices_challenge
from pysteps.formats.errors import InputError
from pysteps.formats.tables import read_table
from pysteps.prepare.corpus import Corpus
from tests.corpora import Voices, prepared, results_of
from tests.voxceleb_corpus import voxceleb

AAM = ("--train", "aam", "--egs", "audio", "--augment", "live")
TRAIN = ("0083", "0032", "3446", "3521", "0307", "2785", "6241", "1594")
TEST = ("8713", "5622", "0093")
SOURCES = ("ch003054-sg0005", "ch009960-sg0031")
MICS = ("mc01-stu-clo", "mc05-stu-far")
TABLE = """\
Speaker Gender Dataset
83 F train-clean-360
32 F train-clean-100
3446 M train-clean-100
3521 F train-clean-360
307 M train-clean-100
2785 M train-clean-360
6241 M train-clean-100
1594 F train-clean-360
8713 M train-clean-360
5622 F train-clean-360
93 M train-clean-360
"""


def name(room: str, distractor: str, speaker: str, source: str, mic: str) -> str:
    return f"Lab41-SRI-VOiCES-{room}-{distractor}-sp{speaker}-{source}-{mic}-dg090"


def build(root: Path, sounds: Voices) -> Path:
    """The devkit: two rooms, two sentences, two microphones."""
    for part, speakers, rooms in (("train", TRAIN, ("rm1", "rm2")), ("test", TEST, ("rm3", "rm4"))):
        for speaker in speakers:
            for number, source in enumerate(SOURCES):
                for room, distractor in zip(rooms, ("none", "babb"), strict=True):
                    for mic in MICS:
                        folder = root / "distant-16k" / "speech" / part / room / distractor / f"sp{speaker}"
                        file = f"{name(room, distractor, speaker, source, mic)}.wav"
                        sounds.write(folder / file, speaker, number)
    clean = root / "source-16k" / "train" / "sp0307"
    sounds.write(clean / "Lab41-SRI-VOiCES-src-sp0307-ch127535-sg0042.wav", "0307")
    (root / "references").mkdir()
    (root / voices.TABLE).write_text(TABLE)
    return root


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The silent devkit."""
    return build(tmp_path_factory.mktemp("voices") / "VOiCES_devkit", Voices(real=False))


@pytest.fixture(scope="module")
def data(tree: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return prepared("voices", tree.parent, tmp_path_factory.mktemp("work"))


def test_train_and_test_are_the_owners_and_dev_is_cut_from_train(data: Path) -> None:
    speakers = {name: set(read_table(data / name / "spk2utt")) for name in ("train", "dev", "eval")}
    assert speakers["train"] | speakers["dev"] == {f"sp{one}" for one in TRAIN}
    assert len(speakers["dev"]) == 2 and not speakers["train"] & speakers["dev"]
    assert set(read_table(data / "dev" / "spk2gender").values()) == {"f", "m"}  # the draw keeps genders
    assert speakers["eval"] == {"sp8713", "sp5622", "sp0093"}


def test_a_name_says_what_it_is(data: Path) -> None:
    utt = "sp0093-rm4-babb-ch009960-sg0031-mc05-stu-far-dg090"
    file = read_table(data / "eval" / "wav.scp")[utt]
    assert file.endswith(f"test/rm4/babb/sp0093/{name('rm4', 'babb', '0093', SOURCES[1], MICS[1])}.wav")
    said = [
        read_table(data / "eval" / f"utt2{label}")[utt] for label in ("room", "distractor", "mic", "place")
    ]
    assert said == ["rm4", "babb", "mc05", "far"]
    assert read_table(data / "eval" / "utt2session")[utt] == "sp0093-ch009960"
    assert read_table(data / "eval" / "spk2gender") == {"sp8713": "m", "sp5622": "f", "sp0093": "m"}


def lines(path: Path) -> list[list[str]]:
    return [line.split() for line in path.read_text().splitlines()]


def test_nobody_says_the_same_sentence_twice(data: Path) -> None:
    target = [(one, two) for one, two, kind in lines(data / "eval" / "trials") if kind == "target"]
    # three speakers, two sentences of four recordings: 4 x 4 pairs each
    assert len(target) == 48 and all(voices.source_of(one) != voices.source_of(two) for one, two in target)
    rooms = [pair for pair in lines(data / "eval" / "trials.rooms") if pair[2] == "target"]
    assert len(rooms) == 24 and all(voices.room_of(one) != voices.room_of(two) for one, two, _ in rooms)
    within = {
        voices.speaker_of(utt) for one, two, _ in lines(data / "eval" / "trials.gender") for utt in (one, two)
    }
    assert "sp0093" in within


def test_counts_are_the_devkits_or_the_releases(
    tree: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    prepared("voices", tree, tmp_path)
    said = capsys.readouterr().err
    assert "warning: VOiCES train: 8 speakers, the owners' devkit has 200" in said
    assert "warning: VOiCES test: 24 recordings, the owners' devkit has 6,400" in said
    voices.compare_counts("test", ["sp0001-rm1"] * 300_000)
    assert "test: 300,000 recordings, the owners' release has 337,920" in capsys.readouterr().err


def test_wrong_folders_are_told(tree: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(
        InputError, match=r"no distant-16k/speech here or in VOiCES_release, .*the folder is empty"
    ):
        voices.find(tmp_path)
    (tmp_path / "VOiCES_devkit.tar.gz").touch()
    with pytest.raises(InputError, match="unpack VOiCES_devkit.tar.gz there"):
        voices.find(tmp_path)
    (tmp_path / "VOiCES_competition").mkdir()
    with pytest.raises(InputError, match=r"the challenge of 2019: ./run.sh --recipe voxceleb_to_voices"):
        voices.find(tmp_path)
    own = Path(shutil.copytree(tree, tmp_path / "own"))
    (own / voices.TABLE).unlink()
    stray = own / "distant-16k/speech/train/rm1/none/sp0083/noise.wav"
    stray.touch()
    prepared("voices", own, tmp_path / "work")
    said = capsys.readouterr().err
    assert "genders are not known" in said and "1 files are not named as VOiCES names them: " in said
    shutil.rmtree(own / "distant-16k/speech/test")
    with pytest.raises(InputError, match=r"no test/; found train/ .*the first releases had no test"):
        voices.prepare(Corpus(own), tmp_path / "data", 0)


def challenge(root: Path, sounds: Voices) -> Path:
    """The challenge's dev (0083 and 3446 enrolled, three tested) and eval, whose names say nothing."""
    home = root / "Development_Data" / "Speaker_Recognition"
    lists = home / "sid_dev_lists_and_keys"
    lists.mkdir(parents=True)
    models = [(one, name("rm1", "none", one, SOURCES[0], MICS[0])) for one in TRAIN[:4:2]]
    tests = [(one, name("rm2", "musi", one, SOURCES[1], MICS[1])) for one in TRAIN[:3]]
    for speaker, file in (*models, *tests):
        sounds.write(home / "sid_dev" / f"sp{speaker}" / f"{file}.wav", speaker)
    sounds.write(home / "sid_dev/sp3521" / f"{name('rm1', 'tele', '3521', SOURCES[0], MICS[0])}.wav", "3521")
    (lists / "dev-enroll.lst").write_text(
        "".join(f"{file} sid_dev/sp{one}/{file}.wav\n" for one, file in models)
    )
    keys = [
        f"{model} sid_dev/sp{other}/{file}.wav {'tgt' if one == other else 'imp'}\n"
        for one, model in models
        for other, file in tests
    ]
    (lists / "dev-trial-keys.lst").write_text("".join(keys))
    home = root / "Evaluation_Data" / "Speaker_Recognition"
    heard = {
        "voices-0001": "Lab41-SRI-VOiCES-src-sp8713-ch127535-sg0042.wav",
        "voices-0002": f"{name('rm3', 'none', '5622', SOURCES[0], MICS[0])}.wav",
        "voices-0003": f"{name('rm4', 'tele', '8713', SOURCES[1], MICS[1])}.wav",
        "voices-0004": f"{name('rm4', 'tele', '5622', SOURCES[1], MICS[1])}.wav",
    }
    for file, meaning in heard.items():
        sounds.write(home / "sid_eval" / f"{file}.wav", "8713" if "8713" in meaning else "5622")
    (home / "sid_eval_lists").mkdir()
    (home / "sid_eval_lists" / "eval-enroll.lst").write_text(
        "model-1 sid_eval/voices-0001.wav\nmodel-2 sid_eval/voices-0002.wav\n"
    )
    released = root / voices_challenge.RELEASED
    released.mkdir()
    (released / voices_challenge.MAP).write_text(
        "".join(f"{file} /export/VOiCES/{meaning}\n" for file, meaning in heard.items())
    )
    (released / voices_challenge.KEYS["eval"][0]).write_text(
        "model-1 voices-0003.wav tgt\nmodel-1 voices-0004.wav imp\n"
        "model-2 voices-0003.wav imp\nmodel-2 voices-0004.wav tgt\n"
    )
    return root


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """VoxCeleb of empty files and the silent challenge."""
    root = voxceleb(tmp_path_factory.mktemp("both") / "corpora")
    challenge(root / "VOiCES_competition", Voices(real=False))
    return root


@pytest.fixture
def own(both: Path, tmp_path: Path) -> Path:
    """A copy to change."""
    return Path(shutil.copytree(both, tmp_path / "corpora"))


def test_models_and_trials_are_the_owners(both: Path, tmp_path: Path) -> None:
    data = prepared("voxceleb_to_voices", both, tmp_path, *AAM)
    dev, evaluation = data / "voices-dev", data / "voices-eval"
    assert set(read_table(dev / "spk2utt")) == {"sp0083", "sp3446", "sp0032"}  # sp3521 is in no list
    assert read_table(dev / "enrol") == {
        name("rm1", "none", one, SOURCES[0], MICS[0]): f"sp{one}-rm1-none-ch003054-sg0005-mc01-stu-clo-dg090"
        for one in ("0083", "3446")
    }
    kinds = [line.rpartition(" ")[2] for line in (dev / "trials").read_text().splitlines()]
    assert (kinds.count("target"), kinds.count("nontarget")) == (2, 4)
    assert (evaluation / "trials").read_text().splitlines() == [
        "model-1 sp8713-voices-0003 target",
        "model-1 sp5622-voices-0004 nontarget",
        "model-2 sp8713-voices-0003 nontarget",
        "model-2 sp5622-voices-0004 target",
    ]
    assert read_table(evaluation / "enrol") == {
        "model-1": "sp8713-voices-0001",
        "model-2": "sp5622-voices-0002",
    }
    assert read_table(evaluation / "utt2room") == {
        "sp5622-voices-0002": "rm3",
        "sp5622-voices-0004": "rm4",
        "sp8713-voices-0001": "src",
        "sp8713-voices-0003": "rm4",
    }


def test_counts_and_missing_recordings_are_said(
    own: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    home = own / "VOiCES_competition" / "Development_Data" / "Speaker_Recognition"
    (home / "sid_dev/sp0032" / f"{name('rm2', 'musi', '0032', SOURCES[1], MICS[1])}.wav").unlink()
    data = prepared("voxceleb_to_voices", own, tmp_path / "work", *AAM)
    said = capsys.readouterr().err
    assert "warning: VOiCES challenge dev: 5 segments, the evaluation plan has 15,904" in said
    assert "warning: voices-dev: 1 recordings are not there (Lab41-SRI-VOiCES-rm2-musi-sp0032" in said
    assert "2 of 6 trials name what is not there" in said
    assert len((data / "voices-dev/trials").read_text().splitlines()) == 4


def test_without_the_map_everybody_is_alone(
    own: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (own / "VOiCES_competition" / voices_challenge.RELEASED / voices_challenge.MAP).unlink()
    data = prepared("voxceleb_to_voices", own, tmp_path / "work", *AAM)
    assert "speakers and rooms of eval are not known" in capsys.readouterr().err
    assert set(read_table(data / "voices-eval/spk2utt")) == {f"voices-000{number}" for number in (1, 2, 3, 4)}


def test_everything_may_lie_in_one_folder(both: Path, tmp_path: Path) -> None:
    flat, source = tmp_path / "flat", both / "VOiCES_competition"
    for kind, name_ in (("Development", "dev"), ("Evaluation", "eval")):
        home = source / f"{kind}_Data" / "Speaker_Recognition"
        shutil.copytree(home / f"sid_{name_}", flat / f"sid_{name_}")
    shutil.copytree(
        source / "Development_Data/Speaker_Recognition/sid_dev_lists_and_keys",
        flat / "sid_dev_lists_and_keys",
    )
    shutil.copy(source / "Evaluation_Data/Speaker_Recognition/sid_eval_lists/eval-enroll.lst", flat)
    shutil.copytree(source / voices_challenge.RELEASED, flat / voices_challenge.RELEASED)
    data = prepared("voxceleb_to_voices", both, tmp_path / "work", *AAM, voices=flat)
    assert len((data / "voices-eval/trials").read_text().splitlines()) == 4


def test_what_the_challenge_lacks_is_told(own: Path, tmp_path: Path) -> None:
    root = own / "VOiCES_competition"
    keys = root / voices_challenge.RELEASED / voices_challenge.KEYS["eval"][0]
    keys.write_text(keys.read_text().replace("imp", "target"))
    with pytest.raises(InputError, match=r"trial-keys.lst:2: 'target' is neither tgt nor imp"):
        prepared("voxceleb_to_voices", own, tmp_path / "work", *AAM)
    keys.unlink()
    with pytest.raises(
        InputError, match=r"eval: no VOiCES_challenge_2019_eval.SID.trial-keys.lst .*after the chall"
    ):
        prepared("voxceleb_to_voices", own, tmp_path / "work", *AAM)
    shutil.rmtree(root / "Development_Data")
    with pytest.raises(
        InputError, match=r"no VOiCES challenge dev here: looked for sid_dev, Development_Data/Speak"
    ):
        prepared("voxceleb_to_voices", own, tmp_path / "work", *AAM)


@pytest.mark.long
def test_the_recipe_runs_from_the_corpus_to_eer(tmp_path: Path) -> None:
    root = build(tmp_path / "VOiCES_devkit", Voices())
    results = results_of("voices", root, tmp_path / "work")
    assert set(results["trials"]) == {"eval", "eval.gender", "eval.rooms"}


@pytest.mark.long
def test_the_challenge_runs_from_the_corpus_to_eer(tmp_path: Path) -> None:
    sounds = Voices()
    root = voxceleb(tmp_path / "corpora", sounds)
    challenge(root / "VOiCES_competition", sounds)
    results = results_of("voxceleb_to_voices", root, tmp_path / "work", *AAM)
    assert set(results["trials"]) == {"voices-dev", "voices-eval"}

"""egs/cnceleb, cnceleb1 and voxceleb_to_cnceleb: miniature corpora in CN-Celeb's own layout."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from pysteps.formats.errors import InputError
from pysteps.formats.tables import read_table
from tests.corpora import Voices, prepared, results_of
from tests.voxceleb_corpus import DEV2, META2, add, write

TRAINING = [f"id0000{number}" for number in range(1, 9)]
SECOND = ["id10001", "id10002"]
STEMS = ("entertainment-05-003", "entertainment-05-004", "singing-01-001", "live_broadcast-02-001")
ENROLLED = {
    "id00800": ["speech-01-001", "speech-01-002"],
    "id00801": ["interview-01-001", "interview-02-007"],
}
TESTS = {
    "id00800": ["singing-01-001", "singing-01-005"],
    "id00801": ["drama-01-001", "drama-02-004"],
    "id00999": ["singing-02-006"],  # four of the owners' 200 test speakers have no model either
}


def build(root: Path, voices: Voices | None = None, second: bool = True) -> Path:
    """CN-Celeb_flac and CN-Celeb2_flac; the lists say .wav, as the owners' do."""
    first = root / "CN-Celeb_flac"
    for who in TRAINING:
        for number, stem in enumerate(STEMS):
            write(first / "data" / who / f"{stem}.flac", who, number, voices)
    for who, stems in TESTS.items():
        for number, stem in enumerate(stems):
            for path in (f"data/{who}/{stem}.flac", f"eval/test/{who}-{stem}.flac"):
                write(first / path, who, number, voices)
    for who, stems in ENROLLED.items():
        for number, stem in enumerate(stems):
            write(first / "data" / who / f"{stem}.flac", who, number + 2, voices)
        write(first / "eval" / "enroll" / f"{who}-enroll.flac", who, 2, voices)
    lists = first / "eval" / "lists"
    lists.mkdir()
    (first / "dev").mkdir()
    (first / "dev" / "dev.lst").write_text("".join(f"{who}\n" for who in TRAINING))
    enrolled = ((who, " ".join(f"{who}/{stem}.wav" for stem in stems)) for who, stems in ENROLLED.items())
    (lists / "enroll.map").write_text("".join(f"{who}-enroll {names}\n" for who, names in enrolled))
    (lists / "enroll.lst").write_text("".join(f"{who}-enroll enroll/{who}-enroll.wav\n" for who in ENROLLED))
    tests = [f"{who}-{stem}" for who, stems in TESTS.items() for stem in stems]
    lines = (f"{who}-enroll test/{test}.wav {int(test[:7] == who)}\n" for who in ENROLLED for test in tests)
    (lists / "trials.lst").write_text("".join(lines))
    if second:
        for who in SECOND:
            for number, stem in enumerate(STEMS[2:]):
                write(root / "CN-Celeb2_flac" / "data" / who / f"{stem}.flac", who, number, voices)
        (root / "CN-Celeb2_flac" / "spk.lst").write_text("".join(f"{who}\n" for who in SECOND))
    return root


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Both corpora, of empty files; not to be changed."""
    return build(tmp_path_factory.mktemp("cnceleb") / "both corpora")


@pytest.fixture
def own(tree: Path, tmp_path: Path) -> Path:
    """A copy to change."""
    return Path(shutil.copytree(tree, tmp_path / "corpus"))


@pytest.fixture(scope="module")
def data(tree: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """data/ of the recipe cnceleb."""
    return prepared("cnceleb", tree, tmp_path_factory.mktemp("work"))


def people(data: Path, name: str) -> set[str]:
    return set(read_table(data / name / "spk2utt"))


def trials(data: Path, name: str) -> list[list[str]]:
    return [line.split() for line in (data / name / "trials").read_text().splitlines()]


def test_who_is_where(data: Path) -> None:
    assert people(data, "eval") == {"id00800", "id00801", "id00999"}
    assert len(people(data, "dev")) == 2 and people(data, "dev") < set(TRAINING)
    assert people(data, "train") == {*TRAINING, *SECOND} - people(data, "dev")


def test_an_utterance_has_its_genre_recording_and_file(tree: Path, data: Path) -> None:
    utt = "id10001-live_broadcast-02-001"
    path = tree / "CN-Celeb2_flac" / "data" / "id10001" / "live_broadcast-02-001.flac"
    assert read_table(data / "train" / "wav.scp")[utt] == str(path)
    assert read_table(data / "train" / "utt2spk")[utt] == "id10001"
    assert read_table(data / "train" / "utt2genre")[utt] == "live_broadcast"
    assert read_table(data / "train" / "utt2session")[utt] == "id10001-live_broadcast-02"
    assert read_table(data / "eval" / "utt2genre")["id00801-drama-02-004"] == "drama"


def test_a_model_is_the_utterances_of_data_that_the_map_names(tree: Path, data: Path) -> None:
    assert read_table(data / "eval" / "enrol") == {
        "id00800-enroll": "id00800-speech-01-001 id00800-speech-01-002",
        "id00801-enroll": "id00801-interview-01-001 id00801-interview-02-007",
    }
    path = tree / "CN-Celeb_flac" / "data" / "id00800" / "speech-01-002.flac"
    assert read_table(data / "eval" / "wav.scp")["id00800-speech-01-002"] == str(path)
    # five test utterances and four to enrol; what else data/ has of these people is left there
    assert len(read_table(data / "eval" / "utt2spk")) == 9


def test_trials_are_the_owners_in_their_order(data: Path) -> None:
    lines = trials(data, "eval")
    assert lines[:3] == [
        ["id00800-enroll", "id00800-singing-01-001", "target"],
        ["id00800-enroll", "id00800-singing-01-005", "target"],
        ["id00800-enroll", "id00801-drama-01-001", "nontarget"],
    ]
    assert len(lines) == 10 and sum(kind == "target" for *_, kind in lines) == 4


def test_dev_trials_cross_recordings(data: Path) -> None:
    session = read_table(data / "dev" / "utt2session")
    targets = [(one, two) for one, two, kind in trials(data, "dev") if kind == "target"]
    # of the six pairs of a speaker's four utterances one is within a recording
    assert len(targets) == 10 and all(session[one] != session[two] for one, two in targets)


def test_counts_that_are_not_the_published_ones_are_said(
    tree: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    prepared("cnceleb", tree, tmp_path)
    said = capsys.readouterr().err
    for line in (
        "CN-Celeb1 training: 8 speakers, the second release (arXiv 2012.12468) has 797",
        "CN-Celeb2: 4 utterances, the second release (arXiv 2012.12468) has 524,787",
        "CN-Celeb eval: 2 models, the second release (arXiv 2012.12468) has 196",
        "CN-Celeb eval: 5 test utterances, the second release (arXiv 2012.12468) has 17,777",
        "CN-Celeb eval: 10 trials, the second release (arXiv 2012.12468) has 3,484,292",
    ):
        assert f"warning: {line}\n" in said


def test_without_the_map_a_model_is_the_owners_concatenation(own: Path, tmp_path: Path) -> None:
    (own / "CN-Celeb_flac" / "eval" / "lists" / "enroll.map").unlink()
    folder = prepared("cnceleb", own, tmp_path) / "eval"
    assert read_table(folder / "enrol")["id00801-enroll"] == "id00801-enroll-concat"
    assert read_table(folder / "wav.scp")["id00801-enroll-concat"].endswith("eval/enroll/id00801-enroll.flac")
    assert len(trials(folder.parent, "eval")) == 10


def test_an_utterance_may_enrol_and_test(own: Path, tmp_path: Path) -> None:
    with (own / "CN-Celeb_flac" / "eval" / "lists" / "enroll.map").open("a") as lines:
        lines.write("id00999-enroll id00999/singing-02-006.wav\n")
    folder = prepared("cnceleb", own, tmp_path) / "eval"
    assert read_table(folder / "enrol")["id00999-enroll"] == "id00999-singing-02-006"
    assert read_table(folder / "wav.scp")["id00999-singing-02-006"].endswith(
        "eval/test/id00999-singing-02-006.flac"
    )


def test_what_is_missing_is_counted_and_its_trials_left_out(
    own: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (own / "CN-Celeb_flac" / "eval" / "test" / "id00801-drama-01-001.flac").unlink()
    (own / "CN-Celeb_flac" / "data" / "id00800" / "speech-01-002.flac").unlink()
    shutil.rmtree(own / "CN-Celeb2_flac" / "data" / "id10002")
    data = prepared("cnceleb", own, tmp_path)
    assert len(trials(data, "eval")) == 8
    assert read_table(data / "eval" / "enrol")["id00800-enroll"] == "id00800-speech-01-001"
    said = capsys.readouterr().err
    assert "2 of 10 trials name what is not there (the first: id00801-drama-01-001)" in said
    assert "1 enrolment utterances are not in data/ (the first: id00800/speech-01-002)" in said
    assert "CN-Celeb2: 1 speakers of spk.lst are not in data/: id10002" in said


def test_who_is_judged_is_not_trained_on_even_if_listed(
    own: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with (own / "CN-Celeb_flac" / "dev" / "dev.lst").open("a") as lines:
        lines.write("id00999\n")
    data = prepared("cnceleb", own, tmp_path)
    assert "id00999" not in people(data, "train") | people(data, "dev")
    assert "1 speakers of dev.lst are evaluated and not trained on: id00999" in capsys.readouterr().err


def test_cnceleb1_needs_no_second_corpus_and_takes_the_folder_itself(tree: Path, tmp_path: Path) -> None:
    data = prepared("cnceleb1", tree / "CN-Celeb_flac", tmp_path)
    assert people(data, "train") | people(data, "dev") == set(TRAINING)


def test_the_corpora_may_lie_apart(own: Path, tmp_path: Path) -> None:
    (own / "CN-Celeb2_flac").rename(tmp_path / "second")
    with pytest.raises(InputError, match=r"no cnceleb2 here.*looked for CN-Celeb2_flac/"):
        prepared("cnceleb", own, tmp_path)
    data = prepared("cnceleb", own, tmp_path, cnceleb2=tmp_path / "second")
    assert set(SECOND) < people(data, "train")


@pytest.mark.parametrize(
    ("there", "said"),
    [
        ((), r"no cnceleb1 here: looked for CN-Celeb_flac/, CN-Celeb/, CN-Celeb1/; the folder is empty"),
        (("cn-celeb_v2.tar.gz",), r"cn-celeb_v2.tar.gz is not unpacked.*tar xzf cn-celeb_v2.tar.gz"),
        (("CN-Celeb_flac/data/id00001/a.flac",), r"no dev/dev.lst and no eval/enroll.*found data/"),
    ],
)
def test_a_wrong_or_half_unpacked_folder_is_refused(
    tmp_path: Path, there: tuple[str, ...], said: str
) -> None:
    (tmp_path / "corpus").mkdir()
    for name in there:
        write(tmp_path / "corpus" / name, "", 0, None)
    with pytest.raises(InputError, match=f"(?s){said}"):
        prepared("cnceleb", tmp_path / "corpus", tmp_path)


def test_the_second_corpus_packed_is_refused(own: Path, tmp_path: Path) -> None:
    shutil.rmtree(own / "CN-Celeb2_flac")
    (own / "cn-celeb2_v2.tar.gzaa").touch()
    with pytest.raises(InputError, match=r"cn-celeb2_v2.tar.gzaa is not unpacked.*cat cn-celeb2_v2.tar.gz\*"):
        prepared("cnceleb", own, tmp_path)


def test_lists_of_another_corpus_are_refused(own: Path, tmp_path: Path) -> None:
    (own / "CN-Celeb2_flac" / "spk.lst").write_text("id19999\n")
    with pytest.raises(InputError, match=r"none of the 1 speakers of spk.lst is in data/; found id10001/"):
        prepared("cnceleb", own, tmp_path)


def test_a_label_that_is_none_is_no_nontarget(own: Path, tmp_path: Path) -> None:
    path = own / "CN-Celeb_flac" / "eval" / "lists" / "trials.lst"
    path.write_text("id00800-enroll test/id00800-singing-01-005.wav target\n")
    with pytest.raises(InputError, match=r"trials.lst:1: 'target' is neither 1 nor 0"):
        prepared("cnceleb1", own, tmp_path)


def voxceleb2(root: Path, voices: Voices | None = None) -> Path:
    """VoxCeleb2's dev beside the corpora."""
    add(root / "VoxCeleb2" / "dev" / "aac", DEV2, ".m4a", voices)
    (root / "VoxCeleb2" / "vox2_meta.csv").write_text(META2)
    return root


def test_people_of_one_name_in_both_corpora_are_kept_apart(tmp_path: Path) -> None:
    root = voxceleb2(build(tmp_path / "corpora", second=False))
    first = root / "CN-Celeb_flac"
    (first / "data" / "id00001").rename(first / "data" / "id00012")  # VoxCeleb2 has somebody of that name
    (first / "dev" / "dev.lst").write_text("".join(f"{who}\n" for who in ["id00012", *TRAINING[1:]]))
    data = prepared("voxceleb_to_cnceleb", root, tmp_path)
    assert people(data, "train") | people(data, "dev") == set(DEV2)
    assert people(data, "cnceleb-dev") == {f"cn-{who}" for who in ["id00012", *TRAINING[1:]]}
    assert not (data / "cnceleb-dev" / "trials").exists()
    assert people(data, "cnceleb-eval") == {"cn-id00800", "cn-id00801", "cn-id00999"}
    folder = data / "cnceleb-eval"
    assert read_table(folder / "enrol")["cn-id00800-enroll"].split()[0] == "cn-id00800-speech-01-001"
    assert read_table(folder / "utt2session")["cn-id00999-singing-02-006"] == "cn-id00999-singing-02"
    assert trials(data, "cnceleb-eval")[0] == ["cn-id00800-enroll", "cn-id00800-singing-01-001", "target"]


@pytest.mark.long
@pytest.mark.parametrize("name", ["cnceleb", "cnceleb1"])
def test_the_recipe_runs_to_eer(tmp_path: Path, name: str) -> None:
    root = build(tmp_path / "corpora", Voices())
    results = results_of(name, root, tmp_path / "work", "--backend", "default")
    assert set(results["trials"]) == {"eval"}


@pytest.mark.long
def test_back_ends_adapt_from_voxceleb(tmp_path: Path) -> None:
    root = voxceleb2(build(tmp_path / "corpora", voices := Voices(), second=False), voices)
    to = "center adapt=cnceleb-dev | lda 4 | length-norm | plda adapt=cnceleb-dev"
    small = {
        "plda-adapt": to,
        "plda-coral": "coral adapt=cnceleb-dev | center | lda 4 | length-norm | plda",
        "plda-coralplus": f"{to} method=coral+",
    }
    words = [part for name, chain in small.items() for part in (f"--backend.backends.{name}", chain)]
    results = results_of("voxceleb_to_cnceleb", root, tmp_path / "work", *words)
    assert set(results["trials"]) == {"cnceleb-eval"}

"""./run.sh's options: what is unknown is refused with the nearest known; who wins over whom."""

from __future__ import annotations

from pathlib import Path

import pytest

from pysteps.formats.errors import InputError
from pysteps.recipe.options import as_called, help_text, parse, stage_number
from pysteps.recipe.resolve import resolve


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A checkout with one recipe and two configurations."""
    (tmp_path / "egs" / "tiny" / "conf" / "vad").mkdir(parents=True)
    for stage, name, text in (("vad", "webrtc", "mode: 1\n"), ("features", "fbank80", "num_mel_bins: 40\n")):
        (tmp_path / "conf" / stage).mkdir(parents=True)
        (tmp_path / "conf" / stage / f"{name}.yaml").write_text(text)
    for stage, name in (("audio", "16k"), ("augment", "musan"), ("models", "ecapa512"), ("train", "aam")):
        (tmp_path / "conf" / stage).mkdir(parents=True)
        (tmp_path / "conf" / stage / f"{name}.yaml").write_text("")
    (tmp_path / "egs" / "tiny" / "recipe.sh").write_text('options="--vad.smooth 7 --vad.context 3"\n')
    (tmp_path / "conf" / "vad" / "other.yaml").write_text("mode: 3\n")
    (tmp_path / "local").mkdir()
    for name in ("tiny", "folder"):
        (tmp_path / "local" / f"{name}.py").write_text("")
    return tmp_path


def test_command_line_over_recipe_over_conf(root: Path) -> None:
    run = resolve(root, parse(["--recipe", "tiny", "--vad.smooth", "9"]))
    assert run.options["vad"]["smooth"] == 9  # command line
    assert run.options["vad"]["context"] == 3  # recipe
    assert run.options["vad"]["mode"] == 1  # conf
    assert run.options["vad"]["proportion"] == 0.12  # default
    assert run.options["models"]["feature_dim"] == 40  # follows the features


def test_another_configuration_by_name(root: Path) -> None:
    with open(root / "egs" / "tiny" / "recipe.sh", "a") as recipe:
        recipe.write("vad=webrtc\n")  # the command line goes before the recipe
    run = resolve(root, parse(["--recipe", "tiny", "--vad", "other", "--vad.smooth", "3"]))
    assert (run.names["vad"], run.options["vad"]["mode"], run.options["vad"]["smooth"]) == ("other", 3, 3)


@pytest.mark.parametrize("words", ["noise,speed0.9+reverb", "[noise,speed0.9+reverb]"])
def test_a_list_needs_no_brackets(root: Path, words: str) -> None:
    run = resolve(root, parse(["--recipe", "tiny", "--augment.kinds", words, "--augment.noise_snr", "1,2"]))
    assert run.options["augment"]["kinds"] == ["noise", "speed0.9+reverb"]
    assert list(run.options["augment"]["noise_snr"]) == [1.0, 2.0]


def test_a_networks_list_needs_none_either(root: Path) -> None:
    words = ["--recipe", "tiny", "--models.encoder", "resnet", "--models.network.blocks", "1,2,1,1"]
    assert resolve(root, parse(words)).options["models"]["network"]["blocks"] == [1, 2, 1, 1]
    for given, shown in (("1x,2", r"\['1x', 2\]"), ("3,4]", "'3,4]'"), ("true", r"\[True\]")):
        with pytest.raises(InputError, match=f"blocks is {shown}.*list.int"):
            resolve(root, parse([*words[:-1], given]))
    with pytest.raises(InputError, match=r"blocks is \[3\]"):  # one number is a list of one
        resolve(root, parse([*words[:-1], "3"]))


def test_a_prepare_script_that_does_not_exist_is_named(root: Path) -> None:
    (root / "egs" / "tiny" / "recipe.sh").write_text("prepare=foldr\n")
    with pytest.raises(InputError, match="no local/foldr.py.*did you mean folder"):
        resolve(root, parse(["--recipe", "tiny"]))


def test_frame_geometry_is_said_once(root: Path) -> None:
    run = resolve(
        root, parse(["--recipe", "tiny", "--vad.frame_shift_ms", "12.5", "--audio.sample_rate", "8000"])
    )
    assert run.options["features"]["frame_shift_ms"] == 12.5
    assert run.options["features"]["sample_rate"] == 8000
    with pytest.raises(InputError, match="follows --vad.frame_shift_ms"):
        resolve(root, parse(["--recipe", "tiny", "--features.frame_shift_ms", "12.5"]))


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--stagge", "3"], "unknown option --stagge.*did you mean --stage"),
        (["--recipe", "tiny", "--vad.mod", "3"], "unknown option --vad.mod.*did you mean mode"),
        (["--recipe", "tiny", "--vda.mode", "3"], "unknown option --vda.mode.*did you mean vad"),
        (["--recipe", "tiny", "--vad.mode", "loud"], "options of vad: .*mode"),
        (["--recipe", "tinny"], "no recipe tinny.*did you mean tiny"),
        (["--stage"], "--stage needs a value"),
        (["--recipe", "tiny", "--vad", "othr"], "no vad configuration othr.*did you mean other"),
        (["--recipe", "tiny", "--vad"], "--vad needs the name of a conf file"),
        (["stage"], "stage is no option"),
    ],
)
def test_mistakes_are_named(root: Path, words: list[str], message: str) -> None:
    with pytest.raises(InputError, match=message):
        resolve(root, parse(words))


def test_a_recipes_unknown_variable_is_refused(root: Path) -> None:
    (root / "egs" / "tiny" / "recipe.sh").write_text("vadd=webrtc\n")
    with pytest.raises(InputError, match="unknown variable vadd.*did you mean vad"):
        resolve(root, parse(["--recipe", "tiny"]))


def test_a_configurations_unknown_key_is_refused(root: Path) -> None:
    (root / "conf" / "vad" / "webrtc.yaml").write_text("moode: 1\n")
    with pytest.raises(InputError, match="unknown key moode.*did you mean mode"):
        resolve(root, parse(["--recipe", "tiny"]))


def test_a_recipes_own_configuration_goes_first(root: Path) -> None:
    (root / "egs" / "tiny" / "conf" / "vad" / "webrtc.yaml").write_text("mode: 3\n")
    assert resolve(root, parse(["--recipe", "tiny"])).options["vad"]["mode"] == 3


def test_stages_by_number_and_name() -> None:
    assert stage_number("features") == 4 and stage_number("9") == 9
    with pytest.raises(InputError, match="unknown stage feature.*did you mean features"):
        stage_number("feature")
    with pytest.raises(InputError, match="unknown stage 10"):
        stage_number("10")


def test_help_names_every_stage_and_option() -> None:
    text = help_text()
    for word in ("prepare", "score", "--recipe", "--stop-stage", "--dry-run", "--allow-pipes"):
        assert word in text


def test_a_recipe_without_sets_for_it_has_no_stage_diarize(root: Path) -> None:
    run = resolve(root, parse(["--recipe", "tiny"]))
    assert "diarize" not in run.options and "diarize" not in run.names
    assert run.base_sets == run.utterance_sets == ["train", "dev", "eval"]
    for words in (["--diarize", "vbx"], ["--diarize.shift", "0.5"]):
        with pytest.raises(InputError, match="has no stage diarize.*name its sets there: diarize_sets"):
            resolve(root, parse(["--recipe", "tiny", *words]))
    (root / "egs" / "tiny" / "recipe.sh").write_text("diarize_dev_set=talks\n")
    with pytest.raises(InputError, match="has no stage diarize"):
        resolve(root, parse(["--recipe", "tiny"]))


@pytest.fixture
def talking(root: Path) -> Path:
    """The checkout's recipe with sets of whole recordings."""
    (root / "conf" / "diarize").mkdir()
    (root / "conf" / "diarize" / "ahc.yaml").write_text("shift: 0.5\n")
    (root / "conf" / "diarize" / "plda.yaml").write_text("affinity: plda\nbackend: plda\n")
    text = 'diarize_dev_set=talks diarize_sets="meetings calls"\n'
    (root / "egs" / "tiny" / "recipe.sh").write_text(text)
    return root


def test_sets_of_whole_recordings_have_their_stage(talking: Path) -> None:
    run = resolve(talking, parse(["--recipe", "tiny", "--diarize.threshold", "0.3"]))
    assert run.conversation_sets == ["talks", "meetings", "calls"]
    assert run.base_sets == ["train", "dev", "eval", *run.conversation_sets]
    assert run.utterance_sets == ["train", "dev", "eval"]
    assert (run.names["diarize"], run.options["diarize"]["shift"]) == ("ahc", 0.5)
    assert run.options["diarize"]["threshold"] == 0.3
    other = resolve(talking, parse(["--recipe", "tiny", "--diarize", "plda"]))
    assert other.options["diarize"]["backend"] == "plda"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--diarize.backend", "cosin"], "diarize.backend cosin: this run has cosine, plda"),
        (["--diarize.affinity", "plda"], "back end cosine has no PLDA.*--diarize.backend plda"),
        (["--diarize.collar", "-1"], "collar -1.0.*at least 0"),
        (["--diarize.threshhold", "0"], "did you mean threshold"),
    ],
)
def test_mistakes_of_diarization_are_named_before_anything_runs(
    talking: Path, words: list[str], message: str
) -> None:
    with pytest.raises(InputError, match=message):
        resolve(talking, parse(["--recipe", "tiny", *words]))


def test_a_stage_behind_the_last_is_the_recipes() -> None:
    assert stage_number("10", ["a"] * 10 + ["diarize"]) == 10
    with pytest.raises(InputError, match="unknown stage diarize.*0 to 9"):
        stage_number("diarize")


@pytest.mark.parametrize("name", ["init", "model"])
def test_a_model_that_is_not_there_is_refused_before_anything_runs(root: Path, name: str) -> None:
    (root / "gone").mkdir()
    with pytest.raises(
        InputError, match=f"gone: no model.safetensors here; the folder is empty.*--train.{name}"
    ):
        resolve(root, parse(["--recipe", "tiny", f"--train.{name}", str(root / "gone")]))
    (root / "gone" / "model.safetensors").touch()
    assert resolve(root, parse(["--recipe", "tiny", f"--train.{name}", str(root / "gone")])).options["train"][
        name
    ]


def test_folders_count_from_where_the_command_was_called(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TIMBRE_CALLER", str(root / "egs"))
    words = ["--corpus", "a", "--train.init", "x/model", "--prepare.roots.musan", "/m", "--train.model", ""]
    chosen = parse([*words, "--train.loss", "am"])
    as_called(chosen, root)
    assert chosen.values["corpus"] == f"{root}/egs/a"
    assert dict(chosen.settings) == {
        "train.init": f"{root}/egs/x/model",
        "prepare.roots.musan": "/m",
        "train.model": "",
        "train.loss": "am",
    }


def test_a_search_is_no_last_stage() -> None:
    with pytest.raises(InputError, match="tune runs alone .--stage tune"):
        stage_number("tune")

"""timbre.SpeakerModel and the command: the x-vectors of the pipeline's own stages, without its folders."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from pysteps.export import commands
from pysteps.export.compare import Comparison
from pysteps.export.heard import Heard, normalised, recording
from pysteps.extract.stage import folder_of
from pysteps.features.cmvn import sliding_cmn
from pysteps.formats.errors import InputError
from pysteps.formats.run import Run
from pysteps.formats.tables import read_table
from pysteps.formats.vectors import read_rows
from tests.exporting import CONTRACT, model_folder
from tests.pipeline import arguments, run_sh, small_corpus
from timbre import SpeakerModel


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small ECAPA-TDNN with random weights."""
    return model_folder(tmp_path_factory.mktemp("model"))


def voice(repo: Path, number: int = 0) -> Path:
    """A recording of the embedded corpus."""
    return sorted((repo / "egs" / "mini" / "corpus" / "speech").glob("*/*"))[number]


def apart(one: np.ndarray, other: np.ndarray) -> float:
    """The difference over the length."""
    return float(np.linalg.norm(one - other) / np.linalg.norm(other))


# --- x-vectors


def test_a_file_and_its_samples_have_one_xvector(folder: Path, repo: Path, tmp_path: Path) -> None:
    model = SpeakerModel.from_dir(folder)
    samples, rate = soundfile.read(voice(repo), dtype="float32")
    soundfile.write(tmp_path / "a b.wav", samples, rate, subtype="PCM_16")
    whole = soundfile.read(tmp_path / "a b.wav", dtype="int16")[0]
    found = model.embed(tmp_path / "a b.wav")
    assert found.dtype == np.float32 and found.shape == (10,)
    np.testing.assert_array_equal(model.embed(whole, rate), found)
    np.testing.assert_array_equal(model.embed(whole / 32768, rate), found)


@pytest.mark.parametrize(
    ("samples", "rate", "said"),
    [
        (np.zeros(16000), 16000, "voiced frames"),
        (np.zeros((16000, 2)), 16000, "one channel"),
        (np.full(16000, np.nan), 16000, "NaN"),
        (np.zeros(0), 16000, "no samples"),
        (np.zeros(16000), None, "sample rate"),
        (np.zeros(16000), "16000", "sample rate of '16000'"),
        (np.zeros(16000, np.int64), 16000, "type int64"),
        ("nothing.wav", None, "no such file"),
    ],
)
def test_what_has_no_xvector_is_refused_in_words(folder: Path, samples: Any, rate: Any, said: str) -> None:
    with pytest.raises(InputError, match=said):
        SpeakerModel.from_dir(folder).embed(samples, rate)


@pytest.mark.parametrize("cmvn", ["utterance", "sliding", "global", "none"])
@pytest.mark.parametrize("frames", ["voiced", "all"])
def test_cmvn_is_stage_four_s(cmvn: str, frames: str) -> None:
    rng = np.random.default_rng(0)
    matrix = rng.standard_normal((400, 16)).astype(np.float32)
    voiced = rng.random(400) < 0.7
    stats = {"frames": 400.0, "sums": matrix.sum(0).tolist(), "squares": (matrix**2).sum(0).tolist()}
    features = {**CONTRACT["features"], "cmvn": cmvn, "cmvn_frames": frames, "cmvn_window": 50}
    heard = Heard.of({**CONTRACT, "features": features, "global_cmvn": stats}, "here")
    expected = {
        "none": matrix[voiced],
        "global": matrix[voiced] - matrix.mean(0),
        "utterance": matrix[voiced] - (matrix[voiced] if frames == "voiced" else matrix).mean(0),
        "sliding": sliding_cmn(matrix[voiced], window=50, min_window=50)
        if frames == "voiced"
        else sliding_cmn(matrix, window=50, min_window=50)[voiced],
    }[cmvn]
    np.testing.assert_allclose(normalised(matrix, voiced, heard), expected, atol=2e-5)


def test_a_contract_of_another_version_is_refused() -> None:
    with pytest.raises(InputError, match="contract of this version"):
        Heard.of({**CONTRACT, "features": {"kind": "fbank", "wavelets": 3}}, "here")


def test_a_rate_is_resampled_as_stage_one_does(folder: Path, repo: Path) -> None:
    from pysteps.audio.filters import resample, to_int16

    rng = np.random.default_rng(1)
    samples = (0.1 * rng.standard_normal(44100)).astype(np.float32)
    heard = Heard.of(CONTRACT, "here")
    expected = to_int16(resample(samples, 44100, 16000))[0].astype(np.float32) / 32768
    np.testing.assert_array_equal(recording(samples, 44100, heard.audio), expected)


# --- scores


def test_the_cosine_of_two_recordings(folder: Path, repo: Path) -> None:
    model = SpeakerModel.from_dir(folder)
    a, b = (model.embed(voice(repo, number)) for number in (0, 60))
    expected = float(a @ b / np.sqrt((a @ a) * (b @ b)))
    assert model.similarity(voice(repo), b) == pytest.approx(expected, abs=1e-6)
    assert model.similarity(a, a) == pytest.approx(1.0)
    with pytest.raises(InputError, match="shapes"):
        model.similarity(a, b[:5])


def test_a_back_end_that_is_not_there_is_refused_with_those_that_are(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no back end 'plda'.*one of: none"):
        Comparison.of_run(tmp_path, "plda")


def test_sixteen_bits_on_request(folder: Path, repo: Path, tmp_path: Path) -> None:
    exact, half = (SpeakerModel.from_dir(folder, precision=one) for one in ("fp32", "bf16"))
    a, b = exact.embed(voice(repo)), half.embed(voice(repo))
    assert 1e-5 < apart(b, a) < 0.03 and half.facts["precision"] == "bf16"
    with pytest.raises(InputError, match="no precision 'fp8'.*one of fp32, bf16"):
        SpeakerModel.from_dir(folder, precision="fp8")
    with pytest.raises(InputError, match="a precision of its own"):
        SpeakerModel.load(tmp_path / "model.onnx", precision="bf16")
    line = [str(word) for word in ("embed", "--model", folder, "--precision", "bf16", voice(repo))]
    commands.work([*line, "--out", str(tmp_path / "x.npy")])
    np.testing.assert_array_equal(np.load(tmp_path / "x.npy")[0], b)


# --- the command


def said(capsys: pytest.CaptureFixture[str], *words: str | Path) -> str:
    """What ``timbre WORDS`` prints."""
    commands.work([str(word) for word in words])
    return capsys.readouterr().out


def test_embed_writes_what_is_asked_for(
    folder: Path, repo: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    files = [voice(repo, 0), voice(repo, 60)]
    expected = [SpeakerModel.from_dir(folder).embed(file) for file in files]
    lines = said(capsys, "embed", "--model", folder, *files).splitlines()
    np.testing.assert_allclose(json.loads(lines[1])["xvector"], expected[1], atol=1e-6)
    for ending in ("ark", "npy", "json"):
        said(capsys, "embed", "--model", folder, *files, "--out", tmp_path / f"x.{ending}")
    np.testing.assert_array_equal(np.load(tmp_path / "x.npy"), expected)
    assert list(json.loads((tmp_path / "x.json").read_text())) == [file.stem for file in files]
    table = read_table(tmp_path / "x.scp")
    rows = read_rows({file.stem: table[file.stem] for file in files}, "x.scp")
    np.testing.assert_array_equal(rows, expected)


def test_info_and_similarity_say_what_they_are(
    folder: Path, repo: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert "ecapa" in said(capsys, "info", folder) and "webrtc" in said(capsys, "info", folder)
    told = said(capsys, "similarity", "--model", folder, voice(repo), voice(repo))
    assert told.startswith("1.0000") and "cosine" in told


def test_an_unknown_ending_is_refused_before_the_work(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"x\.txt: unknown ending '.txt' \(one of .ark, .npy, .json\)"):
        commands.work(["embed", "--model", str(tmp_path), "a.wav", "--out", str(tmp_path / "x.txt")])


def test_errors_are_words(folder: Path, repo: Path, tmp_path: Path) -> None:
    (tmp_path / "bad.onnx").write_bytes(b"no graph")
    (tmp_path / "empty.wav").write_bytes(b"")
    for words in (
        ["embed", "--model", tmp_path, voice(repo)],
        ["embed", "--model", tmp_path / "bad.onnx", voice(repo)],
        ["embed", "--model", folder, tmp_path / "empty.wav"],
        ["embed", "--model", folder, voice(repo), voice(repo)],
        ["embed", voice(repo)],
    ):
        with pytest.raises(InputError):
            commands.work([str(word) for word in words])


def test_neither_the_class_nor_the_command_imports_torch(repo: Path) -> None:
    code = "import sys, timbre, pysteps.export.commands; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], cwd=repo, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


# --- a run


@pytest.mark.long
def test_files_of_a_run_get_the_xvectors_and_scores_of_its_stages(tmp_path: Path) -> None:
    corpus, work = small_corpus(tmp_path / "corpus"), tmp_path / "work"
    run_sh(*arguments(corpus, work, features__compression="0"))
    exp = next((work / "exp").glob("*/run.json")).parent
    run = Run.load(exp)
    name = run.eval_sets[0]
    table, wav = read_table(folder_of(run, name) / "xvector.scp"), read_table(run.data / name / "wav.scp")
    rows = dict(zip(table, read_rows(table, name), strict=True))
    model = SpeakerModel.from_dir(exp, backend="cosine")
    mine = {utt: model.embed(wav[utt]) for utt in table}
    assert max(apart(mine[utt], rows[utt]) for utt in table) < 1e-5
    lines = next((exp / "scores" / name).glob("cosine.calibrated*")).read_text().splitlines()
    for line in lines[:20]:
        enrol, test, score = line.split()[:3]
        assert model.similarity(mine[enrol], mine[test]) == pytest.approx(float(score), abs=2e-3)

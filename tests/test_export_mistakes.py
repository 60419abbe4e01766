"""What users of trained models get wrong, and what they are told."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile

from pysteps.export import commands
from pysteps.formats.errors import InputError
from tests.exporting import model_folder
from tests.test_export_speaker import apart, voice
from timbre import SpeakerModel


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small ECAPA-TDNN with random weights."""
    return model_folder(tmp_path_factory.mktemp("model"))


def test_whole_numbers_read_as_floats_are_no_samples(folder: Path, repo: Path) -> None:
    samples, rate = soundfile.read(voice(repo), dtype="float32")
    model = SpeakerModel.from_dir(folder)
    with pytest.raises(InputError, match=r"float samples up to .* in \[-1, 1\)"):
        model.embed(samples * 32768, rate)
    assert model.embed(samples * 2, rate).shape == (10,)  # too loud, and that is all


def test_one_that_fails_does_not_keep_the_others_back(
    folder: Path, repo: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "bad.wav").write_bytes(b"RIFF")
    files = [voice(repo), tmp_path / "bad.wav", voice(repo, 60)]
    words = ["embed", "--model", str(folder), *map(str, files), "--out", str(tmp_path / "x.json")]
    with pytest.raises(InputError, match="1 of 3 recordings failed: the others are written"):
        commands.work(words)
    assert "bad.wav" in capsys.readouterr().err
    assert list(json.loads((tmp_path / "x.json").read_text())) == [files[0].stem, files[2].stem]
    (tmp_path / "worse.wav").write_bytes(b"RIFF")
    words = ["embed", "--model", str(folder), str(files[1]), str(tmp_path / "worse.wav")]
    with pytest.raises(InputError, match="2 of 2 recordings failed: nothing was written"):
        commands.work([*words, "--out", str(tmp_path / "none.npy")])
    assert not (tmp_path / "none.npy").exists()


@pytest.mark.parametrize("name", ["model.pt2", "nothing", "empty"])
def test_what_is_no_model_is_refused_before_torch(tmp_path: Path, name: str, repo: Path) -> None:
    (tmp_path / "model.pt2").write_bytes(b"PK")
    (tmp_path / "empty").mkdir()
    code = (
        "import sys\nfrom timbre import InputError, SpeakerModel\n"
        "try:\n    SpeakerModel.load(sys.argv[1])\n"
        "except InputError as error:\n    print(error, 'torch' in sys.modules)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, tmp_path / name], cwd=repo, capture_output=True, text=True, check=True
    )
    assert "takes a run, a model's folder or a .onnx file; a .pt2 is for other programs" in done.stdout
    assert done.stdout.strip().endswith("False")


def test_a_back_end_beside_an_onnx_file_is_a_folder(tmp_path: Path) -> None:
    (tmp_path / "m.onnx").write_bytes(b"")
    with pytest.raises(InputError, match="plda: no back end's folder.*exp/TAG/backend/NAME"):
        SpeakerModel.load(tmp_path / "m.onnx", backend="plda")


def test_python_m_timbre_is_the_command(repo: Path, tmp_path: Path) -> None:
    code = [sys.executable, "-m", "timbre", "info", str(tmp_path)]
    environment = {key: value for key, value in os.environ.items() if key != "TIMBRE_MODEL"}
    done = subprocess.run(code, cwd=repo, capture_output=True, text=True, check=False, env=environment)
    assert done.returncode == 1 and done.stderr.startswith("error: ")


def test_recordings_too_short_for_the_network_are_left_out(tmp_path: Path, repo: Path) -> None:
    from pysteps.export.graphs import load
    from pysteps.export.utterances import long_enough

    loaded = load(model_folder(tmp_path / "model", "etdnn", vad="none"), features=True)
    soundfile.write(tmp_path / "short.wav", np.full(3840, 0.1), 16000)  # 22 frames
    kept, short = long_enough(loaded, [voice(repo), tmp_path / "short.wav"])
    assert kept == [voice(repo)]
    assert short == [f"{tmp_path / 'short.wav'}: 22 voiced frames, the network needs 23"]
    with pytest.raises(InputError, match="no recording is long enough: .*22 voiced frames"):
        long_enough(loaded, [tmp_path / "short.wav"])


def test_a_file_without_vad_says_so_and_runs_none(
    folder: Path, repo: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("onnxscript")
    pytest.importorskip("onnxruntime")
    from pysteps.export.graphs import load
    from pysteps.export.onnx_file import export_onnx

    out = tmp_path / "m.onnx"
    loaded = load(folder, features=True, vad=False)
    assert loaded.meta("fp32")["vad"] == "none in this file (the model's run: webrtc)"
    export_onnx(loaded, out)
    model = SpeakerModel.load(out)
    assert model.facts["vad"] == "none in this file (the model's run: webrtc)"
    silence = np.zeros(16000, np.float32)  # where a VAD keeps nothing
    assert model.embed(silence, 16000).shape == (10,)
    commands.work(["embed", "--model", str(out), str(voice(repo)), str(voice(repo, 60))])
    assert capsys.readouterr().err.count("vad none in this file") == 1
    assert apart(model.embed(voice(repo)), SpeakerModel.from_dir(folder).embed(voice(repo))) > 1e-3

"""Stage 4 on a folder of its own: archives that others read, CMVN policies, drops, the contract."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

import kaldi_native_io
import kaldiio
import numpy as np
import pytest
import torch
import yaml

from pysteps.audio.options import AudioOptions
from pysteps.augment.options import AugmentOptions
from pysteps.features import contract as contracts
from pysteps.features import stage
from pysteps.features.cmvn import sliding_cmn
from pysteps.features.contract import FeaturesOptions
from pysteps.features.fbank import Fbank
from pysteps.features.pitch import with_pitch
from pysteps.features.voiced import VoicedFeatures
from pysteps.formats import arks, command
from pysteps.formats.errors import InputError
from pysteps.formats.run import Run
from pysteps.formats.tables import read_table, write_table
from pysteps.vad.options import VadOptions

LENGTHS = {"a1": 9000, "a2": 16000, "b1": 12345, "b2": 30000}


def make_run(work: Path, **features: object) -> Run:
    """A run of a training and a development set whose audio and VAD are there."""
    acoustic = {"num_mel_bins": 8, "max_dropped": 1.0, "shard_utterances": 3, **features}
    run = Run(
        recipe="test",
        corpus="",
        prepare="",
        work=str(work),
        tag="tag",
        egs_tag="egs",
        train_set="train",
        dev_set="dev",
        eval_sets=[],
        names={"audio": "a", "vad": "v", "features": "f"},
        options={
            "audio": asdict(AudioOptions()),
            "vad": asdict(VadOptions()),
            "augment": {**asdict(AugmentOptions()), "kinds": []},
            "egs": {"kind": "features"},
            "features": asdict(FeaturesOptions(**acoustic)),
        },
    )
    for number, name in enumerate(("train", "dev")):
        write_set(run, name, {utt: noise(length, seed=number) for utt, length in LENGTHS.items()})
    return run


def noise(length: int, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng([seed, length])
    return (np.cumsum(rng.standard_normal(length)) * 50 + rng.standard_normal(length) * 300).astype(np.int16)


def write_set(run: Run, name: str, audio: dict[str, np.ndarray], voiced: float = 0.7) -> None:
    sound, vad = run.of("audio", name), run.of("vad", name)
    geometry = FeaturesOptions(**run.options["features"]).geometry
    with arks.writing(sound / "audio.1.ark") as samples, arks.writing(vad / "vad.1.ark") as decisions:
        for utt in sorted(audio):
            samples.audio(utt, audio[utt], 16000)
            frames = geometry.num_frames(len(audio[utt]), 16000)
            chosen = np.random.default_rng(frames).random(frames) < voiced
            decisions.array(utt, chosen.astype(np.float32))
    write_table(run.data / name / "utt2spk", {utt: utt[0] for utt in sorted(audio)})
    write_table(sound / "wav.scp", samples.scp)
    write_table(vad / "vad.scp", decisions.scp)


def features(run: Run, jobs: int = 1) -> None:
    """Stage features from plan to gather."""
    waiting, todo = command.plan(stage, run)
    for number in range(1, jobs + 1) if waiting else ():
        command.job(stage, run, todo, number, jobs)
    command.gather(stage, run)


def whole(run: Run, utt: str, name: str = "train") -> tuple[np.ndarray, np.ndarray]:
    """All stored frames, as kaldiio reads them, and which are voiced."""
    entry = read_table(run.of("features", name) / "feats.scp")[utt]
    vad = kaldiio.load_mat(read_table(run.of("vad", name) / "vad.scp")[utt])
    return kaldiio.load_mat(entry), vad > 0.5


@pytest.mark.parametrize(("compression", "tolerance"), [(0, 1e-6), (2, 0.5), (3, 1e-3)])
def test_archives_are_read_by_others(tmp_path: Path, compression: int, tolerance: float) -> None:
    run = make_run(tmp_path, compression=compression)
    features(run, jobs=2)
    folder = run.of("features", "train")
    lines = (folder / "feats.scp").read_text().splitlines()
    assert lines == sorted(lines) and [line.split()[0] for line in lines] == sorted(LENGTHS)
    fbank = Fbank(FeaturesOptions(**run.options["features"]).acoustic())
    theirs = {}
    with kaldi_native_io.SequentialFloatMatrixReader(f"scp:{folder / 'feats.scp'}") as reader:
        for utt, matrix in reader:
            theirs[utt] = np.array(matrix)
    for utt, length in LENGTHS.items():
        expected = fbank(torch.from_numpy(noise(length) / np.float32(32768))).numpy()
        np.testing.assert_allclose(theirs[utt], expected, atol=tolerance)
        np.testing.assert_allclose(whole(run, utt)[0], theirs[utt], atol=1e-5)
        assert read_table(folder / "utt2num_frames")[utt] == str(len(expected))


def test_any_number_of_jobs_writes_the_same_bytes(tmp_path: Path) -> None:
    contents = []
    for jobs in (1, 3):
        run = make_run(tmp_path, dither=1.0, delta_order=1, cmvn="global")
        command.forget(stage, run)
        features(run, jobs)
        folder = run.of("features", "train")
        files = [path for path in sorted(folder.iterdir()) if path.suffix == ".ark" or path.suffix == ".scp"]
        contents.append({path.name: path.read_bytes() for path in files})
    assert contents[0] == contents[1] and "global_cmvn.ark" in contents[0]


def by_hand(matrix: np.ndarray, voiced: np.ndarray, over: np.ndarray, norm_vars: bool) -> np.ndarray:
    kept = matrix[over].astype(np.float64)
    out = matrix[voiced] - kept.mean(0)
    return out / kept.std(0) if norm_vars else out


@pytest.mark.parametrize("norm_vars", [False, True])
@pytest.mark.parametrize("frames", ["auto", "voiced", "all"])
def test_utterance_mean(tmp_path: Path, frames: str, norm_vars: bool) -> None:
    run = make_run(tmp_path, compression=0, cmvn_frames=frames, cmvn_vars=norm_vars)
    features(run)
    matrix, voiced = whole(run, "b1")
    over = np.ones_like(voiced) if frames == "all" else voiced
    with VoicedFeatures(run, "train") as reader:
        np.testing.assert_allclose(reader.matrix("b1"), by_hand(matrix, voiced, over, norm_vars), atol=1e-4)


@pytest.mark.parametrize("norm_vars", [False, True])
@pytest.mark.parametrize("frames", ["auto", "voiced", "all"])
def test_sliding_mean_before_or_after_selection(tmp_path: Path, frames: str, norm_vars: bool) -> None:
    run = make_run(tmp_path, cmvn="sliding", cmvn_window=30, cmvn_frames=frames, cmvn_vars=norm_vars)
    features(run)
    matrix, voiced = whole(run, "b2")
    options = {"window": 30, "min_window": 30, "norm_vars": norm_vars}
    before, after = sliding_cmn(matrix[voiced], **options), sliding_cmn(matrix, **options)[voiced]
    with VoicedFeatures(run, "train") as reader:
        np.testing.assert_allclose(reader.matrix("b2"), before if frames == "voiced" else after, atol=1e-4)
    assert np.abs(before - after).max() > 0.01


@pytest.mark.parametrize("norm_vars", [False, True])
def test_global_mean_is_the_training_sets(tmp_path: Path, norm_vars: bool) -> None:
    run = make_run(tmp_path, cmvn="global", cmvn_vars=norm_vars, compression=0)
    features(run)
    every = [matrix[voiced] for matrix, voiced in (whole(run, utt) for utt in LENGTHS)]
    together = np.concatenate(every).astype(np.float64)
    (key, stats), *more = kaldiio.load_ark(str(run.of("features", "train") / "global_cmvn.ark"))
    assert key == "global" and not more and stats[0, -1] == len(together)
    matrix, voiced = whole(run, "a1", "dev")
    expected = matrix[voiced] - together.mean(0)
    with VoicedFeatures(run, "dev") as reader:
        found = reader.matrix("a1")
    np.testing.assert_allclose(found, expected / together.std(0) if norm_vars else expected, atol=1e-4)


@pytest.mark.parametrize("cmvn", ["none", "utterance", "sliding", "global"])
@pytest.mark.parametrize("compression", [0, 2, 3])
def test_a_chunk_is_a_part_of_the_matrix(
    tmp_path: Path, cmvn: str, compression: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pysteps.features.cmvn.BLOCK", 25)  # blocks leave no seam
    run = make_run(tmp_path, cmvn=cmvn, cmvn_window=20, compression=compression)
    features(run)
    with VoicedFeatures(run, "train") as reader:
        matrix = reader.matrix("b2")
        assert matrix.dtype == np.float32 and len(matrix) > 100
        np.testing.assert_allclose(reader.chunk("b2", 40, 33), matrix[40:73], atol=1e-4)
        if cmvn == "none":
            assert np.array_equal(reader.raw("b2"), matrix)


def test_other_training_statistics_do_not_fit_an_older_model(tmp_path: Path) -> None:
    run = make_run(tmp_path, cmvn="global")
    features(run)
    model = json.loads(json.dumps(contracts.read(run.of("features", "train"))))
    dev = run.of("features", "dev")
    contracts.refuse_mismatch(model, contracts.read(dev), dev)  # the set that it was not computed on fits
    write_set(run, "train", {utt: noise(length, seed=7) for utt, length in LENGTHS.items()})
    command.forget(stage, run)
    features(run)
    with pytest.raises(InputError, match=r"global_cmvn.*train again"):
        contracts.refuse_mismatch(model, contracts.read(dev), dev)
    (run.of("features", "train") / "global_cmvn.ark").unlink()
    with pytest.raises(InputError, match="global_cmvn.ark"):
        VoicedFeatures(run, "dev")


def test_contract_has_all_processing_of_the_audio(tmp_path: Path) -> None:
    run, audio = make_run(tmp_path), asdict(AudioOptions(enhance="line", band_low=300.0, level="rms"))
    run.options["audio"].update(audio)  # every step is asked for, so every number counts
    found = contracts.contract(run)
    silent = {"channel", "reference_channel", "materialise", "max_dropped", "shard_utterances"}
    assert found["audio"] == {key: value for key, value in audio.items() if key not in silent}
    assert found["vad"]["method"] == "webrtc" and found["features"]["num_mel_bins"] == 8
    louder = json.loads(json.dumps(found))
    louder["audio"]["band_low"] = 301.0
    with pytest.raises(InputError, match=r"audio\.band_low = 300.0, these features have 301.0"):
        contracts.refuse_mismatch(found, louder, "here")


def test_utterances_without_a_frame_or_a_voice_are_dropped(tmp_path: Path) -> None:
    run = make_run(tmp_path)
    audio = {"good": noise(8000), "mute": noise(9000), "short": noise(200)}
    write_set(run, "dev", audio)
    with arks.writing(run.of("vad", "dev") / "mute.ark") as writer:
        writer.array("mute", np.zeros(54, np.float32))
    scp = read_table(run.of("vad", "dev") / "vad.scp")
    write_table(run.of("vad", "dev") / "vad.scp", {**scp, **writer.scp})
    features(run)
    folder = run.of("features", "dev")
    assert list(read_table(folder / "feats.scp")) == ["good"]
    assert list(read_table(folder / "cmvn.scp")) == ["good"]
    assert read_table(folder / "dropped") == {
        "mute": "no voiced frame among 54",
        "short": "no voiced frame among 0",
    }


def test_vad_of_another_geometry_is_refused(tmp_path: Path) -> None:
    run = make_run(tmp_path)
    run.options["features"]["frame_shift_ms"] = 20.0
    with pytest.raises(InputError, match=r"utterance a1.*redo stage vad"):
        features(run)


CONFS = sorted((Path(__file__).parents[1] / "conf" / "features").glob("*.yaml"))


@pytest.mark.parametrize("path", CONFS, ids=[path.stem for path in CONFS])
def test_every_conf_makes_features(path: Path) -> None:
    text = path.read_text("utf-8")
    assert text.startswith("# ")
    options = FeaturesOptions(**yaml.safe_load(text))
    if "161" in path.stem:
        options = FeaturesOptions(**yaml.safe_load(text), frame_length_ms=20.0)
        assert options.dim == 161
    samples = torch.from_numpy(noise(8000) / np.float32(32768))
    found = Fbank(options.acoustic())(samples)
    assert found.shape[1] == options.acoustic().dim == options.dim - 2 * options.pitch
    assert torch.isfinite(found).all()


@pytest.mark.parametrize(
    "wrong",
    [{"cmvn": "cmn"}, {"cmvn_frames": "some"}, {"compression": 1}, {"cmvn_window": 0}]
    + [{"pitch": True, "pitch_low": 500.0}],
    ids=str,
)
def test_unknown_options_are_refused(wrong: dict) -> None:
    with pytest.raises(InputError):
        FeaturesOptions(**wrong)


@pytest.mark.parametrize("snip", [True, False])
def test_pitch_of_a_glide(snip: bool) -> None:
    pytest.importorskip("pyworld", reason="pyworld is not installed (an extra)")
    options = FeaturesOptions(num_mel_bins=8, pitch=True, snip_edges=snip)
    time = np.arange(96000) / 16000
    wanted = 120 + 10 * time  # Hz
    phase = 2 * np.pi * np.cumsum(wanted) / 16000
    sound = sum(np.sin(k * phase) / k for k in range(1, 8)) * 0.1
    sound[64000:] = np.random.default_rng(0).standard_normal(32000) * 1e-4
    frames = options.geometry.num_frames(len(sound), 16000)
    out = with_pitch(np.zeros((frames, 8), np.float32), sound.astype(np.float32), options)
    assert out.shape == (frames, 10) and out.dtype == np.float32
    # The middle of frame t is 12.5 (snipped) or 5 ms and 10 t ms in.
    middle = (0.0125 if snip else 0.005) + 0.01 * np.arange(frames)
    inside = slice(10, 380)
    assert out[inside, 9].mean() > 0.98 and out[-180:, 9].mean() < 0.2
    found = np.exp(out[inside, 8])
    np.testing.assert_allclose(np.median(found - (120 + 10 * middle[inside])), 0, atol=0.05)


def test_pitch_without_its_library_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "pyworld", None)
    options = FeaturesOptions(num_mel_bins=8, pitch=True)
    with pytest.raises(InputError, match="requirements/pitch.txt"):
        with_pitch(np.zeros((10, 8), np.float32), np.zeros(4000, np.float32), options)


def test_audio_that_cannot_be_read_is_no_fault_of_an_utterance(tmp_path: Path) -> None:
    run = make_run(tmp_path)  # it would let all utterances be dropped
    with arks.writing(run.of("audio", "dev") / "slow.ark") as writer:
        writer.audio("a1", noise(9000), 8000)
    scp = read_table(run.of("audio", "dev") / "wav.scp")
    write_table(run.of("audio", "dev") / "wav.scp", {**scp, **writer.scp})
    with pytest.raises(InputError, match="a1: audio of 8000 Hz where the run has 16000 Hz"):
        features(run)


def test_egs_of_audio_need_no_features_of_copies(tmp_path: Path) -> None:
    run = make_run(tmp_path)
    run.options["augment"]["kinds"] = ["noise"]
    assert [unit.name for unit in stage.units(run)] == ["train", "dev", "train_noise"]
    run.options["egs"]["kind"] = "audio"
    assert [unit.name for unit in stage.units(run)] == ["train", "dev"]

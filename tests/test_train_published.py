"""The published recipes of conf/train: numbers as their sources have them, and what the heads name.

Numbers are written out from the sources that the docstrings name, so a changed conf fails here. Rates and
margins are those of 1,000 steps an epoch; "theirs" is what the source's own schedule gives.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from pysteps.egs.live import augments_live, highest_speed, voices
from pysteps.formats.run import Run
from pysteps.recipe.options import parse
from pysteps.recipe.resolve import resolve
from pysteps.train.options import TrainOptions
from pysteps.train.schedules import learning_rate, margin

STEPS = 1000
SGD = {"optimiser": "sgd", "momentum": 0.9}
AAM_FIXED = {"loss": "aam", "margin_start_epoch": 0, "margin_end_epoch": 0}
NETWORKS_OF_3DSPEAKER = {
    # m_channels, num_blocks, baseWidth, scale; expansion 2 is pysteps.models.eres2net.EXPANSION
    "eres2netv2": {
        "network": {"channels": 64, "blocks": [3, 4, 6, 3], "base_width": 26, "scale": 2},
        "xvector_dim": 192,
    },
    # FCM's m_channels, init_channels, growth_rate, bn_size, layers of the three blocks
    "campplus": {
        "network": {
            "channels": 128,
            "front_channels": 32,
            "growth": 32,
            "bottleneck": 4,
            "layers": [12, 24, 16],
        },
        "xvector_dim": 512,
    },
}


def conf(repo: Path, name: str) -> dict[str, Any]:
    return yaml.safe_load((repo / "conf" / "train" / f"{name}.yaml").read_text("utf-8"))


def with_model(content: dict[str, Any]) -> TrainOptions:
    return TrainOptions(**{key: value for key, value in content.items() if key != "init"})


def as_said(repo: Path, name: str, command: str, *more: str) -> Run:
    """The run of ``command``, which stands in the head of the conf, with ``more`` words."""
    lines = (repo / "conf" / "train" / f"{name}.yaml").read_text("utf-8").splitlines()
    head = " ".join(line.removeprefix("# ") for line in lines if line.startswith("#"))
    assert command in head
    words = command.split()
    recipe = [] if "--recipe" in words else ["--recipe", "voxceleb"]
    return resolve(repo, parse([*recipe, *words, "--train", name, *more]))


def chunk_of(run: Run) -> tuple[str, float, float]:
    egs = run.options["egs"]
    return egs["kind"], egs["min_seconds"], egs["max_seconds"]


def rates(options: TrainOptions, *steps: int) -> list[float]:
    return [learning_rate(step, STEPS, options) for step in steps]


def margins(options: TrainOptions, *epochs: float) -> list[float]:
    return [margin(round(epoch * STEPS), STEPS, options) for epoch in epochs]


def test_redimnet_is_wespeakers(repo: Path) -> None:
    """WeSpeaker dfa7419, examples/voxceleb/v2/conf/redimnet.yaml: 2 GPUs of batch_size 256, arc_margin, scale
    32, margins 0 to 0.2 (exp) in epochs 20 to 40, SGD of momentum 0.9 and weight_decay 2e-5,
    ExponentialDecrease 0.1 to 5e-5 with 6 epochs from zero, num_epochs 120, num_avg 10; num_frms 200,
    aug_prob 0.6, 72 bins, dither 1; bin/train.py: rates times all chunks / 64; dataset/processor.py:
    window_type hamming."""
    content = conf(repo, "redimnet")
    assert content == {
        "epochs": 120, "epoch_parts": 4, "batch_size": 512,
        "loss": "aam", "scale": 32, "margin": 0.2,
        "margin_start_epoch": 20, "margin_end_epoch": 40, "margin_growth": "exponential",
        **SGD, "weight_decay": 2e-5,
        "lr": 0.1, "final_lr": 5e-5, "lr_batch": 64, "warmup_epochs": 6, "schedule": "exponential",
        "average": 10,
    }  # fmt: skip
    options = TrainOptions(**content)
    # 8 times the rates; theirs are 0 at first, then at the warm-up's middle and end, half-way and at the end:
    assert rates(options, 0)[0] < 2e-4
    theirs = [0.33078, 0.54701, 0.017888, 0.0004]
    assert rates(options, 3000, 5999, 60_000, 119_999) == pytest.approx(theirs, rel=1e-3)
    assert margins(options, 0, 20, 22, 30, 40, 119) == pytest.approx(
        [0, 0, 0.09976, 0.19368, 0.2, 0.2], rel=2e-3
    )
    command = "--models redimnet_b2 --features.num_mel_bins 72 --features.window_type hamming"
    run = as_said(repo, "redimnet", f"{command} --features.dither 1 --egs voxceleb --augment voxceleb")
    assert chunk_of(run) == ("audio", 2.0, 2.0)
    features, model = run.options["features"], run.options["models"]
    assert (features["kind"], features["num_mel_bins"]) == ("fbank", 72)
    assert (features["window_type"], features["dither"], features["cmvn"]) == ("hamming", 1.0, "utterance")
    assert augments_live(run) and run.options["augment"]["probability"] == 0.6
    assert voices(run) == ["", "-speed0.9", "-speed1.1"]
    # models/redimnet.py, ReDimNetB2: C 16, stages of stride, blocks, their width, reduction; ASTP, 192.
    assert model["network"]["channels"] == 16 and model["network"]["group"] == 4
    assert model["network"]["stages"] == [
        [1, 2, 1, 12], [2, 2, 1, 12], [1, 3, 1, 12], [2, 4, 1, 8], [1, 4, 1, 8], [2, 4, 1, 4]
    ]  # fmt: skip
    assert (model["pooling"], model["xvector_dim"], model["feature_dim"]) == ("astp", 192, 72)


def test_voxceleb_is_wespeakers(repo: Path) -> None:
    """WeSpeaker dfa7419, examples/voxceleb/v2/conf/{ecapa_tdnn,resnet,xvec}.yaml and, for large margins,
    their *_lm.yaml: 2 GPUs of 128 and 64, 200 and 600 frames, margin 0.5 from the start."""
    first = {
        "epochs": 150, "epoch_parts": 4, "batch_size": 256,
        "loss": "aam", "scale": 32, "margin": 0.2,
        "margin_start_epoch": 20, "margin_end_epoch": 40, "margin_growth": "exponential",
        **SGD, "weight_decay": 1e-4,
        "lr": 0.1, "final_lr": 5e-5, "lr_batch": 64, "warmup_epochs": 6, "schedule": "exponential",
        "average": 10,
    }  # fmt: skip
    large = {
        "epochs": 5, "batch_size": 128, **AAM_FIXED, "scale": 32, "margin": 0.5,
        **SGD, "weight_decay": 1e-4,
        "lr": 1e-4, "final_lr": 2.5e-5, "lr_batch": 64, "warmup_epochs": 1, "schedule": "exponential",
        "average": 1, "chunks": "long",
    }  # fmt: skip
    assert conf(repo, "voxceleb") == first
    assert conf(repo, "voxceleb_lm") == {"init": "?", **large}
    assert rates(TrainOptions(**first), 5999, 75_000) == pytest.approx([0.29510, 0.0089443], rel=1e-3)
    assert rates(TrainOptions(**large), 999, 2500) == pytest.approx([1.5146e-4, 1.0e-4], rel=2e-3)
    command = "--features fbank80 --features.window_type hamming --features.dither 1 --egs voxceleb"
    run = as_said(repo, "voxceleb", f"{command} --augment voxceleb")
    assert chunk_of(run) == ("audio", 2.0, 2.0) and run.options["egs"]["long_seconds"] == 6.0
    assert (run.options["features"]["window_type"], run.options["features"]["dither"]) == ("hamming", 1.0)


def test_campplus_is_3dspeakers(repo: Path) -> None:
    """3D-Speaker 09e7806, egs/voxceleb/sv-cam++/conf/cam++.yaml: num_epoch 60, batch_size 256 (shared out
    among the GPUs), ArcMarginLoss of scale 32, margins 0 to 0.2 in epochs 15 to 25, SGD of momentum 0.9
    and weight_decay 1e-4, WarmupCosineScheduler of lr 0.1, min_lr 1e-4, warmup_epoch 5; wav_len 3,
    aug_prob 0.2, speed_pertub, 80 bins."""
    content = conf(repo, "campplus")
    assert content == {
        "epochs": 60, "epoch_parts": 3, "batch_size": 256,
        "loss": "aam", "scale": 32, "margin": 0.2, "margin_start_epoch": 15, "margin_end_epoch": 25,
        **SGD, "weight_decay": 1e-4,
        "lr": 0.1, "final_lr": 1e-4, "warmup_epochs": 5, "schedule": "cosine",
        "average": 1,
    }  # fmt: skip
    options = TrainOptions(**content)
    assert rates(options, 4999, 59_999) == pytest.approx([0.09998, 1e-4], rel=0.02)  # theirs
    # Our cosine falls from the first step: theirs are 1e-4, 0.09998 and 0.05716 here (docs/train.md).
    assert rates(options, 0, 4999, 30_000) == pytest.approx([2e-5, 0.098299, 0.050049], rel=1e-4)
    assert margins(options, 14, 15, 16, 20, 25) == pytest.approx([0, 0, 0.09976, 0.19368, 0.2], rel=2e-3)
    command = "--models campplus --egs voxceleb --egs.min_seconds 3 --egs.max_seconds 3 --augment voxceleb"
    of_3dspeaker(as_said(repo, "campplus", f"{command} --augment.probability 0.2"), "campplus", 0.2, 3.0)


def test_eres2netv2_is_3dspeakers(repo: Path) -> None:
    """3D-Speaker 09e7806, egs/voxceleb/sv-eres2netv2/conf/eres2netv2.yaml: num_epoch 70, batch_size 168,
    scale 32, margins 0 to 0.3 in epochs 20 to 50, lr 0.2, min_lr 5e-5, warmup_epoch 5; wav_len 3,
    aug_prob 0.8."""
    content = conf(repo, "eres2netv2")
    assert content == {
        "epochs": 70, "epoch_parts": 3, "batch_size": 168,
        "loss": "aam", "scale": 32, "margin": 0.3, "margin_start_epoch": 20, "margin_end_epoch": 50,
        **SGD, "weight_decay": 1e-4,
        "lr": 0.2, "final_lr": 5e-5, "warmup_epochs": 5, "schedule": "cosine",
        "average": 1,
    }  # fmt: skip
    options = TrainOptions(**content)
    assert rates(options, 4999, 69_999) == pytest.approx([0.19996, 5e-5], rel=0.02)  # theirs
    # Theirs: 5e-5, 0.19996 and 0.11208.
    assert rates(options, 0, 4999, 35_000) == pytest.approx([4e-5, 0.197494, 0.100023], rel=1e-4)
    assert margins(options, 19, 20, 23, 35, 50) == pytest.approx([0, 0, 0.14964, 0.29051, 0.3], rel=2e-3)
    command = "--models eres2netv2 --egs voxceleb --egs.min_seconds 3 --egs.max_seconds 3 --augment voxceleb"
    run = as_said(repo, "eres2netv2", f"{command} --augment.probability 0.8")
    of_3dspeaker(run, "eres2netv2", 0.8, 3.0)


def test_eres2netv2_lm_is_3dspeakers(repo: Path, tmp_path: Path) -> None:
    """3D-Speaker 09e7806, egs/voxceleb/sv-eres2netv2/conf/eres2netv2_lm.yaml: num_epoch 7, batch_size 108,
    scale 32, margin 0.5 from epoch 0, lr 1e-4, min_lr 2e-5, warmup_epoch 1; wav_len 6, aug_prob 0.8, lm
    False (no speeds)."""
    content = conf(repo, "eres2netv2_lm")
    assert content == {
        "init": "?", "chunks": "long", "epochs": 7, "batch_size": 108,
        **AAM_FIXED, "scale": 32, "margin": 0.5,
        **SGD, "weight_decay": 1e-4,
        "lr": 1e-4, "final_lr": 2e-5, "warmup_epochs": 1, "schedule": "cosine",
        "average": 1,
    }  # fmt: skip
    options = with_model(content)
    assert rates(options, 999, 6999) == pytest.approx([9.992e-5, 2e-5], rel=0.05)  # theirs
    # Theirs: 2e-5, 9.992e-5 and 7.035e-5.
    assert rates(options, 0, 999, 3500) == pytest.approx([1e-7, 9.6045e-5, 5.9991e-5], rel=1e-4)
    assert margins(options, 0, 0.001, 6) == [0.5, 0.5, 0.5]
    (tmp_path / "model.safetensors").write_bytes(b"")
    command = "--models eres2netv2 --egs voxceleb --egs.long_seconds 6 --augment voxceleb"
    command += " --augment.probability 0.8"
    run = as_said(repo, "eres2netv2_lm", command, "--train.init", str(tmp_path))
    assert run.options["egs"]["long_seconds"] == 6.0 and run.options["augment"]["probability"] == 0.8


def of_3dspeaker(run: Run, network: str, probability: float, seconds: float) -> None:
    # speakerlab/process/processor.py: torchaudio's fbank (Povey, no dither), mean removed. A voice at
    # another speed is another speaker (bin/train.py: three times the classes).
    assert chunk_of(run) == ("audio", seconds, seconds)
    features, model = run.options["features"], run.options["models"]
    assert (features["kind"], features["num_mel_bins"], features["cmvn"]) == ("fbank", 80, "utterance")
    assert (features["window_type"], features["dither"]) == ("povey", 0.0)
    assert run.options["augment"]["probability"] == probability
    assert voices(run) == ["", "-speed0.9", "-speed1.1"]
    assert model["encoder"] == network
    assert {key: model[key] for key in NETWORKS_OF_3DSPEAKER[network]} == NETWORKS_OF_3DSPEAKER[network]


def test_ecapa_paper_is_the_papers(repo: Path) -> None:
    """Desplanques et al., Interspeech 2020 (arXiv:2005.07143), section 4: 80 MFCCs of 25 ms every 10 ms,
    crops of 2 s with their mean removed, no VAD, six more copies (babble, noise, rooms, tempo up and
    down, opus or aac), SpecAugment of 0 to 5 frames and 0 to 10 bins; Adam, triangular2 of 1e-8 to 1e-3
    with cycles of 130,000 steps, 4 of them, AAM of margin 0.2 and scale 30, weight decay 2e-5, of the
    loss 2e-4, 128 crops a step."""
    content = conf(repo, "ecapa_paper")
    assert content == {
        "epochs": 64, "epoch_parts": 4, "batch_size": 128,
        **AAM_FIXED, "scale": 30, "margin": 0.2,
        "optimiser": "adam", "weight_decay": 2e-5, "head_weight_decay": 2e-4,
        "lr": 1e-3, "final_lr": 1e-8, "warmup_epochs": 0, "schedule": "triangular2", "step_epochs": 16,
        "time_masks": 1, "time_width": 5, "frequency_masks": 1, "frequency_width": 10,
        "average": 1,
    }  # fmt: skip
    options = TrainOptions(**content)
    # 130,000 steps are 16 epochs of 8,125; up for 65,000 and down again, half as high each time.
    places = {0: 1e-8, 32_500: 5e-4, 65_000: 1e-3, 97_500: 5e-4, 130_000: 1e-8}
    places |= {195_000: 5e-4, 325_000: 2.5e-4, 455_000: 1.25e-4, 519_999: 1e-8}
    found = [learning_rate(step, 8125, options) for step in places]
    assert found == pytest.approx(list(places.values()), rel=1e-3, abs=2e-9)
    assert [margin(step, 8125, options) for step in (0, 519_999)] == [0.2, 0.2]
    command = (
        "--recipe voxceleb --models ecapa512 --features mfcc80 --vad none --egs voxceleb --augment ecapa"
    )
    run = as_said(repo, "ecapa_paper", command)
    assert chunk_of(run) == ("audio", 2.0, 2.0) and run.options["vad"]["method"] == "none"
    features = run.options["features"]
    assert (features["kind"], features["num_ceps"], features["num_mel_bins"]) == ("mfcc", 80, 80)
    assert (features["use_energy"], features["cmvn"]) == (False, "utterance")
    assert (features["frame_length_ms"], features["frame_shift_ms"]) == (25.0, 10.0)
    assert run.options["models"]["feature_dim"] == 80
    assert augments_live(run) and voices(run) == [""] and highest_speed(run) == 1.1
    copies = resolve(repo, parse([*command.split(), "--augment.when", "copies", "--train", "ecapa_paper"]))
    assert len(copies.options["augment"]["kinds"]) == 6 and highest_speed(copies) == 1.0


def test_kaldi_xvector_is_kaldis(repo: Path) -> None:
    """Kaldi f400766, egs/voxceleb/v1/local/nnet3/xvector/tuning/run_xvector_1a.sh: 200 to 400 frames a chunk,
    minibatch-size 64, effective rates 0.001 to 0.0001; v2/run.sh: min_len 400, min_num_utts 8, lda_dim
    200 behind the global mean, normalised length, PLDA; v2/conf/{mfcc,vad}.conf;
    src/feat/feature-{window,mfcc}.h: dither 1, use-energy true; prepare_feats_for_egs.sh: a sliding mean
    of 300 frames."""
    content = conf(repo, "kaldi_xvector")
    assert content == {
        "epochs": 6, "batch_size": 64, "loss": "softmax", "hidden_dim": 512,
        "optimiser": "adam", "weight_decay": 1e-5, "clip_norm": 5.0,  # these three are ours
        "lr": 1e-3, "final_lr": 1e-4, "warmup_epochs": 0, "schedule": "exponential",
        "average": 3,
    }  # fmt: skip
    options = TrainOptions(**content)
    assert rates(options, 0, 3000, 5999) == pytest.approx([1e-3, 3.1623e-4, 1e-4], rel=1e-3)
    command = "--recipe voxceleb12 --models tdnn --features mfcc30 --features.dither 1 --vad energy"
    command += " --vad.snip_edges false --augment musan --egs default --egs.min_utterance_seconds 4"
    run = as_said(repo, "kaldi_xvector", f"{command} --egs.min_speaker_utterances 8 --backend kaldi")
    assert chunk_of(run) == ("features", 2.0, 4.0)
    egs, features, vad = (run.options[stage] for stage in ("egs", "features", "vad"))
    assert (egs["min_utterance_seconds"], egs["min_speaker_utterances"]) == (4.0, 8)
    mfcc = {
        "kind": "mfcc", "num_mel_bins": 30, "num_ceps": 30, "low_freq": 20.0, "high_freq": -400.0,
        "use_energy": True, "raw_energy": True, "dither": 1.0, "snip_edges": False, "window_type": "povey",
        "frame_length_ms": 25.0, "frame_shift_ms": 10.0, "cmvn": "sliding", "cmvn_window": 300,
    }  # fmt: skip
    assert {key: features[key] for key in mfcc} == mfcc
    decided = {"method": "energy", "energy_threshold": 5.5, "energy_mean_scale": 0.5}
    decided |= {"proportion": 0.12, "context": 2}
    assert {key: vad[key] for key in decided} == decided
    assert run.options["augment"]["kinds"] == ["noise", "music", "babble", "reverb"]
    assert run.options["backend"]["backends"] == {"plda": "center | lda 200 | length-norm | plda"}
    model = run.options["models"]
    assert model["network"] == {"channels": 512, "frame_channels": 1500} and model["xvector_dim"] == 512

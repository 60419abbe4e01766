"""What a step is made of: parts, frozen weights, the semi-orthogonal constraint, fp16, torch.compile; and the
loss that another training left."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from pysteps.egs.reader import ArchiveInfo, EgsPlan
from pysteps.formats.errors import InputError
from pysteps.models.model import SpeakerModel, load_model
from pysteps.models.options import ModelOptions
from pysteps.train.losses import build_head
from pysteps.train.options import TrainOptions
from pysteps.train.readers import to_device
from pysteps.train.start import HEAD, SPEAKERS, begin_head, save_head
from tests.test_train_loop import MODEL, OPTIONS, Egs, both, curves, ends, train, weights

ONE = replace(OPTIONS, epochs=1, average=1, lr=0.02, time_masks=0)
NORMS = [name for name, part in SpeakerModel(MODEL).named_modules() if isinstance(part, _BatchNorm)]


TDNN = ModelOptions(
    encoder="tdnn",
    network={"channels": 8, "frame_channels": 8},
    pooling="stats",
    pool={},
    pooled_norm=True,
    xvector_norm=True,
    xvector_dim=8,
)


class Wide(Egs):
    """Long enough for the networks that see many frames."""

    def plan(self) -> EgsPlan:
        archives = [ArchiveInfo(f"train.{n}", 12, 26 + 2 * n) for n in (1, 2, 3)]
        return replace(super().plan(), archives=archives, valid=[ArchiveInfo("valid.1", 8, 30)])


def checkpoint(out: Path) -> dict[str, Any]:
    *_, newest = sorted(out.glob("checkpoints/step-*.pt"))
    return torch.load(newest, weights_only=True)


# --- parts of a step


def test_parts_sum_to_the_gradient_of_the_mean(tmp_path: Path) -> None:
    # 11 chunks in 3 parts, which are of 4, 4 and 3.
    options = replace(ONE, freeze=NORMS, batch_size=11, checkpoint_steps=1)
    found = []
    for parts in (1, 3):
        train(tmp_path / str(parts), replace(options, accumulate=parts), stop_after=3)
        found.append(checkpoint(tmp_path / str(parts)))
    assert found[0]["totals"].tolist() == pytest.approx(found[1]["totals"].tolist(), rel=1e-5)
    for name, value in found[0]["trainee"].items():
        assert torch.allclose(value.double(), found[1]["trainee"][name].double(), atol=1e-6), name


def test_processes_and_parts_of_uneven_sizes_take_the_step_of_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # 11 and 10 chunks: 6 or 5 a process, those in parts of 3 and 3 or 2.
    options = replace(ONE, freeze=NORMS, batch_size=11, checkpoint_steps=1, clip_norm=1.0)
    train(tmp_path / "one", options, stop_after=4)

    def in_two(out: Path, **_: Any) -> None:
        train(out, replace(options, accumulate=2), stop_after=4)

    monkeypatch.setattr("tests.test_train_loop.train", in_two)
    assert [ends(process) for process in both(tmp_path / "two")] == [0, 0]
    one, two = checkpoint(tmp_path / "one"), checkpoint(tmp_path / "two")
    assert one["totals"].tolist() == pytest.approx(two["totals"].tolist(), rel=1e-5)
    for name, value in one["trainee"].items():
        assert torch.allclose(value.double(), two["trainee"][name].double(), atol=1e-6), name


def test_a_batch_goes_to_the_device_once_and_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # Of a part of pinned memory torch would not know when the copy is done.
    sent: list[np.ndarray] = []

    def noted(array: np.ndarray, device: torch.device) -> torch.Tensor:
        sent.append(array)
        return to_device(array, device)

    monkeypatch.setattr("pysteps.train.loop.to_device", noted)
    train(tmp_path, replace(ONE, accumulate=3), stop_after=2)
    assert [array.ndim for array in sent] == [3, 1, 3, 1]
    assert len(sent[0]) == len(sent[1]) > 9


def test_more_parts_than_there_are_pairs_of_chunks(tmp_path: Path) -> None:
    train(tmp_path, replace(ONE, accumulate=50))
    assert curves(tmp_path)[0]["chunks"] == 96


# --- frozen parts


def test_frozen_parts_stay_as_they_are_with_their_norms(tmp_path: Path) -> None:
    frozen = ["encoder.first", "encoder.blocks", "projector.0"]
    train(
        tmp_path / "none", replace(ONE, lr=1e-12, final_lr=1e-12, freeze=["encoder", "pooling", "projector"])
    )
    train(tmp_path, replace(ONE, freeze=frozen))
    ours, first = (load_model(out / "model").state_dict() for out in (tmp_path, tmp_path / "none"))
    for name, value in ours.items():
        still = name.startswith(tuple(f"{part}." for part in frozen))
        assert torch.equal(value, first[name]) == still, name


def test_a_part_that_is_not_there_is_refused_with_those_that_are(tmp_path: Path) -> None:
    said = "freeze: the network has no part encoder.front .it has encoder, encoder.first, encoder.blocks"
    with pytest.raises(InputError, match=said):
        train(tmp_path, replace(ONE, freeze=["encoder.front"]))


def test_what_a_later_phase_freezes_is_looked_at_before_training(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"phase 2: freeze: the network has no part encoder.front"):
        train(tmp_path, replace(ONE, phases=[{"freeze": ["encoder.front"]}]))
    pairs = {"loss": "triplet", "utterances_per_speaker": 2, "freeze": ["encoder", "pooling", "projector"]}
    with pytest.raises(InputError, match="phase 2: freeze leaves nothing to learn"):
        train(tmp_path, replace(ONE, phases=[pairs]))
    assert not list(tmp_path.iterdir())


# --- semi-orthogonal factors

FTDNN = ModelOptions(
    encoder="ftdnn",
    network={"first_channels": 8, "channels": 12, "bottleneck": 4, "frame_channels": 12},
    pooling="stats",
    pool={},
    pooled_norm=False,
    xvector_norm=False,
    xvector_dim=8,
)


def test_every_fourth_step_factors_are_brought_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from pysteps.models.ftdnn import SemiOrthogonalConv

    calls: list[nn.Module] = []
    constrain = SemiOrthogonalConv.constrain
    monkeypatch.setattr(SemiOrthogonalConv, "constrain", lambda self: (calls.append(self), constrain(self)))
    options = replace(ONE, loss="softmax", batch_size=4, checkpoint_steps=2, epochs=2)
    train(tmp_path / "whole", options, FTDNN, egs=Wide())
    assert len(calls) == 4 * 16  # of 18 steps: 4, 8, 12, 16; two factors of each of eight layers
    train(tmp_path / "parts", options, FTDNN, egs=Wide(), stop_after=7)
    train(tmp_path / "parts", options, FTDNN, egs=Wide())
    assert weights(tmp_path / "whole") == weights(tmp_path / "parts")
    calls.clear()
    train(tmp_path / "still", replace(options, freeze=["encoder"]), FTDNN, egs=Wide(), stop_after=5)
    assert not calls


# --- 16 bits, other layouts, translation


def test_a_step_that_overflows_in_fp16_is_left_out_and_counted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # No GPU here: torch has fp16 and its scaler on CPUs as well.
    monkeypatch.setattr("pysteps.train.state.choose_precision", lambda *_: torch.float16)
    options = replace(ONE, epochs=2, clip_norm=5.0)
    train(tmp_path / "whole", options)
    assert 0 < curves(tmp_path / "whole")[0]["skipped_steps"] < 9
    assert curves(tmp_path / "whole")[1]["skipped_steps"] == 0
    train(tmp_path / "parts", options, stop_after=4)
    train(tmp_path / "parts", options)
    assert weights(tmp_path / "whole") == weights(tmp_path / "parts")


def test_an_epoch_without_a_step_is_no_epoch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pysteps.train.state.choose_precision", lambda *_: torch.float16)
    monkeypatch.setattr("torch.amp.GradScaler", partial(torch.amp.GradScaler, init_scale=2.0**100))
    with pytest.raises(InputError, match="no step of epoch 1 was taken.*--train.precision bf16"):
        train(tmp_path, ONE)


def test_channels_last_trains_and_resumes(tmp_path: Path) -> None:
    network = {"channels": 4, "blocks": [1, 1, 1, 1]}
    parts = {"encoder": "resnet", "network": network, "pooling": "stats", "pool": {}}
    model = ModelOptions(**parts, xvector_dim=8)  # type: ignore[arg-type]
    options = replace(ONE, channels_last=True)
    train(tmp_path / "whole", options, model, egs=Wide())
    train(tmp_path / "parts", options, model, egs=Wide(), stop_after=2)
    train(tmp_path / "parts", options, model, egs=Wide())
    assert weights(tmp_path / "whole") == weights(tmp_path / "parts")
    train(tmp_path / "plain", replace(options, channels_last=False), model, egs=Wide())
    one, other = (load_model(tmp_path / name / "model").state_dict() for name in ("whole", "plain"))
    assert all(torch.allclose(one[name], other[name], atol=1e-3) for name in one if "running" not in name)


def test_a_translated_network_is_translated_once_for_all_lengths(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The code behind the translation takes a minute to compile; what is looked at here comes before it.
    through = torch.compile
    monkeypatch.setattr("torch.compile", lambda model, options: through(model, backend="eager"))
    torch._dynamo.reset()
    torch._dynamo.utils.counters.clear()
    train(tmp_path / "whole", replace(ONE, compile=True), TDNN, egs=Wide())
    counts = torch._dynamo.utils.counters
    assert counts["stats"]["unique_graphs"] == 1 and not counts["graph_break"]
    (line,) = curves(tmp_path / "whole")
    assert list(line)[-1] == "warmup_seconds" and 0 < line["warmup_seconds"] < line["seconds"]
    assert line["chunks_per_second"] > line["chunks"] / line["seconds"]
    for stop in (2, None):  # stopped after two steps, then to the end
        train(tmp_path / "parts", replace(ONE, compile=True), TDNN, egs=Wide(), stop_after=stop)
    train(tmp_path / "plain", ONE, TDNN, egs=Wide())
    names = ("whole", "plain", "parts")
    one, *others = (load_model(tmp_path / name / "model").state_dict() for name in names)
    assert all(torch.allclose(one[name], other[name], atol=1e-3) for other in others for name in one)


@pytest.mark.long
@pytest.mark.parametrize(
    ("model", "precision"), [(MODEL, "fp32"), (MODEL, "bf16"), (TDNN, "fp32")], ids=["fp32", "bf16", "tdnn"]
)
def test_the_compiled_code_is_for_all_lengths_too(
    tmp_path: Path, model: ModelOptions, precision: str
) -> None:
    # The TDNN loses frames at its ends, so its strides are no multiples of the time.
    torch._dynamo.reset()
    torch._dynamo.utils.counters.clear()
    train(tmp_path, replace(ONE, epochs=2, compile=True, precision=precision), model, egs=Wide())
    assert torch._dynamo.utils.counters["stats"]["unique_graphs"] == 1
    first, second = curves(tmp_path)
    assert first["warmup_seconds"] > 1 and second["warmup_seconds"] == 0


@pytest.mark.parametrize(
    "wrong", [{"freeze": ["encoder.layr1"]}, {"epoch_parts": 9}, {"init": "nowhere"}, {"precision": "fp16"}]
)
def test_what_is_refused_takes_nothing_away(tmp_path: Path, wrong: dict[str, Any]) -> None:
    called: list[int] = []
    with pytest.raises(InputError):
        train(tmp_path, replace(OPTIONS, **wrong), before=lambda: called.append(1))
    assert not called and not any(tmp_path.iterdir())
    train(tmp_path, replace(OPTIONS, epochs=1), before=lambda: called.append(len([*tmp_path.iterdir()])))
    assert called == [0]  # once, before anything was written


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"margin": -0.2}, "margin is -0.2"),
        ({"margin": 5.0}, "margin is 5"),
        ({"workers": -1}, "workers is -1"),
        ({"precision": "fp8"}, "unknown precision 'fp8'"),
        ({"init": "a", "model": "b"}, "init and model are both given"),
    ],
)
def test_options_that_cannot_be_are_refused_at_once(wrong: dict[str, Any], said: str) -> None:
    with pytest.raises(InputError, match=said):
        TrainOptions(**wrong)


def test_without_a_compiler_compile_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shutil.which", lambda name: None)
    with pytest.raises(InputError, match="needs a C.. compiler.*--train.compile false"):
        train(tmp_path, replace(ONE, compile=True))


# --- the loss that another training left


def head(line: str, speakers: int, drawn: int, **change: Any) -> nn.Module:
    torch.manual_seed(drawn)
    return build_head(line, 4, speakers, TrainOptions(loss=line, utterances_per_speaker=2, **change))


def test_speakers_that_both_know_are_taken_by_name(tmp_path: Path) -> None:
    for line, change, each in (
        ("aam subcentres=2", {}, 2),
        ("softmax", {"hidden_dim": 3}, 1),
        ("sphereface2 + 0.1 center", {}, 1),
    ):
        theirs, ours, drawn = (
            head(line, 5, 1, **change),
            head(line, 3, 2, **change),
            head(line, 3, 2, **change),
        )
        save_head(theirs, ["a", "b-speed0.9", "b", "c", "d"], tmp_path)
        assert begin_head(ours, ["b", "new", "a"], tmp_path) == (
            "the loss begins with what is known of 2 speakers; 1 are new"
        )
        for name, value in ours.state_dict().items():
            there, before = theirs.state_dict()[name], drawn.state_dict()[name]
            if len(value.shape) == 0 or len(value) != 3 * each or "segments" in name:
                assert torch.equal(value, there), name
                continue
            b, new, a = value.split(each)
            assert torch.equal(a, there[:each]) and torch.equal(b, there[2 * each : 3 * each])
            assert torch.equal(new, before[each : 2 * each])


@pytest.mark.parametrize(
    ("left", "wanted", "said"),
    [
        ("aam", "softmax", "the one there is another"),
        ("aam", "aam subcentres=3", "centres has another size there"),
        ("ge2e", "ge2e", "it has no weights of speakers"),
        ("", "aam", "has none beside its model"),
    ],
)
def test_what_the_loss_cannot_begin_with_is_said(tmp_path: Path, left: str, wanted: str, said: str) -> None:
    if left:
        save_head(head(left, 3, 1), ["a", "b", "c"], tmp_path)
    ours, drawn = head(wanted, 3, 2), head(wanted, 3, 2)
    assert said in begin_head(ours, ["a", "b", "c"], tmp_path)
    assert all(torch.equal(v, drawn.state_dict()[name]) for name, v in ours.state_dict().items())


def test_a_damaged_loss_is_refused(tmp_path: Path) -> None:
    save_head(head("aam", 3, 1), ["a", "b", "c"], tmp_path)
    (tmp_path / SPEAKERS).write_text("a\nb\n")
    with pytest.raises(InputError, match="2 names, the weights are of others"):
        begin_head(head("aam", 3, 2), ["a", "b", "c"], tmp_path)
    (tmp_path / HEAD).write_bytes((tmp_path / HEAD).read_bytes()[:40])
    with pytest.raises(InputError, match="head.safetensors: the weights cannot be read"):
        begin_head(head("aam", 3, 2), ["a", "b", "c"], tmp_path)


def test_a_training_leaves_its_loss_beside_the_model(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    train(tmp_path / "one", ONE)
    folder = tmp_path / "one" / "model"
    assert (folder / SPEAKERS).read_text().split() == ["s0", "s1", "s2", "s3", "s4", "s5"]
    again = tmp_path / "again"
    train(again, replace(ONE, init=str(folder)), egs=Egs(speakers=8), stop_after=4)
    assert "train: the loss begins with what is known of 6 speakers; 2 are new" in capsys.readouterr().err
    # A training that goes on does so from its checkpoint, whatever became of that folder.
    (folder / HEAD).unlink()
    train(again, replace(ONE, init=str(folder)), egs=Egs(speakers=8))
    assert "the loss begins" not in capsys.readouterr().err
    assert (again / "model" / HEAD).is_file() and np.isfinite(curves(again)[0]["loss"])

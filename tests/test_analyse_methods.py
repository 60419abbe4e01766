"""Maps of relevance against numbers that are worked out by hand."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from pysteps.analyse.cam import grad_cam, has_bins, weighed, weighed_plus
from pysteps.analyse.fullgrad import full_gradient
from pysteps.analyse.gradients import gradient, integrated
from pysteps.analyse.layers import PLACES, planes, spread
from pysteps.analyse.methods import METHODS, explain
from pysteps.analyse.targets import ClassTarget, CosineTarget, DirectionTarget, NormTarget
from pysteps.formats.errors import InputError
from pysteps.models.model import SpeakerModel
from pysteps.models.options import ModelOptions
from tests.zoo import full, seen, shrunk

RANDOM = np.random.default_rng(5)


class Sum(nn.Module):
    """The sum of an x-vector's numbers."""

    def forward(self, xvectors: Tensor) -> Tensor:
        return xvectors.sum(dim=1)


def linear() -> tuple[SpeakerModel, np.ndarray]:
    """x-vector = W mean of the frames + b, 3 bins; the sum's slope in a cell is its bin's column sum / T."""
    options = ModelOptions("identity", {}, "average", {}, False, False, 2, 3)
    model = SpeakerModel(options).eval().requires_grad_(False)
    (layer,) = model.projector
    layer.weight.copy_(torch.tensor([[1.0, 2.0, -3.0], [0.5, 0.0, 1.0]]))
    layer.bias.copy_(torch.tensor([10.0, 20.0]))
    return model, np.array([[1.5, 2.0, -2.0]], np.float32)


def network(name: str) -> SpeakerModel:
    return seen(shrunk(full(name))).requires_grad_(False)


def features_of(model: SpeakerModel, frames: int = 40) -> np.ndarray:
    shape = model.min_frames + frames, model.options.feature_dim
    return (RANDOM.normal(size=shape) * 2).astype(np.float32)


def test_gradient_of_a_linear_network_is_its_weights_over_the_frames() -> None:
    model, weights = linear()
    values, output = gradient(model, np.ones((4, 3), np.float32), Sum())
    assert values == pytest.approx(np.repeat(weights / 4, 4, axis=0))
    assert output == pytest.approx(1.5 + 2 - 2 + 30)


def test_input_x_gradient_of_a_linear_network_is_each_cells_part() -> None:
    model, weights = linear()
    x = np.arange(12, dtype=np.float32).reshape(4, 3)
    assert explain(model, x, Sum(), "input_x_gradient").values == pytest.approx(x * weights / 4)


def test_integrated_gradients_of_a_linear_network_count_from_the_mean_spectrum() -> None:
    pytest.importorskip("captum")
    model, weights = linear()
    x = np.arange(12, dtype=np.float32).reshape(4, 3)
    values, output, missing = integrated(model, x, Sum())
    assert values == pytest.approx((x - x.mean(0)) * weights / 4, abs=1e-5)
    assert missing == pytest.approx(0, abs=1e-4) and output == pytest.approx((x.mean(0) * weights).sum() + 30)


def test_integrated_gradients_sum_to_what_the_utterance_adds() -> None:
    pytest.importorskip("captum")
    model = network("resnet10")
    x = features_of(model)
    goal = Sum()
    values, output, missing = integrated(model, x, goal, steps=200)
    with torch.no_grad():
        mean = torch.from_numpy(x).mean(0, keepdim=True).expand(len(x), -1)
        start = float(goal(model(mean.unsqueeze(0))))
    assert values.sum() == pytest.approx(output - start, rel=0.02)
    assert missing == pytest.approx(values.sum() - (output - start), abs=1e-3)


def test_full_gradient_of_a_linear_network_is_its_weights_and_its_bias() -> None:
    model, weights = linear()
    x = np.arange(12, dtype=np.float32).reshape(4, 3)
    found = full_gradient(model, x, Sum())
    assert found.inputs == pytest.approx((x * weights / 4).sum()) and found.biases == pytest.approx(30)
    assert found.timeless == pytest.approx(30) and found.last == pytest.approx(0)
    assert found.map == pytest.approx(np.abs(x * weights / 4))


def test_a_batch_normalisations_bias_is_beta_less_what_it_centres() -> None:
    model = SpeakerModel(ModelOptions("identity", {}, "average", {}, True, False, 1, 2)).eval()
    norm, layer = model.projector
    norm.running_mean.copy_(torch.tensor([3.0, -1.0]))
    norm.running_var.copy_(torch.tensor([4.0, 0.25]) - norm.eps)
    with torch.no_grad():
        norm.weight.copy_(torch.tensor([2.0, 1.0]))
        norm.bias.copy_(torch.tensor([0.5, 0.0]))
        layer.weight.copy_(torch.tensor([[1.0, 10.0]]))
        layer.bias.zero_()
    found = full_gradient(model.requires_grad_(False), np.ones((5, 2), np.float32), Sum())
    # beta - gamma * mean / deviation: 0.5 - 2 * 3 / 2 = -2.5 and 0 + 1 / 0.5 = 2, weighed with 1 and 10.
    assert dict(found.parts)["projector.0"] == pytest.approx(-2.5 + 20)
    assert found.inputs == pytest.approx(1 * 2 / 2 + 10 / 0.5)


# What makes networks other than ReLU and normalisation is in these: gates, masks, attention over time, tanh,
# softmax, deviations, GELU, SiLU, layer norms, clipped and parametric ReLUs, means over the spectrum.
@pytest.mark.parametrize(
    "name",
    [
        "ecapa256",
        "resnet10",
        "resnet34se",
        "resnet34simam",
        "campplus",
        "eres2netv2",
        "redimnet_b0",
        "dtdnnss",
    ]
    + ["cnn", "meancnn", "rescnn", "conformer_small", "ftdnn", "fastresnet34"],
)
def test_full_gradients_sum_to_the_output(name: str) -> None:
    model = network(name)
    x = features_of(model)
    other = torch.from_numpy(RANDOM.normal(size=model.options.xvector_dim).astype(np.float32))
    for target in (NormTarget(), CosineTarget(other)):
        found = full_gradient(model, x, target)
        parts = found.inputs + sum(part for _, part in found.parts) + found.last
        assert parts == pytest.approx(found.output, rel=1e-4)
        assert found.error < 1e-4 and found.map.shape == x.shape and (found.map >= 0).all()
    with torch.no_grad():
        assert found.output == pytest.approx(
            float(CosineTarget(other)(model(torch.from_numpy(x)[None]))), abs=1e-4
        )


def test_full_gradients_of_ecapa256_as_it_is() -> None:
    model = seen(full("ecapa256")).requires_grad_(False)
    found = full_gradient(model, features_of(model, 60), NormTarget())
    assert found.error < 1e-4 and abs(found.inputs) > 1e-3 * found.output


def test_a_full_gradients_map_holds_all_that_has_a_time() -> None:
    # Linear in every cell but for the biases of one convolution: their sizes are shared over its frames.
    model = network("tdnn")
    found = full_gradient(model, features_of(model), Sum())
    timed = [abs(part) for name, part in found.parts if name.startswith("encoder")]
    assert found.map.sum() >= sum(timed) * 0.999  # absolute values within a layer can only be more


def test_grad_cam_by_hand() -> None:
    activations = torch.tensor([[[1.0, 2.0], [0.0, 4.0]], [[3.0, 0.0], [1.0, 1.0]]])
    slopes = torch.tensor([[[1.0, 1.0], [1.0, 1.0]], [[-2.0, 0.0], [0.0, 0.0]]])
    # Weights are the mean slopes, 1 and -0.5.
    assert weighed(activations, slopes).tolist() == [[0.0, 2.0], [0.0, 3.5]]


def test_grad_cam_plus_by_hand() -> None:
    activations = torch.tensor([[[1.0, 2.0]], [[3.0, 0.0]]])
    slopes = torch.tensor([[[1.0, 0.0]], [[-2.0, 1.0]]])
    # alpha = g^2 / (2 g^2 + sum(A) g^3): 1 / (2 + 3) and 0, where is no slope; 4 / (8 - 24) and 1 / (2 + 3).
    # Only positive slopes count: weights 0.2 * 1 and 0.2 * 1.
    assert weighed_plus(activations, slopes) == pytest.approx(torch.tensor([[0.8, 0.4]]))


def test_grad_cam_of_a_network_of_two_convolutions() -> None:
    # conv1d: one bin, two layers of one tap. ReLU of x, then twice it; no normalisation is felt.
    options = ModelOptions(
        "conv1d",
        {"channels": [1, 1], "kernels": [1, 1], "dilations": [1, 1]},
        "average",
        {},
        False,
        False,
        1,
        1,
    )
    model = SpeakerModel(options).eval()
    with torch.no_grad():
        for name, weight in model.named_parameters():
            weight.fill_(0.0 if name.endswith("bias") else 2.0 if name.endswith("layers.1.0.weight") else 1.0)
    for norm in (m for m in model.modules() if isinstance(m, nn.BatchNorm1d)):
        norm.eps = 0.0
    x = np.array([[1.0], [-3.0], [2.0], [0.0]], np.float32)
    values, output, layer = grad_cam(model.requires_grad_(False), x, Sum())
    # The encoder gives 2, 0, 4, 0; each has the slope 1/4, so the weight is 1/4.
    assert values[:, 0].tolist() == [0.5, 0.0, 1.0, 0.0] and output == pytest.approx(1.5)
    assert layer == "encoder"


@pytest.mark.parametrize(("name", "bins"), [("ecapa256", False), ("resnet10", True), ("campplus", True)])
def test_grad_cam_tells_bins_apart_where_the_layer_has_them(name: str, bins: bool) -> None:
    model = network(name)
    assert has_bins(model) is bins
    values, _, _ = grad_cam(model, features_of(model), Sum())
    assert bins or np.ptp(values, axis=1).max() == 0


def test_every_default_layer_is_there_and_has_time_or_bins() -> None:
    from tests.zoo import distinct

    for name in distinct():
        options = shrunk(full(name))
        if options.encoder in PLACES:
            model = seen(options).requires_grad_(False)
            x = features_of(model, 13)
            for plus in (False, True):
                values, _, _ = grad_cam(model, x, NormTarget(), plus=plus)
                assert values.shape == x.shape and np.isfinite(values).all() and (values >= 0).all(), name


def test_a_layer_without_padding_lies_in_the_middle() -> None:
    found = spread(torch.ones(6, 1), (10, 3), trim=2)
    assert found[:, 0].tolist() == [0, 0, 1, 1, 1, 1, 1, 1, 0, 0] and found.shape == (10, 3)


def test_a_coarse_layer_is_stretched_and_its_sum_can_stay() -> None:
    values = torch.tensor([[1.0, 3.0], [5.0, 7.0]])
    assert spread(values, (4, 4)).amax() == 7
    assert float(spread(values, (5, 7), keep_sum=True).sum()) == pytest.approx(16)


def test_images_are_turned_to_time_and_bins() -> None:
    image = torch.zeros(1, 2, 5, 9)  # channels, bins, time
    assert planes(image, nn.Identity(), "bins time").shape == (2, 9, 5)  # type: ignore[union-attr]
    assert planes(image, nn.Identity(), "time bins").shape == (2, 5, 9)  # type: ignore[union-attr]
    assert planes(torch.zeros(1, 9, 4), nn.Identity(), "frames").shape == (4, 9, 1)  # type: ignore[union-attr]
    assert planes(torch.zeros(1, 9, 4), nn.Identity(), "bins").shape == (4, 1, 9)  # type: ignore[union-attr]
    assert planes(torch.zeros(1, 9), nn.Identity(), "frames") is None


def test_the_direction_has_the_norms_value_and_slope() -> None:
    model = network("ecapa256")
    x = features_of(model)
    with torch.no_grad():
        own = model(torch.from_numpy(x)[None])[0]
    one, other = (gradient(model, x, target) for target in (NormTarget(), DirectionTarget(own)))
    assert one[1] == pytest.approx(other[1], rel=1e-5)
    assert one[0] == pytest.approx(other[0], abs=1e-5 * float(np.abs(one[0]).max()))


def test_a_class_is_its_logit() -> None:
    from pysteps.train.losses import build_head
    from pysteps.train.options import TrainOptions

    head = build_head("aam", 4, 3, TrainOptions(scale=10.0)).eval().requires_grad_(False)
    x = torch.randn(2, 4)
    wanted = 10 * torch.nn.functional.cosine_similarity(x, head.centres[1:2])
    assert torch.allclose(ClassTarget(head, 1)(x), wanted, atol=1e-5)
    total = sum(ClassTarget(head, n).probability(x) for n in range(3))
    assert torch.allclose(torch.as_tensor(total), torch.ones(2))


def test_what_does_not_fit_is_refused_in_words() -> None:
    lstm, conformer = network("lstm"), network("conformer_small")
    with pytest.raises(InputError, match="Grad-CAM does not fit the encoder lstm.*no convolution"):
        explain(lstm, features_of(lstm), NormTarget(), "grad_cam")
    with pytest.raises(InputError, match="FullGrad does not fit the encoder lstm"):
        explain(lstm, features_of(lstm), NormTarget(), "fullgrad")
    with pytest.raises(InputError, match="conformer.*attention"):
        explain(conformer, features_of(conformer), NormTarget(), "grad_cam++")
    assert explain(lstm, features_of(lstm), NormTarget(), "gradient").values.any()


def test_unknown_methods_and_layers_are_refused() -> None:
    model = network("ecapa256")
    x = features_of(model)
    for method, layer, said in (
        ("saliency", "", "unknown method"),
        ("grad_cam", "encoder.nothing", "no layer"),
        ("grad_cam", "projector.0", "no layer"),
        ("grad_cam", "encoder.blocks.0.3.squeeze", "has no time"),
        ("gradient", "encoder", "looks at no layer"),
    ):
        with pytest.raises(InputError, match=said):
            explain(model, x, NormTarget(), method, layer)


def test_the_model_is_as_it_was() -> None:
    model = network("ecapa256")
    before = {name: value.clone() for name, value in model.state_dict().items()}
    x = features_of(model)
    first = explain(model, x, NormTarget(), "gradient").values
    for method in METHODS.names():
        explain(model, x, NormTarget(), method)
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert not any(module._forward_hooks for module in model.modules())
    assert np.array_equal(first, explain(model, x, NormTarget(), "gradient").values)


def test_a_map_of_one_bin_is_no_bin_at_all() -> None:
    assert not has_bins(network("resnet10"), "encoder") and has_bins(network("resnet10"), "encoder.layer2")
    options = replace(shrunk(full("meancnn")))
    assert has_bins(seen(options).requires_grad_(False))

"""ReDimNet: sizes, reshaping that moves nothing, the weighted sums by hand, and any number of bins."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
import yaml

from pysteps.formats.errors import InputError
from pysteps.models.architectures import ENCODERS, filled
from pysteps.models.model import SpeakerModel
from pysteps.models.options import ModelOptions
from pysteps.models.redimnet import Weighted, to_frames, to_image

SMALL = ModelOptions(
    encoder="redimnet",
    network={"channels": 4, "group": 2, "stages": [[1, 1, 2, 0], [2, 1, 1, 6], [3, 1, 1, 4]]},
    pooled_norm=True,
    xvector_norm=False,
    pool={"attention_channels": 8},
    xvector_dim=10,
    feature_dim=12,
)


def made(**changed: object) -> SpeakerModel:
    torch.manual_seed(1)
    model = SpeakerModel(ModelOptions(**{**vars(SMALL), **changed}))  # type: ignore[arg-type]
    with torch.no_grad():
        for _ in range(3):
            model(torch.randn(4, 60, model.options.feature_dim) * 2 + 1)
    return model.eval()


# WeSpeaker's ReDimNetB0 to B6 and their own figure in the paper, which theirs do not all reach.
@pytest.mark.parametrize(
    ("name", "wespeaker", "paper"),
    [
        ("b0", 1_001_851, 1.0),
        ("b1", 2_123_481, 2.2),
        ("b2", 4_888_241, 4.7),
        ("b3", 3_220_413, 3.0),
        ("b4", 6_432_305, 6.3),
        ("b5", 7_650_545, 9.2),
        ("b6", 15_006_257, 15.0),
    ],
)
def test_they_have_the_published_number_of_parameters(
    repo: Path, name: str, wespeaker: int, paper: float
) -> None:
    options = yaml.safe_load((repo / f"conf/models/redimnet_{name}.yaml").read_text("utf-8"))
    bins = 60 if name == "b0" else 72
    with torch.device("meta"):
        model = SpeakerModel(ModelOptions(**options | {"feature_dim": bins}))
    found = sum(parameter.numel() for parameter in model.parameters())
    # The authors normalise what was pooled, WeSpeaker does not; it keeps a weight that has nothing to weigh.
    assert found == wespeaker + 2 * model.pooling.out_dim - 1  # type: ignore[operator]
    if name not in ("b3", "b5"):
        assert found == pytest.approx(paper * 1e6, rel=0.05)


def test_reshaping_is_the_papers_and_moves_nothing() -> None:
    frames = torch.arange(2 * 3 * 8.0).view(2, 3, 8)
    image = to_image(frames, bins=4)
    assert image.shape == (2, 2, 3, 4) and image.data_ptr() == frames.data_ptr()
    assert image[1, 1, 2].tolist() == frames[1, 2, 1::2].tolist()
    assert torch.equal(to_frames(image), frames) and to_frames(image).data_ptr() == frames.data_ptr()
    assert image.is_contiguous(memory_format=torch.channels_last)


def test_outputs_are_summed_by_weights_of_each_channel() -> None:
    weighted = Weighted(2, 3)
    with torch.no_grad():
        weighted.weight[1] = torch.tensor([0.0, 1.0, 0.0]).mul(3).exp().log()  # e^3 to 1 for channel 1
    outputs = [torch.full((1, 1, 3), 1.0), torch.full((1, 1, 3), 3.0)]
    share = 20.085537 / 21.085537
    torch.testing.assert_close(weighted(outputs), torch.tensor([[[2.0, 1 + 2 * share, 2.0]]]))


def test_frames_are_as_many_and_as_wide_as_the_first_stages() -> None:
    encoder = made().encoder
    for time in (3, 10, 75):
        assert encoder(torch.randn(2, time, 12)).shape == (2, time, 4 * 12)


def test_bins_that_the_strides_do_not_divide_are_filled_with_zeros() -> None:
    ten, twelve = made(feature_dim=10), made()
    twelve.load_state_dict(ten.state_dict())
    features = torch.randn(2, 20, 10)
    filled_up = torch.cat((features, torch.zeros(2, 20, 2)), dim=2)
    torch.testing.assert_close(ten(features), twelve(filled_up))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"block": "vgg"}, "unknown block 'vgg'"),
        ({"stages": [[1, 2]]}, "a list of"),
        ({"stages": []}, "stages is"),
        ({"group": 5, "channels": 6, "stages": [[1, 1, 1, 0], [3, 1, 1, 0], [2, 1, 1, 0]]}, "group is 5"),
        ({"group": 99}, "group is 99"),
    ],
)
def test_options_that_make_no_network_are_refused(change: dict, message: str) -> None:
    with pytest.raises(InputError, match=message):
        filled(ENCODERS, "redimnet", change)

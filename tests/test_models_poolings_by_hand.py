"""The other poolings on numbers by hand: deviations of a sample, attentions with norms, the rest."""

from __future__ import annotations

import math

import pytest
import torch

from pysteps.models.architectures import POOLINGS, AttentiveOptions, MeanCnnOptions, NoOptions, SegmentOptions
from pysteps.models.lstm import LastFramePooling
from pysteps.models.meancnn import MeanCnnPooling
from pysteps.models.pooling import AttentiveStatisticsPooling, StatisticsPooling
from pysteps.models.pooling_channel import ChannelAttentivePooling
from pysteps.models.pooling_sample import SampleStatisticsPooling, SegmentStatisticsPooling
from pysteps.models.speechbrain import NormedAttentivePooling

FRAMES = torch.tensor([[[1.0, 0.0], [3.0, 2.0], [8.0, 1.0]]])
VALUE = math.atanh(0.5)
PAIR = torch.tensor([[[0.0], [VALUE]]])  # tanh of them is 0 and 0.5


def test_statistics() -> None:
    # Means 4 and 1; squares about them 9 + 1 + 16 and 1 + 1 + 0, over 3.
    found = StatisticsPooling(NoOptions(), 2)(FRAMES)[0].tolist()
    assert found == pytest.approx([4, 1, math.sqrt(26 / 3), math.sqrt(2 / 3)])


def test_sample_statistics() -> None:
    pooling = SampleStatisticsPooling(NoOptions(), 2)
    assert pooling(FRAMES)[0].tolist() == pytest.approx([4, 1, math.sqrt(13), 1])  # over 2
    # Weights 1/2, 1/2, 0 of their sum: the two first frames alone.
    found = pooling(FRAMES, torch.tensor([[3.0, 3.0, 0.0]]))[0].tolist()
    assert found == pytest.approx([2, 1, math.sqrt(2), math.sqrt(2)])
    # Weights 1/4, 3/4: mean 2.5, variance 3/4 over 1 - 10/16.
    found = pooling(FRAMES, torch.tensor([[1.0, 3.0, 0.0]]))[0].tolist()
    assert found == pytest.approx([2.5, 1.5, math.sqrt(2), math.sqrt(2)])


def test_the_floor_of_a_variance() -> None:
    still = torch.ones(1, 5, 2)
    for kind in (StatisticsPooling, SampleStatisticsPooling):
        assert kind(NoOptions(), 2)(still)[0].tolist() == pytest.approx([1, 1, 10**-3.5, 10**-3.5])


def test_segment_statistics() -> None:
    pooling = SegmentStatisticsPooling(SegmentOptions(segment_channels=2), 2).eval()
    with torch.no_grad():
        # Mean 4 less twice the deviation 1 of the second channel, and a negative number.
        pooling.segment.weight.copy_(torch.tensor([[1.0, 0, 0, -2], [-1.0, 0, 0, 0]]))
        pooling.segment.bias.copy_(torch.tensor([0.5, 0.0]))
        pooling.norm.running_mean.copy_(torch.tensor([0.5, 0.0]))
        pooling.norm.running_var.copy_(torch.tensor([4.0, 1.0]))
    assert pooling(FRAMES)[0].tolist() == pytest.approx([1, 0], abs=1e-5)  # (2.5 - 0.5) / 2


def test_attention_with_context() -> None:
    pooling = AttentiveStatisticsPooling(AttentiveOptions(attention_channels=1), 1)
    with torch.no_grad():
        # The hidden unit is tanh(frame + mean + deviation - mean - deviation): the context moves both alike.
        mean = deviation = VALUE / 2
        pooling.hidden.weight.copy_(torch.ones(1, 3, 1))
        pooling.hidden.bias.fill_(-mean - deviation)
        pooling.score.weight.fill_(3)
        pooling.score.bias.fill_(0.7)
    share = math.exp(1.5) / (1 + math.exp(1.5))
    expected = [VALUE * share, VALUE * math.sqrt(share * (1 - share))]
    assert pooling(PAIR)[0].tolist() == pytest.approx(expected, rel=1e-5)


def test_attention_with_context_and_a_norm() -> None:
    pooling = NormedAttentivePooling(AttentiveOptions(attention_channels=1), 1).eval()
    with torch.no_grad():
        pooling.hidden.weight.copy_(torch.tensor([1.0, 0.0, 0.0]).view(1, 3, 1))
        pooling.hidden.bias.zero_()
        pooling.norm.running_var.fill_(4 - 1e-5)  # the norm halves
        pooling.norm.weight.fill_(2)
        pooling.score.weight.fill_(3)
    share = math.exp(1.5) / (1 + math.exp(1.5))
    expected = [VALUE * share, VALUE * math.sqrt(share * (1 - share))]
    assert pooling(PAIR)[0].tolist() == pytest.approx(expected, rel=1e-5)


def test_an_attention_a_channel() -> None:
    pooling = ChannelAttentivePooling(AttentiveOptions(attention_channels=1), 2).eval()
    convolution, _, norm = pooling.hidden
    with torch.no_grad():
        convolution.weight.copy_(torch.tensor([1.0, 0.0]).view(1, 2, 1))
        convolution.bias.zero_()
        norm.running_var.fill_(1 - 1e-5)
        # log 3 / 2 for each 1 of the first channel, no preference in the second.
        pooling.score.weight.copy_(torch.tensor([math.log(3) / 2, 0.0]).view(2, 1, 1))
        pooling.score.bias.zero_()
    frames = torch.tensor([[[1.0, 4.0], [3.0, 8.0]]])  # shares 1/4 and 3/4; halves
    assert pooling(frames)[0].tolist() == pytest.approx([2.5, 6, math.sqrt(0.75), 2], rel=1e-5)


def test_the_last_frame() -> None:
    pooling = LastFramePooling(NoOptions(), 2)
    assert pooling(FRAMES)[0].tolist() == [8, 1]
    assert pooling(FRAMES, torch.tensor([[1.0, 0.5, 0.0]]))[0].tolist() == [3, 2]


def test_the_mean_spectrum_in_a_convolution() -> None:
    pooling = MeanCnnPooling(MeanCnnOptions(channels=[1], kernel=3, dropout=0.5), 4).eval()
    convolution, _, norm = pooling.stages[0]
    with torch.no_grad():
        for one in (pooling.norm, norm):
            one.running_var.fill_(1 - 1e-5)
        convolution.weight.copy_(torch.tensor([1.0, 0.0, -1.0]).view(1, 1, 3))
        convolution.bias.fill_(1)
    # Means 1 5 2 0; a bin is its left neighbour less its right one, and 1: -4 0 6 3, without what is below 0.
    frames = torch.tensor([[[0.0, 4.0, 2.0, 0.0], [2.0, 6.0, 2.0, 0.0]]])
    assert pooling(frames)[0].tolist() == pytest.approx([0, 6], abs=1e-5)  # the largest of two


def test_every_pooling_has_numbers_by_hand() -> None:
    here = {
        "astp",
        "astp_normed",
        "channel_asp",
        "last",
        "mean_cnn",
        "sample_stats",
        "segment_stats",
        "stats",
    }
    there = {
        "asp",
        "average",
        "ghostvlad",
        "lde",
        "mha",
        "mqmha",
        "netvlad",
        "sap",
    }  # test_models_poolings.py
    assert here | there == set(POOLINGS.names())

"""Our losses beside those of pytorch-metric-learning, on drawn x-vectors and centres.

Their numbers for one batch stand in test_train_losses.py, for where the library is not installed.
"""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import nn

from pysteps.train.losses import build_head
from pysteps.train.options import TrainOptions

peers: Any = pytest.importorskip("pytorch_metric_learning.losses")
distances: Any = pytest.importorskip("pytorch_metric_learning.distances")
miners: Any = pytest.importorskip("pytorch_metric_learning.miners")
reducers: Any = pytest.importorskip("pytorch_metric_learning.reducers")

DIM, SPEAKERS, SCALE, MARGIN = 7, 5, 8.0, 0.25
LABELS = torch.tensor([3, 3, 3, 0, 0, 0, 2, 2, 2])


def ours(line: str) -> nn.Module:
    options = TrainOptions(loss=line, batch_size=9, utterances_per_speaker=3, scale=SCALE)
    return build_head(line, DIM, SPEAKERS, options).train()


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize(
    ("line", "peer", "words", "margin"),
    [
        ("aam", "ArcFaceLoss", {"margin": math.degrees(MARGIN)}, MARGIN),
        ("am", "CosFaceLoss", {"margin": MARGIN}, MARGIN),
        (
            "aam subcentres=3",
            "SubCenterArcFaceLoss",
            {"margin": math.degrees(MARGIN), "sub_centers": 3},
            MARGIN,
        ),
    ],
)
def test_losses_of_centres(seed: int, line: str, peer: str, words: dict, margin: float) -> None:
    torch.manual_seed(seed)
    head = ours(line)
    theirs = getattr(peers, peer)(num_classes=SPEAKERS, embedding_size=DIM, scale=SCALE, **words)
    slopes = []
    theirs.W.data.copy_(head.centres.detach().T)
    xvectors = torch.randn(9, DIM)
    for of in (lambda x: head(x, LABELS, margin)[0].mean(), lambda x: theirs(x, LABELS)):
        x = xvectors.clone().requires_grad_()
        loss = of(x)
        loss.backward()
        slopes.append((loss.detach(), x.grad))
    torch.testing.assert_close(slopes[0], slopes[1], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("kind", ["cosine", "l2"])
def test_hard_triplets(seed: int, kind: str) -> None:
    torch.manual_seed(seed)
    xvectors = torch.randn(9, DIM)
    distance = distances.CosineSimilarity() if kind == "cosine" else distances.LpDistance()
    theirs = peers.TripletMarginLoss(margin=0.3, distance=distance, reducer=reducers.MeanReducer())
    mined = miners.BatchHardMiner(distance=distance)(xvectors, LABELS)
    found = ours(f"triplet mining=hard distance={kind} margin=0.3")(xvectors, LABELS, 0.0)[0].mean()
    torch.testing.assert_close(found, theirs(xvectors, LABELS, mined), rtol=1e-4, atol=1e-5)

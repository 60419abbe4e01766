"""Losses between the chunks of a batch, which is speakers by ``utterances_per_speaker`` chunks, a speaker's
side by side (``data.batches``). See losses.py.

Every chunk gets a loss, so that their mean is the paper's. x-vectors are brought to length 1 first, where not
said otherwise. The logits are likenesses to the batch's speakers, so accuracy is how often the own speaker is
the likest of those; -inf stands for speakers that the batch is without.
"""

from __future__ import annotations

import math
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .line import Ge2eWords, NoWords
from .options import TrainOptions

LEAST_DISTANCE = 1e-8  # squared: at 0 its root has no slope


class PairHead(nn.Module):
    """What the losses of this file have in common."""

    def __init__(self, xvector_dim: int, speakers: int, options: TrainOptions, words: Any) -> None:
        super().__init__()
        self.speakers, self.each = speakers, options.utterances_per_speaker
        self.words = words  # see line.py

    def grouped(self, xvectors: Tensor) -> Tensor:
        """``xvectors`` [batch, xvector] as [speakers of the batch, chunks of each, xvector] in 32 bits."""
        if len(xvectors) % self.each:
            raise ValueError(f"a batch of {len(xvectors)} chunks is no {self.each} of each speaker")
        return xvectors.float().unflatten(0, (-1, self.each))

    def spread(self, scores: Tensor, labels: Tensor) -> Tensor:
        """``scores`` [batch, speakers of the batch] as logits [batch, all speakers]."""
        wide = scores.new_full((len(scores), self.speakers), -math.inf)
        return wide.index_copy(1, labels[:: self.each], scores.detach())

    def nearest(self, distance: Tensor, labels: Tensor) -> Tensor:
        """Logits: minus the ``distance`` [batch, batch] to the nearest other chunk of each speaker."""
        itself = torch.eye(len(labels), dtype=torch.bool, device=labels.device)
        near = (-distance.detach()).masked_fill(itself, -math.inf)
        return self.spread(near.unflatten(1, (-1, self.each)).amax(dim=2), labels)

    def of_the_others(self, groups: Tensor) -> Tensor:
        """Mean of each speaker's other chunks, for every chunk: [speakers, chunks, xvector]."""
        return (groups.sum(dim=1, keepdim=True) - groups) / (self.each - 1)


def distances(xvectors: Tensor, kind: str) -> Tensor:
    """[batch, batch] of ``xvectors`` brought to length 1: 1 - cosine, or Euclidean for ``kind`` l2.

    A distance below 1e-4 counts as 1e-4 in l2 and has no slope.
    """
    unit = F.normalize(xvectors.float())
    off = 1 - unit @ unit.T
    return (2 * off).clamp(min=LEAST_DISTANCE).sqrt() if kind == "l2" else off


def positives(labels: Tensor) -> tuple[Tensor, Tensor]:
    """[batch, batch]: chunks of one speaker that are two chunks; chunks of two speakers."""
    same = labels.unsqueeze(1) == labels
    return same & ~torch.eye(len(labels), dtype=torch.bool, device=labels.device), ~same


class TripletHead(PairHead):
    """Another speaker's chunk must be farther than an own one by the margin (FaceNet: Schroff et al., CVPR
    2015, eq. 3). Every chunk is an anchor:

    - random: with each chunk of its own and one of others, drawn;
    - hard: with its farthest own and its nearest other (batch hard: Hermans et al., 2017, eq. 5);
    - semihard: with each chunk of its own, and the nearest other that is farther than that one (FaceNet,
      section 3.2); where none is farther, the farthest other.
    """

    def forward(self, xvectors: Tensor, labels: Tensor, margin: float = 0.0) -> tuple[Tensor, Tensor]:
        """Logits: minus the distance to the nearest other chunk. ``margin`` is of no use: see the words."""
        with torch.autocast(xvectors.device.type, enabled=False):
            self.grouped(xvectors)
            distance = distances(xvectors, self.words.distance)
            own, other = positives(labels)
            if self.words.mining == "hard":
                to_own = distance.masked_fill(~own, -math.inf).amax(dim=1, keepdim=True)
                to_other = distance.masked_fill(~other, math.inf).amin(dim=1, keepdim=True)
                return F.relu(to_own - to_other + self.words.margin)[:, 0], self.nearest(distance, labels)
            place = self.mined(distance.detach(), other)
            violated = F.relu(distance - distance.gather(1, place) + self.words.margin)
            losses = torch.where(own, violated, 0).sum(dim=1) / (self.each - 1)
            return losses, self.nearest(distance, labels)

    def mined(self, distance: Tensor, other: Tensor) -> Tensor:
        """For an anchor (row) and one of its own (column), the place of the other: [batch, batch]."""
        size, rivals = len(distance), len(distance) - self.each
        if self.words.mining == "random":
            rows = torch.arange(size, device=distance.device).unsqueeze(1)
            behind = torch.randint(rivals, (size, size), device=distance.device)
            return ((rows // self.each + 1) * self.each + behind) % size
        ranked, order = distance.masked_fill(~other, math.inf).sort(dim=1)
        beyond = torch.searchsorted(ranked, distance, right=True)
        return order.gather(1, beyond.clamp(max=rivals - 1))


class ContrastiveHead(PairHead):
    """d^2 / 2 of two chunks of one speaker, max(0, margin - d)^2 / 2 of two speakers' (Hadsell et al., CVPR
    2006, eq. 4), either kind of pair by its mean: a batch has many more of the second kind.

    Most of those are beyond the margin soon, and a mean over all of them hardly pushes any more. With mining
    hard a chunk is pushed away from its nearest other alone, as in batch hard triplets.
    """

    def forward(self, xvectors: Tensor, labels: Tensor, margin: float = 0.0) -> tuple[Tensor, Tensor]:
        """Logits: minus the distance to the nearest other chunk. ``margin`` is of no use: see the words."""
        with torch.autocast(xvectors.device.type, enabled=False):
            self.grouped(xvectors)
            distance = distances(xvectors, self.words.distance)
            own, other = positives(labels)
            together = torch.where(own, distance.square(), 0).sum(dim=1) / (self.each - 1)
            near = torch.where(other, F.relu(self.words.margin - distance).square(), 0)
            hard = self.words.mining == "hard"
            apart = near.amax(dim=1) if hard else near.sum(dim=1) / (len(labels) - self.each)
            return (together + apart) / 2, self.nearest(distance, labels)


class PrototypicalHead(PairHead):
    """Cross-entropy over minus the squared distances to the batch's prototypes (Snell et al., NIPS 2017,
    eq. 2), times the words' scale, of x-vectors as they are.

    For speakers one chunk is the query and the mean of the others the prototype (Chung et al., Interspeech
    2020, section 2.2). Each chunk is the query once, all speakers' first ones together, then the second ones.
    """

    def scores(self, queries: Tensor, prototypes: Tensor) -> Tensor:
        """[chunks, speakers, xvector] twice, a turn a row -> [chunks, speakers, speakers]."""
        squared = (queries.unsqueeze(2) - prototypes.unsqueeze(1)).square().sum(dim=3)
        return -self.words.scale * squared

    def forward(self, xvectors: Tensor, labels: Tensor, margin: float = 0.0) -> tuple[Tensor, Tensor]:
        """Logits: what stands in the cross-entropy. ``margin`` is of no use here."""
        with torch.autocast(xvectors.device.type, enabled=False):
            groups = self.grouped(xvectors)
            turns = self.scores(groups.transpose(0, 1), self.of_the_others(groups).transpose(0, 1))
            scores = turns.transpose(0, 1).flatten(0, 1)
            own = torch.arange(len(groups), device=labels.device).repeat_interleave(self.each)
            return F.cross_entropy(scores, own, reduction="none"), self.spread(scores, labels)


class AngularPrototypicalHead(PrototypicalHead):
    """The same over w cos + b with w above 0, both learned (Chung et al., 2020, eq. 7 and 8)."""

    def __init__(self, xvector_dim: int, speakers: int, options: TrainOptions, words: NoWords) -> None:
        super().__init__(xvector_dim, speakers, options, words)
        self.slope, self.offset = nn.Parameter(torch.tensor(10.0)), nn.Parameter(torch.tensor(-5.0))

    def scores(self, queries: Tensor, prototypes: Tensor) -> Tensor:
        cosine = F.normalize(queries, dim=2) @ F.normalize(prototypes, dim=2).transpose(1, 2)
        return self.slope.clamp(min=1e-6) * cosine + self.offset


class Ge2eHead(PairHead):
    """Generalised end-to-end loss (Wan et al., ICASSP 2018): w cos + b between every chunk and every
    speaker's centroid, from which the chunk itself is left out if it is the own one (eq. 5, 8 and 9).

    softmax: cross-entropy (eq. 6); contrast: 1 - sigmoid(own) + the largest sigmoid of the others (eq. 7).
    """

    def __init__(self, xvector_dim: int, speakers: int, options: TrainOptions, words: Ge2eWords) -> None:
        super().__init__(xvector_dim, speakers, options, words)
        self.slope, self.offset = nn.Parameter(torch.tensor(10.0)), nn.Parameter(torch.tensor(-5.0))

    def forward(self, xvectors: Tensor, labels: Tensor, margin: float = 0.0) -> tuple[Tensor, Tensor]:
        """Logits: w cos + b. ``margin`` is of no use here."""
        with torch.autocast(xvectors.device.type, enabled=False):
            groups = self.grouped(F.normalize(xvectors.float()))
            centroids = F.normalize(groups.mean(dim=1))
            to_own = (groups * F.normalize(self.of_the_others(groups), dim=2)).sum(dim=2)
            cosine = (groups @ centroids.T).flatten(0, 1)  # [batch, speakers of the batch]
            place = torch.arange(len(groups), device=labels.device).repeat_interleave(self.each)
            own = place.unsqueeze(1) == torch.arange(len(groups), device=labels.device)
            cosine = torch.where(own, to_own.flatten().unsqueeze(1), cosine)
            scores = self.slope.clamp(min=1e-6) * cosine + self.offset
            if self.words.method == "softmax":
                losses = F.cross_entropy(scores, place, reduction="none")
            else:
                chances = torch.sigmoid(scores)
                rival = chances.masked_fill(own, 0).amax(dim=1)
                losses = 1 - torch.where(own, chances, 0).sum(dim=1) + rival
            return losses, self.spread(scores, labels)

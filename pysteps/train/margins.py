"""Losses over all training speakers: softmax and what makes the own speaker harder. See losses.py.

Where a margin moves an angle beyond 0 or pi, the cosine would turn round; there a straight line goes on.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .line import AamWords, ASoftmaxWords, NoWords, SphereFace2Words
from .options import TrainOptions

NO_WORDS = NoWords()
LEAST_SINE = 1e-9  # squared: at 0 its root has no slope


def cosines(xvectors: Tensor, centres: Tensor) -> Tensor:
    """Cosines [batch, centres] between ``xvectors`` [batch, xvector] and ``centres``, in 32 bits."""
    return F.linear(F.normalize(xvectors.float()), F.normalize(centres.float()))


def farther(cosine: Tensor, angle: float) -> Tensor:
    """cos(a + ``angle``) of cos(a); beyond a = pi - angle, cos(a) - angle * sin(angle), as ArcFace's code."""
    sine = (1 - cosine.square()).clamp(min=LEAST_SINE).sqrt()
    moved = cosine * math.cos(angle) - sine * math.sin(angle)
    return torch.where(cosine > -math.cos(angle), moved, cosine - angle * math.sin(angle))


def nearer(cosine: Tensor, angle: float) -> Tensor:
    """cos(a - ``angle``) of cos(a): ``farther`` in the mirror, so it rises towards a = 0, too."""
    return -farther(-cosine, angle)


def own_speaker(labels: Tensor, speakers: int) -> Tensor:
    """[batch, speakers], true at each chunk's speaker."""
    return labels.unsqueeze(1) == torch.arange(speakers, device=labels.device)


def new_centres(speakers: int, xvector_dim: int) -> nn.Parameter:
    """Centres [speakers, xvector], drawn."""
    return nn.Parameter(nn.init.xavier_uniform_(torch.empty(speakers, xvector_dim)))


class SoftmaxHead(nn.Module):
    """Cross-entropy over the training speakers.

    With ``hidden_dim`` the rest of the x-vector TDNN stands before the output, as in Kaldi (Snyder et
    al., 2018, Table 1): ReLU and normalisation of segment 6, then the whole of segment 7.
    """

    def __init__(
        self, xvector_dim: int, speakers: int, options: TrainOptions, words: NoWords = NO_WORDS
    ) -> None:
        super().__init__()
        self.segments = nn.Sequential()
        if options.hidden_dim:
            self.segments = nn.Sequential(
                nn.ReLU(),
                nn.BatchNorm1d(xvector_dim),
                nn.Linear(xvector_dim, options.hidden_dim),
                nn.ReLU(),
                nn.BatchNorm1d(options.hidden_dim),
            )
        self.output = nn.Linear(options.hidden_dim or xvector_dim, speakers)

    def forward(self, xvectors: Tensor, labels: Tensor, margin: float = 0.0) -> tuple[Tensor, Tensor]:
        """``margin`` is of no use here."""
        with torch.autocast(xvectors.device.type, enabled=False):
            logits = self.output(self.segments(xvectors.float()))
            return F.cross_entropy(logits, labels, reduction="none"), logits


class ASoftmaxHead(nn.Module):
    """Angular softmax (SphereFace, Liu et al., CVPR 2017, eq. 7): cos(a) of the own speaker becomes
    psi(a) = (-1)^k cos(m a) - 2 k on [k pi / m, (k + 1) pi / m]; cosines are multiplied with the x-vector's
    length.

    It is not trained with all of psi: the authors mix it with cos(a) as (lambda cos(a) + psi(a)) /
    (1 + lambda) for a lambda that falls to 5. ``margin`` is psi's share 1 / (1 + lambda): 0.167 for 5.
    """

    def __init__(
        self,
        xvector_dim: int,
        speakers: int,
        options: TrainOptions,
        words: ASoftmaxWords = ASoftmaxWords(),  # noqa: B008  frozen
    ) -> None:
        super().__init__()
        self.times = words.times
        self.centres = new_centres(speakers, xvector_dim)

    def psi(self, cosine: Tensor) -> Tensor:
        """psi(a) of cos(a)."""
        with torch.no_grad():
            turns = (self.times / math.pi * cosine.clamp(-1, 1).acos()).floor()
        before, multiple = torch.ones_like(cosine), cosine  # cos(0 a), cos(1 a)
        for _ in range(self.times - 1):
            before, multiple = multiple, 2 * cosine * multiple - before
        return (1 - 2 * (turns % 2)) * multiple - 2 * turns

    def forward(self, xvectors: Tensor, labels: Tensor, margin: float = 0.0) -> tuple[Tensor, Tensor]:
        """The logits are without the margin, as in all heads of this file."""
        with torch.autocast(xvectors.device.type, enabled=False):
            cosine = cosines(xvectors, self.centres)
            length = torch.linalg.vector_norm(xvectors.float(), dim=1, keepdim=True)
            own = own_speaker(labels, len(self.centres))
            harder = torch.where(own, cosine + margin * (self.psi(cosine) - cosine), cosine)
            return F.cross_entropy(length * harder, labels, reduction="none"), length * cosine


class AmHead(nn.Module):
    """Additive margin softmax (Wang et al., 2018, eq. 5 to 7; CosFace): own speaker's cos(a) - margin."""

    def __init__(
        self, xvector_dim: int, speakers: int, options: TrainOptions, words: NoWords = NO_WORDS
    ) -> None:
        super().__init__()
        self.scale = options.scale
        self.centres = new_centres(speakers, xvector_dim)

    def forward(self, xvectors: Tensor, labels: Tensor, margin: float = 0.0) -> tuple[Tensor, Tensor]:
        """Logits: scaled cosines."""
        with torch.autocast(xvectors.device.type, enabled=False):
            cosine = cosines(xvectors, self.centres)
            harder = torch.where(own_speaker(labels, len(self.centres)), cosine - margin, cosine)
            return F.cross_entropy(self.scale * harder, labels, reduction="none"), self.scale * cosine


class AamHead(nn.Module):
    """Additive angular margin softmax (ArcFace, Deng et al., CVPR 2019, eq. 3), without easy margin.

    The own speaker's cosine cos(a) becomes cos(a + margin). With ``subcentres`` a speaker has several centres
    and the nearest one counts (Deng et al., ECCV 2020, eq. 3). With ``top``, the cosines of so many nearest
    other speakers become cos(a - penalty) (inter-top-K: Zhao et al., 2021, arXiv:2110.05042, section 2.2);
    the penalty has its full size with the full margin, and the same share of it before.
    """

    def __init__(
        self,
        xvector_dim: int,
        speakers: int,
        options: TrainOptions,
        words: AamWords = AamWords(),  # noqa: B008  frozen
    ) -> None:
        super().__init__()
        self.scale, self.speakers, self.subcentres = options.scale, speakers, words.subcentres
        self.top = min(words.top, speakers - 1)
        self.penalty = words.penalty / options.margin if options.margin else 0.0  # a radian of margin
        self.centres = new_centres(speakers * words.subcentres, xvector_dim)

    def forward(self, xvectors: Tensor, labels: Tensor, margin: float = 0.0) -> tuple[Tensor, Tensor]:
        """Logits: scaled cosines with the nearest sub-centre."""
        with torch.autocast(xvectors.device.type, enabled=False):
            cosine = cosines(xvectors, self.centres)
            if self.subcentres > 1:
                cosine = cosine.unflatten(1, (self.speakers, self.subcentres)).amax(dim=2)
            own = own_speaker(labels, self.speakers)
            others = cosine
            if self.top:
                rivals = cosine.detach().masked_fill(own, -math.inf)
                hardest = rivals >= rivals.topk(self.top).values[:, -1:]
                others = torch.where(hardest, nearer(cosine, self.penalty * margin), cosine)
            with_margin = self.scale * torch.where(own, farther(cosine, margin), others)
            return F.cross_entropy(with_margin, labels, reduction="none"), self.scale * cosine


class SphereFace2Head(nn.Module):
    """One yes or no a speaker (SphereFace2: Wen et al., ICLR 2022; for speakers Han et al., ICASSP 2023).

    With g(z) = 2 ((z + 1) / 2)^t - 1, scale s and a learned bias b, type C has the logits s (g(cos a) -
    margin) + b of the own speaker and s (g(cos a) + margin) + b of the others; type A has s g(cos(a +
    margin)) + b and s g(cos(a - margin)) + b. The loss is share * softplus(-own) + (1 - share) * sum of
    softplus(others). WeSpeaker's published recipes have no factor 1 / s before that, and neither has this.
    """

    def __init__(
        self,
        xvector_dim: int,
        speakers: int,
        options: TrainOptions,
        words: SphereFace2Words = SphereFace2Words(),  # noqa: B008  frozen
    ) -> None:
        super().__init__()
        self.scale, self.words = options.scale, words
        self.centres = new_centres(speakers, xvector_dim)
        self.bias = nn.Parameter(torch.zeros(()))

    def bent(self, cosine: Tensor) -> Tensor:
        """g(cosine)."""
        return 2 * ((cosine + 1) / 2).clamp(min=0).pow(self.words.power) - 1

    def forward(self, xvectors: Tensor, labels: Tensor, margin: float = 0.0) -> tuple[Tensor, Tensor]:
        """Logits: scaled cosines."""
        share = self.words.share
        with torch.autocast(xvectors.device.type, enabled=False):
            cosine = cosines(xvectors, self.centres)
            if self.words.type == "A":
                own, other = self.bent(farther(cosine, margin)), self.bent(nearer(cosine, margin))
            else:
                own, other = self.bent(cosine) - margin, self.bent(cosine) + margin
            yes = share * F.softplus(-self.scale * own - self.bias)
            no = (1 - share) * F.softplus(self.scale * other + self.bias)
            losses = torch.where(own_speaker(labels, len(self.centres)), yes, no).sum(dim=1)
            return losses, self.scale * cosine

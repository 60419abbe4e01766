"""Losses: numbers worked out by hand, others' numbers, slopes in the corners."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from pysteps.train.line import LOSSES, TripletWords, parse_loss
from pysteps.train.losses import build_head, judges_alone
from pysteps.train.margins import farther, nearer
from pysteps.train.metric import TripletHead
from pysteps.train.options import TrainOptions

EVERY = [
    "aam", "aam subcentres=2 top=2", "am", "aproto", "asoftmax", "contrastive", "contrastive distance=cosine",
    "contrastive mining=hard",
    "ge2e", "ge2e method=contrast", "proto", "proto scale=0.1",
    "softmax", "softmax + center", "softmax + ring",
    "sphereface2 type=A", "sphereface2 type=C", "triplet", "triplet distance=l2",
    "triplet mining=hard", "triplet mining=hard distance=l2", "triplet mining=random",
    "aam + 0.5 triplet + 0.003 center + 0.01 ring",
]  # fmt: skip


def options(line: str, each: int = 2, **rest: Any) -> TrainOptions:
    return TrainOptions(loss=line, batch_size=12, utterances_per_speaker=each, **rest)


def head(line: str, dim: int = 3, speakers: int = 4, each: int = 2, **rest: Any) -> nn.Module:
    torch.manual_seed(5)
    return build_head(line, dim, speakers, options(line, each, **rest))


def circle(*angles: float, length: float = 1.0) -> Tensor:
    return length * torch.tensor([[math.cos(angle), math.sin(angle)] for angle in angles])


@torch.no_grad()
def losses(line: str, xvectors: Tensor, labels: list[int], margin: float = 0.0, **rest: Any) -> list[float]:
    """Of xvectors [batch, 2]; centres at angle 0 (length 3) and at pi / 2 (length 1/2)."""
    made = head(line, 2, 2, **rest)
    for name, parameter in made.named_parameters():
        if name == "centres":
            parameter.copy_(torch.tensor([[3.0, 0.0], [0.0, 0.5]]))
    return made(xvectors, torch.tensor(labels), margin)[0].tolist()


def softplus(value: float) -> float:
    return math.log1p(math.exp(value))


# --- by hand: one speaker's centre in front, the other's at a right angle


def test_am_takes_the_margin_from_the_cosine() -> None:
    (loss,) = losses("am", circle(0.5, length=7), [0], 0.2, scale=10)
    assert loss == pytest.approx(softplus(10 * math.sin(0.5) - 10 * (math.cos(0.5) - 0.2)), rel=1e-5)


@pytest.mark.parametrize(
    ("times", "angle", "psi"),
    [
        (1, 0.7, math.cos(0.7)),
        (2, 0.5, math.cos(1.0)),
        (2, 2.0, -math.cos(4.0) - 2),
        (4, 0.5, math.cos(2.0)),
        (4, 1.0, -math.cos(4.0) - 2),
        (4, 3.0, -math.cos(12.0) - 6),
        (3, 3.0, math.cos(9.0) - 4),
    ],
)
def test_asoftmax_multiplies_the_own_angle(times: int, angle: float, psi: float) -> None:
    (loss,) = losses(f"asoftmax times={times}", circle(angle, length=2), [0], 1.0)
    assert loss == pytest.approx(softplus(2 * math.sin(angle) - 2 * psi), rel=1e-5)


def test_asoftmax_is_mixed_with_the_cosine_by_the_margin() -> None:
    (loss,) = losses("asoftmax", circle(0.5, length=2), [0], 0.25)
    mixed = (3 * math.cos(0.5) + math.cos(2.0)) / 4  # lambda 3: a share of 1 / 4
    assert loss == pytest.approx(softplus(2 * math.sin(0.5) - 2 * mixed), rel=1e-5)


def test_psi_falls_from_0_to_pi() -> None:
    falling = head("asoftmax times=4").psi(torch.linspace(0, math.pi, 500).cos())
    assert float(falling[0]) == pytest.approx(1) and float(falling[-1]) == pytest.approx(-7)
    assert bool((falling.diff() < 0).all())


@pytest.mark.parametrize("angle", [0.0, 0.1, 0.3, 1.5, 2.9, math.pi])
def test_a_moved_angle_never_turns_round(angle: float) -> None:
    cosine = torch.tensor(angle).cos()
    expected = math.cos(angle + 0.2) if angle + 0.2 < math.pi else math.cos(angle) - 0.2 * math.sin(0.2)
    assert float(farther(cosine, 0.2)) == pytest.approx(expected, abs=1e-5)
    expected = math.cos(angle - 0.2) if angle > 0.2 else math.cos(angle) + 0.2 * math.sin(0.2)
    assert float(nearer(cosine, 0.2)) == pytest.approx(expected, abs=1e-5)


@torch.no_grad()
def test_the_nearest_subcentre_counts() -> None:
    made = head("aam subcentres=2", 2, 2, scale=10)
    made.centres.copy_(circle(1.0, 0.0, 2.0, 2.5))  # two of each speaker
    loss, logits = made(circle(0.4), torch.tensor([0]), 0.2)
    assert logits[0].tolist() == pytest.approx([10 * math.cos(0.4), 10 * math.cos(1.6)], abs=1e-5)
    assert float(loss) == pytest.approx(softplus(10 * math.cos(1.6) - 10 * math.cos(0.6)), rel=1e-3)


@pytest.mark.parametrize("share", [1.0, 0.5])
@torch.no_grad()
def test_the_nearest_others_come_nearer(share: float) -> None:
    made = head("aam top=2 penalty=0.1", 2, 4, scale=10, margin=0.2)
    made.centres.copy_(circle(0.0, 0.5, 1.5, 1.0))
    loss, _ = made(circle(0.0), torch.tensor([0]), 0.2 * share)
    shown = [math.cos(0.2 * share), math.cos(0.5 - 0.1 * share), math.cos(1.5), math.cos(1.0 - 0.1 * share)]
    sums = sum(math.exp(10 * cosine) for cosine in shown)
    assert float(loss) == pytest.approx(math.log(sums) - 10 * shown[0], rel=1e-4)


def test_more_top_speakers_than_there_are() -> None:
    assert head("aam top=50", 2, 2).top == 1
    assert head("aam top=5", 2, 1)(circle(1.0), torch.tensor([0]), 0.2)[0].tolist() == [0]


def bent(cosine: float) -> float:
    return 2 * ((cosine + 1) / 2) ** 3 - 1


def test_sphereface2_type_c() -> None:
    (loss,) = losses("sphereface2", circle(0.5), [0], 0.2, scale=10)
    own, other = bent(math.cos(0.5)) - 0.2, bent(math.sin(0.5)) + 0.2
    assert loss == pytest.approx(0.7 * softplus(-10 * own) + 0.3 * softplus(10 * other), rel=1e-5)


def test_sphereface2_type_a_with_other_words() -> None:
    (loss,) = losses("sphereface2 type=A share=0.6 power=1", circle(0.5), [0], 0.2, scale=10)
    own, other = math.cos(0.7), math.cos(math.pi / 2 - 0.5 - 0.2)
    assert loss == pytest.approx(0.6 * softplus(-10 * own) + 0.4 * softplus(10 * other), rel=1e-5)


# --- by hand: beside another


def test_center_pulls_and_the_centres_follow() -> None:
    made = head("am + center rate=0.5", 2, 3).heads[1].train()
    xvectors = torch.tensor([[3.0, 0.0], [1.0, 4.0], [0.0, 2.0]])
    loss, logits = made(xvectors, torch.tensor([2, 2, 0]), 0.2)
    assert loss.tolist() == pytest.approx([4.5, 8.5, 2]) and logits.shape == (3, 0)
    # Speaker 2: half of (3 + 1, 0 + 4) / (1 + 2); speaker 0: half of (0, 2) / (1 + 1); speaker 1 stays.
    assert made.centres.flatten().tolist() == pytest.approx([0, 0.5, 0, 0, 2 / 3, 2 / 3])
    made.eval()(xvectors, torch.tensor([2, 2, 0]))
    assert made.centres[0].tolist() == [0, 0.5]
    assert not list(made.parameters()) and list(made.state_dict()) == ["centres"]


def test_ring_learns_the_length() -> None:
    made = head("am + ring", 4, 3).heads[1]
    assert made.radius.tolist() == 2
    loss, _ = made(torch.tensor([[3.0, 4.0, 0.0, 0.0], [0.0, 0.0, 1.0, 0.0]]), torch.tensor([0, 1]))
    assert loss.tolist() == pytest.approx([4.5, 0.5])
    loss.mean().backward()
    assert float(made.radius.grad) == pytest.approx((-3 + 1) / 2)


# --- by hand: between chunks. Two speakers of two chunks, on a circle.

PLACES = circle(0.0, 0.6, 1.0, 2.0, length=3)
LABELS = [1, 1, 0, 0]


def gap(first: float, second: float, kind: str = "cosine") -> float:
    return 1 - math.cos(first - second) if kind == "cosine" else 2 * abs(math.sin((first - second) / 2))


@pytest.mark.parametrize("kind", ["cosine", "l2"])
def test_triplet_hard(kind: str) -> None:
    found = losses(f"triplet mining=hard distance={kind} margin=0.3", PLACES, LABELS)
    triplets = [(0.0, 0.6, 1.0), (0.6, 0.0, 1.0), (1.0, 2.0, 0.6), (2.0, 1.0, 0.6)]
    expected = [max(0, gap(a, p, kind) - gap(a, n, kind) + 0.3) for a, p, n in triplets]
    assert found == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("kind", ["cosine", "l2"])
def test_triplet_semihard_takes_the_nearest_beyond_or_else_the_farthest(kind: str) -> None:
    found = losses(f"triplet distance={kind} margin=0.3", PLACES, LABELS)
    # 0.6 is 0.6 from its own: 1.0 is nearer than that, so 2.0. 1.0 is as far from 2.0 as from 0.0: see below.
    triplets = [(0.0, 0.6, 1.0), (0.6, 0.0, 2.0), (2.0, 1.0, 0.6)]
    expected = [max(0, gap(a, p, kind) - gap(a, n, kind) + 0.3) for a, p, n in triplets]
    assert [found[0], found[1], found[3]] == pytest.approx(expected, abs=1e-6)


def test_triplet_semihard_without_one_beyond() -> None:
    found = losses("triplet margin=0.3", circle(0.1, 0.6, 1.0, 2.0), LABELS)
    assert found[2] == pytest.approx(gap(1.0, 2.0) - gap(1.0, 0.1) + 0.3, abs=1e-6)


def test_triplet_random_draws_all_others_and_nothing_else() -> None:
    made = TripletHead(2, 3, options("triplet", 2), TripletWords(mining="random"))
    labels = torch.tensor([2, 2, 0, 0, 1, 1])
    other = labels.unsqueeze(1) != labels
    torch.manual_seed(1)
    drawn = torch.stack([made.mined(torch.zeros(6, 6), other) for _ in range(50)])
    for row in range(6):
        assert set(drawn[:, row].flatten().tolist()) == set(other[row].nonzero().flatten().tolist())
    torch.manual_seed(1)
    assert torch.equal(made.mined(torch.zeros(6, 6), other), drawn[0])


def test_contrastive() -> None:
    found = losses("contrastive margin=1.2", PLACES, LABELS)
    for place, angle, own, others in ((0, 0.0, 0.6, (1.0, 2.0)), (2, 1.0, 2.0, (0.0, 0.6))):
        apart = [max(0, 1.2 - gap(angle, other, "l2")) ** 2 / 2 for other in others]
        assert found[place] == pytest.approx(gap(angle, own, "l2") ** 2 / 2 + sum(apart) / 2, rel=1e-5)


def test_contrastive_of_cosines() -> None:
    found = losses("contrastive distance=cosine margin=0.9", PLACES, LABELS)
    for place, own, others in ((0, 0.6, (1.0, 2.0)), (2, 1.0, (1.0, 0.4))):  # angles between them
        apart = [max(0, 0.9 - (1 - math.cos(angle))) ** 2 / 2 for angle in others]
        assert found[place] == pytest.approx((1 - math.cos(own)) ** 2 / 2 + sum(apart) / 2, rel=1e-5)


def test_contrastive_hard_pushes_from_the_nearest_other_alone() -> None:
    found = losses("contrastive distance=cosine margin=0.9 mining=hard", PLACES, LABELS)
    # The nearest others of 0.0, 0.6, 1.0 and 2.0 lie 1.0, 0.4, 0.4 and 1.4 away: 1 - cos 1.4 = 0.83.
    for place, (own, other) in enumerate([(0.6, 1.0), (0.6, 0.4), (1.0, 0.4), (1.0, 1.4)]):
        apart = (0.9 - (1 - math.cos(other))) ** 2 / 2
        assert found[place] == pytest.approx((1 - math.cos(own)) ** 2 / 2 + apart, rel=1e-5)
    (far, *_) = losses("contrastive distance=cosine margin=0.3 mining=hard", PLACES, LABELS)
    assert far == pytest.approx((1 - math.cos(0.6)) ** 2 / 2, rel=1e-5)  # 1 - cos 1.0 = 0.46: too far


def test_prototypical() -> None:
    # Three chunks each: a query and the mean of the other two, on a line.
    line = torch.tensor([[0.0, 0.0], [1.0, 0.0], [2.0, 0.0], [3.0, 0.0], [4.0, 0.0], [8.0, 0.0]])
    found = losses("proto", line, [0, 0, 0, 1, 1, 1], each=3)
    assert found[0] == pytest.approx(softplus(-(6.0**2) + 1.5**2))  # others at 1.5, (4 + 8) / 2
    assert found[4] == pytest.approx(softplus(-(3.0**2) + 1.5**2), rel=1e-4)  # others at 5.5, (0 + 2) / 2
    scaled = losses("proto scale=0.1", line, [0, 0, 0, 1, 1, 1], each=3)
    assert scaled[0] == pytest.approx(softplus(0.1 * (-(6.0**2) + 1.5**2)), rel=1e-5)


def test_angular_prototypical() -> None:
    found = losses("aproto", PLACES, LABELS)
    # The first chunks are queries together, then the second ones.
    assert found[0] == pytest.approx(softplus(10 * math.cos(2.0) - 10 * math.cos(0.6)), abs=1e-7)
    assert found[3] == pytest.approx(softplus(10 * math.cos(2.0) - 10 * math.cos(1.0)), abs=1e-7)


def test_ge2e() -> None:
    # A centroid of two chunks of one length is between them: 0.3 and 1.5. The own one is the other chunk.
    own, other = 10 * math.cos(0.6) - 5, 10 * math.cos(1.5) - 5
    assert losses("ge2e", PLACES, LABELS)[0] == pytest.approx(softplus(other - own), rel=1e-4)
    sigmoid = [1 / (1 + math.exp(-value)) for value in (own, other)]
    found = losses("ge2e method=contrast", PLACES, LABELS)
    assert found[0] == pytest.approx(1 - sigmoid[0] + sigmoid[1], rel=1e-5)


def test_a_sum_is_weighted_and_judges_by_the_part_that_can() -> None:
    made = head("0.5 triplet + 2 am + 0.1 ring", speakers=3)
    xvectors, labels = torch.randn(6, 3), torch.tensor([2, 2, 0, 0, 1, 1])
    triplet, am, ring = (part(xvectors, labels, 0.2) for part in made.heads)
    found, logits = made.train()(xvectors, labels, 0.2)
    torch.testing.assert_close(found, 0.5 * triplet[0] + 2 * am[0] + 0.1 * ring[0])
    assert torch.equal(logits, am[1])
    # Held-out chunks are one a speaker: the triplets do not count.
    am, ring = (part(xvectors[:1], labels[:1], 0.0) for part in made.heads[1:])
    torch.testing.assert_close(made.eval()(xvectors[:1], labels[:1], 0.0)[0], 2 * am[0] + 0.1 * ring[0])
    assert judges_alone("0.5 triplet + 2 am") and not judges_alone("ge2e + ring")


# --- others' numbers, for the vectors below; scale 8, margin 0.2


@pytest.mark.parametrize(
    ("line", "number", "margin"),
    [
        # pytorch-metric-learning 2.9.0: ArcFaceLoss, CosFaceLoss, SubCenterArcFaceLoss, SphereFaceLoss
        ("aam", 4.128258, 0.2),
        ("am", 4.150343, 0.2),
        ("aam subcentres=3", 4.470797, 0.2),
        ("asoftmax times=2", 3.825605, 1.0),
        ("asoftmax times=3", 6.335991, 1.0),
        ("asoftmax times=4", 8.851828, 1.0),
        # the same: TripletMarginLoss behind a BatchHardMiner, MeanReducer, CosineSimilarity or LpDistance
        ("triplet distance=cosine mining=hard", 2.158569, 0.2),
        ("triplet distance=l2 mining=hard", 1.940190, 0.2),
        # WeSpeaker dfa7419, models/projections.py: SphereFace2, ArcMarginProduct_intertopk_subcenter
        ("sphereface2 type=C", 5.343246, 0.2),
        ("sphereface2 type=A", 4.955360, 0.2),
        ("aam subcentres=2 top=2 penalty=0.06", 4.020176, 0.2),
    ],
)
@torch.no_grad()
def test_the_numbers_of_others(line: str, number: float, margin: float) -> None:
    made = head(line, scale=8)
    xvectors = 2 * torch.sin(1 + 3.0 * torch.arange(6).unsqueeze(1) + 5 * torch.arange(3))
    if hasattr(made, "centres"):
        rows = torch.arange(len(made.centres)).unsqueeze(1)
        made.centres.copy_(torch.cos(2 * rows + 3.0 * torch.arange(3)))
    found, _ = made(xvectors, torch.tensor([3, 3, 0, 0, 2, 2]), margin)
    assert float(found.mean()) == pytest.approx(number, rel=2e-6)


@pytest.mark.parametrize(("kind", "number"), [("cosine", 1.195316), ("l2", 1.041963)])
def test_random_triplets_are_all_triplets_in_the_mean(kind: str, number: float) -> None:
    # pytorch-metric-learning 2.9.0: TripletMarginLoss of all triplets, MeanReducer
    made = head(f"triplet mining=random distance={kind}")
    xvectors = 2 * torch.sin(1 + 3.0 * torch.arange(6).unsqueeze(1) + 5 * torch.arange(3))
    means = [float(made.eval()(xvectors, torch.tensor([3, 3, 0, 0, 2, 2]))[0].mean()) for _ in range(1000)]
    assert sum(means) / len(means) == pytest.approx(number, rel=0.02)


# --- what is true of every one


def corners() -> dict[str, Tensor]:
    one = torch.tensor([1.0, 2.0, -1.0])
    return {
        "identical": one.repeat(6, 1),
        "opposite": torch.stack([one, -one] * 3),
        "long": 1e4 * torch.randn(6, 3),
        "short": 1e-4 * torch.randn(6, 3),
    }


@pytest.mark.parametrize("line", EVERY)
def test_slopes_are_finite_in_the_corners(line: str) -> None:
    for name, xvectors in corners().items():
        made = head(line).train()
        parameters = dict(made.named_parameters())
        if "centres" in parameters:  # angle 0 and pi to centres, all centres alike
            parameters["centres"].data = corners()["opposite"][0] * torch.tensor([[1.0], [-2.0]]).repeat(
                len(parameters["centres"]) // 2, 1
            )
        xvectors = xvectors.clone().requires_grad_()
        found, _ = made(xvectors, torch.tensor([3, 3, 0, 0, 2, 2]), 0.2)
        found.mean().backward()
        assert bool(torch.isfinite(found).all()), name
        for tensor in (xvectors, *parameters.values()):
            assert tensor.grad is not None and bool(torch.isfinite(tensor.grad).all()), name


@pytest.mark.parametrize("line", EVERY)
def test_losses_and_logits_in_32_bits_whatever_comes(line: str) -> None:
    made, labels = head(line).train(), torch.tensor([3, 3, 0, 0, 2, 2])
    with torch.autocast("cpu", torch.bfloat16):
        found, logits = made(torch.randn(6, 3).bfloat16(), labels, 0.2)
    assert found.shape == (6,) and logits.shape == (6, 4)
    assert found.dtype == logits.dtype == torch.float32 and bool(torch.isfinite(found).all())


@pytest.mark.parametrize("line", [line for line in EVERY if "+" not in line])
def test_every_loss_learns_to_tell_three_speakers_apart(line: str) -> None:
    made, labels = head(line, 8, scale=8).train(), torch.tensor([3, 3, 0, 0, 2, 2])
    torch.manual_seed(2)
    xvectors = torch.randn(6, 8).requires_grad_()
    optimiser = torch.optim.Adam([xvectors, *made.parameters()], 0.05)
    for _ in range(100):
        optimiser.zero_grad()
        found, logits = made(xvectors, labels, 0.1)
        found.mean().backward()
        optimiser.step()
    assert logits.argmax(1).tolist() == labels.tolist()


def test_speakers_that_a_batch_is_without_are_not_chosen() -> None:
    _, logits = head("ge2e")(torch.randn(6, 3), torch.tensor([3, 3, 0, 0, 2, 2]))
    assert torch.isinf(logits).tolist() == [[False, True, False, False]] * 6


def test_a_batch_that_is_no_speakers_by_chunks_is_refused() -> None:
    for line in ("proto", "triplet", "contrastive", "ge2e"):
        with pytest.raises(ValueError, match="a batch of 5 chunks is no 2 of each speaker"):
            head(line)(torch.randn(5, 3), torch.tensor([0, 0, 1, 1, 2]))


def test_every_loss_is_tried_here() -> None:
    assert {term.name for line in EVERY for term in parse_loss(line)} == set(LOSSES.names())

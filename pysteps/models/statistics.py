"""Mean and variance over time under a softmax of scores: what every pooling here comes down to.

With m = sum_t w_t x_t, v = sum_t w_t (x_t - m)^2 and w = softmax(s), the slopes are

    dm/dx_t = w_t            dv/dx_t = 2 w_t (x_t - m)
    dm/ds_t = w_t (x_t - m)  dv/ds_t = w_t ((x_t - m)^2 - v)

and they are written out here because this is the most expensive place of a small network on a CPU:
frames and scores are the widest tensors there are, and automatic differentiation walks through memory
for each of its twenty-odd operations. In blocks of few utterances all of them happen in the cache, and
nothing is kept for the way back but frames and scores, in whatever precision they came.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

BLOCK_BYTES = 2 << 20  # of one operand; several are in use at once, and cores have megabytes of cache


def statistics(frames: Tensor, scores: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and variance [batch, channels] in 32 bits, under weights that are softmax(scores) over time.

    ``frames`` [batch, time, channels]; ``scores`` [batch, time, channels or 1].
    """
    if torch.is_grad_enabled() and frames.requires_grad:
        return _Statistics.apply(frames, scores)
    return _forward(frames, scores)


def _forward(frames: Tensor, scores: Tensor) -> tuple[Tensor, Tensor]:
    frames, weights = frames.float(), scores.float().softmax(dim=1)
    mean = (weights * frames).sum(dim=1)
    variance = (frames - mean.unsqueeze(1)).square().mul_(weights).sum(dim=1)
    return mean, variance


def _block(frames: Tensor) -> int:
    if frames.device.type != "cpu":
        return max(1, len(frames))
    return max(1, BLOCK_BYTES // (4 * frames[0].numel()))


class _Statistics(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, frames: Tensor, scores: Tensor) -> tuple[Tensor, Tensor]:
        size = _block(frames)
        parts = [_forward(*part) for part in zip(frames.split(size), scores.split(size), strict=True)]
        mean, variance = (torch.cat(part) for part in zip(*parts, strict=True))
        ctx.save_for_backward(frames, scores, mean, variance)
        return mean, variance

    @staticmethod
    def backward(ctx: Any, *slopes: Tensor) -> tuple[Tensor, Tensor | None]:
        frames, scores, _, _ = ctx.saved_tensors
        size = _block(frames)
        of_frames = torch.empty_like(frames)
        of_scores = torch.empty_like(scores) if ctx.needs_input_grad[1] else None
        outputs = (of_frames, scores if of_scores is None else of_scores)
        for x, s, m, v, dm, dv, dx, ds in zip(
            *(tensor.split(size) for tensor in (*ctx.saved_tensors, *slopes, *outputs)), strict=True
        ):
            m, v, dm, dv = (vector.unsqueeze(1) for vector in (m, v, dm, dv))
            weights = s.float().softmax(dim=1)
            centred = x.float() - m
            dx.copy_((centred * (2 * dv)).add_(dm).mul_(weights))
            if of_scores is not None:
                slope = (centred.square() - v).mul_(dv).addcmul_(centred, dm).mul_(weights)
                ds.copy_(slope if s.shape[2] > 1 else slope.sum(dim=2, keepdim=True))
        return of_frames, of_scores

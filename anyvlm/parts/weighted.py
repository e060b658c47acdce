"""Contrastive losses whose lines are more than a softmax: hard negatives, several partners, two views, a teacher's opinion.

Each is a sum over lines of logits. A chunk of lines exists at a time and is computed again in the backward pass, so that no
matrix (B, B) is kept. Where torch.distributed runs, as in `chunked.py`: the loss is that of the whole batch, and gradients of
parameters are to be summed over the processes.
Shape letters: B items of this process, N of all, c lines of a chunk, E width.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import log

import torch
import torch.distributed as dist
import torch.nn.functional as F
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from anyvlm.parts.chunked import CHUNK, shared

Line = Callable[[Tensor, int], Tensor]
"""(logits (c, N), place of the first line among all N) -> the sum of the losses of these lines."""


def hard_negatives(
    a_BE: Tensor, b_BE: Tensor, scale: Tensor, alpha: float = 1.0, beta: float = 0.25, chunk: int = CHUNK
) -> Tensor:
    """HN-NCE (2301.02280, section 3.3): negatives weigh by their likeness to the power `beta`, the partner by `alpha`.

    The denominator of a line is alpha * e^z_ii + sum_j w_ij e^z_ij, w_ij = (N - 1) e^(beta z_ij) / sum_k e^(beta z_ik), both
    sums over negatives. Weights are learned through, as in the formula. With alpha 1 and beta 0 it is InfoNCE.
    """

    def line(logits: Tensor, first: int) -> Tensor:
        own = logits.diagonal(first)
        same = _diagonal(logits, first)
        above, below = ((power * logits).masked_fill(same, -torch.inf).logsumexp(1) for power in (1 + beta, beta))
        hard = log(logits.shape[1] - 1) + above - below
        return (torch.logaddexp(own + log(alpha), hard) - own).sum()

    return (_lines(a_BE, b_BE, scale, line, chunk) + _lines(b_BE, a_BE, scale, line, chunk)) / 2


def several(a_BE: Tensor, b_BE: Tensor, scale: Tensor, alike_B: Tensor, chunk: int = CHUNK) -> Tensor:
    """InfoNCE with the uniform distribution over all partners as its aim: those with equal numbers (e-CLIP, 2207.00208)."""
    alike_N = _gather(alike_B) if shared() else alike_B

    def line(logits: Tensor, first: int) -> Tensor:
        fits = alike_N[first : first + len(logits), None] == alike_N
        aim = fits / fits.sum(1, keepdim=True)
        return F.cross_entropy(logits, aim, reduction="sum")

    return (_lines(a_BE, b_BE, scale, line, chunk) + _lines(b_BE, a_BE, scale, line, chunk)) / 2


def nt_xent(a_BE: Tensor, b_BE: Tensor, scale: Tensor, chunk: int = CHUNK) -> Tensor:
    """SimCLR's loss (2002.05709) of two views: each picks the other view of its picture among all 2N - 1 others."""

    def line(logits: Tensor, first: int) -> Tensor:
        half = logits.shape[1] // 2  # the other views, then its own kind
        own = logits.diagonal(first)
        same = torch.zeros_like(logits, dtype=torch.bool)
        same[:, half:] = _diagonal(logits[:, half:], first)
        return (logits.masked_fill(same, -torch.inf).logsumexp(1) - own).sum()

    return (_lines(a_BE, b_BE, scale, line, chunk, a_BE) + _lines(b_BE, a_BE, scale, line, chunk, b_BE)) / 2


def distilled(
    a_BE: Tensor, b_BE: Tensor, scale: Tensor, teachers: Sequence[tuple[Tensor, Tensor]], sharp: float = 100.0,
    chunk: int = CHUNK,
) -> Tensor:  # fmt: skip
    """Cross-entropy to the likeness that teachers see, the mean of their softmaxes, both ways (MobileCLIP, 2311.17049).

    `teachers`: points (B, ...) of both sides by each of them; `sharp`: what their cosines are multiplied by.
    """
    both = [tuple(_gather(x.float()) if shared() else x.float() for x in pair) for pair in teachers]

    def line_of(a: int, b: int) -> Line:
        def line(logits: Tensor, first: int) -> Tensor:
            theirs = [(sharp * pair[a][first : first + len(logits)] @ pair[b].T).softmax(1) for pair in both]
            return F.cross_entropy(logits, torch.stack(theirs).mean(0), reduction="sum")

        return line

    return (_lines(a_BE, b_BE, scale, line_of(0, 1), chunk) + _lines(b_BE, a_BE, scale, line_of(1, 0), chunk)) / 2


def _lines(a_BE: Tensor, b_BE: Tensor, scale: Tensor, line: Line, chunk: int, beside_BE: Tensor | None = None) -> Tensor:
    """The mean over all N of the losses of the lines `a` against all of `b`, and of `beside` behind them."""
    a, first = a_BE.float() * scale, dist.get_rank() * len(a_BE) if shared() else 0
    sides = [x.float() for x in (b_BE, beside_BE) if x is not None]
    b = torch.cat([_gather(x) if shared() else x for x in sides])

    def some(a_cE: Tensor, b_NE: Tensor, at: int) -> Tensor:
        return line(a_cE @ b_NE.T, at)

    total = a.new_zeros(())
    for start in range(0, len(a), chunk):
        total = total + checkpoint(some, a[start : start + chunk], b, first + start, use_reentrant=False)
    everyone = total.detach().clone()
    if shared():
        dist.all_reduce(everyone)
    # its value is everyone's, its gradient ours: that of the others comes back through what was gathered
    return (total + everyone - total.detach()) / (len(b) // len(sides))


def _gather(x: Tensor) -> Tensor:
    """The rows of all processes, ours at their place; gradients find the way back."""
    out: Tensor = _Gather.apply(x)  # type: ignore[no-untyped-call]
    return out


class _Gather(torch.autograd.Function):
    @staticmethod
    def forward(_: object, x: Tensor) -> Tensor:
        parts = [torch.empty_like(x) for _ in range(dist.get_world_size())]
        dist.all_gather(parts, x.contiguous())
        return torch.cat(parts)

    @staticmethod
    def backward(_: object, grad: Tensor) -> Tensor:
        """What every process learned of our rows."""
        grad = grad.contiguous().clone()
        dist.all_reduce(grad)
        return grad.chunk(dist.get_world_size())[dist.get_rank()]


def _diagonal(logits: Tensor, first: int) -> Tensor:
    """True where line and column are the same item."""
    places = torch.arange(logits.shape[1], device=logits.device)
    return places[None] == first + torch.arange(len(logits), device=logits.device)[:, None]

"""Contrastive losses over all pairs of a batch, of which no matrix (B, B) is ever kept.

The gradient is computed with the loss, chunk by chunk, while the logits of the chunk are there: two passes for a softmax over
both directions (its sums must be known first), one for a sigmoid. Where torch.distributed runs, every process has a share of
the batch: the loss is that of the whole batch, and gradients of parameters are to be *summed* over the processes.
Sources: CLIP (2103.00020), SigLIP (2303.15343).
Shape letters: B pairs of this process, N of all, E width.
"""

from __future__ import annotations

from typing import Protocol

import torch
import torch.distributed as dist
import torch.nn.functional as F
from torch import Tensor
from torch.autograd.function import once_differentiable

CHUNK = 1024
"""Lines of logits that exist at a time."""


class _Context(Protocol):
    saved_tensors: tuple[Tensor, ...]

    def save_for_backward(self, *tensors: Tensor) -> None: ...


def info_nce(a_BE: Tensor, b_BE: Tensor, scale: Tensor, chunk: int = CHUNK) -> Tensor:
    """Mean cross-entropy of every item's partner among all items of the other side, averaged over both directions.

    Points are of length 1; logits are `scale` times cosine, computed in fp32.
    """
    loss: Tensor = _InfoNCE.apply(a_BE, b_BE, scale, chunk)  # type: ignore[no-untyped-call]
    return loss


def one_way(a_BE: Tensor, b_BE: Tensor, scale: Tensor, chunk: int = CHUNK) -> Tensor:
    """Mean cross-entropy of the partner of every `a` among all `b`: the first direction of `info_nce` alone."""
    loss: Tensor = _OneWay.apply(a_BE, b_BE, scale, chunk)  # type: ignore[no-untyped-call]
    return loss


def sigmoid(a_BE: Tensor, b_BE: Tensor, scale: Tensor, bias: Tensor, chunk: int = CHUNK) -> Tensor:
    """-log sigmoid(z) of partners and -log sigmoid(-z) of all others, z = scale * cosine + bias, summed and divided by N."""
    loss: Tensor = _Sigmoid.apply(a_BE, b_BE, scale, bias, chunk)  # type: ignore[no-untyped-call]
    return loss


def shared() -> bool:
    """True where several processes have a share of the batch each."""
    return dist.is_available() and dist.is_initialized() and dist.get_world_size() > 1


def _gathered(x_BE: Tensor) -> tuple[Tensor, int]:
    """The rows (N, E) of all processes, which have the same number of them, and where ours begin."""
    if not shared():
        return x_BE, 0
    parts = [torch.empty_like(x_BE) for _ in range(dist.get_world_size())]
    dist.all_gather(parts, x_BE.contiguous())
    return torch.cat(parts), dist.get_rank() * len(x_BE)


def _total(x: Tensor) -> Tensor:
    """The sum over all processes."""
    if shared():
        dist.all_reduce(x)
    return x


def _logsum(x_N: Tensor) -> Tensor:
    """log of the sum of exp over all processes."""
    if not shared():
        return x_N
    most = x_N.clone()
    dist.all_reduce(most, dist.ReduceOp.MAX)
    return _total((x_N - most).exp_()).log_() + most


class _InfoNCE(torch.autograd.Function):
    @staticmethod
    def forward(ctx: _Context, a_BE: Tensor, b_BE: Tensor, scale: Tensor, chunk: int) -> Tensor:
        a, s, B = a_BE.float(), scale.float(), len(a_BE)
        b, first = _gathered(b_BE.float())
        rows, columns = a.new_empty(B), a.new_full((len(b),), -torch.inf)
        for start in range(0, B, chunk):
            logits = (a[start : start + chunk] * s) @ b.T
            rows[start : start + chunk] = logits.logsumexp(1)
            columns = torch.logaddexp(columns, logits.logsumexp(0))
        columns = _logsum(columns)
        partner = (a * b[first : first + B]).sum(1) * s
        loss = _total(((rows + columns[first : first + B]) / 2 - partner).sum()) / len(b)
        grad_a, grad_b = torch.empty_like(a), torch.zeros_like(b)
        for start in range(0, B, chunk):
            some = a[start : start + chunk]
            logits = (some * s) @ b.T
            share = (logits - rows[start : start + chunk, None]).exp_()
            share += logits.sub_(columns).exp_()
            share *= 0.5 / len(b)
            share.diagonal(first + start).sub_(1 / len(b))
            grad_a[start : start + chunk] = share @ b
            grad_b.addmm_(share.T, some)
        grad_s, grad_b = (grad_a * a).sum(), _total(grad_b)[first : first + B]
        ctx.save_for_backward(grad_a.mul_(s).to(a_BE.dtype), grad_b.mul_(s).to(b_BE.dtype), grad_s.to(scale.dtype))
        return loss

    @staticmethod
    @once_differentiable
    def backward(ctx: _Context, grad: Tensor) -> tuple[Tensor | None, ...]:
        a, b, s = ctx.saved_tensors
        return a * grad, b * grad, s * grad, None


class _OneWay(torch.autograd.Function):
    @staticmethod
    def forward(ctx: _Context, a_BE: Tensor, b_BE: Tensor, scale: Tensor, chunk: int) -> Tensor:
        a, s, B = a_BE.float(), scale.float(), len(a_BE)
        b, first = _gathered(b_BE.float())
        loss = a.new_zeros(())
        grad_a, grad_b = torch.empty_like(a), torch.zeros_like(b)
        for start in range(0, B, chunk):
            some = a[start : start + chunk]
            logits = (some * s) @ b.T
            partner, rows = logits.diagonal(first + start).sum(), logits.logsumexp(1, keepdim=True)
            loss += rows.sum() - partner
            share = logits.sub_(rows).exp_()
            share.diagonal(first + start).sub_(1)
            share /= len(b)
            grad_a[start : start + chunk] = share @ b
            grad_b.addmm_(share.T, some)
        grad_s, grad_b = (grad_a * a).sum(), _total(grad_b)[first : first + B]
        ctx.save_for_backward(grad_a.mul_(s).to(a_BE.dtype), grad_b.mul_(s).to(b_BE.dtype), grad_s.to(scale.dtype))
        return _total(loss) / len(b)

    @staticmethod
    @once_differentiable
    def backward(ctx: _Context, grad: Tensor) -> tuple[Tensor | None, ...]:
        a, b, s = ctx.saved_tensors
        return a * grad, b * grad, s * grad, None


class _Sigmoid(torch.autograd.Function):
    @staticmethod
    def forward(ctx: _Context, a_BE: Tensor, b_BE: Tensor, scale: Tensor, bias: Tensor, chunk: int) -> Tensor:
        a, s, t, B = a_BE.float(), scale.float(), bias.float(), len(a_BE)
        b, first = _gathered(b_BE.float())
        loss, grad_t = a.new_zeros(()), a.new_zeros(())
        grad_a, grad_b = torch.empty_like(a), torch.zeros_like(b)
        for start in range(0, B, chunk):
            some = a[start : start + chunk]
            z = torch.addmm(t.expand(len(b)), some * s, b.T)
            partner = z.diagonal(first + start)
            loss += F.softplus(z).sum() - partner.sum()
            share = z.sigmoid_()
            share.diagonal(first + start).sub_(1)
            share /= len(b)
            grad_t += share.sum()
            grad_a[start : start + chunk] = share @ b
            grad_b.addmm_(share.T, some)
        grad_s, grad_b = (grad_a * a).sum(), _total(grad_b)[first : first + B]
        ctx.save_for_backward(
            grad_a.mul_(s).to(a_BE.dtype), grad_b.mul_(s).to(b_BE.dtype), grad_s.to(scale.dtype), grad_t.to(bias.dtype)
        )
        return _total(loss) / len(b)

    @staticmethod
    @once_differentiable
    def backward(ctx: _Context, grad: Tensor) -> tuple[Tensor | None, ...]:
        a, b, s, t = ctx.saved_tensors
        return a * grad, b * grad, s * grad, t * grad, None

"""Normalisations. The epsilon is a fact of a checkpoint."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from anyvlm.spec import Spec


@dataclass(frozen=True, kw_only=True)
class LayerNorm(Spec):
    """Mean and variance; Cohere and some others have no bias."""

    eps: float = 1e-5
    bias: bool = True

    def build(self, width: int) -> nn.Module:
        """The module for rows of `width`."""
        return nn.LayerNorm(width, eps=self.eps, bias=self.bias)

    def across(self, width: int) -> nn.Module:
        """The module for maps (B, width, h, w), each place of which is normed alone."""
        return _Across(width, eps=self.eps, bias=self.bias)


class _Across(nn.LayerNorm):
    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)


@dataclass(frozen=True, kw_only=True)
class RMSNorm(Spec):
    """Root mean square only, computed in fp32 whatever the dtype (Llama family).

    `offset` is added to the weights: Gemma's are stored around 0, and 1 is added to them.
    """

    eps: float = 1e-6
    offset: float = 0.0

    def build(self, width: int) -> nn.Module:
        """The module for rows of `width`."""
        return _OffsetRMSNorm(width, self.eps, self.offset) if self.offset else _RMSNorm(width, self.eps)


class _RMSNorm(nn.Module):
    def __init__(self, width: int, eps: float) -> None:
        super().__init__()
        self.weight, self.eps = nn.Parameter(torch.ones(width)), eps

    def forward(self, x: Tensor) -> Tensor:
        if x.dtype == torch.float32 or x.is_cuda or torch.is_grad_enabled():
            # torch computes in fp32 for bf16 inputs, as the reference does by hand.
            return nn.functional.rms_norm(x, self.weight.shape, self.weight, self.eps)
        # The same with half the passes over memory; on a CPU torch has no kernel of its own for it (1.8x for long prompts).
        wide = x.float()
        norm = torch.linalg.vector_norm(wide, dim=-1, keepdim=True)
        scale = norm.square_().div_(x.shape[-1]).add_(self.eps).rsqrt_()
        return wide.mul_(scale).mul_(self.weight).to(x.dtype)


class _OffsetRMSNorm(nn.Module):
    """The sum of weight and offset is never rounded: in bf16 most of what Gemma learned would be lost beside the 1."""

    def __init__(self, width: int, eps: float, offset: float) -> None:
        super().__init__()
        self.weight, self.eps, self.offset = nn.Parameter(torch.full((width,), 1 - offset)), eps, offset

    def forward(self, x: Tensor) -> Tensor:
        weight = self.weight.float() + self.offset
        return nn.functional.rms_norm(x.float(), weight.shape, weight, self.eps).to(x.dtype)


@dataclass(frozen=True, kw_only=True)
class HeadNorm(Spec):
    """Mean and variance of each head, whose weight and bias are its own (Chameleon: each shard's, repeated by head)."""

    eps: float = 1e-5

    def build(self, heads: int, width: int) -> nn.Module:
        """The module for rows (..., heads, width)."""
        return _HeadNorm(heads, width, self.eps)


class _HeadNorm(nn.Module):
    def __init__(self, heads: int, width: int, eps: float) -> None:
        super().__init__()
        self.weight, self.bias, self.eps = nn.Parameter(torch.ones(heads, width)), nn.Parameter(torch.zeros(heads, width)), eps

    def forward(self, x: Tensor) -> Tensor:
        return nn.functional.layer_norm(x, x.shape[-1:], eps=self.eps) * self.weight + self.bias


Norm = LayerNorm | RMSNorm

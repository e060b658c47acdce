"""Layers with the norm in front (or behind, before the sum): one block of vision towers and of the text towers beside them.

Shape letters: B items, T rows of each, D width.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from anyvlm.parts.bert import SelfAttention
from anyvlm.parts.ffn import GLU, MLP
from anyvlm.parts.norm import Norm
from anyvlm.spec import Spec


@dataclass(frozen=True, kw_only=True)
class PreNorm(Spec):
    """One block: attention, then feed-forward; each of normed rows, and added. `layer_scale`: both are scaled by a vector.

    `bias`: the maps of attention have biases.
    """

    heads: int
    ffn: MLP | GLU
    norm: Norm
    layer_scale: bool = False
    bias: bool = True

    def build(self, width: int) -> PreNormBlock:
        """The module for rows of `width`."""
        return PreNormBlock(self, width)


class PreNormBlock(nn.Module):
    """Parameters: norm1, attn, norm2, ffn; scale1 and scale2 with a layer scale."""

    def __init__(self, spec: PreNorm, width: int) -> None:
        super().__init__()
        self.norm1, self.norm2 = spec.norm.build(width), spec.norm.build(width)
        self.attn, self.ffn = SelfAttention(width, spec.heads, bias=spec.bias), spec.ffn.build(width)
        self.layer_scale = spec.layer_scale
        if spec.layer_scale:
            self.scale1, self.scale2 = nn.Parameter(torch.ones(width)), nn.Parameter(torch.ones(width))

    def forward(self, x_BTD: Tensor, added: Tensor | None = None, causal: bool = False, rows: int | None = None) -> Tensor:
        """`added`: to the scores, (B, 1 or H, T, T); `causal`: a row sees those up to its own place.

        `rows`: so many of the first come out, having seen all; None: every one.
        """
        x, seen = x_BTD[:, :rows], self.attn(self.norm1(x_BTD), added, causal, rows=rows)
        if self.layer_scale:
            x = torch.addcmul(x, self.scale1, seen)
            return torch.addcmul(x, self.scale2, self.ffn(self.norm2(x)))
        x = x + seen
        out: Tensor = x + self.ffn(self.norm2(x))
        return out


@dataclass(frozen=True, kw_only=True)
class NormLast(PreNorm):
    """The norms stand behind attention and feed-forward, before the sum (EVA2-CLIP-E)."""

    def build(self, width: int) -> NormLastBlock:
        """The module for rows of `width`."""
        return NormLastBlock(self, width)


class NormLastBlock(PreNormBlock):
    """The same parameters."""

    def forward(self, x_BTD: Tensor, added: Tensor | None = None, causal: bool = False, rows: int | None = None) -> Tensor:
        """As that of `PreNormBlock`."""
        x = x_BTD[:, :rows] + self.norm1(self.attn(x_BTD, added, causal, rows=rows))
        out: Tensor = x + self.norm2(self.ffn(x))
        return out

"""Perceiver resampler (Flamingo, 2204.14198): a fixed number of learned queries read the rows of a picture, and themselves.

Sources: transformers `models/idefics/perceiver.py`; mlfoundations/open_flamingo `helpers.py`.
Shape letters: B pictures, n rows of a picture, Q queries, D width, H heads, h head width.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from anyvlm.parts.attention import attend
from anyvlm.parts.features import Connector, Features, Grid
from anyvlm.parts.ffn import MLP
from anyvlm.parts.init import normal
from anyvlm.parts.norm import LayerNorm


@dataclass(frozen=True, kw_only=True)
class Perceiver(Connector):
    """`queries` rows of the encoder's width from every picture, whatever its size.

    `head`: width of one head; `norm`: of rows and queries, before the feed-forward layer and at the end; `head_norm`: of
    queries and keys head by head.
    """

    queries: int
    depth: int
    heads: int
    head: int
    ffn: MLP
    norm: LayerNorm
    head_norm: LayerNorm | None = None

    def count(self, grid: Grid) -> Grid:
        """As many as there are queries."""
        return (1, 1, self.queries)

    def width(self, into: int, out: int) -> int:
        """That of the encoder: inserts bring it to the language model's."""
        return into

    def build(self, into: int, out: int) -> nn.Module:
        """The module."""
        return PerceiverModule(self, into)


class PerceiverModule(nn.Module):
    """Rows (N, D) -> (Q per picture, D)."""

    def __init__(self, spec: Perceiver, width: int) -> None:
        super().__init__()
        self.spec = spec
        self.queries = normal(spec.queries, width)
        self.blocks = nn.ModuleList(_Block(spec, width) for _ in range(spec.depth))
        self.norm = spec.norm.build(width)

    def forward(self, features: Features) -> Features:
        """Pictures of one grid together."""
        outs = []
        for _, x_BnD in features.groups():
            q_BQD = self.queries.expand(len(x_BnD), -1, -1)
            for block in self.blocks:
                q_BQD = block(q_BQD, x_BnD)
            outs.append(self.norm(q_BQD).flatten(0, 1))
        return Features(torch.cat(outs), tuple(map(self.spec.count, features.grids)))


class _Block(nn.Module):
    def __init__(self, spec: Perceiver, width: int) -> None:
        super().__init__()
        self.norm1, self.norm_rows, self.norm2 = (spec.norm.build(width) for _ in range(3))
        self.attn, self.ffn = _Attention(spec, width), spec.ffn.build(width)

    def forward(self, q_BQD: Tensor, x_BnD: Tensor) -> Tensor:
        q_BQD = q_BQD + self.attn(self.norm1(q_BQD), self.norm_rows(x_BnD))
        out: Tensor = q_BQD + self.ffn(self.norm2(q_BQD))
        return out


class _Attention(nn.Module):
    def __init__(self, spec: Perceiver, width: int) -> None:
        super().__init__()
        self.heads, inner = spec.heads, spec.heads * spec.head
        self.q, self.kv = nn.Linear(width, inner, bias=False), nn.Linear(width, 2 * inner, bias=False)
        self.o = nn.Linear(inner, width, bias=False)
        self.normed = spec.head_norm is not None
        if spec.head_norm is not None:
            self.q_norm, self.k_norm = spec.head_norm.build(spec.head), spec.head_norm.build(spec.head)

    def forward(self, q_BQD: Tensor, x_BnD: Tensor) -> Tensor:
        q = self.q(q_BQD).unflatten(-1, (self.heads, -1))
        k, v = self.kv(torch.cat([x_BnD, q_BQD], 1)).unflatten(-1, (2 * self.heads, -1)).chunk(2, 2)
        if self.normed:
            q, k = self.q_norm(q), self.k_norm(k)
        out: Tensor = self.o(attend(*(t.transpose(1, 2) for t in (q, k, v))).transpose(1, 2).flatten(2))
        return out

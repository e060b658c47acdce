"""Aria's projector (2410.05993): learned queries read the rows of a picture, more of them for larger pictures.

Source: rhymes-ai/Aria 9b25fec `aria/model/projector.py`, and transformers `modeling_aria.py`.
Shape letters: B pictures, n rows of a picture, Q queries, D the encoder's width, H heads, h head width.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from anyvlm.errors import InputError
from anyvlm.parts.act import ACTS, Act
from anyvlm.parts.attention import attend
from anyvlm.parts.features import Connector, Features, Grid
from anyvlm.parts.init import normal
from anyvlm.parts.norm import LayerNorm


@dataclass(frozen=True, kw_only=True)
class Queried(Connector):
    """`queries`: for pictures of so many patches along their longer side so many of the queries, the first ones.

    `norm`: of queries, of rows, and of what was read; then two layers without biases and `act` between them.
    """

    queries: tuple[tuple[int, int], ...]
    heads: int
    norm: LayerNorm = LayerNorm(eps=1e-5)
    act: Act = "gelu_tanh"

    def count(self, grid: Grid) -> Grid:
        """The queries for a picture. Raises InputError for a size that has none."""
        found = dict(self.queries).get(max(grid))
        if found is None:
            sides = " or ".join(str(side) for side, _ in self.queries)
            raise InputError(f"A picture is {sides} patches long for this connector, not {max(grid)}.")
        return (1, 1, found)

    def build(self, into: int, out: int) -> nn.Module:
        """The module."""
        return QueriedModule(self, into, out)


class QueriedModule(nn.Module):
    """Rows (N, D) -> (Q per picture, out)."""

    def __init__(self, spec: Queried, into: int, out: int) -> None:
        super().__init__()
        self.spec = spec
        self.queries = normal(max(count for _, count in spec.queries), into, std=0.02)
        self.norm, self.norm_rows, self.norm_out = (spec.norm.build(into) for _ in range(3))
        self.attn = _Attention(spec.heads, into)
        self.up, self.down = nn.Linear(into, out, bias=False), nn.Linear(out, out, bias=False)

    def forward(self, features: Features) -> Features:
        """Pictures of one grid together."""
        act, outs = ACTS[self.spec.act], []
        for grid, x_BnD in features.groups():
            q_QD = self.queries[: self.spec.count(grid)[2]]
            read = self.attn(self.norm(q_QD).expand(len(x_BnD), -1, -1), self.norm_rows(x_BnD))
            outs.append(self.down(act(self.up(self.norm_out(read)))).flatten(0, 1))
        return Features(torch.cat(outs), tuple(map(self.spec.count, features.grids)))


class _Attention(nn.Module):
    """Queries, keys, values and what is read go through two layers each, as the original's checkpoints have them."""

    def __init__(self, heads: int, width: int) -> None:
        super().__init__()
        self.heads = heads
        self.q1, self.k1, self.v1 = (nn.Linear(width, width, bias=False) for _ in range(3))
        self.q2, self.k2, self.v2 = (nn.Linear(width, width) for _ in range(3))
        self.o1, self.o2 = nn.Linear(width, width), nn.Linear(width, width)

    def forward(self, q_BQD: Tensor, x_BnD: Tensor) -> Tensor:
        each = self.q2(self.q1(q_BQD)), self.k2(self.k1(x_BnD)), self.v2(self.v1(x_BnD))
        y = attend(*(t.unflatten(-1, (self.heads, -1)).transpose(1, 2) for t in each))
        out: Tensor = self.o2(self.o1(y.transpose(1, 2).flatten(2)))
        return out

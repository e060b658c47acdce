"""Latent queries (KOSMOS, 2302.14045): learned rows of the language model's width read the rows of a picture, once.

Source: transformers `Kosmos2ImageToTextProjection`. Shape letters: B pictures, n rows of a picture, Q queries, D width.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from anyvlm.parts.attention import attend
from anyvlm.parts.features import Connector, Features, Grid
from anyvlm.parts.init import normal


@dataclass(frozen=True, kw_only=True)
class Latent(Connector):
    """`queries` rows from every picture: one attention over its rows, brought to length 1 and projected, and the queries.

    There is neither a norm nor a feed-forward layer nor a second look (unlike `Perceiver`).
    """

    queries: int
    heads: int

    def count(self, grid: Grid) -> Grid:
        """As many as there are queries."""
        return (1, 1, self.queries)

    def build(self, into: int, out: int) -> nn.Module:
        """The module."""
        return LatentModule(self, into, out)


class LatentModule(nn.Module):
    """Rows (N, into) -> (Q per picture, out)."""

    def __init__(self, spec: Latent, into: int, out: int) -> None:
        super().__init__()
        self.spec = spec
        self.queries, self.dense = normal(spec.queries, out), nn.Linear(into, out)
        self.q, self.kv, self.o = nn.Linear(out, out), nn.Linear(out, 2 * out), nn.Linear(out, out)

    def forward(self, features: Features) -> Features:
        """Pictures of one grid together."""
        H = self.spec.heads
        outs = []
        for _, x_BnD in features.groups():
            q_BQD = self.queries.expand(len(x_BnD), -1, -1)
            rows = torch.cat([self.dense(F.normalize(x_BnD, dim=-1)), q_BQD], 1)
            q = self.q(q_BQD).unflatten(-1, (H, -1)).transpose(1, 2)
            k, v = self.kv(rows).unflatten(-1, (2, H, -1)).permute(2, 0, 3, 1, 4)
            y: Tensor = self.o(attend(q, k, v).transpose(1, 2).flatten(2))
            outs.append(y.flatten(0, 1))
        return Features(torch.cat(outs), tuple(map(self.spec.count, features.grids)))

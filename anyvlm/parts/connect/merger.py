"""Neighbouring rows put side by side and projected: the PatchMerger of Qwen2-VL (`modeling_qwen2_vl.py` in transformers)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from anyvlm.errors import InputError
from anyvlm.parts.act import ACTS, Act
from anyvlm.parts.features import Connector, Features, Grid
from anyvlm.parts.norm import Norm


@dataclass(frozen=True, kw_only=True)
class Merger(Connector):
    """Every row normed, `r` x `r` neighbours side by side, a linear layer of that width, an activation, one into the lm."""

    norm: Norm
    r: int = 2
    act: Act = "gelu"

    def count(self, grid: Grid) -> Grid:
        """1 / r^2 of the rows. Raises InputError for a grid that r does not divide."""
        t, h, w = grid
        if h % self.r or w % self.r:
            raise InputError(f"This connector joins {self.r} x {self.r} patches, which {h} x {w} patches cannot be cut into.")
        return (t, h // self.r, w // self.r)

    def build(self, into: int, out: int) -> nn.Module:
        """The module."""
        return MergerModule(self, into, out)


class MergerModule(nn.Module):
    """Rows (N, into) -> (N / r^2, out)."""

    def __init__(self, spec: Merger, into: int, out: int) -> None:
        super().__init__()
        self.spec, wide = spec, into * spec.r**2
        self.act = ACTS[spec.act]
        self.norm = spec.norm.build(into)
        self.up, self.down = nn.Linear(wide, wide), nn.Linear(wide, out)

    def forward(self, features: Features) -> Features:
        """Neighbours are joined in the order (row, column, channel)."""
        r = self.spec.r
        x = Features(self.norm(features.x_ND), features.grids)
        folded = torch.cat([self._fold(x_BND, grid, r) for grid, x_BND in x.groups()])
        return Features(self.down(self.act(self.up(folded))), tuple(map(self.spec.count, features.grids)))

    @staticmethod
    def _fold(x_BND: Tensor, grid: Grid, r: int) -> Tensor:
        _, h, w = grid
        x = x_BND.reshape(-1, h // r, r, w // r, r, x_BND.shape[-1]).transpose(2, 3)  # (B t, h / r, w / r, r, r, D)
        return x.reshape(-1, r * r * x.shape[-1])

"""Pixel shuffle: r x r neighbouring rows become one wider row, then a projector (InternVL, Idefics3, SmolVLM)."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod

import torch
import torch.nn.functional as F
from torch import nn

from anyvlm.parts.connect.mlp import Projector
from anyvlm.parts.features import Connector, Features, Grid


@dataclass(frozen=True, kw_only=True)
class Shuffle(Connector):
    """Fold `r` x `r` neighbours into channels; a grid that r does not divide is padded with zeros at the end."""

    r: int = 2
    then: Projector = Projector()

    def count(self, grid: Grid) -> Grid:
        """1 / r^2 of the rows, rounded up."""
        t, h, w = grid
        return (t, -(-h // self.r), -(-w // self.r))

    def build(self, into: int, out: int) -> nn.Module:
        """The module."""
        return ShuffleModule(self, into, out)


class ShuffleModule(nn.Module):
    """Rows (N, into) -> (N / r^2, out)."""

    def __init__(self, spec: Shuffle, into: int, out: int) -> None:
        super().__init__()
        self.spec, self.then = spec, spec.then.build(into * spec.r**2, out)

    def forward(self, features: Features) -> Features:
        """Neighbours are joined in the order (row, column, channel)."""
        r, outs = self.spec.r, []
        for (_, h, w), x_BND in features.groups():
            x = F.pad(x_BND.reshape(-1, h, w, x_BND.shape[-1]), (0, 0, 0, -w % r, 0, -h % r))
            x = x.unflatten(2, (-1, r)).unflatten(1, (-1, r)).transpose(2, 3)  # (B t, h / r, w / r, r, r, D)
            outs.append(x.reshape(-1, r * r * x.shape[-1]))
        grids = tuple(map(self.spec.count, features.grids))
        assert sum(map(prod, grids)) == sum(map(len, outs))
        folded: Features = self.then(Features(torch.cat(outs), grids))
        return folded

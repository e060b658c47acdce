"""Pixel shuffle: r x r neighbouring rows become one wider row, then a projector (InternVL, Idefics3, SmolVLM)."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from anyvlm.errors import InputError
from anyvlm.parts.connect.mlp import Projector
from anyvlm.parts.features import Connector, Features, Grid
from anyvlm.parts.init import normal


@dataclass(frozen=True, kw_only=True)
class Shuffle(Connector):
    """Fold `r` x `r` neighbours into channels; a grid that r does not divide is padded with zeros at the end.

    `side`: learn a vector for each of so many lines and columns and add them to the rows, so that a language model with
    one axis of positions can tell left from above; 0 adds nothing, and a larger grid than that is refused.
    """

    r: int = 2
    then: Projector = Projector()
    side: int = 0

    def count(self, grid: Grid) -> Grid:
        """1 / r^2 of the rows, rounded up. Raises InputError for a grid beyond `side`."""
        t, h, w = grid
        h, w = -(-h // self.r), -(-w // self.r)
        if self.side and max(h, w) > self.side:
            raise InputError(f"This connector knows {self.side} x {self.side} places, and the picture has {h} x {w}.")
        return (t, h, w)

    def build(self, into: int, out: int) -> nn.Module:
        """The module."""
        return ShuffleModule(self, into, out)


class ShuffleModule(nn.Module):
    """Rows (N, into) -> (N / r^2, out)."""

    def __init__(self, spec: Shuffle, into: int, out: int) -> None:
        super().__init__()
        self.spec, self.then = spec, spec.then.build(into * spec.r**2, out)
        if spec.side:
            self.line, self.column = normal(spec.side, out, std=0.03), normal(spec.side, out, std=0.03)

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
        return Features(folded.x_ND + self._places(grids), grids) if self.spec.side else folded

    def _places(self, grids: tuple[Grid, ...]) -> Tensor:
        """(N, out) what says where each row lies."""
        each = [(self.line[:h, None] + self.column[None, :w]).flatten(0, 1).repeat(t, 1) for t, h, w in grids]
        return torch.cat(each)

"""Learned vectors around the rows of a picture: one in front and one behind (CogVLM), or behind every line (EVEv2).

Sources: THUDM/CogVLM f7283b2 utils/models/cogvlm_model.py (`boi`, `eoi`); baaivision/EVE cc63ec7
EVEv2/eve/model/multimodal_encoder/vision_tokenizer.py (`class_embedding`, `split_embedding`).
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from anyvlm.parts.cut import Cut
from anyvlm.parts.features import Features, Grid, Join
from anyvlm.parts.init import normal

_ONE: Grid = (1, 1, 1)


@dataclass(frozen=True, kw_only=True)
class Framed(Join):
    """`begin`, the rows of the picture, `end`; each a grid of its own. Pictures are one array each."""

    def count(self, cut: Cut, grids: tuple[Grid, ...]) -> tuple[Grid, ...]:
        """Three grids."""
        return _ONE, *grids, _ONE

    def build(self, width: int) -> nn.Module:
        """The module."""
        return FramedModule(self, width)


class FramedModule(nn.Module):
    """`begin` and `end` (D) are learned."""

    def __init__(self, spec: Framed, width: int) -> None:
        super().__init__()
        self.spec = spec
        self.begin, self.end = normal(width, std=0.02), normal(width, std=0.02)

    def forward(self, features: Features, cuts: tuple[Cut, ...]) -> Features:
        """Rows of all pictures, one after another."""
        rows = [part for x in features.items() for part in (self.begin[None], x, self.end[None])]
        grids = [grid for cut, own in zip(cuts, features.grids, strict=True) for grid in self.spec.count(cut, (own,))]
        return Features(torch.cat(rows), tuple(grids))


@dataclass(frozen=True, kw_only=True)
class Ruled(Join):
    """`begin`, then the lines of the picture, each closed by `line`. Pictures are one array each."""

    def count(self, cut: Cut, grids: tuple[Grid, ...]) -> tuple[Grid, ...]:
        """Two grids."""
        ((t, h, w),) = grids
        return _ONE, (t, h, w + 1)

    def build(self, width: int) -> nn.Module:
        """The module."""
        return RuledModule(self, width)


class RuledModule(nn.Module):
    """`begin` and `line` (D) are learned."""

    def __init__(self, spec: Ruled, width: int) -> None:
        super().__init__()
        self.spec = spec
        self.begin, self.line = normal(width), normal(width)

    def forward(self, features: Features, cuts: tuple[Cut, ...]) -> Features:
        """Rows of all pictures, one after another."""
        pairs = zip(features.items(), features.grids, strict=True)
        rows = [part for x, grid in pairs for part in (self.begin[None], self._lines(x, grid))]
        grids = [grid for cut, own in zip(cuts, features.grids, strict=True) for grid in self.spec.count(cut, (own,))]
        return Features(torch.cat(rows), tuple(grids))

    def _lines(self, x: Tensor, grid: Grid) -> Tensor:
        t, h, w = grid
        lines = x.unflatten(0, (t * h, w))
        return torch.cat([lines, self.line.expand(t * h, 1, -1)], 1).flatten(0, 1)

"""Flamingo's own resampler (2204.14198): a Perceiver between two linear maps, with a learned vector for every frame.

The maps follow from the paper's counts of parameters, not from its text: see `zoo/flamingo.py`.
Shape letters: N rows of all items, B items, n rows of an item, D width.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from anyvlm.parts.connect.perceiver import Perceiver
from anyvlm.parts.features import Connector, Features, Grid
from anyvlm.parts.init import normal


@dataclass(frozen=True, kw_only=True)
class Resampler(Connector):
    """Rows of the encoder's width to `inside`, through `inner`, and on to the language model's width.

    `frames`: vectors for so many moments, in row order; longer videos interpolate between them.
    """

    inside: int
    inner: Perceiver
    frames: int

    def count(self, grid: Grid) -> Grid:
        """As many as there are queries."""
        return self.inner.count(grid)

    def build(self, into: int, out: int) -> nn.Module:
        """The module."""
        return ResamplerModule(self, into, out)


class ResamplerModule(nn.Module):
    """Rows (N, into) -> (Q per item, out)."""

    def __init__(self, spec: Resampler, into: int, out: int) -> None:
        super().__init__()
        self.enter, self.leave = nn.Linear(into, spec.inside, bias=False), nn.Linear(spec.inside, out, bias=False)
        self.inner = spec.inner.build(spec.inside, out)
        self.times = normal(spec.frames, spec.inside)

    def forward(self, features: Features) -> Features:
        """Every item alone."""
        x = self.enter(features.x_ND)
        moments = torch.cat([self.moments(t).repeat_interleave(h * w, 0) for t, h, w in features.grids])
        found: Features = self.inner(Features(x + moments, features.grids))
        return Features(self.leave(found.x_ND), found.grids)

    def moments(self, t: int) -> Tensor:
        """(t, D), interpolated where there are more frames than vectors."""
        if t <= len(self.times):
            return self.times[:t]
        return F.interpolate(self.times.T[None], size=t, mode="linear", align_corners=True)[0].T

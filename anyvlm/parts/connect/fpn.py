"""A pyramid of maps of one width (FPN, 1612.03144; its two coarse levels are RetinaNet's, 1708.02002).

Source: microsoft/GLIP 9dda955 `modeling/backbone/fpn.py`. Maps are (B, D, h, w), the largest first.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch.nn.functional as F
from torch import Tensor, nn

from anyvlm.spec import Spec


@dataclass(frozen=True, kw_only=True)
class Pyramid(Spec):
    """Every map is brought to `width`, the smaller ones are added to the larger, and two more follow, half as large each."""

    width: int = 256

    def build(self, widths: Sequence[int]) -> PyramidModule:
        """The module for maps of these widths."""
        return PyramidModule(self, widths)


class PyramidModule(nn.Module):
    """Parameters: inner, outer (of every map), more (two)."""

    def __init__(self, spec: Pyramid, widths: Sequence[int]) -> None:
        super().__init__()
        self.inner = nn.ModuleList(nn.Conv2d(width, spec.width, 1) for width in widths)
        self.outer = nn.ModuleList(nn.Conv2d(spec.width, spec.width, 3, padding=1) for _ in widths)
        self.more = nn.ModuleList(nn.Conv2d(spec.width, spec.width, 3, stride=2, padding=1) for _ in range(2))

    def forward(self, maps: Sequence[Tensor]) -> tuple[Tensor, ...]:
        """Two more than are given."""
        outs: list[Tensor] = []
        above: Tensor | None = None
        for x, inner, outer in zip(reversed(maps), reversed(self.inner), reversed(self.outer), strict=True):
            here = inner(x)
            above = here if above is None else here + F.interpolate(above, here.shape[-2:], mode="nearest")
            outs.insert(0, outer(above))
        first = self.more[0](outs[-1])
        return (*outs, first, self.more[1](first.relu()))

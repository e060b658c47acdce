"""An encoder and a connector that was trained behind it, as one encoder: rows that speak words beside what they are made of.

Shape letters: N rows of all items, C values per patch, B items, D width.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from anyvlm.parts.features import Connector, Encoder, Features, Grid


@dataclass(frozen=True, kw_only=True)
class Bridged(Encoder):
    """Rows of the connector, `width` wide, each beside the mean of the encoder's rows at its place; both normed, without gains.

    The connector keeps lines and columns, or makes fewer of both (`Shuffle`). `patch` is the encoder's.
    """

    encoder: Encoder
    connector: Connector
    width: int
    patch: int

    @property
    def out(self) -> int:
        """Both, side by side."""
        return self.connector.width(self.encoder.out, self.width) + self.encoder.out

    def grid(self, h: int, w: int, t: int = 1) -> Grid:
        """The encoder's."""
        return self.encoder.grid(h, w, t)

    def rows(self, grid: Grid) -> Grid:
        """The connector's."""
        return self.connector.count(self.encoder.rows(grid))

    def build(self) -> nn.Module:
        """The module."""
        return BridgedModule(self)


class BridgedModule(nn.Module):
    """Parameters: encoder, connector."""

    def __init__(self, spec: Bridged) -> None:
        super().__init__()
        self.spec, self.encoder = spec, spec.encoder.build()
        self.connector = spec.connector.build(spec.encoder.out, spec.width)

    def forward(self, x_NC: Tensor, grids: tuple[Grid, ...]) -> Features:
        """Patches (N, C) -> rows (n, out)."""
        seen: Features = self.encoder(x_NC, grids)
        said: Features = self.connector(seen)
        means = [_mean(x_BND, grid, self.spec.connector.count(grid)) for grid, x_BND in seen.groups()]
        both = [F.layer_norm(x_ND, x_ND.shape[-1:], eps=1e-6) for x_ND in (said.x_ND, torch.cat(means))]
        return Features(torch.cat(both, -1), said.grids)


def _mean(x_BND: Tensor, grid: Grid, to: Grid) -> Tensor:
    """Rows of a grid -> their means at the places of a coarser one, all items one after another."""
    (t, h, w), (_, height, width) = grid, to
    x_BDhw = x_BND.reshape(len(x_BND) * t, h, w, -1).permute(0, 3, 1, 2)
    return F.adaptive_avg_pool2d(x_BDhw, (height, width)).permute(0, 2, 3, 1).reshape(-1, x_BND.shape[-1])

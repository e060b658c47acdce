"""Two convolutions without overlap, the first of which an encoder of raw patches has prepared: EVEv2's patch embedding.

Source: baaivision/EVE cc63ec7 EVEv2/eve/model/multimodal_encoder/vision_tokenizer.py.
"""

from __future__ import annotations

from dataclasses import dataclass

from torch import nn

from anyvlm.parts.act import ACTS, Act
from anyvlm.parts.connect.mlp import Projector
from anyvlm.parts.connect.shuffle import Shuffle
from anyvlm.parts.features import Connector, Features, Grid


@dataclass(frozen=True, kw_only=True)
class Stem(Connector):
    """Every patch through a linear layer of `hidden` values and an activation; then `r` x `r` neighbours through another."""

    hidden: int
    r: int = 2
    act: Act = "gelu"

    @property
    def folded(self) -> int:
        """Values of r x r neighbours."""
        return self.r**2 * self.hidden

    @property
    def fold(self) -> Shuffle:
        """The second step."""
        return Shuffle(r=self.r, then=Projector(depth=1))

    def count(self, grid: Grid) -> Grid:
        """1 / r^2 of the rows."""
        return self.fold.count(grid)

    def build(self, into: int, out: int) -> nn.Module:
        """The module."""
        return StemModule(self, into, out)


class StemModule(nn.Module):
    """Rows (N, into) -> (N / r^2, out)."""

    def __init__(self, spec: Stem, into: int, out: int) -> None:
        super().__init__()
        self.up, self.act = nn.Linear(into, spec.hidden), ACTS[spec.act]
        self.fold = spec.fold.build(spec.hidden, out)

    def forward(self, features: Features) -> Features:
        """Neighbours are joined in the order (row, column, channel)."""
        out: Features = self.fold(Features(self.act(self.up(features.x_ND)), features.grids))
        return out

"""No encoder: patches of raw pixels go straight to the connector (Fuyu, OtterHD)."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor, nn

from anyvlm.errors import InputError
from anyvlm.parts.features import Encoder, Features, Grid


@dataclass(frozen=True, kw_only=True)
class Patches(Encoder):
    """Pictures of any size that is made of whole patches. It has no parameters."""

    patch: int

    @property
    def out(self) -> int:
        """Three values for every pixel of a patch."""
        return 3 * self.patch**2

    def grid(self, h: int, w: int, t: int = 1) -> Grid:
        """Raises InputError for a size that is not made of whole patches."""
        if h % self.patch or w % self.patch or not min(h, w):
            raise InputError(f"A picture of {w} x {h} pixels is not made of whole patches of {self.patch} pixels.")
        return (t, h // self.patch, w // self.patch)

    def build(self) -> nn.Module:
        """The module."""
        return PatchesEncoder()


class PatchesEncoder(nn.Module):
    """Patches (N, C) as they are."""

    def forward(self, x_NC: Tensor, grids: tuple[Grid, ...]) -> Features:
        """x_NC: flattened patches of all items, row by row."""
        return Features(x_NC, grids)

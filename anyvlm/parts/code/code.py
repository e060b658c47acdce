"""The contract of codes: pictures as ids of a codebook, and back.

Shape letters: B pictures, N rows of all items, C values per patch, h and w lines and columns of ids.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from anyvlm.parts.features import Encoder, Features, Grid


class Code(Encoder):
    """Contract of codes. As an encoder it returns rows of one number, the ids; `grid` tells how many a picture has.

    `vocab`: how many codes there are; `width`: the length of a code's vector; `draws`: it goes back.
    """

    vocab: int
    width: int
    draws: bool

    @property
    def out(self) -> int:
        """One id."""
        return 1

    def build(self) -> CodeModule:
        """The module."""
        raise NotImplementedError


class CodeModule(nn.Module):
    """Contract of their modules. Values of pixels lie in -1 to 1."""

    def __init__(self, spec: Code) -> None:
        super().__init__()
        self.spec = spec

    def encode(self, pixels_BCHW: Tensor) -> Tensor:
        """Ids (B, h, w)."""
        raise NotImplementedError

    def decode(self, ids_Bhw: Tensor) -> Tensor:
        """Pixels (B, 3, H, W), which may leave their range a little. Raises SpecError for a code that only reads."""
        raise NotImplementedError

    def forward(self, x_NC: Tensor, grids: tuple[Grid, ...]) -> Features:
        """Flattened patches of all items -> the ids of each (N, 1); items of one grid are computed as a batch."""
        outs = [self.encode(unpatched(x_BnC, grid)).reshape(-1, 1) for grid, x_BnC in Features(x_NC, grids).groups()]
        return Features(torch.cat(outs), grids)


def unpatched(x_BnC: Tensor, grid: Grid) -> Tensor:
    """Pixels (B * t, 3, H, W) of items of t frames each: what `features.patches` took apart."""
    _, h, w = grid
    side = round((x_BnC.shape[-1] // 3) ** 0.5)
    x = x_BnC.reshape(-1, h, w, 3, side, side)
    return x.permute(0, 3, 1, 4, 2, 5).reshape(-1, 3, h * side, w * side)

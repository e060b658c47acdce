"""Features: packed rows of vectors plus the (t, h, w) grid of every item; what encoders and connectors exchange.

Shape letters: N rows of all items, C values per patch, D width.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import groupby
from math import prod

import torch
from torch import Tensor

from anyvlm.errors import InputError
from anyvlm.parts.cut import Cut
from anyvlm.spec import Spec

Grid = tuple[int, int, int]
"""Rows of one item in time, height and width."""


@dataclass(frozen=True)
class Features:
    """x_ND: the rows of all items one after another; grids: their shapes; texts: of each item the ids of words that belong
    to it, for connectors that read them (`Stream.reads`).
    """

    x_ND: Tensor
    grids: tuple[Grid, ...]
    texts: tuple[tuple[int, ...], ...] = ()

    def __post_init__(self) -> None:
        rows = sum(map(prod, self.grids))
        if rows != len(self.x_ND):
            raise ValueError(f"{len(self.x_ND)} rows for grids {self.grids}, which have {rows}")

    def items(self) -> tuple[Tensor, ...]:
        """The rows of each item."""
        rows: tuple[Tensor, ...] = self.x_ND.split([prod(grid) for grid in self.grids])
        return rows

    def groups(self) -> list[tuple[Grid, Tensor]]:
        """Neighbouring items of one grid as batches (grid, x_BND): the form in which they are computed together."""
        out, start = [], 0
        for grid, run in groupby(self.grids):
            count = len(list(run))
            rows = count * prod(grid)
            out.append((grid, self.x_ND[start : start + rows].unflatten(0, (count, -1))))
            start += rows
        return out


def square(h: int, w: int, t: int, *, size: int, patch: int) -> Grid:
    """Patches of t pictures, which must be of `size`. Raises InputError."""
    if (h, w) != (size, size):
        raise InputError(f"This encoder takes pictures of {size} x {size} pixels, not {w} x {h}.")
    return (t, h // patch, w // patch)


def whole(h: int, w: int, t: int, *, patch: int) -> Grid:
    """Patches of t pictures, whose sides must be multiples of one. Raises InputError."""
    if h % patch or w % patch or not h or not w:
        raise InputError(f"This encoder takes sides that are multiples of {patch} pixels, not {w} x {h}.")
    return (t, h // patch, w // patch)


def patches(pixels_BCHW: Tensor, patch: int, frames: int = 1) -> Tensor:
    """Pixels -> (B / frames * h * w, C * frames * patch * patch) in row order, each patch as a convolution would read it.

    `frames`: so many pictures, neighbours in time, make one patch; it divides B. What is left over on the right and below
    is not read (SigLIP at 384 pixels has 27 patches of 14).
    """
    _, C, H, W = pixels_BCHW.shape
    h, w = H // patch, W // patch
    x = pixels_BCHW[:, :, : h * patch, : w * patch].reshape(-1, frames, C, h, patch, w, patch)
    return x.permute(0, 3, 5, 2, 1, 4, 6).reshape(-1, C * frames * patch * patch)


def pictures(x_BnC: Tensor, grid: Grid, patch: int) -> Tensor:
    """Patches of one grid (B, h * w, 3 * patch * patch) -> pictures (B, 3, H, W): the inverse of `patches`."""
    _, h, w = grid
    x = x_BnC.reshape(-1, h, w, 3, patch, patch).permute(0, 3, 1, 4, 2, 5)
    return x.reshape(-1, 3, h * patch, w * patch)


def still(pixels_CHW: Tensor, encoder: Encoder) -> Tensor:
    """The patches of one picture, which an encoder of video sees standing still for as long as a patch lasts."""
    return encoder.cut(pixels_CHW)


def moving(pixels_TCHW: Tensor, encoder: Encoder) -> Tensor:
    """The patches of a video; its last frame stands still until the last patch is full."""
    rest = -len(pixels_TCHW) % encoder.frames
    return patches(torch.cat([pixels_TCHW, pixels_TCHW[-1:].expand(rest, -1, -1, -1)]), encoder.patch, encoder.frames)


class Encoder(Spec):
    """Contract of encoders: patches (N, C) and grids -> Features of `width`. A patch lasts `frames` pictures of a video."""

    patch: int
    frames: int = 1

    @property
    def out(self) -> int:
        """Width of the rows it returns."""
        raise NotImplementedError

    def grid(self, h: int, w: int, t: int = 1) -> Grid:
        """Grid of patches for t pictures of h x w pixels. Raises InputError for a size it cannot take."""
        raise NotImplementedError

    def rows(self, grid: Grid) -> Grid:
        """Grid of the rows it returns for a grid of patches."""
        return grid

    @property
    def alone(self) -> bool:
        """Its module gives the first row of every item alone, for less work: `first(x_NC, grids, places_N) -> (B, width)`."""
        return False

    def cut(self, array: Tensor) -> Tensor:
        """The patches (n, C) of one array (channels, h, w), which stands still for as long as a patch lasts."""
        return patches(array.expand(self.frames, -1, -1, -1), self.patch, self.frames)

    def build(self) -> torch.nn.Module:
        """The module: forward(x_NC, grids) -> Features."""
        raise NotImplementedError


class Connector(Spec):
    """Contract of connectors: Features of the encoder -> Features of the language model's width."""

    def count(self, grid: Grid) -> Grid:
        """Grid of the rows it returns for an item of this grid."""
        return grid

    def width(self, into: int, out: int) -> int:
        """Width of the rows it returns: the language model's, unless it leaves that step to inserts."""
        return out

    def build(self, into: int, out: int) -> torch.nn.Module:
        """The module for rows of width `into`, which it turns into rows of `width(into, out)`."""
        raise NotImplementedError


class Join(Spec):
    """Contract of joins: the rows of all arrays that one picture was cut into -> the rows it gives the sequence."""

    def count(self, cut: Cut, grids: tuple[Grid, ...]) -> tuple[Grid, ...]:
        """Grids of the rows it returns for a picture whose arrays have rows of these grids."""
        raise NotImplementedError

    def build(self, width: int) -> torch.nn.Module:
        """The module: forward(features of all arrays, the cut of every picture) -> Features."""
        raise NotImplementedError

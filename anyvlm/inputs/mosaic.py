"""Pictures enlarged or shrunk to a fixed longer edge, cut into tiles, the whole picture behind them (Idefics3, SmolVLM)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from PIL import Image

from anyvlm.errors import SpecError
from anyvlm.inputs.policy import Array, ImagePolicy, Policy
from anyvlm.parts.cut import Cut

_MOST = 4096  # pixels of an edge, beyond which the reference shrinks once more


@dataclass(frozen=True, kw_only=True)
class Mosaic(Policy):
    """The longer edge becomes `longest` pixels, then both edges are rounded up to whole tiles (the picture bends a little);
    that is cut into tiles of `one.size`, and, made one tile small, comes last. What fits into one tile is one array.

    `longest` is reached by small pictures too, so N tiles' worth of pixels always makes N tiles along the longer edge.
    Source: transformers `image_processing_pil_idefics3.py`, whose roundings these are, and which resizes three times.
    """

    one: ImagePolicy
    longest: int

    def __post_init__(self) -> None:
        if self.one.size[0] != self.one.size[1] or self.one.fit != "stretch":
            raise SpecError("Mosaic: `one` must make square tiles with fit 'stretch'.")
        if not self.one.size[0] <= self.longest <= _MOST:
            raise SpecError(f"Mosaic: `longest` is {self.longest}; it must lie between a tile's side and {_MOST} pixels.")

    def cut(self, width: int, height: int) -> Cut:
        """The tiles, then the whole."""
        side, (w, h) = self.one.size[0], self.canvas(*self.scaled(width, height))
        lattice = (h // side, w // side) if max(w, h) > side else (0, 0)
        return Cut((width, height), (self.one.size,) * (lattice[0] * lattice[1] + 1), lattice, last=True)

    def scaled(self, width: int, height: int) -> tuple[int, int]:
        """(width, height) with the longer edge `longest`, the other one even and at least 1."""
        ratio = width / height
        if width >= height:
            return self.longest, max(1, _even(int(self.longest / ratio)))
        return max(1, _even(int(self.longest * ratio))), self.longest

    def canvas(self, width: int, height: int) -> tuple[int, int]:
        """(width, height) of the tiles together, for a scaled picture."""
        side, ratio = self.one.size[0], width / height
        if width >= height:
            width = _tiles(width, side)
            return width, _tiles(int(width / ratio), side)
        height = _tiles(height, side)
        return _tiles(int(height * ratio), side), height

    def arrays(self, image: Image.Image) -> list[Array]:
        """The tiles row by row, then the whole."""
        one, side = self.one, self.one.size[0]
        scaled = self.scaled(*image.size)
        whole = one.resized(one.resized(image, *scaled), *self.canvas(*scaled))
        if max(whole.size) <= side:
            return [one.values(np.asarray(whole))]
        values = one.values(np.asarray(whole))
        tiles = [
            np.ascontiguousarray(values[:, y : y + side, x : x + side])
            for y in range(0, whole.height, side)
            for x in range(0, whole.width, side)
        ]
        return [*tiles, one.apply(whole)]


def _even(length: int) -> int:
    return length + length % 2


def _tiles(length: int, side: int) -> int:
    return -(-length // side) * side

"""Aria's pictures (2410.05993): the longer side of one length, the whole alone or before its tiles.

Source: rhymes-ai/Aria 9b25fec `aria/model/vision_processor.py`; transformers `image_processing_pil_aria.py` pads to a square
and masks, which leaves the same patches.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from PIL import Image

from anyvlm.inputs.policy import HALF, Array, ImagePolicy, Policy, Resample, Triple
from anyvlm.parts.cut import Cut


@dataclass(frozen=True, kw_only=True)
class Longest(Policy):
    """The longer side made `longest` pixels, the shorter in proportion but at least `least`; black up to whole patches.

    `multiple`: side of a patch. value = (pixel * rescale - mean) / std
    """

    longest: int
    least: int
    multiple: int = 14
    resample: Resample = "bicubic"
    rescale: float = 1 / 255
    mean: Triple = HALF
    std: Triple = HALF

    def scaled(self, width: int, height: int) -> tuple[int, int]:
        """(width, height) after the resize."""
        scale = self.longest / max(width, height)
        if width >= height:
            return self.longest, max(int(height * scale), self.least)
        return max(int(width * scale), self.least), self.longest

    def size(self, width: int, height: int) -> tuple[int, int]:
        """(height, width) of the array."""
        w, h = self.scaled(width, height)
        return -(-h // self.multiple) * self.multiple, -(-w // self.multiple) * self.multiple

    def cut(self, width: int, height: int) -> Cut:
        """One array."""
        return Cut((width, height), (self.size(width, height),))

    def arrays(self, image: Image.Image) -> list[Array]:
        """One array."""
        one = ImagePolicy(
            size=(self.longest, self.longest), fit="stretch", resample=self.resample, rescale=self.rescale, mean=self.mean,
            std=self.std,
        )  # fmt: skip
        w, h = self.scaled(*image.size)
        canvas = np.zeros((*self.size(*image.size), 3), np.uint8)
        canvas[:h, :w] = np.asarray(one.resized(image, w, h))
        return [one.values(canvas)]


@dataclass(frozen=True, kw_only=True)
class Stretched(Policy):
    """The whole picture, then its tiles, all made by `one`: the picture stretched onto the lattice of `lattices` whose
    proportions are nearest, and cut.

    lattices: (columns, rows). Of two equally near ones the later is taken if the picture fills more than half of it.
    transformers' `split_image` is another one: it cuts a padded picture, in pieces smaller than a tile, and has no whole.
    """

    one: Longest
    lattices: tuple[tuple[int, int], ...]
    resample: Resample = "bicubic"

    def lattice(self, width: int, height: int) -> tuple[int, int]:
        """(columns, rows) for a picture of this size."""
        best, nearest = (1, 1), float("inf")
        for columns, rows in self.lattices:
            off = abs(width / height - columns / rows)
            fills = width * height > 0.5 * self.one.longest * self.one.longest * columns * rows
            if off < nearest or (off == nearest and fills):
                best, nearest = (columns, rows), off
        return best

    def cut(self, width: int, height: int) -> Cut:
        """The whole, then the tiles."""
        columns, rows = self.lattice(width, height)
        whole, side = self.one.size(width, height), self.one.longest
        if (columns, rows) == (1, 1):
            return Cut((width, height), (self.one.size(side, side),))
        return Cut((width, height), (whole, *(self.one.size(side, side),) * (columns * rows)), (rows, columns))

    def arrays(self, image: Image.Image) -> list[Array]:
        """The whole, then the tiles row by row."""
        (columns, rows), side = self.lattice(*image.size), self.one.longest
        stretch = ImagePolicy(size=(side, side), fit="stretch", resample=self.resample)
        large = stretch.resized(image, columns * side, rows * side)
        boxes = [(x * side, y * side, x * side + side, y * side + side) for y in range(rows) for x in range(columns)]
        tiles = [array for box in boxes for array in self.one.arrays(large.crop(box))]
        return [*self.one.arrays(image), *tiles] if len(tiles) > 1 else tiles

"""Large pictures cut into tiles of the encoder's size, beside the whole picture made small."""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil, floor

import numpy as np
from PIL import Image

from anyvlm.errors import SpecError
from anyvlm.inputs.policy import Array, ImagePolicy, Policy
from anyvlm.parts.cut import Cut


@dataclass(frozen=True, kw_only=True)
class AnyRes(Policy):
    """LLaVA-NeXT: the picture made as large as fits, on black, on the one of `pinpoints` that shows most of it and wastes
    least; that is cut into tiles. The whole picture, stretched to one tile, comes first.

    `one`: how a single tile is made; pinpoints: (height, width) in pixels, multiples of its size. Sources: transformers'
    `image_processing_llava_next.py`; haotian-liu/LLaVA `mm_utils.py` (`process_anyres_image`).
    """

    one: ImagePolicy
    pinpoints: tuple[tuple[int, int], ...]

    def __post_init__(self) -> None:
        h, w = self.one.size
        if not self.pinpoints or any(a % h or b % w for a, b in self.pinpoints):
            raise SpecError(f"AnyRes: the pinpoints {self.pinpoints} are not made of tiles of {self.one.size}.")

    def cut(self, width: int, height: int) -> Cut:
        """The whole, then the tiles."""
        h, w = self.canvas(width, height)
        lattice = (h // self.one.size[0], w // self.one.size[1])
        return Cut((width, height), (self.one.size,) * (1 + lattice[0] * lattice[1]), lattice)

    def canvas(self, width: int, height: int) -> tuple[int, int]:
        """The pinpoint (height, width) for a picture of this size."""

        def worth(point: tuple[int, int]) -> tuple[int, int]:
            scale = min(point[1] / width, point[0] / height)
            shown = min(int(width * scale) * int(height * scale), width * height)
            return shown, shown - point[0] * point[1]

        return max(self.pinpoints, key=worth)

    def arrays(self, image: Image.Image) -> list[Array]:
        """The whole, then the tiles row by row."""
        (h, w), (side_h, side_w) = self.canvas(*image.size), self.one.size
        across, down = w / image.width, h / image.height
        if across < down:
            wide, high = w, min(ceil(image.height * across), h)
        else:
            wide, high = min(ceil(image.width * down), w), h
        canvas = np.zeros((h, w, 3), np.uint8)
        top, left = (h - high) // 2, (w - wide) // 2
        canvas[top : top + high, left : left + wide] = np.asarray(self.one.resized(image, wide, high))
        values = self.one.values(canvas)
        tiles = [
            np.ascontiguousarray(values[:, y : y + side_h, x : x + side_w])
            for y in range(0, h, side_h)
            for x in range(0, w, side_w)
        ]
        return [self.one.but(fit="stretch").apply(image), *tiles]


@dataclass(frozen=True, kw_only=True)
class Canvas(Policy):
    """Llama 3.2: the picture on one canvas of up to `most` tiles, which the encoder cuts itself; no second, whole view.

    The canvas enlarges the picture least, or else shrinks it least; of equal ones it is the smallest. The picture lies in its
    upper left corner, on black, and is not enlarged beyond one tile. `one`: how a tile is made. Source: transformers
    `image_processing_pil_mllama.py`.
    """

    one: ImagePolicy
    most: int

    def cut(self, width: int, height: int) -> Cut:
        """One array, as large as the canvas."""
        return Cut((width, height), (self.canvas(width, height),))

    def canvas(self, width: int, height: int) -> tuple[int, int]:
        """(height, width) of the canvas for a picture of this size."""
        h, w = self.one.size
        sizes = [(a * h, b * w) for a in range(1, self.most + 1) for b in range(1, self.most + 1) if a * b <= self.most]
        scales = {size: min(size[0] / height, size[1] / width) for size in sizes}
        larger = [scale for scale in scales.values() if scale >= 1]
        scale = min(larger) if larger else max(scales.values())
        return min((size for size in sizes if scales[size] == scale), key=lambda size: size[0] * size[1])

    def arrays(self, image: Image.Image) -> list[Array]:
        """One array."""
        canvas_h, canvas_w = self.canvas(*image.size)
        h = min(max(image.height, self.one.size[0]), canvas_h)
        w = min(max(image.width, self.one.size[1]), canvas_w)
        down, across = h / image.height, w / image.width
        if across < down:
            h = min(floor(image.height * across) or 1, h)
        else:
            w = min(floor(image.width * down) or 1, w)
        pixels = np.zeros((canvas_h, canvas_w, 3), np.uint8)
        pixels[:h, :w] = np.asarray(self.one.resized(image, w, h))
        return [self.one.values(pixels)]

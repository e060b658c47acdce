"""Detectors' pictures: the shorter side of one length, the longer one limited, zeros up to whole patches.

Sources: facebookresearch/detectron2 `ResizeShortestEdge`, `ImageList.from_tensors` (FC-CLIP); microsoft/GLIP 9dda955
`data/transforms/transforms.py`, `structures/image_list.py`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from PIL import Image

from anyvlm.inputs.policy import CLIP_MEAN, CLIP_STD, Array, ImagePolicy, Policy, Resample, Triple
from anyvlm.parts.cut import Cut


@dataclass(frozen=True, kw_only=True)
class Shortest(Policy):
    """The shorter side made `short` pixels, the longer in proportion but at most `longest`; then zeros on the right and below
    up to multiples of `multiple`, behind the normalisation, so that they stand for the mean colour.

    `nearest`: both sides are scaled and rounded to the nearest pixel (detectron2); else the shorter one is chosen so that the
    longer fits, and the longer rounded down (maskrcnn_benchmark). `bgr`: blue comes first, and `mean` and `std` are in that
    order. value = (pixel * rescale - mean) / std
    """

    short: int
    longest: int
    multiple: int = 32
    nearest: bool = True
    bgr: bool = False
    resample: Resample = "bilinear"
    rescale: float = 1 / 255
    mean: Triple = CLIP_MEAN
    std: Triple = CLIP_STD

    def scaled(self, width: int, height: int) -> tuple[int, int]:
        """(height, width) after the resize."""
        least, most = min(width, height), max(width, height)
        if self.nearest:
            scale = self.short / least
            if scale * most > self.longest:
                scale = self.longest / most
            return max(1, int(height * scale + 0.5)), max(1, int(width * scale + 0.5))
        short = self.short
        if most / least * short > self.longest:
            short = round(self.longest * least / most)
        if least == short:
            return height, width
        return (max(1, int(short * height / width)), short) if width < height else (short, max(1, int(short * width / height)))

    def size(self, width: int, height: int) -> tuple[int, int]:
        """(height, width) of the array."""
        h, w = self.scaled(width, height)
        return -(-h // self.multiple) * self.multiple, -(-w // self.multiple) * self.multiple

    def cut(self, width: int, height: int) -> Cut:
        """One array."""
        return Cut((width, height), (self.size(width, height),))

    def arrays(self, image: Image.Image) -> list[Array]:
        """One array."""
        h, w = self.scaled(*image.size)
        one = ImagePolicy(
            size=(h, w), fit="stretch", resample=self.resample, rescale=self.rescale, mean=self.mean, std=self.std
        )
        pixels = np.asarray(one.resized(image, w, h))
        out = np.zeros((3, *self.size(*image.size)), np.float32)
        out[:, :h, :w] = one.values(pixels[:, :, ::-1] if self.bgr else pixels)
        return [out]

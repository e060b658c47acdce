"""The whole picture in a square: its longer side resized to the square's, the rest filled with one colour (DeepSeek-VL, Janus).

Sources: deepseek-ai/Janus `janus/models/image_processing_vlm.py`; transformers `image_processing_pil_janus.py`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from PIL import Image

from anyvlm.inputs.policy import HALF, Array, ImagePolicy, Policy, Resample, Triple
from anyvlm.parts.cut import Cut


@dataclass(frozen=True, kw_only=True)
class Letterbox(Policy):
    """A square of `size` pixels. `least`: a side is never resized below it; `nearest`: the shorter side is rounded to the
    nearest pixel, as transformers does, and not down, as the authors do. The other fields are those of `ImagePolicy`.
    """

    size: int
    fill: tuple[int, int, int] = (127, 127, 127)
    least: int = 14
    nearest: bool = False
    resample: Resample = "bicubic"
    rescale: float = 1 / 255
    mean: Triple = HALF
    std: Triple = HALF

    def inner(self, width: int, height: int) -> tuple[int, int]:
        """(height, width) of a picture inside the square."""
        longer, into = max(width, height), round if self.nearest else int
        # each in its source's order of operations, which decides how the last pixel is rounded
        sides = ((s * (self.size / longer) if self.nearest else s / longer * self.size) for s in (height, width))
        h, w = (max(into(side), self.least) for side in sides)
        return h, w

    def cut(self, width: int, height: int) -> Cut:
        """One array."""
        return Cut((width, height), ((self.size, self.size),))

    def arrays(self, image: Image.Image) -> list[Array]:
        """One array."""
        h, w = self.inner(*image.size)
        side = max(h, w)
        values = ImagePolicy(
            size=(side, side), fit="stretch", resample=self.resample, rescale=self.rescale, mean=self.mean, std=self.std
        )
        pixels = np.full((side, side, 3), self.fill, np.uint8)
        top, left = (side - h) // 2, (side - w) // 2
        pixels[top : top + h, left : left + w] = np.asarray(values.resized(image, w, h))
        return [values.values(pixels)]

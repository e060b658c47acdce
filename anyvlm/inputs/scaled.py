"""A picture brought to one area, its proportions kept up to whole multiples (EVEv2)."""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil, sqrt

from PIL import Image

from anyvlm.inputs.policy import CLIP_MEAN, CLIP_STD, Array, ImagePolicy, Policy, Resample, Triple
from anyvlm.parts.cut import Cut


@dataclass(frozen=True, kw_only=True)
class Scaled(Policy):
    """Enlarged or shrunk to the area of a square of `side` pixels, then both sides rounded up to multiples of `multiple`.

    value = (pixel * rescale - mean) / std. Source: baaivision/EVE cc63ec7 EVEv2/eve/mm_utils.py (`process_images`).
    """

    side: int
    multiple: int
    resample: Resample = "bicubic"
    rescale: float = 1 / 255
    mean: Triple = CLIP_MEAN
    std: Triple = CLIP_STD

    def plan(self, width: int, height: int) -> tuple[int, int]:
        """(height, width) of the pixel array."""
        scale, one = sqrt(width * height) / self.side, self.multiple
        return max(ceil(height / scale / one) * one, one), max(ceil(width / scale / one) * one, one)

    def cut(self, width: int, height: int) -> Cut:
        """One array."""
        return Cut((width, height), (self.plan(width, height),))

    def arrays(self, image: Image.Image) -> list[Array]:
        """One array."""
        size = self.plan(*image.size)
        whole = ImagePolicy(
            size=size, fit="stretch", resample=self.resample, rescale=self.rescale, mean=self.mean, std=self.std
        )
        return [whole.apply(image)]

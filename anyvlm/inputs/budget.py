"""A picture at its own proportions, as large as a number of patches allows (SigLIP 2 NaFlex)."""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil

from PIL import Image

from anyvlm.errors import SpecError
from anyvlm.inputs.policy import HALF, Array, ImagePolicy, Policy, Resample, Triple
from anyvlm.parts.cut import Cut

_FINE = 1e-5  # the search ends where scales differ less


@dataclass(frozen=True, kw_only=True)
class Budget(Policy):
    """Scaled, up or down, to the largest size whose sides, rounded up to whole patches, have at most `most` of them.

    value = (pixel * rescale - mean) / std. Source: transformers' `image_processing_pil_siglip2.py`.
    """

    most: int
    patch: int
    resample: Resample = "bilinear"
    rescale: float = 1 / 255
    mean: Triple = HALF
    std: Triple = HALF

    def __post_init__(self) -> None:
        if min(self.most, self.patch) < 1:
            raise SpecError(f"Budget: most ({self.most}) and patch ({self.patch}) must be at least 1.")

    def plan(self, width: int, height: int) -> tuple[int, int]:
        """(height, width) of the pixel array, by halving the interval of scales as the reference does."""
        low, high = _FINE / 10, 100.0
        while high - low >= _FINE:
            scale = (low + high) / 2
            h, w = self._sides(scale, width, height)
            low, high = (scale, high) if (h / self.patch) * (w / self.patch) <= self.most else (low, scale)
        return self._sides(low, width, height)

    def _sides(self, scale: float, width: int, height: int) -> tuple[int, int]:
        h, w = (max(self.patch, ceil(side * scale / self.patch) * self.patch) for side in (height, width))
        return h, w

    def cut(self, width: int, height: int) -> Cut:
        """One array."""
        return Cut((width, height), (self.plan(width, height),))

    def arrays(self, image: Image.Image) -> list[Array]:
        """One array."""
        whole = ImagePolicy(
            size=self.plan(*image.size), fit="stretch", resample=self.resample, rescale=self.rescale, mean=self.mean,
            std=self.std,
        )  # fmt: skip
        return [whole.apply(image)]

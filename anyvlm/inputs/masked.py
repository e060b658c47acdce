"""A picture and a region of it as four channels (Alpha-CLIP)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from PIL import Image

from anyvlm.errors import InputError
from anyvlm.inputs.policy import Array, ImagePolicy, Policy
from anyvlm.parts.cut import Cut

Mask = Image.Image | npt.NDArray[np.bool_]
"""Of the picture's size: what is True, or not black, is the region."""


@dataclass(frozen=True, kw_only=True)
class Masked(Policy):
    """`one` for the picture; alpha is 1 in the region and 0 outside, (alpha - mean) / std. Without a region it is 1 everywhere.

    The mask is resized and cropped with the picture. The authors' example stretches it to the square instead, so that on
    pictures that are not square their mask lies beside what it marks.
    """

    one: ImagePolicy
    mean: float = 0.5
    std: float = 0.26

    def cut(self, width: int, height: int) -> Cut:
        """One array."""
        return self.one.cut(width, height)

    def arrays(self, image: Image.Image) -> list[Array]:
        """One array (4, height, width) of the whole picture."""
        return [self._with(self.one.apply(image), np.float32(1))]

    def region(self, image: Image.Image, mask: Mask) -> Array:
        """The array (4, height, width) of a region. Raises InputError for a mask of another size, or of nothing."""
        found = np.asarray(mask.convert("L") if isinstance(mask, Image.Image) else mask) != 0
        if found.shape != (image.height, image.width):
            raise InputError(f"A mask has shape {found.shape}; give one of {image.height} x {image.width}, as the picture is.")
        if not found.any():
            raise InputError("A mask marks nothing; leave it out, or mark what to look at.")
        grey = Image.fromarray(found.astype(np.uint8) * 255)
        flat = self.one.but(mean=(0.0, 0.0, 0.0), std=(1.0, 1.0, 1.0), resample="bilinear", fill=(0, 0, 0))
        return self._with(self.one.apply(image), flat.apply(Image.merge("RGB", (grey,) * 3))[0])

    def _with(self, rgb: Array, alpha: npt.NDArray[np.float32] | np.float32) -> Array:
        whole = np.broadcast_to((alpha - np.float32(self.mean)) / np.float32(self.std), rgb.shape[1:])
        return np.concatenate([rgb, whole[None].astype(np.float32)])

"""Views of a picture for training: random cuts, and what SimCLR and its kin do to colours.

Numbers: facebookresearch/SLIP `main.py` (the chances and strengths of MoCo v3).
"""

from __future__ import annotations

from math import exp, log, sqrt

import numpy as np
from PIL import Image, ImageEnhance, ImageFilter, ImageOps

Random = np.random.Generator
_TRIES = 10  # as torchvision's RandomResizedCrop, before the middle is taken


def crop(image: Image.Image, rng: Random, share: tuple[float, float] = (0.5, 1.0)) -> Image.Image:
    """A cut of `share` of the area, at 3:4 to 4:3, anywhere; the policy then makes it as large as the tower wants."""
    width, height = image.size
    for _ in range(_TRIES):
        area, ratio = rng.uniform(*share) * width * height, exp(rng.uniform(log(3 / 4), log(4 / 3)))
        w, h = round(sqrt(area * ratio)), round(sqrt(area / ratio))
        if 0 < w <= width and 0 < h <= height:
            x, y = int(rng.integers(width - w + 1)), int(rng.integers(height - h + 1))
            return image.crop((x, y, x + w, y + h)).resize((side := max(w, h), side), Image.Resampling.BICUBIC)
    return ImageOps.fit(image, (min(image.size),) * 2, Image.Resampling.BICUBIC)


def view(image: Image.Image, rng: Random) -> Image.Image:
    """A small cut with other colours: jitter 0.4 (hue 0.1) in 8 of 10, grey in 2 of 10, blurred in half, mirrored in half."""
    out = crop(image, rng, (0.08, 1.0))
    if rng.random() < 0.8:
        for kind in rng.permutation(["brightness", "contrast", "colour", "hue"]):
            out = _enhanced(str(kind), out, rng)
    if rng.random() < 0.2:
        out = ImageOps.grayscale(out).convert("RGB")
    if rng.random() < 0.5:
        out = out.filter(ImageFilter.GaussianBlur(rng.uniform(0.1, 2.0)))
    return ImageOps.mirror(out) if rng.random() < 0.5 else out


def _enhanced(kind: str, image: Image.Image, rng: Random) -> Image.Image:
    factor = rng.uniform(0.6, 1.4)
    match kind:
        case "brightness":
            return ImageEnhance.Brightness(image).enhance(factor)
        case "contrast":
            return ImageEnhance.Contrast(image).enhance(factor)
        case "colour":
            return ImageEnhance.Color(image).enhance(factor)
    by = round(255 * rng.uniform(-0.1, 0.1))
    hue, *rest = image.convert("HSV").split()
    return Image.merge("HSV", (hue.point([(n + by) % 256 for n in range(256)]), *rest)).convert("RGB")

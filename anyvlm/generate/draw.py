"""What an answer found, drawn on the picture: boxes and their labels, points, masks."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from anyvlm.inputs.regions import XYXY, Box, Mask, Point

_COLOURS = ("#e6194b", "#1f77ff", "#1fa64a", "#d37a00", "#911eb4", "#008f95", "#d4159f", "#7a5c00")
_TINT = 0.45  # share of the colour inside a mask


def draw(
    image: Image.Image, boxes: Sequence[Box] = (), points: Sequence[Point] = (), masks: Sequence[Mask] = ()
) -> Image.Image:
    """A copy of an RGB picture with everything on it; a mask has the colour of its box. Masks still in code are left out."""
    out = image.convert("RGB")
    places = [*(box.xyxy for box in boxes), *(mask.xyxy for mask in masks)]
    colour = {xyxy: _COLOURS[n % len(_COLOURS)] for n, xyxy in enumerate(dict.fromkeys(places))}
    for mask in masks:
        if mask.grid is not None:
            out = _tinted(out, mask, colour[mask.xyxy])
    pen = _Pen(out)
    for box in boxes:
        pen.box(box.xyxy, colour[box.xyxy])
    for n, point in enumerate(points, len(colour)):
        pen.point(point.xy, _COLOURS[n % len(_COLOURS)])
    for box in boxes:  # names last, so that no line crosses them
        pen.name(box.label, box.xyxy, colour[box.xyxy])
    for n, point in enumerate(points, len(colour)):
        x, y = point.xy
        pen.name(point.label, (x + 2 * pen.width, y, x, y), _COLOURS[n % len(_COLOURS)])
    return out


def _tinted(image: Image.Image, mask: Mask, colour: str) -> Image.Image:
    """The colour over the inside, opaque at its border."""
    inside = mask.pixels
    padded = np.pad(inside, 1)
    core = padded[1:-1, 1:-1] & padded[:-2, 1:-1] & padded[2:, 1:-1] & padded[1:-1, :-2] & padded[1:-1, 2:]
    share = np.where(inside & ~core, 1.0, np.where(inside, _TINT, 0.0))
    plain = Image.new("RGB", image.size, colour)
    return Image.composite(plain, image, Image.fromarray((share * 255).round().astype(np.uint8)))


class _Pen:
    """Lines and letters in proportion to the picture."""

    def __init__(self, image: Image.Image) -> None:
        self.image, self.on = image, ImageDraw.Draw(image)
        side = max(image.size)
        self.width = max(1, round(side / 250))
        self.font = ImageFont.load_default(size=max(10, round(side / 45)))

    def box(self, xyxy: XYXY, colour: str) -> None:
        """Lines lie inside the box, and inside the picture where it ends there."""
        left, top, right, bottom = xyxy
        width, height = self.image.size
        (x1, x2), (y1, y2) = sorted((left, right)), sorted((top, bottom))
        x1, y1 = max(0.0, min(x1, width - 1)), max(0.0, min(y1, height - 1))
        x2, y2 = max(x1, min(x2, width) - 1), max(y1, min(y2, height) - 1)
        self.on.rectangle((round(x1), round(y1), round(x2), round(y2)), outline=colour, width=self.width)

    def point(self, xy: tuple[float, float], colour: str) -> None:
        """A disc with a light ring."""
        (x, y), r = xy, 2 * self.width + 1
        self.on.ellipse((x - r, y - r, x + r, y + r), fill=colour, outline="white", width=max(1, self.width // 2))

    def name(self, label: str, xyxy: XYXY, colour: str) -> None:
        """White on the colour, above the upper left corner, or below it where there is no room; always in the picture."""
        if not label:
            return
        left, top = xyxy[:2]
        pad = self.width
        x1, y1, x2, y2 = self.on.textbbox((0, 0), label, font=self.font)
        wide, high = x2 - x1 + 2 * pad, y2 - y1 + 2 * pad
        x = max(0.0, min(left, self.image.width - wide))
        y = top - high if top >= high else min(max(top, 0.0), self.image.height - high)
        self.on.rectangle((round(x), round(y), round(x + wide), round(y + high)), fill=colour)
        self.on.text((round(x + pad - x1), round(y + pad - y1)), label, fill="white", font=self.font)

"""Pictures in plain numpy and PIL: backgrounds, pasting of icons, placing without overlap."""

from __future__ import annotations

import numpy as np
from numpy.random import Generator
from PIL import Image

from anyvlm.data.icons import Icon
from anyvlm.data.sample import SIDE, Box, Pixels

COLOURS: dict[str, tuple[int, int, int]] = {
    "red": (220, 40, 40),
    "orange": (245, 145, 30),
    "yellow": (250, 220, 50),
    "green": (50, 160, 70),
    "blue": (45, 95, 215),
    "purple": (135, 60, 175),
    "pink": (245, 150, 190),
    "brown": (125, 80, 45),
    "black": (22, 22, 22),
    "white": (250, 250, 250),
    "grey": (140, 140, 140),
}
MARGIN = 4  # pixels between things


def shade(rng: Generator, colour: str, spread: int = 12) -> Pixels:
    """(3,) uint8: a little different from the named colour each time."""
    return np.clip(np.array(COLOURS[colour]) + rng.integers(-spread, spread + 1, 3), 0, 255).astype(np.uint8)


def _plain(rng: Generator) -> Pixels:
    return np.broadcast_to(rng.integers(0, 256, 3, dtype=np.uint8), (SIDE, SIDE, 3)).copy()


def _light(rng: Generator) -> Pixels:
    return np.broadcast_to(rng.integers(215, 256, 3, dtype=np.uint8), (SIDE, SIDE, 3)).copy()


def _gradient(rng: Generator) -> Pixels:
    corners = rng.integers(0, 256, (2, 2, 3), dtype=np.uint8)
    return np.asarray(Image.fromarray(corners).resize((SIDE, SIDE), Image.Resampling.BILINEAR)).copy()


def _clouds(rng: Generator) -> Pixels:
    cells = int(rng.integers(3, 24))
    base, spread = rng.integers(30, 226, 3), int(rng.integers(10, 60))
    coarse = np.clip(base + rng.integers(-spread, spread + 1, (cells, cells, 1 if rng.random() < 0.6 else 3)), 0, 255)
    smooth = Image.fromarray(coarse.astype(np.uint8)).resize((SIDE, SIDE), Image.Resampling.BICUBIC)
    return np.asarray(smooth).copy()


def _noise(rng: Generator) -> Pixels:
    base, spread = rng.integers(40, 216, 3), int(rng.integers(5, 40))
    grain = rng.integers(-spread, spread + 1, (SIDE, SIDE, 1))
    pixels: Pixels = np.clip(base + grain, 0, 255).astype(np.uint8)
    return pixels


def _stripes(rng: Generator) -> Pixels:
    step, second = int(rng.integers(6, 40)), bool(rng.random() < 0.5)
    x, y = np.arange(SIDE) // step, np.arange(SIDE)[:, None] // step
    mask = (x + y if second else np.broadcast_to(x, (SIDE, SIDE))) % 2
    if rng.random() < 0.5:
        mask = mask.T
    base = rng.integers(40, 216, 3)
    pair = np.clip(np.stack([base, base + rng.integers(-40, 41, 3)]), 0, 255).astype(np.uint8)
    return pair[mask]


_KINDS = (_light, _plain, _gradient, _clouds, _noise, _stripes)
_SHARES = (0.3, 0.2, 0.15, 0.15, 0.1, 0.1)


def background(rng: Generator) -> Pixels:
    """(224, 224, 3) uint8: light, plain, gradient, clouds, noise or stripes."""
    return _KINDS[int(rng.choice(len(_KINDS), p=_SHARES))](rng)


def coloured_background(rng: Generator, colour: str) -> Pixels:
    """(224, 224, 3) uint8 in one named colour."""
    return np.broadcast_to(shade(rng, colour), (SIDE, SIDE, 3)).copy()


def prepare(rng: Generator, icon: Icon, size: int, mirrors: bool, turns: bool = True) -> Icon:
    """Trim the empty border, scale the longer side to `size`, and vary: flip, rotation to 12 degrees, light jitter.

    icon: (h, w, 4) uint8 RGBA with straight alpha. Returns (h, w, 4) uint8, premultiplied by alpha.
    """
    rows, columns = np.flatnonzero(icon[..., 3].any(1)), np.flatnonzero(icon[..., 3].any(0))
    trimmed = icon[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    if mirrors and rng.random() < 0.5:
        trimmed = trimmed[:, ::-1]
    picture = Image.fromarray(np.ascontiguousarray(trimmed)).convert("RGBa")
    scale = size / max(picture.size)
    shape = max(1, round(picture.width * scale)), max(1, round(picture.height * scale))
    picture = picture.resize(shape, Image.Resampling.BILINEAR, reducing_gap=2.0)
    if turns and rng.random() < 0.4:
        turned = picture.rotate(float(rng.uniform(-12, 12)), Image.Resampling.BILINEAR, expand=True)
        picture = turned if max(turned.size) <= SIDE - 2 * MARGIN else picture
    pixels = np.asarray(picture)
    if turns and rng.random() < 0.5:
        gain = np.append(rng.uniform(0.85, 1.0, 3), 1.0)
        pixels = (pixels * gain).astype(np.uint8)
    return pixels


def paste(canvas: Pixels, icon: Icon, x: int, y: int) -> None:
    """Lay a premultiplied icon on the canvas, in place."""
    h, w = icon.shape[:2]
    under = canvas[y : y + h, x : x + w]
    clear = 255 - icon[..., 3:].astype(np.uint16)
    canvas[y : y + h, x : x + w] = np.minimum(icon[..., :3] + (under * clear + 127) // 255, 255).astype(np.uint8)


def overlaps(a: tuple[int, int, int, int], b: tuple[int, int, int, int]) -> bool:
    """Whether two boxes (x0, y0, x1, y1) come nearer than MARGIN."""
    return not (a[2] + MARGIN <= b[0] or b[2] + MARGIN <= a[0] or a[3] + MARGIN <= b[1] or b[3] + MARGIN <= a[1])


def find_place(rng: Generator, size: tuple[int, int], taken: list[Box], tries: int = 40) -> tuple[int, int] | None:
    """A random (x, y) for something of `size` (width, height) that keeps clear of `taken` and the border, or None."""
    width, height = size
    if width > SIDE - 2 * MARGIN or height > SIDE - 2 * MARGIN:
        return None
    xs = rng.integers(MARGIN, SIDE - MARGIN - width + 1, tries)
    ys = rng.integers(MARGIN, SIDE - MARGIN - height + 1, tries)
    for x, y in zip(xs.tolist(), ys.tolist(), strict=True):
        box = (x, y, x + width, y + height)
        if not any(overlaps(box, other[:4]) for other in taken):
            return x, y
    return None

"""Where the arrays that an encoder reads lie over a picture: what is cut, what is padded, what is left out.

Told from sizes alone, by the arithmetic of each policy. Rectangles are in pixels of the picture, and reach beyond it where a
policy pads.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil, floor
from typing import TYPE_CHECKING

from anyvlm.inputs.letterbox import Letterbox
from anyvlm.inputs.longest import Longest, Stretched
from anyvlm.inputs.masked import Masked
from anyvlm.inputs.policy import ImagePolicy, Policy
from anyvlm.inputs.shortest import Shortest
from anyvlm.inputs.tiles import AnyRes, Canvas
from anyvlm.parts.vision.tiled import TiledViT

if TYPE_CHECKING:
    from anyvlm.parts.cut import Cut
    from anyvlm.parts.features import Connector, Encoder

Frame = tuple[float, float, float, float]
"""Left, top, right, bottom."""


@dataclass(frozen=True)
class Window:
    """One array over the picture: its place there, its size (height, width) in pixels as the encoder reads it, its patches and
    the rows that the connector makes of them (lines, columns). `whole`: it is the whole picture beside tiles. `learned`: rows
    are those of learned queries, which lie nowhere in the picture. `tiles`: lines and columns into which the encoder itself
    cuts the array.
    """

    frame: Frame
    size: tuple[int, int]
    patches: tuple[int, int]
    rows: tuple[int, int]
    whole: bool = False
    learned: bool = False
    tiles: tuple[int, int] = (1, 1)


def windows(policy: Policy, encoder: Encoder, connector: Connector | None, cut: Cut) -> tuple[Window, ...]:
    """Every array of a picture that was cut so, in the order in which the encoder reads them."""
    whole = _frame(policy, *cut.picture, cut.sizes[-1 if cut.last else 0])
    frames = [whole]
    if cut.tiles:
        tiles = _tiles(_canvas(policy, cut), cut.lattice)
        frames = [*tiles, whole] if cut.last else [whole, *tiles]
        frames = frames if len(frames) == len(cut.sizes) else tiles
    out = []
    for n, (frame, size) in enumerate(zip(frames, cut.sizes, strict=True)):
        patches = encoder.grid(*size)
        seen = encoder.rows(patches)
        rows = seen if connector is None else connector.count(seen)
        alone = cut.tiles > 0 and len(frames) > cut.tiles and n == (len(frames) - 1 if cut.last else 0)
        learned = rows != seen and rows[1] == 1 < rows[2]
        side = encoder.tile if isinstance(encoder, TiledViT) else max(size)
        own = -(-size[0] // side), -(-size[1] // side)
        out.append(Window(frame, size, patches[1:], rows[1:], alone, learned, own))
    return tuple(out)


def _frame(policy: Policy, width: int, height: int, size: tuple[int, int]) -> Frame:
    """Of an array that holds the whole picture, or its middle."""
    match policy:
        case ImagePolicy(fit="crop"):
            short = policy.short or min(policy.size)
            scale = short / min(width, height)
            return _centred(width, height, policy.size[1] / scale, policy.size[0] / scale)
        case ImagePolicy(fit="pad"):
            side = max(width, height) * min(policy.size) / (policy.short or min(policy.size))
            return _centred(width, height, side, side)
        case ImagePolicy(fit="corner"):
            scale = min(1.0, policy.size[0] / height, policy.size[1] / width)
            return 0, 0, size[1] / scale, size[0] / scale
        case Letterbox():
            h, w = policy.inner(width, height)
            return _centred(width, height, size[1] * width / w, size[0] * height / h)
        case Longest():
            w, h = policy.scaled(width, height)
            return 0, 0, size[1] * width / w, size[0] * height / h
        case Shortest():
            h, w = policy.scaled(width, height)
            return 0, 0, size[1] * width / w, size[0] * height / h
        case Stretched():
            return _frame(policy.one, width, height, size)
        case Canvas():
            return _upper_left(policy, width, height, size)
        case Masked():
            return _frame(policy.one, width, height, size)
    return 0, 0, width, height


def _canvas(policy: Policy, cut: Cut) -> Frame:
    """Of all tiles together."""
    width, height = cut.picture
    if isinstance(policy, AnyRes):
        h, w = policy.canvas(width, height)
        across, down = w / width, h / height
        wide, high = (w, min(ceil(height * across), h)) if across < down else (min(ceil(width * down), w), h)
        left, top = (w - wide) // 2 * width / wide, (h - high) // 2 * height / high
        return -left, -top, w * width / wide - left, h * height / high - top
    return 0, 0, width, height


def _tiles(canvas: Frame, lattice: tuple[int, int]) -> list[Frame]:
    """Line by line."""
    left, top, right, bottom = canvas
    rows, columns = lattice
    wide, high = (right - left) / columns, (bottom - top) / rows
    corners = [(left + x * wide, top + y * high) for y in range(rows) for x in range(columns)]
    return [(x, y, x + wide, y + high) for x, y in corners]


def _upper_left(policy: Canvas, width: int, height: int, size: tuple[int, int]) -> Frame:
    """Llama 3.2's, as `Canvas.arrays` lays it."""
    h, w = min(max(height, policy.one.size[0]), size[0]), min(max(width, policy.one.size[1]), size[1])
    down, across = h / height, w / width
    if across < down:
        h = min(floor(height * across) or 1, h)
    else:
        w = min(floor(width * down) or 1, w)
    return 0, 0, size[1] * width / w, size[0] * height / h


def _centred(width: int, height: int, wide: float, high: float) -> Frame:
    left, top = (width - wide) / 2, (height - high) / 2
    return left, top, left + wide, top + high

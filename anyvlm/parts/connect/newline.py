"""Tiles put together again: padding taken off, a learned vector at the end of every line (LLaVA-NeXT, LLaVA-OneVision).

Source: transformers `modeling_llava_next.py` (`pack_image_features`, `unpad_image`), haotian-liu/LLaVA `llava_arch.py`.
Shape letters: N rows, D width, h, w lines and columns of the stitched tiles.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import islice

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from anyvlm.parts.cut import Cut
from anyvlm.parts.features import Features, Grid, Join
from anyvlm.parts.init import normal


@dataclass(frozen=True, kw_only=True)
class Newlines(Join):
    """Rows of the whole picture, then those of the stitched tiles without padding, every line closed by `newline`.

    `most`: stitched tiles with more rows than so many whole pictures are made smaller ("anyres_max_9" is 9). Frames of a
    video are made `pool` times smaller, each for itself, and `newline` stands once behind the last (LLaVA-OneVision).
    """

    most: int | None = None
    pool: int = 1

    def count(self, cut: Cut, grids: tuple[Grid, ...]) -> tuple[Grid, ...]:
        """The whole's grid, and the stitched one with a column more."""
        whole = grids[0]
        if cut.frames:
            return self.pooled(whole), (1, 1, 1)
        if not cut.tiles:
            return whole, (1, 1, 1)
        top, left, h, w = self.kept(cut, whole)
        h, w = self.shrunk(h, w, whole)
        return whole, (1, h, w + 1)

    def kept(self, cut: Cut, grid: Grid) -> tuple[int, int, int, int]:
        """(top, left, height, width) of the picture among the stitched rows of tiles of this grid."""
        width, height = cut.picture
        h, w = cut.lattice[0] * grid[1], cut.lattice[1] * grid[2]
        if width / height > w / h:
            top = (h - int(round(height * (w / width), 7))) // 2
            return top, 0, h - 2 * top, w
        left = (w - int(round(width * (h / height), 7))) // 2
        return 0, left, h, w - 2 * left

    def shrunk(self, h: int, w: int, grid: Grid) -> tuple[int, int]:
        """The size to which stitched rows h x w are made smaller, if at all."""
        if self.most is None:
            return h, w
        ratio = (h * w / (self.most * grid[1] * grid[2])) ** 0.5
        return (int(h // ratio), int(w // ratio)) if ratio > 1.1 else (h, w)

    def pooled(self, grid: Grid) -> Grid:
        """That of a video's frames."""
        t, h, w = grid
        return t, -(-h // self.pool), -(-w // self.pool)

    def build(self, width: int) -> nn.Module:
        """The module."""
        return NewlinesModule(self, width)


class NewlinesModule(nn.Module):
    """Rows of arrays -> rows of pictures; `newline` (D) is learned."""

    def __init__(self, spec: Newlines, width: int) -> None:
        super().__init__()
        self.spec = spec
        self.newline = normal(width)

    def forward(self, features: Features, cuts: tuple[Cut, ...]) -> Features:
        """Whole and tiles of every picture in the order of its cut."""
        items, grids = iter(features.items()), iter(features.grids)
        rows: list[Tensor] = []
        out: list[Grid] = []
        for cut in cuts:
            own, shapes = list(islice(items, 1 + cut.tiles)), tuple(islice(grids, 1 + cut.tiles))
            first = self._pooled(own[0], shapes[0]) if cut.frames else own[0]
            rows += [first, self._tiles(own[1:], cut, shapes[0]) if cut.tiles else self.newline[None]]
            out += self.spec.count(cut, shapes)
        return Features(torch.cat(rows), tuple(out))

    def _pooled(self, x_ND: Tensor, grid: Grid) -> Tensor:
        t, h, w = grid
        x_tDhw = x_ND.view(t, h, w, -1).permute(0, 3, 1, 2)
        x_tDhw = F.interpolate(x_tDhw, self.spec.pooled(grid)[1:], mode="bilinear")
        return x_tDhw.permute(0, 2, 3, 1).reshape(-1, x_ND.shape[-1])

    def _tiles(self, tiles: list[Tensor], cut: Cut, grid: Grid) -> Tensor:
        (R, C), (_, a, b) = cut.lattice, grid
        x_hwD = torch.stack(tiles).view(R, C, a, b, -1).transpose(1, 2).reshape(R * a, C * b, -1)
        top, left, h, w = self.spec.kept(cut, grid)
        x_hwD = x_hwD[top : top + h, left : left + w]
        if (size := self.spec.shrunk(h, w, grid)) != (h, w):
            x_hwD = F.interpolate(x_hwD.permute(2, 0, 1)[None], size, mode="bilinear")[0].permute(1, 2, 0)
        line = self.newline.expand(len(x_hwD), 1, -1)
        return torch.cat([x_hwD, line], 1).flatten(0, 1)

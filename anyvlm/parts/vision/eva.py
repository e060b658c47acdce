"""EVA's towers (2211.07636, 2303.15389): a class token, learned places, keys without bias; EVA-02's rows also turn by place.

Sources: timm `eva.py`; baaivision/EVA `EVA-CLIP/rei/eva_clip/eva_vit_model.py`.
Shape letters: N rows of all items, C values per patch, B items, n patches of a picture, D width.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from anyvlm.parts.features import Encoder, Features, Grid, square
from anyvlm.parts.init import normal
from anyvlm.parts.keyless import Keyless, turns_2d


@dataclass(frozen=True, kw_only=True)
class EvaViT(Encoder):
    """Pictures of `size` pixels. `side`: patches turn as if there were so many on a side, whatever the size (EVA-02); None: no
    patch turns. `keep_cls`: the class token is returned as the first row.
    """

    width: int
    depth: int
    patch: int
    size: int
    block: Keyless
    side: int | None = None
    keep_cls: bool = False

    @property
    def out(self) -> int:
        """Width of the returned rows."""
        return self.width

    def grid(self, h: int, w: int, t: int = 1) -> Grid:
        """Patches of t pictures, which are of `size`."""
        return square(h, w, t, size=self.size, patch=self.patch)

    def rows(self, grid: Grid) -> Grid:
        """With the class token kept the rows are a list, no longer a grid."""
        t, h, w = grid
        return (t, 1, h * w + 1) if self.keep_cls else grid

    def build(self) -> nn.Module:
        """The module."""
        return EvaEncoder(self)


class EvaEncoder(nn.Module):
    """Patches (N, C) -> Features, normed. Parameters: stem, cls, pos, blocks, norm."""

    def __init__(self, spec: EvaViT) -> None:
        super().__init__()
        self.spec = spec
        self.stem, self.cls = nn.Linear(3 * spec.patch**2, spec.width), normal(spec.width, std=0.02)
        self.pos = normal((spec.size // spec.patch) ** 2 + 1, spec.width, std=0.02)
        self.blocks = nn.ModuleList(spec.block.build(spec.width) for _ in range(spec.depth))
        self.norm = spec.block.norm.build(spec.width)

    def forward(self, x_NC: Tensor, grids: tuple[Grid, ...]) -> Features:
        """x_NC: flattened patches of all items, row by row; grids: their patches in time, height and width."""
        outs = [self._run(x_BnC, grid).flatten(0, 1) for grid, x_BnC in Features(x_NC, grids).groups()]
        return Features(outs[0] if len(outs) == 1 else torch.cat(outs), tuple(map(self.spec.rows, grids)))

    def _run(self, x_BnC: Tensor, grid: Grid) -> Tensor:
        spec, (_, h, w) = self.spec, grid
        x = self.stem(x_BnC.reshape(-1, h * w, x_BnC.shape[-1]).to(self.pos.dtype))
        x, turns = torch.cat([self.cls.expand(len(x), 1, -1), x], 1) + self.pos, None
        if spec.side is not None:
            cos, sin = turns_2d(h, w, spec.width // spec.block.heads, spec.side)
            turns = cos.to(x.device), sin.to(x.device)
        for block in self.blocks:
            x = block(x, turns)
        out: Tensor = self.norm(x)
        return out if spec.keep_cls else out[:, 1:]

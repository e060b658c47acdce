"""The vision tower of Llama 3.2 (2407.21783): all tiles of a picture in one sequence, a local and a gated global stack.

Sources: meta-llama/llama-models `models/llama3/reference_impl/multimodal/{model,encoder_utils}.py`; transformers
`modeling_mllama.py`. Shape letters: N patches of all pictures, C values per patch, B pictures, M tiles a picture can have,
p patches of a tile, n = p + 1 with the class token, L = n rounded up to a multiple of 8, D width, H heads.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from anyvlm.errors import InputError
from anyvlm.parts.attention import attend
from anyvlm.parts.features import Encoder, Features, Grid
from anyvlm.parts.ffn import MLP
from anyvlm.parts.init import normal
from anyvlm.parts.norm import LayerNorm

EIGHT = 8  # the rows of a tile are padded to a multiple of this


@dataclass(frozen=True, kw_only=True)
class TiledViT(Encoder):
    """A ViT over up to `most` tiles of `tile` pixels, which lie on one canvas.

    `top`: blocks of the global stack. `layers`: hidden states of the local stack that stand beside the final one, feature by
    feature: 0 is what enters the first block. Padding takes part as in the original: only from one row of padding to
    another nothing is seen.
    """

    width: int
    depth: int
    top: int
    heads: int
    patch: int
    tile: int
    most: int
    ffn: MLP
    norm: LayerNorm
    layers: tuple[int, ...]

    @property
    def out(self) -> int:
        """Width of the returned rows."""
        return self.width * (1 + len(self.layers))

    @property
    def side(self) -> int:
        """Patches along a tile."""
        return self.tile // self.patch

    @property
    def shapes(self) -> tuple[tuple[int, int], ...]:
        """(rows, columns) of tiles that a canvas can have, in the order of their embeddings."""
        sides = range(1, self.most + 1)
        return tuple((rows, columns) for rows in sides for columns in sides if rows * columns <= self.most)

    def grid(self, h: int, w: int, t: int = 1) -> Grid:
        """Patches of a canvas. Raises InputError for one that is not made of at most `most` tiles."""
        if h % self.tile or w % self.tile or (h // self.tile, w // self.tile) not in self.shapes:
            raise InputError(f"This encoder takes up to {self.most} tiles of {self.tile} pixels, not {w} x {h} pixels.")
        return (t, h // self.patch, w // self.patch)

    def rows(self, grid: Grid) -> Grid:
        """Tile by tile, a class token and the patches."""
        _, h, w = grid
        return (1, h * w // self.side**2, 1 + self.side**2)

    def build(self) -> TiledViTEncoder:
        """The module."""
        return TiledViTEncoder(self)


class _Attention(nn.Module):
    def __init__(self, spec: TiledViT) -> None:
        super().__init__()
        self.heads = spec.heads
        self.qkv, self.o = nn.Linear(spec.width, 3 * spec.width, bias=False), nn.Linear(spec.width, spec.width, bias=False)

    def forward(self, x_BnD: Tensor, added: Tensor) -> Tensor:
        q, k, v = self.qkv(x_BnD).unflatten(-1, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)
        out: Tensor = self.o(attend(q, k, v, added).transpose(1, 2).flatten(2))
        return out


class _Block(nn.Module):
    def __init__(self, spec: TiledViT, gated: bool) -> None:
        super().__init__()
        self.norm1, self.norm2 = spec.norm.build(spec.width), spec.norm.build(spec.width)
        self.attn, self.ffn = _Attention(spec), spec.ffn.build(spec.width)
        self.gated = gated
        if gated:
            self.gate1, self.gate2 = nn.Parameter(torch.zeros(1)), nn.Parameter(torch.zeros(1))

    def forward(self, x: Tensor, added: Tensor) -> Tensor:
        y = self.attn(self.norm1(x), added)
        x = x + (self.gate1.tanh() * y if self.gated else y)
        y = self.ffn(self.norm2(x))
        out: Tensor = x + (self.gate2.tanh() * y if self.gated else y)
        return out


class _TileEmbedding(nn.Module):
    """A vector for every tile of every shape of canvas; shape 0 is never used."""

    def __init__(self, spec: TiledViT) -> None:
        super().__init__()
        self.table = normal(len(spec.shapes) + 1, spec.most * spec.width, std=0.02)
        self.gate = nn.Parameter(torch.zeros(1))

    def forward(self, x_BMnD: Tensor, shape_B: Tensor) -> Tensor:
        added = self.table[shape_B].unflatten(1, (x_BMnD.shape[1], 1, -1))
        out: Tensor = x_BMnD + added * self.gate.tanh()
        return out


class TiledViTEncoder(nn.Module):
    """Patches (N, C) of canvases -> Features, tile by tile."""

    def __init__(self, spec: TiledViT) -> None:
        super().__init__()
        self.spec, n = spec, spec.side**2 + 1
        self.stem = nn.Linear(3 * spec.patch**2, spec.width, bias=False)
        self.cls = normal(spec.width, std=spec.width**-0.5)
        self.before, self.between = _TileEmbedding(spec), _TileEmbedding(spec)
        self.pos = normal(n, spec.width, std=spec.width**-0.5)
        self.tile_pos = normal(len(spec.shapes) + 1, spec.most * n * spec.width, std=0.02)
        self.pos_gate = nn.Parameter(torch.zeros(1))
        self.norm_pre, self.norm_post = spec.norm.build(spec.width), spec.norm.build(spec.width)
        self.blocks = nn.ModuleList(_Block(spec, gated=False) for _ in range(spec.depth))
        self.top = nn.ModuleList(_Block(spec, gated=True) for _ in range(spec.top))

    def forward(self, x_NC: Tensor, grids: tuple[Grid, ...]) -> Features:
        """Canvases one after another, patches row by row of the canvas."""
        spec, s = self.spec, self.spec.side
        tiles, shapes = [], []
        for (_, h, w), x_nC in zip(grids, Features(x_NC, grids).items(), strict=True):
            x = x_nC.view(h // s, s, w // s, s, -1).transpose(1, 2).reshape(-1, s * s, x_nC.shape[1])
            tiles.append(F.pad(x, (0, 0, 0, 0, 0, spec.most - len(x))))
            shapes.append(spec.shapes.index((h // s, w // s)) + 1)
        used_B = [h * w // s**2 for _, h, w in grids]
        rows_BMnO = self._run(torch.stack(tiles), torch.tensor(shapes, device=x_NC.device), used_B)
        rows = torch.cat([rows[:used].flatten(0, 1) for rows, used in zip(rows_BMnO, used_B, strict=True)])
        return Features(rows, tuple(map(spec.rows, grids)))

    def _run(self, x_BMpC: Tensor, shape_B: Tensor, used_B: list[int]) -> Tensor:
        """(B, M, n, out). Tiles beyond those used are zeros, and take part as padding."""
        spec = self.spec
        x = self.before(self.stem(x_BMpC.to(self.pos.dtype)), shape_B)
        x = torch.cat([self.cls.expand(*x.shape[:2], 1, -1), x], 2)
        n, gate = x.shape[2], self.pos_gate.tanh()
        x = x + (1 - gate) * self.pos + gate * self.tile_pos[shape_B].unflatten(1, (spec.most, n, -1))
        x = F.pad(self.norm_pre(x), (0, 0, 0, -n % EIGHT))
        pad_BML = torch.ones(x.shape[:3], dtype=torch.bool, device=x.device)
        for picture, used in enumerate(used_B):
            pad_BML[picture, :used, :n] = False
        pad = pad_BML.flatten(1)
        # the smallest number, not -inf: a row of padding that sees only padding would have nothing to take a softmax over
        added = (pad[:, None, :, None] & pad[:, None, None, :]).to(x.dtype) * torch.finfo(x.dtype).min
        x = x.flatten(1, 2)
        states = [x]
        for block in self.blocks:
            x = block(x, added)
            states.append(x)
        x = self.between(self.norm_post(x).unflatten(1, (spec.most, -1)), shape_B).flatten(1, 2)
        for block in self.top:
            x = block(x, added)
        beside = torch.stack([states[layer] for layer in spec.layers], -1).flatten(2)
        rows: Tensor = torch.cat([x, beside], -1).unflatten(1, (spec.most, -1))[:, :, :n]
        return rows

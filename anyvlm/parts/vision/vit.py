"""The plain vision transformer with its published variations: CLIP, SigLIP, DINOv2.

Sources: ViT (2010.11929); transformers `modeling_clip.py`, `modeling_siglip.py`, `modeling_dinov2.py`.
Shape letters: N rows of all items, C values per patch, B items, n tokens per item, D width, H heads, h head width.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from anyvlm.errors import InputError
from anyvlm.parts.features import Encoder, Features, Grid
from anyvlm.parts.ffn import GLU, MLP
from anyvlm.parts.init import normal
from anyvlm.parts.norm import LayerNorm
from anyvlm.parts.prenorm import NormLast, PreNorm
from anyvlm.parts.sincos import sincos_2d


@dataclass(frozen=True, kw_only=True)
class ViT(Encoder):
    """A ViT trained at `size` pixels.

    `layers`: which hidden states are returned, side by side: -1 is the last block's output, -2 the one before (LLaVA), 0 the
    embeddings; () is the last one after the final norm. `cls`: it has a class token; `keep_cls`: that token is returned as
    the first row; `skip`: so many of the first patches are left out (Maya's tower drops the first, as if it were a class
    token). `norm_last`: the norms of a block stand behind attention and feed-forward, before the sum (EVA2-CLIP-E).
    `sincos`: places begin as sines and cosines, which recipes leave as they are (MAE), else they are drawn.
    `resize`: other sizes than `size` interpolate the position table, else they are refused; `antialias`: bilinear, and smoothed
    where the table shrinks (SigLIP 2 NaFlex), else bicubic (DINOv2).
    """

    width: int
    depth: int
    heads: int
    patch: int
    size: int
    ffn: MLP | GLU
    norm: LayerNorm
    cls: bool = True
    keep_cls: bool = False
    skip: int = 0
    stem_bias: bool = False
    pre_norm: bool = False
    post_norm: bool = True
    layer_scale: bool = False
    norm_last: bool = False
    sincos: bool = False
    resize: bool = False
    antialias: bool = False
    layers: tuple[int, ...] = ()

    @property
    def out(self) -> int:
        """Width of the returned rows."""
        return self.width * max(1, len(self.layers))

    def grid(self, h: int, w: int, t: int = 1) -> Grid:
        """Whole patches in t pictures of h x w pixels, which are `size` unless positions are interpolated."""
        if not self.resize and (h, w) != (self.size, self.size):
            raise InputError(f"This encoder takes pictures of {self.size} x {self.size} pixels, not {w} x {h}.")
        if min(h, w) < self.patch:
            raise InputError(f"A picture of {w} x {h} pixels is smaller than one patch of {self.patch} pixels.")
        return (t, h // self.patch, w // self.patch)

    def rows(self, grid: Grid) -> Grid:
        """With the class token kept or patches skipped the rows are a list, no longer a grid."""
        t, h, w = grid
        return (t, 1, h * w + self.keep_cls - self.skip) if self.keep_cls or self.skip else grid

    @property
    def alone(self) -> bool:
        """It has a class token that is the last block's."""
        return self.cls and self.keep_cls and not self.layers and not self.skip

    def build(self) -> ViTEncoder:
        """The module."""
        return ViTEncoder(self)

    @property
    def block(self) -> PreNorm:
        """Each of its blocks."""
        block = NormLast if self.norm_last else PreNorm
        return block(heads=self.heads, ffn=self.ffn, norm=self.norm, layer_scale=self.layer_scale)

    @property
    def runs(self) -> int:
        """Blocks that must be computed for `layers`; later ones are only kept for export."""
        return max((layer if layer >= 0 else self.depth + 1 + layer for layer in self.layers), default=self.depth)


class ViTEncoder(nn.Module):
    """Patches (N, C) -> Features; items of one grid are computed as a batch."""

    def __init__(self, spec: ViT) -> None:
        super().__init__()
        self.spec = spec
        self.stem: nn.Module = nn.Linear(3 * spec.patch**2, spec.width, bias=spec.stem_bias)
        self.pos = _fixed(spec) if spec.sincos else normal((spec.size // spec.patch) ** 2 + spec.cls, spec.width, std=0.02)
        if spec.cls:
            self.cls = normal(spec.width, std=0.02)
        if spec.pre_norm:
            self.norm_pre = spec.norm.build(spec.width)
        self.blocks = nn.ModuleList(spec.block.build(spec.width) for _ in range(spec.depth))
        if spec.post_norm:
            self.norm = spec.norm.build(spec.width)

    def forward(self, x_NC: Tensor, grids: tuple[Grid, ...], places_N: Tensor | None = None) -> Features:
        """x_NC: flattened patches of all items, row by row; grids: their patches in time, height and width.

        places_N: of every patch its place in a whole picture, where some were left out; `grids` then count what is left.
        """
        outs = [x_BRD.flatten(0, 1) for x_BRD in self._each(x_NC, grids, places_N)]
        return Features(outs[0] if len(outs) == 1 else torch.cat(outs), tuple(map(self.spec.rows, grids)))

    def first(self, x_NC: Tensor, grids: tuple[Grid, ...], places_N: Tensor | None = None) -> Tensor:
        """The first row (B, D) of what `forward` returns for every item, where `spec.alone`: the last block has no others."""
        return torch.cat([x_BRD[:, 0] for x_BRD in self._each(x_NC, grids, places_N, rows=1)])

    def _each(
        self, x_NC: Tensor, grids: tuple[Grid, ...], places_N: Tensor | None, rows: int | None = None
    ) -> Iterator[Tensor]:
        start = 0
        for grid, x_BnC in Features(x_NC, grids).groups():
            stop = start + x_BnC.shape[0] * x_BnC.shape[1]
            yield self._run(x_BnC, grid, None if places_N is None else places_N[start:stop], rows)
            start = stop

    def _run(self, x_BnC: Tensor, grid: Grid, places_N: Tensor | None = None, rows: int | None = None) -> Tensor:
        """One batch of equal grids: (B, n, C) -> (B, rows, out). Frames of one item do not see each other."""
        spec, x = self.spec, self.begin(x_BnC, grid, places_N)
        states = [x]
        for layer in range(spec.runs):
            x = self.through(layer, x, rows if layer == spec.runs - 1 else None)
            states.append(x)
        if spec.layers:
            x = torch.cat([states[layer if layer >= 0 else spec.depth + 1 + layer] for layer in spec.layers], -1)
        elif spec.post_norm:
            x = self.norm(x)
        kept: Tensor = x[:, int(spec.cls and not spec.keep_cls) + spec.skip :]
        return kept.reshape(len(x_BnC), -1, spec.out)

    def begin(self, x_BnC: Tensor, grid: Grid, places_N: Tensor | None = None) -> Tensor:
        """What the first block reads of a batch of equal grids: (B * t, class token and h * w patches, D)."""
        spec, (_, h, w) = self.spec, grid
        x: Tensor = self.stem(x_BnC.reshape(-1, h * w, x_BnC.shape[-1]).to(self.pos.dtype))
        if places_N is None:
            pos = self.positions(h, w)
            first, rest = pos[: int(spec.cls)], pos[int(spec.cls) :]
        elif spec.resize:
            raise InputError("Patches of an encoder that reads pictures of any size cannot be left out.")
        else:
            first, rest = self.pos[: int(spec.cls)], self.pos[int(spec.cls) :][places_N].view_as(x)
        x = x + rest
        if spec.cls:
            x = torch.cat([(self.cls + first[0]).expand(len(x), 1, -1), x], 1)
        if spec.pre_norm:
            x = self.norm_pre(x)
        return x

    def through(self, layer: int, x_BnD: Tensor, rows: int | None = None) -> Tensor:
        """The rows after a block; `rows`: so many of the first alone."""
        out: Tensor = self.blocks[layer](x_BnD, rows=rows)
        return out

    def positions(self, h: int, w: int) -> Tensor:
        """Position table for a grid of h x w patches, interpolated where it was learned for another."""
        spec, side = self.spec, self.spec.size // self.spec.patch
        if (h, w) == (side, side):
            return self.pos
        head, table = self.pos[: int(spec.cls)], self.pos[int(spec.cls) :]
        mode = "bilinear" if spec.antialias else "bicubic"
        square = table.float().reshape(1, side, side, -1).permute(0, 3, 1, 2)
        out = F.interpolate(square, size=(h, w), mode=mode, align_corners=False, antialias=spec.antialias)
        return torch.cat([head, out.permute(0, 2, 3, 1).reshape(h * w, -1).to(head.dtype)])


def _fixed(spec: ViT) -> nn.Parameter:
    """Sines and cosines; the class token has zeros."""
    side = spec.size // spec.patch
    table = normal(side**2 + spec.cls, spec.width, std=0.0)
    if not table.is_meta:
        table.data[int(spec.cls) :] = sincos_2d(side, side, spec.width)
    return table

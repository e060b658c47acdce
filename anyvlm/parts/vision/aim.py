"""AIM's towers (2401.08541, 2411.14402): no class token, a norm also on patches before they get a place; no bias in a block.

Sources: apple/ml-aim `aim-v1/aim/v1/torch/models.py`, `aim-v2/aim/v2/torch/models.py`; transformers `modeling_aimv2.py`.
Shape letters: N rows of all items, C values per patch, B items, n rows of an item, D width.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from anyvlm.errors import InputError
from anyvlm.parts.features import Encoder, Features, Grid, square
from anyvlm.parts.ffn import GLU, MLP
from anyvlm.parts.init import normal
from anyvlm.parts.norm import Norm
from anyvlm.parts.prenorm import PreNorm
from anyvlm.parts.sincos import sincos_2d


@dataclass(frozen=True, kw_only=True)
class NativeAimViT(Encoder):
    """Pictures of any whole number of patches; places are sines and cosines. `layers`: as in `ViT`; `averaged`: their mean,
    not all side by side.
    """

    width: int
    depth: int
    heads: int
    patch: int
    ffn: MLP | GLU
    norm: Norm
    layers: tuple[int, ...] = ()
    averaged: bool = False

    @property
    def out(self) -> int:
        """Width of the returned rows."""
        return self.width if self.averaged else self.width * max(1, len(self.layers))

    @property
    def runs(self) -> int:
        """Blocks that must be computed for `layers`; later ones are only kept for export and training."""
        return max((layer if layer >= 0 else self.depth + 1 + layer for layer in self.layers), default=self.depth)

    def grid(self, h: int, w: int, t: int = 1) -> Grid:
        """Whole patches in t pictures of h x w pixels."""
        if min(h, w) < self.patch:
            raise InputError(f"A picture of {w} x {h} pixels is smaller than one patch of {self.patch} pixels.")
        return (t, h // self.patch, w // self.patch)

    def build(self) -> nn.Module:
        """The module."""
        return NativeAimEncoder(self)


@dataclass(frozen=True, kw_only=True)
class AimViT(NativeAimViT):
    """Pictures of `size` pixels, whose patches have learned places."""

    size: int

    def grid(self, h: int, w: int, t: int = 1) -> Grid:
        """Patches of t pictures, which are of `size`."""
        return square(h, w, t, size=self.size, patch=self.patch)

    def build(self) -> nn.Module:
        """The module."""
        return AimEncoder(self)


class NativeAimEncoder(nn.Module):
    """Patches (N, C) -> Features. Parameters: stem, norm_pre, blocks, norm."""

    def __init__(self, spec: NativeAimViT) -> None:
        super().__init__()
        self.spec = spec
        self.stem, self.norm_pre = nn.Linear(3 * spec.patch**2, spec.width), spec.norm.build(spec.width)
        block = PreNorm(heads=spec.heads, ffn=spec.ffn, norm=spec.norm, bias=False)
        self.blocks = nn.ModuleList(block.build(spec.width) for _ in range(spec.depth))
        self.norm = spec.norm.build(spec.width)

    def forward(self, x_NC: Tensor, grids: tuple[Grid, ...]) -> Features:
        """x_NC: flattened patches of all items, row by row; grids: their patches in time, height and width."""
        outs = [self._run(x_BnC, grid).flatten(0, 1) for grid, x_BnC in Features(x_NC, grids).groups()]
        return Features(outs[0] if len(outs) == 1 else torch.cat(outs), grids)

    def _run(self, x_BnC: Tensor, grid: Grid) -> Tensor:
        """One batch of equal grids -> (B * t, h * w, out). Frames of one item do not see each other."""
        spec, states = self.spec, [self.begin(x_BnC, grid)]
        for block in self.blocks[: spec.runs]:
            states = [*states, block(states[-1])] if spec.layers else [block(states[-1])]
        if spec.layers:
            chosen = [states[layer if layer >= 0 else spec.depth + 1 + layer] for layer in spec.layers]
            return torch.stack(chosen, -1).mean(-1) if spec.averaged else torch.cat(chosen, -1)
        out: Tensor = self.norm(states[-1])
        return out

    def begin(self, x_BnC: Tensor, grid: Grid) -> Tensor:
        """What the first block reads, (B * t, h * w, D)."""
        _, h, w = grid
        x: Tensor = self.norm_pre(self.stem(x_BnC.reshape(-1, h * w, x_BnC.shape[-1]).to(self.stem.weight.dtype)))
        return x + self.places(h, w)

    def places(self, h: int, w: int) -> Tensor:
        """(h * w, D)."""
        return sincos_2d(h, w, self.spec.width, self.stem.weight.device).to(self.stem.weight.dtype)


class AimEncoder(NativeAimEncoder):
    """The same, and pos."""

    def __init__(self, spec: AimViT) -> None:
        super().__init__(spec)
        self.pos = normal((spec.size // spec.patch) ** 2, spec.width, std=0.02)

    def places(self, h: int, w: int) -> Tensor:
        """(h * w, D)."""
        return self.pos

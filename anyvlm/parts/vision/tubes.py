"""VideoMAE's encoder (2203.12602): tubes of two frames, all of a clip see each other; places are sines and cosines in one row.

Source: transformers `modeling_videomae.py`.
Shape letters: N rows of all items, C values per tube, B items, n rows of an item, D width.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from anyvlm.errors import InputError
from anyvlm.parts.features import Encoder, Features, Grid
from anyvlm.parts.keyless import Keyless
from anyvlm.parts.sincos import sincos_1d


@dataclass(frozen=True, kw_only=True)
class TubeViT(Encoder):
    """Clips of at most `length` pictures of `size` pixels; it was trained on whole ones. `post_norm`: rows are normed at the
    end, else they are left to a mean and a norm behind it (VideoMAE's classifiers).
    """

    width: int
    depth: int
    patch: int
    size: int
    block: Keyless
    frames: int = 2
    length: int = 16
    post_norm: bool = False

    @property
    def out(self) -> int:
        """Width of the returned rows."""
        return self.width

    def grid(self, h: int, w: int, t: int = 1) -> Grid:
        """Tubes of t pictures, which are of `size`."""
        if (h, w) != (self.size, self.size) or t > self.length:
            raise InputError(
                f"This encoder takes up to {self.length} pictures of {self.size} x {self.size} pixels, not {t} of {w} x {h}."
            )
        return (-(-t // self.frames), h // self.patch, w // self.patch)

    def build(self) -> nn.Module:
        """The module."""
        return TubeEncoder(self)


class TubeEncoder(nn.Module):
    """Tubes (N, C) -> Features. Parameters: stem, blocks, norm with a norm at the end."""

    def __init__(self, spec: TubeViT) -> None:
        super().__init__()
        self.spec, self.stem = spec, nn.Linear(3 * spec.frames * spec.patch**2, spec.width)
        self.blocks = nn.ModuleList(spec.block.build(spec.width) for _ in range(spec.depth))
        if spec.post_norm:
            self.norm = spec.block.norm.build(spec.width)

    def forward(self, x_NC: Tensor, grids: tuple[Grid, ...], keep_Bn: Tensor | None = None) -> Features | Tensor:
        """x_NC: flattened tubes of all items, row by row; grids: their tubes in time, height and width.

        `keep_Bn`: of clips of one grid, the tubes that are computed, as many in each; then rows (B, kept, D), as in training.
        """
        batches = Features(x_NC, grids).groups()
        if keep_Bn is not None:
            return self._run(batches[0][1], keep_Bn)
        return Features(torch.cat([self._run(x_BnC).flatten(0, 1) for _, x_BnC in batches]), grids)

    def _run(self, x_BnC: Tensor, keep_Bn: Tensor | None = None) -> Tensor:
        weight = self.stem.weight
        x = self.stem(x_BnC.to(weight.dtype))
        x = x + sincos_1d(x.shape[1], self.spec.width, weight.device).to(weight.dtype)
        if keep_Bn is not None:
            x = x[keep_Bn].unflatten(0, (len(x), -1))
        for block in self.blocks:
            x = block(x)
        out: Tensor = self.norm(x) if self.spec.post_norm else x
        return out


def tube_mask(grid: Grid, ratio: float, draw: torch.Generator | None = None) -> Tensor:
    """(n) bool, True on what is hidden: the same places of every frame, `ratio` of them rounded down."""
    t, h, w = grid
    hidden = torch.zeros(h * w, dtype=torch.bool)
    hidden[torch.randperm(h * w, generator=draw)[: int(ratio * h * w)]] = True
    return hidden.repeat(t)

"""VideoCLIP's video tower (2109.14084): features of another network, one row a second, read by layers of BERT.

Source: facebookresearch/fairseq 3d262bb `examples/MMPT/mmpt/{modules/mm,models/transformermodel,models/mmfusion}.py`.
Shape letters: N rows of all items, C values per row, B items, T rows of each, D width.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from anyvlm.errors import InputError
from anyvlm.parts.bert import PostNorm, PostNormBlock, Words
from anyvlm.parts.features import Encoder, Features, Grid
from anyvlm.parts.norm import LayerNorm


@dataclass(frozen=True, kw_only=True)
class SecondsBert(Encoder):
    """At most `most` rows of `into` values, mapped, between the words `first` and `last`; all see each other.

    `last` has the place behind the longest video, however long this one is. `norm`: between the two layers of the map; `block`:
    those of BERT.
    """

    into: int
    most: int
    vocab: int
    width: int
    depth: int
    context: int
    block: PostNorm
    first: int = 101
    last: int = 102
    norm: LayerNorm = LayerNorm(eps=1e-5)
    patch: int = 1

    @property
    def out(self) -> int:
        """Width of the returned rows."""
        return self.width

    def grid(self, h: int, w: int, t: int = 1) -> Grid:
        """h rows of w values."""
        if w != self.into or not 1 <= h <= self.most:
            raise InputError(f"This encoder takes 1 to {self.most} rows of {self.into} values, not {h} of {w}.")
        return (h, 1, 1)

    def rows(self, grid: Grid) -> Grid:
        """A list: words stand around them."""
        return (1, 1, grid[0] + 2)

    def cut(self, array: Tensor) -> Tensor:
        """(1, rows, values) -> (rows, values)."""
        return array.flatten(0, 1)

    def build(self) -> nn.Module:
        """The module."""
        return SecondsEncoder(self)


class SecondsEncoder(nn.Module):
    """Rows (N, C) -> Features. Parameters: up, norm, down; words, blocks."""

    def __init__(self, spec: SecondsBert) -> None:
        super().__init__()
        self.spec = spec
        self.up, self.norm = nn.Linear(spec.into, spec.width), spec.norm.build(spec.width)
        self.down = nn.Linear(spec.width, spec.width)
        words = Words(vocab=spec.vocab, context=spec.context, norm=spec.block.norm, kinds=2)
        self.words = words.build(spec.width)
        self.blocks = nn.ModuleList(spec.block.build(spec.width) for _ in range(spec.depth))

    def forward(self, x_NC: Tensor, grids: tuple[Grid, ...]) -> Features:
        """x_NC: rows of all items, one after another."""
        outs = [self._run(x_BTC).flatten(0, 1) for _, x_BTC in Features(x_NC, grids).groups()]
        return Features(torch.cat(outs), tuple(map(self.spec.rows, grids)))

    def _run(self, x_BTC: Tensor) -> Tensor:
        """Items of one length: (B, T, C) -> (B, T + 2, D)."""
        spec, words, (B, T, _) = self.spec, self.words, x_BTC.shape
        seen = self.down(self.norm(F.gelu(self.up(x_BTC.to(self.up.weight.dtype)))))
        ends = torch.tensor([[spec.first, spec.last]], device=seen.device).expand(B, -1)
        first, last = words.word(ends).split(1, 1)
        places = torch.tensor([*range(T + 1), spec.most + 1], device=seen.device)
        x: Tensor = words.norm(torch.cat([first, seen, last], 1) + words.pos[places] + words.kind[0])
        for block in self.blocks:
            assert isinstance(block, PostNormBlock)
            x = block.think(block.look(x))
        return x

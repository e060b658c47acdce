"""MobileCLIP-S0's text tower (2311.17049): attention between two blocks of convolutions along the text.

Source: apple/ml-mobileclip 4144bb1 `mobileclip/text_encoder.py` ("mct"), `mobileclip/modules/text/repmixer.py`.
Shape letters: B texts, T tokens, D width; texts as maps are (B, D, 1, T).
"""

from __future__ import annotations

from dataclasses import dataclass, fields

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from anyvlm.parts.ffn import MLP
from anyvlm.parts.init import normal
from anyvlm.parts.merge import Mergeable, merge
from anyvlm.parts.norm import LayerNorm
from anyvlm.parts.prenorm import PreNorm
from anyvlm.parts.text import TextEncoder
from anyvlm.parts.vision.resnet import EPS, BatchNorm


@dataclass(frozen=True, kw_only=True)
class HybridText(TextEncoder):
    """A block of convolutions of `side` tokens, `depth` blocks of attention, one more of convolutions, a norm.

    All tokens see each other, and what fills up a text too: it must be filled up to `context`, as in training. As it is
    trained: with branches.
    """

    vocab: int
    width: int
    depth: int
    heads: int
    context: int
    ffn: MLP
    norm: LayerNorm
    side: int = 11

    def build(self) -> nn.Module:
        """The module."""
        return HybridTextModule(self)

    def merged(self) -> MergedHybridText:
        """The spec whose weights `merge` makes of this one's."""
        return MergedHybridText(**{field.name: getattr(self, field.name) for field in fields(self)})


@dataclass(frozen=True, kw_only=True)
class MergedHybridText(HybridText):
    """The same after `merge`: every set of branches is one convolution."""

    def build(self) -> nn.Module:
        """The module."""
        return merge(HybridTextModule(self))


class LineMixer(Mergeable):
    """x + scale * (mixer(x) - norm(x)), channel by channel; mixer: a normed convolution along the text, and the rows normed.

    Parameters: conv, norm_conv, norm_same, norm, scale.
    """

    def __init__(self, width: int, side: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(width, width, (1, side), padding=(0, side // 2), groups=width, bias=False)
        self.norm_conv, self.norm_same, self.norm = BatchNorm(width), BatchNorm(width), BatchNorm(width)
        self.scale = nn.Parameter(torch.full((width,), 1e-5))

    def forward(self, x: Tensor) -> Tensor:
        """Maps."""
        mixed = self.norm_same(x) + self.norm_conv(self.conv(x))
        out: Tensor = x + self.scale[:, None, None] * (mixed - self.norm(x))
        return out

    def merged(self) -> nn.Conv2d:
        """One convolution."""
        width, _, _, side = self.conv.weight.shape
        (gain, bias), same, own = map(_affine, (self.norm_conv, self.norm_same, self.norm))
        weight = self.scale[:, None, None, None] * gain[:, None, None, None] * self.conv.weight
        weight[:, 0, 0, side // 2] += 1 + self.scale * (same[0] - own[0])
        with torch.device("meta"):
            made = nn.Conv2d(width, width, (1, side), padding=(0, side // 2), groups=width)
        made.weight, made.bias = nn.Parameter(weight.detach()), nn.Parameter((self.scale * (bias + same[1] - own[1])).detach())
        return made


def _affine(norm: BatchNorm) -> tuple[Tensor, Tensor]:
    """What a norm multiplies by and adds, in evaluation."""
    gain = norm.weight / (norm.var + EPS).sqrt()
    return gain, norm.bias - norm.mean * gain


class LineBlock(nn.Module):
    """Parameters: mixer, conv, norm, up, down, scale."""

    def __init__(self, width: int, hidden: int, side: int) -> None:
        super().__init__()
        self.mixer = LineMixer(width, side)
        self.conv = nn.Conv2d(width, width, (1, side), padding=(0, side // 2), groups=width, bias=False)
        self.norm, self.up, self.down = BatchNorm(width), nn.Conv2d(width, hidden, 1), nn.Conv2d(hidden, width, 1)
        self.scale = nn.Parameter(torch.full((width,), 1e-5))

    def forward(self, x_BTD: Tensor) -> Tensor:
        """Rows (B, T, D)."""
        x = self.mixer(x_BTD.transpose(1, 2)[:, :, None])
        x = x + self.scale[:, None, None] * self.down(F.gelu(self.up(self.norm(self.conv(x)))))
        out: Tensor = x[:, :, 0].transpose(1, 2)
        return out


class HybridTextModule(nn.Module):
    """Parameters: embed, pos, first, blocks, last, norm."""

    def __init__(self, spec: HybridText) -> None:
        super().__init__()
        self.embed = nn.Embedding(spec.vocab, spec.width, _weight=normal(spec.vocab, spec.width, std=0.02))
        self.pos = normal(spec.context, spec.width, std=spec.width**-0.5)
        self.first, self.last = (LineBlock(spec.width, spec.ffn.hidden, spec.side) for _ in range(2))
        block = PreNorm(heads=spec.heads, ffn=spec.ffn, norm=spec.norm)
        self.blocks = nn.ModuleList(block.build(spec.width) for _ in range(spec.depth))
        self.norm = spec.norm.build(spec.width)

    def forward(self, ids_BT: Tensor, seen_BT: Tensor | None = None) -> Tensor:
        """What fills up is read like text."""
        x = self.first(self.embed(ids_BT) + self.pos[: ids_BT.shape[1]])
        for block in self.blocks:
            x = block(x)
        out: Tensor = self.norm(self.last(x))
        return out

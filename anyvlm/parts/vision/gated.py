"""A vision transformer with gated blocks in front of its last ones, which alone learn what is new (REACT, 2301.07094).

Source: microsoft/react `react_customization/src/open_clip/transformer.py`.
Shape letters: B items, n rows of each, D width.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from anyvlm.parts.bert import SelfAttention
from anyvlm.parts.ffn import MLP
from anyvlm.parts.vision.vit import ViT, ViTEncoder


@dataclass(frozen=True, kw_only=True)
class GatedViT(ViT):
    """A ViT whose last `gated` blocks each have a gated block in front; `gate_ffn`: the feed-forward layer of these.

    Where training begins all gates are 0, and the rows are those of the ViT, bit for bit.
    """

    gated: int
    gate_ffn: MLP

    def build(self) -> ViTEncoder:
        """The module."""
        return GatedViTEncoder(self)


class GatedViTEncoder(ViTEncoder):
    """Parameters: those of a ViT, and gates.<layer>."""

    def __init__(self, spec: GatedViT) -> None:
        super().__init__(spec)
        layers = range(max(0, spec.depth - spec.gated), spec.depth)
        self.gates = nn.ModuleDict({str(layer): GatedBlock(spec) for layer in layers})

    def through(self, layer: int, x_BnD: Tensor, rows: int | None = None) -> Tensor:
        """The rows after the gated block, if there is one, and the block."""
        if (name := str(layer)) in self.gates:
            x_BnD = self.gates[name](x_BnD)
        return super().through(layer, x_BnD, rows)


class GatedBlock(nn.Module):
    """Parameters: norm1, attn, gate1, norm2, ffn, gate2."""

    def __init__(self, spec: GatedViT) -> None:
        super().__init__()
        self.norm1, self.norm2 = spec.norm.build(spec.width), spec.norm.build(spec.width)
        self.attn, self.ffn = SelfAttention(spec.width, spec.heads), spec.gate_ffn.build(spec.width)
        self.gate1, self.gate2 = nn.Parameter(torch.tensor(0.0)), nn.Parameter(torch.tensor(0.0))

    def forward(self, x_BnD: Tensor) -> Tensor:
        """Rows of `width`."""
        x = x_BnD + self.gate1.tanh() * self.attn(self.norm1(x_BnD))
        out: Tensor = x + self.gate2.tanh() * self.ffn(self.norm2(x))
        return out

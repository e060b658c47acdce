"""A ViT for pictures of any size by the positions of NaViT (2307.06304): Aria's tower, those of Idefics2 and SmolVLM.

Source: transformers `modeling_idefics3.py` (`Idefics3VisionEmbeddings`). References pad a batch to squares and mask the
padding; here every picture has its own grid, and no padding exists.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from anyvlm.parts.vision.vit import ViT, ViTEncoder


@dataclass(frozen=True, kw_only=True)
class BucketedViT(ViT):
    """Of a table for `size` pixels every patch takes the place at its own share of the picture's height and width.

    Places are repeated or left out, never interpolated.
    """

    cls: bool = False
    resize: bool = True

    def build(self) -> BucketedEncoder:
        """The module."""
        return BucketedEncoder(self)


class BucketedEncoder(ViTEncoder):
    """Patches (N, C) -> Features; items of one grid are computed as a batch."""

    def positions(self, h: int, w: int) -> Tensor:
        """Rows of the table for a grid of h x w patches."""
        side = self.spec.size // self.spec.patch
        line, column = (_places(n, side).to(self.pos.device) for n in (h, w))
        return self.pos[(line[:, None] * side + column).flatten()]


def _places(count: int, side: int) -> Tensor:
    """(count) places among `side`. fp32, in the reference's order: another last bit would move a patch by one place."""
    bounds = torch.arange(1 / side, 1.0, 1 / side)
    share = torch.arange(count, dtype=torch.float32) * (1.0 / torch.tensor(count))
    return torch.bucketize(share.clamp(max=1.0 - 1e-6), bounds, right=True)

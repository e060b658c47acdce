"""A vision transformer whose places are sines and cosines, which nothing learns (FLIP, 2212.00794).

Source: facebookresearch/flip `utils/posembed_util.py`.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch

from anyvlm.parts.sincos import sincos_2d
from anyvlm.parts.vision.vit import ViT, ViTEncoder


@dataclass(frozen=True, kw_only=True)
class FixedViT(ViT):
    """A ViT that begins with that table of places, 0 for the class token; files hold it, and stages leave it alone."""

    def build(self) -> ViTEncoder:
        """The module."""
        encoder = ViTEncoder(self)
        if not encoder.pos.is_meta:
            side = self.size // self.patch
            with torch.no_grad():
                encoder.pos[: int(self.cls)] = 0.0
                encoder.pos[int(self.cls) :] = sincos_2d(side, side, self.width)
        return encoder

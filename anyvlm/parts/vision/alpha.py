"""CLIP's vision transformer with a fourth channel, which says where to look.

Source: Alpha-CLIP (2312.03818) `alpha_clip/model.py`.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from anyvlm.parts.vision.vit import ViT, ViTEncoder


@dataclass(frozen=True, kw_only=True)
class AlphaViT(ViT):
    """A ViT whose patches hold red, green, blue and alpha; alpha has a stem of its own, which begins as zero."""

    def build(self) -> ViTEncoder:
        """The module."""
        encoder = ViTEncoder(self)
        setattr(encoder, "stem", AlphaStem(self))  # noqa: B010  (another class than that of ViTEncoder)
        return encoder


class AlphaStem(nn.Module):
    """Parameters: rgb, alpha."""

    def __init__(self, spec: AlphaViT) -> None:
        super().__init__()
        self.rgb = nn.Linear(3 * spec.patch**2, spec.width, bias=spec.stem_bias)
        self.alpha = nn.Linear(spec.patch**2, spec.width, bias=False)
        if not self.alpha.weight.is_meta:
            nn.init.zeros_(self.alpha.weight)

    def forward(self, x: Tensor) -> Tensor:
        """Patches (..., 4 * patch * patch), the values of alpha last."""
        rgb, alpha = x.tensor_split((self.rgb.in_features,), -1)
        out: Tensor = torch.add(self.rgb(rgb), self.alpha(alpha))
        return out

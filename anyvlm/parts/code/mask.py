"""Masks as sixteen ids: the decoder of the VQ-VAE whose codes PaliGemma writes (All in Tokens, 2301.02229).

Source: big_vision 5f95305 evaluators/proj/paligemma/transfers/segmentation.py. The encoder, which makes training targets, is
not needed to read an answer.
Shape letters: B masks, D width of a code.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image
from torch import Tensor, nn

from anyvlm.parts.init import normal
from anyvlm.spec import Spec


@dataclass(frozen=True, kw_only=True)
class MaskCode(Spec):
    """`vocab` codes; a mask is `side` x `side` of them. `depth`: steps that double the resolution; `hidden`: channels.

    `file`: the name under which the authors publish its weights.
    """

    vocab: int = 128
    side: int = 4
    depth: int = 4
    hidden: int = 128
    file: str = "vae-oid.npz"

    def build(self, width: int) -> MaskDecoder:
        """The module for codes of `width`."""
        return MaskDecoder(self, width)


class _Residual(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.layers = nn.ModuleList(nn.Conv2d(width, width, side, padding=side // 2) for side in (3, 3, 1))

    def forward(self, x: Tensor) -> Tensor:
        first, second, last = self.layers
        out: Tensor = x + last(second(first(x).relu()).relu())
        return out


class MaskDecoder(nn.Module):
    """ids (B, side * side) -> (B, 64, 64), above 0 where the mask is."""

    def __init__(self, spec: MaskCode, width: int) -> None:
        super().__init__()
        self.spec = spec
        widths = [spec.hidden, *(spec.hidden >> n for n in range(spec.depth))]
        self.codes = normal(spec.vocab, width)
        self.stem = nn.Conv2d(width, spec.hidden, 1)
        self.blocks = nn.ModuleList(_Residual(spec.hidden) for _ in range(2))
        self.ups = nn.ModuleList(nn.ConvTranspose2d(a, b, 4, stride=2, padding=1) for a, b in pairwise(widths))
        self.head = nn.Conv2d(widths[-1], 1, 1)

    def forward(self, ids: Tensor) -> Tensor:
        """Raises IndexError for an id beyond the vocabulary."""
        x = self.codes[ids].unflatten(1, (self.spec.side, -1)).permute(0, 3, 1, 2)
        x = self.stem(x).relu()
        for block in self.blocks:
            x = block(x)
        for up in self.ups:
            x = up(x).relu()
        out: Tensor = self.head(x)[:, 0]
        return out

    @torch.inference_mode()
    def paint(
        self, ids: tuple[int, ...], xyxy: tuple[float, float, float, float], size: tuple[int, int]
    ) -> npt.NDArray[np.bool_]:
        """(height, width) of a picture of `size` (width, height): the mask, stretched over its box (bilinear, above 0).

        Edges are rounded down to whole pixels, as the authors' evaluator does; a box that has none left is empty.
        """
        (width, height), (left, top, right, bottom) = size, map(int, xyxy)
        out = np.zeros((height, width), np.bool_)
        if left < right and top < bottom:
            small = self(torch.tensor([ids], device=self.codes.device))[0].float().cpu().numpy()
            box = Image.fromarray(small).resize((right - left, bottom - top), Image.Resampling.BILINEAR)
            out[top:bottom, left:right] = np.asarray(box) > 0
        return out

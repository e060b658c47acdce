"""TinyMIM's lesson (2301.01296): how a teacher's queries look at its keys, and its values at each other.

Source: OliverRensu/TinyMIM d084705 `models_tinymim.py`, `vit.py`, `engine_pretrain.py`.
Shape letters: B pictures, T rows of each, D width, H heads.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from anyvlm.errors import SpecError
from anyvlm.parts.features import Encoder
from anyvlm.parts.lesson import Lesson, LessonModule, Views
from anyvlm.parts.prenorm import PreNormBlock
from anyvlm.parts.vision.vit import ViT, ViTEncoder


@dataclass(frozen=True, kw_only=True)
class Relations(Lesson):
    """Queries, keys and values of the encoder's last block and of block number `layer`, from 1, of the teacher, both read with
    so many `heads`, whatever they have. `drop`: the chance with which what a block adds is left out, in training.
    """

    teacher: ViT
    layer: int
    heads: int
    drop: float = 0.1

    def build(self, encoder: Encoder) -> RelationsModule:
        """The module. Raises SpecError for an encoder that is no ViT, or whose rows are not the teacher's."""
        if not isinstance(encoder, ViT) or encoder.grid(encoder.size, encoder.size) != self.teacher.grid(
            self.teacher.size, self.teacher.size
        ):
            raise SpecError("Relations teach ViTs that cut a picture into as many patches as the teacher does.")
        if encoder.width % self.heads or self.teacher.width % self.heads or encoder.cls != self.teacher.cls:
            raise SpecError(f"Rows of {encoder.width} and {self.teacher.width} values cannot be read with {self.heads} heads.")
        return RelationsModule(self)


class RelationsModule(LessonModule):
    """Parameters: teacher, which nothing trains."""

    def __init__(self, spec: Relations) -> None:
        super().__init__()
        self.spec, self.teacher = spec, spec.teacher.build()

    def relations(
        self, encoder: ViTEncoder, x_BnC: Tensor, views: Views, layer: int, draw: torch.Generator | None = None
    ) -> tuple[Tensor, Tensor]:
        """Logarithms of the shares (B, H, T, T) in block number `layer`, of which nothing else is computed. `draw`: None leaves
        nothing out.
        """
        grid, _ = views.one
        x = encoder.begin(x_BnC, grid)
        *before, last = encoder.blocks[:layer]
        for block in before:
            x = block(x) if draw is None else _dropped(block, x, self.spec.drop, draw)
        assert isinstance(last, PreNormBlock)
        q, k, v = last.attn.qkv(last.norm1(x)).unflatten(-1, (3, self.spec.heads, -1)).permute(2, 0, 3, 1, 4)
        scale = q.shape[-1] ** -0.5
        qk, vv = ((a @ b.transpose(-1, -2) * scale).log_softmax(-1) for a, b in ((q, k), (v, v)))
        return qk, vv

    def losses(self, encoder: nn.Module, views: Views, draw: torch.Generator | None = None) -> dict[str, Tensor]:
        """"qk" and "vv": the divergence of the teacher's shares from the encoder's, averaged over rows and heads."""
        assert isinstance(encoder, ViTEncoder)
        _, x_BnC = views.one
        with torch.no_grad():
            taught = x_BnC if views.taught_NC is None else views.taught_NC.view_as(x_BnC)
            truth = self.relations(self.teacher, taught, views, self.spec.layer)
        if self.training and draw is None:
            draw = torch.Generator().manual_seed(int(torch.randint(2**31, ())))
        own = self.relations(encoder, x_BnC, views, encoder.spec.depth, draw if self.training else None)
        return {
            name: F.kl_div(a, b, reduction="none", log_target=True).sum(-1).mean()
            for name, a, b in zip(("qk", "vv"), own, truth, strict=True)
        }


def _dropped(block: nn.Module, x: Tensor, drop: float, draw: torch.Generator) -> Tensor:
    """The block, of which either half is left out for some pictures, and counts more for the others."""
    assert isinstance(block, PreNormBlock)

    def kept(y: Tensor) -> Tensor:
        stays_B = torch.rand(len(y), generator=draw) >= drop
        return y * (stays_B.to(y.device, y.dtype) / (1 - drop))[:, None, None]

    x = x + kept(block.attn(block.norm1(x)))
    return x + kept(block.ffn(block.norm2(x)))

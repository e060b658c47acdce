"""AIM's lesson (2401.08541): every patch of a picture, in reading order, from those before it.

A prefix of every picture, of a length drawn anew, sees itself whole, so that the encoder also learns to see both ways.
apple/ml-aim has the attention (`PrefixCausalAttention`) but neither head nor loss: those are the paper's.
Shape letters: B pictures, n patches of each, C values per patch, D width.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from anyvlm.errors import SpecError
from anyvlm.parts.features import Encoder
from anyvlm.parts.ffn import MLP
from anyvlm.parts.language import additive
from anyvlm.parts.lesson import Lesson, LessonModule, Views
from anyvlm.parts.norm import LayerNorm
from anyvlm.parts.vision.aim import NativeAimEncoder, NativeAimViT


@dataclass(frozen=True, kw_only=True)
class NextPatch(Lesson):
    """A head of `depth` feed-forward layers of `width`, each on normed rows and added, for every patch alone."""

    width: int
    depth: int
    ffn: MLP
    norm: LayerNorm = LayerNorm(eps=1e-6)

    def build(self, encoder: Encoder) -> NextPatchModule:
        """The module. Raises SpecError for an encoder that is none of AIM's."""
        if not isinstance(encoder, NativeAimViT):
            raise SpecError(f"NextPatch teaches AIM's encoders, not {type(encoder).__name__}.")
        return NextPatchModule(self, encoder)


class _Residual(nn.Module):
    """Parameters: norm, ffn."""

    def __init__(self, spec: NextPatch) -> None:
        super().__init__()
        self.norm, self.ffn = spec.norm.build(spec.width), spec.ffn.build(spec.width)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = x + self.ffn(self.norm(x))
        return out


class NextPatchModule(LessonModule):
    """Parameters: map, blocks, norm, head."""

    def __init__(self, spec: NextPatch, encoder: NativeAimViT) -> None:
        super().__init__()
        self.map, self.norm = nn.Linear(encoder.width, spec.width), spec.norm.build(spec.width)
        self.blocks = nn.ModuleList(_Residual(spec) for _ in range(spec.depth))
        self.head = nn.Linear(spec.width, 3 * encoder.patch**2)

    def predicted(self, encoder: NativeAimEncoder, views: Views, prefix_B: Tensor) -> Tensor:
        """(B, n - 1, C): what every patch but the last says of the next."""
        (_, h, w), _ = views.one
        x = self.map(seen_before(encoder, views, prefix_B)[:, :-1] + encoder.places(h, w)[:-1])
        for block in self.blocks:
            x = block(x)
        out: Tensor = self.head(self.norm(x))
        return out

    def losses(self, encoder: nn.Module, views: Views, draw: torch.Generator | None = None) -> dict[str, Tensor]:
        """"pixels": mean squared error of standardised patches behind the prefix, whose length is 1 to n - 1."""
        assert isinstance(encoder, NativeAimEncoder)
        _, x_BnC = views.one
        prefix_B, counts_Bn = drawn_prefix(x_BnC, draw)
        wrong_Bn = (self.predicted(encoder, views, prefix_B).float() - standard(x_BnC)[:, 1:]).square().mean(-1)
        return {"pixels": (wrong_Bn * counts_Bn).sum() / counts_Bn.sum()}


def seen_before(encoder: NativeAimEncoder, views: Views, prefix_B: Tensor) -> Tensor:
    """The encoder's last states (B, n, D), normed, where a patch sees those before it, and all of a prefix."""
    grid, x_BnC = views.one
    x = encoder.begin(x_BnC, grid)
    added = additive(prefix_mask(x.shape[1], prefix_B), x.dtype)
    for block in encoder.blocks:
        x = block(x, added)
    out: Tensor = encoder.norm(x)
    return out


def drawn_prefix(x_BnC: Tensor, draw: torch.Generator | None = None) -> tuple[Tensor, Tensor]:
    """The length (B) of every picture's prefix, 1 to n - 1; which of all patches but the first lie behind it, (B, n - 1)."""
    B, n, _ = x_BnC.shape
    prefix_B = torch.randint(1, n, (B,), generator=draw).to(x_BnC.device)
    return prefix_B, torch.arange(1, n, device=x_BnC.device) >= prefix_B[:, None]


def prefix_mask(n: int, prefix_B: Tensor) -> Tensor:
    """(B, n, n) bool, True where a patch (second) sees another (third): itself, those before it, and all of the prefix."""
    place_n = torch.arange(n, device=prefix_B.device)
    return (place_n[None, None] <= place_n[None, :, None]) | (place_n < prefix_B[:, None])[:, None]


def standard(x_BnC: Tensor) -> Tensor:
    """Every patch, less its mean and by its deviation (MAE, 2111.06377)."""
    x = x_BnC.float()
    return (x - x.mean(-1, keepdim=True)) / (x.var(-1, keepdim=True) + 1e-6).sqrt()

"""Systems that say where in a picture the words of a text are (GLIP): towers, a pyramid of maps, layers in which both read each
other and themselves, and how well every place fits every token. Boxes come later.

Shape letters: B pairs, T tokens, N places of all maps of a pyramid, D their width, E width of tokens.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from anyvlm.errors import SpecError
from anyvlm.inputs.policy import Policy
from anyvlm.inputs.text import TextPolicy, WordsBatch
from anyvlm.parts.bifusion import Alignment, BiFusion
from anyvlm.parts.connect.fpn import Pyramid
from anyvlm.parts.deformable import DyHead
from anyvlm.parts.features import Features, pictures
from anyvlm.parts.language import additive
from anyvlm.parts.text import BertText
from anyvlm.parts.vision.swin import Swin, SwinEncoder
from anyvlm.spec import Spec
from anyvlm.system import Checkpoint, Meta, Pixels, Stage
from anyvlm.weights.sources import Source

Levels = tuple[Tensor, ...]
"""The maps (B, D, h, w) of a pyramid, the largest first."""


@dataclass(frozen=True, kw_only=True)
class GroundSystem(Spec):
    """A named system: `depth` layers, each a `fusion`, a block of the text tower's kind on the tokens, a `head` on the maps."""

    name: str
    policy: Policy
    encoder: Swin
    pyramid: Pyramid
    words: TextPolicy
    text: BertText
    fusion: BiFusion
    head: DyHead
    depth: int
    meta: Meta
    tokenizer: Source | None = None
    added: tuple[str, ...] = ()
    checkpoints: tuple[Checkpoint, ...] = ()
    fresh: tuple[str, ...] = ()
    stages: tuple[Stage, ...] = ()

    def build(self) -> Ground:
        """The module, with random weights."""
        return Ground(self)

    def part(self, prefix: str) -> Spec:
        """The spec whose parameters lie under a prefix: "encoder.", "pyramid.", "text." or "" (this one)."""
        parts: dict[str, Spec] = {"": self, "encoder": self.encoder, "pyramid": self.pyramid, "text": self.text}
        if (found := parts.get(prefix.rstrip("."))) is None:
            raise SpecError(f"The system '{self.name}' has no part at '{prefix}'.")
        return found

    def maps(self, size: tuple[int, int]) -> tuple[tuple[int, int], ...]:
        """Sizes (h, w) of the pyramid's maps of an array (height, width), the largest first."""
        _, h, w = self.encoder.grid(*size)
        more = -(-h // 2), -(-w // 2)
        return ((4 * h, 4 * w), (2 * h, 2 * w), (h, w), more, (-(-more[0] // 2), -(-more[1] // 2)))


@dataclass(frozen=True)
class Fused:
    """Places (B, N, D) of all maps, the largest first, with the sizes (h, w) of the maps; tokens (B, T, E)."""

    x_BND: Tensor
    sizes: tuple[tuple[int, int], ...]
    t_BTE: Tensor


class Layer(nn.Module):
    """Parameters: fusion, text, head."""

    def __init__(self, spec: GroundSystem) -> None:
        super().__init__()
        self.fusion = spec.fusion.build(spec.pyramid.width, spec.text.width)
        self.text, self.head = spec.text.block.build(spec.text.width), spec.head.build(spec.pyramid.width)

    def forward(self, levels: Levels, t_BTE: Tensor, seen_BT: Tensor) -> tuple[Levels, Tensor]:
        """Both read each other, then tokens read tokens, and maps their neighbours."""
        x_BND, t = self.fusion(_flat(levels), t_BTE, seen_BT)
        parts = x_BND.transpose(1, 2).split([level.shape[2] * level.shape[3] for level in levels], 2)
        fused = tuple(part.unflatten(2, level.shape[2:]) for part, level in zip(parts, levels, strict=True))
        return self.head(fused), self.text.think(self.text.look(t, additive(seen_BT[:, None], t.dtype)))


def _flat(levels: Levels) -> Tensor:
    """The places (B, N, D) of all maps."""
    return torch.cat([level.flatten(2).transpose(1, 2) for level in levels], 1)


class Ground(nn.Module):
    """Parameters: encoder, pyramid, text, layers, align."""

    def __init__(self, spec: GroundSystem) -> None:
        super().__init__()
        self.spec = spec
        self.encoder, self.pyramid = spec.encoder.build(), spec.pyramid.build(spec.encoder.widths[1:])
        self.text = spec.text.build()
        self.layers = nn.ModuleList(Layer(spec) for _ in range(spec.depth))
        self.align = Alignment(spec.pyramid.width, spec.text.width)

    def levels(self, x: Pixels) -> Levels:
        """The pyramid's maps (B, D, h, w) of pictures of one size."""
        ((grid, x_BnC),) = Features(x.x_NC, x.grids).groups()
        assert isinstance(self.encoder, SwinEncoder)
        levels: Levels = self.pyramid(self.encoder.maps(pictures(x_BnC, grid, self.spec.encoder.patch)))
        return levels

    def fuse(self, levels: Levels, t_BTE: Tensor, seen_BT: Tensor) -> Fused:
        """What places and tokens are after all layers."""
        for layer in self.layers:
            levels, t_BTE = layer(levels, t_BTE, seen_BT)
        return Fused(_flat(levels), tuple((level.shape[2], level.shape[3]) for level in levels), t_BTE)

    def forward(self, x: Pixels, words: WordsBatch) -> Tensor:
        """Logits (B, N, T) of picture and text at the same places."""
        seen_BT = torch.ones_like(words.ids_BT, dtype=torch.bool) if words.seen_BT is None else words.seen_BT
        fused = self.fuse(self.levels(x), self.text(words.ids_BT, seen_BT), seen_BT)
        logits: Tensor = self.align(fused.x_BND, fused.t_BTE)
        return logits

"""UniAdapter (2302.06605): a light layer beside every block of BLIP, whose way down is one for pictures, texts and both.

Source: RERV/UniAdapter 796c124 `models/adapter.py`, `models/vit.py`, `models/med.py`.
Shape letters: B items, T rows of each, S rows of a picture, D width, H heads, h head width.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

from anyvlm.errors import SpecError
from anyvlm.parts.bert import CrossAttention, PostNorm, PostNormBlock
from anyvlm.parts.norm import LayerNorm
from anyvlm.parts.prenorm import NormLast, PreNorm, PreNormBlock
from anyvlm.parts.vision.vit import ViT
from anyvlm.spec import Spec

Up = Literal["text", "image", "both"]


@dataclass(frozen=True, kw_only=True)
class UniAdapter(Spec):
    """A norm, a layer down to `hidden`, ReLU, and a layer up for each of texts, pictures and texts that read pictures; times
    `scale`. The way up of texts begins at zero, those of pictures and of both do not.
    """

    hidden: int = 512
    scale: float = 0.1
    norm: LayerNorm = LayerNorm(eps=1e-5)

    def build(self, width: int) -> UniAdapterModule:
        """The module for rows of `width`."""
        return UniAdapterModule(self, width)


class UniAdapterModule(nn.Module):
    """Parameters: norm, down, text, image, both, norm_both."""

    def __init__(self, spec: UniAdapter, width: int) -> None:
        super().__init__()
        self.scale, self.norm, self.norm_both = spec.scale, spec.norm.build(width), spec.norm.build(width)
        self.down, self.text = _Down(width, spec.hidden), _Nothing(spec.hidden, width)
        self.image, self.both = nn.Linear(spec.hidden, width), nn.Linear(spec.hidden, width)

    def forward(self, x: Tensor, up: Up) -> Tensor:
        """What is added beside the block, (B, T, D)."""
        low = self.down(self.norm(x)).relu()
        match up:
            case "text":
                out = self.text(low)
            case "image":
                out = self.image(low)
            case "both":
                out = self.norm_both(self.both(low) + self.text(low))
        added: Tensor = self.scale * out
        return added


class _Down(nn.Linear):
    def reset_parameters(self) -> None:
        super().reset_parameters()
        nn.init.zeros_(self.bias)


class _Nothing(nn.Linear):
    def reset_parameters(self) -> None:
        nn.init.zeros_(self.weight)
        nn.init.zeros_(self.bias)


class LowRank(nn.Module):
    """Two layers without an activation, times a learned number: beside the keys, or the values, that a text reads.

    Parameters: down, up, scale.
    """

    def __init__(self, into: int, width: int, rank: int) -> None:
        super().__init__()
        self.down, self.up, self.scale = nn.Linear(into, rank), nn.Linear(rank, width), nn.Parameter(torch.ones(1))

    def reset_parameters(self) -> None:
        """As training begins."""
        nn.init.ones_(self.scale)

    def forward(self, x: Tensor) -> Tensor:
        """(..., into) -> (..., width)."""
        out: Tensor = self.scale * self.up(self.down(x))
        return out


# A block of pictures --------------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class AdaptedPreNorm(PreNorm):
    """One block, with the adapter beside the feed-forward layer."""

    adapter: UniAdapter

    def build(self, width: int) -> PreNormBlock:
        """The module for rows of `width`."""
        return AdaptedPreNormBlock(self, width)


class AdaptedPreNormBlock(PreNormBlock):
    """Parameters: those of PreNormBlock, and adapter."""

    def __init__(self, spec: AdaptedPreNorm, width: int) -> None:
        super().__init__(spec, width)
        self.adapter = spec.adapter.build(width)

    def forward(self, x_BTD: Tensor, added: Tensor | None = None, causal: bool = False, rows: int | None = None) -> Tensor:
        """As that of `PreNormBlock`."""
        x = x_BTD[:, :rows] + self.attn(self.norm1(x_BTD), added, causal, rows=rows)
        out: Tensor = x + self.ffn(self.norm2(x)) + self.adapter(x, "image")
        return out


@dataclass(frozen=True, kw_only=True)
class AdaptedViT(ViT):
    """A ViT with an adapter beside every block."""

    adapter: UniAdapter

    @property
    def block(self) -> PreNorm:
        """Each of its blocks."""
        if self.norm_last or self.layer_scale:
            raise SpecError(f"An adapter stands beside plain blocks, not {NormLast.__name__} or scaled ones.")
        return AdaptedPreNorm(heads=self.heads, ffn=self.ffn, norm=self.norm, adapter=self.adapter)


# A block of texts -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class AdaptedPostNorm(PostNorm):
    """One block, with the adapter beside all of it. `rank`: of what is added to the keys and values of pictures' rows, which
    is one for all blocks.
    """

    adapter: UniAdapter
    rank: int = 64

    def build(self, width: int, into: int | None = None, layer: int = 0) -> PostNormBlock:
        """The module for rows of `width`."""
        return AdaptedPostNormBlock(self, width, into, layer)


class AdaptedPostNormBlock(PostNormBlock):
    """Parameters: those of PostNormBlock, adapter, and cross.key and cross.value."""

    def __init__(self, spec: AdaptedPostNorm, width: int, into: int | None = None, layer: int = 0) -> None:
        super().__init__(spec, width, into, layer)
        self.adapter = spec.adapter.build(width)
        if into is not None:
            self.cross = AdaptedCrossAttention(width, spec.heads, into, spec.rank)

    def close(self, x: Tensor, before: Tensor, reads: bool) -> Tensor:
        """The adapter reads what it was before the picture, and after it what it is now."""
        out: Tensor = self.think(x) + self.adapter(before, "text")
        if reads:
            out = out + self.adapter(x, "both")
        return out


class AdaptedCrossAttention(CrossAttention):
    """Parameters: those of CrossAttention, key, value."""

    def __init__(self, width: int, heads: int, into: int, rank: int) -> None:
        super().__init__(width, heads, into)
        self.key, self.value = LowRank(into, width, rank), LowRank(into, width, rank)

    def keys(self, x_BSD: Tensor) -> tuple[Tensor, Tensor]:
        """Keys and values (B, H, S, h) of the other rows."""
        k, v = super().keys(x_BSD)
        more = (each(x_BSD).unflatten(-1, (self.heads, -1)).transpose(1, 2) for each in (self.key, self.value))
        key, value = more
        return k + key, v + value


def share(encoder: nn.Module, text: nn.Module) -> None:
    """One adapter for the blocks of pictures and texts at the same place, one key and value adapter for all of texts.

    Raises SpecError for towers of unequal depth.
    """
    pictures, texts = (list(tower.get_submodule("blocks").children()) for tower in (encoder, text))
    if len(pictures) != len(texts):
        raise SpecError(f"Adapters are shared block by block, but the towers have {len(pictures)} and {len(texts)} of them.")
    first = texts[0]
    for own, other in zip(pictures, texts, strict=True):
        assert isinstance(own, AdaptedPreNormBlock)
        assert isinstance(other, AdaptedPostNormBlock) and isinstance(first, AdaptedPostNormBlock)
        other.adapter = own.adapter
        assert isinstance(other.cross, AdaptedCrossAttention) and isinstance(first.cross, AdaptedCrossAttention)
        other.cross.key, other.cross.value = first.cross.key, first.cross.value

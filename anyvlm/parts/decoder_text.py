"""A language model as a text tower: every token that is read sees every other (LLM2CLIP 2411.04997, NV-Embed 2405.17428).

Sources: microsoft/LLM2CLIP cba3b45 `llm2clip/llm2vec/`; nvidia/NV-Embed-v2 `modeling_nvembed.py`.
Shape letters: B texts, T tokens, D width, R rows, H heads, h head width.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from anyvlm.parts.attention import attend
from anyvlm.parts.init import normal
from anyvlm.parts.lm import Decoder, DecoderLM
from anyvlm.parts.norm import LayerNorm
from anyvlm.parts.pool import Pool
from anyvlm.parts.text import TextEncoder
from anyvlm.seq import Seq


@dataclass(frozen=True, kw_only=True)
class DecoderText(Decoder, TextEncoder):
    """A decoder without its causal mask and its head: rows behind the final norm."""

    def build(self, memories: Mapping[str, int] | None = None) -> DecoderTextModule:
        """The module."""
        return DecoderTextModule(self)


def reading(lm: Decoder) -> DecoderText:
    """A language model of the catalogue as a text tower."""
    return DecoderText(**{field.name: getattr(lm, field.name) for field in fields(Decoder)}).but(tied=False)


class DecoderTextModule(DecoderLM):
    """Parameters: embed, blocks, norm."""

    def __init__(self, spec: DecoderText) -> None:
        super().__init__(spec, {})
        del self.head

    def forward(self, ids_BT: Tensor, seen_BT: Tensor | None = None) -> Tensor:
        """Places are counted from the first token; padding stands behind."""
        x_BTD = self.embed(ids_BT)
        seg_BT = torch.zeros_like(ids_BT) if seen_BT is None else seen_BT.long() - 1
        pos_BT = torch.arange(ids_BT.shape[1], device=ids_BT.device).expand_as(ids_BT)
        none_BT = torch.zeros_like(ids_BT)
        return self.hidden(Seq(x_BTD, none_BT, pos_BT[None], none_BT, seg_BT))


@dataclass(frozen=True, kw_only=True)
class MeanBehind(Pool):
    """The mean of the rows behind the first `skip`: what an instruction or a chat format puts in front is read, not pooled."""

    skip: int

    def build(self, width: int) -> nn.Module:
        """The module; it has no parameters."""
        return MeanBehindModule(self)


class MeanBehindModule(nn.Module):
    """Padding stands behind."""

    def __init__(self, spec: MeanBehind) -> None:
        super().__init__()
        self.skip = spec.skip

    def forward(self, x_BRD: Tensor, seen_BR: Tensor | None = None) -> Tensor:
        """Rows (B, R, D) -> (B, D)."""
        x = x_BRD[:, self.skip :]
        return x.mean(1) if seen_BR is None else _mean(x, seen_BR[:, self.skip :])


def _mean(x_BRD: Tensor, seen_BR: Tensor) -> Tensor:
    share_BR = seen_BR / seen_BR.sum(1, keepdim=True)
    return (x_BRD * share_BR[..., None].to(x_BRD.dtype)).sum(1)


@dataclass(frozen=True, kw_only=True)
class LatentPool(Pool):
    """Every row looks at `latents` learned vectors, then a feed-forward layer; both are added, then the mean (NV-Embed).

    `head`: width of one head; `times`: how much wider the feed-forward layer is inside.
    """

    latents: int = 512
    heads: int = 8
    head: int = 4096
    times: int = 4
    norm: LayerNorm = LayerNorm(eps=1e-5)

    def build(self, width: int) -> nn.Module:
        """The module."""
        return LatentPoolModule(self, width)


class LatentPoolModule(nn.Module):
    """Parameters: latents, norm1, norm_latents, q, kv, o, norm2, up_gate, down."""

    def __init__(self, spec: LatentPool, width: int) -> None:
        super().__init__()
        self.heads, inner = spec.heads, spec.heads * spec.head
        self.latents = normal(spec.latents, width, std=1.0)
        self.norm1, self.norm_latents, self.norm2 = (spec.norm.build(width) for _ in range(3))
        self.q, self.kv = nn.Linear(width, inner, bias=False), nn.Linear(width, 2 * inner, bias=False)
        self.o = nn.Linear(inner, width, bias=False)
        self.up_gate, self.down = nn.Linear(width, 2 * spec.times * width), nn.Linear(spec.times * width, width)

    def forward(self, x_BRD: Tensor, seen_BR: Tensor | None = None) -> Tensor:
        """Rows (B, R, D) -> (B, D)."""
        q_BHRh = self.q(self.norm1(x_BRD)).unflatten(-1, (self.heads, -1)).transpose(1, 2)
        kv = self.kv(self.norm_latents(self.latents)).expand(len(x_BRD), -1, -1)
        k, v = kv.unflatten(-1, (2, self.heads, -1)).permute(2, 0, 3, 1, 4)
        x = x_BRD + self.o(attend(q_BHRh, k, v).transpose(1, 2).flatten(2))
        up, gate = self.up_gate(self.norm2(x)).chunk(2, -1)
        x = x + self.down(up * F.gelu(gate))
        return x.mean(1) if seen_BR is None else _mean(x, seen_BR)

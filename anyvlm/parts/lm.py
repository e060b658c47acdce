"""One decoder for the Llama family and its neighbours. Variation enters through specs, never through names.

Sources: transformers `modeling_{llama,mistral,qwen2,phi3,cohere,gemma,persimmon,gpt_neox}.py`.
Shape letters: B batch, T tokens, S keys, D width, H heads, G key/value heads, h head width, V vocabulary.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from anyvlm.parts.attention import attend
from anyvlm.parts.by_kind import ByKind, Rows, through
from anyvlm.parts.cache import Cache, allocate
from anyvlm.parts.init import normal
from anyvlm.parts.language import Context, LanguageModel
from anyvlm.parts.moe import FFN
from anyvlm.parts.norm import HeadNorm, Norm, RMSNorm
from anyvlm.parts.rope import Rope, rotate
from anyvlm.parts.stack import StackLM
from anyvlm.spec import Spec


@dataclass(frozen=True, kw_only=True)
class Swap(Spec):
    """Another feed-forward layer in the blocks `layers`, numbered from 0 (MoE-LLaVA: experts in every second)."""

    layers: tuple[int, ...]
    ffn: FFN


@dataclass(frozen=True, kw_only=True)
class Decoder(LanguageModel):
    """A decoder-only language model.

    `head`: width of one attention head (width / heads where None). `parallel`: attention and feed-forward read the same
    norm and are added together (Cohere), or, with `two_norms`, a norm each (GPT-NeoX). `window`: how far back a token looks
    (None: everything), in the layers `windowed` (None: all). `logit_scale`: factor on the logits.
    `embed_scale`: factor on the embeddings of text (Gemma: sqrt(width)); rows of pictures enter as they are. `qk_norm`: a norm
    on every head of the queries, and another on those of the keys. `swaps`: blocks whose feed-forward layer is another.
    `norm_last`: norms stand behind attention and feed-forward, before the sum, and not in front of them. `by_kind`: sub-layers
    with weights of their own for some kinds of tokens.
    """

    kv_heads: int
    ffn: FFN
    norm: Norm = RMSNorm()
    rope: Rope = Rope()
    head: int | None = None
    qkv_bias: bool = False
    o_bias: bool = False
    parallel: bool = False
    two_norms: bool = False
    window: int | None = None
    windowed: tuple[int, ...] | None = None
    logit_scale: float = 1.0
    embed_scale: float = 1.0
    qk_norm: Norm | HeadNorm | None = None
    norm_last: bool = False
    head_bias: bool = False
    swaps: tuple[Swap, ...] = ()
    by_kind: ByKind | None = None

    def ffn_of(self, layer: int) -> FFN:
        """The feed-forward layer of a block."""
        return next((swap.ffn for swap in self.swaps if layer in swap.layers), self.ffn)

    @property
    def head_width(self) -> int:
        """Width of one attention head."""
        return self.head or self.width // self.heads

    @property
    def axes(self) -> int:
        """One, or three for time, height and width."""
        return self.rope.axes

    @property
    def turning(self) -> float:
        """The share of a head that turns; key tables ask for it."""
        return self.rope.part

    def build(self, memories: Mapping[str, int] | None = None) -> DecoderLM:
        """The module. `memories`: width of the rows of each memory that its inserts read."""
        return DecoderLM(self, memories or {})

    def cache(self, batch: int, slots: int, *, like: Tensor) -> Cache:
        """Keys and values of every layer."""
        return allocate(self.depth, batch, self.kv_heads, slots, self.head_width, like=like, axes=self.axes)


class _Attention(nn.Module):
    def __init__(self, spec: Decoder, layer: int) -> None:
        super().__init__()
        self.heads, self.kv_heads, self.layer = spec.heads, spec.kv_heads, layer
        self.near = spec.window is not None and (spec.windowed is None or layer in spec.windowed)
        h = spec.head_width
        self.qkv = nn.Linear(spec.width, (spec.heads + 2 * spec.kv_heads) * h, bias=spec.qkv_bias)
        self.o = nn.Linear(spec.heads * h, spec.width, bias=spec.o_bias)

    def project(self, x_BTD: Tensor, rows: Rows | None, *before: nn.Module) -> tuple[Tensor, Tensor]:
        """Queries and keys (B, H + G, T, h), values (B, G, T, h). `before`: layers that x goes through first."""
        H, G = self.heads, self.kv_heads
        qkv = through((*before, self.qkv), x_BTD, rows).unflatten(-1, (H + 2 * G, -1)).transpose(1, 2)  # (B, H + 2 G, T, h)
        return qkv[:, : H + G], qkv[:, H + G :]

    def forward(self, x_BTD: Tensor, at: Context, *before: nn.Module) -> Tensor:
        qk, v = self.project(x_BTD, at.rows, *before)
        # queries and keys turn by the same tables: one call for both
        qk = rotate(qk, *at.tables)
        q, k = qk[:, : self.heads], qk[:, self.heads :]
        if at.cache is not None:
            k, v = at.cache.put(self.layer, k, v)
        seen = at.near if self.near else at.full
        causal = seen is None and q.shape[2] > 1
        y = attend(q, k, v, seen, causal)
        return through((self.o,), y.transpose(1, 2).flatten(2), at.rows)


class _NormedAttention(_Attention):
    def __init__(self, spec: Decoder, layer: int, norm: Norm | HeadNorm) -> None:
        super().__init__(spec, layer)
        if isinstance(norm, HeadNorm):
            self.q_norm, self.k_norm = (norm.build(heads, spec.head_width) for heads in (spec.heads, spec.kv_heads))
        else:
            self.q_norm, self.k_norm = norm.build(spec.head_width), norm.build(spec.head_width)

    def project(self, x_BTD: Tensor, rows: Rows | None, *before: nn.Module) -> tuple[Tensor, Tensor]:
        qk, v = super().project(x_BTD, rows, *before)
        qk = qk.transpose(1, 2)  # (B, T, H + G, h)
        q, k = through((self.q_norm,), qk[:, :, : self.heads], rows), through((self.k_norm,), qk[:, :, self.heads :], rows)
        return torch.cat([q, k], 2).transpose(1, 2), v


def _attention(spec: Decoder, layer: int) -> _Attention:
    return _Attention(spec, layer) if spec.qk_norm is None else _NormedAttention(spec, layer, spec.qk_norm)


class _Block(nn.Module):
    def __init__(self, spec: Decoder, layer: int) -> None:
        super().__init__()
        self.norm1, self.norm2 = spec.norm.build(spec.width), spec.norm.build(spec.width)
        self.attn, self.ffn = _attention(spec, layer), spec.ffn_of(layer).build(spec.width)

    def forward(self, x: Tensor, at: Context) -> Tensor:
        x = x + self.attn(x, at, self.norm1)
        return x + through((self.norm2, self.ffn), x, at.rows)


class _NormLastBlock(_Block):
    def forward(self, x: Tensor, at: Context) -> Tensor:
        x = x + through((self.norm1,), self.attn(x, at), at.rows)
        return x + through((self.ffn, self.norm2), x, at.rows)


class _ParallelBlock(nn.Module):
    def __init__(self, spec: Decoder, layer: int) -> None:
        super().__init__()
        self.norm1 = spec.norm.build(spec.width)
        self.attn, self.ffn = _attention(spec, layer), spec.ffn_of(layer).build(spec.width)

    def forward(self, x: Tensor, at: Context) -> Tensor:
        normed = through((self.norm1,), x, at.rows)
        out: Tensor = x + self.attn(normed, at) + through((self.ffn,), normed, at.rows)
        return out


class _TwinBlock(nn.Module):
    def __init__(self, spec: Decoder, layer: int) -> None:
        super().__init__()
        self.norm1, self.norm2 = spec.norm.build(spec.width), spec.norm.build(spec.width)
        self.attn, self.ffn = _attention(spec, layer), spec.ffn_of(layer).build(spec.width)

    def forward(self, x: Tensor, at: Context) -> Tensor:
        out: Tensor = x + self.attn(x, at, self.norm1) + through((self.norm2, self.ffn), x, at.rows)
        return out


def _block(spec: Decoder) -> type[_Block | _ParallelBlock | _TwinBlock]:
    if spec.parallel:
        return _TwinBlock if spec.two_norms else _ParallelBlock
    return _NormLastBlock if spec.norm_last else _Block


class _ScaledEmbedding(nn.Embedding):
    """Rows times a factor, which is rounded to the dtype of the weights (as transformers' Gemma does)."""

    def __init__(self, vocab: int, width: int, scale: float) -> None:
        super().__init__(vocab, width, _weight=normal(vocab, width))
        self.scale = scale

    def forward(self, ids: Tensor) -> Tensor:
        return super().forward(ids) * float(torch.tensor(self.scale, dtype=self.weight.dtype))


class DecoderLM(StackLM):
    """Blocks with rotary positions."""

    spec: Decoder

    def __init__(self, spec: Decoder, memories: Mapping[str, int]) -> None:
        block = _block(spec)
        super().__init__(spec, (block(spec, layer) for layer in range(spec.depth)), spec.norm, memories)
        if spec.embed_scale != 1.0:
            self.embed = _ScaledEmbedding(spec.vocab + spec.silent, spec.width, spec.embed_scale)
            if spec.tied:
                self.head.weight = self.embed.weight
        if spec.head_bias:
            self.head = nn.Linear(spec.width, spec.vocab)
        if spec.by_kind:
            for each in self.blocks:
                spec.by_kind.copy(each)

    def tables(self, pos_PBT: Tensor, dtype: torch.dtype) -> tuple[Tensor, ...]:
        """cos and sin for `rotate`, (B, 1, T, h) each."""
        return tuple(table.to(dtype) for table in self.spec.rope.tables(pos_PBT, self.spec.head_width))

    def rows(self, kind_BT: Tensor) -> Rows | None:
        """Those of each copy of sub-layers with weights by kind."""
        return self.spec.by_kind.rows(kind_BT) if self.spec.by_kind else None

    def logits(self, hidden: Tensor) -> Tensor:
        """(..., D) -> (..., V)."""
        out = super().logits(hidden)
        return out if self.spec.logit_scale == 1.0 else out * self.spec.logit_scale

"""Text towers: token ids -> rows. CLIP's (causal), SigLIP's (all see each other), BERT.

Sources: transformers `modeling_clip.py`, `modeling_siglip.py`, `modeling_chinese_clip.py`.
Shape letters: B texts, T tokens, D width.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from anyvlm.parts.bert import PostNorm, PostNormBlock, Words
from anyvlm.parts.ffn import GLU, MLP
from anyvlm.parts.init import normal
from anyvlm.parts.language import additive
from anyvlm.parts.norm import Norm
from anyvlm.parts.prenorm import PreNorm
from anyvlm.spec import Spec


class TextEncoder(Spec):
    """Contract of text towers: ids (B, T) -> rows (B, T, width). At most `context` tokens are read."""

    vocab: int
    width: int
    context: int

    def build(self) -> nn.Module:
        """The module: forward(ids_BT, seen_BT) -> x_BTD. `seen_BT`: False on padding; None: all is read."""
        raise NotImplementedError


@dataclass(frozen=True, kw_only=True)
class TextTransformer(TextEncoder):
    """Pre-norm blocks, learned places, a norm at the end. `causal`: a token sees those up to itself, else all that are read.

    `bias`: the maps of attention have biases. `padded`: padding is seen like text (MobileCLIP).
    """

    vocab: int
    width: int
    depth: int
    heads: int
    context: int
    ffn: MLP | GLU
    norm: Norm
    causal: bool = True
    bias: bool = True
    padded: bool = False

    def build(self) -> nn.Module:
        """The module."""
        return TextTransformerModule(self)


class TextTransformerModule(nn.Module):
    """Parameters: embed, pos, blocks, norm."""

    def __init__(self, spec: TextTransformer) -> None:
        super().__init__()
        self.spec = spec
        self.embed = nn.Embedding(spec.vocab, spec.width, _weight=normal(spec.vocab, spec.width, std=0.02))
        self.pos = normal(spec.context, spec.width, std=0.01)
        block = PreNorm(heads=spec.heads, ffn=spec.ffn, norm=spec.norm, bias=spec.bias)
        self.blocks = nn.ModuleList(block.build(spec.width) for _ in range(spec.depth))
        self.norm = spec.norm.build(spec.width)

    def forward(self, ids_BT: Tensor, seen_BT: Tensor | None = None) -> Tensor:
        """Padding stands behind: a causal tower need not know of it."""
        x = self.embed(ids_BT) + self.pos[: ids_BT.shape[1]]
        added = None if self.spec.causal or self.spec.padded else _hidden(seen_BT, x.dtype)
        for block in self.blocks:
            x = block(x, added, self.spec.causal)
        out: Tensor = self.norm(x)
        return out


@dataclass(frozen=True, kw_only=True)
class BertText(TextEncoder):
    """BERT (1810.04805): embeddings and post-norm blocks; all tokens that are read see each other."""

    vocab: int
    width: int
    depth: int
    context: int
    block: PostNorm
    kinds: int = 2

    def build(self) -> nn.Module:
        """The module."""
        return BertTextModule(self)


class BertTextModule(nn.Module):
    """Parameters: words, blocks."""

    def __init__(self, spec: BertText) -> None:
        super().__init__()
        words = Words(vocab=spec.vocab, context=spec.context, norm=spec.block.norm, kinds=spec.kinds)
        self.words = words.build(spec.width)
        self.blocks = nn.ModuleList(spec.block.build(spec.width) for _ in range(spec.depth))

    def forward(self, ids_BT: Tensor, seen_BT: Tensor | None = None) -> Tensor:
        """Places are counted from the first token."""
        x: Tensor = self.words(ids_BT, torch.arange(ids_BT.shape[1], device=ids_BT.device).expand_as(ids_BT))
        added = _hidden(seen_BT, x.dtype)
        for block in self.blocks:
            assert isinstance(block, PostNormBlock)
            x = block.think(block.look(x, added))
        return x


def _hidden(seen_BT: Tensor | None, dtype: torch.dtype) -> Tensor | None:
    """What is added to scores so that padding is not seen, (B, 1, 1, T)."""
    return None if seen_BT is None else additive(seen_BT[:, None], dtype)

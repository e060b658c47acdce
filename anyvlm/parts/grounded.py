"""BLIP's text network (2201.12086): a BERT stack that reads pictures by cross-attention, as encoder and as language model.

Without rows to read the cross-attention is left out: the encoder alone, for contrast. Sources: salesforce/BLIP 056a169
`models/med.py`, `models/blip_vqa.py`; transformers `modeling_blip_text.py`.
Shape letters: B batch, T tokens, S rows of a memory, D width.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from anyvlm.parts.act import ACTS
from anyvlm.parts.bert import PostNorm, PostNormBlock
from anyvlm.parts.cache import Cache, allocate
from anyvlm.parts.init import normal
from anyvlm.parts.language import LM, Context, LanguageModel, additive
from anyvlm.parts.memory import Recall, recall, remembered
from anyvlm.seq import Memory, Seq, mask
from anyvlm.spec import Spec


@dataclass(frozen=True, kw_only=True)
class GroundedText(Spec):
    """An encoder of text: all tokens see each other and, in every layer, rows of a picture if there is one."""

    vocab: int
    width: int
    depth: int
    context: int
    block: PostNorm

    def build(self, into: int) -> GroundedTextModule:
        """The module. `into`: width of the rows it reads."""
        return GroundedTextModule(self, into)


class _Stack(nn.Module):
    """Parameters: pos, norm, blocks."""

    def __init__(self, spec: GroundedText | GroundedDecoder, into: int) -> None:
        super().__init__()
        self.pos = normal(spec.context, spec.width, std=0.02)
        self.norm = spec.block.norm.build(spec.width)
        self.blocks = nn.ModuleList(spec.block.build(spec.width, into, layer) for layer in range(spec.depth))

    def encode(self, seq: Seq, at: Recall | None) -> Tensor:
        """(B, T, D): all tokens of a segment see each other."""
        x_BTD: Tensor = self.norm(seq.x_BTD + self.pos[seq.pos_PBT[0]])
        together = replace(seq, block_BT=torch.zeros_like(seq.block_BT))
        return _run(self.blocks, x_BTD, at, additive(mask(together, together), x_BTD.dtype))


class GroundedTextModule(_Stack):
    """Parameters: embed, pos, norm, blocks."""

    def __init__(self, spec: GroundedText, into: int) -> None:
        super().__init__(spec, into)
        self.spec = spec
        self.embed = nn.Embedding(spec.vocab, spec.width, _weight=normal(spec.vocab, spec.width, std=0.02))

    def forward(self, ids_BT: Tensor, seen_BT: Tensor, rows_BSD: Tensor | None = None) -> Tensor:
        """States (B, T, D). `seen_BT`: False on padding; `rows_BSD`: of the picture beside each text, all of them seen."""
        B, T = ids_BT.shape
        place_BT = torch.arange(T, device=ids_BT.device).expand(B, T)
        seq = Seq(self.embed(ids_BT), torch.zeros_like(ids_BT), place_BT[None], place_BT, seen_BT.long() - 1)
        return self.encode(seq, None if rows_BSD is None else _whole(rows_BSD, T))


def _whole(rows_BSD: Tensor, T: int) -> Recall:
    """All rows, seen by all of T tokens."""
    seen_BTS = torch.ones(len(rows_BSD), T, rows_BSD.shape[1], dtype=torch.bool, device=rows_BSD.device)
    return recall({"": Memory(rows_BSD, seen_BTS)}, rows_BSD.dtype)[""]


def _run(
    blocks: Iterable[nn.Module], x: Tensor, at: Recall | None, added: Tensor | None, causal: bool = False,
    cache: Cache | None = None,
) -> Tensor:  # fmt: skip
    """All blocks. A token that sees no row of the memory skips the cross-attention."""
    for n, block in enumerate(blocks):
        assert isinstance(block, PostNormBlock)
        x = block.look(x, added, causal, cache)
        if at is not None:
            k, v = remembered(cache, n, None if at.x_BSD is None else block.cross.keys(at.x_BSD))
            x = torch.where(at.some_BT1, block.read(x, k, v, at.added), x)
        x = block.think(x)
    return x


@dataclass(frozen=True, kw_only=True)
class GroundedDecoder(LanguageModel):
    """A language model that reads the memory `memory` in every layer. Its head is a layer, a norm, the embedding and a bias."""

    block: PostNorm
    memory: str = "image"

    def build(self, memories: Mapping[str, int] | None = None) -> GroundedLM:
        """The module."""
        return GroundedLM(self, (memories or {})[self.memory])

    def cache(self, batch: int, slots: int, *, like: Tensor) -> Cache:
        """Keys and values of every layer."""
        heads = self.block.heads
        return allocate(self.depth, batch, heads, slots, self.width // heads, like=like)


class GroundedLM(LM):
    """Parameters: embed, pos, norm, blocks, dense, norm_head, head."""

    spec: GroundedDecoder

    def __init__(self, spec: GroundedDecoder, into: int) -> None:
        super().__init__(spec)
        self.embed = nn.Embedding(spec.vocab, spec.width, _weight=normal(spec.vocab, spec.width, std=0.02))
        stack = _Stack(spec, into)
        self.pos, self.norm, self.blocks = stack.pos, stack.norm, stack.blocks
        self.dense, self.norm_head = nn.Linear(spec.width, spec.width), spec.block.norm.build(spec.width)
        self.head = nn.Linear(spec.width, spec.vocab)
        if spec.tied:
            self.head.weight = self.embed.weight

    def tables(self, pos_PBT: Tensor, dtype: torch.dtype) -> tuple[Tensor, ...]:
        """The rows to add to the embeddings."""
        return (self.pos[pos_PBT[0]].to(dtype),)

    def run(self, x_BTD: Tensor, at: Context) -> Tensor:
        """All blocks."""
        causal = at.full is None and x_BTD.shape[1] > 1
        x = self.norm(x_BTD + at.tables[0])
        return _run(self.blocks, x, at.recalls.get(self.spec.memory), at.full, causal, at.cache)

    def logits(self, hidden: Tensor) -> Tensor:
        """(..., D) -> (..., V)."""
        return super().logits(self.norm_head(ACTS[self.spec.block.ffn.act](self.dense(hidden))))


@dataclass(frozen=True, kw_only=True)
class GroundedAnswerer(GroundedDecoder):
    """`reader` reads the prompt and the picture; the decoder reads what it made of the prompt, and writes the answer.

    The last token of the prompt is the decoder's first. For systems of attention "prefix".
    """

    reader: GroundedText
    memory: str = "prompt"

    def build(self, memories: Mapping[str, int] | None = None) -> GroundedAnswererLM:
        """The module."""
        return GroundedAnswererLM(self, (memories or {})["image"])


class GroundedAnswererLM(GroundedLM):
    """Parameters: those of GroundedLM, `embed.prompt` and `reader` (pos, norm, blocks)."""

    spec: GroundedAnswerer

    def __init__(self, spec: GroundedAnswerer, into: int) -> None:
        super().__init__(spec, spec.reader.width)
        self.embed = _TwoTables(spec)
        if spec.tied:
            self.head.weight = self.embed.weight
        self.reader = _Stack(spec.reader, into)

    def begin(self, seq: Seq) -> Seq:
        """The prompt but its last token becomes a memory, and padding; places of the others are counted anew."""
        prompt_BT = _prompt(seq)
        question = replace(seq, x_BTD=_half(seq.x_BTD, 0), seg_BT=seq.seg_BT.masked_fill(~prompt_BT, -1))
        states_BTD = self.reader.encode(question, recall(seq.memory, seq.x_BTD.dtype).get("image"))
        same_BTS = (seq.seg_BT[:, :, None] == question.seg_BT[:, None, :]) & prompt_BT[:, None, :]
        own_BT = ~prompt_BT & (seq.seg_BT >= 0)
        before_BT = own_BT.cumsum(1) - own_BT.long()
        pos_BT = before_BT - before_BT.masked_fill(~_starts(seq), 0).cummax(1).values
        return replace(
            seq, seg_BT=seq.seg_BT.masked_fill(prompt_BT, -1), pos_PBT=pos_BT[None],
            memory={self.spec.memory: Memory(states_BTD, same_BTS)},
        )  # fmt: skip

    def run(self, x_BTD: Tensor, at: Context) -> Tensor:
        """All blocks of the decoder."""
        return super().run(_half(x_BTD, 1), at)


class _TwoTables(nn.Embedding):
    """Rows of both vocabularies side by side, (..., 2 D): the reader takes the first half, the decoder the second."""

    def __init__(self, spec: GroundedAnswerer) -> None:
        super().__init__(spec.vocab, spec.width, _weight=normal(spec.vocab, spec.width, std=0.02))
        self.prompt = nn.Embedding(spec.vocab, spec.width, _weight=normal(spec.vocab, spec.width, std=0.02))

    def forward(self, ids: Tensor) -> Tensor:
        return torch.cat([self.prompt(ids), super().forward(ids)], -1)


def _half(x: Tensor, n: int) -> Tensor:
    return x.chunk(2, -1)[n]


def _starts(seq: Seq) -> Tensor:
    """(B, T) bool: the first token of every sample."""
    other_BT = torch.ones_like(seq.seg_BT, dtype=torch.bool)
    other_BT[:, 1:] = seq.seg_BT.diff(dim=1) != 0
    return other_BT


def _prompt(seq: Seq) -> Tensor:
    """(B, T) bool: tokens of the first block of every sample, but the last of them."""
    first_BT = seq.block_BT.masked_fill(~_starts(seq), 0).cummax(1).values
    in_BT = (seq.block_BT == first_BT) & (seq.seg_BT >= 0)
    goes_on_BT = torch.zeros_like(in_BT)
    goes_on_BT[:, :-1] = in_BT[:, 1:] & ~_starts(seq)[:, 1:]
    return in_BT & goes_on_BT

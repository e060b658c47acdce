"""BLIP's text network (2201.12086): a BERT stack that reads pictures by cross-attention, as encoder and as language model.

Without rows to read the cross-attention is left out: the encoder alone, for contrast. Sources: salesforce/BLIP 056a169
`models/med.py`, `models/blip_vqa.py`; transformers `modeling_blip_text.py`.
Shape letters: B batch, T tokens, S rows of a memory, D width.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from anyvlm.parts.act import ACTS
from anyvlm.parts.bert import PostNorm, PostNormBlock
from anyvlm.parts.cache import Cache, allocate
from anyvlm.parts.encdec import PROMPT, asked
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
        """(B, T, D) of a Seq in which all tokens of a sample are one block."""
        x_BTD: Tensor = self.norm(seq.x_BTD + self.pos[seq.pos_PBT[0]])
        return _run(self.blocks, x_BTD, at, additive(mask(seq, seq), x_BTD.dtype))


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
        one = torch.zeros_like(ids_BT)
        seq = Seq(self.embed(ids_BT), one, place_BT[None], one, seen_BT.long() - 1)
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
        x = before = block.look(x, added, causal, cache)
        if at is not None:
            k, v = remembered(cache, n, None if at.x_BSD is None else block.cross.keys(at.x_BSD))
            x = torch.where(at.some_BT1, block.read(x, k, v, at.added), x)
        x = block.close(x, before, at is not None)
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

    `start`: the id the decoder begins with. For systems of attention "prefix".
    """

    reader: GroundedText
    start: int = 30522
    memory: str = PROMPT

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
        """What the decoder begins with: `start`, and the states that the reader makes of prompt and picture."""
        return asked(seq, self.embed(torch.full_like(seq.seg_BT[:, :1], self.spec.start)), self._read)

    def _read(self, prompt: Seq) -> Tensor:
        at = recall(prompt.memory, prompt.x_BTD.dtype).get("image")
        return self.reader.encode(prompt.with_x(_half(prompt.x_BTD, 0)), at)

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

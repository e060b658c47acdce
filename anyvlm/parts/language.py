"""The contract of language models: what a spec answers, and what its module does with a Seq.

A language model is called in three steps, so that callers choose which rows pay for the vocabulary, and so that an engine
can prepare before the first step what all steps share: `embed`, `hidden` (or `run`, prepared), `logits`.
Shape letters: P position axes, B batch, T tokens, S keys, D width, H heads, V vocabulary.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from anyvlm.parts.by_kind import Rows
from anyvlm.parts.cache import Cache
from anyvlm.parts.init import normal
from anyvlm.parts.memory import Insert, Recall, recall
from anyvlm.seq import Seq, mask
from anyvlm.spec import Spec


@dataclass(frozen=True, kw_only=True)
class LanguageModel(Spec):
    """Contract of the specs of language models.

    `context`: the longest sequence it was trained for. `tied`: the head is the embedding. `extra`: so many rows at the end of
    the vocabulary were added to a pretrained one, and some files keep them apart. `silent`: so many rows behind the
    vocabulary are read but never predicted (Llama 3.2's <|image|>). `inserts`: layers in front of some blocks that read rows
    beside the sequence.
    """

    vocab: int
    width: int
    depth: int
    heads: int
    context: int
    tied: bool = False
    extra: int = 0
    silent: int = 0
    inserts: tuple[Insert, ...] = ()

    @property
    def base(self) -> int:
        """Size of the vocabulary before rows were added."""
        return self.vocab - self.extra

    @property
    def axes(self) -> int:
        """How many numbers a position has."""
        return 1

    @property
    def window(self) -> int | None:
        """How far back a token looks in layers that read `Context.near`; None: there are none."""
        return None

    @property
    def start(self) -> int | None:
        """The id its answers begin with, where an encoder of its own reads the prompt; None: answers go on with the prompt.

        Then its hidden states are those of this token and the answer, and only the answer is counted as text so far.
        """
        return None

    def build(self, memories: Mapping[str, int] | None = None) -> LM:
        """The module. `memories`: width of the rows of each memory that its inserts read."""
        raise NotImplementedError

    def cache(self, batch: int, slots: int, *, like: Tensor) -> Cache:
        """An empty cache for so many rows and tokens, with the dtype and device of `like`."""
        raise NotImplementedError


@dataclass(frozen=True)
class Context:
    """What all layers of one pass share: tables of the positions (see `LM.tables`), what is added to the scores, the cache.

    `full`: (B, 1 or H, T, S), or None for "causal, nothing hidden"; `near` is that of layers with a sliding window.
    `recalls`: what inserts read. `rows`: those of each kind of token, None where all are text, as in every decode step.
    """

    tables: tuple[Tensor, ...]
    full: Tensor | None
    near: Tensor | None
    cache: Cache | None
    recalls: Mapping[str, Recall] = field(default_factory=dict)
    rows: Rows | None = None


class LM(nn.Module):
    """Contract of their modules. A subclass has `run`, and `tables` or `relative` if its positions need them."""

    head: nn.Linear

    def __init__(self, spec: LanguageModel) -> None:
        super().__init__()
        self.spec = spec
        rows = spec.vocab + spec.silent
        self.embed = nn.Embedding(rows, spec.width, _weight=normal(rows, spec.width))

    def begin(self, seq: Seq) -> Seq:
        """What the first new token comes after: the prompt itself, but for models that read it with an encoder of its own."""
        return seq

    def tables(self, pos_PBT: Tensor, dtype: torch.dtype) -> tuple[Tensor, ...]:
        """What layers need that depends on positions alone, (B, ...) each: rotary tables, rows to add."""
        return ()

    def relative(self, q_PBT: Tensor, k_PBS: Tensor) -> Tensor | None:
        """What is added to scores for the positions of query and key: (B, H, T, S) or None."""
        return None

    def rows(self, kind_BT: Tensor) -> Rows | None:
        """What layers with weights by kind need of the kinds of all tokens, once per pass."""
        return None

    def hidden(self, seq: Seq, cache: Cache | None = None) -> Tensor:
        """Final-normed states (B, T, D). With a cache, its tokens come before those of `seq`, which are added to it."""
        dtype = seq.x_BTD.dtype
        keys = seq if cache is None else cache.extend(seq)
        relative = self.relative(seq.pos_PBT, keys.pos_PBT)
        full = None if relative is None and _plain(seq, keys) else additive(mask(seq, keys), dtype, relative)
        near = full
        if self.spec.window is not None and keys.seg_BT.shape[1] > self.spec.window:
            near = additive(mask(seq, keys, self.spec.window), dtype, relative)
        tables, recalls = self.tables(seq.pos_PBT, dtype), recall(seq.memory, dtype)
        return self.run(seq.x_BTD, Context(tables, full, near, cache, recalls, self.rows(seq.kind_BT)))

    def run(self, x_BTD: Tensor, at: Context) -> Tensor:
        """`hidden` for callers who prepared what the layers share, and told the cache of the new tokens."""
        raise NotImplementedError

    def logits(self, hidden: Tensor) -> Tensor:
        """(..., D) -> (..., V)."""
        out: Tensor = self.head(hidden)
        return out


def additive(seen_BTS: Tensor, dtype: torch.dtype, relative: Tensor | None = None) -> Tensor:
    """`relative` (or 0) where a key is seen, else -inf, (B, 1 or H, T, S): once per pass; a bool mask costs every layer."""
    hidden_B1TS = ~seen_BTS[:, None]
    if relative is None:
        return torch.zeros_like(hidden_B1TS, dtype=dtype).masked_fill_(hidden_B1TS, -torch.inf)
    return relative.to(dtype).masked_fill(hidden_B1TS, -torch.inf)


def _plain(q: Seq, k: Seq) -> bool:
    """Nothing is hidden but the future: one sample per row, padded at most on the right, every token its own block.

    Then no mask has to be built: tokens never reach the padding behind them, and nobody reads what padding sees.
    Only the whole prompt qualifies, or a single new token where no row has padding.
    """
    T, S = q.seg_BT.shape[1], k.seg_BT.shape[1]
    if T not in (1, S) or bool((k.seg_BT[:, 0] < 0).any()):
        return False
    if T == 1:
        return bool((k.seg_BT == k.seg_BT[:, :1]).all())
    padded = k.seg_BT < 0
    one = bool((padded | (k.seg_BT == k.seg_BT[:, :1])).all()) and not bool((padded[:, :-1] & ~padded[:, 1:]).any())
    return one and bool(((q.block_BT.diff(dim=1) > 0) | padded[:, 1:]).all())

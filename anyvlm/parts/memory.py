"""What inserts read: rows beside the sequence, and who sees which of them.

Shape letters: B batch, T tokens, S memory rows, D width, G key/value heads, h head width.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from anyvlm.parts.cache import Cache
from anyvlm.seq import Memory
from anyvlm.spec import Spec


@dataclass(frozen=True)
class Recall:
    """A memory prepared for one pass: `added` to the scores (B, 1, T, S), 0 or -inf; `some_BT1`: who sees any row.

    x_BSD is None where all inserts have cached what they make of it. Who sees nothing has 0 everywhere in `added`, so that
    no softmax is taken over nothing; its result must be dropped.
    """

    x_BSD: Tensor | None
    added: Tensor
    some_BT1: Tensor


def recall(memories: Mapping[str, Memory], dtype: torch.dtype) -> dict[str, Recall]:
    """All memories of a Seq, for its tokens."""
    return {name: _recall(memory.x_BSD, memory.seen_BTS, dtype) for name, memory in memories.items()}


def recall_last(memories: Mapping[str, Memory], last_B: Tensor, dtype: torch.dtype) -> dict[str, Recall]:
    """For tokens generated after a prompt: they see what its last token, number `last_B` of each row, saw."""
    rows = torch.arange(len(last_B), device=last_B.device)
    return {name: _recall(None, memory.seen_BTS[rows, last_B][:, None], dtype) for name, memory in memories.items()}


def _recall(x_BSD: Tensor | None, seen_BTS: Tensor, dtype: torch.dtype) -> Recall:
    some_BT1 = seen_BTS.any(-1, keepdim=True)
    added = torch.zeros_like(seen_BTS, dtype=dtype).masked_fill_(~seen_BTS & some_BT1, -torch.inf)
    return Recall(x_BSD, added[:, None], some_BT1)


@dataclass(frozen=True, kw_only=True)
class Insert(Spec):
    """Contract of inserts: layers put in front of some blocks of a language model, which read the memory `memory`.

    `layers`: the numbers of these blocks, from 0; the module of layers[n] lies under ``lm.inserts.{n}``, so that the keys
    of the blocks stay those of the language model.
    """

    memory: str
    layers: tuple[int, ...]

    def build(self, width: int, into: int) -> nn.Module:
        """One module: forward(x_BTD, recall or None without any memory, cache or None, its number n) -> x_BTD."""
        raise NotImplementedError


def remembered(cache: Cache | None, n: int, fresh: tuple[Tensor, Tensor] | None) -> tuple[Tensor, Tensor]:
    """Keys and values (B, G, S, h) of insert n: `fresh` ones, kept for the rest of the request, or those kept before."""
    if fresh is None:
        assert cache is not None, "an insert without rows to read needs a cache that remembers them"
        return cache.memory[n]
    if cache is not None:
        cache.memory[n] = fresh
    return fresh

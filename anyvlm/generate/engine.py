"""Prefill and decode as two programs over one static cache.

Prefill runs the whole prompt at once and pays the vocabulary for one token per row. A decode step prepares nothing:
positions, rotary tables and masks of all steps are laid out before the first, and the cache is written in place.
Shape letters: B rows, T prompt tokens, S slots of the cache, P position axes, D width, V vocabulary.
"""

from __future__ import annotations

from collections.abc import Collection, Generator, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from anyvlm.generate.grammar import Grammar
from anyvlm.generate.reply import Finish, Reply
from anyvlm.generate.sampling import Sampling, choose
from anyvlm.inputs.incremental import Decoding
from anyvlm.parts.cache import Cache
from anyvlm.parts.features import Features
from anyvlm.parts.language import Context, LanguageModel, additive
from anyvlm.parts.memory import recall_last
from anyvlm.seq import Seq
from anyvlm.system import VLM, Batch


@dataclass(frozen=True)
class Delta:
    """News of one row: the id chosen, the text that can be shown now, and why it ended (None: it goes on).

    `code`: which code of a picture the id is, None for text.
    """

    row: int
    id: int
    text: str
    finish: Finish | None
    code: int | None = None


class Engine:
    """Generates with a VLM, which it does not change. One generation at a time."""

    def __init__(self, vlm: VLM) -> None:
        self.vlm = vlm.eval()

    def generate(
        self,
        batch: Batch,
        sampling: Sampling,
        *,
        decoders: Sequence[Decoding],
        ends: Collection[int],
        stops: Collection[str] = (),
        features: Mapping[str, Features] | None = None,
        grammar: Grammar | None = None,
    ) -> Generator[Delta, None, None]:
        """Answers of all rows, token by token; rows that have ended fall silent. Closing the iterator frees everything.

        `batch`: prompts, padded on the right; with max_tokens behind them they fit the context, as `inputs.plan` sees to.
        `features`: rows of its media, if computed before. `decoders`: ids to text, one per row. `ends`: ids that end a
        text. `stops`: strings that do, beside those of `sampling`. `grammar`: what may come next, if not anything may.
        """
        stops = (*sampling.stop, *stops)
        replies = [Reply(decoder, ends, stops, sampling.max_tokens) for decoder in decoders]
        generators = sampling.generators(len(replies), batch.ids_BT.device)
        seen_BV = _seen(batch, self.vlm.spec.lm) if sampling.repetition_penalty != 1.0 else None
        logits_BV, steps = self._prefill(batch, features, sampling.max_tokens)
        while True:
            ids_B = choose(logits_BV if grammar is None else grammar.mask(logits_BV), sampling, seen_BV, generators)
            news_BX = ids_B[:, None] if grammar is None else torch.stack([ids_B, grammar.take(ids_B)], 1)
            if seen_BV is not None:
                seen_BV.scatter_(1, ids_B[:, None], True)
            for row, (reply, (id, *code)) in enumerate(zip(replies, news_BX.tolist(), strict=True)):
                if reply.finish is None and grammar is not None and code[0] >= 0:
                    yield Delta(row, id, reply.draw(grammar.name), reply.finish, code[0])
                elif reply.finish is None:
                    yield Delta(row, id, reply.push(id), reply.finish)
            if all(reply.finish for reply in replies):
                return
            logits_BV = steps.next(ids_B)

    def _prefill(self, batch: Batch, features: Mapping[str, Features] | None, room: int) -> tuple[Tensor, Steps]:
        """Logits of the first new token (B, V), and the program for the others."""
        hidden_BD, steps = prefill(self.vlm, batch, features, room)
        with torch.inference_mode():
            return self.vlm.lm.logits(hidden_BD), steps


@torch.inference_mode()
def prefill(vlm: VLM, batch: Batch, features: Mapping[str, Features] | None, room: int) -> tuple[Tensor, Steps]:
    """States (B, D) from which the first of `room` new tokens follows, and the program for the others."""
    lm = vlm.lm
    seq = lm.begin(vlm.assemble(batch, features))
    B, T = seq.seg_BT.shape
    cache = lm.spec.cache(B, T + room, like=seq.x_BTD)
    hidden_BTD = lm.hidden(seq, cache)
    last_B = (seq.seg_BT >= 0).sum(1) - 1
    return hidden_BTD[torch.arange(B, device=last_B.device), last_B], Steps(vlm, cache, seq)


class Steps:
    """The decode program: every step takes one token per row and returns what the next follows from.

    New tokens of all rows share a slot; rows with shorter prompts have holes between prompt and answer, which a mask
    hides. Without holes there is no mask.
    """

    def __init__(self, vlm: VLM, cache: Cache, seq: Seq) -> None:
        self.lm, self.cache = vlm.lm, cache
        spec, x = self.lm.spec, seq.x_BTD
        start, end = cache.length, cache.slots
        real_BT = seq.seg_BT >= 0
        ahead = torch.arange(end - start, device=x.device)
        # The next position after the largest of the prompt, on every axis, as all published multi-axis schemes do.
        cache.pos_PBS[:, :, start:] = seq.pos_PBT.masked_fill(~real_BT, -1).amax((0, 2))[:, None] + 1 + ahead
        cache.block_BS[:, start:] = seq.block_BT.amax(1, keepdim=True) + 1 + ahead
        cache.seg_BS[:, start:] = seq.seg_BT[:, :1]
        self.seen_BS = cache.seg_BS >= 0
        self.full = None if bool(real_BT.all()) else additive(self.seen_BS[:, None], x.dtype)
        self.window = spec.window if spec.window is not None and end > spec.window else None
        # One table row per position of any row: (positions, 1, 1, h). New tokens are text: alike on every axis.
        table_PN1 = torch.arange(int(cache.pos_PBS.max()) + 1, device=x.device)[:, None].expand(len(cache.pos_PBS), -1, 1)
        self.tables = self.lm.tables(table_PN1, x.dtype)
        self.recalls = recall_last(seq.memory, real_BT.sum(1) - 1, x.dtype)

    @torch.inference_mode()
    def next(self, ids_B: Tensor) -> Tensor:
        """(B) ids -> (B, V) logits."""
        return self.lm.logits(self.hidden(self.lm.embed(ids_B[:, None])))

    @torch.inference_mode()
    def hidden(self, x_B1D: Tensor) -> Tensor:
        """Embeddings (B, 1, D) -> states (B, D)."""
        lm, cache = self.lm, self.cache
        slot = cache.length
        cache.length += 1
        pos_B = cache.pos_PBS[0, :, slot]
        seen_BS, pos_PBS = self.seen_BS[:, : slot + 1], cache.pos_PBS[:, :, : slot + 1]
        full = None if self.full is None else self.full[..., : slot + 1]
        if (relative := lm.relative(pos_PBS[..., -1:], pos_PBS)) is not None:
            full = additive(seen_BS[:, None], x_B1D.dtype, relative)
        near = full
        if self.window is not None:
            close_BS = pos_B[:, None] - pos_PBS[0] < self.window
            near = additive((close_BS & seen_BS)[:, None], x_B1D.dtype, relative)
        at = Context(tuple(table[pos_B] for table in self.tables), full, near, cache, self.recalls)
        return lm.run(x_B1D, at)[:, 0]


def _seen(batch: Batch, lm: LanguageModel) -> Tensor:
    """(B, V), True for ids of the prompt's text; places of pictures hold no words.

    A prompt that an encoder reads does not count, but the decoder's start does (as in transformers).
    """
    vocab = lm.vocab
    if lm.start is not None:
        ids_V = torch.arange(vocab, device=batch.ids_BT.device)
        return (ids_V == lm.start).repeat(len(batch.ids_BT), 1)
    text_BT = (batch.seg_BT >= 0) & (batch.kind_BT == 0)
    seen_BV = torch.zeros(len(batch.ids_BT), vocab + 1, dtype=torch.bool, device=batch.ids_BT.device)
    return seen_BV.scatter_(1, batch.ids_BT.masked_fill(~text_BT, vocab), True)[:, :vocab]

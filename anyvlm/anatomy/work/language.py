"""Language models: a prompt read at once, one token more at a given length, and what a cache keeps.

Counted is what our modules compute: windows hide keys but save no products, experts that a row does not go through cost
nothing, keys and values of a memory are made once per request.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import singledispatch

from anyvlm.anatomy.work.count import Work, linear, looking, reading, repeated, summed, unknown
from anyvlm.anatomy.work.layers import feed_forward
from anyvlm.parts.adapted import AdaptedPostNorm
from anyvlm.parts.alibi import AlibiDecoder
from anyvlm.parts.captioner import Captioner
from anyvlm.parts.encdec import PROMPT
from anyvlm.parts.grounded import GroundedAnswerer, GroundedDecoder, GroundedText
from anyvlm.parts.insert.gated import GatedCross
from anyvlm.parts.language import LanguageModel
from anyvlm.parts.lm import Decoder
from anyvlm.parts.magneto import Magneto
from anyvlm.parts.memory import Insert
from anyvlm.parts.opt import OPT
from anyvlm.parts.relative import RelativeDecoder
from anyvlm.parts.t5 import T5


@dataclass(frozen=True)
class Rows:
    """A memory beside the sequence: so many rows of this width."""

    count: int
    width: int


Memories = Mapping[str, Rows]


def prefill(lm: LanguageModel, tokens: int, memories: Memories) -> Work:
    """The whole prompt, and logits at its last place; an encoder-decoder also writes its first token."""
    new = tokens if lm.start is None else 1
    return begin(lm, tokens, memories) + run(lm, new, new, held(lm, tokens, memories), True) + Work(head=head(lm))


def decode(lm: LanguageModel, keys: int, memories: Memories) -> Work:
    """One token that sees `keys` tokens, itself among them. `memories`: as `held` has them."""
    return run(lm, 1, keys, memories, False) + Work(head=head(lm))


@singledispatch
def held(lm: LanguageModel, tokens: int, memories: Memories) -> Memories:
    """What all tokens read beside the sequence; of an encoder-decoder that is the prompt."""
    return memories


@held.register
def _(lm: T5, tokens: int, memories: Memories) -> Memories:
    return {PROMPT: Rows(tokens, lm.width)}


@held.register
def _(lm: GroundedAnswerer, tokens: int, memories: Memories) -> Memories:
    return {PROMPT: Rows(tokens, lm.reader.width)}


@singledispatch
def begin(lm: LanguageModel, tokens: int, memories: Memories) -> Work:
    """What is done with a prompt before the first block: nothing, but for encoder-decoders."""
    return Work()


@begin.register
def _(lm: T5, tokens: int, memories: Memories) -> Work:
    inner = lm.heads * lm.head
    each = looking(tokens, tokens, lm.width, inner) + feed_forward(lm.ffn, tokens, lm.width)
    return Work(encoder=lm.encoder_depth * each)


@begin.register
def _(lm: GroundedAnswerer, tokens: int, memories: Memories) -> Work:
    return Work(encoder=grounded(lm.reader, tokens, tokens, memories.get("image"), True).total())


@singledispatch
def run(lm: LanguageModel, new: int, keys: int, memories: Memories, fresh: bool) -> Work:
    """All blocks on `new` tokens that see `keys` tokens, and memories whose keys are computed where they are `fresh`."""
    raise unknown(lm, "language model", "language")


@run.register
def _(lm: Decoder, new: int, keys: int, memories: Memories, fresh: bool) -> Work:
    """Copies by kind of token are of one shape: which of them a row goes through makes no difference."""
    queries, shared = lm.heads * lm.head_width, lm.kv_heads * lm.head_width
    ffn = sum(feed_forward(lm.ffn_of(layer), new, lm.width) for layer in range(lm.depth))
    attention = lm.depth * looking(new, keys, lm.width, queries, shared)
    return Work(attention=attention, ffn=ffn) + inserts(lm, new, memories, fresh)


@run.register(OPT)
@run.register(AlibiDecoder)
def _(lm: OPT | AlibiDecoder, new: int, keys: int, memories: Memories, fresh: bool) -> Work:
    ffn = lm.depth * feed_forward(lm.ffn, new, lm.width)
    return Work(attention=lm.depth * looking(new, keys, lm.width), ffn=ffn) + inserts(lm, new, memories, fresh)


@run.register
def _(lm: Magneto, new: int, keys: int, memories: Memories, fresh: bool) -> Work:
    return repeated(Work(attention=looking(new, keys, lm.width), ffn=2 * linear(new, lm.width, lm.hidden)), lm.depth)


@run.register
def _(lm: RelativeDecoder, new: int, keys: int, memories: Memories, fresh: bool) -> Work:
    """In every block as many distances as there are new tokens are mapped, and every query looks at those of all keys."""
    D = lm.width
    far = linear(new, D, D) + linear(new, D, keys)
    each = Work(attention=looking(new, keys, D) + far, ffn=feed_forward(lm.ffn, new, D))
    return repeated(each, lm.depth) + inserts(lm, new, memories, fresh)


@run.register
def _(lm: T5, new: int, keys: int, memories: Memories, fresh: bool) -> Work:
    inner, prompt = lm.heads * lm.head, memories[PROMPT]
    each = Work(
        attention=looking(new, keys, lm.width, inner),
        cross=reading(new, prompt.count, lm.width, prompt.width, inner, fresh=fresh),
        ffn=feed_forward(lm.ffn, new, lm.width),
    )
    return repeated(each, lm.depth)


@run.register
def _(lm: GroundedDecoder, new: int, keys: int, memories: Memories, fresh: bool) -> Work:
    return grounded(lm, new, keys, memories.get(lm.memory), fresh)


@run.register
def _(lm: Captioner, new: int, keys: int, memories: Memories, fresh: bool) -> Work:
    D, memory = lm.width, memories.get(lm.memory)
    each = Work(attention=looking(new, keys, D), ffn=feed_forward(lm.ffn, new, D))
    if memory is not None:
        each += Work(cross=reading(new, memory.count, D, memory.width, fresh=fresh))
    return repeated(each, lm.depth)


def grounded(spec: GroundedText | GroundedDecoder, new: int, keys: int, memory: Rows | None, fresh: bool) -> Work:
    """A stack that reads one memory in every block, or none of it."""
    D = spec.width
    each = Work(attention=looking(new, keys, D), ffn=feed_forward(spec.block.ffn, new, D))
    if memory is not None:
        each += Work(cross=reading(new, memory.count, D, memory.width, fresh=fresh))
    if isinstance(spec.block, AdaptedPostNorm):
        each += _adapters(spec.block, new, D, memory, fresh)
    return repeated(each, spec.depth)


def _adapters(block: AdaptedPostNorm, new: int, D: int, memory: Rows | None, fresh: bool) -> Work:
    """Beside a block: down and up for text, down and both ways up where it reads; beside keys and values, two small layers."""
    flops = 2 * linear(new, D, block.adapter.hidden)
    if memory is not None:
        more = linear(memory.count, memory.width, block.rank) + linear(memory.count, block.rank, D)
        flops += 3 * linear(new, D, block.adapter.hidden) + (2 * more if fresh else 0)
    return Work(adapters=flops)


def inserts(lm: LanguageModel, new: int, memories: Memories, fresh: bool) -> Work:
    """All inserts of a language model."""
    every = ((each, memories.get(each.memory)) for each in lm.inserts)
    return summed(repeated(insert(each, lm.width, new, memory, fresh), len(each.layers)) for each, memory in every)


@singledispatch
def insert(spec: Insert, width: int, new: int, memory: Rows | None, fresh: bool) -> Work:
    """One layer between rows of `width` and a memory, or none of it."""
    raise unknown(spec, "insert", "language")


@insert.register
def _(spec: GatedCross, width: int, new: int, memory: Rows | None, fresh: bool) -> Work:
    if memory is None:
        return Work(cross=feed_forward(spec.ffn, new, width) if spec.ffn_always else 0)
    inner, shared = spec.heads * spec.head, spec.kv_heads * spec.head
    read = reading(new, memory.count, width, memory.width, inner, shared, fresh)
    return Work(cross=read + feed_forward(spec.ffn, new, width))


@singledispatch
def head(lm: LanguageModel) -> int:
    """Logits at one place."""
    return linear(1, lm.width, lm.vocab)


@head.register
def _(lm: GroundedDecoder) -> int:
    return linear(1, lm.width, lm.width) + linear(1, lm.width, lm.vocab)


# The cache ------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Kept:
    """So many vectors, keys and values, each of one head of this width."""

    vectors: int
    head: int


def cached(lm: LanguageModel, keys: int, memories: Memories) -> Iterator[Kept]:
    """What a cache of `keys` tokens holds of one sample, memories included. `memories`: as `held` has them."""
    each = of_a_token(lm)
    yield Kept(keys * each.vectors, each.head)
    yield from remembered(lm, memories)


@singledispatch
def of_a_token(lm: LanguageModel) -> Kept:
    """Keys and values of one token in all layers."""
    return Kept(2 * lm.depth * lm.heads, lm.width // lm.heads)


@of_a_token.register
def _(lm: Decoder) -> Kept:
    return Kept(2 * lm.depth * lm.kv_heads, lm.head_width)


@of_a_token.register
def _(lm: RelativeDecoder) -> Kept:
    """And what every layer makes of one distance more."""
    return Kept(3 * lm.depth * lm.heads, lm.width // lm.heads)


@of_a_token.register
def _(lm: T5) -> Kept:
    return Kept(2 * lm.depth * lm.heads, lm.head)


@of_a_token.register
def _(lm: GroundedDecoder) -> Kept:
    return Kept(2 * lm.depth * lm.block.heads, lm.width // lm.block.heads)


@singledispatch
def remembered(lm: LanguageModel, memories: Memories) -> Iterator[Kept]:
    """Keys and values of the memories that its inserts read."""
    for each in lm.inserts:
        memory = memories.get(each.memory)
        if memory is not None and isinstance(each, GatedCross):
            yield Kept(2 * len(each.layers) * each.kv_heads * memory.count, each.head)


@remembered.register
def _(lm: T5, memories: Memories) -> Iterator[Kept]:
    yield Kept(2 * lm.depth * lm.heads * memories[PROMPT].count, lm.head)


@remembered.register
def _(lm: GroundedDecoder, memories: Memories) -> Iterator[Kept]:
    if (memory := memories.get(lm.memory)) is not None:
        yield Kept(2 * lm.depth * lm.block.heads * memory.count, lm.width // lm.block.heads)


@remembered.register
def _(lm: Captioner, memories: Memories) -> Iterator[Kept]:
    if (memory := memories.get(lm.memory)) is not None:
        yield Kept(2 * lm.depth * lm.heads * memory.count, lm.width // lm.heads)

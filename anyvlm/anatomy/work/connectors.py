"""Connectors, and joins behind them. Grids are those of the encoder's rows.

Shape letters: n rows of an item, Q queries, L words.
"""

from __future__ import annotations

from functools import singledispatch
from math import prod

from anyvlm.anatomy.work.count import linear, looking, reading, scores, unknown
from anyvlm.anatomy.work.layers import feed_forward
from anyvlm.parts.connect.frame import Framed, Ruled
from anyvlm.parts.connect.gated import GatedProjector
from anyvlm.parts.connect.latent import Latent
from anyvlm.parts.connect.merger import Merger
from anyvlm.parts.connect.mlp import Projector
from anyvlm.parts.connect.newline import Newlines
from anyvlm.parts.connect.perceiver import Perceiver
from anyvlm.parts.connect.qformer import QFormer, ReadingQFormer
from anyvlm.parts.connect.queried import Queried
from anyvlm.parts.connect.resampler import Resampler
from anyvlm.parts.connect.same import Same
from anyvlm.parts.connect.shuffle import Shuffle
from anyvlm.parts.connect.stem import Stem
from anyvlm.parts.connect.vocabulary import Vocabulary
from anyvlm.parts.features import Connector, Grid, Join

Grids = tuple[Grid, ...]


@singledispatch
def connector(spec: Connector, grids: Grids, into: int, out: int, words: int = 0) -> int:
    """All items of these grids, from rows of width `into` towards a language model of width `out`.

    `words`: that it reads beside each of them, where it reads any.
    """
    raise unknown(spec, "connector", "connectors")


@connector.register(Same)
@connector.register(Vocabulary)
def _(spec: Same | Vocabulary, grids: Grids, into: int, out: int, words: int = 0) -> int:
    return 0


@connector.register
def _(spec: Projector, grids: Grids, into: int, out: int, words: int = 0) -> int:
    N = sum(map(prod, grids))
    return linear(N, into, out) + (spec.depth - 1) * linear(N, out, out)


@connector.register
def _(spec: GatedProjector, grids: Grids, into: int, out: int, words: int = 0) -> int:
    N = sum(map(prod, grids))
    return linear(N, into, out) + feed_forward(spec.ffn, N, out)


@connector.register
def _(spec: Shuffle, grids: Grids, into: int, out: int, words: int = 0) -> int:
    return connector(spec.then, tuple(map(spec.count, grids)), into * spec.r**2, out)


@connector.register
def _(spec: Stem, grids: Grids, into: int, out: int, words: int = 0) -> int:
    return linear(sum(map(prod, grids)), into, spec.hidden) + connector(spec.fold, grids, spec.hidden, out)


@connector.register
def _(spec: Merger, grids: Grids, into: int, out: int, words: int = 0) -> int:
    N, wide = sum(prod(spec.count(grid)) for grid in grids), into * spec.r**2
    return linear(N, wide, wide) + linear(N, wide, out)


@connector.register
def _(spec: Latent, grids: Grids, into: int, out: int, words: int = 0) -> int:
    Q = spec.queries
    rows = sum(linear(n, into, out) for n in map(prod, grids))
    return rows + sum(reading(Q, n + Q, out, out) for n in map(prod, grids))


@connector.register
def _(spec: Perceiver, grids: Grids, into: int, out: int, words: int = 0) -> int:
    """Queries see the rows and themselves."""
    Q, inner = spec.queries, spec.heads * spec.head
    seen = sum(reading(Q, n + Q, into, into, inner) for n in map(prod, grids))
    return spec.depth * (seen + len(grids) * feed_forward(spec.ffn, Q, into))


@connector.register
def _(spec: Resampler, grids: Grids, into: int, out: int, words: int = 0) -> int:
    enter = linear(sum(map(prod, grids)), into, spec.inside)
    leave = linear(sum(prod(spec.count(grid)) for grid in grids), spec.inside, out)
    return enter + connector(spec.inner, grids, spec.inside, out) + leave


@connector.register
def _(spec: QFormer, grids: Grids, into: int, out: int, words: int = 0) -> int:
    return sum(t * _asked(spec, h * w, into, out, 0) for t, h, w in grids)


@connector.register
def _(spec: ReadingQFormer, grids: Grids, into: int, out: int, words: int = 0) -> int:
    return sum(t * _asked(spec, h * w, into, out, words) for t, h, w in grids)


def _asked(spec: QFormer, n: int, into: int, out: int, L: int) -> int:
    """Of one picture. Queries and words see each other, queries alone see the rows."""
    Q, inner = spec.queries, spec.inner
    layer = looking(Q + L, Q + L, inner) + feed_forward(spec.layer.ffn, Q + L, inner)
    reads = -(-spec.depth // spec.every)
    return spec.depth * layer + reads * reading(Q, n, inner, into) + linear(Q, inner, out)


@connector.register
def _(spec: Queried, grids: Grids, into: int, out: int, words: int = 0) -> int:
    """Queries, keys, values and what is read go through two maps each."""
    flops = 0
    for grid in grids:
        n, Q = prod(grid), prod(spec.count(grid))
        maps = linear(2 * Q, into, into) + linear(2 * Q, into, into) + linear(4 * n, into, into)
        flops += maps + scores(Q, n, into) + linear(Q, into, out) + linear(Q, out, out)
    return flops


@singledispatch
def join(spec: Join) -> int:
    """Of any picture: joins so far put rows in order and average them, which is not counted."""
    raise unknown(spec, "join", "connectors")


@join.register(Newlines)
@join.register(Framed)
@join.register(Ruled)
def _(spec: Newlines | Framed | Ruled) -> int:
    return 0

"""Systems of towers: text towers, pools, maps into the shared space, and contrasts that look at rows."""

from __future__ import annotations

from functools import singledispatch

from anyvlm.anatomy.work.count import Work, linear, looking, reading, repeated, scores, unknown
from anyvlm.anatomy.work.language import run
from anyvlm.anatomy.work.layers import block, feed_forward
from anyvlm.contrasts import Conditioned
from anyvlm.dual import Contrast, Sigmoid, Softmax
from anyvlm.parts.align import Adapter, FirstAndMean, Star
from anyvlm.parts.decoder_text import DecoderText, LatentPool, MeanBehind
from anyvlm.parts.headed import Projector, Tanh
from anyvlm.parts.hybrid import HybridText
from anyvlm.parts.mpnet import MPNetText
from anyvlm.parts.pool import CentredLook, Glance, Linear, Look, Map, MeanProbe, NormedMean, Pick, Pool, Probe, Rest, TwoLinear
from anyvlm.parts.prenorm import PreNorm
from anyvlm.parts.text import BertText, TextEncoder, TextTransformer
from anyvlm.parts.turning_text import TurningText
from anyvlm.parts.uncertain import MeanSpread, RowSpread, Spread, UncertainText


@singledispatch
def text(spec: TextEncoder, tokens: int) -> Work:
    """One text of so many tokens."""
    raise unknown(spec, "text tower", "towers")


@text.register
def _(spec: TextTransformer, tokens: int) -> Work:
    each = PreNorm(heads=spec.heads, ffn=spec.ffn, norm=spec.norm, bias=spec.bias)
    return repeated(block(each, tokens, spec.width), spec.depth)


@text.register
def _(spec: UncertainText, tokens: int) -> Work:
    """Two rows more: how sure it is, and the class token."""
    each = PreNorm(heads=spec.heads, ffn=spec.ffn, norm=spec.norm, bias=spec.bias)
    return repeated(block(each, tokens + 2, spec.width), spec.depth)


@text.register(BertText)
@text.register(MPNetText)
def _(spec: BertText | MPNetText, tokens: int) -> Work:
    return repeated(block(spec.block, tokens, spec.width), spec.depth)


@text.register
def _(spec: TurningText, tokens: int) -> Work:
    each = Work(attention=looking(tokens, tokens, spec.width), ffn=3 * linear(tokens, spec.width, spec.hidden))
    return repeated(each, spec.depth)


@text.register
def _(spec: DecoderText, tokens: int) -> Work:
    """A language model without its head."""
    return run(spec, tokens, tokens, {}, True)


@text.register
def _(spec: HybridText, tokens: int) -> Work:
    """Two blocks of convolutions along the text: one in the mixer, one in front of the feed-forward layer."""
    each = PreNorm(heads=spec.heads, ffn=spec.ffn, norm=spec.norm)
    lines = 2 * linear(tokens, spec.width, spec.side) + feed_forward(spec.ffn, tokens, spec.width)
    return repeated(block(each, tokens, spec.width), spec.depth) + Work(convolutions=2 * lines)


@singledispatch
def pool(spec: Pool, rows: int, width: int) -> int:
    """One item of so many rows."""
    raise unknown(spec, "pool", "towers")


@pool.register(Pick)
@pool.register(FirstAndMean)
@pool.register(Rest)
@pool.register(MeanBehind)
@pool.register(NormedMean)
def _(spec: Pick | FirstAndMean | Rest | MeanBehind | NormedMean, rows: int, width: int) -> int:
    return 0


@pool.register
def _(spec: Probe, rows: int, width: int) -> int:
    return reading(1, rows, width, width) + feed_forward(spec.ffn, 1, width)


@pool.register
def _(spec: Look, rows: int, width: int) -> int:
    """The query is not mapped."""
    return linear(rows, width, 2 * width) + scores(1, rows, width) + linear(1, width, width)


@pool.register
def _(spec: CentredLook, rows: int, width: int) -> int:
    """Neither the query nor what was seen is mapped."""
    return linear(rows, width, 2 * width) + scores(1, rows, width)


@pool.register
def _(spec: MeanProbe, rows: int, width: int) -> int:
    """The mean stands before the rows; what was seen is not mapped."""
    return linear(1, width, width) + linear(rows + 1, width, 2 * width) + scores(1, rows + 1, width)


@pool.register
def _(spec: Glance, rows: int, width: int) -> int:
    looks = 2 * linear(spec.heads, width, rows)
    return looks + linear(1, spec.heads * width, spec.hidden) + linear(1, spec.hidden, width)


@pool.register
def _(spec: LatentPool, rows: int, width: int) -> int:
    """Rows look at learned vectors."""
    seen = reading(rows, spec.latents, width, width, spec.heads * spec.head)
    return seen + 3 * linear(rows, width, spec.times * width)


@pool.register
def _(spec: Tanh, rows: int, width: int) -> int:
    return linear(1, width, width)


@pool.register
def _(spec: Projector, rows: int, width: int) -> int:
    return linear(1, width, spec.hidden) + linear(1, spec.hidden, spec.hidden) + linear(1, spec.hidden, spec.last)


@singledispatch
def project(spec: Map, width: int, shared: int) -> int:
    """One vector into the shared space."""
    raise unknown(spec, "map", "towers")


@project.register
def _(spec: Linear, width: int, shared: int) -> int:
    return linear(1, width, shared)


@project.register
def _(spec: TwoLinear, width: int, shared: int) -> int:
    return linear(1, width, spec.ratio * shared) + linear(1, spec.ratio * shared, shared)


@project.register
def _(spec: Star, width: int, shared: int) -> int:
    inner = spec.factor * width
    return 2 * linear(1, width, inner) + linear(1, inner, shared)


@project.register
def _(spec: Adapter, width: int, shared: int) -> int:
    return spec.depth * 2 * linear(1, width, 2 * width) + linear(1, width, shared)


@singledispatch
def spread(spec: Spread, width: int, shared: int) -> int:
    """How sure a tower is of one item."""
    raise unknown(spec, "spread", "towers")


@spread.register
def _(spec: RowSpread, width: int, shared: int) -> int:
    return linear(1, width, shared)


@spread.register
def _(spec: MeanSpread, width: int, shared: int) -> int:
    return linear(1, shared, shared)


@singledispatch
def contrast(spec: Contrast, rows: int, texts: int, width: int, shared: int) -> int:
    """What one picture of so many rows of `width` costs beside its point, for so many texts."""
    raise unknown(spec, "contrast", "towers")


@contrast.register(Softmax)
@contrast.register(Sigmoid)
def _(spec: Softmax | Sigmoid, rows: int, texts: int, width: int, shared: int) -> int:
    """Points are all that is compared."""
    return 0


@contrast.register
def _(spec: Conditioned, rows: int, texts: int, width: int, shared: int) -> int:
    """All rows are mapped into the shared space, and each text looks at those that are seen, and at nothing."""
    seen, wide = rows - spec.skip, spec.width
    maps = linear(texts, wide, 2 * wide) + linear(seen, wide, 2 * wide)
    return linear(rows, width, shared) + maps + scores(texts, seen + 1, wide)

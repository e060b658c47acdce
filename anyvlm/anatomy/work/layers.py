"""Feed-forward layers, and the blocks of encoders and text towers."""

from __future__ import annotations

from functools import singledispatch

from anyvlm.anatomy.work.count import Work, linear, looking, unknown
from anyvlm.parts.adapted import AdaptedPreNorm
from anyvlm.parts.bert import PostNorm
from anyvlm.parts.extra_key import ExtraKey
from anyvlm.parts.ffn import GLU, MLP, NormedGLU
from anyvlm.parts.keyless import Keyless
from anyvlm.parts.moe import MoE
from anyvlm.parts.prenorm import PreNorm
from anyvlm.spec import Spec


@singledispatch
def feed_forward(spec: Spec, rows: int, width: int) -> int:
    """One layer on so many rows."""
    raise unknown(spec, "feed-forward layer", "layers")


@feed_forward.register
def _(spec: MLP, rows: int, width: int) -> int:
    return 2 * linear(rows, width, spec.hidden)


@feed_forward.register(GLU)
@feed_forward.register(NormedGLU)
def _(spec: GLU | NormedGLU, rows: int, width: int) -> int:
    return 3 * linear(rows, width, spec.hidden)


@feed_forward.register
def _(spec: MoE, rows: int, width: int) -> int:
    """The router, and the experts that a row goes through: whom a full expert turns away is computed all the same."""
    shared = feed_forward(spec.shared, rows, width) if spec.shared else 0
    return linear(rows, width, spec.experts) + feed_forward(spec.expert, rows * spec.top, width) + shared


@singledispatch
def block(spec: Spec, rows: int, width: int) -> Work:
    """One block in which so many rows see each other."""
    raise unknown(spec, "block", "layers")


@block.register(PreNorm)
@block.register(Keyless)
@block.register(PostNorm)
def _(spec: PreNorm | Keyless | PostNorm, rows: int, width: int) -> Work:
    return Work(attention=looking(rows, rows, width), ffn=feed_forward(spec.ffn, rows, width))


@block.register
def _(spec: ExtraKey, rows: int, width: int) -> Work:
    return Work(attention=looking(rows, rows + 1, width), ffn=feed_forward(spec.ffn, rows, width))


@block.register
def _(spec: AdaptedPreNorm, rows: int, width: int) -> Work:
    plain = Work(attention=looking(rows, rows, width), ffn=feed_forward(spec.ffn, rows, width))
    return plain + Work(adapters=2 * linear(rows, width, spec.adapter.hidden))

"""Any system in small: the same parts, fields and layouts with few, narrow layers, for tests and for trying a recipe."""

from __future__ import annotations

from dataclasses import replace

from anyvlm.errors import SpecError
from anyvlm.inputs.film import Film
from anyvlm.inputs.mosaic import Mosaic
from anyvlm.inputs.native import Native
from anyvlm.inputs.policy import ImagePolicy, Policy
from anyvlm.inputs.tiles import AnyRes, Canvas
from anyvlm.parts.connect.perceiver import Perceiver
from anyvlm.parts.features import Connector, Encoder
from anyvlm.parts.insert.gated import GatedCross
from anyvlm.parts.language import LanguageModel
from anyvlm.parts.lm import Decoder
from anyvlm.parts.memory import Insert
from anyvlm.parts.rope import LongRope, Rope
from anyvlm.parts.vision.axial import AxialViT
from anyvlm.parts.vision.native import NativeViT
from anyvlm.parts.vision.tiled import TiledViT
from anyvlm.parts.vision.vit import ViT
from anyvlm.system import Stream, System, VisionSystem

WIDTH, HEAD, HIDDEN, SIDE = 32, 8, 48, 3


def tiny(system: System, *, vocab: int = 512, depth: int = 2) -> System:
    """A system of a few hundred thousand parameters that behaves alike; no weights belong to it.

    Towers keep their depth, since stages name their blocks, and see SIDE x SIDE patches (one more where patches are folded
    together would not divide).
    """
    streams = {name: _stream(stream) for name, stream in system.streams.items()}
    return system.but(lm=_language(system.lm, vocab, depth), streams=streams)


def tiny_vision(system: VisionSystem) -> VisionSystem:
    """The same for an encoder alone."""
    return system.but(encoder=_encoder(system.encoder), policy=_policy(system.policy, system.encoder.patch))


def _language(lm: LanguageModel, vocab: int, depth: int) -> LanguageModel:
    match lm:
        case Decoder():
            return _decoder(lm, vocab, depth)
    raise SpecError(f"tiny() does not know how to shrink the language model {type(lm).__name__}; tell it in anyvlm/tiny.py.")


def _decoder(lm: Decoder, vocab: int, depth: int) -> Decoder:
    heads = WIDTH // HEAD
    groups = max(1, heads * lm.kv_heads // lm.heads)
    window = None if lm.window is None else 16
    windowed = None if lm.windowed is None else tuple(layer for layer in lm.windowed if layer < depth)
    inserts = tuple(_insert(insert, depth) for insert in lm.inserts)
    return lm.but(
        vocab=vocab, width=WIDTH, depth=depth, heads=heads, kv_heads=groups, head=None if lm.head is None else HEAD,
        ffn__hidden=HIDDEN, context=512, window=window, windowed=windowed, rope=_rope(lm.rope), inserts=inserts,
    )  # fmt: skip


def _insert(insert: Insert, depth: int) -> Insert:
    """In front of the same share of the blocks, at least of one."""
    if not isinstance(insert, GatedCross):
        raise SpecError(f"tiny() does not know how to shrink the insert {type(insert).__name__}; tell it in anyvlm/tiny.py.")
    heads = WIDTH // HEAD
    groups = max(1, heads * insert.kv_heads // insert.heads)
    layers = tuple(layer for layer in insert.layers if layer < depth) or (depth - 1,)
    return insert.but(layers=layers, heads=heads, kv_heads=groups, head=HEAD, ffn__hidden=HIDDEN)


def _connector(connector: Connector) -> Connector:
    if isinstance(connector, Perceiver):
        return connector.but(queries=4, depth=2, heads=2, head=HEAD, ffn__hidden=HIDDEN)
    return connector


def _rope(rope: Rope) -> Rope:
    if rope.sections:
        *first, _ = (max(1, section * (HEAD // 2) // sum(rope.sections)) for section in rope.sections)
        rope = replace(rope, sections=(*first, HEAD // 2 - sum(first)))
    if not isinstance(rope.scaling, LongRope):
        return rope
    short, long = (factors[: HEAD // 2] for factors in (rope.scaling.short, rope.scaling.long))
    return replace(rope, scaling=replace(rope.scaling, short=short, long=long))


def _stream(stream: Stream) -> Stream:
    return stream.but(
        encoder=_encoder(stream.encoder), policy=_policy(stream.policy, stream.encoder.patch),
        several=stream.several and _policy(stream.several, stream.encoder.patch),
        connector=_connector(stream.connector), film=stream.film and _film(stream.film, stream.encoder.patch),
    )  # fmt: skip


def _film(film: Film, patch: int) -> Film:
    """A few frames."""
    return film.but(policy=_policy(film.policy, patch), sampler__most=4)


def _encoder(encoder: Encoder) -> Encoder:
    match encoder:
        case ViT():
            return encoder.but(width=WIDTH, heads=WIDTH // HEAD, size=SIDE * encoder.patch, ffn__hidden=HIDDEN)
        case TiledViT():
            return encoder.but(width=WIDTH, heads=WIDTH // HEAD, tile=SIDE * encoder.patch, ffn__hidden=HIDDEN)
        case NativeViT():
            window = None if encoder.window is None else SIDE
            return encoder.but(width=WIDTH, heads=WIDTH // HEAD, window=window, ffn__hidden=HIDDEN)
        case AxialViT():
            return encoder.but(width=WIDTH, heads=WIDTH // HEAD, ffn__hidden=HIDDEN)
    return encoder


def _policy(policy: Policy, patch: int) -> Policy:
    side = SIDE * patch
    match policy:
        case ImagePolicy():
            return policy.but(size=(side, side), short=None)
        case Canvas():
            return policy.but(one=policy.one.but(size=(side, side)))
        case AnyRes():
            (h, w), one = policy.one.size, policy.one.but(size=(side, side))
            return policy.but(one=one, pinpoints=tuple((a // h * side, b // w * side) for a, b in policy.pinpoints))
        case Native():
            return policy.but(least=policy.multiple**2, most=4 * SIDE * policy.multiple**2, budget=None)
        case Mosaic():
            tiles = policy.longest // policy.one.size[0]
            return policy.but(one=policy.one.but(size=(side, side)), longest=tiles * side)
    raise SpecError(f"tiny() does not know how to shrink the policy {type(policy).__name__}; tell it in anyvlm/tiny.py.")

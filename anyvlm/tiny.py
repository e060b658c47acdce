"""Any system in small: the same parts, fields and layouts with few, narrow layers, for tests and for trying a recipe."""

from __future__ import annotations

from dataclasses import replace

from anyvlm.errors import SpecError
from anyvlm.inputs.mosaic import Mosaic
from anyvlm.inputs.policy import ImagePolicy, Policy
from anyvlm.inputs.tiles import AnyRes
from anyvlm.parts.features import Encoder
from anyvlm.parts.lm import Decoder
from anyvlm.parts.rope import LongRope, Rope
from anyvlm.parts.vision.axial import AxialViT
from anyvlm.parts.vision.vit import ViT
from anyvlm.system import Stream, System, VisionSystem

WIDTH, HEAD, HIDDEN, SIDE = 32, 8, 48, 3


def tiny(system: System, *, vocab: int = 512, depth: int = 2) -> System:
    """A system of a few hundred thousand parameters that behaves alike; no weights belong to it.

    Towers keep their depth, since stages name their blocks, and see SIDE x SIDE patches (one more where patches are folded
    together would not divide).
    """
    streams = {name: _stream(stream) for name, stream in system.streams.items()}
    return system.but(lm=_decoder(system.lm, vocab, depth), streams=streams)


def tiny_vision(system: VisionSystem) -> VisionSystem:
    """The same for an encoder alone."""
    return system.but(encoder=_encoder(system.encoder), policy=_policy(system.policy, system.encoder.patch))


def _decoder(lm: Decoder, vocab: int, depth: int) -> Decoder:
    heads = WIDTH // HEAD
    groups = max(1, heads * lm.kv_heads // lm.heads)
    window = None if lm.window is None else 16
    windowed = None if lm.windowed is None else tuple(layer for layer in lm.windowed if layer < depth)
    return lm.but(
        vocab=vocab, width=WIDTH, depth=depth, heads=heads, kv_heads=groups, head=None if lm.head is None else HEAD,
        ffn__hidden=HIDDEN, context=512, window=window, windowed=windowed, rope=_rope(lm.rope),
    )  # fmt: skip


def _rope(rope: Rope) -> Rope:
    if not isinstance(rope.scaling, LongRope):
        return rope
    short, long = (factors[: HEAD // 2] for factors in (rope.scaling.short, rope.scaling.long))
    return replace(rope, scaling=replace(rope.scaling, short=short, long=long))


def _stream(stream: Stream) -> Stream:
    return stream.but(encoder=_encoder(stream.encoder), policy=_policy(stream.policy, stream.encoder.patch))


def _encoder(encoder: Encoder) -> Encoder:
    match encoder:
        case ViT():
            return encoder.but(width=WIDTH, heads=WIDTH // HEAD, size=SIDE * encoder.patch, ffn__hidden=HIDDEN)
        case AxialViT():
            return encoder.but(width=WIDTH, heads=WIDTH // HEAD, ffn__hidden=HIDDEN)
    return encoder


def _policy(policy: Policy, patch: int) -> Policy:
    side = SIDE * patch
    match policy:
        case ImagePolicy():
            return policy.but(size=(side, side), short=None)
        case AnyRes():
            (h, w), one = policy.one.size, policy.one.but(size=(side, side))
            return policy.but(one=one, pinpoints=tuple((a // h * side, b // w * side) for a, b in policy.pinpoints))
        case Mosaic():
            tiles = policy.longest // policy.one.size[0]
            return policy.but(one=policy.one.but(size=(side, side)), longest=tiles * side)
    raise SpecError(f"tiny() does not know how to shrink the policy {type(policy).__name__}; tell it in anyvlm/tiny.py.")

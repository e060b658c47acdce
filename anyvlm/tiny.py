"""Any system in small: the same parts, fields and layouts with few, narrow layers, for tests and for trying a recipe."""

from __future__ import annotations

from dataclasses import replace
from typing import TypeVar

from anyvlm.dual import DualSystem, TextTower, Tower
from anyvlm.errors import SpecError
from anyvlm.inputs.budget import Budget
from anyvlm.inputs.mosaic import Mosaic
from anyvlm.inputs.native import Native
from anyvlm.inputs.policy import ImagePolicy, Policy
from anyvlm.inputs.tiles import AnyRes, Canvas
from anyvlm.match import MatchSystem
from anyvlm.parts.connect.perceiver import Perceiver
from anyvlm.parts.connect.qformer import QFormer, ReadingQFormer
from anyvlm.parts.features import Connector, Encoder
from anyvlm.parts.grounded import GroundedAnswerer, GroundedDecoder, GroundedText
from anyvlm.parts.insert.gated import GatedCross
from anyvlm.parts.language import LanguageModel
from anyvlm.parts.lm import Decoder
from anyvlm.parts.memory import Insert
from anyvlm.parts.opt import OPT
from anyvlm.parts.pool import MeanProbe, Pool, Probe
from anyvlm.parts.rope import LongRope, Rope
from anyvlm.parts.t5 import T5
from anyvlm.parts.text import BertText, TextEncoder, TextTransformer
from anyvlm.parts.vision.axial import AxialViT
from anyvlm.parts.vision.native import NativeViT
from anyvlm.parts.vision.resnet import ResNet
from anyvlm.parts.vision.tiled import TiledViT
from anyvlm.parts.vision.vit import ViT
from anyvlm.system import Stream, System, VisionSystem

G = TypeVar("G", GroundedAnswerer, GroundedDecoder, GroundedText)
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


def tiny_match(system: MatchSystem, *, vocab: int = 512, depth: int = 2) -> MatchSystem:
    """The same for a system that scores."""
    captioner = system.captioner and _grounded(system.captioner.but(heads=WIDTH // HEAD), vocab, depth)
    return system.but(
        encoder=_encoder(system.encoder), policy=_policy(system.policy, system.encoder.patch), shared=HEAD,
        text=_grounded(system.text, vocab, depth), captioner=captioner,
    )  # fmt: skip


def tiny_dual(system: DualSystem, *, vocab: int = 512, depth: int = 2) -> DualSystem:
    """The same for a system of towers."""
    towers = {name: _tower(tower, vocab, depth) for name, tower in system.towers.items()}
    return system.but(towers=towers, shared=WIDTH)


def _tower(tower: Tower | TextTower, vocab: int, depth: int) -> Tower | TextTower:
    if isinstance(tower, TextTower):
        return tower.but(encoder=_text(tower.encoder, vocab, depth), pool=_pool(tower.pool))
    return tower.but(
        encoder=_encoder(tower.encoder), policy=_policy(tower.policy, tower.encoder.patch), pool=_pool(tower.pool)
    )


def _text(text: TextEncoder, vocab: int, depth: int) -> TextEncoder:
    match text:
        case TextTransformer():
            return text.but(vocab=vocab, width=WIDTH, depth=depth, heads=WIDTH // HEAD, ffn__hidden=HIDDEN)
        case BertText():
            heads = WIDTH // HEAD
            return text.but(vocab=vocab, width=WIDTH, depth=depth, block__heads=heads, block__ffn__hidden=HIDDEN)
    raise SpecError(f"tiny() does not know how to shrink the text tower {type(text).__name__}; tell it in anyvlm/tiny.py.")


def _pool(pool: Pool) -> Pool:
    match pool:
        case Probe():
            return pool.but(heads=WIDTH // HEAD, ffn__hidden=HIDDEN)
        case MeanProbe():
            return pool.but(heads=WIDTH // HEAD, rows=SIDE**2)
    return pool


def _language(lm: LanguageModel, vocab: int, depth: int) -> LanguageModel:
    small = {"vocab": vocab, "width": WIDTH, "depth": depth, "heads": WIDTH // HEAD, "ffn__hidden": HIDDEN, "context": 512}
    match lm:
        case Decoder():
            return _decoder(lm, vocab, depth)
        case GroundedAnswerer():
            return _grounded(lm.but(heads=WIDTH // HEAD, start=0, reader=_grounded(lm.reader, vocab, depth)), vocab, depth)
        case GroundedDecoder():
            return _grounded(lm.but(heads=WIDTH // HEAD), vocab, depth)
        case OPT():
            return lm.but(**small)
        case T5():
            return lm.but(**small, encoder_depth=depth, head=HEAD)
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


def _grounded(stack: G, vocab: int, depth: int) -> G:
    return stack.but(
        vocab=vocab, width=WIDTH, depth=depth, context=512, block__heads=WIDTH // HEAD, block__ffn__hidden=HIDDEN
    )


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
    if isinstance(connector, QFormer):
        connector = connector.but(queries=4, inner=WIDTH, depth=3, layer__heads=2, layer__ffn__hidden=HIDDEN)
    return connector.but(words__vocab=512) if isinstance(connector, ReadingQFormer) else connector


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
        connector=_connector(stream.connector),
    )  # fmt: skip


def _encoder(encoder: Encoder) -> Encoder:
    match encoder:
        case ViT():
            return encoder.but(width=WIDTH, heads=WIDTH // HEAD, size=SIDE * encoder.patch, ffn__hidden=HIDDEN)
        case TiledViT():
            return encoder.but(width=WIDTH, heads=WIDTH // HEAD, tile=SIDE * encoder.patch, ffn__hidden=HIDDEN)
        case NativeViT():
            window = None if encoder.window is None else SIDE
            return encoder.but(width=WIDTH, heads=WIDTH // HEAD, window=window, ffn__hidden=HIDDEN)
        case ResNet():
            return encoder.but(width=HEAD, depths=(1, 1, 1, 2), size=SIDE * encoder.patch)
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
        case Budget():
            return policy.but(most=SIDE**2)
        case Native():
            return policy.but(least=policy.multiple**2, most=4 * SIDE * policy.multiple**2)
        case Mosaic():
            tiles = policy.longest // policy.one.size[0]
            return policy.but(one=policy.one.but(size=(side, side)), longest=tiles * side)
    raise SpecError(f"tiny() does not know how to shrink the policy {type(policy).__name__}; tell it in anyvlm/tiny.py.")

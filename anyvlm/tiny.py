"""Any system in small: the same parts, fields and layouts with few, narrow layers, for tests and for trying a recipe."""

from __future__ import annotations

from dataclasses import replace
from typing import TypeVar

from anyvlm.contrasts import Conditioned, Views
from anyvlm.dual import Contrast, DualSystem, SignalTower, TextTower, Tower
from anyvlm.errors import SpecError
from anyvlm.inputs.budget import Budget
from anyvlm.inputs.film import Film
from anyvlm.inputs.letterbox import Letterbox
from anyvlm.inputs.longest import Longest, Stretched
from anyvlm.inputs.masked import Masked
from anyvlm.inputs.mosaic import Mosaic
from anyvlm.inputs.native import Native
from anyvlm.inputs.painting import Painting
from anyvlm.inputs.policy import ImagePolicy, Policy
from anyvlm.inputs.scaled import Scaled
from anyvlm.inputs.signal import Given, Mel, Rows, SignalPolicy
from anyvlm.inputs.tiles import AnyRes, Canvas
from anyvlm.match import MatchSystem
from anyvlm.parts.alibi import AlibiDecoder
from anyvlm.parts.captioner import Captioner
from anyvlm.parts.classify import Classify
from anyvlm.parts.code.code import Code
from anyvlm.parts.code.tables import OwnTables
from anyvlm.parts.code.vqgan import VQGAN
from anyvlm.parts.connect.gated import GatedProjector
from anyvlm.parts.connect.latent import Latent
from anyvlm.parts.connect.perceiver import Perceiver
from anyvlm.parts.connect.qformer import QFormer, ReadingQFormer
from anyvlm.parts.connect.queried import Queried
from anyvlm.parts.connect.resampler import Resampler
from anyvlm.parts.connect.stem import Stem
from anyvlm.parts.connect.vocabulary import Vocabulary
from anyvlm.parts.decoder_text import DecoderText, LatentPool
from anyvlm.parts.deep_features import DeepFeatures
from anyvlm.parts.features import Connector, Encoder
from anyvlm.parts.grounded import GroundedAnswerer, GroundedDecoder, GroundedText
from anyvlm.parts.headed import Projector
from anyvlm.parts.hidden_tubes import HiddenTubes
from anyvlm.parts.insert.gated import GatedCross
from anyvlm.parts.language import LanguageModel
from anyvlm.parts.lesson import Lesson
from anyvlm.parts.lm import Decoder, Swap
from anyvlm.parts.magneto import Magneto
from anyvlm.parts.memory import Insert
from anyvlm.parts.moe import FFN, MoE
from anyvlm.parts.mpnet import MPNetText
from anyvlm.parts.next_patch import NextPatch
from anyvlm.parts.opt import OPT
from anyvlm.parts.pool import CentredLook, Glance, Look, MeanProbe, Pool, Probe
from anyvlm.parts.relations import Relations
from anyvlm.parts.relative import RelativeDecoder
from anyvlm.parts.rope import LongRope, Rope
from anyvlm.parts.t5 import T5
from anyvlm.parts.text import BertText, TextEncoder, TextTransformer
from anyvlm.parts.turning_text import TurningText
from anyvlm.parts.vision.aim import AimViT, NativeAimViT
from anyvlm.parts.vision.axial import AxialViT
from anyvlm.parts.vision.bridged import Bridged
from anyvlm.parts.vision.eva import EvaViT
from anyvlm.parts.vision.fastvit import FastViT
from anyvlm.parts.vision.gated import GatedViT
from anyvlm.parts.vision.native import NativeViT
from anyvlm.parts.vision.nfnet import NFNet
from anyvlm.parts.vision.resnet import ResNet
from anyvlm.parts.vision.seconds import SecondsBert
from anyvlm.parts.vision.signal import SignalViT
from anyvlm.parts.vision.stemmed import StemmedViT
from anyvlm.parts.vision.tiled import TiledViT
from anyvlm.parts.vision.tubes import TubeViT
from anyvlm.parts.vision.vit import ViT
from anyvlm.parts.written import Written
from anyvlm.system import Stream, System, VisionSystem

D = TypeVar("D", bound=Decoder)
G = TypeVar("G", GroundedAnswerer, GroundedDecoder, GroundedText)
WIDTH, HEAD, HIDDEN, SIDE, CODES = 32, 8, 48, 3, 32


def tiny(system: System, *, vocab: int = 512, depth: int = 2) -> System:
    """A system of a few hundred thousand parameters that behaves alike; no weights belong to it.

    Towers keep their depth, since stages name their blocks, and see SIDE x SIDE patches (one more where patches are folded
    together would not divide).
    """
    streams = {name: _stream(stream, vocab) for name, stream in system.streams.items()}
    painting = system.painting and system.code and _painting(system.painting, system.code.patch)
    return system.but(lm=_language(system.lm, vocab, depth), streams=streams, painting=painting)


def tiny_vision(system: VisionSystem) -> VisionSystem:
    """The same for an encoder alone, with its lessons."""
    lessons = {name: _lesson(lesson) for name, lesson in system.lessons.items()}
    return system.but(
        encoder=_encoder(system.encoder), policy=_policy(system.policy, system.encoder.patch), lessons=lessons
    )


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
    return system.but(towers=towers, shared=WIDTH, contrasts=tuple(map(_contrast, system.contrasts)))


def _lesson(lesson: Lesson) -> Lesson:
    match lesson:
        case Classify():
            return lesson.but(classes=7, pool=_pool(lesson.pool))
        case Written():
            block = {"block__heads": WIDTH // HEAD, "block__ffn__hidden": HIDDEN}
            return lesson.but(width=WIDTH, depth=2, vocab=40, context=16, **block)
        case NextPatch():
            return lesson.but(width=WIDTH, depth=2, ffn__hidden=HIDDEN)
        case DeepFeatures():
            block = {"block__heads": WIDTH // HEAD, "block__ffn__hidden": HIDDEN}
            return lesson.but(width=WIDTH, depth=2, teacher=_vit(lesson.teacher), features=24, **block)
        case Relations():
            return lesson.but(teacher=_vit(lesson.teacher), heads=WIDTH // HEAD)
        case HiddenTubes():
            return lesson.but(width=WIDTH, depth=2, block__heads=WIDTH // HEAD, block__ffn__hidden=HIDDEN)
    raise SpecError(f"tiny() does not know how to shrink the lesson {type(lesson).__name__}; tell it in anyvlm/tiny.py.")


def _contrast(contrast: Contrast) -> Contrast:
    match contrast:
        case Conditioned():
            return contrast.but(width=WIDTH, pool__heads=WIDTH // HEAD)
        case Views():
            return contrast.but(width=WIDTH, hidden=HIDDEN, out=WIDTH)
    return contrast


def _tower(tower: Tower | TextTower | SignalTower, vocab: int, depth: int) -> Tower | TextTower | SignalTower:
    if isinstance(tower, TextTower):
        policy = tower.policy.but(context=min(tower.policy.context, 256))
        return tower.but(encoder=_text(tower.encoder, vocab, depth), policy=policy, pool=_pool(tower.pool))
    if isinstance(tower, SignalTower):
        encoder = _encoder(tower.encoder)
        return tower.but(encoder=encoder, policy=_signal(tower.policy, encoder), pool=_pool(tower.pool))
    return tower.but(
        encoder=_encoder(tower.encoder), policy=_policy(tower.policy, tower.encoder.patch), pool=_pool(tower.pool)
    )


def _signal(policy: SignalPolicy, encoder: Encoder) -> SignalPolicy:
    match policy:
        case Rows() if isinstance(encoder, SecondsBert):
            return policy.but(width=encoder.into)
    assert isinstance(encoder, SignalViT)
    match policy:
        case Given():
            return policy.but(size=encoder.size)
        case Mel():
            return policy.but(bins=encoder.size[0], length=encoder.size[1])
    raise SpecError(f"tiny() does not know how to shrink the policy {type(policy).__name__}; tell it in anyvlm/tiny.py.")


def _text(text: TextEncoder, vocab: int, depth: int) -> TextEncoder:
    match text:
        case TextTransformer():
            return text.but(vocab=vocab, width=WIDTH, depth=depth, heads=WIDTH // HEAD, ffn__hidden=HIDDEN)
        case BertText():
            heads = WIDTH // HEAD
            return text.but(vocab=vocab, width=WIDTH, depth=depth, block__heads=heads, block__ffn__hidden=HIDDEN)
        case MPNetText():
            heads = WIDTH // HEAD
            return text.but(vocab=vocab, width=WIDTH, depth=depth, block__heads=heads, block__ffn__hidden=HIDDEN)
        case TurningText():
            return text.but(vocab=vocab, width=WIDTH, depth=depth, heads=WIDTH // HEAD, hidden=HIDDEN)
        case DecoderText():
            return _decoder(text, vocab, depth)
    raise SpecError(f"tiny() does not know how to shrink the text tower {type(text).__name__}; tell it in anyvlm/tiny.py.")


def _pool(pool: Pool) -> Pool:
    match pool:
        case Probe():
            return pool.but(heads=WIDTH // HEAD, ffn__hidden=HIDDEN)
        case Look() | CentredLook():
            return pool.but(heads=WIDTH // HEAD)
        case MeanProbe():
            return pool.but(heads=WIDTH // HEAD, rows=SIDE**2)
        case Glance():
            return pool.but(heads=2, hidden=HIDDEN)
        case LatentPool():
            return pool.but(latents=5, heads=2, head=HEAD)
        case Projector():
            return pool.but(hidden=HIDDEN, last=WIDTH)
    return pool


def _language(lm: LanguageModel, vocab: int, depth: int) -> LanguageModel:
    small = {"vocab": vocab, "width": WIDTH, "depth": depth, "heads": WIDTH // HEAD, "ffn__hidden": HIDDEN, "context": 512}
    match lm:
        case Decoder():
            return _decoder(lm, vocab, depth)
        case Magneto():
            return lm.but(vocab=vocab, width=WIDTH, depth=depth, heads=WIDTH // HEAD, hidden=HIDDEN, context=512)
        case GroundedAnswerer():
            return _grounded(lm.but(heads=WIDTH // HEAD, start=0, reader=_grounded(lm.reader, vocab, depth)), vocab, depth)
        case GroundedDecoder():
            return _grounded(lm.but(heads=WIDTH // HEAD), vocab, depth)
        case OPT() | Captioner():
            return lm.but(**small)
        case T5():
            return lm.but(**small, encoder_depth=depth, head=HEAD)
        case AlibiDecoder() | RelativeDecoder():
            inserts = tuple(_insert(insert, depth) for insert in lm.inserts)
            return lm.but(
                vocab=vocab, width=WIDTH, depth=depth, heads=WIDTH // HEAD, ffn__hidden=2 * WIDTH, context=512, inserts=inserts
            )
    raise SpecError(f"tiny() does not know how to shrink the language model {type(lm).__name__}; tell it in anyvlm/tiny.py.")


def _decoder(lm: D, vocab: int, depth: int) -> D:
    heads = WIDTH // HEAD
    groups = max(1, heads * lm.kv_heads // lm.heads)
    window = None if lm.window is None else 16
    windowed = None if lm.windowed is None else tuple(layer for layer in lm.windowed if layer < depth)
    inserts = tuple(_insert(insert, depth) for insert in lm.inserts)
    return lm.but(
        vocab=vocab, width=WIDTH, depth=depth, heads=heads, kv_heads=groups, head=None if lm.head is None else HEAD,
        ffn=_ffn(lm.ffn), context=512, window=window, windowed=windowed, rope=_rope(lm.rope), inserts=inserts,
        swaps=tuple(_swap(swap, depth) for swap in lm.swaps),
    )  # fmt: skip


def _ffn(ffn: FFN) -> FFN:
    """Of many experts few are left, and more than every row goes through."""
    if not isinstance(ffn, MoE):
        return ffn.but(hidden=HIDDEN)
    shared = ffn.shared and ffn.shared.but(hidden=HIDDEN)
    return ffn.but(expert=ffn.expert.but(hidden=HIDDEN), shared=shared, experts=min(ffn.experts, ffn.top + 2))


def _swap(swap: Swap, depth: int) -> Swap:
    """In the same blocks, as far as they are left."""
    return swap.but(layers=tuple(layer for layer in swap.layers if layer < depth), ffn=_ffn(swap.ffn))


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


def _connector(connector: Connector, vocab: int) -> Connector:
    if isinstance(connector, Vocabulary):
        return connector.but(words=vocab - CODES)
    if isinstance(connector, Perceiver):
        return connector.but(queries=4, depth=2, heads=2, head=HEAD, ffn__hidden=HIDDEN)
    if isinstance(connector, Latent):
        return connector.but(queries=4, heads=WIDTH // HEAD)
    if isinstance(connector, Queried):
        return connector.but(queries=((SIDE, 3), (2 * SIDE, 5)), heads=WIDTH // HEAD)
    if isinstance(connector, Resampler):
        return connector.but(inside=WIDTH, inner=_connector(connector.inner, vocab))
    if isinstance(connector, GatedProjector):
        return connector.but(ffn__hidden=HIDDEN)
    if isinstance(connector, Stem):
        return connector.but(hidden=HIDDEN)
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


def _code(code: Code) -> Code:
    if not isinstance(code, VQGAN):
        raise SpecError(f"tiny() does not know how to shrink the code {type(code).__name__}; tell it in anyvlm/tiny.py.")
    return code.but(vocab=CODES, width=8, base=8, latent=16, depth=1, groups=4, draws=True)


def _painting(painting: Painting, patch: int) -> Painting:
    """SIDE x SIDE codes; the code can draw, even where published files hold only the half that reads."""
    side, tables = SIDE * patch, painting.tables
    if isinstance(tables, OwnTables):
        tables = tables.but(coder=_code(tables.coder), hidden=HIDDEN)
    return painting.but(size=(side, side), tables=tables)


def _stream(stream: Stream, vocab: int) -> Stream:
    return stream.but(
        encoder=_encoder(stream.encoder), policy=_policy(stream.policy, stream.encoder.patch),
        several=stream.several and _policy(stream.several, stream.encoder.patch),
        connector=_connector(stream.connector, vocab), film=stream.film and _film(stream.film, stream.encoder.patch),
    )  # fmt: skip


def _film(film: Film, patch: int) -> Film:
    """A few frames."""
    return film.but(policy=_policy(film.policy, patch), sampler__most=4)


def _encoder(encoder: Encoder) -> Encoder:
    match encoder:
        case GatedViT():
            small = {"ffn__hidden": HIDDEN, "gate_ffn__hidden": HIDDEN}
            return encoder.but(width=WIDTH, heads=WIDTH // HEAD, size=SIDE * encoder.patch, **small)
        case ViT():
            return _vit(encoder)
        case TiledViT():
            return encoder.but(width=WIDTH, heads=WIDTH // HEAD, tile=SIDE * encoder.patch, ffn__hidden=HIDDEN)
        case NativeViT():
            window = None if encoder.window is None else SIDE
            return encoder.but(width=WIDTH, heads=WIDTH // HEAD, window=window, ffn__hidden=HIDDEN)
        case NFNet():
            return encoder.but(widths=(16, 16, WIDTH, WIDTH), depths=(1, 2, 1, 1), final=WIDTH, group=HEAD)
        case ResNet():
            return encoder.but(width=HEAD, depths=(1, 1, 1, 2), size=SIDE * encoder.patch)
        case Bridged():
            return encoder.but(encoder=_encoder(encoder.encoder), width=WIDTH)
        case FastViT():
            return encoder.but(widths=(8, 16, WIDTH, WIDTH), depths=(1, 1, 1, 1), head=HEAD)
        case StemmedViT():
            return encoder.but(width=WIDTH, depth=2, heads=WIDTH // HEAD, size=SIDE * encoder.patch, ffn__hidden=HIDDEN)
        case EvaViT() | TubeViT():
            side = SIDE * encoder.patch
            return encoder.but(width=WIDTH, depth=2, size=side, block__heads=WIDTH // HEAD, block__ffn__hidden=HIDDEN)
        case AimViT():
            return encoder.but(width=WIDTH, depth=2, heads=WIDTH // HEAD, size=SIDE * encoder.patch, ffn__hidden=HIDDEN)
        case NativeAimViT():
            layers = encoder.layers and tuple(range(1, 1 + len(encoder.layers)))
            depth = max(layers, default=1) + 1
            return encoder.but(width=WIDTH, depth=depth, heads=WIDTH // HEAD, ffn__hidden=HIDDEN, layers=layers)
        case SignalViT():
            side, across = (each + 2 * (encoder.step or each) for each in encoder.sides)
            size = (side if encoder.size[0] > 1 else 1, across)
            block = {"block__heads": WIDTH // HEAD, "block__ffn__hidden": HIDDEN}
            return encoder.but(width=WIDTH, depth=2, size=size, **block)
        case SecondsBert():
            block = {"block__heads": WIDTH // HEAD, "block__ffn__hidden": HIDDEN}
            return encoder.but(into=16, vocab=512, width=WIDTH, depth=2, **block)
        case AxialViT():
            return encoder.but(width=WIDTH, heads=WIDTH // HEAD, ffn__hidden=HIDDEN)
        case Code():
            return _code(encoder)
    return encoder


def _vit(encoder: ViT) -> ViT:
    return encoder.but(width=WIDTH, heads=WIDTH // HEAD, size=SIDE * encoder.patch, ffn__hidden=HIDDEN)


def _policy(policy: Policy, patch: int) -> Policy:
    side = SIDE * patch
    match policy:
        case ImagePolicy():
            return policy.but(size=(side, side), short=None)
        case Letterbox():
            return policy.but(size=side)
        case Masked():
            return policy.but(one=_policy(policy.one, patch))
        case Canvas():
            return policy.but(one=policy.one.but(size=(side, side)))
        case AnyRes():
            (h, w), one = policy.one.size, policy.one.but(size=(side, side))
            return policy.but(one=one, pinpoints=tuple((a // h * side, b // w * side) for a, b in policy.pinpoints))
        case Budget():
            return policy.but(most=SIDE**2)
        case Native():
            return policy.but(least=policy.multiple**2, most=4 * SIDE * policy.multiple**2, budget=None)
        case Longest():
            return policy.but(longest=2 * side, least=side)
        case Stretched():
            return policy.but(one=policy.one.but(longest=2 * side, least=side))
        case Scaled():
            return policy.but(side=SIDE * policy.multiple)
        case Mosaic():
            tiles = policy.longest // policy.one.size[0]
            return policy.but(one=policy.one.but(size=(side, side)), longest=tiles * side)
    raise SpecError(f"tiny() does not know how to shrink the policy {type(policy).__name__}; tell it in anyvlm/tiny.py.")

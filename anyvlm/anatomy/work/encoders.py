"""Encoders. Grids are those of patches, (t, h, w) of every array; frames of most see only themselves.

Shape letters: D width, n rows of one frame.
"""

from __future__ import annotations

from functools import singledispatch
from math import prod

from anyvlm.anatomy.work.connectors import connector
from anyvlm.anatomy.work.convolutions import convnext, fastvit, merged_fastvit, nfnet, resnet, vqgan
from anyvlm.anatomy.work.count import Work, convolution, linear, looking, repeated, scores, summed, unknown
from anyvlm.anatomy.work.layers import block, feed_forward
from anyvlm.parts.code.vqgan import VQGAN
from anyvlm.parts.features import Encoder, Grid
from anyvlm.parts.prenorm import PreNorm
from anyvlm.parts.uncertain import UncertainViT
from anyvlm.parts.vision.aim import NativeAimViT
from anyvlm.parts.vision.alpha import AlphaViT
from anyvlm.parts.vision.axial import AxialViT
from anyvlm.parts.vision.bridged import Bridged
from anyvlm.parts.vision.convnext import ConvNeXt
from anyvlm.parts.vision.eva import EvaViT
from anyvlm.parts.vision.fastvit import FastViT, MergedFastViT
from anyvlm.parts.vision.gated import GatedViT
from anyvlm.parts.vision.native import NativeViT
from anyvlm.parts.vision.nfnet import NFNet
from anyvlm.parts.vision.patches import Patches
from anyvlm.parts.vision.resnet import ResNet
from anyvlm.parts.vision.seconds import SecondsBert
from anyvlm.parts.vision.signal import SignalViT
from anyvlm.parts.vision.stemmed import StemmedViT
from anyvlm.parts.vision.swin import Swin
from anyvlm.parts.vision.tiled import EIGHT, TiledViT
from anyvlm.parts.vision.tubes import TubeViT
from anyvlm.parts.vision.vit import ViT
from anyvlm.spec import Spec

Grids = tuple[Grid, ...]


@singledispatch
def encoder(spec: Encoder, grids: Grids) -> Work:
    """All arrays of these grids."""
    raise unknown(spec, "encoder", "encoders")


def _stack(
    grids: Grids, values: int, width: int, each: Spec, depth: int, *, first: int = 0, together: bool = False
) -> Work:
    """A stem on patches of so many `values`, then blocks `each` over a frame, or over all frames `together`.

    `first`: rows that stand before the patches.
    """
    works = [Work(stem=linear(sum(map(prod, grids)), values, width))]
    for t, h, w in grids:
        frames, n = (1, t * h * w) if together else (t, h * w)
        works.append(repeated(block(each, n + first, width), depth * frames))
    return summed(works)


@encoder.register
def _(spec: ViT, grids: Grids) -> Work:
    """Blocks behind the last that is returned are not run."""
    return _stack(grids, 3 * spec.patch**2, spec.width, spec.block, spec.runs, first=int(spec.cls))


@encoder.register
def _(spec: GatedViT, grids: Grids) -> Work:
    """Of the blocks that are run, the last `gated` of all have one in front."""
    gates = len(range(max(0, spec.depth - spec.gated), spec.runs))
    each, first = PreNorm(heads=spec.heads, ffn=spec.gate_ffn, norm=spec.norm), int(spec.cls)
    plain = _stack(grids, 3 * spec.patch**2, spec.width, spec.block, spec.runs, first=first)
    return plain + _stack(grids, 0, spec.width, each, gates, first=first)


@encoder.register
def _(spec: AlphaViT, grids: Grids) -> Work:
    return _stack(grids, 4 * spec.patch**2, spec.width, spec.block, spec.runs, first=int(spec.cls))


@encoder.register
def _(spec: UncertainViT, grids: Grids) -> Work:
    return _stack(grids, 3 * spec.patch**2, spec.width, spec.block, spec.depth, first=2, together=True)


@encoder.register
def _(spec: NativeAimViT, grids: Grids) -> Work:
    """Blocks behind the last that is returned are not run."""
    each = PreNorm(heads=spec.heads, ffn=spec.ffn, norm=spec.norm, bias=False)
    return _stack(grids, 3 * spec.patch**2, spec.width, each, spec.runs)


@encoder.register
def _(spec: EvaViT, grids: Grids) -> Work:
    return _stack(grids, 3 * spec.patch**2, spec.width, spec.block, spec.depth, first=1)


@encoder.register
def _(spec: TubeViT, grids: Grids) -> Work:
    values = 3 * spec.frames * spec.patch**2
    return _stack(grids, values, spec.width, spec.block, spec.depth, together=True)


@encoder.register
def _(spec: SignalViT, grids: Grids) -> Work:
    return _stack(grids, spec.values, spec.width, spec.block, spec.depth, first=1, together=True)


@encoder.register
def _(spec: SecondsBert, grids: Grids) -> Work:
    """Rows are mapped twice, and stand between two words."""
    rows = sum(map(prod, grids))
    stem = Work(stem=linear(rows, spec.into, spec.width) + linear(rows, spec.width, spec.width))
    return stem + _stack(grids, 0, spec.width, spec.block, spec.depth, first=2, together=True)


@encoder.register
def _(spec: AxialViT, grids: Grids) -> Work:
    each = PreNorm(heads=spec.heads, ffn=spec.ffn, norm=spec.norm, bias=False)
    return _stack(grids, 3 * spec.patch**2, spec.width, each, spec.depth)


@encoder.register
def _(spec: StemmedViT, grids: Grids) -> Work:
    """Each patch has 4 x 4 places after the first convolution, 2 x 2 after the second, one after the third."""
    inner = spec.width // 4
    patch = convolution(16, 3, inner, 4) + convolution(4, inner, inner, 2) + convolution(1, inner, spec.width, 2)
    each = PreNorm(heads=spec.heads, ffn=spec.ffn, norm=spec.norm)
    stack = _stack(grids, 0, spec.width, each, spec.depth, first=1)
    return stack + Work(stem=patch * sum(map(prod, grids)))


@encoder.register
def _(spec: TiledViT, grids: Grids) -> Work:
    """Every canvas has room for all tiles, and what it does not need is computed as padding."""
    D, rows = spec.width, spec.most * -(-(spec.side**2 + 1) // EIGHT) * EIGHT
    blocks = spec.depth + spec.top
    one = Work(
        stem=linear(spec.most * spec.side**2, 3 * spec.patch**2, D),
        attention=blocks * looking(rows, rows, D),
        ffn=blocks * feed_forward(spec.ffn, rows, D),
    )
    return repeated(one, len(grids))


@encoder.register
def _(spec: NativeViT, grids: Grids) -> Work:
    D, N = spec.width, sum(map(prod, grids))
    near = sum(t * _pairs(h, w, spec.window or max(h, w)) for t, h, w in grids)
    whole = sum(t * (h * w) ** 2 for t, h, w in grids)
    seen = sum(whole if layer in spec.whole else near for layer in range(spec.depth))
    maps = spec.depth * (linear(N, D, 3 * D) + linear(N, D, D))
    return Work(
        stem=linear(N, 3 * spec.frames * spec.patch**2, D),
        attention=maps + scores(1, seen, D),
        ffn=spec.depth * feed_forward(spec.ffn, N, D),
    )


def _pairs(h: int, w: int, side: int) -> int:
    """Pairs of places that share a window; those on the right and below are cut off."""
    high, wide = ([(n // side, side), (1, n % side)] for n in (h, w))
    return sum(a * b * (p * q) ** 2 for a, p in high for b, q in wide)


@encoder.register
def _(spec: Swin, grids: Grids) -> Work:
    """Maps are filled up to whole windows where places look, and nowhere else."""
    out = Work(stem=convolution(64 * sum(map(prod, grids)), 3, spec.width, 4))
    for stage, (D, depth) in enumerate(zip(spec.widths, spec.depths, strict=True)):
        for t, *sides in grids:
            lines = [side * 8 // 2**stage for side in sides]
            n, windows = t * prod(lines), t * prod(-(-line // spec.window) for line in lines)
            out["stem"] += linear(n, 2 * D, D) if stage else 0
            out["attention"] += depth * windows * looking(spec.window**2, spec.window**2, D)
            out["ffn"] += depth * 2 * linear(n, D, spec.ratio * D)
    return out


@encoder.register
def _(spec: Patches, grids: Grids) -> Work:
    return Work()


@encoder.register
def _(spec: Bridged, grids: Grids) -> Work:
    rows = tuple(map(spec.encoder.rows, grids))
    return encoder(spec.encoder, grids) + Work(bridge=connector(spec.connector, rows, spec.encoder.out, spec.width))


encoder.register(ConvNeXt, convnext)
encoder.register(ResNet, resnet)
encoder.register(NFNet, nfnet)
encoder.register(FastViT, fastvit)
encoder.register(MergedFastViT, merged_fastvit)
encoder.register(VQGAN, vqgan)

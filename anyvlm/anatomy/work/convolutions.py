"""Encoders made of convolutions: CLIP's ResNets, NFNets, FastViTs and the half of a VQGAN that reads."""

from __future__ import annotations

from itertools import groupby, pairwise
from math import prod

from anyvlm.anatomy.work.count import Work, convolution, linear, looking, repeated, scores, summed
from anyvlm.parts.code.vqgan import VQGAN
from anyvlm.parts.features import Grid
from anyvlm.parts.vision.convnext import ConvNeXt
from anyvlm.parts.vision.fastvit import FastViT
from anyvlm.parts.vision.nfnet import NFNet
from anyvlm.parts.vision.resnet import ResNet

Grids = tuple[Grid, ...]


def resnet(spec: ResNet, grids: Grids) -> Work:
    """All pictures of these grids of 32 x 32 pixels."""
    half, cells = spec.width // 2, sum(map(prod, grids))
    stem = convolution(256 * cells, 3, half, 3) + convolution(256 * cells, half, half, 3)
    stem += convolution(256 * cells, half, spec.width, 3)
    flops, into, places = 0, spec.width, 64 * cells
    for stage, depth in enumerate(spec.depths):
        width = spec.width * 2**stage
        for n in range(depth):
            after = places // 4 if stage and not n else places
            flops += convolution(places, into, width, 1) + convolution(places, width, width, 3)
            flops += convolution(after, width, 4 * width, 1)
            if after != places or into != 4 * width:
                flops += convolution(after, into, 4 * width, 1)
            into, places = 4 * width, after
    return Work(stem=stem, convolutions=flops)


def nfnet(spec: NFNet, grids: Grids) -> Work:
    """Pictures of one size are computed together, with one row of zeros more where channels are weighed."""
    works = []
    for grid, same in groupby(grids):
        count = len(list(same))
        works.append(_nfnet(spec, count * prod(grid), count * grid[0] + 1))
    return summed(works)


def _nfnet(spec: NFNet, cells: int, means: int) -> Work:
    into = spec.widths[0] // 2
    sides = zip((256, 256, 256, 64), pairwise((3, 16, 32, 64, into)), strict=True)
    stem = sum(convolution(places * cells, a, b, 3) for places, (a, b) in sides)
    places, flops = 64 * cells, 0
    for stage, (out, depth) in enumerate(zip(spec.widths, spec.depths, strict=True)):
        for n in range(depth):
            groups = out // 2 // spec.group
            mid = groups * spec.group
            before, places = places, places // 4 if stage and not n else places
            flops += convolution(before, into, mid, 1) + 2 * convolution(places, mid, mid, 3, groups)
            flops += convolution(places, mid, out, 1) + 2 * linear(means, out, out // 2)
            if before != places or into != out:
                flops += convolution(places, into, out, 1)
            into = out
    return Work(stem=stem, convolutions=flops + convolution(places, into, spec.final, 1))


def fastvit(spec: FastViT, grids: Grids) -> Work:
    """As it is trained, with all branches."""
    return summed(_fastvit(spec, grid, merged=False) for grid in grids)


def merged_fastvit(spec: FastViT, grids: Grids) -> Work:
    """After `merge`: one convolution in the place of every set of branches."""
    return summed(_fastvit(spec, grid, merged=True) for grid in grids)


def _fastvit(spec: FastViT, grid: Grid, *, merged: bool) -> Work:
    frames, first, last = grid[0], spec.widths[0], spec.widths[-1]
    places = prod(grid) * (spec.patch // 4) ** 2

    def branches(places: int, into: int, out: int, side: int, groups: int = 1, small: int | None = 1) -> int:
        """A convolution, and beside it a small one."""
        beside = 0 if merged or small is None else convolution(places, into, out, small, groups)
        return convolution(places, into, out, side, groups) + beside

    def squeeze(width: int, inner: int) -> int:
        return 2 * linear(frames, width, inner)

    stem = branches(4 * places, 3, first, 3, small=spec.small) + branches(places, first, first, 3, first, spec.small)
    into, out = first, Work(stem=stem + branches(places, first, first, 1, small=None))
    for stage, (width, depth) in enumerate(zip(spec.widths, spec.depths, strict=True)):
        looks = stage >= len(spec.widths) - spec.looks
        if stage:
            places //= 4
            out["convolutions"] += branches(places, into, width, 7, into, 3) + branches(places, width, width, 1, small=None)
            out["convolutions"] += squeeze(width, width // 4) if stage >= spec.squeezes else 0
        out["convolutions"] += convolution(places, width, width, 7, width) if looks else 0
        ffn = convolution(places, width, width, 7, width) + 2 * convolution(places, width, spec.ratio * width, 1)
        if looks:
            n = places // frames
            out["attention"] += depth * frames * looking(n, n, width)
        else:
            out["convolutions"] += depth * branches(places, width, width, 3, width)
        out["ffn"] += depth * ffn
        into = width
    out["convolutions"] += branches(places, last, 2 * last, 3, last) + squeeze(2 * last, last // 8)
    return out


def convnext(spec: ConvNeXt, grids: Grids) -> Work:
    """All pictures of these grids of 32 x 32 pixels."""
    places, into, out = 64 * sum(map(prod, grids)), spec.widths[0], Work()
    out["stem"] = convolution(places, 3, into, 4)
    for stage, (width, depth) in enumerate(zip(spec.widths, spec.depths, strict=True)):
        if stage:
            places //= 4
            out["convolutions"] += convolution(places, into, width, 2)
        out["convolutions"] += depth * convolution(places, width, width, 7, width)
        out["ffn"] += depth * 2 * linear(places, width, 4 * width)
        into = width
    return out


def vqgan(spec: VQGAN, grids: Grids) -> Work:
    """From pixels to ids."""
    return summed(repeated(_vqgan(spec, h * w), t) for t, h, w in grids)


def _vqgan(spec: VQGAN, codes: int) -> Work:
    end = len(spec.levels) - 1
    widths = [spec.base * level for level in spec.levels]
    top, flops = widths[-1], convolution(codes * 4**end, 3, spec.base, 3)

    def residual(places: int, into: int, out: int) -> int:
        skip = convolution(places, into, out, 1) if into != out else 0
        return convolution(places, into, out, 3) + convolution(places, out, out, 3) + skip

    attention = linear(codes, top, 4 * top) + scores(codes, codes, top)
    looks = 1 + (spec.depth if spec.attend else 0)
    into = spec.base
    for level, width in enumerate(widths):
        places = codes * 4 ** (end - level)
        for _ in range(spec.depth):
            flops += residual(places, into, width)
            into = width
        flops += convolution(places // 4, width, width, 3) if level < end else 0
    flops += 2 * residual(codes, top, top) + convolution(codes, top, spec.latent, 3)
    book = convolution(codes, spec.latent, spec.width, 1) + linear(codes, spec.width, spec.vocab)
    return Work(convolutions=flops, attention=looks * attention, book=book)

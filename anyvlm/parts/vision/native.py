"""A ViT for pictures of any size and for video: rotary positions, attention within frames or windows (Qwen2-VL, Qwen2.5-VL).

Sources: transformers `modeling_qwen2_vl.py`, `modeling_qwen2_5_vl.py`. Rows of all items are packed; attention is
computed block by block, so that no mask over the rows exists.
Shape letters: N rows of all items, C values per patch, D width, H heads, h head width, n rows of a frame.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby

import torch
from torch import Tensor, nn

from anyvlm.errors import InputError
from anyvlm.parts.attention import attend
from anyvlm.parts.features import Encoder, Features, Grid
from anyvlm.parts.ffn import GLU, MLP
from anyvlm.parts.norm import LayerNorm, RMSNorm
from anyvlm.parts.rope import rotate


@dataclass(frozen=True, kw_only=True)
class NativeViT(Encoder):
    """Frames see only themselves; there is no class token, no table of positions and no norm after the last block.

    Half of each head's frequencies, theta^(-4i/h), turn by line and half by column. `window`: side, in patches, of the
    windows in which layers attend, cut off at the right and lower edges; layers of `whole` attend in whole frames, as all
    do where `window` is None.
    """

    width: int
    depth: int
    heads: int
    ffn: MLP | GLU
    norm: LayerNorm | RMSNorm
    patch: int
    frames: int = 1
    window: int | None = None
    whole: tuple[int, ...] = ()
    theta: float = 10_000.0

    @property
    def out(self) -> int:
        """Width of the returned rows."""
        return self.width

    def grid(self, h: int, w: int, t: int = 1) -> Grid:
        """Whole patches in t pictures of h x w pixels; the last may have to be repeated until a patch is full."""
        if min(h, w) < self.patch:
            raise InputError(f"A picture of {w} x {h} pixels is smaller than one patch of {self.patch} pixels.")
        return (-(-t // self.frames), h // self.patch, w // self.patch)

    def build(self) -> NativeEncoder:
        """The module."""
        return NativeEncoder(self)


@dataclass(frozen=True)
class Run:
    """`frames` neighbouring frames; in each lie, one after another, for every (count, rows) of `blocks` so many blocks."""

    frames: int
    blocks: tuple[tuple[int, int], ...]

    @property
    def sizes(self) -> list[int]:
        """Rows of all blocks of a size, in one frame."""
        return [count * rows for count, rows in self.blocks]


def windows(h: int, w: int, side: int) -> tuple[Tensor, tuple[tuple[int, int], ...]]:
    """The places of a grid h x w window by window, and how many windows of how many places follow one another.

    The whole ones come first, then those cut off at the right, below, and in the corner.
    """
    places = torch.arange(h * w).view(h, w)
    order, blocks = [], []
    for band in places.split([h - h % side, h % side]):
        for part in band.split([w - w % side, w % side], 1):
            if part.numel():
                high, wide = min(side, part.shape[0]), min(side, part.shape[1])
                order.append(part.unflatten(1, (-1, wide)).unflatten(0, (-1, high)).transpose(1, 2).flatten())
                blocks.append((part.numel() // (high * wide), high * wide))
    return torch.cat(order), tuple(blocks)


def attend_within(q_NHh: Tensor, k_NHh: Tensor, v_NHh: Tensor, runs: Sequence[Run]) -> Tensor:
    """(N, H * h): every row sees the rows of its own block. Blocks of one size are computed as a batch."""
    rows = [run.frames * sum(run.sizes) for run in runs]
    outs = []
    for run, *qkv in zip(runs, q_NHh.split(rows), k_NHh.split(rows), v_NHh.split(rows), strict=True):
        frames = zip(*(x.unflatten(0, (run.frames, -1)).split(run.sizes, 1) for x in qkv), strict=True)
        done = []
        for (count, size), parts in zip(run.blocks, frames, strict=True):
            q, k, v = (x.reshape(-1, size, *x.shape[2:]).transpose(1, 2) for x in parts)
            done.append(attend(q, k, v).transpose(1, 2).reshape(run.frames, count * size, -1))
        outs.append(torch.cat(done, 1).flatten(0, 1))
    return torch.cat(outs)


class _Attention(nn.Module):
    def __init__(self, spec: NativeViT) -> None:
        super().__init__()
        self.heads = spec.heads
        self.qkv, self.o = nn.Linear(spec.width, 3 * spec.width), nn.Linear(spec.width, spec.width)

    def forward(self, x_ND: Tensor, cos: Tensor, sin: Tensor, runs: Sequence[Run]) -> Tensor:
        qkv = self.qkv(x_ND).unflatten(-1, (3 * self.heads, -1))
        # turned in fp32 whatever the dtype, as the reference does
        qk = rotate(qkv[:, : 2 * self.heads].float(), cos, sin).to(x_ND.dtype)
        q, k = qk.chunk(2, 1)
        out: Tensor = self.o(attend_within(q, k, qkv[:, 2 * self.heads :], runs))
        return out


class _Block(nn.Module):
    def __init__(self, spec: NativeViT) -> None:
        super().__init__()
        self.norm1, self.norm2 = spec.norm.build(spec.width), spec.norm.build(spec.width)
        self.attn, self.ffn = _Attention(spec), spec.ffn.build(spec.width)

    def forward(self, x: Tensor, cos: Tensor, sin: Tensor, runs: Sequence[Run]) -> Tensor:
        x = x + self.attn(self.norm1(x), cos, sin, runs)
        out: Tensor = x + self.ffn(self.norm2(x))
        return out


class NativeEncoder(nn.Module):
    """Patches (N, C) -> Features. Linear layers take the rows of all items at once."""

    def __init__(self, spec: NativeViT) -> None:
        super().__init__()
        self.spec = spec
        self.stem = nn.Linear(3 * spec.frames * spec.patch**2, spec.width, bias=False)
        self.blocks = nn.ModuleList(_Block(spec) for _ in range(spec.depth))

    def forward(self, x_NC: Tensor, grids: tuple[Grid, ...]) -> Features:
        """x_NC: flattened patches of all items, row by row; grids: their patches in time, height and width."""
        order_N, cos, sin, near, whole = self._layout(grids, x_NC.device)
        x = self.stem(x_NC.to(self.stem.weight.dtype))[order_N]
        for layer, block in enumerate(self.blocks):
            x = block(x, cos, sin, whole if layer in self.spec.whole else near)
        return Features(torch.empty_like(x).index_copy(0, order_N, x), grids)

    def _layout(self, grids: tuple[Grid, ...], device: torch.device) -> tuple[Tensor, Tensor, Tensor, list[Run], list[Run]]:
        """The order in which windows lie in one piece, tables for `rotate` in that order, the blocks of both kinds of layer."""
        orders, angles, near, whole, start = [], [], list[Run](), list[Run](), 0
        for (t, h, w), same in groupby(grids):
            frames = t * len(list(same))
            order_n, blocks = windows(h, w, self.spec.window or max(h, w))
            near.append(Run(frames, blocks))
            whole.append(Run(frames, ((1, h * w),)))
            orders.append((start + h * w * torch.arange(frames)[:, None] + order_n).flatten())
            angles.append(self._angles(order_n, w).repeat(frames, 1))
            start += frames * h * w
        angle_Nh = torch.cat(angles).to(device)[:, None]
        cos, sin = angle_Nh.cos(), angle_Nh.sin()
        return torch.cat(orders).to(device), torch.cat([cos, cos], -1), torch.cat([-sin, sin], -1), near, whole

    def _angles(self, places_n: Tensor, w: int) -> Tensor:
        """(n, h / 2) for places of a grid with lines of w."""
        half = self.spec.width // self.spec.heads // 2
        freq = 1.0 / self.spec.theta ** (torch.arange(0, half, 2).float() / half)
        return torch.cat([(places_n // w)[:, None] * freq, (places_n % w)[:, None] * freq], -1)

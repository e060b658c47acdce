"""VQGAN (2012.09841): convolutions down to a grid of vectors, each replaced by the nearest of a codebook, and back up.

Sources: CompVis/taming-transformers `taming/models/vqgan.py`, facebookresearch/chameleon `chameleon/inference/vqgan.py`,
deepseek-ai/Janus `janus/models/vq_model.py` (LlamaGen's, 2406.06525), transformers `modeling_{chameleon,janus}.py`.
Shape letters: B pictures, C channels, H, W their sides here, h, w those of the ids, K codes, D width of a code.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch.nn.functional as F
from torch import Tensor, nn

from anyvlm.errors import InputError, SpecError
from anyvlm.parts.attention import attend
from anyvlm.parts.code.code import Code, CodeModule
from anyvlm.parts.features import Grid
from anyvlm.parts.init import normal


@dataclass(frozen=True, kw_only=True)
class VQGAN(Code):
    """A codebook of `vocab` vectors of `width`.

    `base` times `levels` are the channels at each size, from whole pictures down, each half as large as the one before;
    `depth`: residual blocks a level, one more on the way up; `latent`: channels between the convolutions and the codebook;
    `attend`: the smallest level has attention beside its blocks, as the middle always has; `unit`: vectors of the
    codebook have length 1; `draws`: the half that makes pictures is there (transformers' Chameleon leaves it out).
    """

    vocab: int
    width: int
    patch: int = 16
    base: int = 128
    levels: tuple[int, ...] = (1, 1, 2, 2, 4)
    depth: int = 2
    latent: int = 256
    attend: bool = False
    unit: bool = False
    draws: bool = True
    eps: float = 1e-6
    groups: int = 32

    def __post_init__(self) -> None:
        if self.patch != 2 ** (len(self.levels) - 1):
            raise SpecError(f"VQGAN: {len(self.levels)} levels make patches of {2 ** (len(self.levels) - 1)} pixels.")

    def grid(self, h: int, w: int, t: int = 1) -> Grid:
        """One id for every whole patch."""
        if h % self.patch or w % self.patch or min(h, w) < self.patch:
            raise InputError(f"This code takes sides that are multiples of {self.patch} pixels, not {w} x {h}.")
        return (t, h // self.patch, w // self.patch)

    def build(self) -> VQGANModule:
        """The module."""
        return VQGANModule(self)


class _Block(nn.Module):
    """Residual block, (B, in, H, W) -> (B, out, H, W)."""

    def __init__(self, spec: VQGAN, into: int, out: int) -> None:
        super().__init__()
        self.norm1, self.norm2 = (nn.GroupNorm(spec.groups, n, spec.eps) for n in (into, out))
        self.conv1, self.conv2 = nn.Conv2d(into, out, 3, padding=1), nn.Conv2d(out, out, 3, padding=1)
        self.skip = nn.Conv2d(into, out, 1) if into != out else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        y = self.conv1(F.silu(self.norm1(x)))
        out: Tensor = self.skip(x) + self.conv2(F.silu(self.norm2(y)))
        return out


class _Attention(nn.Module):
    """Every place sees every place of its picture, with one head."""

    def __init__(self, spec: VQGAN, width: int) -> None:
        super().__init__()
        self.norm = nn.GroupNorm(spec.groups, width, spec.eps)
        self.qkv, self.o = nn.Conv2d(width, 3 * width, 1), nn.Conv2d(width, width, 1)

    def forward(self, x_BCHW: Tensor) -> Tensor:
        q, k, v = self.qkv(self.norm(x_BCHW)).flatten(2).transpose(1, 2)[:, None].chunk(3, -1)  # (B, 1, HW, C) each
        y = attend(q, k, v)[:, 0].transpose(1, 2).unflatten(2, x_BCHW.shape[2:])
        out: Tensor = x_BCHW + self.o(y)
        return out


class _Down(nn.Module):
    """Half the size; zeros are added on the right and below only."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(width, width, 3, stride=2)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.conv(F.pad(x, (0, 1, 0, 1)))
        return out


class _Up(nn.Module):
    """Twice the size."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(width, width, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.conv(F.interpolate(x, scale_factor=2.0, mode="nearest"))
        return out


class _Level(nn.Module):
    """Blocks of one size, attention behind each if there is any, and the way to the next size."""

    def __init__(self, spec: VQGAN, into: int, out: int, depth: int, attend: bool, step: nn.Module) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(_Block(spec, out if n else into, out) for n in range(depth))
        self.attns = nn.ModuleList(_Attention(spec, out) for _ in range(depth if attend else 0))
        self.step = step

    def forward(self, x: Tensor) -> Tensor:
        for n, block in enumerate(self.blocks):
            x = block(x)
            if self.attns:
                x = self.attns[n](x)
        out: Tensor = self.step(x)
        return out


class _Half(nn.Module):
    """What both halves have: a first convolution, a middle, levels, a last norm and convolution."""

    def __init__(self, spec: VQGAN, into: int, first: int, middle: int, last: int, out: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(into, first, 3, padding=1)
        self.middle = nn.Sequential(_Block(spec, middle, middle), _Attention(spec, middle), _Block(spec, middle, middle))
        self.norm, self.last = nn.GroupNorm(spec.groups, last, spec.eps), nn.Conv2d(last, out, 3, padding=1)

    def finish(self, x: Tensor) -> Tensor:
        """The last norm and convolution."""
        out: Tensor = self.last(F.silu(self.norm(x)))
        return out


class _Encoder(_Half):
    def __init__(self, spec: VQGAN) -> None:
        widths = [spec.base * level for level in spec.levels]
        super().__init__(spec, 3, spec.base, widths[-1], widths[-1], spec.latent)
        end = len(widths) - 1
        self.levels = nn.ModuleList(
            _Level(
                spec, widths[n - 1] if n else spec.base, width, spec.depth, spec.attend and n == end,
                _Down(width) if n < end else nn.Identity(),
            )
            for n, width in enumerate(widths)
        )  # fmt: skip

    def forward(self, x: Tensor) -> Tensor:
        x = self.first(x)
        for level in self.levels:
            x = level(x)
        return self.finish(self.middle(x))


class _Decoder(_Half):
    def __init__(self, spec: VQGAN) -> None:
        widths = [spec.base * level for level in reversed(spec.levels)]
        super().__init__(spec, spec.latent, widths[0], widths[0], widths[-1], 3)
        end = len(widths) - 1
        self.levels = nn.ModuleList(
            _Level(
                spec, widths[max(n - 1, 0)], width, spec.depth + 1, spec.attend and not n,
                _Up(width) if n < end else nn.Identity(),
            )
            for n, width in enumerate(widths)
        )  # fmt: skip

    def forward(self, x: Tensor) -> Tensor:
        x = self.middle(self.first(x))
        for level in self.levels:
            x = level(x)
        return self.finish(x)


class VQGANModule(CodeModule):
    """Levels of both halves are counted in the order in which they are computed."""

    spec: VQGAN

    def __init__(self, spec: VQGAN) -> None:
        super().__init__(spec)
        self.encoder = _Encoder(spec)
        self.into, self.out = nn.Conv2d(spec.latent, spec.width, 1), nn.Conv2d(spec.width, spec.latent, 1)
        self.book = normal(spec.vocab, spec.width, std=spec.vocab**-0.5)
        if spec.draws:
            self.decoder = _Decoder(spec)

    def encode(self, pixels_BCHW: Tensor) -> Tensor:
        """Ids (B, h, w): the code at the smallest distance of each vector, the first of equals."""
        x_BhwD = self.into(self.encoder(pixels_BCHW)).permute(0, 2, 3, 1)
        book_KD = self.codes()
        if self.spec.unit:
            x_BhwD = F.normalize(x_BhwD, dim=-1)
        # the squared length of x is the same for all codes
        distances = book_KD.square().sum(1) - 2 * (x_BhwD @ book_KD.T)
        ids: Tensor = distances.argmin(-1)
        return ids

    def decode(self, ids_Bhw: Tensor) -> Tensor:
        """Pixels (B, 3, H, W)."""
        if not self.spec.draws:
            raise SpecError("This code has no half that makes pictures; its files do not hold one.")
        pixels: Tensor = self.decoder(self.out(F.embedding(ids_Bhw, self.codes()).permute(0, 3, 1, 2)))
        return pixels

    def codes(self) -> Tensor:
        """The vectors (K, D)."""
        return F.normalize(self.book, dim=-1) if self.spec.unit else self.book

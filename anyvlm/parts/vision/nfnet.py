"""NFNet (2102.06171): a convolutional network without a norm of what flows through it; its weights are normed instead.

Source: deepmind/deepmind-research d8df415 `nfnets/{nfnet,base}.py`, whose GELU is the tanh approximation.
Shape letters: N patches of all items, C values per patch, B items, D width; x_BDhw is an image of features.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import sqrt

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from anyvlm.errors import InputError
from anyvlm.parts.act import ACTS, Act
from anyvlm.parts.features import Encoder, Features, Grid

_GAINS: dict[Act, float] = {
    "gelu": 1.7015043497085571,
    "gelu_tanh": 1.7015043497085571,
    "relu": 1.7139588594436646,
    "silu": 1.7881293296813965,
}
"""What brings an activation of N(0, 1) back to unit variance."""


@dataclass(frozen=True, kw_only=True)
class NFNet(Encoder):
    """Four stages, each at half the resolution of the one before, then one convolution to `final` channels.

    `widths`, `depths`: channels and blocks of the stages; `group`: channels of a group; `alpha`: weight of a block beside what
    passes it by. A cell of 32 x 32 pixels (`patch`) gives one row.
    """

    widths: tuple[int, int, int, int] = (256, 512, 1536, 1536)
    depths: tuple[int, int, int, int]
    final: int = 3072
    group: int = 128
    alpha: float = 0.2
    act: Act = "gelu_tanh"
    patch: int = 32

    @property
    def out(self) -> int:
        """Width of the returned rows."""
        return self.final

    def grid(self, h: int, w: int, t: int = 1) -> Grid:
        """Raises InputError for a size that is not made of whole cells."""
        if h % self.patch or w % self.patch or not min(h, w):
            raise InputError(f"A picture of {w} x {h} pixels is not made of whole cells of {self.patch} pixels.")
        return (t, h // self.patch, w // self.patch)

    def build(self) -> NFNetEncoder:
        """The module."""
        return NFNetEncoder(self)


class _Conv(nn.Conv2d):
    """A convolution whose filters have mean 0 and, times their size, variance 1 before each is scaled by its `gain`.

    Its output has ceil(input / stride) places a side; what is missing for that is padded, the odd one on the right and below.
    """

    def __init__(self, into: int, out: int, kernel: int = 1, stride: int = 1, groups: int = 1) -> None:
        super().__init__(into, out, kernel, stride, groups=groups)
        self.gain = nn.Parameter(torch.ones(out, 1, 1, 1))

    def forward(self, x_BDhw: Tensor) -> Tensor:
        var, mean = torch.var_mean(self.weight, (1, 2, 3), correction=0, keepdim=True)
        scale = (var * self.weight[0].numel()).clamp_min(1e-4).rsqrt() * self.gain
        (h, w), k, s = x_BDhw.shape[-2:], self.kernel_size[0], self.stride[0]
        down, right = (max((-(-side // s) - 1) * s + k - side, 0) for side in (h, w))
        x = F.pad(x_BDhw, (right // 2, right - right // 2, down // 2, down - down // 2))
        return F.conv2d(x, (self.weight - mean) * scale, self.bias, self.stride, groups=self.groups)


class _Act(nn.Module):
    def __init__(self, act: Act) -> None:
        super().__init__()
        self.act, self.gain = ACTS[act], _GAINS[act]

    def forward(self, x: Tensor) -> Tensor:
        """At unit variance, if it came in so."""
        return self.act(x) * self.gain


class _Block(nn.Module):
    """`beta`: one over the deviation that what comes in has when training begins."""

    def __init__(self, spec: NFNet, into: int, out: int, stride: int, beta: float) -> None:
        super().__init__()
        groups = out // 2 // spec.group
        mid = groups * spec.group
        self.alpha, self.beta, self.stride, self.act = spec.alpha, beta, stride, _Act(spec.act)
        self.convs = nn.ModuleList(
            [_Conv(into, mid), _Conv(mid, mid, 3, stride, groups), _Conv(mid, mid, 3, 1, groups), _Conv(mid, out)]
        )
        self.aside = _Conv(into, out) if stride > 1 or into != out else None
        self.squeeze, self.excite = nn.Linear(out, out // 2), nn.Linear(out // 2, out)
        self.gate = nn.Parameter(torch.zeros(()))

    def forward(self, x_BDhw: Tensor) -> Tensor:
        x = x_BDhw
        y = self.act(x) * self.beta
        if self.aside is not None:
            x = self.aside(F.avg_pool2d(y, self.stride) if self.stride > 1 else y)
        for n, conv in enumerate(self.convs):
            y = conv(self.act(y) if n else y)
        # a row of zeros more: one row alone would be rounded otherwise than several, and by where weights lie in memory
        mean_BD = F.pad(y.mean((2, 3)), (0, 0, 0, 1))
        share_BD = self.excite(F.relu(self.squeeze(mean_BD)))[:-1].sigmoid()
        out: Tensor = x + y * (2 * share_BD[:, :, None, None]) * self.gate * self.alpha
        return out


class NFNetEncoder(nn.Module):
    """Patches (N, C) -> Features; items of one grid are computed as a batch."""

    def __init__(self, spec: NFNet) -> None:
        super().__init__()
        self.spec = spec
        self.act = _Act(spec.act)
        into = spec.widths[0] // 2
        sides = (3, 16, 32, 64, into)
        strides = (2, 1, 1, 2)
        self.stem = nn.ModuleList(_Conv(a, b, 3, s) for a, b, s in zip(sides, sides[1:], strides, strict=False))
        blocks = []
        spread = 1.0  # expected variance of what comes in
        for stage, (out, depth) in enumerate(zip(spec.widths, spec.depths, strict=True)):
            for n in range(depth):
                blocks.append(_Block(spec, into, out, 2 if stage and not n else 1, 1 / sqrt(spread)))
                into, spread = out, (spread if n else 1.0) + spec.alpha**2
        self.blocks = nn.ModuleList(blocks)
        self.final = _Conv(into, spec.final)

    def forward(self, x_NC: Tensor, grids: tuple[Grid, ...]) -> Features:
        """x_NC: flattened patches of all items, row by row; grids: their patches in time, height and width."""
        p, outs = self.spec.patch, []
        for (_, h, w), x_BnC in Features(x_NC, grids).groups():
            x = x_BnC.reshape(-1, h, w, 3, p, p).permute(0, 3, 1, 4, 2, 5).reshape(-1, 3, h * p, w * p)
            x = x.to(self.final.weight.dtype)
            for n, conv in enumerate(self.stem):
                x = conv(self.act(x) if n else x)
            for block in self.blocks:
                x = block(x)
            outs.append(self.act(self.final(x)).permute(0, 2, 3, 1).flatten(0, 2))
        return Features(torch.cat(outs), grids)

"""Convolutions that choose where they read (Deformable ConvNets v2, 1811.11168), and DyHead's tower of them (2106.08322).

Source: microsoft/GLIP 9dda955 `modeling/rpn/vldyhead.py` (DyConv, Conv3x3Norm), `layers/{deform_conv,dyrelu}.py`.
Maps are (B, D, h, w), the largest of a pyramid first; offsets are (B, 18, h, w): down and across for each of nine places.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from anyvlm.spec import Spec

TAPS = 9


def deformed(x: Tensor, weight: Tensor, bias: Tensor | None, offset: Tensor, gain: Tensor, stride: int = 1) -> Tensor:
    """A convolution of 3 x 3 with padding 1 that reads each of its nine places `offset` further on, times `gain` (B, 9, h, w).

    What lies between pixels is interpolated, what lies outside is zero. `offset` and `gain` may be of a larger map than the
    result: then their first numbers are taken one after another, whatever place and channel they were meant for, as the kernel
    of the source takes them (`deform_conv_kernel_cuda.cu`), with which the published weights were trained.
    """
    B, _, H, W = x.shape
    h, w = (H - 1) // stride + 1, (W - 1) // stride + 1
    offset = offset.flatten(1)[:, : 2 * TAPS * h * w].reshape(B, TAPS, 2, h, w)
    gain = gain.flatten(1)[:, : TAPS * h * w].reshape(B, TAPS, h, w)
    tap = torch.arange(TAPS, device=x.device)
    down = torch.arange(h, device=x.device)[:, None] * stride - 1
    across = torch.arange(w, device=x.device) * stride - 1
    y = (tap // 3)[:, None, None] + down + offset[:, :, 0]
    z = (tap % 3)[:, None, None] + across + offset[:, :, 1]
    # grid_sample counts from -1 to 1 between the outer edges of the outer pixels
    at = torch.stack([(2 * z + 1) / W - 1, (2 * y + 1) / H - 1], -1).flatten(1, 2)
    read = F.grid_sample(x, at, mode="bilinear", padding_mode="zeros", align_corners=False).unflatten(2, (TAPS, h))
    out: Tensor = torch.einsum("bdkhw,odk->bohw", read * gain[:, None], weight.flatten(2))
    return out if bias is None else out + bias[:, None, None]


@dataclass(frozen=True, kw_only=True)
class DyHead(Spec):
    """One step on all maps of a pyramid: each is the mean of what is read of it and of its neighbours, every part weighed by
    its mean; then an activation that depends on the map. `groups` of the norms; `squeeze`: how much narrower it looks.
    """

    groups: int = 16
    squeeze: int = 4

    def build(self, width: int) -> DyHeadModule:
        """The module for maps of `width`."""
        return DyHeadModule(self, width)


class Normed(nn.Module):
    """Parameters: conv, norm."""

    def __init__(self, width: int, groups: int, stride: int) -> None:
        super().__init__()
        self.conv, self.norm, self.stride = nn.Conv2d(width, width, 3, padding=1), nn.GroupNorm(groups, width), stride

    def forward(self, x: Tensor, offset: Tensor, gain: Tensor) -> Tensor:
        """A map, a stride smaller."""
        out: Tensor = self.norm(deformed(x, self.conv.weight, self.conv.bias, offset, gain, self.stride))
        return out


class DyReLU(nn.Module):
    """The larger of two lines of every channel, whose slopes and heights follow from the means of all. Parameters: down, up."""

    def __init__(self, width: int, squeeze: int) -> None:
        super().__init__()
        self.down, self.up = nn.Linear(width, width // squeeze), nn.Linear(width // squeeze, 4 * width)

    def forward(self, x: Tensor) -> Tensor:
        """A map."""
        near = F.relu6(self.up(self.down(x.mean((2, 3))).relu()) + 3) / 6 - 0.5
        slope, height, slope2, height2 = near[..., None, None].chunk(4, 1)
        return torch.maximum(x * (2 * slope + 1) + height, x * 2 * slope2 + height2)


class DyHeadModule(nn.Module):
    """Parameters: above, same, below (what is read of the next smaller map, this one, the next larger), weigh, offset, act."""

    def __init__(self, spec: DyHead, width: int) -> None:
        super().__init__()
        self.above, self.same = Normed(width, spec.groups, 1), Normed(width, spec.groups, 1)
        self.below, self.act = Normed(width, spec.groups, 2), DyReLU(width, spec.squeeze)
        self.weigh, self.offset = nn.Conv2d(width, 1, 1), nn.Conv2d(width, 3 * TAPS, 3, padding=1)

    def forward(self, maps: Sequence[Tensor]) -> tuple[Tensor, ...]:
        """As many maps. Where to read of all three follows from the middle one."""
        outs = []
        for n, x in enumerate(maps):
            where = self.offset(x)
            offset, gain = where[:, : 2 * TAPS], where[:, 2 * TAPS :].sigmoid()
            parts = [self.same(x, offset, gain)]
            if n > 0:
                parts.append(self.below(maps[n - 1], offset, gain))
            if n < len(maps) - 1:
                small = self.above(maps[n + 1], offset, gain)
                parts.append(F.interpolate(small, x.shape[-2:], mode="bilinear", align_corners=True))
            shares = [F.relu6(self.weigh(part.mean((2, 3), keepdim=True)).relu() + 3) / 6 for part in parts]
            outs.append(self.act(torch.stack([part * share for part, share in zip(parts, shares, strict=True)]).mean(0)))
        return tuple(outs)

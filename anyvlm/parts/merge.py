"""Layers that learn as several branches and are one convolution afterwards, exactly (MobileOne 2206.04040, FastViT 2303.14189).

Sources: timm `fastvit.py`; apple/ml-mobileclip `mobileclip/modules/common/mobileone.py`. Exact in evaluation only: while batch
norms follow the batches, branches cannot be merged.
Maps are (B, D, h, w).
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from anyvlm.parts.vision.resnet import EPS, BatchNorm


class Mergeable(nn.Module):
    """Contract: `merged` is one convolution that computes the same in evaluation."""

    def merged(self) -> nn.Conv2d:
        """The convolution."""
        raise NotImplementedError


class Branches(Mergeable):
    """The sum of a convolution of `side`, one of `small`, and the rows themselves where they keep their shape, each normed.

    Parameters: conv, norm; small, norm_small; norm_same. `side` None: there is no convolution. `groups`: of channels.
    """

    def __init__(
        self, into: int, out: int, side: int, stride: int = 1, groups: int = 1, small: int | None = 1, learned: bool = True
    ) -> None:
        """`learned`: False leaves the norm of the rows themselves alone."""
        super().__init__()
        self.into, self.out, self.side, self.stride, self.groups = into, out, side, stride, groups
        self.learned, self.has_small, self.same = learned, small is not None and learned, stride == 1 and into == out
        if learned:
            self.conv, self.norm = _conv(into, out, side, stride, groups), BatchNorm(out)
        if small is not None and learned:
            self.small, self.norm_small = _conv(into, out, small, stride, groups), BatchNorm(out)
        if self.same:
            self.norm_same = BatchNorm(out)

    def forward(self, x: Tensor) -> Tensor:
        """Maps, a stride smaller."""
        parts = [self.norm_same(x)] if self.same else []
        parts += [self.norm_small(self.small(x))] if self.has_small else []
        parts += [self.norm(self.conv(x))] if self.learned else []
        out: Tensor = torch.stack(parts).sum(0) if len(parts) > 2 else sum(parts[1:], parts[0])
        return out

    def merged(self) -> nn.Conv2d:
        """One convolution of `side`, with a bias."""
        found = []
        if self.learned:
            found.append(_folded(self.conv.weight, self.norm))
        if self.has_small:
            found.append(_folded(_padded(self.small.weight, self.side), self.norm_small))
        if self.same:
            found.append(_folded(unit(self.out, self.side, self.groups).to(self.norm_same.weight), self.norm_same))
        weights, biases = zip(*found, strict=True)
        return as_conv(sum(weights[1:], weights[0]), sum(biases[1:], biases[0]), self.stride, self.groups)


class Mixer(Mergeable):
    """x + scale * (mixer(x) - norm(x)), channel by channel (RepMixer). Parameters: mixer, norm, scale."""

    def __init__(self, width: int, side: int = 3) -> None:
        super().__init__()
        self.mixer = Branches(width, width, side, groups=width)
        self.norm = Branches(width, width, side, groups=width, learned=False)
        self.scale = nn.Parameter(torch.full((width,), 1e-5))

    def forward(self, x: Tensor) -> Tensor:
        """Maps."""
        out: Tensor = x + self.scale[:, None, None] * (self.mixer(x) - self.norm(x))
        return out

    def merged(self) -> nn.Conv2d:
        """One convolution."""
        mixer, norm = self.mixer.merged(), self.norm.merged()
        width, side = len(self.scale), self.mixer.side
        weight = self.scale[:, None, None, None] * (mixer.weight - norm.weight) + unit(width, side, width).to(mixer.weight)
        assert mixer.bias is not None and norm.bias is not None
        return as_conv(weight, self.scale * (mixer.bias - norm.bias), 1, width)


class Placed(Mergeable):
    """x + conv(x), channel by channel: places by what is beside them. Parameters: conv."""

    def __init__(self, width: int, side: int = 7) -> None:
        super().__init__()
        self.conv = nn.Conv2d(width, width, side, padding=side // 2, groups=width)

    def forward(self, x: Tensor) -> Tensor:
        """Maps."""
        out: Tensor = x + self.conv(x)
        return out

    def merged(self) -> nn.Conv2d:
        """One convolution."""
        width, side = self.conv.weight.shape[0], self.conv.weight.shape[-1]
        assert self.conv.bias is not None
        return as_conv(self.conv.weight + unit(width, side, width).to(self.conv.weight), self.conv.bias, 1, width)


@torch.no_grad()
def merge(module: nn.Module) -> nn.Module:
    """Every `Mergeable` inside becomes one convolution, in place."""
    for name, child in list(module.named_children()):
        if isinstance(child, Mergeable):
            setattr(module, name, child.merged())
        else:
            merge(child)
    return module


def unit(width: int, side: int, groups: int) -> Tensor:
    """The kernel that leaves maps as they are."""
    each = width // groups
    out = torch.zeros(width, each, side, side)
    out[torch.arange(width), torch.arange(width) % each, side // 2, side // 2] = 1
    return out


def as_conv(weight: Tensor, bias: Tensor, stride: int, groups: int) -> nn.Conv2d:
    """A convolution with these values."""
    out, each, side, _ = weight.shape
    with torch.device("meta"):
        made = nn.Conv2d(each * groups, out, side, stride, side // 2, groups=groups)
    made.weight, made.bias = nn.Parameter(weight.detach().contiguous()), nn.Parameter(bias.detach())
    return made


def _conv(into: int, out: int, side: int, stride: int, groups: int) -> nn.Conv2d:
    return nn.Conv2d(into, out, side, stride, side // 2, groups=groups, bias=False)


def _padded(weight: Tensor, side: int) -> Tensor:
    return F.pad(weight, [(side - weight.shape[-1]) // 2] * 4)


def _folded(weight: Tensor, norm: BatchNorm) -> tuple[Tensor, Tensor]:
    """Kernel and bias of a convolution followed by a norm."""
    gain = norm.weight / (norm.var + EPS).sqrt()
    return weight * gain[:, None, None, None], norm.bias - norm.mean * gain

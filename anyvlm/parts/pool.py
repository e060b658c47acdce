"""Pools: the rows of an item -> one vector. A tower of a system of towers ends in one, and in a map into the shared space.

Shape letters: B items, R rows of each, D width, E width of the shared space, H heads, h head width.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from anyvlm.parts.attention import attend
from anyvlm.parts.bert import CrossAttention
from anyvlm.parts.ffn import GLU, MLP
from anyvlm.parts.init import normal
from anyvlm.parts.norm import LayerNorm
from anyvlm.spec import Spec


class Pool(Spec):
    """Contract of pools: rows (B, R, width) -> (B, out(width))."""

    def out(self, width: int) -> int:
        """Width of what it returns: that of a row, unless it says another."""
        return width

    def build(self, width: int) -> nn.Module:
        """The module: forward(x_BRD, seen_BR) -> x_BD. `seen_BR`: False on rows that pad; None: there are none."""
        raise NotImplementedError


@dataclass(frozen=True, kw_only=True)
class Pick(Pool):
    """One of the rows (`first`: a class token; `last` that is no padding: the end of a text), or the `mean` of all."""

    row: Literal["first", "last", "mean"]

    def build(self, width: int) -> nn.Module:
        """The module; it has no parameters."""
        return PickModule(self)


class PickModule(nn.Module):
    """Padding stands behind."""

    def __init__(self, spec: Pick) -> None:
        super().__init__()
        self.spec = spec

    def forward(self, x_BRD: Tensor, seen_BR: Tensor | None = None) -> Tensor:
        """Rows (B, R, D) -> (B, D)."""
        if self.spec.row == "first":
            return x_BRD[:, 0]
        if seen_BR is None:
            return x_BRD[:, -1] if self.spec.row == "last" else x_BRD.mean(1)
        if self.spec.row == "last":
            return x_BRD[torch.arange(len(x_BRD), device=x_BRD.device), seen_BR.sum(1) - 1]
        share_BR = seen_BR / seen_BR.sum(1, keepdim=True)
        return (x_BRD * share_BR[..., None].to(x_BRD.dtype)).sum(1)


@dataclass(frozen=True, kw_only=True)
class Rest(Pool):
    """The mean of all rows but the first (VideoCLIP)."""

    def build(self, width: int) -> nn.Module:
        """The module; it has no parameters."""
        return RestModule()


class RestModule(nn.Module):
    """Padding stands behind."""

    def forward(self, x_BRD: Tensor, seen_BR: Tensor | None = None) -> Tensor:
        """Rows (B, R, D) -> (B, D)."""
        if seen_BR is None:
            return x_BRD[:, 1:].mean(1)
        rest_BR = seen_BR[:, 1:].to(x_BRD.dtype)
        return (x_BRD[:, 1:] * rest_BR[..., None]).sum(1) / rest_BR.sum(1, keepdim=True)


@dataclass(frozen=True, kw_only=True)
class NormedMean(Pool):
    """The mean of all rows, then a norm (ConvNeXt)."""

    norm: LayerNorm

    def build(self, width: int) -> nn.Module:
        """The module."""
        return NormedMeanModule(self, width)


class NormedMeanModule(nn.Module):
    """Parameters: norm."""

    def __init__(self, spec: NormedMean, width: int) -> None:
        super().__init__()
        self.mean, self.norm = Pick(row="mean").build(width), spec.norm.build(width)

    def forward(self, x_BRD: Tensor, seen_BR: Tensor | None = None) -> Tensor:
        """Rows (B, R, D) -> (B, D)."""
        out: Tensor = self.norm(self.mean(x_BRD, seen_BR))
        return out


@dataclass(frozen=True, kw_only=True)
class Probe(Pool):
    """A learned vector looks at all rows; a feed-forward layer of what it saw, normed, is added (SigLIP's "MAP" head)."""

    heads: int
    ffn: MLP | GLU
    norm: LayerNorm

    def build(self, width: int) -> nn.Module:
        """The module."""
        return ProbeModule(self, width)


class ProbeModule(nn.Module):
    """Parameters: probe, attn, norm, ffn."""

    def __init__(self, spec: Probe, width: int) -> None:
        super().__init__()
        self.probe = normal(width, std=0.02)
        self.attn, self.norm = CrossAttention(width, spec.heads, width), spec.norm.build(width)
        self.ffn = spec.ffn.build(width)

    def forward(self, x_BRD: Tensor, seen_BR: Tensor | None = None) -> Tensor:
        """Rows (B, R, D) -> (B, D); no row is padding."""
        x = self.attn(self.probe.expand(len(x_BRD), 1, -1), *self.attn.keys(x_BRD))
        out: Tensor = (x + self.ffn(self.norm(x)))[:, 0]
        return out


@dataclass(frozen=True, kw_only=True)
class Glance(Pool):
    """Each of `heads` learned vectors weighs the rows; their weighted means, side by side, go through a feed-forward layer.

    Far cheaper than `Probe`, as no row has a key or a value of its own: a head for features that were computed before.
    """

    heads: int
    hidden: int

    def build(self, width: int) -> nn.Module:
        """The module."""
        return GlanceModule(self, width)


class GlanceModule(nn.Module):
    """Parameters: look, up, down."""

    def __init__(self, spec: Glance, width: int) -> None:
        super().__init__()
        self.look = normal(spec.heads, width, std=0.02)
        self.up, self.down = nn.Linear(spec.heads * width, spec.hidden), nn.Linear(spec.hidden, width)

    def forward(self, x_BRD: Tensor, seen_BR: Tensor | None = None) -> Tensor:
        """Rows (B, R, D) -> (B, D); no row is padding."""
        share_BHR = (self.look @ x_BRD.transpose(1, 2)).softmax(-1)
        out: Tensor = self.down(F.gelu(self.up((share_BHR @ x_BRD).flatten(1))))
        return out


@dataclass(frozen=True, kw_only=True)
class MeanProbe(Pool):
    """The mean of the rows looks at itself and at all `rows`, each with a learned place (CLIP's ResNets).

    What the heads saw is side by side; the map into the shared space behind it is the attention's own last layer.
    """

    heads: int
    rows: int

    def build(self, width: int) -> nn.Module:
        """The module."""
        return MeanProbeModule(self, width)


class MeanProbeModule(nn.Module):
    """Parameters: pos, q, kv."""

    def __init__(self, spec: MeanProbe, width: int) -> None:
        super().__init__()
        self.heads = spec.heads
        self.pos = normal(spec.rows + 1, width, std=width**-0.5)
        self.q, self.kv = nn.Linear(width, width), nn.Linear(width, 2 * width)

    def forward(self, x_BRD: Tensor, seen_BR: Tensor | None = None) -> Tensor:
        """Rows (B, R, D) -> (B, D); no row is padding."""
        x = torch.cat([x_BRD.mean(1, keepdim=True), x_BRD], 1) + self.pos
        q_BH1h = self.q(x[:, :1]).unflatten(-1, (self.heads, -1)).transpose(1, 2)
        k, v = self.kv(x).unflatten(-1, (2, self.heads, -1)).permute(2, 0, 3, 1, 4)
        return attend(q_BH1h, k, v).transpose(1, 2).flatten(1)


@dataclass(frozen=True, kw_only=True)
class Look(Pool):
    """A learned query, which is not mapped, looks at all rows (AIMv2-LiT). Keys and values have no bias."""

    heads: int

    def build(self, width: int) -> nn.Module:
        """The module."""
        return LookModule(self, width)


class LookModule(nn.Module):
    """Parameters: probe, kv, o."""

    def __init__(self, spec: Look, width: int) -> None:
        super().__init__()
        self.heads, self.probe = spec.heads, normal(width, std=0.02)
        self.kv, self.o = nn.Linear(width, 2 * width, bias=False), nn.Linear(width, width)

    def forward(self, x_BRD: Tensor, seen_BR: Tensor | None = None) -> Tensor:
        """Rows (B, R, D) -> (B, D); no row is padding."""
        k, v = self.kv(x_BRD).unflatten(-1, (2, self.heads, -1)).permute(2, 0, 3, 1, 4)
        q_BH1h = self.probe.view(self.heads, 1, -1).expand(len(x_BRD), -1, -1, -1)
        out: Tensor = self.o(attend(q_BH1h, k, v).transpose(1, 2).flatten(1))
        return out


class Map(Spec):
    """Contract of maps: vectors (..., width) -> (..., shared), points of the shared space before they are normed."""

    def build(self, width: int, shared: int) -> nn.Module:
        """The module."""
        raise NotImplementedError


@dataclass(frozen=True, kw_only=True)
class CentredLook(Pool):
    """The same of rows whose every value is first centred and scaled by its mean and deviation over all rows of a batch, in
    training, or over all it was trained on; what the heads saw is side by side (AIM's probe).
    """

    heads: int
    eps: float = 1e-6

    def build(self, width: int) -> nn.Module:
        """The module."""
        return CentredLookModule(self, width)


class CentredLookModule(nn.Module):
    """Parameters: probe, kv; mean and var, which nothing learns: in training they follow the batches."""

    def __init__(self, spec: CentredLook, width: int) -> None:
        super().__init__()
        self.spec, self.probe = spec, normal(width, std=0.02)
        self.kv = nn.Linear(width, 2 * width, bias=False)
        self.mean, self.var = nn.Parameter(torch.zeros(width)), nn.Parameter(torch.ones(width))

    def forward(self, x_BRD: Tensor, seen_BR: Tensor | None = None) -> Tensor:
        """Rows (B, R, D) -> (B, D); no row is padding."""
        mean, var = self.mean.detach(), self.var.detach()
        x_BDR = F.batch_norm(x_BRD.transpose(1, 2), mean, var, training=self.training, eps=self.spec.eps)
        k, v = self.kv(x_BDR.transpose(1, 2)).unflatten(-1, (2, self.spec.heads, -1)).permute(2, 0, 3, 1, 4)
        q_BH1h = self.probe.view(self.spec.heads, 1, -1).expand(len(x_BRD), -1, -1, -1)
        return attend(q_BH1h, k, v).transpose(1, 2).flatten(1)


@dataclass(frozen=True, kw_only=True)
class Linear(Map):
    """A linear map into the shared space."""

    bias: bool = False

    def build(self, width: int, shared: int) -> nn.Module:
        """The module."""
        return nn.Linear(width, shared, bias=self.bias)


@dataclass(frozen=True, kw_only=True)
class TwoLinear(Map):
    """A linear map to `ratio` times the width of the shared space, GELU, and one into it without a bias."""

    ratio: int = 2

    def build(self, width: int, shared: int) -> nn.Module:
        """The module."""
        return TwoLinearModule(self, width, shared)


class TwoLinearModule(nn.Module):
    """Parameters: up, down."""

    def __init__(self, spec: TwoLinear, width: int, shared: int) -> None:
        super().__init__()
        self.up, self.down = nn.Linear(width, spec.ratio * shared), nn.Linear(spec.ratio * shared, shared, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """(..., width) -> (..., shared)."""
        out: Tensor = self.down(F.gelu(self.up(x)))
        return out

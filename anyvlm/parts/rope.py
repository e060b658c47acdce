"""Rotary positions and their scalings. Sources: RoFormer (2104.09864); transformers `modeling_rope_utils.py`.

Shape letters: P position axes, B batch, T tokens, h head width.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from anyvlm.spec import Spec


@dataclass(frozen=True, kw_only=True)
class Rope(Spec):
    """Frequencies theta^(-2i/h); `scaling` changes them for contexts longer than the trained one.

    `sections`: how many frequencies turn by time, by height and by width (M-RoPE, 2409.12191): then positions have
    three axes. Empty: one axis. `part`: the share of a head that turns (Persimmon: half); its pairs stand at the front of both
    halves of the head, and the rest has the frequency 0. Files keep such heads in another order: see `keys.Partial`.
    """

    theta: float = 10_000.0
    scaling: Linear | Llama3 | LongRope | Ntk | Yarn | None = None
    sections: tuple[int, ...] = ()
    part: float = 1.0

    @property
    def axes(self) -> int:
        """How many numbers a position has."""
        return len(self.sections) or 1

    def tables(self, pos_PBT: Tensor, h: int) -> tuple[Tensor, Tensor]:
        """What `rotate` multiplies with, each (B, 1, T, h) in fp32: (cos, cos) and (-sin, sin), half a head each."""
        pos_BT = pos_PBT[0]
        freq, gain = self.frequencies(h, pos_BT.amax(1) + 1 if isinstance(self.scaling, LongRope) else None)
        turns_BTh = pos_BT.to(torch.float32)[..., None]
        if self.sections:
            each = torch.tensor(self.sections, device=pos_PBT.device)
            axis_h = torch.arange(len(each), device=pos_PBT.device).repeat_interleave(each)
            turns_BTh = pos_PBT.to(torch.float32)[axis_h].permute(1, 2, 0)
        angle_BTh = turns_BTh * freq.to(pos_BT.device)
        cos, sin = angle_BTh.cos() * gain, angle_BTh.sin() * gain
        return torch.cat([cos, cos], -1)[:, None], torch.cat([-sin, sin], -1)[:, None]

    def frequencies(self, h: int, length_B: Tensor | None = None) -> tuple[Tensor, float]:
        """The h / 2 frequencies and the factor on cos and sin.

        LongRope looks at the lengths of the sequences, and gives each its own frequencies (B, 1, h / 2).
        """
        turning = int(h * self.part)
        # the reciprocal of a power, as everyone computes it: another last bit would be 0.002 radians 32,000 tokens on
        freq = 1.0 / self.theta ** (torch.arange(0, turning, 2, dtype=torch.int64).float() / turning)
        gain = 1.0
        if isinstance(self.scaling, LongRope):
            freq, gain = self.scaling.scale(freq, torch.zeros(1) if length_B is None else length_B)
        elif self.scaling is not None:
            freq, gain = self.scaling.scale(freq, self.theta)
        return F.pad(freq, (0, (h - turning) // 2)), gain


@dataclass(frozen=True, kw_only=True)
class Linear(Spec):
    """Positions divided by a factor."""

    factor: float

    def scale(self, freq: Tensor, theta: float) -> tuple[Tensor, float]:
        """Frequencies and gain after scaling."""
        return freq / self.factor, 1.0


@dataclass(frozen=True, kw_only=True)
class Ntk(Spec):
    """Frequencies of a base `factor` times as large, divided by factor^(2/h): the slowest is `factor` times slower (GTE)."""

    factor: float

    def scale(self, freq: Tensor, theta: float) -> tuple[Tensor, float]:
        """Frequencies and gain after scaling."""
        turning = 2 * len(freq)
        freq = 1.0 / (theta * self.factor) ** (torch.arange(0, turning, 2, dtype=torch.int64).float() / turning)
        return freq / self.factor ** (2 / turning), 1.0


@dataclass(frozen=True, kw_only=True)
class Llama3(Spec):
    """Long wavelengths stretched, short ones kept, a smooth ramp between (Llama 3.1)."""

    factor: float
    low: float
    high: float
    original: int

    def scale(self, freq: Tensor, theta: float) -> tuple[Tensor, float]:
        """Frequencies and gain after scaling."""
        turns = self.original * freq / (2 * math.pi)
        ramp = ((turns - self.low) / (self.high - self.low)).clamp(0, 1)
        return (1 - ramp) * freq / self.factor + ramp * freq, 1.0


@dataclass(frozen=True, kw_only=True)
class LongRope(Spec):
    """A factor for each frequency; one list within the original context, another beyond it (Phi-3 128k)."""

    short: tuple[float, ...]
    long: tuple[float, ...]
    original: int
    context: int

    def scale(self, freq: Tensor, length_B: Tensor) -> tuple[Tensor, float]:
        """Frequencies (B, 1, h / 2) and gain after scaling, for sequences of these lengths."""
        factor = self.context / self.original
        gain = math.sqrt(1 + math.log(factor) / math.log(self.original)) if factor > 1 else 1.0
        beyond = (length_B > self.original)[:, None, None].cpu()
        return freq / torch.where(beyond, torch.tensor(self.long), torch.tensor(self.short)), gain


@dataclass(frozen=True, kw_only=True)
class Yarn(Spec):
    """Interpolation by wavelength with a temperature (2309.00071)."""

    factor: float
    original: int
    fast: float = 32.0
    slow: float = 1.0

    def scale(self, freq: Tensor, theta: float) -> tuple[Tensor, float]:
        """Frequencies and gain after scaling."""
        h = 2 * len(freq)
        low, high = (
            h * math.log(self.original / (turns * 2 * math.pi)) / (2 * math.log(theta))
            for turns in (self.fast, self.slow)
        )
        low, high = max(math.floor(low), 0), min(math.ceil(high), h - 1)
        ramp = ((torch.arange(h // 2) - low) / max(high - low, 0.001)).clamp(0, 1)
        return freq / self.factor * ramp + freq * (1 - ramp), 0.1 * math.log(
            self.factor
        ) + 1 if self.factor > 1 else 1.0


def rotate(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """x (B, H, T, h) turned by `Rope.tables`; pairs are (i, i + h / 2), so the partner is half a head away."""
    cos, sin = cos.to(x.dtype), sin.to(x.dtype)
    return torch.addcmul(x * cos, x.roll(x.shape[-1] // 2, -1), sin)

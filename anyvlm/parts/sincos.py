"""Fixed places: sines and cosines instead of a table that is learned. Computed in double precision, as their authors do."""

from __future__ import annotations

import torch
from torch import Tensor

BASE = 10_000.0


def _turns(places: Tensor, width: int) -> Tensor:
    """(n) -> angles (n, width / 2)."""
    step = torch.arange(width // 2, dtype=torch.float64, device=places.device) / (width // 2)
    return places.double()[:, None] / BASE**step


def sincos_2d(h: int, w: int, width: int, device: torch.device | None = None) -> Tensor:
    """(h * w, width): sines then cosines of the column in the first half, of the line in the second (MAE, AIM, AIMv2)."""
    column, line = torch.arange(w, device=device).repeat(h), torch.arange(h, device=device).repeat_interleave(w)
    halves = [part for axis in (column, line) for angle in (_turns(axis, width // 2),) for part in (angle.sin(), angle.cos())]
    return torch.cat(halves, -1).float()


def sincos_1d(n: int, width: int, device: torch.device | None = None) -> Tensor:
    """(n, width): sine and cosine of each frequency side by side (VideoMAE)."""
    angle = _turns(torch.arange(n, device=device), width)
    return torch.stack([angle.sin(), angle.cos()], -1).flatten(1).float()

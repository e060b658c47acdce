"""Random parameters."""

from __future__ import annotations

import torch
from torch import nn


def normal(*shape: int, std: float = 1.0) -> nn.Parameter:
    """Drawn from N(0, std^2); nothing is drawn on the meta device, where that imports torch's compiler (1.5 s)."""
    weight = torch.empty(shape)
    return nn.Parameter(weight if weight.is_meta else weight.normal_(0, std))

"""Activations by name. Their exact variant is a fact of a checkpoint."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Literal

import torch.nn.functional as F
from torch import Tensor

Act = Literal["gelu", "gelu_tanh", "quick_gelu", "silu", "relu", "relu2"]


def _quick_gelu(x: Tensor) -> Tensor:
    """OpenAI CLIP's approximation, x * sigmoid(1.702 x)."""
    return x * (1.702 * x).sigmoid()


def _relu2(x: Tensor) -> Tensor:
    """The square of ReLU (Primer, 2109.08668)."""
    return F.relu(x).square()


ACTS: dict[str, Callable[[Tensor], Tensor]] = {
    "gelu": F.gelu,
    "gelu_tanh": partial(F.gelu, approximate="tanh"),
    "quick_gelu": _quick_gelu,
    "silu": F.silu,
    "relu": F.relu,
    "relu2": _relu2,
}

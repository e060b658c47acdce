"""Pack the linear layers of a model for the CPU once, at load, and unpack them for training or saving."""

from __future__ import annotations

from collections.abc import Callable

from torch import nn

from anyvlm.parts.lm import DecoderLM
from anyvlm.parts.packed import Packed, packable


def prepack(module: nn.Module) -> int:
    """Replace every linear layer that can be packed; returns how many.

    One after another, each plain weight freed before the next is packed, so that memory does not double. Only a tied
    head costs extra: the embedding keeps the plain weight. Where nothing can be packed (fp32, GPU, a torch without
    oneDNN) the module stays as it is.
    """
    return _replace(module, lambda child: Packed(child) if packable(child) else None)


def unpack(module: nn.Module) -> int:
    """The inverse of `prepack`, bit for bit; returns how many."""
    count = _replace(module, lambda child: child.plain() if isinstance(child, Packed) else None)
    for lm in module.modules():
        if isinstance(lm, DecoderLM) and lm.spec.tied:
            lm.head.weight = lm.embed.weight
    return count


def _replace(module: nn.Module, other: Callable[[nn.Module], nn.Module | None]) -> int:
    """Put other modules in the place of those for which there is one; nothing holds on to the old ones."""
    count = 0
    for name, child in module.named_children():
        if (new := other(child)) is None:
            count += _replace(child, other)
        else:
            setattr(module, name, new)
            count += 1
    return count

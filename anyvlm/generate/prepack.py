"""Pack the linear layers of a model for the CPU once, at load, and unpack them for training or saving."""

from __future__ import annotations

from torch import nn

from anyvlm.parts.lm import DecoderLM
from anyvlm.parts.packed import Packed, packable


def prepack(module: nn.Module) -> int:
    """Replace every linear layer that can be packed; returns how many.

    One after another, each plain weight freed before the next is packed, so that memory does not double. Only a tied
    head costs extra: the embedding keeps the plain weight. Where nothing can be packed (fp32, GPU, a torch without
    oneDNN) the module stays as it is.
    """
    count = 0
    for parent in list(module.modules()):
        for name, child in list(parent.named_children()):
            if packable(child):
                assert isinstance(child, nn.Linear)
                setattr(parent, name, Packed(child))
                count += 1
    return count


def unpack(module: nn.Module) -> int:
    """The inverse of `prepack`, bit for bit; returns how many."""
    count = 0
    for parent in list(module.modules()):
        for name, child in list(parent.named_children()):
            if isinstance(child, Packed):
                setattr(parent, name, child.plain())
                count += 1
    for lm in module.modules():
        if isinstance(lm, DecoderLM) and lm.spec.tied:
            lm.head.weight = lm.embed.weight
    return count

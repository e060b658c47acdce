"""Pack the linear layers of a model for the CPU once, at load, and unpack them for training or saving."""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Callable
from functools import partial

from torch import Tensor, nn

from anyvlm.parts.act import ACTS
from anyvlm.parts.experts import GLUExperts, MLPExperts
from anyvlm.parts.ffn import GLUModule, MLPModule, gated
from anyvlm.parts.language import LM
from anyvlm.parts.packed import FUSED, QUICK, Packed, PackedGate, able, packable
from anyvlm.parts.packed_experts import PackedExperts


def prepack(module: nn.Module) -> int:
    """Replace every linear layer that can be packed, activations fused where oneDNN knows them; returns how many.

    One after another, each plain weight freed before the next is packed, so that memory does not double. Only a tied
    head costs extra: the embedding keeps the plain weight. Where nothing can be packed (fp32, GPU, a torch without
    oneDNN) the module stays as it is.
    """
    for ffn in module.modules():
        match ffn:
            case MLPModule() if packable(ffn.up) and ffn.spec.act in FUSED:
                ffn.up, ffn.mid = Packed(ffn.up, ffn.spec.act), _same
                _trim()
            case MLPModule() if packable(ffn.up) and packable(ffn.down) and ffn.spec.act == "quick_gelu":
                ffn.up, ffn.mid = Packed(ffn.up, "silu", before=QUICK), _same
                ffn.down = Packed(ffn.down, after=1 / QUICK)
                _trim()
            case GLUModule() if packable(ffn.gate_up) and ffn.spec.act in FUSED:
                ffn.gate_up, ffn.mid = PackedGate(ffn.gate_up, ffn.spec.act), _same
                _trim()
    _replace(module, _packed)
    return sum(isinstance(each, (Packed, PackedGate, PackedExperts)) for each in module.modules())


def _packed(layer: nn.Module) -> nn.Module | None:
    """A linear layer or a stack of experts packed; a stack's plain weights are freed when all its experts are done."""
    if isinstance(layer, (GLUExperts, MLPExperts)) and able(layer.down) and layer.spec.act in FUSED:
        return PackedExperts(layer)
    return Packed(layer) if packable(layer) else None


def unpack(module: nn.Module) -> int:
    """The inverse of `prepack`, bit for bit; returns how many."""
    count = _replace(module, lambda child: child.plain() if isinstance(child, (Packed, PackedGate, PackedExperts)) else None)
    for part in module.modules():
        match part:
            case MLPModule():
                part.mid = ACTS[part.spec.act]
            case GLUModule():
                part.mid = partial(gated, ACTS[part.spec.act])
            case LM() if part.spec.tied:
                part.head.weight = part.embed.weight
    return count


def _trim() -> None:
    """Hand back what was freed; glibc keeps it for itself (a packed weight does not fit into a plain one's place)."""
    if sys.platform == "linux" and hasattr(libc := ctypes.CDLL(None), "malloc_trim"):
        libc.malloc_trim(0)


def _same(x: Tensor) -> Tensor:
    return x


def _replace(module: nn.Module, other: Callable[[nn.Module], nn.Module | None]) -> int:
    """Put other modules in the place of those for which there is one; nothing holds on to the old ones."""
    count = 0
    for name, child in module.named_children():
        if (new := other(child)) is None:
            count += _replace(child, other)
        else:
            setattr(module, name, new)
            count += 1
            _trim()
    return count

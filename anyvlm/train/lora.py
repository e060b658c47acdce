"""Low-rank adaptation (2106.09685): a linear layer plus scale * B A, with A and B trained and the layer frozen."""

from __future__ import annotations

from fnmatch import fnmatchcase

import torch
from torch import Tensor, nn
from torch.nn.functional import dropout, linear

from anyvlm.errors import SpecError
from anyvlm.system import Lora


class LoraLinear(nn.Module):
    """A frozen linear layer `base` and its low-rank update; B starts at zero, so nothing changes before training.

    While training, the update alone reads its input through dropout (as peft does).
    """

    def __init__(self, base: nn.Linear, spec: Lora) -> None:
        super().__init__()
        self.base, self.scale, self.dropout = base.requires_grad_(False), spec.alpha / spec.rank, spec.dropout
        like = base.weight
        self.a = nn.Parameter(torch.empty(spec.rank, base.in_features, dtype=like.dtype, device=like.device))
        self.b = nn.Parameter(torch.zeros(base.out_features, spec.rank, dtype=like.dtype, device=like.device))
        nn.init.kaiming_uniform_(self.a, a=5**0.5)

    def forward(self, x: Tensor) -> Tensor:
        """(..., in) -> (..., out)."""
        read = dropout(x, self.dropout, self.training) if self.dropout else x
        out: Tensor = self.base(x) + linear(linear(read, self.a) * self.scale, self.b)
        return out

    def update(self) -> Tensor:
        """scale * B A in fp32: what merging adds to the weight."""
        return self.scale * self.b.float() @ self.a.float()


def add_lora(model: nn.Module, spec: Lora) -> list[str]:
    """Put a low-rank update beside every linear layer whose name matches `spec.on`; returns their names.

    Layers that have one already keep it, so a later stage goes on training it. Raises SpecError if nothing matches.
    """
    names = [
        name
        for name, module in model.named_modules()
        if isinstance(module, nn.Linear) and any(fnmatchcase(name, glob) for glob in spec.on)
    ]
    present = [name for name, module in model.named_modules() if isinstance(module, LoraLinear)]
    names = [name for name in names if name.removesuffix(".base") not in present]
    if not names and not present:
        raise SpecError(f"No linear layer matches {', '.join(spec.on)}; a low-rank update would train nothing.")
    for name in names:
        parent, _, leaf = name.rpartition(".")
        setattr(model.get_submodule(parent), leaf, LoraLinear(model.get_submodule(name), spec))  # type: ignore[arg-type]
    return names


def merge_lora(model: nn.Module) -> None:
    """Add every update to its layer's weight and remove it; the model computes the same as before, up to rounding."""
    for name, module in list(model.named_modules()):
        if isinstance(module, LoraLinear):
            parent, _, leaf = name.rpartition(".")
            weight = module.base.weight
            weight.data = (weight.float() + module.update()).to(weight.dtype)
            setattr(model.get_submodule(parent), leaf, module.base)


def lora_tensors(model: nn.Module) -> dict[str, Tensor]:
    """The updates as `lora.<layer>.a` and `lora.<layer>.b`, with the scale inside b: the form in which they are stored."""
    found = {name: module for name, module in model.named_modules() if isinstance(module, LoraLinear)}
    return {f"lora.{name}.a": m.a.detach() for name, m in found.items()} | {
        f"lora.{name}.b": m.b.detach().float() * m.scale for name, m in found.items()
    }

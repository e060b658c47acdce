"""A stack of experts whose weights lie in oneDNN's own order, each expert as `Packed` has it. For inference only."""

from __future__ import annotations

from collections.abc import MutableMapping

import torch
from torch import Tensor, nn

from anyvlm.parts.experts import GLUExperts, MLPExperts, build_experts, one_by_one
from anyvlm.parts.ffn import GLU
from anyvlm.parts.packed import Packed, PackedGate, as_linear


class PackedExperts(nn.Module):
    """Its state_dict is that of the stack; it has no parameters."""

    def __init__(self, experts: GLUExperts | MLPExperts) -> None:
        super().__init__()
        stack = {name: parameter.detach() for name, parameter in experts.named_parameters()}
        self.spec, self.names, act = experts.spec, tuple(stack), experts.spec.act
        self.up: tuple[Packed | PackedGate, ...]  # plain tuples: as modules they would write names of their own
        if isinstance(self.spec, GLU):
            self.up = tuple(PackedGate(as_linear(weight.T, None), act) for weight in stack["gate_up"])
        else:
            self.up = tuple(Packed(layer, act) for layer in _linears(stack, "up"))
        self.down = tuple(Packed(layer) for layer in _linears(stack, "down"))

    def forward(self, x_MD: Tensor, counts_E: Tensor) -> Tensor:
        """Rows sorted by expert -> rows of the same order; counts_E: how many each expert has."""
        return one_by_one(x_MD, counts_E, lambda x, e: self.down[e](self.up[e](x)))

    def tensors(self) -> dict[str, Tensor]:
        """The stack as it was, copies."""
        sides = {"up": self.up, "gate_up": self.up, "down": self.down}
        out = {}
        for name in self.names:
            layers = sides[name.removesuffix("_bias")]
            each = [layer.bias if name not in sides else layer.dense().T for layer in layers]
            out[name] = torch.stack([tensor for tensor in each if tensor is not None])
        return out

    def plain(self) -> nn.Module:
        """The stack as it was."""
        with torch.device("meta"):
            new = build_experts(self.spec, 1, len(self.down))
        for name, tensor in self.tensors().items():
            setattr(new, name, nn.Parameter(tensor))
        return new

    def _save_to_state_dict(self, destination: MutableMapping[str, Tensor], prefix: str, keep_vars: bool) -> None:
        destination.update({prefix + name: tensor for name, tensor in self.tensors().items()})


def _linears(stack: dict[str, Tensor], name: str) -> list[nn.Linear]:
    biases = stack.get(f"{name}_bias", [None] * len(stack[name]))
    return [as_linear(weight.T, bias) for weight, bias in zip(stack[name], biases, strict=True)]

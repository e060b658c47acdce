"""A linear layer whose bf16 weight lies in oneDNN's own order, so that the CPU does not reorder it at every call.

For inference only. Measured on a Xeon with AMX, against `F.linear` on the same matrices: 1.3 to 1.6x for one to eight
rows, 1.1x for a thousand. The order is a lossless permutation: the plain weight comes back bit for bit.
"""

from __future__ import annotations

from collections.abc import MutableMapping
from typing import TypeGuard

import torch
from torch import Tensor, nn


def packable(linear: nn.Module) -> TypeGuard[nn.Linear]:
    """What computes as a plain nn.Linear, in bf16 on a CPU whose torch has oneDNN's ops."""
    return isinstance(linear, nn.Linear) and type(linear).forward is nn.Linear.forward and able(linear.weight)


def able(weight: Tensor) -> bool:
    """A matrix, or a stack of them, that can be packed."""
    return (
        weight.dtype == torch.bfloat16
        and weight.device.type == "cpu"
        and hasattr(torch.ops.mkldnn, "_reorder_linear_weight")
        and hasattr(torch.ops.mkldnn, "_linear_pointwise")
        and torch.ops.mkldnn._is_mkldnn_bf16_supported()
    )


FUSED: dict[str, tuple[str, str]] = {
    "gelu": ("gelu", "none"),
    "gelu_tanh": ("gelu", "tanh"),
    "silu": ("swish", ""),
    "relu": ("relu", ""),
}
"""Activations that oneDNN computes on the product before it is rounded to bf16: its name and variant."""


QUICK = 1.702
"""QuickGELU, x * sigmoid(1.702 x), is oneDNN's swish of 1.702 x by 1.702."""


class Packed(nn.Module):
    """`linear` and, by name, an activation on it. Its state_dict is that of the plain layer; it has no parameters.

    `before`: rows are multiplied with it, and the bias, so that the activation is of so many times the product; `after`: the
    product is multiplied with it, and the bias is not.
    """

    bias: Tensor | None

    def __init__(self, linear: nn.Linear, act: str | None = None, before: float = 1.0, after: float = 1.0) -> None:
        super().__init__()
        self.before, self.after = before, after
        self.in_features, self.out_features = linear.in_features, linear.out_features
        self.packed = _pack(linear.weight)  # no buffer: nothing may move or cast it
        self.register_buffer("bias", None if linear.bias is None else linear.bias.detach())
        self._bias = self.bias if self.bias is None or before == after else self.bias * (before / after)
        self._act = FUSED[act] if act else ("none", "")
        self._op = torch.ops.mkldnn._linear_pointwise.default

    def forward(self, x: Tensor) -> Tensor:
        """(..., in) -> (..., out)."""
        act, variant = self._act
        if self.before != 1:
            x = x * self.before
        out: Tensor = self._op(x, self.packed, self._bias, act, [], variant)
        return out if self.after == 1 else out.mul_(self.after)

    def dense(self) -> Tensor:
        """The plain weight (out, in), a copy."""
        return self.packed.to_dense()

    def plain(self) -> nn.Linear:
        """The layer as it was."""
        return as_linear(self.dense(), self.bias)

    def _save_to_state_dict(self, destination: MutableMapping[str, Tensor], prefix: str, keep_vars: bool) -> None:
        _save(destination, prefix, self.dense(), self.bias)


class PackedGate(nn.Module):
    """The `gate_up` of a gated layer with its product: x -> act(gate(x)) * up(x), all in two calls."""

    bias: Tensor | None

    def __init__(self, linear: nn.Linear, act: str) -> None:
        super().__init__()
        half = linear.out_features // 2
        self.gate, self.up = _pack(linear.weight[:half]), _pack(linear.weight[half:])
        self.register_buffer("bias", None if linear.bias is None else linear.bias.detach())
        self._biases = (None, None) if self.bias is None else (self.bias[:half], self.bias[half:])
        self._act = FUSED[act]
        self._unary = torch.ops.mkldnn._linear_pointwise.default
        self._binary = torch.ops.mkldnn._linear_pointwise.binary

    def forward(self, x: Tensor) -> Tensor:
        """(..., width) -> (..., hidden)."""
        act, variant = self._act
        gate = self._unary(x, self.gate, self._biases[0], act, [], variant)
        out: Tensor = self._binary(x, gate, self.up, self._biases[1], "mul")
        return out

    def dense(self) -> Tensor:
        """The plain weight (2 hidden, width), a copy."""
        return torch.cat([self.gate.to_dense(), self.up.to_dense()])

    def plain(self) -> nn.Linear:
        """The layer as it was, without the product."""
        return as_linear(self.dense(), self.bias)

    def _save_to_state_dict(self, destination: MutableMapping[str, Tensor], prefix: str, keep_vars: bool) -> None:
        _save(destination, prefix, self.dense(), self.bias)


def _pack(weight: Tensor) -> Tensor:
    # The order for many rows (16 or more, all alike) loses nothing with one row; that for one row costs many rows 1.3x.
    packed: Tensor = torch.ops.mkldnn._reorder_linear_weight(weight.detach().contiguous(), 1024)
    return packed


def as_linear(weight: Tensor, bias: Tensor | None) -> nn.Linear:
    """A plain layer that holds these tensors."""
    with torch.device("meta"):
        linear = nn.Linear(weight.shape[1], weight.shape[0], bias=bias is not None)
    linear.weight = nn.Parameter(weight)
    if bias is not None:
        linear.bias = nn.Parameter(bias)
    return linear


def _save(destination: MutableMapping[str, Tensor], prefix: str, weight: Tensor, bias: Tensor | None) -> None:
    destination[prefix + "weight"] = weight
    if bias is not None:
        destination[prefix + "bias"] = bias

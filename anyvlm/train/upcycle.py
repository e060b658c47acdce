"""A dense model becomes one with experts: every expert begins as a copy of the layer it replaces (2212.05055, 2401.15947)."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from anyvlm.errors import WeightsError
from anyvlm.parts.moe import MoEModule


@torch.no_grad()
def upcycle(dense: Mapping[str, Tensor], sparse: nn.Module) -> tuple[str, ...]:
    """Fill `sparse` from the state of the same model without experts; returns what stays as it is: its routers' names.

    Before any training it computes what the dense model does, since the weights of a row's experts sum to 1.
    Raises WeightsError naming a tensor that `dense` lacks or has in another shape.
    """
    places = dict(sparse.named_parameters())
    layers = {path: module for path, module in sparse.named_modules() if isinstance(module, MoEModule)}
    stacks = {
        f"{path}.experts.{leaf}": f"{path}.{_plain(leaf)}"
        for path, module in layers.items()
        for leaf, _ in module.experts.named_parameters()
    }
    routers = tuple(f"{path}.router.weight" for path in layers)
    for to in places.keys() - set(routers):
        source = stacks.get(to, to)
        tensor = dense.get(source)
        if tensor is not None and to in stacks:
            tensor = (tensor.T if tensor.ndim > 1 else tensor).expand_as(places[to])  # stacks keep (in, out)
        if tensor is None or tensor.shape != places[to].shape:
            raise WeightsError(f"{to} begins as {source}, which the dense model lacks or has in another shape.")
        places[to].copy_(tensor)
    return routers


def _plain(leaf: str) -> str:
    """The name in a plain layer of a stack's "up" or "up_bias"."""
    layer = leaf.removesuffix("_bias")
    return f"{layer}.weight" if layer == leaf else f"{layer}.bias"

"""Experts: one is a dense layer, equal ones are a dense layer, and a row pays only for its own."""

from __future__ import annotations

import pytest
import torch

from anyvlm.parts.ffn import GLU
from anyvlm.parts.moe import MoE, MoEModule


def dense(moe: MoEModule, expert: int = 0) -> torch.nn.Module:
    """The plain layer with the weights of one expert."""
    plain = moe.spec.expert.build(moe.router.in_features)
    with torch.no_grad():
        for name, parameter in plain.named_parameters():
            layer, _, leaf = name.partition(".")
            stacked = getattr(moe.experts, layer if leaf == "weight" else f"{layer}_bias")
            parameter.copy_(stacked[expert].T if leaf == "weight" else stacked[expert])
    return plain


def built(spec: MoE) -> MoEModule:
    torch.manual_seed(0)
    module = spec.build(16)
    assert isinstance(module, MoEModule)
    return module


@torch.no_grad()
def test_one_expert_is_a_dense_layer() -> None:
    moe, x = built(MoE(expert=GLU(hidden=24), experts=1, top=1)), torch.randn(3, 5, 16)
    torch.testing.assert_close(moe(x), dense(moe)(x))


@torch.no_grad()
def test_equal_experts_are_a_dense_layer() -> None:
    moe, x = built(MoE(expert=GLU(hidden=24), experts=4, top=2)), torch.randn(3, 5, 16)
    for stack in moe.experts.parameters():
        stack.copy_(stack[:1].expand_as(stack))
    torch.testing.assert_close(moe(x), dense(moe)(x))


@pytest.mark.parametrize("shared", [0, 40])
@torch.no_grad()
def test_it_is_the_weighted_sum_of_the_chosen(shared: int) -> None:
    moe, x = built(MoE(expert=GLU(hidden=24), experts=6, top=3, shared=GLU(hidden=shared) if shared else None)), torch.randn(7, 16)
    weight, expert = moe.choose(x)
    assert expert.shape == (7, 3) and torch.allclose(weight.sum(1), torch.ones(7))
    every = torch.stack([dense(moe, n)(x) for n in range(6)], 1)
    expected = (every.gather(1, expert[..., None].expand(-1, -1, 16)) * weight[..., None]).sum(1)
    torch.testing.assert_close(moe(x), expected + (moe.shared(x) if shared else 0))


def test_experts_without_rows_have_no_gradient() -> None:
    moe, x = built(MoE(expert=GLU(hidden=24), experts=6, top=1)), torch.randn(1, 16)
    _, expert = moe.choose(x)
    moe(x).sum().backward()
    assert moe.experts.gate_up.grad is not None
    moved = moe.experts.gate_up.grad.flatten(1).abs().sum(1) > 0
    assert moved.nonzero().flatten().tolist() == expert.flatten().tolist()

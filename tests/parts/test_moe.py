"""Experts: one is a dense layer, equal ones are a dense layer, and a row pays only for its own."""

from __future__ import annotations

import pytest
import torch

from anyvlm.parts.ffn import GLU
from anyvlm.parts.moe import MoE, MoEModule


def dense(moe: MoEModule, expert: int = 0) -> torch.nn.Module:
    """The plain layer with the weights of one expert."""
    glu = GLU(hidden=moe.spec.hidden).build(moe.gate_up.shape[1])
    with torch.no_grad():
        glu.gate_up.weight.copy_(moe.gate_up[expert].T)
        glu.down.weight.copy_(moe.down[expert].T)
    return glu


def built(spec: MoE) -> MoEModule:
    torch.manual_seed(0)
    module = spec.build(16)
    assert isinstance(module, MoEModule)
    return module


@torch.no_grad()
def test_one_expert_is_a_dense_layer() -> None:
    moe, x = built(MoE(hidden=24, experts=1, top=1)), torch.randn(3, 5, 16)
    torch.testing.assert_close(moe(x), dense(moe)(x))


@torch.no_grad()
def test_equal_experts_are_a_dense_layer() -> None:
    moe, x = built(MoE(hidden=24, experts=4, top=2)), torch.randn(3, 5, 16)
    moe.gate_up.copy_(moe.gate_up[:1].expand_as(moe.gate_up))
    moe.down.copy_(moe.down[:1].expand_as(moe.down))
    torch.testing.assert_close(moe(x), dense(moe)(x))


@pytest.mark.parametrize("shared", [0, 40])
@torch.no_grad()
def test_it_is_the_weighted_sum_of_the_chosen(shared: int) -> None:
    moe, x = built(MoE(hidden=24, experts=6, top=3, shared=shared)), torch.randn(7, 16)
    weight, expert = moe.choose(x)
    assert expert.shape == (7, 3) and torch.allclose(weight.sum(1), torch.ones(7))
    every = torch.stack([dense(moe, n)(x) for n in range(6)], 1)
    expected = (every.gather(1, expert[..., None].expand(-1, -1, 16)) * weight[..., None]).sum(1)
    torch.testing.assert_close(moe(x), expected + (moe.shared(x) if shared else 0))


def test_experts_without_rows_have_no_gradient() -> None:
    moe, x = built(MoE(hidden=24, experts=6, top=1)), torch.randn(1, 16)
    _, expert = moe.choose(x)
    moe(x).sum().backward()
    assert moe.gate_up.grad is not None
    moved = moe.gate_up.grad.flatten(1).abs().sum(1) > 0
    assert moved.nonzero().flatten().tolist() == expert.flatten().tolist()

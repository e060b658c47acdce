"""Experts: one is a dense layer, equal ones are a dense layer, and a row pays only for its own."""

from __future__ import annotations

import pytest
import torch

from anyvlm.generate.prepack import prepack, unpack
from anyvlm.parts import experts
from anyvlm.parts.experts import GLUExperts, MLPExperts
from anyvlm.parts.ffn import GLU, MLP
from anyvlm.parts.gshard import GShard
from anyvlm.parts.moe import MoE, MoEModule, routings
from anyvlm.parts.packed_experts import PackedExperts


def dense(moe: MoEModule, expert: int = 0) -> torch.nn.Module:
    """The plain layer with the weights of one expert."""
    plain = moe.spec.expert.build(moe.router.weight.shape[1])
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
    every_row = GLU(hidden=shared) if shared else None
    moe, x = built(MoE(expert=GLU(hidden=24), experts=6, top=3, shared=every_row)), torch.randn(7, 16)
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


SPECS = {
    "glu": MoE(expert=GLU(hidden=24), experts=5, top=2, shared=GLU(hidden=32)),
    "mlp": MoE(expert=MLP(hidden=24), experts=5, top=3),
    "mlp-unbiased": MoE(expert=MLP(hidden=24, act="gelu_tanh", bias=False), experts=5, top=1),
    "gshard": GShard(expert=MLP(hidden=24), experts=4, eval_capacity=2.0),
}


@pytest.mark.parametrize("spec", SPECS.values(), ids=SPECS)
@torch.no_grad()
def test_every_kind_is_the_weighted_sum(spec: MoE) -> None:
    moe, x = stirred(built(spec)).eval(), torch.randn(2, 9, 16)
    weight, expert = moe.choose(x.flatten(0, 1))
    every = torch.stack([dense(moe, n)(x) for n in range(spec.experts)], -2)
    chosen = every.flatten(0, 1).gather(1, expert[..., None].expand(-1, -1, 16))
    expected = (chosen * weight[..., None]).sum(1).view_as(x)
    torch.testing.assert_close(moe(x), expected if moe.shared is None else expected + moe.shared(x))
    assert torch.allclose(weight.sum(-1), torch.ones(18))


@pytest.mark.parametrize("spec", SPECS.values(), ids=SPECS)
@torch.no_grad()
def test_packed_experts_are_the_same_bit_for_bit_unpacked(spec: MoE) -> None:
    plain = stirred(built(spec)).eval().bfloat16()
    before, x = {name: value.clone() for name, value in plain.state_dict().items()}, torch.randn(7, 16).bfloat16()
    want = plain.float()(x.float())
    plain.bfloat16()
    if prepack(plain):
        assert isinstance(plain.experts, PackedExperts)
        assert all(torch.equal(value, before[name]) for name, value in plain.state_dict().items())
        torch.testing.assert_close(plain(x).float(), want, atol=0.05, rtol=0.05)
    unpack(plain)
    assert type(plain.experts) in (GLUExperts, MLPExperts)
    after = plain.state_dict()
    assert after.keys() == before.keys() and all(torch.equal(after[name], before[name]) for name in before)


@torch.no_grad()
def test_one_kernel_for_all_experts_is_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    """What GPUs do, here with the CPU's version of the kernel; expert 3 gets no row."""
    moe, x = built(SPECS["glu"]), torch.rand(11, 16)
    moe.router.weight[3] = -10.0
    assert 3 not in moe.choose(x)[1]
    apart = moe(x)
    monkeypatch.setattr(experts, "together", lambda *_: True)
    torch.testing.assert_close(moe(x), apart)


def test_no_rows_no_work() -> None:
    assert built(SPECS["glu"])(torch.randn(0, 16)).shape == (0, 16)


def test_who_looks_sees_every_router_once() -> None:
    one, two = built(SPECS["glu"]), built(SPECS["gshard"]).eval()
    x = torch.randn(6, 16)
    with routings() as outer:
        one(x)
        with routings() as inner:
            two(x)
        one(x)
    two(x)
    assert [r.logits_NE.shape for r in outer] == [(6, 5), (6, 5)] and [r.expert_NK.shape for r in inner] == [(6, 2)]
    assert torch.equal(outer[0].expert_NK, one.router(x).topk(2).indices)


def stirred(module: MoEModule) -> MoEModule:
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.normal_(std=parameter.shape[-1] ** -0.5)
    return module

"""Packing changes the order of the weights in memory, and nothing else."""

from __future__ import annotations

import copy
from collections.abc import Callable

import pytest
import torch
from torch import nn

from anyvlm.generate.engine import Engine
from anyvlm.generate.prepack import prepack, unpack
from anyvlm.generate.sampling import Sampling
from anyvlm.parts.act import ACTS
from anyvlm.parts.ffn import GLU, MLP
from anyvlm.parts.packed import Packed, packable
from anyvlm.system import System

needs_bf16 = pytest.mark.skipif(not packable(nn.Linear(8, 8).bfloat16()), reason="this CPU's torch cannot pack bf16")


@needs_bf16
def test_state_is_the_same_bit_for_bit_packed_and_unpacked(tiny: System, build: Callable) -> None:
    vlm = build(tiny.but(lm__tied=True, lm__qkv_bias=True)).bfloat16()
    before = {name: value.clone() for name, value in vlm.state_dict().items()}
    names = {name for name, _ in vlm.named_parameters()}
    assert prepack(vlm) == 3 * 4 + 1 + 2 * 4 + 1 + 1
    assert not any(type(part) is nn.Linear for part in vlm.modules())
    packed = vlm.state_dict()
    assert packed.keys() == before.keys()
    assert all(torch.equal(packed[name], before[name]) for name in before)
    unpack(vlm)
    assert {name for name, _ in vlm.named_parameters()} == names
    assert vlm.lm.head.weight is vlm.lm.embed.weight
    assert all(torch.equal(value, before[name]) for name, value in vlm.state_dict().items())


@needs_bf16
@pytest.mark.parametrize("width, out, rows", [(48, 97, (1,)), (37, 5, (1, 1)), (64, 3, (2, 33)), (576, 960, (1, 1))])
@pytest.mark.parametrize("bias", [True, False])
def test_same_product(width: int, out: int, rows: tuple[int, ...], bias: bool) -> None:
    linear = nn.Linear(width, out, bias=bias).bfloat16()
    x = torch.randn(*rows, width).bfloat16()
    exact = nn.functional.linear(x.double(), linear.weight.double(), linear.bias.double() if bias else None)
    got = Packed(linear)(x)
    assert got.shape == (*rows, out)
    torch.testing.assert_close(got.double(), exact, rtol=2**-7, atol=2**-7)


@needs_bf16
@pytest.mark.parametrize("act", ACTS)
@pytest.mark.parametrize("spec", [MLP(hidden=96), GLU(hidden=96), GLU(hidden=96, bias=True)], ids=["mlp", "glu", "biased"])
def test_fused_activations(spec: MLP | GLU, act: str) -> None:
    plain, packed = (spec.but(act=act).build(48).bfloat16() for _ in range(2))
    packed.load_state_dict(plain.state_dict())
    prepack(packed)
    x = torch.randn(2, 5, 48).bfloat16()
    with torch.no_grad():
        exact = copy.deepcopy(plain).double()(x.double())
        near, got = plain(x), packed(x)
        assert (got - exact).abs().mean() <= 1.2 * (near - exact).abs().mean()
        unpack(packed)
        assert torch.equal(packed(x), near)


@needs_bf16
def test_generates_with_packed_weights(tiny: System, build: Callable, prompts: Callable, numbers: type) -> None:
    """bf16 rounds, so texts may part; the logits must stay as near to fp32 as those of the plain layers."""
    exact, plain = build(tiny), build(tiny).bfloat16()
    packed = build(tiny).bfloat16()
    prepack(packed)
    batch = prompts((13, 2), (5, 1))
    with torch.no_grad():
        want, near = exact(batch), packed(batch)
        error = (plain(batch) - want).abs().mean()
    assert (near - want).abs().mean() < 1.5 * error + 1e-3
    deltas = list(Engine(packed).generate(batch, Sampling(max_tokens=4), decoders=[numbers(), numbers()], ends=()))
    assert len(deltas) == 8


def test_what_cannot_be_packed_stays(tiny: System, build: Callable) -> None:
    assert prepack(build(tiny)) == 0  # fp32
    assert not packable(nn.Linear(8, 8, device="meta", dtype=torch.bfloat16))

"""Experts that are copies of the base are the base."""

from __future__ import annotations

import pytest
import torch

from anyvlm import registry
from anyvlm.errors import WeightsError
from anyvlm.seq import causal
from anyvlm.system import VLM, System
from anyvlm.tiny import tiny
from anyvlm.train.upcycle import upcycle

NAMES = ["moe-llava-phi2-2.7b-4e", "moe-llava-qwen-1.8b-4e", "moe-llava-stablelm-1.6b-4e-384"]


def pair(name: str) -> tuple[VLM, VLM]:
    """The system before and with experts, other random values in each."""
    system = tiny(registry.system(name), depth=4)
    assert isinstance(system, System)
    out = []
    for spec in (system.but(lm__swaps=()), system):
        module = spec.build().eval()
        with torch.no_grad():
            for parameter in module.parameters():
                parameter.normal_(std=parameter.shape[-1] ** -0.5)
        out.append(module)
    return out[0], out[1]


@pytest.mark.parametrize("name", NAMES)
@torch.no_grad()
def test_copies_of_the_base_are_the_base(name: str) -> None:
    dense, sparse = pair(name)
    routers = upcycle(dense.state_dict(), sparse)
    assert routers == tuple(f"lm.blocks.{n}.ffn.router.weight" for n in (0, 2))
    ids = torch.randint(0, 500, (2, 20))
    a, b = (vlm.lm.logits(vlm.lm.hidden(causal(vlm.lm.embed(ids)))) for vlm in (dense, sparse))
    torch.testing.assert_close(a, b, atol=1e-5, rtol=1e-5)
    towers = {n: p for n, p in dense.named_parameters() if not n.startswith("lm.")}
    assert towers and all(torch.equal(p, sparse.get_parameter(n)) for n, p in towers.items())


def test_another_base_is_refused() -> None:
    dense, sparse = pair(NAMES[0])
    state = dense.state_dict()
    del state["lm.blocks.2.ffn.up.bias"]
    with pytest.raises(WeightsError, match=r"up_bias begins as lm\.blocks\.2\.ffn\.up\.bias"):
        upcycle(state, sparse)

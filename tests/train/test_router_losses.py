"""Losses that read routers: known values, gradients, and a stage that names them."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor

from anyvlm import registry
from anyvlm.errors import SpecError
from anyvlm.parts.moe import Routing, routings
from anyvlm.seq import causal
from anyvlm.system import VLM, Stage
from anyvlm.tiny import tiny
from anyvlm.train.loop import Task, run_stage
from anyvlm.train.losses import ROUTER_LOSSES, balance, balance_first, router_losses, router_z


def routing(logits_NE: Tensor, top: int = 2) -> Routing:
    return Routing(logits_NE, logits_NE.topk(top, -1).indices)


def test_a_uniform_router_is_the_minimum() -> None:
    """1 for every layer; a router that sends all rows to one expert gives as much as there are experts."""
    even = Routing(torch.zeros(8, 4), torch.arange(16).view(8, 2) % 4)
    assert balance([even]) == balance_first([even]) == 1.0 and balance([even] * 3) == 3.0
    sure = routing(torch.eye(4).repeat(2, 1) * 50)  # sure of one expert each, and all of them used alike
    assert balance_first([sure]) == pytest.approx(1.0)
    one = Routing(torch.tensor([[50.0, 0.0, 0.0, 0.0]] * 8), torch.zeros(8, 1, dtype=torch.long))
    assert balance([one]) == pytest.approx(4.0)
    crowded = routing(torch.randn(64, 4) + torch.tensor([2.0, 0.0, 0.0, 0.0]))
    assert balance([crowded]) > 1.0 and balance_first([crowded]) > balance([crowded])


def test_z_is_small_for_small_logits() -> None:
    assert router_z([routing(torch.zeros(5, 4))]) == pytest.approx(float(torch.tensor(4.0).log() ** 2))
    assert router_z([routing(torch.full((5, 4), 10.0))]) > 100


@pytest.mark.parametrize("loss", ROUTER_LOSSES)
@pytest.mark.parametrize("name", ["aria", "moe-llava-phi2-2.7b-4e"])
def test_gradients_reach_every_router(name: str, loss: str) -> None:
    vlm = tiny(registry.system(name)).build()
    assert isinstance(vlm, VLM)
    with routings() as seen:
        vlm.lm.hidden(causal(vlm.lm.embed(torch.randint(0, 500, (2, 11)))))
    ROUTER_LOSSES[loss](seen).backward()
    routers = {n: p for n, p in vlm.named_parameters() if n.endswith("router.weight")}
    assert len(routers) == len(seen) == (2 if name == "aria" else 1)
    assert all(p.grad is not None and p.grad.abs().max() > 0 for p in routers.values())


def test_a_stage_names_them(tmp_path: Path) -> None:
    """The last stage of MoE-LLaVA with these losses alone: routers that were far from even come near it."""
    system = tiny(registry.system("moe-llava-stablelm-1.6b-4e"))
    stage = system.stages[-1].but(steps=30, lr=3e-3, warmup=0.0, losses={"balance_first": 1.0, "router_z": 0.001})
    assert "balance_first" in system.stages[-1].losses
    torch.manual_seed(0)
    vlm = system.build()
    with torch.no_grad():
        for block in vlm.lm.blocks[::2]:
            block.norm2.bias.fill_(1.0)
            block.ffn.router.weight[0] += 0.1  # expert 0 is in front for all rows
    values = []

    def losses(model: torch.nn.Module, ids: Tensor) -> dict[str, Tensor]:
        assert isinstance(model, VLM)
        with routings() as seen:
            model.lm.hidden(causal(model.lm.embed(ids)))
        read = router_losses(stage.losses, seen)
        assert read.keys() == stage.losses.keys()
        values.append(float(read["balance_first"].detach()))
        return read

    def batch(step: int) -> Tensor:
        return torch.randint(0, 500, (4, 16), generator=torch.Generator().manual_seed(step))

    run_stage(vlm, stage, Task(batch, losses, 30), tmp_path, workers=0, quiet=True)
    assert values[0] > 2.0 and values[-1] < 1.3


def test_without_experts_there_is_nothing_to_read() -> None:
    assert router_losses(Stage(name="x", train=("*",)).losses, []) == {}
    with pytest.raises(SpecError, match="no experts"):
        router_losses({"balance": 0.1}, [])

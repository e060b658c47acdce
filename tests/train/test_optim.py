"""The optimiser takes torch's steps, whatever the layout of its gradients."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from anyvlm.system import Stage
from anyvlm.train.optim import AdamW

STAGE = Stage(name="s", train=("*",), lr=1e-2, weight_decay=0.1, schedule="constant", warmup=0.0, rates={"b": 3e-2})


@pytest.mark.parametrize("clip", [1e9, 0.5])
def test_steps_are_those_of_torch(clip: float) -> None:
    draw = torch.Generator().manual_seed(0)
    shapes = {"a": (6, 5), "b": (4, 3), "c": (5,)}
    ours = {name: nn.Parameter(torch.randn(*shape, generator=draw)) for name, shape in shapes.items()}
    ours["a"].data = ours["a"].data.T.contiguous().T  # not one number after another
    theirs = {name: nn.Parameter(p.detach().clone()) for name, p in ours.items()}
    groups = [
        {"params": [theirs["a"]], "lr": 1e-2, "weight_decay": 0.1}, {"params": [theirs["b"]], "lr": 3e-2, "weight_decay": 0.1},
        {"params": [theirs["c"]], "lr": 1e-2, "weight_decay": 0.0},
    ]  # fmt: skip
    reference, own = torch.optim.AdamW(groups, betas=(0.9, 0.98)), AdamW(ours, STAGE)
    for step in range(6):
        for name, p in ours.items():
            p.grad = torch.randn(*p.shape[::-1], generator=draw).T if p.ndim > 1 else torch.randn(*p.shape, generator=draw)
            theirs[name].grad = p.grad.clone()
        nn.utils.clip_grad_norm_(theirs.values(), clip)
        reference.step()
        own.step(step, 100, clip)
        for name, p in ours.items():
            assert p.grad is None
            torch.testing.assert_close(p, theirs[name], atol=1e-6, rtol=1e-5)


def test_what_has_no_gradient_stays_and_what_is_not_finite_changes_nothing() -> None:
    ours = {"a": nn.Parameter(torch.ones(3)), "c": nn.Parameter(torch.ones(2))}
    own = AdamW(ours, STAGE.but(rates={}))
    ours["a"].grad = torch.ones(3)
    own.step(0, 10)
    assert torch.equal(ours["c"], torch.ones(2)) and not torch.equal(ours["a"], torch.ones(3))
    before = ours["a"].detach().clone()
    ours["a"].grad = torch.tensor([1.0, float("nan"), 0.0])
    with pytest.raises(FloatingPointError, match="gradient of step 1"):
        own.step(1, 10)
    assert torch.equal(ours["a"], before)

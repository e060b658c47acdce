"""Running statistics of batch norms follow the batches in training, unless they are frozen."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from anyvlm.parts.headed import PlainBatchNorm, Projector
from anyvlm.parts.vision.resnet import BatchNorm


@pytest.mark.parametrize("norm", [BatchNorm(5), PlainBatchNorm(5)])
def test_frozen_statistics_stay(norm: nn.Module) -> None:
    x = torch.randn(8, 5, generator=torch.Generator().manual_seed(0)) * 3 + 1
    norm.train()
    whole = norm(x)
    torch.testing.assert_close(whole, torch.nn.functional.batch_norm(x, None, None, training=True))
    moved = norm.mean.detach().clone()
    assert not torch.equal(moved, torch.zeros(5))
    norm.mean.requires_grad_(False)
    frozen = norm(x)
    assert torch.equal(norm.mean, moved) and not torch.allclose(frozen, whole)
    assert torch.equal(norm.eval()(x), frozen)


def test_the_projector_reads_the_first_row() -> None:
    pool = Projector(hidden=6, last=4)
    assert pool.out(3) == 4
    module, x = pool.build(3).eval(), torch.randn(2, 5, 3)
    other = x.clone()
    other[:, 1:] = 0
    assert torch.equal(module(x), module(other)) and module(x).shape == (2, 4)

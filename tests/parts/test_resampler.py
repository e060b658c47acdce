"""Flamingo's resampler: frames carry their moment, and more of them than vectors interpolate."""

from __future__ import annotations

import torch

from anyvlm.parts.connect.perceiver import Perceiver
from anyvlm.parts.connect.resampler import Resampler
from anyvlm.parts.features import Features
from anyvlm.parts.ffn import MLP
from anyvlm.parts.norm import LayerNorm

INNER = Perceiver(queries=3, depth=1, heads=2, head=4, ffn=MLP(hidden=16, bias=False), norm=LayerNorm())
SPEC = Resampler(inside=8, inner=INNER, frames=3)


@torch.no_grad()
def test_rows_and_moments() -> None:
    torch.manual_seed(0)
    module = SPEC.build(5, 12)
    x = torch.randn(2 * 4, 5)
    rows = module(Features(torch.cat([x, x[:4], x]), ((2, 2, 2), (1, 2, 2), (2, 2, 2))))
    assert rows.grids == ((1, 1, 3),) * 3 and rows.x_ND.shape == (9, 12)
    torch.testing.assert_close(rows.x_ND[:3], rows.x_ND[6:])
    swapped = module(Features(torch.cat([x[4:], x[:4]]), ((2, 2, 2),)))
    assert not torch.allclose(swapped.x_ND, rows.x_ND[:3])  # which frame came first is seen


@torch.no_grad()
def test_more_frames_than_vectors() -> None:
    module = SPEC.build(5, 12)
    torch.testing.assert_close(module.moments(5)[::2], module.times)
    torch.testing.assert_close(module.moments(5)[1], module.times[:2].mean(0))

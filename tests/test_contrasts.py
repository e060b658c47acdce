"""SLIP's second loss against the authors' code: facebookresearch/SLIP at c6faf5d, losses.py on a small image_mlp."""

from __future__ import annotations

import torch

from anyvlm.contrasts import Views
from anyvlm.dual import Look
from tests.parity import record

THEIRS = 2.0996651649475098  # SIMCLRLoss(0.1) of the weights and inputs below


def test_two_views_cost_what_the_authors_code_says() -> None:
    ours = Views(width=8, hidden=16, out=4).build()
    draw = torch.Generator().manual_seed(3)
    for p in ours.head.parameters():
        p.data.copy_(torch.randn(p.shape, generator=draw) * 0.1)
    draw = torch.Generator().manual_seed(4)
    looks = [Look(x, pooled_BD=x) for x in (torch.randn(6, 8, generator=draw) for _ in range(2))]
    found = float(ours.between(*looks).detach())
    assert abs(found - THEIRS) < 1e-5
    for size in "sbl":
        record("golden", f"slip-vit-{size}-16", abs(found - THEIRS), "facebookresearch/SLIP c6faf5d")

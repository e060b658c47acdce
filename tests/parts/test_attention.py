"""Both ways to compute attention agree, forward and backward, for shared heads, masks and causality."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from anyvlm.parts.attention import attend


@pytest.mark.parametrize("kv_heads", [1, 2, 6])
@pytest.mark.parametrize("kind", ["all", "causal", "masked"])
def test_products_equal_the_fused_kernel(kv_heads: int, kind: str) -> None:
    q = torch.randn(2, 6, 7, 8, requires_grad=True)
    k, v = (torch.randn(2, kv_heads, 7, 8, requires_grad=True) for _ in range(2))
    hidden = torch.rand(2, 1, 7, 7).argsort(-1) < 3
    added = torch.zeros(2, 1, 7, 7).masked_fill(hidden, -torch.inf) if kind == "masked" else None
    ours = attend(q, k, v, added, kind == "causal")
    theirs = F.scaled_dot_product_attention(q, k, v, attn_mask=added, is_causal=kind == "causal", enable_gqa=True)
    assert torch.allclose(ours, theirs, atol=1e-6)
    weight = torch.randn_like(ours)
    for mine, reference in zip(
        torch.autograd.grad((ours * weight).sum(), (q, k, v)),
        torch.autograd.grad((theirs * weight).sum(), (q, k, v)),
        strict=True,
    ):
        assert torch.allclose(mine, reference, atol=1e-5)
    with torch.no_grad():
        assert torch.allclose(attend(q, k, v, added, kind == "causal"), theirs, atol=1e-6)

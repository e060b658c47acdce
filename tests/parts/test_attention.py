"""All ways to compute attention agree, forward and backward, for shared heads, masks and causality."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from anyvlm.parts import attention
from anyvlm.parts.attention import attend, pieces


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


@pytest.mark.parametrize("rows, keys", [(33, 33), (1, 20), (20, 140)])
@pytest.mark.parametrize("kind", ["all", "causal", "masked", "by head"])
def test_pieces_equal_the_fused_kernel(rows: int, keys: int, kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(attention, "PIECE", 5 * rows * keys * 4)  # 18 matrices of scores: four pieces, the last one smaller
    q, (k, v) = torch.randn(3, 6, rows, 8), torch.randn(2, 3, 6, keys, 8)
    hidden = torch.rand(3, 1, rows, keys).argsort(-1) < 3
    added = {
        "masked": torch.zeros(3, 1, rows, keys).masked_fill(hidden, -torch.inf), "by head": torch.randn(1, 6, rows, keys),
    }.get(kind)  # fmt: skip
    theirs = F.scaled_dot_product_attention(q, k, v, attn_mask=added, is_causal=kind == "causal", scale=0.3)
    torch.testing.assert_close(pieces(q, k, v, added, kind == "causal", 0.3), theirs, atol=2e-6, rtol=0)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_a_row_that_sees_nothing_stays_finite(dtype: torch.dtype) -> None:
    """Padding in front of a text; other rows are what they are without it, in whatever type the mask comes."""
    q, k, v = torch.randn(3, 2, 4, 20, 8).to(dtype)
    hidden = (torch.arange(20)[:, None] < 3) | (torch.arange(20) < 3)
    added = torch.zeros(20, 20).masked_fill(hidden, -torch.inf)[None, None]
    for causal in (False, True):
        out = pieces(q, k, v, added, causal, 0.3)
        assert out.dtype == dtype and out.isfinite().all()
        rest = F.scaled_dot_product_attention(*(x[:, :, 3:].float() for x in (q, k, v)), is_causal=causal, scale=0.3)
        torch.testing.assert_close(out[:, :, 3:].float(), rest, atol=2e-6 if dtype == torch.float32 else 3e-2, rtol=0)


@pytest.mark.parametrize("mean", [0, 6, 12])
def test_pieces_in_bf16_do_not_suffer_from_far_keys(mean: int) -> None:
    """Keys of a head have a mean far larger than what tells them apart, as trained ones do: scores of up to 46."""
    draw = torch.Generator().manual_seed(0)
    q, k, v = (torch.randn(4, 6, 65, 64, generator=draw) for _ in range(3))
    q, k, v = q.bfloat16(), (k + mean * torch.randn(1, 6, 1, 64, generator=draw)).bfloat16(), v.bfloat16()
    exact = F.scaled_dot_product_attention(q.double(), k.double(), v.double())
    scores = (q.double() @ k.double().transpose(-1, -2)) / 8

    def error(x: torch.Tensor) -> float:
        return float((x.double() - exact).square().mean().sqrt())

    ours = error(pieces(q, k, v, None, False, 1 / 8))
    assert ours < 2.5 * error(F.scaled_dot_product_attention(q, k, v))
    if mean:
        assert ours < error(scores.bfloat16().double().softmax(-1) @ v.double()) / 2  # as they would be without moving keys


def test_what_is_computed_in_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    """On a CPU with products in bf16 and without AMX: rows enough to pay, every head its own keys."""
    called = list[int]()
    monkeypatch.setattr(attention, "pieces", lambda q, *_: called.append(q.shape[2]) or q)
    monkeypatch.setattr(attention, "_without_amx", lambda: True)

    def run(rows: int, keys: int = 0, *, shared: int = 1, dtype: torch.dtype = torch.bfloat16, causal: bool = False) -> bool:
        q, k = torch.zeros(2, 4, rows, 8, dtype=dtype), torch.zeros(2, 4 // shared, keys or rows, 8, dtype=dtype)
        before = len(called)
        with torch.no_grad():
            attend(q, k, k, None, causal)
        return len(called) > before

    assert run(257) and run(257, causal=True) and run(1300)
    assert not run(8) and not run(1, 5000) and not run(257, shared=2) and not run(257, dtype=torch.float32)
    assert not run(1300, causal=True)
    monkeypatch.setattr(attention, "_without_amx", lambda: False)
    assert not run(257)

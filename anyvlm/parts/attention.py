"""Scaled dot-product attention: torch's fused kernel, or plain matrix products where they are faster.

Shape letters: B batch, H heads, G key/value heads, T queries, S keys, h head width.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache

import torch
import torch.nn.functional as F
from torch import Tensor

PIECE = 4 << 20
"""Bytes of scores that are computed at a time: what the caches of two cores hold."""


def attend(
    q_BHTh: Tensor, k_BGSh: Tensor, v_BGSh: Tensor, added: Tensor | None = None, causal: bool = False,
    scale: float | None = None,
) -> Tensor:  # fmt: skip
    """(B, H, T, h). `added`: to the scores, (B, 1 or H, T, S); `causal`: a query sees the keys up to its own place.

    H is a multiple of G: neighbouring heads share keys and values. `scale`: of the scores, h ** -0.5 where None.
    """
    if q_BHTh.device.type == "cpu" and (out := on_cpu(q_BHTh, k_BGSh, v_BGSh, added, causal, scale)) is not None:
        return out
    shared = q_BHTh.shape[1] != k_BGSh.shape[1]
    return F.scaled_dot_product_attention(
        q_BHTh, k_BGSh, v_BGSh, attn_mask=added, is_causal=causal, scale=scale, enable_gqa=shared
    )


def on_cpu(q: Tensor, k: Tensor, v: Tensor, added: Tensor | None, causal: bool, scale: float | None) -> Tensor | None:
    """What a CPU computes faster than torch's fused kernel would; None: nothing. Also where tensors only stand for a CPU's."""
    factor = q.shape[-1] ** -0.5 if scale is None else scale
    if q.requires_grad:
        return products(q, k, v, added, causal, factor)
    return pieces(q, k, v, added, causal, factor) if _piecewise(q, k, causal) else None


def products(q: Tensor, k: Tensor, v: Tensor, added: Tensor | None, causal: bool, scale: float) -> Tensor:
    """The same with stored scores. On a CPU with AMX, 265 tokens in bf16, forward and backward take half the time."""
    (B, H, T, h), (_, G, S, _) = q.shape, k.shape
    scores = torch.bmm((q * scale).reshape(B * G, H // G * T, h), k.reshape(B * G, S, h).transpose(1, 2)).view(B, H, T, S)
    if added is not None:
        scores = scores + added
    if causal:
        scores = scores + _later(T, S, q)
    shares = scores.softmax(-1).view(B * G, H // G * T, S)
    return torch.bmm(shares, v.reshape(B * G, S, h)).view(B, H, T, h)


def pieces(q: Tensor, k: Tensor, v: Tensor, added: Tensor | None, causal: bool, scale: float) -> Tensor:
    """The same without a backward pass and with H = G, for so many items at a time that their scores stay in the cache.

    In bf16 on a CPU without AMX 1.3 to 2 times as fast as torch's kernel (benchmarks/vision.py). All keys of a head are moved
    by their mean, which moves all scores of a query alike and its shares not at all (SageAttention, 2410.02367): scores near 0
    are rounded less. Points of the pocket pair are as near those of fp32 as with the fused kernel, which keeps scores in it.
    """
    (B, H, T, h), S = q.shape, k.shape[2]
    k = k - k[:, :, ::8].mean(2, keepdim=True)  # of every eighth: near enough
    q_nTh, k_nSh, v_nSh = (x.reshape(B * H, -1, h) for x in (q, k, v))
    if causal:
        added = _later(T, S, q) if added is None else added + _later(T, S, q)
    if added is not None:  # finite: a row of padding that sees nothing must not become NaN, which the next layer would spread
        added = added.to(q.dtype).clamp(min=torch.finfo(q.dtype).min)
    on_nTS = (q.new_zeros(1) if added is None else added).expand(B, H, T, S).flatten(0, 1)
    beta, out, step = int(added is not None), torch.empty_like(q_nTh), max(1, PIECE // (T * S * q.element_size()))
    for start in range(0, B * H, step):
        some = slice(start, start + step)
        scores = torch.baddbmm(on_nTS[some], q_nTh[some], k_nSh[some].transpose(1, 2), beta=beta, alpha=scale)
        # torch's softmax of short lines is faster in single precision
        shares = scores.softmax(-1, dtype=torch.float32).to(q.dtype) if S < 128 else scores.softmax(-1)
        torch.bmm(shares, v_nSh[some], out=out[some])
    return out.view(B, H, T, h)


def _piecewise(q: Tensor, k: Tensor, causal: bool) -> bool:
    """`pieces` is faster: measured on two cores of Zen 4 from 16 to 2,048 rows. torch's kernel omits scores of later keys."""
    (B, H, T, _), (_, G, S, _) = q.shape, k.shape
    sizes = T >= 16 and B * H * T * S >= 1 << 16 and T * S <= 1 << 23 and not (causal and S > 1024)
    return sizes and H == G and q.dtype == torch.bfloat16 and _without_amx()


@cache
def _without_amx() -> bool:
    """The CPU multiplies in bf16 but has no AMX, which torch's fused kernel is written for."""
    able: Mapping[str, object] = torch.cpu.get_capabilities() if hasattr(torch.cpu, "get_capabilities") else {}
    return bool(able.get("avx512_bf16")) and not able.get("amx_bf16")


def _later(T: int, S: int, like: Tensor) -> Tensor:
    """(T, S): minus infinity where a key comes after the query."""
    return torch.full((T, S), -torch.inf, dtype=like.dtype, device=like.device).triu(1)

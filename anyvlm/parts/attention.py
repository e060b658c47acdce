"""Scaled dot-product attention: torch's fused kernel, or four plain matrix products where its backward pass is slow.

Shape letters: B batch, H heads, G key/value heads, T queries, S keys, h head width.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor


def attend(
    q_BHTh: Tensor, k_BGSh: Tensor, v_BGSh: Tensor, added: Tensor | None = None, causal: bool = False,
    scale: float | None = None,
) -> Tensor:  # fmt: skip
    """(B, H, T, h). `added`: to the scores, (B, 1 or H, T, S); `causal`: a query sees the keys up to its own place.

    H is a multiple of G: neighbouring heads share keys and values. `scale`: of the scores, h ** -0.5 where None.
    """
    if q_BHTh.requires_grad and q_BHTh.device.type == "cpu":
        return products(q_BHTh, k_BGSh, v_BGSh, added, causal, q_BHTh.shape[-1] ** -0.5 if scale is None else scale)
    shared = q_BHTh.shape[1] != k_BGSh.shape[1]
    return F.scaled_dot_product_attention(
        q_BHTh, k_BGSh, v_BGSh, attn_mask=added, is_causal=causal, scale=scale, enable_gqa=shared
    )


def products(q: Tensor, k: Tensor, v: Tensor, added: Tensor | None, causal: bool, scale: float) -> Tensor:
    """The same with stored scores. On a CPU with AMX, 265 tokens in bf16, forward and backward take half the time."""
    (B, H, T, h), (_, G, S, _) = q.shape, k.shape
    scores = torch.bmm((q * scale).reshape(B * G, H // G * T, h), k.reshape(B * G, S, h).transpose(1, 2)).view(B, H, T, S)
    if added is not None:
        scores = scores + added
    if causal:
        scores = scores + torch.full((T, S), -torch.inf, dtype=q.dtype, device=q.device).triu(1)
    shares = scores.softmax(-1).view(B * G, H // G * T, S)
    return torch.bmm(shares, v.reshape(B * G, S, h)).view(B, H, T, h)

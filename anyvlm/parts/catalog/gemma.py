"""Gemma (2403.08295): sizes as published in each config.json. Its tensors are named as Llama's: `LLAMA_HF`."""

from __future__ import annotations

from anyvlm.parts.ffn import GLU
from anyvlm.parts.lm import Decoder
from anyvlm.parts.norm import RMSNorm

GEMMA_2B = Decoder(
    vocab=256000, width=2048, depth=18, heads=8, kv_heads=1, head=256, ffn=GLU(hidden=16384, act="gelu_tanh"), context=8192,
    norm=RMSNorm(eps=1e-6, offset=1.0), embed_scale=2048**0.5, tied=True,
)  # fmt: skip
GEMMA_7B = GEMMA_2B.but(width=3072, depth=28, heads=16, kv_heads=16, ffn__hidden=24576, embed_scale=3072**0.5)

"""The first Qwen (2309.16609): its 1.8B size, and the names of its tensors."""

from __future__ import annotations

from anyvlm.keys import Fuse, Keys, Rule, rename
from anyvlm.parts.ffn import GLU
from anyvlm.parts.lm import Decoder
from anyvlm.parts.norm import RMSNorm

_L, _B = "transformer.h.{}.", "blocks.{}."

QWEN_ORIGINAL = Keys(
    rules=(
        *rename(
            {
                "transformer.wte.": "embed.",
                "transformer.ln_f.": "norm.",
                "lm_head.": "head.",
                _L + "attn.c_attn.": _B + "attn.qkv.",
                _L + "attn.c_proj.": _B + "attn.o.",
                _L + "ln_1.": _B + "norm1.",
                _L + "ln_2.": _B + "norm2.",
                _L + "mlp.c_proj.": _B + "ffn.down.",
            }
        ),
        Rule(theirs=(_L + "mlp.w2.", _L + "mlp.w1."), ours=(_B + "ffn.gate_up.",), ops=(Fuse(shares=(1, 1)),)),
    ),
    ignore=("transformer.rotary_emb.inv_freq", "transformer.h.*.attn.rotary_emb.inv_freq", "transformer.h.*.attn.masked_bias"),
)  # fmt: skip
"""QWenLMHeadModel of the repositories' own code; w2 is the gate."""

QWEN_1_8B = Decoder(
    vocab=151936, width=2048, depth=24, heads=16, kv_heads=16, ffn=GLU(hidden=5504), context=8192, norm=RMSNorm(eps=1e-6),
    qkv_bias=True,
)  # fmt: skip
"""Longer than 8,192 tokens its own code scales the rotary base (dynamic NTK) and the queries (log n); here it ends there."""

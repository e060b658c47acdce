"""The Llama family: sizes as published in each config.json, and the names of their tensors."""

from __future__ import annotations

from anyvlm.keys import Each, Fuse, Interleaved, Keys, Rule, Tie, rename
from anyvlm.parts.ffn import GLU
from anyvlm.parts.lm import Decoder
from anyvlm.parts.norm import LayerNorm, RMSNorm
from anyvlm.parts.rope import Llama3, Rope

_L, _B = "model.layers.{}.", "blocks.{}."
_SHARES = ("heads", "kv_heads", "kv_heads")
_TIE = (Tie(theirs="lm_head.weight", of="model.embed_tokens.weight"),)
_ROTARY = ("model.layers.*.self_attn.rotary_emb.inv_freq",)  # a buffer that old files carry; computed here

_BODY = {
    "model.embed_tokens.": "embed.",
    "model.norm.": "norm.",
    "lm_head.": "head.",
    _L + "self_attn.o_proj.": _B + "attn.o.",
    _L + "input_layernorm.": _B + "norm1.",
    _L + "post_attention_layernorm.": _B + "norm2.",
    _L + "mlp.down_proj.": _B + "ffn.down.",
}
_QKV = Rule(
    theirs=tuple(f"{_L}self_attn.{p}_proj." for p in "qkv"), ours=(_B + "attn.qkv.",), ops=(Fuse(shares=_SHARES),)
)
_GATE_UP = Rule(
    theirs=(_L + "mlp.gate_proj.", _L + "mlp.up_proj."), ours=(_B + "ffn.gate_up.",), ops=(Fuse(shares=(1, 1)),)
)

LLAMA_HF = Keys(rules=(*rename(_BODY), _QKV, _GATE_UP), ties=_TIE, ignore=_ROTARY)
"""transformers' LlamaForCausalLM, MistralForCausalLM, Qwen2ForCausalLM."""

PHI3_HF = Keys(
    rules=rename(_BODY | {_L + "self_attn.qkv_proj.": _B + "attn.qkv.", _L + "mlp.gate_up_proj.": _B + "ffn.gate_up."}),
    ties=_TIE,
    ignore=_ROTARY,
)
"""transformers' Phi3ForCausalLM, whose q, k, v and gate, up are fused as ours."""

COHERE_HF = Keys(
    rules=(
        *rename(_BODY),
        Rule(
            theirs=_QKV.theirs,
            ours=_QKV.ours,
            ops=(Each(ops=(Interleaved(heads="heads"), Interleaved(heads="kv_heads"), None)), Fuse(shares=_SHARES)),
        ),
        _GATE_UP,
    ),
    ties=_TIE,
    ignore=_ROTARY,
)
"""transformers' CohereForCausalLM; its rotary pairs are neighbours."""

LLAMA_GGUF = Keys(
    rules=(
        *rename(
            {
                "token_embd.": "embed.",
                "output_norm.": "norm.",
                "output.": "head.",
                "blk.{}.attn_output.": _B + "attn.o.",
                "blk.{}.attn_norm.": _B + "norm1.",
                "blk.{}.ffn_norm.": _B + "norm2.",
                "blk.{}.ffn_down.": _B + "ffn.down.",
            }
        ),
        Rule(
            theirs=("blk.{}.attn_q.", "blk.{}.attn_k.", "blk.{}.attn_v."),
            ours=_QKV.ours,
            ops=(Each(ops=(Interleaved(heads="heads"), Interleaved(heads="kv_heads"), None)), Fuse(shares=_SHARES)),
        ),
        Rule(theirs=("blk.{}.ffn_gate.", "blk.{}.ffn_up."), ours=_GATE_UP.ours, ops=_GATE_UP.ops),
    ),
    ties=(Tie(theirs="output.weight", of="token_embd.weight"),),
    ignore=("rope_freqs.weight",),
)
"""llama.cpp's GGUF files of architecture "llama", which permute q and k."""

# Sizes ----------------------------------------------------------------------------------------------------------------

LLAMA_7B = Decoder(
    vocab=32000, width=4096, depth=32, heads=32, kv_heads=32, ffn=GLU(hidden=11008), context=2048, norm=RMSNorm(eps=1e-6),
)  # fmt: skip
"""LLaMA (2302.13971), Vicuna 0 to 1.3."""
LLAMA_13B = LLAMA_7B.but(width=5120, depth=40, heads=40, kv_heads=40, ffn__hidden=13824)

LLAMA_65B = LLAMA_7B.but(width=8192, depth=80, heads=64, kv_heads=64, ffn__hidden=22016, norm=RMSNorm(eps=1e-5))

LLAMA_2_7B = LLAMA_7B.but(context=4096, norm=RMSNorm(eps=1e-5))
"""Llama 2 (2307.09288), Vicuna 1.5."""
LLAMA_2_13B = LLAMA_13B.but(context=4096, norm=RMSNorm(eps=1e-5))

LLAMA_3_8B = LLAMA_2_7B.but(vocab=128256, kv_heads=8, ffn__hidden=14336, context=8192, rope__theta=500_000.0)
LLAMA_3_70B = LLAMA_3_8B.but(width=8192, depth=80, heads=64, ffn__hidden=28672)
LLAMA_3_1_8B = LLAMA_3_8B.but(context=131072, rope__scaling=Llama3(factor=8.0, low=1.0, high=4.0, original=8192))
LLAMA_3_1_70B = LLAMA_3_70B.but(context=131072, rope__scaling=LLAMA_3_1_8B.rope.scaling)
LLAMA_3_2_3B = LLAMA_3_1_8B.but(
    width=3072, depth=28, heads=24, ffn__hidden=8192, tied=True, rope__scaling__factor=32.0
)
LLAMA_3_2_1B = LLAMA_3_2_3B.but(width=2048, depth=16, heads=32)

MISTRAL_7B = LLAMA_2_7B.but(kv_heads=8, ffn__hidden=14336, context=32768, window=4096)
"""Mistral-7B-v0.1 (2310.06825)."""
MISTRAL_7B_V0_2 = MISTRAL_7B.but(window=None, rope__theta=1_000_000.0)
MISTRAL_NEMO_12B = MISTRAL_7B_V0_2.but(vocab=131072, width=5120, depth=40, head=128, context=131072)
"""Mistral-Nemo-2407, whose heads are narrower than width / heads."""

YI_6B = LLAMA_2_7B.but(vocab=64000, kv_heads=4, rope__theta=5_000_000.0)
"""Yi (2403.04652)."""
YI_34B = YI_6B.but(width=7168, depth=60, heads=56, kv_heads=8, ffn__hidden=20480)

QWEN2_7B = Decoder(
    vocab=152064, width=3584, depth=28, heads=28, kv_heads=4, ffn=GLU(hidden=18944), context=32768, norm=RMSNorm(eps=1e-6),
    rope=Rope(theta=1_000_000.0), qkv_bias=True,
)  # fmt: skip
"""Qwen2 (2407.10671) and Qwen2.5 (2412.15115) share their sizes; 3B, 14B and 32B exist in 2.5 only."""
QWEN2_0_5B = QWEN2_7B.but(vocab=151936, width=896, depth=24, heads=14, kv_heads=2, ffn__hidden=4864, tied=True)
QWEN2_1_5B = QWEN2_0_5B.but(width=1536, depth=28, heads=12, ffn__hidden=8960)
QWEN2_3B = QWEN2_0_5B.but(width=2048, depth=36, heads=16, ffn__hidden=11008)
QWEN2_14B = QWEN2_7B.but(width=5120, depth=48, heads=40, kv_heads=8, ffn__hidden=13824)
QWEN2_32B = QWEN2_14B.but(depth=64, ffn__hidden=27648)
QWEN2_72B = QWEN2_14B.but(width=8192, depth=80, heads=64, ffn__hidden=29568)
QWEN1_5_72B = QWEN2_72B.but(kv_heads=64, ffn__hidden=24576)
QWEN1_5_110B = QWEN2_72B.but(ffn__hidden=49152)

PHI_3_MINI = LLAMA_2_7B.but(vocab=32064, width=3072, ffn__hidden=8192, window=2047)
"""Phi-3-mini-4k-instruct (2404.14219)."""

SMOLLM2_135M = Decoder(
    vocab=49152, width=576, depth=30, heads=9, kv_heads=3, ffn=GLU(hidden=1536), context=8192, norm=RMSNorm(eps=1e-5),
    rope=Rope(theta=100_000.0), tied=True,
)  # fmt: skip
"""SmolLM2 (2502.02737)."""
SMOLLM2_360M = SMOLLM2_135M.but(width=960, depth=32, heads=15, kv_heads=5, ffn__hidden=2560)
SMOLLM2_1_7B = SMOLLM2_135M.but(width=2048, depth=24, heads=32, kv_heads=32, ffn__hidden=8192, rope__theta=130_000.0)

AYA_23_8B = LLAMA_3_8B.but(
    vocab=256000, norm=LayerNorm(eps=1e-5, bias=False), rope__theta=10_000.0, tied=True, parallel=True, logit_scale=0.0625
)
"""Aya 23 (2405.15032), a Cohere Command decoder."""

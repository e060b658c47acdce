"""The Llama family: sizes as published in each config.json, and the names of their tensors."""

from __future__ import annotations

from anyvlm.keys import Each, Fuse, Interleaved, Keys, Rule, Tie, rename
from anyvlm.parts.ffn import GLU
from anyvlm.parts.lm import Decoder
from anyvlm.parts.norm import RMSNorm
from anyvlm.parts.rope import Rope

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

SMOLLM2_135M = Decoder(
    vocab=49152, width=576, depth=30, heads=9, kv_heads=3, ffn=GLU(hidden=1536), context=8192,
    norm=RMSNorm(eps=1e-5), rope=Rope(theta=100_000.0), tied=True,
)  # fmt: skip

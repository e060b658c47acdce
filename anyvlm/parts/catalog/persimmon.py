"""Persimmon (adept.ai/blog/persimmon-8b), the decoder of Fuyu: sizes, and the names of its tensors."""

from __future__ import annotations

from anyvlm.keys import ByHead, Each, Fuse, Keys, Partial, Reshape, Rule, Split, Transpose, rename
from anyvlm.parts.ffn import MLP
from anyvlm.parts.lm import Decoder
from anyvlm.parts.norm import LayerNorm
from anyvlm.parts.rope import Rope

_L, _B = "model.layers.{}.", "blocks.{}."
_HALF = 0.5  # of a head turns, in every published model
_HEADS = Partial(heads="heads", part=_HALF)
_ONE = (Partial(heads=1, part=_HALF),)

PERSIMMON_HF = Keys(
    rules=(
        *rename(
            {
                "model.embed_tokens.": "embed.",
                "model.final_layernorm.": "norm.",
                "lm_head.": "head.",
                _L + "self_attn.dense.": _B + "attn.o.",
                _L + "input_layernorm.": _B + "norm1.",
                _L + "post_attention_layernorm.": _B + "norm2.",
                _L + "mlp.dense_h_to_4h.": _B + "ffn.up.",
                _L + "mlp.dense_4h_to_h.": _B + "ffn.down.",
            }
        ),
        Rule(
            theirs=(_L + "self_attn.query_key_value.",), ours=(_B + "attn.qkv.",),
            ops=(ByHead(heads="heads"), Split(shares=(1, 1, 1)), Each(ops=(_HEADS, _HEADS, None)), Fuse(shares=(1, 1, 1))),
        ),
        Rule(theirs=(_L + "self_attn.q_layernorm.",), ours=(_B + "attn.q_norm.",), ops=_ONE),
        Rule(theirs=(_L + "self_attn.k_layernorm.",), ours=(_B + "attn.k_norm.",), ops=_ONE),
    ),
    ignore=("model.layers.*.self_attn.rotary_emb.inv_freq",),
)  # fmt: skip
"""transformers' PersimmonForCausalLM."""

FUYU_PATCHES = Keys(
    rules=(
        Rule(
            theirs=("weight",), ours=("layers.0.weight",),
            ops=(
                Reshape(theirs=(-1, 2700), ours=(-1, 900, 3)),
                Transpose(a=1, b=2),
                Reshape(theirs=(-1, 3, 900), ours=(-1, 2700)),
            ),
        ),
        *rename({"bias": "layers.0.bias"}),
    )
)  # fmt: skip
"""transformers' Fuyu reads a patch of 30 x 30 pixels pixel by pixel, its three colours together; we read colour by colour."""

PERSIMMON_8B = Decoder(
    vocab=262144, width=4096, depth=36, heads=64, kv_heads=64, ffn=MLP(hidden=16384, act="relu2"), context=16384,
    norm=LayerNorm(eps=1e-5), qk_norm=LayerNorm(eps=1e-5), rope=Rope(theta=25_000.0, part=_HALF), qkv_bias=True, o_bias=True,
)  # fmt: skip

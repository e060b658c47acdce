"""T5 (1910.10683), version 1.1 and its descendants: sizes as published in each config.json, and the names of their tensors."""

from __future__ import annotations

from anyvlm.keys import Fuse, Keys, Rule, Tie, rename
from anyvlm.parts.ffn import GLU
from anyvlm.parts.t5 import T5

_E, _D, _EB, _DB = "encoder.block.{}.layer.", "decoder.block.{}.layer.", "encoder.blocks.{}.", "blocks.{}."


def _fused(theirs: str, names: str, ours: str) -> Rule:
    return Rule(theirs=tuple(f"{theirs}{n}." for n in names), ours=(ours,), ops=(Fuse(shares=(1,) * len(names)),))


def _ffn(theirs: str, ours: str) -> tuple[Rule, ...]:
    gates = Rule(
        theirs=(f"{theirs}DenseReluDense.wi_0.", f"{theirs}DenseReluDense.wi_1."), ours=(f"{ours}ffn.gate_up.",),
        ops=(Fuse(shares=(1, 1)),),
    )  # fmt: skip
    names = {f"{theirs}DenseReluDense.wi.": f"{ours}ffn.up.", f"{theirs}DenseReluDense.wo.": f"{ours}ffn.down."}
    return gates, *rename(names)


T5_HF = Keys(
    rules=(
        *rename(
            {
                "shared.": "embed.",
                "lm_head.": "head.",
                "encoder.final_layer_norm.": "encoder.norm.",
                "decoder.final_layer_norm.": "norm.",
                "encoder.block.0.layer.0.SelfAttention.relative_attention_bias.weight": "encoder.distances.weight",
                "decoder.block.0.layer.0.SelfAttention.relative_attention_bias.weight": "distances.weight",
                _E + "0.SelfAttention.o.": _EB + "attn.o.",
                _E + "0.layer_norm.": _EB + "norm1.",
                _E + "1.layer_norm.": _EB + "norm2.",
                _D + "0.SelfAttention.o.": _DB + "attn.o.",
                _D + "0.layer_norm.": _DB + "norm1.",
                _D + "1.EncDecAttention.q.": _DB + "cross.q.",
                _D + "1.EncDecAttention.o.": _DB + "cross.o.",
                _D + "1.layer_norm.": _DB + "norm_cross.",
                _D + "2.layer_norm.": _DB + "norm2.",
            }
        ),
        _fused(_E + "0.SelfAttention.", "qkv", _EB + "attn.qkv."),
        _fused(_D + "0.SelfAttention.", "qkv", _DB + "attn.qkv."),
        _fused(_D + "1.EncDecAttention.", "kv", _DB + "cross.kv."),
        *_ffn(_E + "1.", _EB),
        *_ffn(_D + "2.", _DB),
    ),
    ties=(Tie(theirs="lm_head.weight", of="shared.weight"),),
    # repeats of shared.weight, and a table that cross-attention once had and never read
    ignore=(
        "encoder.embed_tokens.weight", "decoder.embed_tokens.weight",
        "decoder.block.0.layer.1.EncDecAttention.relative_attention_bias.weight",
    ),
)  # fmt: skip
"""transformers' T5ForConditionalGeneration."""

FLAN_T5_XL = T5(
    vocab=32128, width=2048, depth=24, encoder_depth=24, heads=32, head=64, ffn=GLU(hidden=5120, act="gelu_tanh"), context=512,
)  # fmt: skip
"""Flan-T5 (2210.11416) has the sizes of T5 1.1 and a head of its own; all sizes here have heads 64 wide."""
FLAN_T5_SMALL = FLAN_T5_XL.but(width=512, depth=8, encoder_depth=8, heads=6, ffn__hidden=1024)
FLAN_T5_BASE = FLAN_T5_XL.but(width=768, depth=12, encoder_depth=12, heads=12, ffn__hidden=2048)
FLAN_T5_LARGE = FLAN_T5_XL.but(width=1024, heads=16, ffn__hidden=2816)
FLAN_T5_XXL = FLAN_T5_XL.but(width=4096, heads=64, ffn__hidden=10240)

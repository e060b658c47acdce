"""OPT (2205.01068): sizes as published in each config.json, and the names of its tensors."""

from __future__ import annotations

from anyvlm.keys import Fuse, Keys, Rule, Tie, rename
from anyvlm.parts.ffn import MLP
from anyvlm.parts.opt import OPT

_D, _L, _B = "model.decoder.", "model.decoder.layers.{}.", "blocks.{}."

OPT_HF = Keys(
    rules=(
        *rename(
            {
                _D + "embed_tokens.": "embed.",
                _D + "embed_positions.weight": "pos",
                _D + "final_layer_norm.": "norm.",
                "lm_head.": "head.",
                _L + "self_attn.out_proj.": _B + "attn.o.",
                _L + "self_attn_layer_norm.": _B + "norm1.",
                _L + "final_layer_norm.": _B + "norm2.",
                _L + "fc1.": _B + "ffn.up.",
                _L + "fc2.": _B + "ffn.down.",
            }
        ),
        Rule(
            theirs=tuple(f"{_L}self_attn.{p}_proj." for p in "qkv"), ours=(_B + "attn.qkv.",), ops=(Fuse(shares=(1, 1, 1)),),
        ),
    ),
    ties=(Tie(theirs="lm_head.weight", of=_D + "embed_tokens.weight"),),
)  # fmt: skip
"""transformers' OPTForCausalLM."""

OPT_2_7B = OPT(vocab=50272, width=2560, depth=32, heads=32, ffn=MLP(hidden=10240, act="relu"), context=2048, tied=True)
OPT_6_7B = OPT_2_7B.but(width=4096, ffn__hidden=16384)

"""KOSMOS-2 (2306.14824): the size of its language model and the names of its tensors."""

from __future__ import annotations

from math import sqrt

from anyvlm.keys import Fuse, Keys, Layout, Mount, Rule, Tie, rename
from anyvlm.parts.catalog.clip import CLIP_HF
from anyvlm.parts.magneto import Magneto

_L, _B = "model.layers.{}.", "blocks.{}."

KOSMOS_LM = Keys(
    rules=(
        *rename(
            {
                "model.embed_tokens.": "embed.",
                "model.layer_norm.": "norm.",
                "lm_head.": "head.",
                _L + "self_attn.out_proj.": _B + "attn.o.",
                _L + "self_attn.inner_attn_ln.": _B + "attn.norm.",
                _L + "self_attn_layer_norm.": _B + "norm1.",
                _L + "final_layer_norm.": _B + "norm2.",
                _L + "ffn.fc1.": _B + "ffn.up.",
                _L + "ffn.fc2.": _B + "ffn.down.",
                _L + "ffn.ffn_layernorm.": _B + "ffn.norm.",
            }
        ),
        Rule(
            theirs=tuple(f"{_L}self_attn.{p}_proj." for p in "qkv"), ours=(_B + "attn.qkv.",), ops=(Fuse(shares=(1, 1, 1)),)
        ),
    ),
    ties=(Tie(theirs="lm_head.weight", of="model.embed_tokens.weight"),),
    ignore=("model.embed_positions.weights",),  # a table that old files carry; computed here
)

KOSMOS_BRIDGE = Keys(
    rules=(
        *rename({"latent_query": "queries", "dense.": "dense.", "x_attn.q_proj.": "q.", "x_attn.out_proj.": "o."}),
        Rule(theirs=("x_attn.k_proj.", "x_attn.v_proj."), ours=("kv.",), ops=(Fuse(shares=(1, 1)),)),
    )
)

KOSMOS_2_HF = Layout(
    name="hf",
    mounts=(
        Mount(theirs="vision_model.model.", ours="encoders.image.", keys=CLIP_HF),
        Mount(theirs="image_to_text_projection.", ours="connectors.image.", keys=KOSMOS_BRIDGE),
        Mount(theirs="text_model.", ours="lm.", keys=KOSMOS_LM),
    ),
)
"""transformers' Kosmos2ForConditionalGeneration."""

KOSMOS_2_1B = Magneto(
    vocab=65037, width=2048, depth=24, heads=32, hidden=8192, context=2048, scale=sqrt(2048), tied=True,
)  # fmt: skip

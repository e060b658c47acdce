"""IDEFICS: the names of its tensors. Sources: transformers `models/idefics/{modeling_idefics,perceiver,vision}.py`."""

from __future__ import annotations

from anyvlm.keys import Fuse, Keys, Layout, Mount, Rule, rename
from anyvlm.parts.catalog.clip import CLIP_HF
from anyvlm.parts.catalog.llama import LLAMA_HF

_EXTRA = (Fuse(shares=("base", "extra")),)
_C, _I = "model.gated_cross_attn_layers.{}.", "inserts.{}."

IDEFICS_LM = Keys(
    rules=(
        Rule(
            theirs=("model.embed_tokens.weight", "model.embed_tokens.additional_embedding.weight"),
            ours=("embed.weight",), ops=_EXTRA,
        ),
        Rule(theirs=("lm_head.weight", "lm_head.additional_fc.weight"), ours=("head.weight",), ops=_EXTRA),
        *rename(
            {
                _C + "cross_attn.q_proj.": _I + "attn.q.",
                _C + "cross_attn.o_proj.": _I + "attn.o.",
                _C + "cross_attn.q_layer_norm.": _I + "attn.q_norm.",
                _C + "cross_attn.k_layer_norm.": _I + "attn.k_norm.",
                _C + "input_layernorm.": _I + "norm1.",
                _C + "post_attention_layernorm.": _I + "norm2.",
                _C + "mlp.down_proj.": _I + "ffn.down.",
                _C + "alpha_cross_attn": _I + "gate1",
                _C + "alpha_dense": _I + "gate2",
            }
        ),
        Rule(
            theirs=(_C + "cross_attn.k_proj.", _C + "cross_attn.v_proj."), ours=(_I + "attn.kv.",), ops=(Fuse(shares=(1, 1)),)
        ),
        Rule(theirs=(_C + "mlp.gate_proj.", _C + "mlp.up_proj."), ours=(_I + "ffn.gate_up.",), ops=(Fuse(shares=(1, 1)),)),
        *LLAMA_HF.rules,
    ),
    ignore=(*LLAMA_HF.ignore, "model.gated_cross_attn_layers.*.rotary_emb.inv_freq"),
)  # fmt: skip
"""The language model with its inserts; the rows of the vocabulary that were added lie in tables of their own."""

_P, _B = "blocks.{}.0.", "blocks.{}."
PERCEIVER_HF = Keys(
    rules=(
        *rename(
            {
                "latents": "queries",
                "layer_norm.": "norm.",
                _P + "context_layer_norm.": _B + "norm_rows.",
                _P + "latents_layer_norm.": _B + "norm1.",
                _P + "q_proj.": _B + "attn.q.",
                _P + "output_proj.": _B + "attn.o.",
                _P + "q_layer_norm.": _B + "attn.q_norm.",
                _P + "k_layer_norm.": _B + "attn.k_norm.",
                "blocks.{}.1.ln.": _B + "norm2.",
                "blocks.{}.1.fc.": _B + "ffn.up.",
                "blocks.{}.1.c_proj.": _B + "ffn.down.",
            }
        ),
        Rule(theirs=(_P + "k_proj.", _P + "v_proj."), ours=(_B + "attn.kv.",), ops=(Fuse(shares=(1, 1)),)),
    )
)

IDEFICS_HF = Layout(
    name="hf",
    mounts=(
        Mount(theirs="model.vision_model.", ours="encoders.image.", keys=CLIP_HF),
        Mount(theirs="model.perceiver_resampler.", ours="connectors.image.", keys=PERCEIVER_HF),
        Mount(theirs="", ours="lm.", keys=IDEFICS_LM),
    ),
)
"""transformers' IdeficsForVisionText2Text."""

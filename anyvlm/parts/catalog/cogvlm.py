"""CogVLM (2311.03079): its tower, its decoder, and the names of their tensors in THUDM/cogvlm-*-hf."""

from __future__ import annotations

from anyvlm.keys import Fuse, Keys, Layout, Mount, Reshape, Rule, rename
from anyvlm.parts.by_kind import ByKind
from anyvlm.parts.catalog.llama import LLAMA_2_7B
from anyvlm.parts.ffn import MLP
from anyvlm.parts.norm import LayerNorm
from anyvlm.parts.vision.vit import ViT

EVA2_CLIP_E = ViT(
    width=1792, depth=63, heads=16, patch=14, size=490, ffn=MLP(hidden=15360), norm=LayerNorm(eps=1e-6), stem_bias=True,
    post_norm=False, norm_last=True,
)  # fmt: skip
"""The 4.4-billion tower of EVA-CLIP (2303.15389) without its last block and final norm, as CogVLM took it over."""

COGVLM_7B = LLAMA_2_7B.but(context=2048, by_kind=ByKind(of=("qkv", "o", "ffn")))
"""Vicuna-7B-v1.5 with a visual expert in every layer; norms are shared."""

_L, _B = "model.layers.{}.", "blocks.{}."
_KINDS = {"language": "text", "vision": "image"}

_DECODER = Keys(
    rules=(
        *rename(
            {
                "model.embed_tokens.": "embed.",
                "model.norm.": "norm.",
                "lm_head.": "head.",
                _L + "input_layernorm.": _B + "norm1.",
                _L + "post_attention_layernorm.": _B + "norm2.",
            }
        ),
        *(
            rule
            for theirs, ours in _KINDS.items()
            for rule in (
                *rename(
                    {
                        f"{_L}self_attn.{theirs}_expert_query_key_value.": f"{_B}attn.qkv.{ours}.",
                        f"{_L}self_attn.{theirs}_expert_dense.": f"{_B}attn.o.{ours}.",
                        f"{_L}mlp.{theirs}_mlp.down_proj.": f"{_B}ffn.{ours}.down.",
                    }
                ),
                Rule(
                    theirs=(f"{_L}mlp.{theirs}_mlp.gate_proj.", f"{_L}mlp.{theirs}_mlp.up_proj."),
                    ours=(f"{_B}ffn.{ours}.gate_up.",), ops=(Fuse(shares=(1, 1)),),
                ),
            )
        ),
    ),
    ignore=("model.layers.*.self_attn.rotary_emb.inv_freq",),
)  # fmt: skip

_TOWER = Keys(
    rules=(
        *rename(
            {
                "patch_embedding.proj.bias": "stem.bias",
                "patch_embedding.position_embedding.weight": "pos",
                "transformer.layers.{}.input_layernorm.": _B + "norm1.",
                "transformer.layers.{}.post_attention_layernorm.": _B + "norm2.",
                "transformer.layers.{}.attention.query_key_value.": _B + "attn.qkv.",
                "transformer.layers.{}.attention.dense.": _B + "attn.o.",
                "transformer.layers.{}.mlp.fc1.": _B + "ffn.up.",
                "transformer.layers.{}.mlp.fc2.": _B + "ffn.down.",
            }
        ),
        Rule(
            theirs=("patch_embedding.proj.weight",), ours=("stem.weight",),
            ops=(Reshape(theirs=("width", 3, "patch", "patch"), ours=("width", -1)),),
        ),
        Rule(
            theirs=("patch_embedding.cls_embedding",), ours=("cls",), ops=(Reshape(theirs=(1, "width"), ours=("width",)),)
        ),
    )
)  # fmt: skip

_BRIDGE = Keys(
    rules=(
        *rename({"linear_proj.": "linear.", "norm1.": "norm.", "dense_4h_to_h.": "ffn.down."}),
        Rule(theirs=("gate_proj.", "dense_h_to_4h."), ours=("ffn.gate_up.",), ops=(Fuse(shares=(1, 1)),)),
    )
)

_FRAME = Keys(
    rules=tuple(
        Rule(theirs=(theirs,), ours=(ours,), ops=(Reshape(theirs=(1, 1, -1), ours=(-1,)),))
        for theirs, ours in {"boi": "begin", "eoi": "end"}.items()
    )
)

COGVLM_HF = Layout(
    name="hf",
    mounts=(
        Mount(theirs="model.vision.", ours="encoders.image.", keys=_TOWER),
        Mount(theirs="model.vision.linear_proj.", ours="connectors.image.", keys=_BRIDGE),
        Mount(theirs="model.vision.", ours="joins.image.", keys=_FRAME),
        Mount(theirs="", ours="lm.", keys=_DECODER),
    ),
)
"""The modeling_cogvlm.py that THUDM/cogvlm-*-hf carry."""

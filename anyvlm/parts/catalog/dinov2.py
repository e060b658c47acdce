"""DINOv2 (2304.07193): sizes and tensor names."""

from __future__ import annotations

from anyvlm.keys import Fuse, Keys, Reshape, Rule, rename
from anyvlm.parts.ffn import GLU, MLP
from anyvlm.parts.norm import LayerNorm
from anyvlm.parts.vision.vit import ViT

_L, _B = "encoder.layer.{}.", "blocks.{}."

_RULES = (
    *rename(
        {
            "embeddings.patch_embeddings.projection.bias": "stem.bias",
            "layernorm.": "norm.",
            _L + "norm1.": _B + "norm1.",
            _L + "norm2.": _B + "norm2.",
            _L + "attention.output.dense.": _B + "attn.o.",
            _L + "layer_scale1.lambda1": _B + "scale1",
            _L + "layer_scale2.lambda1": _B + "scale2",
        }
    ),
    Rule(theirs=("embeddings.cls_token",), ours=("cls",), ops=(Reshape(theirs=(1, 1, "width"), ours=("width",)),)),
    Rule(
        theirs=("embeddings.position_embeddings",), ours=("pos",),
        ops=(Reshape(theirs=(1, -1, "width"), ours=(-1, "width")),),
    ),
    Rule(
        theirs=("embeddings.patch_embeddings.projection.weight",), ours=("stem.weight",),
        ops=(Reshape(theirs=("width", 3, "patch", "patch"), ours=("width", -1)),),
    ),
    Rule(
        theirs=tuple(f"{_L}attention.attention.{p}." for p in ("query", "key", "value")), ours=(_B + "attn.qkv.",),
        ops=(Fuse(shares=(1, 1, 1)),),
    ),
)  # fmt: skip
_MASK = ("embeddings.mask_token",)  # used only in its own pretraining

DINOV2_HF = Keys(
    rules=(*_RULES, *rename({_L + "mlp.fc1.": _B + "ffn.up.", _L + "mlp.fc2.": _B + "ffn.down."})), ignore=_MASK
)
"""transformers' Dinov2Model with plain feed-forward layers."""

DINOV2_SWIGLU_HF = Keys(
    rules=(*_RULES, *rename({_L + "mlp.weights_in.": _B + "ffn.gate_up.", _L + "mlp.weights_out.": _B + "ffn.down."})),
    ignore=_MASK,
)
"""transformers' Dinov2Model with use_swiglu_ffn (the giant)."""

DINOV2_S = ViT(
    width=384, depth=12, heads=6, patch=14, size=518, ffn=MLP(hidden=1536), norm=LayerNorm(eps=1e-6), stem_bias=True,
    layer_scale=True, resize=True,
)  # fmt: skip
DINOV2_B = DINOV2_S.but(width=768, heads=12, ffn__hidden=3072)
DINOV2_L = DINOV2_S.but(width=1024, depth=24, heads=16, ffn__hidden=4096)
DINOV2_G = DINOV2_S.but(width=1536, depth=40, heads=24, ffn=GLU(hidden=4096, bias=True))

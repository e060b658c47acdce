"""The vision towers of CLIP (2103.00020) and SigLIP (2303.15343): sizes and tensor names."""

from __future__ import annotations

from anyvlm.keys import Fuse, Keys, Reshape, Rule, rename
from anyvlm.parts.ffn import MLP
from anyvlm.parts.norm import LayerNorm
from anyvlm.parts.vision.vit import ViT

_L, _B = "encoder.layers.{}.", "blocks.{}."

_RULES = (
    *rename(
        {
            "embeddings.position_embedding.weight": "pos",
            "post_layernorm.": "norm.",
            _L + "self_attn.out_proj.": _B + "attn.o.",
            _L + "layer_norm1.": _B + "norm1.",
            _L + "layer_norm2.": _B + "norm2.",
            _L + "mlp.fc1.": _B + "ffn.up.",
            _L + "mlp.fc2.": _B + "ffn.down.",
        }
    ),
    Rule(
        theirs=("embeddings.patch_embedding.weight",), ours=("stem.weight",),
        ops=(Reshape(theirs=("width", 3, "patch", "patch"), ours=("width", -1)),),
    ),
    Rule(
        theirs=tuple(f"{_L}self_attn.{p}_proj." for p in "qkv"), ours=(_B + "attn.qkv.",), ops=(Fuse(shares=(1, 1, 1)),),
    ),
)  # fmt: skip
_IDS = "embeddings.position_ids"  # a buffer 0, 1, 2 ... that old files carry

CLIP_HF = Keys(
    rules=(*_RULES, *rename({"embeddings.class_embedding": "cls", "pre_layrnorm.": "norm_pre."})), ignore=(_IDS,)
)
"""transformers' CLIPVisionTransformer (the misspelt norm is theirs)."""

SIGLIP_HF = Keys(rules=(*_RULES, *rename({"embeddings.patch_embedding.bias": "stem.bias"})), ignore=(_IDS, "head.*"))
"""transformers' SiglipVisionTransformer; its head pools to one vector, which no system here reads."""

CLIP_L_14 = ViT(
    width=1024, depth=24, heads=16, patch=14, size=224, ffn=MLP(hidden=4096, act="quick_gelu"), norm=LayerNorm(eps=1e-5),
    pre_norm=True,
)  # fmt: skip
"""openai/clip-vit-large-patch14."""
CLIP_L_14_336 = CLIP_L_14.but(size=336)
CLIP_B_16 = CLIP_L_14.but(width=768, depth=12, heads=12, patch=16, ffn__hidden=3072)
CLIP_B_32 = CLIP_B_16.but(patch=32)
CLIP_H_14 = CLIP_L_14.but(width=1280, depth=32, ffn=MLP(hidden=5120, act="gelu"))
"""laion/CLIP-ViT-H-14-laion2B-s32B-b79K, whose activation is the exact one."""

SIGLIP_B_16_256 = ViT(
    width=768, depth=12, heads=12, patch=16, size=256, ffn=MLP(hidden=3072, act="gelu_tanh"), norm=LayerNorm(eps=1e-6),
    cls=False, stem_bias=True,
)  # fmt: skip
"""google/siglip-base-patch16-256 and -256-multilingual."""
SIGLIP_B_16_512 = SIGLIP_B_16_256.but(size=512)
SIGLIP_L_16_384 = SIGLIP_B_16_256.but(width=1024, depth=24, heads=16, size=384, ffn__hidden=4096)
SIGLIP_SO400M_14_384 = SIGLIP_B_16_256.but(width=1152, depth=27, heads=16, patch=14, size=384, ffn__hidden=4304)
SIGLIP_SO400M_14_364 = SIGLIP_SO400M_14_384.but(size=364)
"""Idefics3's: one line and column of patches less than at 384, trained on."""

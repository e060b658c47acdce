"""AIMv2 (2411.14402): sizes, and the names of tensors in transformers' classes and in the authors' files.

Sources: transformers `modeling_aimv2.py`; apple/ml-aim `aim-v2/aim/v2/torch/{models,layers}.py`.
"""

from __future__ import annotations

from anyvlm.keys import Fuse, Keys, Layout, Mount, Reshape, Rule, rename
from anyvlm.parts.ffn import GLU
from anyvlm.parts.norm import RMSNorm
from anyvlm.parts.text import TextTransformer
from anyvlm.parts.vision.aim import AimViT, NativeAimViT

AIMV2_L = AimViT(width=1024, depth=24, heads=8, patch=14, size=224, ffn=GLU(hidden=2816), norm=RMSNorm(eps=1e-5))
AIMV2_H = AIMV2_L.but(width=1536, heads=12, ffn__hidden=4096)
AIMV2_1B = AIMV2_L.but(width=2048, heads=16, ffn__hidden=5632)
AIMV2_3B = AIMV2_L.but(width=3072, heads=24, ffn__hidden=8192)
AIMV2_L_NATIVE = NativeAimViT(width=1024, depth=24, heads=8, patch=14, ffn=GLU(hidden=2816), norm=RMSNorm(eps=1e-5))
AIMV2_TEXT = TextTransformer(
    vocab=49408, width=768, depth=12, heads=6, context=77, ffn=GLU(hidden=2048), norm=RMSNorm(eps=1e-5), bias=False
)

_B = "blocks.{}."


def _blocks(theirs: str) -> tuple[Rule, ...]:
    return (
        *rename({
            theirs + "attention.out_proj.": _B + "attn.o.", theirs + "ffn.down_proj.": _B + "ffn.down.",
            theirs + "rms_norm1.": _B + "norm1.", theirs + "rms_norm2.": _B + "norm2.",
        }),
        Rule(
            theirs=tuple(f"{theirs}attention.{p}_proj." for p in "qkv"), ours=(_B + "attn.qkv.",),
            ops=(Fuse(shares=(1, 1, 1)),),
        ),
        Rule(
            theirs=(theirs + "ffn.gate_proj.", theirs + "ffn.up_proj."), ours=(_B + "ffn.gate_up.",),
            ops=(Fuse(shares=(1, 1)),),
        ),
    )  # fmt: skip


_STEM = (Reshape(theirs=("width", 3, "patch", "patch"), ours=("width", -1)),)
AIMV2_HF = Keys(
    rules=(
        *_blocks("encoder.layers.{}."),
        *rename({
            "embeddings.patch_embed.bias": "stem.bias", "embeddings.rms_norm.": "norm_pre.",
            "embeddings.position_embedding.weight": "pos", "rms_norm.": "norm.",
        }),
        Rule(theirs=("embeddings.patch_embed.weight",), ours=("stem.weight",), ops=_STEM),
    ),
    ignore=("embeddings.position_ids", "head.*"),
)  # fmt: skip
"""transformers' Aimv2VisionModel; its head is of the pool."""

AIMV2_OWN = Keys(
    rules=(
        *rename({
            "trunk.blocks.{}.attn.qkv.": _B + "attn.qkv.", "trunk.blocks.{}.attn.proj.": _B + "attn.o.",
            "trunk.blocks.{}.norm_1.": _B + "norm1.", "trunk.blocks.{}.norm_2.": _B + "norm2.",
            "trunk.blocks.{}.mlp.fc2.": _B + "ffn.down.", "trunk.post_trunk_norm.": "norm.",
            "preprocessor.patchifier.proj.bias": "stem.bias", "preprocessor.patchifier.norm.": "norm_pre.",
        }),
        Rule(
            theirs=("trunk.blocks.{}.mlp.fc1.", "trunk.blocks.{}.mlp.fc3."), ours=(_B + "ffn.gate_up.",),
            ops=(Fuse(shares=(1, 1)),),
        ),
        Rule(theirs=("preprocessor.patchifier.proj.weight",), ours=("stem.weight",), ops=_STEM),
        Rule(theirs=("preprocessor.pos_embed",), ours=("pos",), ops=(Reshape(theirs=(1, -1, "width"), ours=(-1, "width")),)),
    )
)  # fmt: skip
"""apple/ml-aim's."""

AIMV2_TEXT_HF = Keys(
    rules=(
        *_blocks("encoder.layers.{}."),
        *rename({
            "embeddings.token_embedding.weight": "embed.weight", "embeddings.position_embedding.weight": "pos",
            "rms_norm.": "norm.",
        }),
    ),
    ignore=("embeddings.position_ids",),
)  # fmt: skip
AIMV2_HEAD_HF = Keys(
    rules=(
        Rule(theirs=("cls_token",), ours=("probe",), ops=(Reshape(theirs=(1, 1, -1), ours=(-1,)),)),
        Rule(theirs=("k_proj.", "v_proj."), ours=("kv.",), ops=(Fuse(shares=(1, 1)),)),
        *rename({"output_proj.": "o."}),
    )
)
_ENDS = Keys(
    rules=rename({
        "visual_projection.": "towers.image.project.", "text_projection.": "towers.text.project.",
        "logit_scale": "contrasts.0.scale",
    })
)  # fmt: skip
AIMV2_LIT = (
    Layout(
        name="hf",
        mounts=(
            Mount(theirs="vision_model.", ours="towers.image.encoder.", keys=AIMV2_HF.but(ignore=("embeddings.position_ids",))),
            Mount(theirs="vision_model.head.", ours="towers.image.pool.", keys=AIMV2_HEAD_HF),
            Mount(theirs="text_model.", ours="towers.text.encoder.", keys=AIMV2_TEXT_HF),
            Mount(theirs="", ours="", keys=_ENDS),
        ),
    ),
)
"""transformers' Aimv2Model."""
AIMV2_EYE = tuple(
    Layout(name=name, mounts=(Mount(theirs="", ours="", keys=keys),)) for name, keys in (("hf", AIMV2_HF), ("aim", AIMV2_OWN))
)
"""Of an encoder alone."""

"""Names of tensors in timm's vision transformers, which many authors' files keep.

Source: timm `models/vision_transformer.py`.
"""

from __future__ import annotations

from anyvlm.keys import Keys, Reshape, Rule, rename

FRONT = (
    Rule(
        theirs=("patch_embed.proj.weight",), ours=("stem.weight",),
        ops=(Reshape(theirs=("width", 3, "patch", "patch"), ours=("width", -1)),),
    ),
    Rule(theirs=("cls_token",), ours=("cls",), ops=(Reshape(theirs=(1, 1, "width"), ours=("width",)),)),
    Rule(theirs=("pos_embed",), ours=("pos",), ops=(Reshape(theirs=(1, -1, "width"), ours=(-1, "width")),)),
)  # fmt: skip
"""Patches, class token and places, which are convolution and rows there."""

_B = "blocks.{}."
VIT_TIMM = Keys(
    rules=(
        *rename({
            _B + "attn.qkv.": _B + "attn.qkv.", _B + "attn.proj.": _B + "attn.o.", _B + "norm1.": _B + "norm1.",
            _B + "norm2.": _B + "norm2.", _B + "mlp.fc1.": _B + "ffn.up.", _B + "mlp.fc2.": _B + "ffn.down.",
            "patch_embed.proj.bias": "stem.bias", "norm.": "norm.",
        }),
        *FRONT,
    )
)  # fmt: skip
"""VisionTransformer with a class token, learned or fixed places, and a norm at the end."""

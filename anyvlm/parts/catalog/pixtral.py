"""Pixtral's vision tower (2410.07073), and how its files name their tensors."""

from __future__ import annotations

from anyvlm.keys import Each, Fuse, Interleaved, Keys, Layout, Mount, Reshape, Rule, rename
from anyvlm.parts.catalog.layouts import llava_hf
from anyvlm.parts.catalog.llama import LLAMA_HF
from anyvlm.parts.ffn import GLU
from anyvlm.parts.vision.axial import AxialViT

_L, _B = "transformer.layers.{}.", "blocks.{}."
_PATCHES = Reshape(theirs=("width", 3, "patch", "patch"), ours=("width", -1))
_HALVES = Each(ops=(Interleaved(heads="heads"), Interleaved(heads="heads"), None))
_GROUPS = Each(ops=(Interleaved(heads="heads"), Interleaved(heads="kv_heads"), None))

_SHARED = (
    Rule(theirs=("patch_conv.weight",), ours=("stem.weight",), ops=(_PATCHES,)),
    *rename({"ln_pre.": "norm_pre.", _L + "attention_norm.": _B + "norm1.", _L + "ffn_norm.": _B + "norm2."}),
)

PIXTRAL_HF = Keys(
    rules=(
        *_SHARED,
        *rename({_L + "attention.o_proj.": _B + "attn.o.", _L + "feed_forward.down_proj.": _B + "ffn.down."}),
        Rule(
            theirs=tuple(f"{_L}attention.{p}_proj." for p in "qkv"), ours=(_B + "attn.qkv.",),
            ops=(Fuse(shares=(1, 1, 1)),),
        ),
        Rule(
            theirs=(_L + "feed_forward.gate_proj.", _L + "feed_forward.up_proj."), ours=(_B + "ffn.gate_up.",),
            ops=(Fuse(shares=(1, 1)),),
        ),
    )
)  # fmt: skip
"""transformers' PixtralVisionModel."""


def _mistral(layer: str, heads: Each, shares: Fuse) -> tuple[Rule, ...]:
    """The blocks of mistral-inference, whose rotary pairs are neighbours; the tower's are named as the decoder's."""
    return (
        *rename({layer + "attention.wo.": _B + "attn.o.", layer + "feed_forward.w2.": _B + "ffn.down."}),
        Rule(
            theirs=tuple(f"{layer}attention.w{p}." for p in "qkv"), ours=(_B + "attn.qkv.",), ops=(heads, shares)
        ),
        Rule(
            theirs=(layer + "feed_forward.w1.", layer + "feed_forward.w3."), ours=(_B + "ffn.gate_up.",),
            ops=(Fuse(shares=(1, 1)),),
        ),
    )  # fmt: skip


PIXTRAL_MISTRAL = Keys(rules=(*_SHARED, *_mistral(_L, _HALVES, Fuse(shares=(1, 1, 1)))))
"""mistral-inference's VisionTransformer."""

MISTRAL = Keys(
    rules=(
        *rename(
            {
                "tok_embeddings.": "embed.",
                "norm.": "norm.",
                "output.": "head.",
                "layers.{}.attention_norm.": _B + "norm1.",
                "layers.{}.ffn_norm.": _B + "norm2.",
            }
        ),
        *_mistral("layers.{}.", _GROUPS, Fuse(shares=("heads", "kv_heads", "kv_heads"))),
    )
)
"""mistral-inference's Transformer, as in consolidated.safetensors."""

PIXTRAL_LAYOUTS = (
    *llava_hf(LLAMA_HF, PIXTRAL_HF)[1:],  # published after the prefix "vision_model." was gone
    Layout(
        name="mistral",
        mounts=(
            Mount(theirs="vision_encoder.", ours="encoders.image.", keys=PIXTRAL_MISTRAL),
            Mount(
                theirs="vision_language_adapter.", ours="connectors.image.",
                keys=Keys(rules=rename({"w_in.": "layers.0.", "w_out.": "layers.1."})),
            ),
            Mount(theirs="", ours="lm.", keys=MISTRAL),
        ),
    ),
)  # fmt: skip
"""mistral-community's files, transformers' names in memory, Mistral's own files (mistralai/Pixtral-12B-2409)."""

PIXTRAL_400M = AxialViT(width=1024, depth=24, heads=16, patch=16, ffn=GLU(hidden=4096, act="silu"))
"""The tower of Pixtral-12B. SiLU is what mistral-inference computes; transformers' default "gelu" is not the model's."""

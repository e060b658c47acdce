"""BLIP-2's tower (EVA-CLIP ViT-g/14) and Q-Former, InstructBLIP's too: sizes, and the names of their tensors.

Sources: transformers `modeling_{blip_2,instructblip}.py`; salesforce/LAVIS `lavis/models/{eva_vit,blip2_models/blip2}.py`.
"""

from __future__ import annotations

from anyvlm.keys import Keys, Layout, Mount, Reshape, Rule, rename
from anyvlm.parts.bert import PostNorm, Words
from anyvlm.parts.catalog.bert import post_norm
from anyvlm.parts.connect.qformer import QFormer, ReadingQFormer
from anyvlm.parts.ffn import MLP
from anyvlm.parts.norm import LayerNorm
from anyvlm.parts.vision.vit import ViT

_L, _B = "encoder.layers.{}.", "blocks.{}."

EVA_HF = Keys(
    rules=(
        *rename(
            {
                "embeddings.patch_embedding.bias": "stem.bias",
                _L + "self_attn.qkv.": _B + "attn.qkv.",
                _L + "self_attn.projection.": _B + "attn.o.",
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
        Rule(theirs=("embeddings.class_embedding",), ours=("cls",), ops=(Reshape(theirs=(1, 1, "width"), ours=("width",)),)),
        Rule(
            theirs=("embeddings.position_embedding",), ours=("pos",),
            ops=(Reshape(theirs=(1, -1, "width"), ours=(-1, "width")),),
        ),
    )
)  # fmt: skip
"""transformers' Blip2VisionModel without its last norm, which we count to the Q-Former; keys have a bias too, of zeros."""

_Q = "qformer.encoder.layer.{}."
_OUTSIDE = (
    *rename({"vision_model.post_layernorm.": "norm_rows.", "language_projection.": "proj."}),
    Rule(theirs=("query_tokens",), ours=("queries",), ops=(Reshape(theirs=(1, -1, "inner"), ours=(-1, "inner")),)),
)
_QUERIES = rename(
    {
        _Q + "intermediate_query.dense.": _B + "ffn.up.",
        _Q + "output_query.dense.": _B + "ffn.down.",
        _Q + "output_query.LayerNorm.": _B + "norm2.",
    }
)
_ATTENTION = tuple(rule for rule in post_norm(_Q, _B, "attention") if not rule.ours[0].startswith((_B + "ffn", _B + "norm2")))

QFORMER_HF = Keys(rules=(*_OUTSIDE, *_QUERIES, *_ATTENTION, *rename({"qformer.layernorm.": "norm."})))
"""All of transformers' Blip2ForConditionalGeneration that is neither tower nor language model."""

READING_QFORMER_HF = Keys(
    rules=(
        *_OUTSIDE, *_QUERIES, *_ATTENTION,
        *rename(
            {
                "qformer.embeddings.word_embeddings.": "words.word.",
                "qformer.embeddings.position_embeddings.weight": "words.pos",
                "qformer.embeddings.layernorm.": "words.norm.",
                _Q + "intermediate.dense.": _B + "text_ffn.up.",
                _Q + "output.dense.": _B + "text_ffn.down.",
                _Q + "output.LayerNorm.": _B + "text_norm2.",
            }
        ),
    ),
    ignore=("qformer.embeddings.position_ids",),
)  # fmt: skip
"""The same of InstructBlipForConditionalGeneration."""


def blip_2_hf(bridge: Keys, lm: Keys) -> tuple[Layout, ...]:
    """Layouts of transformers' Blip2ForConditionalGeneration and InstructBlipForConditionalGeneration."""
    return (
        Layout(
            name="hf",
            mounts=(
                Mount(theirs="language_model.", ours="lm.", keys=lm),
                Mount(theirs="vision_model.", ours="encoders.image.", keys=EVA_HF),
                Mount(theirs="", ours="connectors.image.", keys=bridge),
            ),
        ),
    )


EVA_G_14 = ViT(
    width=1408, depth=39, heads=16, patch=14, size=224, ffn=MLP(hidden=6144), norm=LayerNorm(eps=1e-6), keep_cls=True,
    stem_bias=True, post_norm=False,
)  # fmt: skip
"""EVA-CLIP ViT-g/14 (2303.15389) without its 40th block and its norm."""

# LAVIS norms the tower's rows with torch's own epsilon; transformers with that of the tower, 1e-6.
BLIP_2_QFORMER = QFormer(
    queries=32, inner=768, depth=12, layer=PostNorm(heads=12, ffn=MLP(hidden=3072)), rows=LayerNorm(eps=1e-5),
)  # fmt: skip
INSTRUCTBLIP_QFORMER = ReadingQFormer(
    queries=32, inner=768, depth=12, layer=PostNorm(heads=12, ffn=MLP(hidden=3072)), rows=LayerNorm(eps=1e-5),
    words=Words(vocab=30523, context=512),
)  # fmt: skip
"""BERT's vocabulary and [DEC], which stage 1 of BLIP-2 had added."""

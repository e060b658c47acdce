"""VideoMAE (2203.12602): sizes, and the names of transformers' classes."""

from __future__ import annotations

from anyvlm.keys import Fuse, Keys, Layout, Mount, Reshape, Rule, rename
from anyvlm.parts.ffn import MLP
from anyvlm.parts.keyless import Keyless
from anyvlm.parts.norm import LayerNorm
from anyvlm.parts.vision.tubes import TubeViT

VIDEOMAE_B = TubeViT(
    width=768, depth=12, patch=16, size=224, block=Keyless(heads=12, ffn=MLP(hidden=3072), norm=LayerNorm(eps=1e-12))
)
VIDEOMAE_S = VIDEOMAE_B.but(width=384, block__heads=16, block__ffn__hidden=1536)
VIDEOMAE_L = VIDEOMAE_B.but(width=1024, depth=24, block__heads=16, block__ffn__hidden=4096)
VIDEOMAE_H = VIDEOMAE_B.but(width=1280, depth=32, block__heads=16, block__ffn__hidden=5120)

_L, _B = "encoder.layer.{}.", "blocks.{}."
VIDEOMAE_HF = Keys(
    rules=(
        *rename({
            _L + "attention.attention.q_bias": _B + "attn.bias_q", _L + "attention.attention.v_bias": _B + "attn.bias_v",
            _L + "attention.output.dense.": _B + "attn.o.",
            _L + "layernorm_before.": _B + "norm1.", _L + "layernorm_after.": _B + "norm2.",
            _L + "intermediate.dense.": _B + "ffn.up.", _L + "output.dense.": _B + "ffn.down.",
            "embeddings.patch_embeddings.projection.bias": "stem.bias", "layernorm.": "norm.",
        }),
        Rule(
            theirs=tuple(f"{_L}attention.attention.{p}.weight" for p in ("query", "key", "value")),
            ours=(_B + "attn.qkv.weight",), ops=(Fuse(shares=(1, 1, 1)),),
        ),
        *rename({  # as they are in memory since version 5
            _L + "attention.attention.query.bias": _B + "attn.bias_q",
            _L + "attention.attention.value.bias": _B + "attn.bias_v",
        }),
        Rule(
            theirs=("embeddings.patch_embeddings.projection.weight",), ours=("stem.weight",),
            ops=(Reshape(theirs=("width", 3, "frames", "patch", "patch"), ours=("width", -1)),),
        ),
    ),
)  # fmt: skip
"""transformers' VideoMAEModel."""

_HEADS = ("decoder.*", "encoder_to_decoder.weight", "mask_token", "classifier.*", "fc_norm.*")
VIDEOMAE_LAYOUTS = tuple(
    Layout(name=name, mounts=(Mount(theirs=prefix, ours="", keys=VIDEOMAE_HF),), ignore=_HEADS)
    for name, prefix in (("hf", ""), ("hf-videomae", "videomae."))
)
"""Of the encoder alone, and of VideoMAEForPreTraining and ...ForVideoClassification, whose heads are not read."""

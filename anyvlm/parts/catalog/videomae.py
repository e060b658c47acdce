"""VideoMAE (2203.12602): sizes, and the names of transformers' classes, encoders and what was trained beside them."""

from __future__ import annotations

from anyvlm.inputs.policy import IMAGENET_MEAN, IMAGENET_STD
from anyvlm.keys import Fuse, Keys, Layout, Mount, Reshape, Rule, rename
from anyvlm.parts.classify import Classify
from anyvlm.parts.ffn import MLP
from anyvlm.parts.hidden_tubes import HiddenTubes
from anyvlm.parts.keyless import Keyless
from anyvlm.parts.norm import LayerNorm
from anyvlm.parts.pool import Pick
from anyvlm.parts.vision.tubes import TubeViT

VIDEOMAE_B = TubeViT(
    width=768, depth=12, patch=16, size=224, block=Keyless(heads=12, ffn=MLP(hidden=3072), norm=LayerNorm(eps=1e-12))
)
VIDEOMAE_S = VIDEOMAE_B.but(width=384, block__heads=16, block__ffn__hidden=1536)
VIDEOMAE_L = VIDEOMAE_B.but(width=1024, depth=24, block__heads=16, block__ffn__hidden=4096)
VIDEOMAE_H = VIDEOMAE_B.but(width=1280, depth=32, block__heads=16, block__ffn__hidden=5120)

_B = "blocks.{}."


def _blocks(theirs: str) -> tuple[Rule, ...]:
    return (
        *rename({
            theirs + "attention.attention.q_bias": _B + "attn.bias_q",
            theirs + "attention.attention.v_bias": _B + "attn.bias_v",
            theirs + "attention.output.dense.": _B + "attn.o.",
            theirs + "layernorm_before.": _B + "norm1.", theirs + "layernorm_after.": _B + "norm2.",
            theirs + "intermediate.dense.": _B + "ffn.up.", theirs + "output.dense.": _B + "ffn.down.",
        }),
        Rule(
            theirs=tuple(f"{theirs}attention.attention.{p}.weight" for p in ("query", "key", "value")),
            ours=(_B + "attn.qkv.weight",), ops=(Fuse(shares=(1, 1, 1)),),
        ),
        *rename({  # as they are in memory since version 5
            theirs + "attention.attention.query.bias": _B + "attn.bias_q",
            theirs + "attention.attention.value.bias": _B + "attn.bias_v",
        }),
    )  # fmt: skip


VIDEOMAE_HF = Keys(
    rules=(
        *_blocks("encoder.layer.{}."),
        *rename({"embeddings.patch_embeddings.projection.bias": "stem.bias", "layernorm.": "norm."}),
        Rule(
            theirs=("embeddings.patch_embeddings.projection.weight",), ours=("stem.weight",),
            ops=(Reshape(theirs=("width", 3, "frames", "patch", "patch"), ours=("width", -1)),),
        ),
    ),
)  # fmt: skip
"""transformers' VideoMAEModel."""
_DECODER = Keys(
    rules=(
        *_blocks("decoder.decoder_layers.{}."),
        Rule(theirs=("mask_token",), ours=("mask",), ops=(Reshape(theirs=(1, 1, "width"), ours=("width",)),)),
        *rename({"encoder_to_decoder.": "map.", "decoder.norm.": "norm.", "decoder.head.": "head."}),
    )
)
_CLASSIFIER = Keys(rules=rename({"fc_norm.": "norm.", "classifier.": "head."}))

_HEADS = ("decoder.*", "encoder_to_decoder.weight", "mask_token", "classifier.*", "fc_norm.*")
VIDEOMAE_LAYOUTS = tuple(
    Layout(name=name, mounts=(Mount(theirs=prefix, ours="", keys=VIDEOMAE_HF),), ignore=_HEADS)
    for name, prefix in (("hf", ""), ("hf-videomae", "videomae."))
)
"""Of the encoder alone, and of VideoMAEForPreTraining and ...ForVideoClassification, whose heads are not read."""


def _beside(keys: Keys) -> tuple[Layout, ...]:
    mounts = (Mount(theirs="videomae.", ours="encoder.", keys=VIDEOMAE_HF), Mount(theirs="", ours="lesson.", keys=keys))
    return (Layout(name="hf-videomae", mounts=mounts),)


def videomae_decoder(width: int, depth: int, heads: int) -> HiddenTubes:
    """What VideoMAEForPreTraining holds beside the encoder."""
    block = Keyless(heads=heads, ffn=MLP(hidden=4 * width), norm=LayerNorm(eps=1e-12))
    return HiddenTubes(
        width=width, depth=depth, block=block, mean=IMAGENET_MEAN, std=IMAGENET_STD, layouts=_beside(_DECODER)
    )


def videomae_classifier(classes: int) -> Classify:
    """What VideoMAEForVideoClassification does."""
    return Classify(
        classes=classes, pool=Pick(row="mean"), norm=LayerNorm(eps=1e-5), layouts=_beside(_CLASSIFIER)
    )

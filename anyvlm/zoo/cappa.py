"""CapPa and Cap (2306.07915): a ViT that learns by having what it sees described, to three quarters in one guess.

Numbers: google-research/big_vision 0127fb6 `configs/proj/cappa/pretrain.py`, `models/proj/cappa/cappa.py`. No weights were
released, nor the sizes of the decoder beside ViT-L/14. Words: sentencepiece of gs://t5-data/vocabs/cc_en.32000.
"""

from __future__ import annotations

from anyvlm.inputs.formats import CAPPA
from anyvlm.inputs.policy import HALF, ImagePolicy
from anyvlm.parts.captioner import Captioner
from anyvlm.parts.connect.same import Same
from anyvlm.parts.ffn import MLP
from anyvlm.parts.norm import LayerNorm
from anyvlm.parts.vision.vit import ViT
from anyvlm.system import Meta, Stage, Stream, System

EYE = ViT(
    width=768, depth=12, heads=12, patch=16, size=224, ffn=MLP(hidden=3072, act="gelu_tanh"), norm=LayerNorm(eps=1e-6),
    cls=False, stem_bias=True,
)  # fmt: skip
CAPPA_B_16 = System(
    name="cappa-vit-b-16",
    lm=Captioner(
        vocab=32_000, width=768, depth=6, heads=12, context=64, silent=1, ffn=MLP(hidden=3072, act="gelu_tanh", bias=False),
        norm=LayerNorm(eps=1e-6, bias=False), last=LayerNorm(eps=1e-6),
    ),
    streams={
        "image": Stream(
            policy=ImagePolicy(size=(224, 224), fit="stretch", resample="bilinear", mean=HALF, std=HALF), encoder=EYE,
            connector=Same(), reach="all", most=1,
        )
    },
    template=CAPPA,
    stages=(
        Stage(
            name="caption", train=("*",), losses={"caption": 1.0}, data=("WebLI",), lr=1e-3, batch=8192, steps=366_500,
            warmup=10_000 / 366_500, weight_decay=1e-4, context=64, parallel=0.75,
            note="Adafactor, beta2 at most 0.999, clip 1",
        ),
    ),
    meta=Meta(
        paper="2306.07915", year=2023, license="Apache-2.0", family="cappa", row="cappa",
        summary="ViT-B/16 beside a decoder of captions, guessed at once or word by word. No weights were released.",
    ),
)  # fmt: skip
CAP_B_16 = CAPPA_B_16.but(
    name="cap-vit-b-16", lm__silent=0, stages=(CAPPA_B_16.stages[0].but(parallel=0.0),),
    meta__summary="ViT-B/16 beside a decoder that writes captions word by word. No weights were released.",
)  # fmt: skip

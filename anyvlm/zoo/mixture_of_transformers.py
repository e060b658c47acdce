"""Mixture-of-Transformers (2411.04996) in its setting of text and pictures, 1,024 tokens each, causal throughout.

From the paper and the authors' two illustrative modules; no weights are published. Its host Chameleon makes pictures tokens of
the vocabulary with a VQ-GAN; here 16 x 16 pixels under a linear layer take the place of each code.
"""

from __future__ import annotations

from anyvlm.inputs.formats import MOT
from anyvlm.inputs.policy import ImagePolicy
from anyvlm.parts.catalog.mot import MOT_7B
from anyvlm.parts.connect.mlp import Projector
from anyvlm.parts.vision.patches import Patches
from anyvlm.system import Meta, Stage, Stream, System
from anyvlm.weights.sources import Hub

MIXTURE_OF_TRANSFORMERS_7B = System(
    name="mixture-of-transformers-7b",
    lm=MOT_7B,
    streams={
        "image": Stream(
            policy=ImagePolicy(
                size=(512, 512), fit="crop", resample="lanczos", rescale=0.0078, mean=(1.0, 1.0, 1.0), std=(1.0, 1.0, 1.0)
            ),
            encoder=Patches(patch=16),
            connector=Projector(depth=1),
        )
    },
    template=MOT,
    tokenizer=Hub(repo="facebook/chameleon-7b"),
    stages=(Stage(name="pretrain", train=("*",), data=("text and pictures, half of the tokens each",), context=4096),),
    meta=Meta(
        paper="2411.04996",
        year=2024,
        license="BSD-3-Clause (code; no weights)",
        family="deep-expert",
        row="mixture-of-transformers",
        summary="Every weight but the embeddings once for each kind of token, attention shared; its weights are not published.",
    ),
)

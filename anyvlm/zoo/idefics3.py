"""Idefics3 (2408.12637): tiles named in the prompt by their place, four rows folded into one, a linear map into Llama 3.1.

Preprocessing: the defaults of transformers' processor, 4 tiles of 364 pixels along the longer edge; the paper's evaluation
goes up to 5. Its names of tiles are ordinary text, not tokens: they were not added to the vocabulary before training
(huggingface/transformers, pull request 32473). SigLIP's positions are those Idefics3 computes for a full tile, the only kind
there is. The paper's numbers of steps and rates could not be checked here and are left out.
"""

from __future__ import annotations

from anyvlm.inputs.markup import Places
from anyvlm.inputs.mosaic import Mosaic
from anyvlm.inputs.policy import HALF, ImagePolicy
from anyvlm.inputs.templates import IDEFICS3
from anyvlm.parts.catalog.clip import SIGLIP_SO400M_14_364
from anyvlm.parts.catalog.idefics3 import IDEFICS3_HF
from anyvlm.parts.catalog.llama import LLAMA_3_1_8B
from anyvlm.parts.connect.mlp import Projector
from anyvlm.parts.connect.shuffle import Shuffle
from anyvlm.system import Checkpoint, Meta, Stage, Stream, System
from anyvlm.weights.sources import Hub

TILE = ImagePolicy(size=(364, 364), fit="stretch", resample="lanczos", mean=HALF, std=HALF)
EYE = Stream(
    policy=Mosaic(one=TILE, longest=4 * 364),
    encoder=SIGLIP_SO400M_14_364,
    connector=Shuffle(r=2, then=Projector(depth=1, bias=False)),
    markup=Places(spelled=True),
)
FILES = Hub(repo="HuggingFaceM4/Idefics3-8B-Llama3")
DORA = "the backbones move by DoRA, whose rank the paper does not give; only the connector moves here"

IDEFICS3_8B = System(
    name="idefics3-8b",
    lm=LLAMA_3_1_8B.but(vocab=128259),
    streams={"image": EYE},
    template=IDEFICS3,
    tokenizer=FILES,
    checkpoints=(Checkpoint(source=FILES, layouts=(IDEFICS3_HF,)),),
    stages=(
        Stage(name="align", train=("connectors.*",), data=("OBELICS", "LAION COCO")),
        Stage(name="pretrain", train=("connectors.*",), data=("OBELICS", "LAION COCO", "PDFA", "Docmatix"), note=DORA),
        Stage(name="synthetic", train=("connectors.*",), data=("Docmatix", "WebSight", "LNQA", "PixelProse"), note=DORA),
        Stage(name="tune", train=("connectors.*",), data=("The Cauldron",), note=f"{DORA}; noise on embeddings (NEFTune)"),
    ),
    meta=Meta(
        paper="2408.12637", year=2024, license="Apache-2.0", family="idefics3", row="idefics3",
        summary="Llama 3.1 8B that sees up to 16 tiles of 364 pixels and the whole picture.",
    ),
)  # fmt: skip
